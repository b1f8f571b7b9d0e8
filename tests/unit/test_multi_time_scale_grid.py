"""The grid of thesis chapter 4: equal budgets, the thesis' input, every network, and a run from recordings to a score."""

import numpy as np
import pytest

from sercore import experiment, grids, multi_time_scale_grid, prepare, publication, signals, tune
from sercore.errors import SpecError
from sercore.features import cache
from sercore.layers.kernel_scales import SCALE_SETS
from sercore.models import SPECTROGRAM
from sercore.store import RunStore

specs = multi_time_scale_grid.specs


def test_promised_runs_are_paired_and_searched_with_equal_budgets():
    for corpus, n_folds in (("emodb", 5), ("fsdd", 6)):
        found = specs(corpus, "full")
        networks = [s for s in found if s.model.name in SPECTROGRAM]
        cells = {name: {(s.split.fold, s.seed) for s in networks if s.model.name == name} for name in ("a1", "mts_a1")}
        assert cells["a1"] == cells["mts_a1"]
        assert len(cells["a1"]) == n_folds * 5
        assert {s.leaks for s in found} == {()}
        assert all(tune.search_of(s) is tune.SPECTROGRAM_SEARCH for s in networks)
        assert len({tune.study_name(s) for s in networks}) == 2
        assert {s.model.scales.time_factors for s in networks if s.model.scales} == {(0.7, 1.0, 1.428)}
        assert {s.model.kernel for s in networks} == {(5, 5) if corpus == "fsdd" else None}
        assert {s.data.task for s in found} == {"word" if corpus == "fsdd" else "emotion"}


def test_all_networks_and_all_sets_make_the_whole_grid():
    found = specs("emodb", "full", systems=["all"], scale_sets=multi_time_scale_grid.scale_set("all"), folds=1, seeds=1)
    groups = {s.group for s in found}
    assert len(groups) == len(found) == 2 + 5 + 5 * len(SCALE_SETS)


def test_every_set_of_scales_has_a_search_and_rows_of_its_own():
    sets = multi_time_scale_grid.scale_set("0.7 1 1.428, 0.5 1 2")
    found = specs("emodb", "full", systems=["mts_a1"], scale_sets=sets, folds=1, seeds=1)
    assert len({s.group for s in found}) == len({tune.study_name(s) for s in found}) == 2


def test_windows_are_those_of_the_text_and_released_those_of_the_code():
    text, code = multi_time_scale_grid.features_of("emodb"), multi_time_scale_grid.features_of("emodb", "released")
    assert (text.window_ms, text.hop_ms, text.power) == (20, 10, 1)
    assert (code.window_ms, code.hop_ms, code.power) == (64, 32, pytest.approx(2 / 3))
    assert {text.normaliser, code.normaliser} == {"scalar"}


@pytest.mark.parametrize(
    ("changes", "says"),
    [({"systems": ["a9"]}, "unknown system a9"), ({"protocol": "loose"}, "protocol"), ({"profile": "half"}, "profile")],
)
def test_unknown_choices_are_named(changes, says):
    with pytest.raises(SpecError, match=says):
        specs("emodb", **{"profile": "quick", **changes})


def test_a_corpus_without_a_length_and_a_set_without_numbers_are_refused():
    with pytest.raises(SpecError, match="mesd is not in the grid"):
        specs("mesd", "quick")
    with pytest.raises(SpecError, match="factors apart by blanks"):
        multi_time_scale_grid.scale_set("0.7;1")


def test_a_recording_longer_than_the_input_is_an_error_that_names_it(monkeypatch):
    """Cutting it silently would test on less than was said."""
    monkeypatch.setitem(multi_time_scale_grid.LONGEST_S, "synthetic", 1.0)
    with pytest.raises(Exception, match=r"synthetic: s0\d/.*longer than pad_to_s 1"):
        experiment.run_one(specs("synthetic", "quick", systems=["a1"], folds=1)[0])


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """One fold of the quick grid, two epochs."""
    store = RunStore(tmp_path_factory.mktemp("store"))
    found = [s for s in specs("synthetic", "quick", folds=1, epochs=2) if s.model.name in SPECTROGRAM]
    return store, [experiment.run_one(s, store=store) for s in found]


def test_quick_runs_go_from_recordings_to_scores(tiny):
    _, records = tiny
    assert [r["spec"]["model"]["name"] for r in records] == ["a1", "mts_a1"]
    assert {tuple(r["input_shape"]) for r in records} == {(251, 161)}
    assert records[0]["parameters"] == records[1]["parameters"]  # the layer has no weight more than the plain one
    assert all(0 <= r["uar"] <= 1 and len(r["labels"]) == 7 for r in records)


def test_a_finished_network_is_read_back(tiny):
    store, records = tiny
    model, normaliser, record = signals.load_network(records[1]["run_id"], store)
    assert normaliser.mean.shape == (1,)
    assert sum(p.numel() for p in model.parameters()) == record["parameters"]


def test_the_search_tries_every_weight_once_and_its_choice_is_used(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path))
    spec = specs("synthetic", "quick", systems=["a1"], folds=1)[0]
    corpus = prepare.load_corpus("synthetic")
    trials = tune.tune(spec, corpus, epochs=1, folds=(0,))
    assert sorted(trials["weight_decay"]) == sorted(tune.L2_WEIGHTS)
    chosen = tune.best_parameters(trials, tune.study_name(spec))
    assert set(chosen) == {"weight_decay"}
    assert tune.with_parameters(spec, chosen).training.weight_decay == chosen["weight_decay"]
    assert tune.with_parameters(spec, chosen).training.batch_size == spec.training.batch_size


def test_promised_corpora_are_those_of_the_study():
    assert publication.promised_corpora("ch04_multi_time_scale") == ["emodb", "fsdd"]
    assert len(publication.promised_specs("ch04_multi_time_scale", ["emodb", "fsdd"])) == 8
    assert "ch04_multi_time_scale" in grids.GRIDS


def test_features_of_unlike_rates_are_brought_to_one():
    spec = multi_time_scale_grid.features_of("ravdess")
    tone = np.sin(2 * np.pi * 1000 * np.arange(48000) / 48000).astype(np.float32)
    frames = cache.frames_of(tone, 48000, spec)
    assert frames.shape == (541, 161)
    assert frames[20].argmax() == 20  # 1 kHz in bins of 50 Hz
    assert frames[200:].max() == 0  # silence to the end
