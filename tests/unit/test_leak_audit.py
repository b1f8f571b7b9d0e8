"""`sercore audit`: one planted leak a kind is found, a clean plan passes, and what cannot be checked says why."""

import hashlib
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from typer.testing import CliRunner

from sercore.__main__ import app
from sercore.leak_audit import CHECKS, fitted
from sercore.spec import LEAKS
from sercore.store import RunStore
from tests.bad_inputs import Bench
from tests.corpus_trees import write_sound

CLEAN = pd.DataFrame(
    {
        "item_id": list("abcdefgh"),
        "side": ["train"] * 4 + ["validation"] * 2 + ["test"] * 2,
        "speaker": ["1", "1", "2", "2", "3", "3", "4", "4"],
        "source_id": [f"r{i}" for i in range(8)],
        "audio_id": [f"h{i}" for i in range(8)],
        "text": [f"t{i}" for i in range(8)],
        "start_s": 0.0,
        "end_s": 1.0,
        "label": ["anger", "sadness"] * 4,
    }
)


def audit(*arguments, code=0):
    done = CliRunner().invoke(app, ["audit", *map(str, arguments), "--json", "--quiet"])
    assert done.exit_code == code, done.output
    report = json.loads(done.stdout)
    return {line["kind"]: line for line in report["checks"]} | {"ok": report["ok"]}


def found(report):
    return [kind for kind, line in report.items() if kind != "ok" and line["state"] == "found"]


def written(table, path):
    if path.suffix == ".json":
        table.to_json(path, orient="records")
    else:
        table.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("ending", [".csv", ".json"])
def test_a_clean_table_passes_and_says_what_it_cannot_tell(tmp_path, ending):
    report = audit(written(CLEAN, tmp_path / f"split{ending}"))
    assert report["ok"]
    assert found(report) == []
    blind = {kind: line["why"] for kind, line in report.items() if kind != "ok" and line["state"] == "could not be checked"}
    assert set(blind) == {
        "global_normaliser",
        "validation_is_test",
        "tuned_on_test",
        "level_filter",
        "unmasked_padding",
        "pretraining_overlap",
    }
    assert all(blind.values())


def planted(**changes):
    """The clean table with single cells replaced: column = {row: value}."""
    table = CLEAN.copy()
    for column, cells in changes.items():
        for row, value in cells.items():
            table.loc[row, column] = value
    return table


PLANTED = {
    "item_overlap": (pd.concat([CLEAN, CLEAN.iloc[[0]].assign(side="test")]), {"speaker_train_test", "source_overlap", "duplicate_audio",
                     "segment_overlap", "text_overlap"}),
    "speaker_train_test": (planted(speaker={7: "1"}), set()),
    "speaker_validation_test": (planted(speaker={7: "3"}), set()),
    "speaker_train_validation": (planted(speaker={5: "1"}), set()),
    "source_overlap": (planted(source_id={7: "r0"}, start_s={7: 1.0}, end_s={7: 2.0}), set()),
    "segment_overlap": (planted(source_id={7: "r0"}, start_s={7: 0.9}, end_s={7: 2.0}), {"source_overlap"}),
    "duplicate_audio": (planted(audio_id={7: "h2"}), set()),
    "text_overlap": (planted(text={7: "t0"}), set()),
    "class_map": (planted(label={7: "fear"}), set()),
    "speaker_label": (planted(label={0: "anger", 1: "anger", 2: "sadness", 3: "sadness"}), set()),
}  # fmt: skip


@pytest.mark.parametrize("kind", PLANTED)
def test_a_planted_leak_of_a_table_is_caught(tmp_path, kind):
    table, with_it = PLANTED[kind]
    reported = kind in ("text_overlap", "speaker_label")
    report = audit(written(table, tmp_path / "split.csv"), code=0 if reported else 1)
    assert set(found(report)) == {kind, *with_it}
    assert report[kind]["declared"] == ("reported only" if reported else "NOT declared")
    assert report["ok"] is reported
    assert all(one["items"] for one in report[kind]["found"])


def test_a_declared_leak_passes_and_one_that_is_not_there_is_told(tmp_path):
    path = written(planted(speaker={7: "1"}), tmp_path / "split.csv")
    report = audit(path, "--declare", "speaker_overlap", "--declare", "duplicate_audio")
    assert report["speaker_train_test"]["declared"] == "speaker_overlap"
    assert "duplicate_audio is declared, and nothing of it is there" in report["declared_not_found"]["found"][0]["message"]
    text = CliRunner().invoke(app, ["audit", str(path)])
    assert text.exit_code == 1
    assert "1 kind of undeclared leak: speaker_train_test" in text.stdout.splitlines()[-1]


def test_equal_files_under_two_names_are_caught(tmp_path):
    for n in range(7):
        write_sound(tmp_path / f"{n}.wav", seed=n)
    shutil.copy(tmp_path / "0.wav", tmp_path / "7.wav")
    table = CLEAN.drop(columns="audio_id").assign(path=[f"{n}.wav" for n in range(8)])
    assert found(audit(written(table, tmp_path / "split.csv"), code=1)) == ["duplicate_audio"]
    assert audit(written(table.drop(columns="path"), tmp_path / "b.csv"))["duplicate_audio"]["why"] == "the items have no audio_id"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("item,side\na,train\n", "lacks the column item_id"),
        ("item_id,side\na,train\nb,held out\n", "row 2 has the side 'held out'"),
        ("item_id,side\n", "has no row"),
        ("item_id,side\n,train\n", "row 1 has no item_id"),
        ("item_id,side,start_s\na,train,soon\n", "row 1: start_s is 'soon'"),
        ("", "is no table"),
    ],
)
def test_a_faulty_table_is_one_line(tmp_path, text, says):
    (tmp_path / "split.csv").write_text(text)
    done = CliRunner().invoke(app, ["audit", str(tmp_path / "split.csv")])
    assert done.exit_code == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "split.csv" in done.stderr
    assert says in done.stderr


@pytest.mark.parametrize(("target", "says"), [("none.csv", "there is no file none.csv"), ("zzzz", "no run 'zzzz'")])
def test_what_is_not_there_is_named(tmp_path, monkeypatch, target, says):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    done = CliRunner().invoke(app, ["audit", target])
    assert done.exit_code == 1
    assert says in done.stderr


def test_every_leak_that_a_spec_can_declare_has_a_check():
    by_sides = {"speaker_overlap": "speaker_train_test", "validation_speakers": "speaker_train_validation"}
    kinds = [check.kind for check in CHECKS]
    assert len(set(kinds)) == len(kinds)
    assert {by_sides.get(leak, leak) for leak in LEAKS} <= set(kinds)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Two finished runs of a network on a tiny copy of EmoDB: strict, and with statistics of all items."""
    bench = Bench(tmp_path_factory.mktemp("audited"))
    leaky = (bench.folder / "network.yml").read_text() + "leaks: [global_normaliser]\n"
    (bench.folder / "leaky.yml").write_text(leaky)
    for name in ("network.yml", "leaky.yml"):
        done = bench.sercore("run", name, "--root", "emodb=whole", "--quiet")
        assert done.code == 0, done.lines
    return bench


@pytest.fixture
def here(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    monkeypatch.setenv("SERCORE_STORE", "store")
    monkeypatch.delenv("SERCORE_CORPORA", raising=False)
    return bench


def run_of(bench, leaks):
    store = RunStore(bench.folder / "store")
    done = (p for p in store.folder.iterdir() if (p / "weights.safetensors").exists() and len(set(p.name)) > 1)  # no planted copy
    return next(p for p in done if list(store.spec(p.name).leaks) == leaks)


def copied(run, name, **changes):
    """A copy of a run with some files changed and its checksums put right: what a faulty program would have left."""
    folder = run.parent / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(run, folder)
    record = json.loads((folder / "record.json").read_text()) | changes
    return folder, record


def sealed(folder, record):
    record["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in record["files"]}
    (folder / "record.json").write_text(json.dumps(record))
    return folder.name


def test_a_strict_run_passes_and_its_record_says_what_was_looked_for(here):
    run = run_of(here, [])
    report = audit(run.name[:8], "--root", "emodb=whole")
    assert found(report) == ["text_overlap"]
    assert "training side" in report["global_normaliser"]["why"]
    assert "best on validation" in report["validation_is_test"]["why"]
    assert json.loads((run / "record.json").read_text())["overlaps_checked"] == [
        "speaker_overlap", "source_overlap", "segment_overlap", "duplicate_audio",
    ]  # fmt: skip


def test_a_run_without_its_recordings_says_so(here, tmp_path):
    report = audit(run_of(here, []).name)
    assert "recordings are not here" in report["speaker_train_test"]["why"]
    other = here.damaged("other", lambda root: ((root / "03a01Fa.wav").unlink(), write_sound(root / "03a01Fa.wav", seed=9999, seconds=0.1)))
    report = audit(run_of(here, []).name, "--root", f"emodb={other}")
    assert "not those of the run" in report["speaker_train_test"]["why"]


def test_statistics_of_all_items_are_found_declared_and_caught_undeclared(here):
    leaky, strict = run_of(here, ["global_normaliser"]), run_of(here, [])
    report = audit(leaky.name, "--root", "emodb=whole")
    assert report["global_normaliser"]["declared"] == "global_normaliser"
    assert "all 535 items" in report["global_normaliser"]["found"][0]["message"]
    folder, record = copied(strict, "a" * 16)
    weights = load_file(folder / "weights.safetensors")
    save_file(weights | {"normaliser.mean": load_file(leaky / "weights.safetensors")["normaliser.mean"]}, folder / "weights.safetensors")
    report = audit(sealed(folder, record), "--root", "emodb=whole", code=1)
    assert report["global_normaliser"]["declared"] == "NOT declared"


def test_an_epoch_chosen_on_the_test_side_is_caught(here):
    folder, record = copied(run_of(here, []), "b" * 16)
    history, predictions = pd.read_csv(folder / "history.csv"), pd.read_parquet(folder / "predictions.parquet")
    history.loc[history["epoch"] == record["best_epoch"], "validation_loss"] = fitted._loss(predictions)
    history.to_csv(folder / "history.csv", index=False)
    report = audit(sealed(folder, record), "--root", "emodb=whole", code=1)
    assert "same items" in report["validation_is_test"]["found"][0]["message"]
    folder, record = copied(run_of(here, []), "c" * 16)
    record["best_epoch"] = record["best_epoch"] % 4 + 1
    report = audit(sealed(folder, record), "--root", "emodb=whole", code=1)
    assert "validation would choose" in report["validation_is_test"]["found"][0]["message"]


def test_values_of_a_search_on_test_speakers_are_caught(here, monkeypatch):
    strict = run_of(here, [])
    spec = RunStore(here.folder / "store").spec(strict.name)
    values = {key: getattr(spec.training, key) for key in ("learning_rate", "weight_decay", "cosine_period_epochs", "batch_size")}
    for objective, code in (("test", 1), ("validation", 0)):
        monkeypatch.setattr(
            fitted,
            "_chosen",
            lambda name, wanted, end=objective: values | {"dropout": spec.model.dropout} if name.endswith(f".{end}") else None,
        )
        report = audit(strict.name, "--root", "emodb=whole", code=code)
        assert report["tuned_on_test"]["state"] == ("found" if objective == "test" else "not found")
        assert objective in json.dumps(report["tuned_on_test"])


def test_a_specification_is_audited_before_it_runs(here):
    assert audit("network.yml", "--root", "emodb=whole")["ok"]
    shuffled = (here.folder / "network.yml").read_text().replace("pairs_5", "random_5")
    (here.folder / "shuffled.yml").write_text(shuffled)
    report = audit("shuffled.yml", "--root", "emodb=whole", code=1)
    assert {"speaker_train_test", "speaker_validation_test", "speaker_train_validation"} <= set(found(report))
    (here.folder / "declared.yml").write_text(shuffled + "leaks: [speaker_overlap]\n")
    assert audit("declared.yml", "--root", "emodb=whole")["speaker_train_test"]["declared"] == "speaker_overlap"


def test_items_of_a_table_are_looked_up_in_their_corpus(here):
    ids = sorted(path.stem for path in (here.folder / "whole").glob("*.wav"))
    side = np.where([i[:2] in ("03", "08") for i in ids], "test", np.where([i[:2] in ("09", "10") for i in ids], "dev", "train"))
    table = written(pd.DataFrame({"item_id": ids, "side": side}), here.folder / "own.csv")
    assert found(audit(table, "--corpus", "emodb", "--root", "emodb=whole")) == ["text_overlap"]
    side[0] = "train"
    written(pd.DataFrame({"item_id": ids, "side": side}), table)
    report = audit(table, "--corpus", "emodb", "--root", "emodb=whole", code=1)
    assert found(report)[0] == "speaker_train_test"
    written(pd.DataFrame({"item_id": ["nobody"], "side": ["train"]}), table)
    done = CliRunner().invoke(app, ["audit", str(table), "--corpus", "emodb", "--root", "emodb=whole"])
    assert "1 items are not in emodb, first 'nobody'" in done.stderr


def test_a_published_run_is_audited_as_far_as_it_goes(project, monkeypatch, tmp_path):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path))
    monkeypatch.delenv("SERCORE_CORPORA", raising=False)
    runs = pd.read_csv(project / "book/results/reslstm_sa/runs.csv", dtype=str)
    chosen = runs[runs["group"].str.contains("emodb.reslstm_sa_h64")].iloc[0]["run_id"]
    report = audit(chosen)
    assert report["speaker_train_test"]["state"] == "could not be checked"
    assert "of single runs are not published" in report["validation_is_test"]["why"]
    assert report["tuned_on_test"]["state"] == "not found"
