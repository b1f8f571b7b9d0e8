"""Noise in every recording: none is on two sides, the ratio is the one asked for, all else stays what it was in the clean corpus."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sercore import pretraining
from sercore.data import noisy
from sercore.data.items import item_table
from sercore.data.noisy import RATIOS, deal, same_sides, with_noise
from sercore.data.splits import n_folds, split_plan
from sercore.errors import CorpusError, LeakError
from sercore.experiment import identify, run_one
from sercore.features.cache import corpus_features
from sercore.prepare import corpus_of
from sercore.run_graph import Graph
from sercore.signals import replay
from sercore.spec import LEAKS, DataSpec, NoiseSpec, SplitSpec
from sercore.store import RunStore
from tests.anti_transfer_runs import few_recordings, spec

LOW = NoiseSpec(corpus="synthetic_noises", lowest_snr_db=20, highest_snr_db=40)
HIGH = NoiseSpec(corpus="synthetic_noises", lowest_snr_db=0, highest_snr_db=10)


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    with few_recordings(tmp_path_factory.mktemp("noisy")) as found:
        yield found


def loud(level=HIGH, **changes):
    run = spec(**changes)
    return run.model_copy(update={"data": run.data.model_copy(update={"noise": level})})


@pytest.mark.parametrize("scheme", ["speakers_4", "leave_one_speaker_out", "random_5", "positional_files"])
def test_no_noise_is_on_two_sides_of_any_fold(corpora, scheme):
    items = corpora["synthetic"].items
    mixed = with_noise(corpora["synthetic"], corpora["synthetic_noises"], HIGH, scheme, "emotion", items).items.set_index("item_id")
    source = corpora["synthetic_noises"].items.set_index("item_id")["speaker"]
    for fold in range(n_folds(scheme, items)):
        plan = split_plan(items, SplitSpec(scheme=scheme, fold=fold), tuple(LEAKS))
        heard = [set(source[mixed.loc[list(ids), "added_noise"]]) for ids in plan.sides.values()]
        assert all(heard)
        assert sum(len(sources) for sources in heard) == len(set.union(*heard))


def test_takes_of_one_source_stay_together():
    takes = item_table(
        [{"item_id": f"n/{s}_{k}", "source_id": f"{s}{k}", "speaker": f"clip_{s}", "noise": "rain"} for s in "ab" for k in "12"]
    )
    takes = takes.assign(audio_id=takes["item_id"])
    dealt = deal([f"i{k}" for k in range(40)], {f"i{k}": "te"[k % 2] for k in range(40)}, takes, HIGH)
    side = dealt.assign(side=[k % 2 for k in range(40)]).groupby(dealt["added_noise"].str[:3])["side"].nunique()
    assert list(side) == [1, 1]
    assert dealt["added_noise"].nunique() == 4


def test_the_ratio_is_measured_and_all_levels_are_drawn(corpora):
    corpus = corpus_of(loud())
    for row in corpus.items.head(8).to_dict("records"):
        speech, rate = corpus.clean.waveform(row)
        mixture = corpus.mixture(row, speech, rate)
        samples, _ = corpus.waveform(row)
        noise = samples / mixture.scale - speech
        assert 10 * np.log10(np.mean(speech.astype(float) ** 2) / np.mean(noise.astype(float) ** 2)) == pytest.approx(
            row["added_snr_db"], abs=0.05
        )
    assert sorted(set(corpus.items["added_snr_db"])) == [0, 2.5, 5, 7.5, 10]
    assert len(set(corpus_of(loud(LOW)).items["added_snr_db"])) == RATIOS


def test_two_levels_hear_the_same_noises(corpora):
    high, low = corpus_of(loud(HIGH)).items, corpus_of(loud(LOW)).items
    assert list(high["added_noise"]) == list(low["added_noise"])
    assert ((low["added_snr_db"] - 20) / 20 - high["added_snr_db"] / 10).abs().max() < 1e-9


def test_what_is_known_of_the_recordings_stays_and_what_is_heard_changes(corpora):
    clean, mixed = corpora["synthetic"], corpus_of(loud())
    pd.testing.assert_frame_equal(mixed.items[list(clean.items.columns)], clean.items)
    loudest = [float(np.abs(clean.waveform(row)[0]).max()) for row in clean.items.to_dict("records")]
    assert mixed.peaks().tolist() == loudest  # asked before those of the clean corpus, which are remembered under the same audio ids
    assert mixed.with_audio_ids() is mixed
    one, other = (corpus_features(c, spec().features) for c in (clean, mixed))
    assert {one[i].shape == other[i].shape for i in one} == {True}
    assert min(float(np.abs(one[i] - other[i]).max()) for i in one) > 0


def test_the_fingerprint_is_of_the_mixtures(corpora):
    found = [c.fingerprint() for c in (corpora["synthetic"], corpus_of(loud()), corpus_of(loud(LOW)), corpus_of(loud(scheme="random_5")))]
    assert len(set(found)) == 4
    again = with_noise(corpora["synthetic"], corpora["synthetic_noises"], HIGH, "speakers_4", "emotion", corpora["synthetic"].items)
    assert again.fingerprint() == found[1]
    others = replace(corpora["synthetic_noises"], items=corpora["synthetic_noises"].items.assign(audio_id="other"))
    changed = with_noise(corpora["synthetic"], others, HIGH, "speakers_4", "emotion", corpora["synthetic"].items)
    assert changed.fingerprint() != found[1]
    cut = replace(corpora["synthetic_noises"], items=corpora["synthetic_noises"].items.assign(start_s=0.5, end_s=1.0))
    other_parts = with_noise(corpora["synthetic"], cut, HIGH, "speakers_4", "emotion", corpora["synthetic"].items)
    assert other_parts.fingerprint() != found[1]


def test_too_few_noises_are_refused_with_how_many_are_needed(corpora):
    few = replace(corpora["synthetic_noises"], items=corpora["synthetic_noises"].items.head(3))
    with pytest.raises(CorpusError, match="synthetic_noises has 3 sources of noise, and the split needs 4"):
        with_noise(corpora["synthetic"], few, HIGH, "speakers_4", "emotion", corpora["synthetic"].items)


class Rendered:
    """Noise of a corpus as given, at a rate."""

    def __init__(self, samples, rate, items):
        self.samples, self.rate, self.items = samples, rate, items

    def waveform(self, item):
        return self.samples, self.rate


def mixture_of(corpora, samples, rate=16000, speech=None):
    mixed = corpus_of(loud())
    corpus = replace(mixed, noises=Rendered(np.asarray(samples, np.float32), rate, mixed.noises.items))
    row = corpus.items.iloc[0].to_dict()
    return corpus.mixture(row, corpora["synthetic"].waveform(row)[0] if speech is None else speech, 16000)


def test_noise_of_another_rate_is_brought_to_that_of_the_speech(corpora):
    tone = np.sin(2 * np.pi * 500 * np.arange(44100) / 44100)
    spectrum = np.abs(np.fft.rfft(mixture_of(corpora, tone, 44100).noise))
    n = len(mixture_of(corpora, tone, 44100).noise)
    assert spectrum.argmax() * 16000 / n == pytest.approx(500, abs=16000 / n)


def test_zeros_that_fill_a_clip_up_are_not_taken_for_noise(corpora):
    bark = np.random.default_rng(0).normal(0, 0.1, 3000)
    for clip in (np.r_[bark, np.zeros(77000)], np.r_[bark, np.zeros(60000), bark]):
        mixture = mixture_of(corpora, clip)
        assert np.mean(mixture.noise == 0) < (0.05 if len(clip) == 80000 else 1)  # the first is repeated without its zeros
        assert mixture.snr_db == pytest.approx(corpus_of(loud()).items["added_snr_db"].iloc[0], abs=0.01)


def test_what_cannot_be_mixed_names_the_recording_and_the_noise(corpora):
    with pytest.raises(CorpusError, match=r"synthetic: s01/anger_01.wav with synthetic_noises/\w+: the speech to be mixed is silent"):
        mixture_of(corpora, np.ones(20000), speech=np.zeros(9000, np.float32))
    with pytest.raises(CorpusError, match="the noise to be mixed has the shape"):
        mixture_of(corpora, np.zeros(20000))


def test_a_run_learns_from_the_mixtures_and_can_be_replayed(corpora):
    clean, mixed = spec(), loud()
    assert mixed.settings == "w0.03125-noise_synthetic_noises_0to10dB"
    assert mixed.group != clean.group
    store = RunStore()
    record = run_one(mixed, store=store)
    assert record["data_fingerprint"] == corpus_of(mixed).fingerprint()
    assert identify(mixed, corpus_of(mixed)) == record["run_id"] != identify(clean, corpus_of(clean))
    assert len(replay(record["run_id"], store=store).predictions) == record["items"]["test"]
    graph = Graph.of([mixed], {}, store)
    assert set(graph.corpora) == {"synthetic", "synthetic_noises"}


def test_a_parent_that_has_heard_the_noises_of_the_test_side_is_found(corpora):
    noises = spec("synthetic_noises", "noise", "speakers_4")
    run = loud(fold=1, parents=(noises,), model={"initial_weights": "parent_features"})
    corpus = corpus_of(run)
    test = split_plan(corpus.items, run.split).test
    with pytest.raises(LeakError, match="the pre-training on noise of synthetic_noises .* test recordings"):
        pretraining.refuse_undeclared(run, corpus, test)
    declared = run.model_copy(update={"leaks": ("pretraining_overlap",)})
    (heard,) = pretraining.refuse_undeclared(declared, corpus, test)
    assert heard.speakers == ()
    assert 0 < len(heard.item_ids) <= len(test)
    clean = spec(parents=(noises,), model={"initial_weights": "parent_features"})
    assert pretraining.heard_before(clean, corpora["synthetic"], test) == []


def test_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(ValueError, match="lowest_snr_db 10 is above highest_snr_db 0"):
        NoiseSpec(corpus="esc10", lowest_snr_db=10, highest_snr_db=0)
    assert "noise" not in DataSpec(corpus="emodb").model_dump()
    assert NoiseSpec(corpus="esc10", lowest_snr_db=-5, highest_snr_db=-5).label == "noise_esc10_m5dB"


def test_items_on_no_side_are_dealt_too(corpora):
    items = corpora["synthetic"].items
    sides = same_sides(items.head(40), "random_5", "emotion")
    assert deal(items["item_id"], sides, corpora["synthetic_noises"].items, HIGH)["added_noise"].notna().all()
    assert (
        noisy.ADDED[0] in with_noise(corpora["synthetic"], corpora["synthetic_noises"], HIGH, "random_5", "emotion", items.head(40)).items
    )
