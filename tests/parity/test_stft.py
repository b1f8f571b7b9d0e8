"""STFT magnitudes against SciPy, whose semantics they claim, on the embedded corpus' voice."""

import numpy as np
import pytest
import torch
from scipy import signal

from sercore.data import synthetic
from sercore.features.stft import stft_magnitude


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Two utterances, 1 s, float64, shape (2, 16000)."""
    table = synthetic.read()
    return np.stack([synthetic.waveform(table.iloc[i])[0][:16000].astype(np.float64) for i in (3, 250)])


def by_scipy(speech, window, hop):
    _, _, spectra = signal.stft(speech, window="hamming", nperseg=window, noverlap=window - hop)
    return np.abs(spectra).transpose(0, 2, 1)


# Tolerances: of the largest magnitude. float64 measured 1e-15, float32 3e-7.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize(
    ("window_ms", "hop_ms", "n"), [(16, 8, 16000), (16, 8, 15999), (16, 4, 10007), (25, 10, 12345), (15.9375, 7, 9000)]
)
def test_magnitudes_equal_scipy(speech, window_ms, hop_ms, n, dtype, tolerance):
    ours = stft_magnitude(torch.tensor(speech[:, :n], dtype=dtype), 16000, window_ms, hop_ms, drop_nyquist=False).numpy()
    theirs = by_scipy(speech[:, :n], round(window_ms * 16), round(hop_ms * 16))
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= tolerance * theirs.max()


@pytest.mark.parametrize(("seconds", "frames"), [(1, 126), (4, 501)])
def test_shapes_are_those_of_the_papers(seconds, frames):
    silence = torch.zeros(1, 16000 * seconds)
    assert stft_magnitude(silence, 16000, drop_nyquist=False).shape == (1, frames, 129)
    assert stft_magnitude(silence, 16000, frames=512).shape == (1, 512, 128)


def test_frames_are_added_as_zeros_after_the_last(speech):
    x = torch.tensor(speech)
    bare, padded = stft_magnitude(x, 16000), stft_magnitude(x, 16000, frames=512)
    assert torch.equal(padded[:, :126], bare)
    assert not padded[:, 126:].any()


def test_a_sine_of_amplitude_one_has_half_at_its_bin():
    sine = torch.sin(2 * torch.pi * 1000 * torch.arange(16000, dtype=torch.float64) / 16000)[None]
    assert float(stft_magnitude(sine, 16000)[0, 60].max()) == pytest.approx(0.5, rel=1e-6)
    assert int(stft_magnitude(sine, 16000)[0, 60].argmax()) == 16


def test_windows_in_milliseconds_hold_at_another_rate(speech):
    assert stft_magnitude(torch.tensor(speech), 48000).shape == (2, 1 + -(-16000 // 384), 384)


def test_a_batch_is_its_waveforms_one_by_one(speech):
    x = torch.tensor(speech)
    assert torch.equal(stft_magnitude(x, 16000), torch.cat([stft_magnitude(row[None], 16000) for row in x]))


def test_the_gradient_reaches_the_waveform(speech):
    x = torch.tensor(speech, requires_grad=True)
    stft_magnitude(x, 16000).sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())


@pytest.mark.parametrize("fault", ["symmetric_window", "no_boundary", "hann", "unscaled"])
def test_another_window_boundary_or_scale_is_caught(speech, fault):
    """Planted faults that all give plausible magnitudes of (nearly) the same shape."""
    x, n = torch.tensor(speech), 256
    window = {"symmetric_window": torch.hamming_window(n, periodic=False), "hann": torch.hann_window(n)}.get(fault, torch.hamming_window(n))
    window = window.double()
    wrong = torch.stft(x, n, 128, n, window, center=fault != "no_boundary", pad_mode="constant", return_complex=True).abs().transpose(1, 2)
    wrong = (wrong if fault == "unscaled" else wrong / window.sum()).numpy()
    theirs = by_scipy(speech, n, 128)
    assert wrong.shape != theirs.shape or np.abs(wrong - theirs).max() > 1e-4 * theirs.max()


@pytest.mark.parametrize(
    ("waveforms", "options", "says"),
    [
        (torch.zeros(16000), {}, "shape"),
        (torch.zeros(1, 0), {}, "shape"),
        (torch.zeros(1, 9, dtype=torch.int16), {}, "floating"),
        (torch.zeros(1, 99), {"hop_ms": 0.01}, "hop of 0"),
        (torch.zeros(1, 99), {"hop_ms": 17}, "at most the window"),
        (torch.zeros(1, 99999), {"frames": 512}, "cut the waveforms to 65408"),
    ],
)
def test_refuses(waveforms, options, says):
    with pytest.raises(ValueError, match=says):
        stft_magnitude(waveforms, 16000, **options)
