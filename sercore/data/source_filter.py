"""Source and filter: glottal pulses, the vocal tract, consonant noise and room noise, as short spectra of 20 ms every 10 ms.

The filters change from frame to frame: each frame of the source is multiplied by its own response and the frames are added up again;
the FFT is 44 ms longer than the window, and in that time the resonances ring out. The formants stand in cascade, as in Klatt (1980),
*Software for a cascade/parallel formant synthesizer*. All sums are made in double precision in a fixed order, without a BLAS call.

Axes: T frames, F = 513 bins from 0 to 8 kHz, N samples.
"""

import numpy as np
from numpy.typing import NDArray

from sercore.data.draws import bell, uniform

Floats = NDArray[np.float64]
Spectra = NDArray[np.complex128]

SAMPLE_RATE_HZ = 16_000
HOP_SAMPLES, WINDOW_SAMPLES, FFT_SAMPLES = 160, 320, 1024
REFERENCE_TRACT_CM = 17.5
FORMANT_WIDTHS_HZ = (70.0, 90.0, 130.0)
UPPER_FORMANTS_HZ = {3500.0: 200.0, 4500.0: 280.0, 5500.0: 400.0, 6500.0: 500.0}  # the same in every sound: frequency -> bandwidth

_BINS_HZ = np.arange(FFT_SAMPLES // 2 + 1) * (SAMPLE_RATE_HZ / FFT_SAMPLES)
_Z1 = np.exp(-2j * np.pi * _BINS_HZ / SAMPLE_RATE_HZ)
_Z2 = _Z1 * _Z1
_WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / WINDOW_SAMPLES)  # overlapping halves add up to 1


def frame_times(n_samples: int) -> Floats:
    """Middles of the frames of `spectra`, s, shape (T,): every 10 ms from 0 to the end of the sound."""
    return np.arange(_n_frames(n_samples), dtype=np.float64) * (HOP_SAMPLES / SAMPLE_RATE_HZ)


def pulses(pitch_hz: Floats, jitter: float, key: tuple[object, ...]) -> Floats:
    """One impulse a glottal cycle, shared by the two nearest samples so that a time between samples is kept.

    Args:
        pitch_hz: fundamental frequency at every sample, shape (N,).
        jitter: standard deviation of a pulse's time, fraction of its period; its height varies by three times that.
        key: what the irregularity depends on.

    Returns:
        Shape (N,), about 1 at each pulse and 0 elsewhere.
    """
    cycles = np.cumsum(pitch_hz) / SAMPLE_RATE_HZ
    n = max(int(cycles[-1]) - 1, 0)
    wanted = np.arange(1, n + 1) + jitter * bell(*key, "jitter", size=n)
    at = np.interp(wanted, cycles, np.arange(pitch_hz.size, dtype=np.float64))
    height = 1.0 + 3.0 * jitter * bell(*key, "shimmer", size=n)
    whole = np.minimum(at.astype(np.int64), pitch_hz.size - 2)
    sound = np.zeros(pitch_hz.size)
    np.add.at(sound, whole, height * (1 - (at - whole)))
    np.add.at(sound, whole + 1, height * (at - whole))
    return sound


def glottis(tilt_db: float) -> Spectra:
    """Spectrum of a glottal pulse with the radiation at the lips, about -6 dB an octave, shape (F,).

    Args:
        tilt_db: further slope above 500 Hz, dB an octave; above 0 is a brighter, tenser voice.
    """
    octaves = np.log2(np.maximum(_BINS_HZ, 500.0) / 500.0)
    return (1 - 0.98 * _Z1) / (1 - 0.95 * _Z1) ** 2 * 10 ** (tilt_db * octaves / 20)


def tract(formants_hz: Floats, tract_cm: float) -> Spectra:
    """Response of the vocal tract, frame by frame: seven formants in cascade, gain 1 at 0 Hz.

    Args:
        formants_hz: the first three formants, for a tract of 17.5 cm, shape (3, T).
        tract_cm: length of this tract; all formants scale with 17.5 / tract_cm.

    Returns:
        Shape (T, F).
    """
    scale = REFERENCE_TRACT_CM / tract_cm
    gain: Floats = np.ones((formants_hz.shape[1], 1))
    response: Spectra = np.ones((1, _Z1.size), dtype=np.complex128)
    for centre, width in UPPER_FORMANTS_HZ.items():
        a, b = _poles(np.array([min(centre * scale, 7600.0)]), width)
        gain, response = gain * (1 + a + b), response * (1 + a * _Z1 + b * _Z2)
    for centre, width in zip(formants_hz * scale, FORMANT_WIDTHS_HZ, strict=True):
        a, b = _poles(centre, width)
        gain, response = gain * (1 + a + b), response * (1 + a * _Z1 + b * _Z2)
    return np.asarray(gain / response, dtype=np.complex128)


def band(centre_hz: Floats, width_hz: Floats) -> Spectra:
    """A band of noise, frame by frame, gain about 1 at its centre: the noise of a consonant.

    Args:
        centre_hz: shape (T,).
        width_hz: bandwidth, shape (T,).

    Returns:
        Shape (T, F).
    """
    a, b = _poles(centre_hz, width_hz)
    return (1 - b) / 2 * (1 - _Z2) / (1 + a * _Z1 + b * _Z2)


def spectra(sound: Floats) -> Spectra:
    """Short spectra of a sound (N,): Hann window of 20 ms, frame t centred on sample 160 t. Shape (T, F)."""
    n_frames = _n_frames(sound.size)
    padded = np.zeros((n_frames + 1) * HOP_SAMPLES)
    padded[HOP_SAMPLES : HOP_SAMPLES + sound.size] = sound
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES]
    return np.fft.rfft(windows * _WINDOW, FFT_SAMPLES)


def overlap_add(frames: Spectra, n_samples: int) -> Floats:
    """Back from short spectra (T, F) to a sound (n_samples,): each frame rings on for the whole FFT length."""
    rings = np.fft.irfft(frames, FFT_SAMPLES)
    blocks = -(-FFT_SAMPLES // HOP_SAMPLES)
    rings = np.pad(rings, ((0, 0), (0, blocks * HOP_SAMPLES - FFT_SAMPLES))).reshape(len(rings), blocks, HOP_SAMPLES)
    total = np.zeros((len(rings) + blocks, HOP_SAMPLES))
    for block in range(blocks):
        total[block : block + len(rings)] += rings[:, block]
    return total.ravel()[HOP_SAMPLES : HOP_SAMPLES + n_samples]


def background(kind: str, n_samples: int, key: tuple[object, ...] = ()) -> Floats:
    """Noise of a room.

    Args:
        kind: "white"; "pink" (3 dB less an octave); or "hum" (50 Hz with six harmonics, and a little white noise).
        n_samples: length at 16 kHz.
        key: what the noise depends on.

    Returns:
        Shape (n_samples,), root mean square 1.

    Raises:
        ValueError: an unknown kind.
    """
    white = (uniform(*key, "background", size=n_samples) - 0.5) * 12**0.5
    if kind == "white":
        noise = white
    elif kind == "pink":
        bins_hz = np.maximum(np.fft.rfftfreq(n_samples, 1 / SAMPLE_RATE_HZ), 30.0)
        noise = np.fft.irfft(np.fft.rfft(white) / np.sqrt(bins_hz), n_samples)
    elif kind == "hum":
        turns = np.arange(n_samples) * (50.0 / SAMPLE_RATE_HZ)
        starts = uniform(*key, "hum", size=7)
        noise = 0.1 * white
        for harmonic, start in enumerate(starts, start=1):
            noise = noise + np.sin(2 * np.pi * (harmonic * turns + start)) / harmonic
    else:
        raise ValueError(f'unknown background {kind!r}: choose "white", "pink" or "hum"')
    return noise / root_mean_square(noise)


def root_mean_square(sound: Floats) -> float:
    """Level of a sound (N,), not weighted."""
    return float(np.sqrt(np.mean(sound * sound)))


def _n_frames(n_samples: int) -> int:
    return -(-n_samples // HOP_SAMPLES) + 1


def _poles(centre_hz: Floats, width_hz: Floats | float) -> tuple[Floats, Floats]:
    """Coefficients of 1 + a z^-1 + b z^-2, which has its zeros at a frequency with a bandwidth, shape (T, 1) each."""
    radius = np.exp(-np.pi * np.broadcast_to(width_hz, centre_hz.shape) / SAMPLE_RATE_HZ)
    angle = 2 * np.pi * centre_hz / SAMPLE_RATE_HZ
    return (-2 * radius * np.cos(angle))[:, None], (radius * radius)[:, None]
