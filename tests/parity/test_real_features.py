"""Features of four real recordings against averages that SciPy and librosa gave (make_real_features.py), and facts of whole corpora."""

import hashlib
import json
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
import torch

from sercore.data.audio import decode, resample
from sercore.features import cepstral_batch
from sercore.features.cepstral import mfcc_chroma
from sercore.features.cepstral_batch import mfcc_chroma_batch
from sercore.features.segments import cut_forward, segment_magnitudes
from sercore.features.stft import MTS_RELEASED, hann_magnitude

STORED = json.loads(Path(__file__).with_name("real_features.json").read_text(encoding="utf-8"))
#: Of the largest average of a kind. Seven digits are stored; other processors' transforms differ in the last of single precision.
TOLERANCE = {"at_first_4_s": 2e-6, "mts": 2e-6, "mts_released": 2e-6, "mfcc_chroma": 2e-5}

pytestmark = pytest.mark.recordings


def recording(folder, name):
    path = next((p for p in (folder / f"{name}{ending}" for ending in (".wav", ".flac")) if p.exists()), None)
    if path is None:
        pytest.skip(f"{name} is not in the folder of real recordings")
    return decode(path)


def ours(kind, samples, rate):
    """(T, d), as the generator's array of that kind."""
    low = resample(samples, rate, 16000)
    if kind == "at_first_4_s":
        return segment_magnitudes(low, 16000)[0, :501]
    if kind == "mfcc_chroma":
        return mfcc_chroma(samples, rate)
    return hann_magnitude(torch.from_numpy(low)[None], 16000, **(MTS_RELEASED if kind == "mts_released" else {}))[0].numpy()


def gap(found, stored):
    """Largest difference of an average, as a share of the largest; infinite where the number of frames is another."""
    if len(found) != stored["frames"]:
        return np.inf
    means = np.array(stored["mean"])
    return np.abs(found.mean(axis=0, dtype=np.float64)[:: stored["every"]] - means).max() / np.abs(means).max()


@pytest.mark.parametrize("name", STORED)
def test_averages_are_those_of_scipy_and_librosa(corpora_root, name):
    samples, rate = recording(corpora_root, name)
    assert hashlib.sha256(np.rint(samples.astype(np.float64) * 2**15).astype("<i2").tobytes()).hexdigest() == STORED[name]["sha256"]
    for kind, tolerance in TOLERANCE.items():
        assert gap(ours(kind, samples, rate), STORED[name][kind]) <= tolerance, kind
    (batched,) = mfcc_chroma_batch([samples], rate)
    assert gap(batched, STORED[name]["mfcc_chroma"]) <= 1e-4


@pytest.mark.parametrize("fault", ["hann_for_hamming", "nyquist_for_zero", "no_power_law", "half_a_window_late", "another_take"])
def test_features_of_another_setting_are_caught(corpora_root, fault):
    names = list(STORED)
    samples, rate = recording(corpora_root, names[0])
    low = resample(samples, rate, 16000)
    first = cut_forward(low, 64000)[:1]
    by_hann = hann_magnitude(torch.from_numpy(first), 16000, 16, 8)[0].numpy() / 128
    wrong, stored = {
        "hann_for_hamming": lambda: (by_hann[:, :-1], names[0]),
        "nyquist_for_zero": lambda: (np.roll(ours("at_first_4_s", samples, rate), 1, axis=1), names[0]),
        "no_power_law": lambda: (hann_magnitude(torch.from_numpy(low)[None], 16000, 64, 32)[0].numpy(), names[0]),
        "half_a_window_late": lambda: (ours("mts", samples[3 * 160 :], rate), names[0]),
        "another_take": lambda: (ours("at_first_4_s", samples, rate), names[1]),
    }[fault]()
    kind = {"no_power_law": "mts_released", "half_a_window_late": "mts"}.get(fault, "at_first_4_s")
    assert gap(wrong, STORED[stored][kind]) > 100 * TOLERANCE[kind]


# Frames of the released networks' first linear layers: 165 x 513 for RAVDESS, 281 x 513 for EmoDB, padded to the longest recording.
@pytest.mark.parametrize(("corpus", "frames"), [("ravdess", 165), ("emodb", 281)])
def test_the_longest_recording_has_the_frames_of_the_released_networks(corpora_root, corpus, frames):
    files = sorted(p for p in (corpora_root / corpus).rglob("*") if p.suffix in (".flac", ".wav"))
    if len(files) not in (535, 1440):
        pytest.skip(f"{corpus} is not whole: {len(files)} recordings")
    longest = max(files, key=lambda p: soundfile.info(p).duration)
    samples = resample(*decode(longest), 16000)
    assert hann_magnitude(torch.from_numpy(samples)[None], 16000, **MTS_RELEASED).shape == (1, frames, 513)


def test_batched_frames_of_real_speech_equal_the_references(corpora_root):
    """Every 60th recording of RAVDESS, every 30th of EmoDB, tuning estimated from each: measured 1.4e-3 and 1.2e-6 over 40 of them."""
    for corpus, every in (("ravdess", 60), ("emodb", 30)):
        files = sorted(p for p in (corpora_root / corpus).rglob("*") if p.suffix in (".flac", ".wav"))[::every]
        decoded = [decode(path) for path in files]
        if not decoded:
            pytest.skip(f"no recordings of {corpus}")
        rate = decoded[0][1]
        batched = mfcc_chroma_batch([samples for samples, _ in decoded], rate)
        for path, found, (samples, _) in zip(files, batched, decoded, strict=True):
            reference = mfcc_chroma(samples, rate)
            np.testing.assert_allclose(found[:, :34], reference[:, :34], atol=0.02, err_msg=path.name)
            np.testing.assert_allclose(found[:, 34:], reference[:, 34:], atol=2e-3, err_msg=path.name)


def test_where_the_tuning_hangs_by_a_rounding_it_is_librosas_of_the_same_spectra(corpora_root):
    """A recording with two equally full cells: from librosa's own spectra, which differ in the last digit, comes another tuning."""
    samples, rate = recording(corpora_root, "ravdess/Actor_01/03-01-08-01-01-01-01")
    power = cepstral_batch._PowerSpectra(4096, 2048, 1, len(samples))([samples])
    theirs = librosa.estimate_tuning(S=np.ascontiguousarray(power[0].numpy().T), sr=rate, bins_per_octave=12)
    assert cepstral_batch._tunings(power, rate, 12) == [pytest.approx(theirs, abs=1e-9)]
    (batched,), reference = mfcc_chroma_batch([samples], rate), mfcc_chroma(samples, rate)
    np.testing.assert_allclose(batched[:, :34], reference[:, :34], atol=0.02)
