"""A recording from anywhere: read whole or in windows, at the sampling rate that a network was trained at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sercore.data.audio import decode
from sercore.errors import CorpusError

#: Endings that are looked for in a folder; a file that is named is tried whatever its ending.
ENDINGS = (".wav", ".flac", ".aif", ".aiff", ".ogg", ".opus", ".mp3", ".au", ".caf", ".w64")
#: Up to here a recording is held in memory; longer ones are read window by window.
HELD_S = 60.0
_MEND = "save it again as WAV or FLAC"


@dataclass(frozen=True)
class Recording:
    """A sound file and how long it is. Made by `opened`."""

    path: Path
    n_samples: int
    sample_rate_hz: int

    @property
    def duration_s(self) -> float:
        """In seconds."""
        return self.n_samples / self.sample_rate_hz

    @cached_property
    def _held(self) -> np.ndarray:
        return decode(self.path, mend=_MEND)[0]

    def samples(self, start_s: float = 0.0, end_s: float | None = None) -> np.ndarray:
        """Mono samples as they were recorded, float32, shape (N,).

        Args:
            start_s, end_s: in seconds; None reads to the end.

        Raises:
            CorpusError: the file is cut short or holds a sample that is not finite (names it).
        """
        start = round(start_s * self.sample_rate_hz)
        end = self.n_samples if end_s is None else min(round(end_s * self.sample_rate_hz), self.n_samples)
        if self.duration_s <= HELD_S:
            return self._held[start:end]
        return decode(self.path, start, end - start, _MEND)[0]


def opened(path: Path) -> Recording:
    """A recording, its head read.

    Raises:
        CorpusError: there is no such file, or it cannot be decoded, is empty or holds no sample (names it and the mend).
    """
    if not path.is_file():
        raise CorpusError(f"{path} is not there: check the name")
    if path.stat().st_size == 0:
        raise CorpusError(f"{path} is an empty file: {_MEND}")
    try:
        head = soundfile.info(path)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        raise CorpusError(f"{path} is not a sound file that can be read ({error}): {_MEND}") from error
    if head.frames == 0:
        raise CorpusError(f"{path} holds no sample: {_MEND}")
    return Recording(path, head.frames, head.samplerate)


def resampled(samples: np.ndarray, from_hz: int, to_hz: int) -> np.ndarray:
    """Samples at another rate (soxr, high quality), shape (N,), in [-1, 1].

    They are untouched where the rates are equal, so that corpus recordings stay as they are.
    """
    if from_hz == to_hz:
        return samples
    found = soxr.resample(samples, from_hz, to_hz, quality="HQ").astype(np.float32)
    return found if len(found) else np.zeros(1, dtype=np.float32)


def gather(paths: Iterable[Path]) -> list[Path]:
    """The files named, and the recordings in the folders named (with their sub-folders, sorted), each once.

    Raises:
        CorpusError: a folder holds no recording (names it), or a path is not there.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            found[path] = None
            continue
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in ENDINGS and p.is_file())
        if not inside:
            raise CorpusError(f"the folder {path} holds no recording ({', '.join(ENDINGS)}): name another one")
        found |= dict.fromkeys(inside)
    return list(found)


def windows(duration_s: float, window_s: float, hop_s: float) -> list[tuple[float, float]]:
    """Start and end of the windows that cover a recording; the last one ends with it. One window where it is shorter than that.

    Example:
        >>> windows(4.5, 3, 1)
        [(0.0, 3.0), (1.0, 4.0), (1.5, 4.5)]
    """
    if duration_s <= window_s:
        return [(0.0, duration_s)]
    starts = np.arange(0.0, duration_s - window_s + 1e-9, hop_s).tolist()
    if starts[-1] + window_s < duration_s - 1e-6:
        starts.append(duration_s - window_s)
    return [(start, start + window_s) for start in starts]
