"""Speech and noise mixed at a given ratio of their powers: a pure function, the same for the same seed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sercore.errors import CorpusError


@dataclass(frozen=True)
class Mixture:
    """What `mix` made.

    Attributes:
        samples: speech plus noise, shape (N,), float32, in [-1, 1].
        speech, noise: the two parts of it, as they are in it; shape (N,), float32.
        noise_start: first sample of the noise that was taken.
        scale: what both parts were multiplied by so that the sum does not clip; 1 where it would not have.
    """

    samples: np.ndarray
    speech: np.ndarray
    noise: np.ndarray
    noise_start: int
    scale: float

    @property
    def clipped(self) -> bool:
        """The sum would have left [-1, 1], so both parts were made quieter."""
        return self.scale < 1

    @property
    def snr_db(self) -> float:
        """Signal-to-noise ratio of the two parts, measured."""
        return snr_db(self.speech, self.noise)


def snr_db(speech: np.ndarray, noise: np.ndarray) -> float:
    """Signal-to-noise ratio: 10 log10 of the power of the speech over that of the noise, each the mean of its squared samples.

    Args:
        speech, noise: samples, shape (N,), of the same length.

    Returns:
        Decibels; infinite where one of the two is silent.
    """
    with np.errstate(divide="ignore"):
        return float(10 * (np.log10(_power(speech)) - np.log10(_power(noise))))


def mix(speech: np.ndarray, noise: np.ndarray, snr_db: float, seed: int = 0) -> Mixture:
    """Speech with noise at a signal-to-noise ratio; the speech keeps its level unless the sum would clip.

        x = c (s + g n),  g = sqrt(P_s / P_n) 10^(-SNR / 20),  c = min(1, 1 / max |s + g n|)

    Noise that is longer than the speech is cut at a place drawn from the seed; noise that is shorter is repeated from such a place on. The
    power is that of the piece that is used, pauses included, so the ratio holds for the mixture as it is.

    Args:
        speech: samples s, shape (N,), in [-1, 1].
        noise: samples n, shape (M,), at the same sampling rate.
        snr_db: ratio in decibels; the anti-transfer paper has 20 to 40 ("low" noise) and 0 to 10 ("high").
        seed: of the place in the noise.

    Returns:
        The mixture with its parts; `Mixture.clipped` says whether both were made quieter. The ratio is exact to 0.01 dB.

    Raises:
        CorpusError: one of the two is empty, silent or not finite, or the ratio is not finite.
    """
    for name, samples in (("speech", speech), ("noise", noise)):
        if samples.ndim != 1 or len(samples) == 0:
            raise CorpusError(f"the {name} to be mixed has the shape {samples.shape}: give one channel that is not empty")
        if not np.isfinite(samples).all() or not samples.any():
            raise CorpusError(f"the {name} to be mixed is silent or not finite, so it has no level: leave it out")
    if not np.isfinite(snr_db):
        raise CorpusError(f"a signal-to-noise ratio of {snr_db} dB cannot be mixed: give a finite number")
    start = int(np.random.default_rng(seed).integers(max(1, len(noise) - len(speech) + 1) if len(noise) >= len(speech) else len(noise)))
    s, n = speech.astype(np.float64), np.resize(np.roll(noise, -start), len(speech)).astype(np.float64)
    if not n.any():
        raise CorpusError(f"the piece of noise from sample {start} on is silent: take another seed, or other noise")
    n *= np.sqrt(_power(s) / _power(n)) * 10 ** (-snr_db / 20)
    scale = min(1.0, 1.0 / float(np.abs(s + n).max()))
    parts = (scale * s).astype(np.float32), (scale * n).astype(np.float32)
    return Mixture(np.clip(parts[0] + parts[1], -1, 1), *parts, noise_start=start, scale=scale)


def _power(samples: np.ndarray) -> float:
    """Mean of the squared samples."""
    return float(np.mean(np.square(samples, dtype=np.float64)))
