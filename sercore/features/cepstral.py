"""MFCC and chroma frames: the input of LSTM-SA and ResLSTM-SA."""

from __future__ import annotations

import librosa
import numpy as np

from sercore.spec import FeatureSpec

REVISION = 1
_DEFAULT = FeatureSpec()


def frame_sizes(spec: FeatureSpec, sample_rate_hz: int) -> tuple[int, int]:
    """Window and hop of a spec in samples, rounded to the nearest whole sample.

    Args:
        spec: windows in milliseconds.
        sample_rate_hz: in hertz.

    Returns:
        `(window, hop)` in samples.

    Example:
        >>> frame_sizes(FeatureSpec(), 48000), frame_sizes(FeatureSpec(), 16000)
        ((4096, 2048), (1365, 683))
    """
    return round(spec.window_ms * sample_rate_hz / 1000), round(spec.hop_ms * sample_rate_hz / 1000)


def mfcc_chroma(samples: np.ndarray, sample_rate_hz: int, spec: FeatureSpec = _DEFAULT) -> np.ndarray:
    """Mel-frequency cepstral coefficients and chroma of each frame, side by side.

        X = [x_1, ..., x_T]^T,  x_t in R^d,  d = 34 + 12 = 46      (ResLSTM-SA paper, Eq. 2, Sec. II)

    Cepstra: Hann window, power spectrum, 128 mel bands, decibels, orthonormal DCT-II. Chroma: power spectrum, each frame divided by
    its largest value, tuning estimated from the recording. Frames are centred; the ends are padded with zeros.

    Args:
        samples: mono waveform, shape (N,), float in [-1, 1], at its native rate.
        sample_rate_hz: in hertz.
        spec: window and hop in ms, numbers of coefficients.

    Returns:
        Shape (T, 46), float32, T = 1 + N // hop: cepstra (dB-like, unbounded) first, chroma (0 to 1) last.

    Raises:
        ValueError: the waveform is not mono, is empty, or holds a value that is not finite.

    Differs from the paper: nothing it states; it states no window. The released notebook's 4096 / 2048 samples at 48 kHz are the
    default, in ms so that they hold at any rate.

    Example:
        >>> mfcc_chroma(np.sin(np.arange(16000) / 10).astype("float32"), 16000).shape
        (24, 46)
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"need a mono waveform of shape (N,), got {samples.shape}")
    if not np.isfinite(samples).all():
        raise ValueError(f"sample {int(np.argmin(np.isfinite(samples)))} is not finite")
    window, hop = frame_sizes(spec, sample_rate_hz)
    spectrum = np.abs(librosa.stft(samples, n_fft=window, hop_length=hop)) ** 2  # (window // 2 + 1, T)
    # n_fft is given with S because librosa would otherwise take the next even size for an odd window
    mel = librosa.feature.melspectrogram(S=spectrum, sr=sample_rate_hz, n_fft=window, n_mels=spec.n_mels)
    parts = [librosa.feature.mfcc(S=librosa.power_to_db(mel), n_mfcc=spec.n_mfcc)]
    if spec.n_chroma:
        parts.append(librosa.feature.chroma_stft(S=spectrum, sr=sample_rate_hz, n_fft=window, hop_length=hop, n_chroma=spec.n_chroma))
    return np.ascontiguousarray(np.concatenate(parts).T, dtype=np.float32)  # (T, d)
