"""MFCC and chroma of many recordings at once, against the reference one by one: tolerance `cepstral_batch.TOLERANCE`."""

import librosa
import numpy as np
import pytest

from sercore.data import synthetic
from sercore.features import cepstral_batch
from sercore.features.cepstral import mfcc_chroma
from sercore.features.cepstral_batch import TOLERANCE, mfcc_chroma_batch
from sercore.spec import FeatureSpec


@pytest.fixture(scope="module")
def speech() -> list[np.ndarray]:
    """Nine utterances of unequal length."""
    table = synthetic.read()
    return [synthetic.waveform(table.iloc[i])[0] for i in range(3, 440, 50)]


def differences(ours, theirs, n_mfcc=34):
    """Largest difference of a cepstrum and of a chroma value."""
    assert [a.shape for a in ours] == [b.shape for b in theirs]
    gaps = [np.abs(a - b) for a, b in zip(ours, theirs, strict=True)]
    return max(g[:, :n_mfcc].max() for g in gaps), max(g[:, n_mfcc:].max() for g in gaps)


def close(ours, theirs, n_mfcc=34):
    mfcc, chroma = differences(ours, theirs, n_mfcc)
    return mfcc <= TOLERANCE["mfcc"] and chroma <= TOLERANCE["chroma"]


# the rate is only said: at 48 kHz the same samples are three times as high, which is another tuning and another mel bank
@pytest.mark.parametrize("rate", [16000, 22050, 48000])
def test_equals_the_reference(speech, rate):
    assert close(mfcc_chroma_batch(speech, rate), [mfcc_chroma(x, rate) for x in speech])


@pytest.mark.parametrize(
    "spec", [FeatureSpec(window_ms=64, hop_ms=32), FeatureSpec(window_ms=25, hop_ms=10, n_mfcc=20, n_mels=40, n_chroma=24)]
)
def test_equals_the_reference_with_other_settings(speech, spec):
    assert close(mfcc_chroma_batch(speech[:3], 16000, spec), [mfcc_chroma(x, 16000, spec) for x in speech[:3]], spec.n_mfcc)


def test_without_chroma(speech):
    spec = FeatureSpec(n_chroma=0)
    (ours,), theirs = mfcc_chroma_batch(speech[:1], 16000, spec), mfcc_chroma(speech[0], 16000, spec)
    np.testing.assert_allclose(ours, theirs, atol=TOLERANCE["mfcc"])


@pytest.mark.parametrize("batch", [1, 2, 100])
def test_neighbours_change_nothing(speech, batch):
    mfcc, chroma = differences(mfcc_chroma_batch(speech, 16000, batch=batch), mfcc_chroma_batch(speech, 16000, batch=4))
    assert mfcc <= 2e-3
    assert chroma <= 1e-5


@pytest.mark.filterwarnings("ignore:n_fft=1365 is too large")
@pytest.mark.parametrize("length", [683, 6830, 6831, 7512, 7513])
def test_the_last_frame_of_an_odd_window_beside_a_longer_recording(speech, length):
    """1365 and 683 samples at 16 kHz: a whole number of hops has one frame less than an even window would give."""
    ours = mfcc_chroma_batch([speech[0][:length], speech[1]], 16000)
    assert close(ours[:1], [mfcc_chroma(speech[0][:length], 16000)])


def test_silence_and_a_short_tone_are_as_in_the_reference():
    """(Of a click alone no tuning can be told: every bin is alike, and rounding would choose.)"""
    silence, tone = np.zeros((2, 16000), dtype=np.float32)
    tone[6000:9000] = 0.3 * np.sin(np.arange(3000) / 10)
    with pytest.warns(UserWarning, match="empty frequency set"):  # librosa's own word on silence
        theirs = [mfcc_chroma(x, 16000) for x in (silence, tone)]
    assert close(mfcc_chroma_batch([silence, tone], 16000), theirs)


def test_tuning_is_that_of_librosa_for_each_recording(speech):
    theirs = [
        librosa.estimate_tuning(S=np.abs(librosa.stft(x, n_fft=1024, hop_length=512)) ** 2, sr=16000, bins_per_octave=12) for x in speech
    ]
    power = cepstral_batch._PowerSpectra(1024, 512, 9, max(map(len, speech)))(speech)
    assert cepstral_batch._tunings(power, 16000, 12) == pytest.approx(theirs, abs=1e-9)
    assert len(set(theirs)) > 1


def test_a_fixed_tuning_is_librosas_with_that_tuning_and_another_feature(speech):
    fixed = mfcc_chroma_batch(speech[:2], 16000, tuning=0.0)
    for x, ours in zip(speech[:2], fixed, strict=True):
        spectrum = np.abs(librosa.stft(x, n_fft=1365, hop_length=683)) ** 2
        theirs = librosa.feature.chroma_stft(S=spectrum, sr=16000, n_fft=1365, hop_length=683, tuning=0.0).T
        np.testing.assert_allclose(ours[:, 34:], theirs, atol=TOLERANCE["chroma"])
    assert differences(fixed, [mfcc_chroma(x, 16000) for x in speech[:2]])[1] > 0.02


@pytest.mark.parametrize("fault", ["fixed_tuning", "no_range", "bands", "edges", "order"])
def test_a_slip_in_the_batch_is_caught(speech, fault, monkeypatch):
    """Planted faults of the kind that a batched form invites."""
    theirs = [mfcc_chroma(x, 16000) for x in speech]
    if fault == "fixed_tuning":
        monkeypatch.setattr(cepstral_batch, "_tunings", lambda power, rate, n: [0.0] * len(power))
    if fault == "no_range":
        monkeypatch.setattr(cepstral_batch, "_RANGE_DB", 1e3)
    if fault == "bands":
        cut = [(low, high - 1, bank[:-1]) for low, high, bank in cepstral_batch._mel_bank(16000, 1365, 128)]
        monkeypatch.setattr(cepstral_batch, "_mel_bank", lambda *_: cut)
    if fault == "edges":
        whole = cepstral_batch._PowerSpectra.__call__
        monkeypatch.setattr(cepstral_batch._PowerSpectra, "__call__", lambda self, w: whole(self, [np.roll(x, 300) for x in w]))
    ours = mfcc_chroma_batch(speech, 16000)
    if fault == "order":
        ours = [ours[1], ours[0], *ours[2:]]
        theirs = [t[: min(len(t), len(o))] for t, o in zip(theirs, ours, strict=True)]
        ours = [o[: len(t)] for t, o in zip(theirs, ours, strict=True)]
    assert not close(ours, theirs)


def test_refuses_what_is_no_recording_and_says_which():
    good = np.ones(9, dtype=np.float32)
    for bad, says in ((np.zeros((2, 9)), "mono"), (np.zeros(0), "mono"), (np.array([0.0, np.nan]), "sample 1")):
        with pytest.raises(ValueError, match=f"waveform 1: .*{says}"):
            mfcc_chroma_batch([good, bad], 16000)
    assert mfcc_chroma_batch([], 16000) == []
