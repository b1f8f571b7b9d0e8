"""Sounds that are made, not recorded: what a novelty check must catch whatever it was trained on. Deterministic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

RATE_HZ = 48000
_SECONDS = 4.0
_CHORDS = ((0, 4, 7), (0, 3, 7), (-3, 0, 4), (-5, 0, 5))  # semitones
#: What each kind is, for a reader.
KINDS = {
    "silence": "digital silence, and noise at -90 dBFS",
    "noise": "white and pink noise at -26 dBFS",
    "music-like noise": "chords of seven harmonics that change twice a second, with noise",
}


def silence(seconds: float = _SECONDS) -> np.ndarray:
    """Zeros at RATE_HZ, shape (N,), full scale is 1."""
    return np.zeros(round(seconds * RATE_HZ), dtype=np.float32)


def noise(seed: int, level_dbfs: float = -26.0, pink: bool = False, seconds: float = _SECONDS) -> np.ndarray:
    """White or pink noise of a level (full scale is 1, 0 dBFS), shape (N,)."""
    n = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal(n))
    if pink:
        spectrum[1:] /= np.sqrt(np.arange(1, len(spectrum)))
    return _at_level(np.fft.irfft(spectrum, n), level_dbfs)


def music(seed: int, level_dbfs: float = -20.0, seconds: float = _SECONDS) -> np.ndarray:
    """Music-like noise: chords with harmonics that change twice a second, and a noise floor; shape (N,)."""
    rng, n = np.random.default_rng(seed), round(seconds * RATE_HZ)
    time = np.arange(n) / RATE_HZ
    root_hz = rng.uniform(110, 330)
    sound = np.zeros(n)
    for beat in range(int(np.ceil(seconds * 2))):
        part = slice(round(beat * RATE_HZ / 2), round((beat + 1) * RATE_HZ / 2))
        fade = np.exp(-3 * (time[part] - beat / 2))
        for tone in _CHORDS[rng.integers(len(_CHORDS))]:
            pitch_hz = root_hz * 2 ** (tone / 12)
            sound[part] += fade * sum(np.sin(2 * np.pi * pitch_hz * h * time[part]) / h for h in range(1, 8))
    return _at_level(sound + 0.05 * sound.std() * rng.standard_normal(n), level_dbfs)


def made(kind: str, number: int = 20) -> Iterator[np.ndarray]:
    """Waveforms of a kind (key of KINDS) at RATE_HZ, float32, shape (N,).

    Raises:
        KeyError: no such kind.
    """
    makers = {
        "silence": lambda k: silence() if k == 0 else noise(k, -90.0),
        "noise": lambda k: noise(k, pink=bool(k % 2)),
        "music-like noise": music,
    }
    yield from (makers[kind](k) for k in range(number))


def _at_level(sound: np.ndarray, level_dbfs: float) -> np.ndarray:
    return (sound * 10 ** (level_dbfs / 20) / np.sqrt(np.mean(sound**2))).astype(np.float32)
