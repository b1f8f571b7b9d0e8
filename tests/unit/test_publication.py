"""Which finished runs are published, and that an unfinished search leaves its runs out."""

from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

from sercore import anti_transfer_grid, anti_transfer_inside, publication, tune
from sercore.errors import SpecError, StoreError
from sercore.results import empty_results
from sercore.tune import study_name
from tests import anti_transfer_runs
from tests.mts_runs import tiny_runs


def promised(**choices):
    return publication.promised_specs("reslstm_sa", ["emodb"], **choices)


def test_a_grid_for_each_system_of_what_the_study_promises():
    grids = promised()
    assert [grid[0].model.name for grid in grids] == ["majority_class", "functionals_svm", "lstm_sa_h64", "reslstm_sa_h64"]
    assert {spec.protocol for grid in grids for spec in grid} == {"strict"}
    assert len(grids[-1]) == 25
    assert {spec.protocol for grid in promised(protocols=["paper"], systems=["reslstm_sa_h32"]) for spec in grid} == {"paper"}


def test_an_unknown_choice_names_it():
    with pytest.raises(SpecError, match="h63"):
        promised(systems=["reslstm_sa_h63"])
    with pytest.raises(SpecError, match="'papr'"):
        promised(protocols=["papr"])


@pytest.fixture
def searched(monkeypatch, tmp_path):
    """A store in which one of two searches is complete; every run of it is finished."""
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path / "results"))
    done = study_name(promised(systems=["reslstm_sa_h64"])[0][0])
    trials = pd.DataFrame({"study": done, "trial": range(tune.TRIALS), "state": "complete", "value": 0.5, "seconds": 1.0})
    trials = trials.assign(learning_rate=0.01, weight_decay=0.0, dropout=0.2, cosine_period_epochs=5, batch_size=16)
    monkeypatch.setattr(tune, "trial_table", lambda name: trials if name == done else trials.iloc[:0])
    called = SimpleNamespace(specs=[])

    def finished_runs(specs, roots):
        called.specs = list(specs)
        return [{"run_id": str(number)} for number in range(len(called.specs))]

    monkeypatch.setattr(publication, "finished_runs", finished_runs)
    monkeypatch.setattr(publication, "collect", lambda chapter, records, profile: empty_results())
    return called


def test_only_runs_whose_search_is_complete_are_published_with_its_trials(searched):
    results, left_out = publication.finished_results("reslstm_sa", promised(systems=["lstm_sa_h64", "reslstm_sa_h64"]))
    assert {spec.model.name for spec in searched.specs} == {"reslstm_sa_h64"}
    assert {spec.training.learning_rate for spec in searched.specs} == {0.01}
    assert len(left_out) == 1
    assert "lstm_sa_h64" in left_out[0]
    assert len(results.extras["trials"]) == tune.TRIALS


def test_trials_published_before_are_kept(searched, monkeypatch):
    before = pd.DataFrame({"study": ["other", study_name(promised(systems=["reslstm_sa_h64"])[0][0])], "trial": [0, 99]})
    monkeypatch.setattr(publication, "published_trials", lambda chapter: before)
    trials = publication.finished_results("reslstm_sa", promised(systems=["reslstm_sa_h64"]))[0].extras["trials"]
    assert len(trials) == tune.TRIALS + 1
    assert 99 not in set(trials["trial"])


def test_nothing_finished_is_an_error_that_says_what_is_missing(searched, monkeypatch):
    monkeypatch.setattr(publication, "finished_runs", lambda specs, roots: [])
    with pytest.raises(StoreError, match="no seed .* is finished in all folds.* 0 of 30 trials"):
        publication.finished_results("reslstm_sa", promised(systems=["lstm_sa_h64"]))


def test_what_is_seen_inside_the_networks_is_published_and_rows_of_other_groups_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path / "results"))
    with tiny_runs(tmp_path / "store") as tiny:
        made = publication._scales("ch04_multi_time_scale", tiny.results, {})
        assert set(made) == {"usage", "kernels", "tempo"}
        assert set(made["tempo"]["run_id"]) == {tiny.standard, tiny.scaled}
        assert set(made["usage"]["run_id"].dropna()) >= {tiny.scaled}
        published = {name: table.assign(group="another") for name, table in made.items()} | {"trials": pd.DataFrame()}
        old = replace(empty_results(), extras={name: pd.concat([table, made[name]]) for name, table in published.items() if name in made})
        monkeypatch.setattr(publication, "load_results", lambda chapter: old)
        again = publication._scales("ch04_multi_time_scale", tiny.results, {})
    for name, table in made.items():
        assert len(again[name]) == 2 * len(table)
        assert set(again[name]["group"]) == {"another", *table["group"]}


def test_read_outs_stay_where_fewer_networks_are_published_than_before(tmp_path, monkeypatch):
    with anti_transfer_runs.tiny_runs(tmp_path) as (_, results):
        monkeypatch.setattr(publication, "load_results", lambda chapter: empty_results())
        made = publication._probes("ch05_anti_transfer", results, {})["probes"]
        assert set(made["network"]) >= {"none", "wi", "at", "at_random"}
        before = made.assign(score=0.25)
        old = replace(empty_results(), extras={"probes": pd.concat([before, before.assign(corpus="another")], ignore_index=True)})
        monkeypatch.setattr(publication, "load_results", lambda chapter: old)
        few = results.of(settings=[s for s in results.groups["settings"] if "wi_" not in s and "random" not in s])
        kept = publication._probes("ch05_anti_transfer", few, {})["probes"]
        pd.testing.assert_frame_equal(kept.sort_values("corpus"), old.extras["probes"].sort_values("corpus"), check_index_type=False)
        again = publication._probes("ch05_anti_transfer", results, {})["probes"]
    pd.testing.assert_frame_equal(again[again["corpus"].ne("another")].reset_index(drop=True), made)
    assert again["corpus"].eq("another").sum() == len(before)


def test_read_outs_are_of_the_tap_that_was_fixed_beforehand():
    choices = {"systems": ["vgg16_pool"], "methods": ["none", "at"], "taps": ["conv_1", "conv_5", "conv_9"], "folds": 1, "seeds": 1}
    found = anti_transfer_inside.runs_of(anti_transfer_runs.planted(anti_transfer_grid.specs("emodb", "full", **choices), {}), "emodb")
    assert found["at"][1].anti_transfer.taps == (anti_transfer_grid.PROMISED_TAP,)
