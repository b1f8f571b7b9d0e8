"""The command line: every command answers --help and --json, errors are one line, exit codes are 0, 1 and 2."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from sercore import experiment, grids, publication, results, store, tune
from sercore.__main__ import app
from sercore.errors import StoreError
from tests.corpus_trees import write_tree

COMMANDS = [["corpora", "list"], ["corpora", "check"], ["models"], ["run"], ["runs"], ["claims"], ["tune"], ["publish"], ["audit"]]
GOLDEN = {"lstm_sa_h32": 10600, "lstm_sa_h64": 29384, "lstm_sa_h128": 91528,
          "reslstm_sa_h32": 27988, "reslstm_sa_h64": 46772, "reslstm_sa_h128": 108916}  # fmt: skip


def sercore(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def as_json(*arguments, exit_code=0):
    result = sercore(*arguments, "--json")
    assert result.exit_code == exit_code, result.stderr
    return json.loads(result.stdout)


@pytest.mark.parametrize("command", [[], ["corpora"], *COMMANDS], ids=" ".join)
def test_every_command_has_help(command):
    result = sercore(*command, "--help")
    assert result.exit_code == 0
    assert "Usage" in result.stdout
    assert ("--json" in result.stdout) == (command in COMMANDS)


def test_the_corpora_are_listed():
    rows = {row["name"]: row for row in as_json("corpora", "list")}
    assert {"synthetic", "ravdess", "emodb"} <= set(rows)
    assert (rows["ravdess"]["files"], rows["ravdess"]["speakers"], rows["emodb"]["files"]) == (1440, 24, 535)
    assert "ravdess" in sercore("corpora", "list").stdout


def test_the_models_have_the_published_numbers_of_parameters():
    rows = as_json("models")
    assert {row["name"]: row["total"] for row in rows}.items() >= GOLDEN.items()
    assert all(row["trainable"] + row["frozen"] == row["total"] for row in rows)


def test_check_passes_a_whole_folder_and_fails_a_removed_file(tmp_path):
    root = write_tree("emodb", tmp_path / "emodb")
    report = as_json("corpora", "check", "emodb", "--root", root)
    assert (report["ok"], report["files"]["found"]) == (True, 535)
    (root / "03a01Fa.wav").unlink()
    report = as_json("corpora", "check", "emodb", "--root", root, exit_code=1)
    assert [(finding["kind"], finding["files"]) for finding in report["problems"]] == [("missing", ["03a01Fa"])]
    text = sercore("corpora", "check", "emodb", "--root", root)
    assert text.exit_code == 1
    assert "03a01Fa is missing" in text.stdout


def test_check_takes_the_folder_of_all_corpora_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_CORPORA", str(tmp_path))
    write_tree("emodb", tmp_path / "emodb")
    assert as_json("corpora", "check", "emodb")["ok"]


@pytest.mark.recordings
def test_real_ravdess_passes_with_its_known_pair_noted_and_fails_without_one_file(corpora_root, tmp_path):
    report = as_json("corpora", "check", "ravdess", "--root", corpora_root / "ravdess")
    assert (report["ok"], report["files"]["found"]) == (True, 1440)
    assert [note["kind"] for note in report["notes"]] == ["duplicate_audio"]
    assert all("Actor_07/03-01-03-01-02-0" in file for file in report["notes"][0]["files"])

    copy = Path(shutil.copytree(corpora_root / "ravdess", tmp_path / "ravdess", copy_function=os.symlink))
    removed = next(iter(sorted(copy.glob("Actor_05/*"))))
    removed.unlink()
    report = as_json("corpora", "check", "ravdess", "--root", copy, exit_code=1)
    assert [finding["kind"] for finding in report["problems"]] == ["missing"]
    assert report["problems"][0]["files"] == [removed.relative_to(copy).with_suffix("").as_posix()]


SPEC = """
data: {corpus: emodb}
split: {scheme: pairs_5, fold: 2}
model: {name: reslstm_sa_h32}
training: {epochs: 1}
seed: 7
"""


@pytest.fixture
def spec(tmp_path):
    path = tmp_path / "spec.yml"
    path.write_text(SPEC)
    return path


def test_run_hands_the_spec_and_the_folders_on(spec, tmp_path, monkeypatch):
    called = {}

    def run_one(spec, roots, progress):
        called.update(spec=spec, roots=roots, progress=progress)
        return {"run_id": "abc", "uar": 0.5, "validation_uar": float("nan")}

    monkeypatch.setattr(experiment, "run_one", run_one)
    assert as_json("run", spec, "--root", f"emodb={tmp_path}") == {"run_id": "abc", "uar": 0.5, "validation_uar": None}
    assert (called["spec"].seed, called["spec"].split.fold, called["spec"].protocol) == (7, 2, "strict")
    assert (called["roots"], called["progress"]) == ({"emodb": tmp_path}, True)
    assert "uar: 0.5" in sercore("run", spec, "--quiet").stdout
    assert called["progress"] is False


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("data: [", "not YAML"),
        ("", "valid dictionary"),
        (SPEC.replace("epochs", "epoch"), "training.epoch"),
        (SPEC.replace("seed: 7", "leaks: [speakers]"), "unknown leak speakers"),
        (SPEC.replace("fold: 2", "fold: two"), "split.fold"),
    ],
)
def test_a_faulty_spec_is_one_line_and_exit_1(spec, text, says):
    spec.write_text(text)
    result = sercore("run", spec)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert says in result.stderr
    assert result.stderr.count("\n") == 1


def test_an_error_shows_its_traceback_only_when_asked(spec, monkeypatch):
    def run_one(spec, roots, progress):
        raise StoreError("the store\nis full")

    monkeypatch.setattr(experiment, "run_one", run_one)
    assert sercore("run", spec).stderr == "error: the store is full\n"
    result = sercore("--debug", "run", spec)
    assert result.exit_code == 1
    assert isinstance(result.exception, StoreError)


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["corpora", "check"],
        ["corpora", "check", "ravdes"],
        ["corpora", "check", "ravdess", "--root", "no/such/folder"],
        ["models", "--variant", "paper"],
        ["run", "no-such.yml"],
        ["run", __file__, "--root", "emodb"],
        ["run", __file__, "--root", "emodb=no/such/folder"],
        ["publish"],
    ],
    ids=" ".join,
)
def test_a_wrong_call_is_exit_2(arguments):
    result = sercore(*arguments)
    assert result.exit_code == 2
    assert result.stdout == ""


def test_an_empty_store_has_no_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path))
    assert as_json("runs") == []
    assert sercore("runs").stdout == "no runs\n"


def test_runs_lists_what_the_store_holds(monkeypatch):
    done = {"run_id": "a1", "system": "reslstm_sa_h64", "corpus": "ravdess", "fold": 0, "seed": 1, "status": "finished"}
    rows = pd.DataFrame([{**done, "validation_uar": 0.61}, {"run_id": "b2", "status": "interrupted"}])
    monkeypatch.setattr(store.RunStore, "records", lambda self: rows)
    listed = as_json("runs")
    assert [row["run_id"] for row in listed] == ["a1", "b2"]
    assert (listed[0]["fold"], listed[0]["validation_uar"], listed[1]["validation_uar"]) == (0, 0.61, None)
    assert [row["run_id"] for row in as_json("runs", "--status", "finished")] == ["a1"]
    assert "reslstm_sa_h64" in sercore("runs").stdout


def test_claims_counts_every_published_number_and_filters_by_source():
    everything, one = as_json("claims"), as_json("claims", "--source", "reslstm2026")
    assert everything["total"] == sum(everything["verdicts"].values()) == 1983
    assert 0 < one["total"] == sum(one["verdicts"].values()) < 1983


def test_publish_and_tune_need_a_corpus(tmp_path, monkeypatch):
    monkeypatch.delenv("SERCORE_CORPORA", raising=False)
    monkeypatch.chdir(tmp_path)
    for command in ("publish", "tune"):
        result = sercore(command, "reslstm_sa")
        assert result.exit_code == 1
        assert result.stderr.startswith("error: no corpus is known")


def test_publish_says_what_it_wrote_and_what_it_left_out(monkeypatch, tmp_path):
    rows = dataclasses.replace(results.empty_results(), runs=pd.DataFrame({"group": ["a.strict", "a.strict", "b.strict"]}))
    monkeypatch.setattr(publication, "finished_results", lambda chapter, grids, roots: (rows, ["no search of c"]))
    monkeypatch.setattr(results, "publish", lambda chapter, rows: tmp_path / chapter)
    answer = as_json("publish", "reslstm_sa", "--root", f"emodb={tmp_path}")
    assert answer["runs"] == {"a.strict": 2, "b.strict": 1}
    assert (answer["folder"], answer["left_out"]) == (str(tmp_path / "reslstm_sa"), ["no search of c"])
    assert "left out: no search of c" in sercore("publish", "reslstm_sa", "--root", f"emodb={tmp_path}").stderr


def test_tune_shows_the_values_that_the_searches_chose(monkeypatch, tmp_path):
    def tuned(specs, chapter, roots):
        return [
            tune.with_parameters(spec, dict.fromkeys(tune.SEARCH_SPACE, 2) | {"learning_rate": 0.1, "weight_decay": 0.0, "dropout": 0.25})
            for spec in specs
        ]

    monkeypatch.setattr(grids, "tuned", tuned)
    (row,) = as_json("tune", "reslstm_sa", "--root", f"emodb={tmp_path}", "--system", "lstm_sa_h64")
    assert row["search"] == "emodb.lstm_sa_h64.definition.pairs_5.validation"
    assert (row["batch_size"], row["dropout"]) == (2, 0.25)


def test_help_needs_no_heavy_import():
    code = "import sys, sercore.__main__; print(sorted({'torch', 'pandas', 'numpy', 'librosa'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"


def test_the_package_runs_as_a_module():
    result = subprocess.run([sys.executable, "-m", "sercore", "corpora", "check", "nothing"], capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (2, "")
