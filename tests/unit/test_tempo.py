"""Tempo of the test recordings changed: the factor does what it says, and the scores are those of the network on what was changed."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from sercore import signals, tempo, tempo_curves
from sercore.batching import predict_logits
from sercore.data import corpora, synthetic
from sercore.errors import SpecError
from sercore.features.cache import frames_of
from sercore.multi_time_scale_grid import features_of
from tests.mts_runs import tiny_runs

RATE = 16000


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    with tiny_runs(tmp_path_factory.mktemp("store")) as runs:
        yield runs


@pytest.fixture(scope="module")
def rows(tiny):
    return tempo.accuracy_by_tempo([tiny.standard, tiny.scaled], (0.5, 1.0), store=tiny.store)


def tone(seconds=1.0, hertz=440.0):
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def test_at_its_own_tempo_every_score_is_the_stored_one(tiny, rows):
    own = rows[rows["factor"] == 1]
    assert (own["same"] == own["n"]).all()
    assert own["change"].max() < 1e-6
    assert own["cosine"].min() > 1 - 1e-6
    for run_id, part in own.groupby("run_id"):
        stored = tiny.store.predictions(run_id)
        right = (stored["truth"] == stored["prediction"]).groupby(stored["speaker"]).sum()
        assert part.set_index("speaker")["correct"].to_dict() == right.to_dict()


def test_scores_are_of_the_recordings_rendered_at_that_tempo(tiny, rows):
    found = signals.replay(tiny.scaled, store=tiny.store)
    spec, items = tiny.store.spec(tiny.scaled), tiny.corpus.items.set_index("item_id", drop=False)
    longest = round(spec.features.pad_to_s * RATE)
    sounds = [synthetic.waveform({**items.loc[i].to_dict(), "tempo_factor": 0.5})[0] for i in found.predictions["item_id"]]
    frames = found.normaliser.apply([frames_of(s[:longest], RATE, spec.features) for s in sounds])
    answers = np.array(sorted(set(tiny.corpus.items["emotion"]), key=list(tiny.results.counts.columns).index))
    scores = predict_logits(found.model, frames)
    labels = np.array([c.removeprefix("score_") for c in found.predictions if c.startswith("score_")])
    assert set(labels) == set(answers)
    mine = rows[(rows["run_id"] == tiny.scaled) & (rows["factor"] == 0.5)]
    assert mine["correct"].sum() == (labels[scores.argmax(axis=1)] == found.predictions["truth"]).sum()
    assert mine["same"].sum() == (labels[scores.argmax(axis=1)] == found.predictions["prediction"]).sum()
    assert mine["cut"].sum() == sum(len(s) > longest for s in sounds) > 0
    assert mine["change"].min() > 1e-4
    assert mine["n"].sum() == len(found.predictions)


def test_the_order_of_stored_predictions_does_not_matter(tiny):
    found, spec = signals.replay(tiny.scaled, store=tiny.store), tiny.store.spec(tiny.scaled)
    items, shown = tempo._chosen(found.predictions, 1), SimpleNamespace(update=lambda: None)
    versions = {(tempo.TEMPO, 1.0): list(tempo._versions(tiny.corpus, items, tempo.TEMPO, 1.0, spec.features, shown))}
    turned = replace(found, predictions=found.predictions[::-1].reset_index(drop=True), frames=found.frames[::-1])
    rows = tempo._of_run(turned, spec, items, versions)
    assert all(row["same"] == row["n"] and row["change"] < 1e-6 for row in rows)
    assert [row["correct"] for row in rows] == [row["correct"] for row in tempo._of_run(found, spec, items, versions)]


def test_a_factor_changes_the_tempo_alone():
    row = synthetic.read(repetitions=1).iloc[0].to_dict()
    own, fast, slow = (synthetic.waveform({**row, "tempo_factor": f})[0] for f in (1.0, 1.25, 0.8))
    assert np.array_equal(own, synthetic.waveform(row)[0])
    assert len(fast) < len(own) < len(slow)
    named = {name: synthetic.waveform({**row, "tempo": name})[0] for name in synthetic.TEMPI}
    ratio = synthetic.TEMPI["fast"] / synthetic.TEMPI[row["tempo"]]
    assert np.array_equal(synthetic.waveform({**row, "tempo_factor": ratio})[0], named["fast"])


def test_a_stretched_tone_lasts_as_long_as_said_and_keeps_its_pitch():
    for factor in (0.8, 1.25):
        found = tempo.stretched(tone(), RATE, factor)
        assert len(found) == round(RATE / factor)
        spectrum = np.abs(np.fft.rfft(found * np.hanning(len(found))))
        assert spectrum.argmax() * RATE / len(found) == pytest.approx(440, abs=2)
    assert np.abs(tempo.stretched(tone(), RATE, 1.0) - tone())[500:-500].max() < 0.003


def test_recordings_are_stretched_and_round_trips_keep_their_length():
    corpus, features = SimpleNamespace(name="emodb", waveform=lambda row: (tone(2.0), RATE)), features_of("synthetic")
    sounding = {}
    for kind, factor in ((tempo.TEMPO, 0.8), (tempo.TEMPO, 1.25), (tempo.ROUND_TRIP, 0.8), (tempo.ROUND_TRIP, 1.25)):
        frames, cut = tempo._version(corpus, {}, kind, factor, features)
        assert not cut
        sounding[kind, factor] = int((frames.max(axis=1) > 1).sum()) / 100  # a frame every 10 ms
    assert sounding[tempo.TEMPO, 0.8] == pytest.approx(2.5, abs=0.05)
    assert sounding[tempo.TEMPO, 1.25] == pytest.approx(1.6, abs=0.05)
    assert sounding[tempo.ROUND_TRIP, 0.8] == pytest.approx(2.0, abs=0.05)
    assert sounding[tempo.ROUND_TRIP, 1.25] == pytest.approx(2.0, abs=0.05)
    assert tempo._version(corpus, {}, tempo.TEMPO, 0.7, features)[1]  # 2.86 s do not fit into 2.5


def test_a_real_recording_at_factor_one_is_almost_itself(corpora_root):
    if not (corpora_root / "emodb").is_dir():
        pytest.skip("no emodb/ below SERCORE_CORPORA")
    corpus = corpora.load("emodb", corpora_root / "emodb", check_counts=False)
    row, features = corpus.items.iloc[0].to_dict(), features_of("emodb")
    plain = frames_of(*corpus.waveform(row), features)
    frames, cut = tempo._version(corpus, row, tempo.TEMPO, 1.0, features)
    assert not cut
    assert np.abs(frames - plain).mean() < 0.02 * plain.mean()


def test_few_recordings_are_the_first_of_each_speaker_and_class(tiny):
    table = tiny.store.predictions(tiny.standard)
    twice = pd.concat([table, table.assign(item_id=table["item_id"] + "_b")])
    assert tempo._chosen(twice, 1) == tuple(sorted(table["item_id"]))
    assert len(tempo._chosen(twice, 0)) == len(twice)


def test_wrong_factors_and_mixed_corpora_are_refused(tiny, tmp_path):
    with pytest.raises(SpecError, match="above 0, got -1"):
        tempo.accuracy_by_tempo([tiny.standard], (1.0, -1.0), store=tiny.store)
    spec = tiny.store.spec(tiny.standard)
    other = spec.model_copy(update={"data": spec.data.model_copy(update={"corpus": "emodb"})})
    store = SimpleNamespace(spec={"a": spec, "b": other}.get)
    with pytest.raises(SpecError, match="emodb, synthetic"):
        tempo.accuracy_by_tempo(["a", "b"], store=store)


def test_the_table_of_a_chapter_has_all_its_networks(tiny):
    table = tempo.tempo_table(tiny.results, factors=(1.0,), store=tiny.store, per_class=1)
    assert list(table.columns) == tempo.COLUMNS
    assert set(table["run_id"]) == {tiny.standard, tiny.scaled}


def planted(gain=3, speakers=6, seeds=2):
    """Two networks; at factor 0.8 the multi-time-scale one keeps `gain` of 10 more right than the standard one."""
    found = []
    for system, settings in (("a1", ""), ("mts_a1", "0.7_1_1.428")):
        group = ".".join(p for p in ("synthetic", system, settings, "definition.strict.speakers_4") if p)
        for seed in range(seeds):
            for speaker in range(speakers):
                for factor in (0.8, 1.0):
                    right = 6 if factor == 1 else 3 + gain * (system == "mts_a1")
                    row = {"group": group, "system": system, "settings": settings, "run_id": f"{system}{seed}", "fold": 0, "seed": seed}
                    row |= {"speaker": str(speaker), "kind": tempo.TEMPO, "factor": factor, "n": 10, "correct": right, "same": right}
                    found.append(row | {"cut": int(factor < 1), "change": 0.1 * speaker, "cosine": 0.5})
    return pd.DataFrame(found, columns=tempo.COLUMNS)


def test_curves_say_what_was_planted():
    found = tempo_curves.curves(planted()).set_index(["system", "factor"])
    assert found["accuracy"].to_dict() == pytest.approx({("a1", 0.8): 0.3, ("a1", 1.0): 0.6, ("mts_a1", 0.8): 0.6, ("mts_a1", 1.0): 0.6})
    assert (found["low"] <= found["accuracy"]).all()
    assert (found["high"] >= found["accuracy"]).all()
    assert (found["low"] < found["high"]).all()
    one = found.loc[("a1", 0.8)]
    assert (one["cosine_low"], one["cosine_high"]) == (0.5, 0.5)
    assert one["change_low"] < 0.25 < one["change_high"]
    assert (one["recordings"], one["cut"], one["speakers"], one["seeds"]) == (60, 6, 6, 2)


def test_one_speaker_has_no_interval():
    found = tempo_curves.curves(planted(speakers=1))
    assert found["accuracy"].notna().all()
    assert found[["low", "high", "change_low"]].isna().all(axis=None)


def test_a_gain_at_one_tempo_is_found_there_and_nowhere_else():
    found = tempo_curves.against_standard(planted()).set_index(["quantity", "factor"])
    assert found["difference"]["accuracy"].to_dict() == pytest.approx({0.8: 0.3, 1.0: 0.0})
    assert found.loc[("accuracy", 0.8), "p"] == found.loc[("accuracy", 0.8), "p_min"] == pytest.approx(2 / 2**6)
    assert found.loc[("accuracy", 0.8), "p_holm"] == pytest.approx(2 * 2 / 2**6)
    assert found.loc[("accuracy", 1.0), "p"] == 1
    assert found["low"]["accuracy"][0.8] > 0


def test_a_seed_that_lacks_a_speaker_is_left_out():
    table = planted()
    whole = table[~(table["seed"].eq(1) & table["speaker"].eq("3"))]
    worse = whole.assign(correct=whole["correct"].where(whole["seed"].eq(0), 0))
    found = tempo_curves.curves(worse).set_index(["system", "factor"])
    assert found["accuracy"]["a1", 1.0] == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("group", "system", "settings", "standard"),
    [
        ("emodb.mts_a1.0.7_1_1.428.definition.strict.pairs_5", "mts_a1", "0.7_1_1.428", "emodb.a1.definition.strict.pairs_5"),
        ("fsdd.mts_a3.0.5_1_2-gain-k5x5.released.strict.word.x", "mts_a3", "0.5_1_2-gain-k5x5", "fsdd.a3.k5x5.released.strict.word.x"),
        ("emodb.a1.definition.strict.pairs_5", "a1", "", "emodb.a1.definition.strict.pairs_5"),
    ],
)
def test_the_standard_network_has_the_same_kernel_and_conditions(group, system, settings, standard):
    assert tempo_curves.standard_group(group, system, settings) == standard
