"""Decoding: one way from a file to mono samples, and the name of what was heard."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import soundfile
import soxr

from sercore.errors import CorpusError
from sercore.progress import bar
from sercore.writing import beside

#: Endings that readers take; the releases are WAV, FLAC holds the same samples.
AUDIO_ENDINGS = (".wav", ".flac")
#: libsndfile reads what is left of a WAV file whose end is missing and says so in its log only: "data : 96000 (should be 47978)".
_CUT_WAV = re.compile(r"^data : (\d+) \(should be (\d+)\)", re.MULTILINE)
#: What to do about a corpus file that cannot be read.
_MEND = "replace it with the file of the official release"


def decode(path: Path, start: int = 0, count: int = -1, mend: str = _MEND, channel: int | None = None) -> tuple[np.ndarray, int]:
    """Samples of a sound file, channels averaged unless one is named.

    Args:
        path: any file that libsndfile reads (WAV, FLAC, AIFF, ...; 8 to 32 bit, float).
        start: first sample to read.
        count: how many samples; -1 reads to the end.
        mend: said at the end of an error: what to do about a file that cannot be read.
        channel: the one to read, from 0, where averaging would blur (microphones apart); a file with one channel gives that.

    Returns:
        `(samples, sample_rate_hz)`: float32, shape (N,), nominally in [-1, 1].

    Raises:
        CorpusError: the file is missing, cannot be decoded, is cut short or empty, or holds a sample that is not finite (names the file).
    """
    try:
        with soundfile.SoundFile(path) as file:
            expected, rate = file.frames - start if count < 0 else count, file.samplerate
            file.seek(start)
            samples = file.read(count, dtype="float32", always_2d=True)
            cut = _CUT_WAV.search(file.extra_info)
    except (soundfile.LibsndfileError, OSError, RuntimeError) as error:
        if not path.exists():
            raise CorpusError(f"{path} is missing: {mend}") from error
        if path.is_file() and path.stat().st_size == 0:
            raise CorpusError(f"{path} is empty (0 bytes): {mend}") from error
        raise CorpusError(f"{path} cannot be decoded ({error}): {mend}") from error
    if len(samples) == 0:
        raise CorpusError(f"{path} holds no sample: {mend}")
    if cut or len(samples) < expected:
        there = f"{cut[2]} of {cut[1]} bytes" if cut else f"{len(samples)} of {expected} samples"
        raise CorpusError(f"{path} is cut short ({there} are there): {mend}")
    if samples.shape[1] == 1 or channel is not None:
        mono = samples[:, min(channel or 0, samples.shape[1] - 1)]
    else:
        mono = samples.mean(axis=1, dtype=np.float32)
    if not np.isfinite(mono).all():
        raise CorpusError(f"{path}: sample {start + int(np.argmin(np.isfinite(mono)))} is not finite (NaN or infinite): {mend}")
    return np.ascontiguousarray(mono), rate


def resample(samples: np.ndarray, sample_rate_hz: int, to_hz: int) -> np.ndarray:
    """A waveform at another sampling rate, by the SoX resampler (high quality, no phase shift).

    Args:
        samples: mono, shape (N,), float32 in [-1, 1].
        sample_rate_hz: of the samples, in hertz.
        to_hz: the rate wanted; that of the samples gives them as they are.

    Returns:
        Shape (round(N * to_hz / sample_rate_hz),), float32; peaks may exceed 1 by a little.
    """
    if to_hz == sample_rate_hz:
        return samples
    return soxr.resample(np.asarray(samples, dtype=np.float32), sample_rate_hz, to_hz, quality="HQ")


def samples_id(samples: np.ndarray, sample_rate_hz: int) -> str:
    """Name of what is heard: equal for equal samples in any container.

    Args:
        samples: mono, shape (N,), float in [-1, 1].
        sample_rate_hz: in hertz.

    Returns:
        32 hexadecimal digits of the SHA-256 of the samples as 24-bit integers and of the rate.
    """
    whole = np.round(np.asarray(samples, dtype=np.float64) * 2**23).astype("<i4")
    return hashlib.sha256(f"{sample_rate_hz}:".encode() + whole.tobytes()).hexdigest()[:32]


def bytes_id(data: bytes) -> str:
    """Name of what is no sound (the pixels of a picture): 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(data).hexdigest()[:32]


def audio_id(path: Path, channel: int | None = None) -> str:
    """`samples_id` of a file. Raises CorpusError as `decode` does."""
    return samples_id(*decode(path, channel=channel))


def audio_ids(paths: Iterable[Path], cache: Path, label: str = "hashing recordings", channel: int | None = None) -> list[str]:
    """`audio_id` of many files; a file that has not changed (path, size, time) is not decoded again.

    Args:
        paths: the files, in any order.
        cache: JSON file that remembers; written beside and moved into place, never inside a corpus folder.
        label: of the progress bar.
        channel: as `decode`; the same at every call with that cache.

    Returns:
        One id a path, in the order given.

    Raises:
        CorpusError: a file cannot be decoded (names it).
    """
    paths, keys = list(paths), []
    for path in paths:
        try:
            state = path.stat()
        except OSError as error:
            raise CorpusError(f"{path} is missing: restore it from the official release") from error
        keys.append(f"{path.resolve()}|{state.st_size}|{state.st_mtime_ns}")
    return remembered(cache, keys, lambda i: audio_id(paths[i], channel), label)


def remembered(cache: Path, keys: Sequence[str], compute: Callable[[int], str], label: str) -> list[str]:
    """Values by key, computed once: what the file remembers is not computed again.

    Args:
        cache: JSON file; written beside and moved into place, also when `compute` fails, so that nothing is computed twice.
        keys: one an item.
        compute: item number to value.
        label: of the progress bar, which shows after two seconds.

    Returns:
        One value a key, in order. Whatever `compute` raises is passed on.
    """
    try:
        known = json.loads(cache.read_text())
    except (OSError, ValueError):
        known = {}
    missing = [i for i, key in enumerate(keys) if key not in known]
    try:
        for i in bar(missing, label=label):
            known[keys[i]] = compute(i)
    finally:
        if missing:
            with beside(cache) as file:
                file.write_text(json.dumps(known))
    return [known[key] for key in keys]
