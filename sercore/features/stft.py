"""STFT magnitudes: the input of the multi-time-scale, anti-transfer, RH-emo and quaternion systems."""

from __future__ import annotations

import torch
from torch.nn.functional import pad

REVISION = 2
#: Input of multi-time-scale convolution as the authors' code computes it: 1024 / 512 samples at 16 kHz, power law of 2/3. Settings of
#: `hann_magnitude`, whose defaults are those of the text (thesis ch. 4).
MTS_RELEASED = {"window_ms": 64.0, "hop_ms": 32.0, "power": 2 / 3}


def stft_magnitude(
    waveforms: torch.Tensor,
    sample_rate_hz: int,
    window_ms: float = 16.0,
    hop_ms: float = 8.0,
    *,
    frames: int | None = None,
    drop_nyquist: bool = True,
) -> torch.Tensor:
    """Magnitudes of short spectra, scaled so that a sine of amplitude A has A / 2 at its bin: SciPy's "spectrum" scaling.

        X(t, f) = | sum_n w(n) x(n + t hop - window / 2) exp(-2 pi i f n / window) | / sum_n w(n)

    Hamming window (periodic), half a window of zeros before and after, zeros at the tail until the hops fit: `scipy.signal.stft` with its
    defaults, magnitude taken. No logarithm, no compression; it is the caller who divides by statistics of the training fold. Runs on the
    device and in the precision of `waveforms`, differentiable.

    Symbols: w = Hamming window; x = waveform; t = frame; f = bin.

    Args:
        waveforms: shape (B, N), float32 or float64, all of one length, in [-1, 1].
        sample_rate_hz: in hertz; with it the milliseconds become samples, rounded to the nearest whole one.
        window_ms: length of the window and of the transform, 16 ms (256 samples at 16 kHz).
        hop_ms: from frame to frame, 8 ms (128 samples at 16 kHz).
        frames: zeros are added after the last frame up to this number; None adds none. The papers' networks take 512.
        drop_nyquist: leave out the last bin of an even window (an odd window has no such bin), as the papers' networks do.

    Returns:
        Shape (B, T, F), >= 0. T = 1 + ceil(N / hop) for an even window, or `frames`; F = window / 2, one more with the Nyquist bin.
        4 s at 16 kHz: (B, 501, 128), or (B, 512, 128) with frames=512.

    Raises:
        ValueError: not (B, N) with a sample in it, not a floating type, a window or hop below one sample, a hop beyond the window,
            or more frames than `frames`.

    Differs from the paper: nothing in the values. The anti-transfer, RH-emo and quaternion papers state 16 ms and 50 % overlap; window
    shape, boundaries and scaling are those of the authors' code, which calls SciPy.

    Example:
        >>> stft_magnitude(torch.ones(2, 64000), 16000, frames=512).shape
        torch.Size([2, 512, 128])
    """
    window, hop = _sizes(waveforms, sample_rate_hz, window_ms, hop_ms)
    shape = torch.hamming_window(window, periodic=True, dtype=waveforms.dtype, device=waveforms.device)

    edge = window // 2
    tail = -(waveforms.shape[1] + 2 * edge - window) % hop
    padded = pad(waveforms, (edge, edge + tail))
    spectra = torch.stft(padded, window, hop, window, shape, center=False, return_complex=True)  # (B, F, T)
    magnitudes = _magnitude(spectra).transpose(1, 2) / shape.sum()
    if drop_nyquist and window % 2 == 0:
        magnitudes = magnitudes[..., :-1]
    if frames is None:
        return magnitudes
    if magnitudes.shape[1] > frames:
        raise ValueError(f"{magnitudes.shape[1]} frames do not fit into {frames}: cut the waveforms to {(frames - 1) * hop} samples first")
    return pad(magnitudes, (0, 0, 0, frames - magnitudes.shape[1]))


def hann_magnitude(
    waveforms: torch.Tensor, sample_rate_hz: int, window_ms: float = 20.0, hop_ms: float = 10.0, *, power: float = 1.0
) -> torch.Tensor:
    """Magnitudes of short spectra raised to a power: `numpy.abs(librosa.stft(...)) ** power`, a batch at a time.

        X(t, f) = | sum_n w(n) x(n + t hop - window / 2) exp(-2 pi i f n / window) | ** power

    Hann window (periodic), half a window of zeros before and after, no scaling, the samples after the last whole hop left out: librosa's
    defaults. The defaults are the thesis' input of multi-time-scale convolution (ch. 4: windows of 20 ms every 10 ms).

    Symbols: w = Hann window; x = waveform; t = frame; f = bin.

    Args:
        waveforms: shape (B, N), float32 or float64, all of one length, in [-1, 1].
        sample_rate_hz: in hertz; with it the milliseconds become samples, rounded to the nearest whole one.
        window_ms: length of the window and of the transform.
        hop_ms: from frame to frame.
        power: 1 magnitude, 2 power.

    Returns:
        Shape (B, T, F), >= 0; T = 1 + N // hop, one less where an odd window and a whole number of hops meet; F = window // 2 + 1.

    Raises:
        ValueError: not (B, N) with a sample in it, not a floating type, or a window or hop below one sample, or a hop beyond the window.

    Differs from the paper: nothing in window and hop; the thesis names no window shape and no compression. The released code's are
    `MTS_RELEASED`.

    Example:
        >>> hann_magnitude(torch.ones(2, 64000), 16000).shape
        torch.Size([2, 401, 161])
    """
    window, hop = _sizes(waveforms, sample_rate_hz, window_ms, hop_ms)
    shape = torch.hann_window(window, periodic=True, dtype=waveforms.dtype, device=waveforms.device)
    padded = pad(waveforms, (window // 2, window // 2))
    spectra = torch.stft(padded, window, hop, window, shape, center=False, return_complex=True).transpose(1, 2)  # (B, T, F)
    magnitudes = _magnitude(spectra)
    return magnitudes if power == 1 else magnitudes**power


def _magnitude(spectra: torch.Tensor) -> torch.Tensor:
    """|X|, any shape. torch's complex abs takes several times as long as the rest of a short transform, but has a gradient at 0."""
    if spectra.requires_grad:
        return spectra.abs()
    return spectra.real.square().add_(spectra.imag.square()).sqrt_()


def _sizes(waveforms: torch.Tensor, sample_rate_hz: int, window_ms: float, hop_ms: float) -> tuple[int, int]:
    """Window and hop in samples, once the waveforms are seen to be a batch."""
    if waveforms.ndim != 2 or waveforms.numel() == 0 or not waveforms.is_floating_point():
        raise ValueError(f"need waveforms of shape (B, N) in a floating type, got {tuple(waveforms.shape)} {waveforms.dtype}")
    window, hop = round(window_ms * sample_rate_hz / 1000), round(hop_ms * sample_rate_hz / 1000)
    if not 1 <= hop <= window:
        raise ValueError(f"a window of {window} and a hop of {hop} samples: both must be at least 1, and the hop at most the window")
    return window, hop
