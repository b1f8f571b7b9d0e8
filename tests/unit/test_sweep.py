"""Sweeps in this process: the graph of runs, weights of a parent, typed failures, slices and dry runs."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner

from sercore import initial_weights, models
from sercore.__main__ import app
from sercore.commands.sweep import grids_of
from sercore.errors import CorpusError, SpecError, StoreError
from sercore.experiment import identify, run_one
from sercore.failures import in_words, kind_of
from sercore.forecast import forecast, sliced
from sercore.grids import chapter_specs, choices_of
from sercore.prepare import load_corpus
from sercore.spec import RunSpec
from sercore.store import RunStore
from sercore.sweep import FAILURE_COLUMNS, Job, attempt, run_all
from tests.faults.sweeping import spec, write_corpus


@pytest.fixture(scope="module")
def roots(tmp_path_factory):
    return {"office": str(write_corpus(tmp_path_factory.mktemp("office")))}


@pytest.fixture
def store(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    return RunStore()


def child(seed, parent, **changes):
    return spec(seed, 2, model={"name": "lstm_sa_h32", "initial_weights": "parent"}, parents=[parent.canonical()], **changes)


def test_a_parent_of_several_runs_once_and_first(roots, store):
    parent = spec(9, 2)
    children = [child(seed, parent) for seed in range(2)]
    done = run_all(children, roots, progress=False)
    assert (done.ran, done.found, len(done.records)) == (3, 0, 2)
    (ours,) = {record["parents"][0] for record in done.records}
    assert ours == identify(parent, load_corpus("office", roots["office"]))
    first = store.finished(ours)
    assert all(first["finished_at"] <= record["finished_at"] for record in done.records)
    assert first["sittings"] == 1
    again = run_all(children, roots, progress=False)
    assert (again.ran, again.found) == (0, 2), "a finished run needs nothing of what it started from"


def test_the_name_of_a_run_depends_on_its_parents_and_only_then(roots):
    corpus = load_corpus("office", roots["office"])
    names = [identify(child(0, spec(seed, 2)), corpus, roots) for seed in (8, 9)]
    assert len(set(names)) == 2
    assert identify(spec(0, 2), corpus, roots) == identify(spec(0, 2), corpus)


def test_a_failed_parent_leaves_its_children_not_run_and_the_others_run(roots, store):
    parent = spec(9, 2, fold=9)
    done = run_all([child(0, parent), spec(1, 2)], roots, progress=False)
    assert list(done.failures.columns) == FAILURE_COLUMNS
    assert done.failures["kind"].tolist() == ["data", "not run"]
    assert done.failures["message"].iloc[1].startswith("parent failed: ")
    assert len(done.records) == 1
    assert "2 failed (1 data, 1 not run)" in done.summary()
    assert sorted(store.records()["status"]) == ["failed", "failed", "finished"]


def test_weights_of_a_parent_are_the_start_of_all_but_the_classifier(roots, store):
    parent = run_one(spec(9, 2), roots)
    weights = load_file(store.path(parent["run_id"]) / "weights.safetensors")
    network = models.build("lstm_sa_h32", n_classes=5)
    before = network.classifier.weight.clone()
    taken = initial_weights.take_over(network, store.path(parent["run_id"]) / "weights.safetensors")
    assert not [name for name in taken if name.startswith(("classifier", "normaliser"))]
    assert all(torch.equal(network.state_dict()[name], weights[name]) for name in taken)
    assert torch.equal(network.classifier.weight, before)
    plain = run_all([spec(0, 2)], roots, progress=False).records[0]
    fine = run_all([child(0, spec(9, 2))], roots, progress=False).records[0]
    losses = [store.history(record["run_id"])["train_loss"].iloc[0] for record in (plain, fine)]
    assert losses[0] != losses[1]


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (lambda w: w.pop("attention.vector"), "attention.vector is not in the parent"),
        (lambda w: w.update({"extra": torch.zeros(1)}), "extra is only in the parent"),
        (lambda w: w.update({"attention.vector": torch.zeros(3)}), r"attention\.vector is \(3,\) in the parent and \(32,\) here"),
        (lambda w: None, "change nothing"),
    ],
)
def test_weights_that_do_not_fit_or_change_nothing_are_refused(tmp_path, fault, named):
    network = models.build("lstm_sa_h32")
    weights = {name: value.clone() for name, value in network.state_dict().items()}
    fault(weights)
    save_file(weights, tmp_path / "weights.safetensors")
    with pytest.raises(SpecError, match=named):
        initial_weights.take_over(network, tmp_path / "weights.safetensors")
    with pytest.raises(StoreError, match="run its run again"):
        initial_weights.take_over(network, tmp_path / "none.safetensors")


def test_a_failure_is_kept_tried_again_and_gone_when_it_succeeds(roots, store):
    bad = spec(0, 2, fold=9)
    first = run_all([bad], roots, progress=False)
    assert store.failure(first.failed[0]["run_id"])["kind"] == "data"
    assert run_all([bad], roots, progress=False, retry_failed=False).again == 0
    assert run_all([bad], roots, progress=False).again == 1
    good = spec(0, 2)
    name = identify(good, load_corpus("office", roots["office"]))
    store.fail(name, {**first.failed[0], "run_id": name, "spec": good.canonical()})
    assert run_all([good], roots, progress=False).failed == []
    assert store.failure(name) is None
    assert not list(store.folder.glob(f"{name}.failed.json"))


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "memory"),
        (torch.OutOfMemoryError("CUDA out of memory"), "memory"),
        (MemoryError(), "memory"),
        (CorpusError("x"), "data"),
        (StoreError("x"), "data"),
        (SpecError("x"), "code"),
        (ValueError("the training loss is nan in epoch 3"), "code"),
    ],
)
def test_an_error_has_a_kind(error, kind):
    assert kind_of(error) == kind


def test_what_is_kept_of_an_error_names_no_folder(tmp_path):
    text = in_words(StoreError(f"{tmp_path}/store/runs/ab.partial/weights.safetensors is broken\n  twice"))
    assert text == "weights.safetensors is broken twice"


def test_a_worker_that_sees_other_recordings_another_store_or_other_code_refuses(roots, store, tmp_path):
    wanted = spec(0, 2)
    corpus = load_corpus("office", roots["office"])
    right = Job(
        identify(wanted, corpus), wanted.canonical(), roots, str(store.folder.parent), str(store.folder.parent), store.identity(),
        corpus.fingerprint(), "s",
    )  # fmt: skip
    for field, value, kind, words in (
        ("data", "0" * 16, "data", "recordings are not the client's"),
        ("identity", "0" * 32, "data", "does not see the client's store"),
        ("run_id", "0" * 16, "code", "code is not the client's"),
    ):
        outcome = attempt(Job(**{**vars(right), field: value}))
        assert outcome["kind"] == kind
        assert words in outcome["message"]
    assert attempt(right)["found"] is False
    assert attempt(right)["found"] is True


def test_a_sitting_after_a_kill_for_memory_is_told_apart(store, monkeypatch):
    kills = iter([3, 3, 4, 4, 5])
    monkeypatch.setattr("sercore.store.memory_kills", lambda: next(kills))
    with store.writing("ab"):
        sittings = [store.sit("ab", sweep) for sweep in ("one", "one", "one", "one", "two")]
    assert [s.short_of_memory for s in sittings] == [False, False, True, False, False]
    assert [s.number for s in sittings] == [1, 2, 3, 4, 5]
    assert [s.attempt for s in sittings] == [1, 2, 3, 4, 1]


def test_slices_take_keys_values_and_ranges_and_refuse_others():
    specs = chapter_specs("reslstm_sa", ["emodb"], "full", ["strict"])
    taken = sliced(specs, ["seed=1-2,fold=0,3", "system=lstm_sa_h64"])
    assert {(s.seed, s.split.fold, s.model.name) for s in taken} == {(s, f, "lstm_sa_h64") for s in (1, 2) for f in (0, 3)}
    with pytest.raises(SpecError, match="no key 'sead'.*corpus, protocol"):
        sliced(specs, ["sead=1"])
    with pytest.raises(SpecError, match="system=vgg; known: majority_class"):
        sliced(specs, ["system=vgg"])
    with pytest.raises(SpecError, match="no key 'emodb'"):
        sliced(specs, ["emodb"])


def test_a_dry_run_counts_and_says_what_its_estimate_rests_on(roots, store, monkeypatch):
    monkeypatch.delenv("SERCORE_CORPORA", raising=False)
    specs = [spec(seed, 4) for seed in range(3)]
    nothing = forecast("", [specs], roots)
    assert (nothing.runs, nothing.done, nothing.to_do, nothing.core_hours, nothing.megabytes) == (3, 0, 3, None, None)
    assert "no estimate" in nothing.text()
    record = run_all(specs[:1], roots, progress=False).records[0]
    run_all([spec(5, 4, fold=9)], roots, progress=False)
    expected = forecast("", [[*specs, spec(5, 4, fold=9), spec(0, 8)]], roots)
    assert (expected.runs, expected.done, expected.to_do, expected.failed) == (5, 1, 4, {"data": 1})
    assert expected.core_hours == pytest.approx(record["seconds_per_epoch"] * (3 * 4 + 8) / 3600)
    size = sum(file.stat().st_size for file in store.path(record["run_id"]).iterdir())
    assert expected.megabytes == pytest.approx(4 * size / 1e6)
    assert expected.rests == {"finished runs of the same group": 4}
    missing = forecast("", [[spec(0, 4, data={"corpus": "emodb"}, split={"scheme": "pairs_5"})]], {})
    assert missing.elsewhere == {"emodb": 1}


def test_the_command_refuses_what_it_does_not_know_in_one_line(store):
    for arguments, words in (
        (["nothing"], "no grid is written for chapter 'nothing'"),
        (["reslstm_sa", "--only", "seed=77"], "seed=77; known: 0, 1"),
        (["reslstm_sa", "--scheduler", "slurm"], "scheduler 'slurm' is not known"),
        (["reslstm_sa", "--systems", "vgg"], "unknown system vgg"),
    ):
        done = CliRunner().invoke(app, ["sweep", *arguments])
        assert done.exit_code == 1
        (line,) = done.stderr.splitlines()
        assert words in line


def test_whatever_else_a_grid_can_be_asked_for_is_set_by_name():
    asked = ["taps=conv_1, conv_5", "seeds=1", "betas=-1,2", "variant=released"]
    assert choices_of("ch05_anti_transfer", asked) == {
        "taps": ["conv_1", "conv_5"],
        "seeds": 1,
        "betas": [-1.0, 2.0],
        "variant": "released",
    }
    made = [s for grid in grids_of("ch05_anti_transfer", "full", ["emodb"], [], ["vgg16_pool"], [], [*asked, "methods=at"]) for s in grid]
    losses = {(s.anti_transfer.taps, s.anti_transfer.beta, s.seed, s.model.variant) for s in made if s.anti_transfer}
    assert losses == {((tap,), beta, 0, "released") for tap in ("conv_1", "conv_5") for beta in (-1, 2)}
    quick = grids_of("ch05_anti_transfer", "quick", [], [], ["vgg16_pool"], [], ["methods=none", "noises=low"])
    assert [s.data.noise.corpus for grid in quick for s in grid] == ["synthetic_noises"]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["tap=conv_1"], "'tap=conv_1' is no choice of ch05_anti_transfer: write KEY=VALUE"),
        (["taps"], "'taps' is no choice"),
        (["corpus=emodb"], "is no choice"),  # an option of its own
        (["seeds=1", "seeds=2"], "seeds is chosen twice"),
        (["seeds=one"], "'seeds=one': Input should be a valid integer"),
        (["betas=1,x"], "'betas=1,x': Input should be a valid number"),
    ],
)
def test_a_choice_that_is_none_is_refused(given, says):
    with pytest.raises(SpecError, match=says):
        choices_of("ch05_anti_transfer", given)


def test_the_command_ends_with_one_where_a_run_failed(store, monkeypatch, roots):
    monkeypatch.setattr("sercore.commands.sweep.grids_of", lambda *_: [[spec(0, 2), spec(1, 2, fold=9)]])
    monkeypatch.setattr("sercore.commands.sweep.roots_of", lambda _: roots)
    done = CliRunner().invoke(app, ["sweep", "reslstm_sa", "--json"])
    assert done.exit_code == 1
    answer = json.loads(done.stdout)
    assert (answer["ran"], [failure["kind"] for failure in answer["failed"]]) == (1, ["data"])


def test_no_spec_is_changed_by_its_way_to_a_worker():
    for wanted in (spec(0, 2), child(0, spec(9, 2))):
        assert RunSpec.model_validate(wanted.canonical()) == wanted
