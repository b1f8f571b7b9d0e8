"""MFCC and chroma frames against librosa's own one-call functions; the normaliser; the cache."""

import librosa
import numpy as np
import pytest
import scipy.signal

from sercore.data import corpora
from sercore.features import cache
from sercore.features.cepstral import frame_sizes, mfcc_chroma
from sercore.features.normaliser import Normaliser
from sercore.spec import FeatureSpec


def voice(seconds=1.0, rate=16000):
    time = np.arange(int(seconds * rate)) / rate
    rng = np.random.default_rng(0)
    return (0.2 * np.sin(2 * np.pi * (180 + 30 * time) * time) + 0.01 * rng.normal(size=len(time))).astype(np.float32)


@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_equals_the_one_call_functions(rate):
    samples = voice(1.3, rate)
    window, hop = frame_sizes(FeatureSpec(), rate)
    mfcc = librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=34, n_fft=window, hop_length=hop)
    chroma = librosa.feature.chroma_stft(y=samples, sr=rate, n_fft=window, hop_length=hop)
    found = mfcc_chroma(samples, rate)
    assert found.dtype == np.float32
    assert found.shape == (1 + len(samples) // hop, 46)
    np.testing.assert_allclose(found, np.concatenate([mfcc, chroma]).T, rtol=1e-5, atol=1e-4)


def test_window_is_the_released_one_at_48_khz_and_rounded_at_16():
    assert frame_sizes(FeatureSpec(), 48000) == (4096, 2048)
    assert frame_sizes(FeatureSpec(), 16000) == (1365, 683)


@pytest.mark.parametrize(("samples", "says"), [(np.zeros((2, 9)), "mono"), (np.zeros(0), "mono"), (np.array([0.0, np.nan]), "sample 1")])
def test_bad_waveforms_are_refused(samples, says):
    with pytest.raises(ValueError, match=says):
        mfcc_chroma(samples, 16000)


def test_normaliser_is_fitted_on_what_it_is_given_and_survives_a_constant():
    rng = np.random.default_rng(0)
    frames = [rng.normal(3, 2, (n, 4)) * [1, 1, 1, 0] for n in (5, 9, 40)]
    normaliser = Normaliser.fit(frames)
    stacked = np.concatenate(frames)
    np.testing.assert_allclose(normaliser.mean, stacked.mean(axis=0))
    np.testing.assert_allclose(normaliser.deviation[:3], stacked.std(axis=0)[:3])
    assert np.isfinite(np.concatenate(normaliser.apply(frames))).all()
    with pytest.raises(ValueError, match="no item"):
        Normaliser.fit([])


def test_interrupted_extraction_goes_on_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path))
    monkeypatch.setattr(cache, "SHARD_ITEMS", 4)
    corpus = corpora.load("synthetic")
    corpus = corpora.Corpus(corpus.name, None, corpus.items.head(10), corpus.card).with_audio_ids()
    computed = []

    def compute(corpus, item, spec):
        computed.append(item["item_id"])
        if len(computed) == 7:
            raise KeyboardInterrupt
        return np.full((3, 46), len(item["item_id"]), dtype=np.float32)

    monkeypatch.setattr(cache, "_frames", compute)
    with pytest.raises(KeyboardInterrupt):
        cache.corpus_features(corpus, FeatureSpec())
    found = cache.corpus_features(corpus, FeatureSpec())
    assert list(found) == corpus.items["item_id"].tolist()
    assert len(computed) == 7 + 6  # the shard of four that was whole is not computed again
    before = len(computed)
    cache.corpus_features(corpus, FeatureSpec())
    assert len(computed) == before
    cache.corpus_features(corpus, FeatureSpec(n_mfcc=20))
    assert len(computed) == before + 10


def test_stft_frames_go_through_the_same_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path))
    corpus = corpora.load("synthetic")
    corpus = corpora.Corpus(corpus.name, None, corpus.items.head(3), corpus.card).with_audio_ids()
    spec = FeatureSpec(kind="stft", window_ms=16, hop_ms=8)
    first, again = cache.corpus_features(corpus, spec), cache.corpus_features(corpus, spec)
    item = corpus.items.iloc[1]
    samples, rate = corpus.waveform(item)
    theirs = np.abs(scipy.signal.stft(samples, rate, "hamming", 256)[2]).T[:, :-1]
    np.testing.assert_allclose(again[item["item_id"]], theirs, atol=2e-6 * theirs.max())
    assert all(np.array_equal(first[i], again[i]) for i in first)
    assert len(list(tmp_path.glob("cache/features/synthetic-stft-*"))) == 1
