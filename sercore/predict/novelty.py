"""Is a recording unlike those that a network learnt from? Plain checks, and one distance with a limit that unheard speakers set.

The distance is Mahalanobis': of the mean and deviation over time of each normalised feature, from their mean and shrunk covariance
(Ledoit and Wolf) on the training side. Its limit is the value that 95 % of training recordings keep when their own speaker is left out of
the statistics, so it allows for voices that were never heard.

Of a network that reads segments, only rows that hold sound count, in training recordings and in any other (`rows_of_sound`): the zeros
that fill a segment up would make the distance one of durations, and that has a check of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from sklearn.covariance import LedoitWolf

from sercore.features.cache import segments_of
from sercore.spec import FeatureSpec

#: Share of left-out training recordings that keep the limit.
QUANTILE = 0.95
#: What plain checks allow beyond the extremes of the training side: in dB, and as a share of a duration.
LEVEL_MARGIN_DB, DURATION_MARGIN = 6.0, 0.2
#: Below this a recording holds no sound to judge.
SILENCE_DBFS = -80.0
#: Share of samples at full scale that a recording may have, if no training recording has more.
CLIPPED_SHARE = 1e-3
_FULL_SCALE = 0.999
_FLOOR = 1e-12
CHECKS = ("silence", "level", "clipping", "duration", "bandwidth", "spectrum")


@dataclass(frozen=True)
class Facts:
    """What plain checks look at.

    Attributes:
        duration_s: in seconds.
        sample_rate_hz: of the file, before any resampling.
        level_dbfs: root mean square in dB of full scale; -120 for digital silence.
        clipped: share of samples at full scale, 0 to 1.
    """

    duration_s: float
    sample_rate_hz: int
    level_dbfs: float
    clipped: float


def facts(samples: np.ndarray, sample_rate_hz: int) -> Facts:
    """Facts of a waveform, shape (N,), in [-1, 1], as it was recorded."""
    power = float(np.mean(np.square(samples, dtype=np.float64)))
    clipped = float(np.mean(np.abs(samples) >= _FULL_SCALE))
    return Facts(len(samples) / sample_rate_hz, sample_rate_hz, 10 * math.log10(power + _FLOOR), clipped)


def merged(parts: Sequence[Facts], duration_s: float) -> Facts:
    """Facts of a long recording from those of its windows (equal lengths)."""
    power = np.mean([10 ** (part.level_dbfs / 10) for part in parts])
    return Facts(duration_s, parts[0].sample_rate_hz, 10 * math.log10(float(power)), float(np.mean([part.clipped for part in parts])))


def rows_of_sound(frames: np.ndarray, features: FeatureSpec) -> np.ndarray:
    """Rows of a recording's features that its summary is taken over.

    Where recordings are cut into segments, or silence is added up to one length, each ends in rows of zeros: after the last sample, and up
    to `segment_frames`. These are left out. Digital silence at the very end of a segment cannot be told from them and goes too. Where
    recordings are read whole every row counts, and so it does for features in which added silence is no row of zeros (`mfcc_chroma`).

    Args:
        frames: not normalised, shape (T, d).
        features: what they were computed with.

    Returns:
        Truth values, shape (T,); of digital silence the first row alone counts.

    Example:
        >>> cut = FeatureSpec(kind="stft", segment_s=1.0, segment_frames=3)
        >>> rows_of_sound(np.array([[1.0], [0.0], [2.0], [3.0], [0.0], [0.0]]), cut).tolist()
        [True, True, True, True, False, False]
    """
    if not (features.segment_s or features.pad_to_s):
        return np.ones(len(frames), dtype=bool)
    sounding = [np.asarray(segment.any(axis=1)) for segment in segments_of(frames, features)]
    kept = np.concatenate([np.maximum.accumulate(rows[::-1])[::-1] for rows in sounding])
    kept[0] |= not kept.any()
    return kept


def summary(frames: np.ndarray) -> np.ndarray:
    """Mean and deviation over time of each feature: shape (T, d) -> (2 d,).

    Example:
        >>> summary(np.array([[0.0, 1.0], [2.0, 1.0]])).tolist()
        [1.0, 1.0, 1.0, 0.0]
    """
    return np.concatenate([frames.mean(axis=0, dtype=np.float64), frames.std(axis=0, dtype=np.float64)])


@dataclass(frozen=True)
class Finding:
    """One check that fired: which, and in words with the number and the limit."""

    check: str
    says: str


@dataclass(frozen=True)
class Familiar:
    """Statistics of one network's training side.

    Attributes:
        mean, deviation: of the summaries, shape (2 d,).
        precision: inverse of the shrunk covariance of the standardised summaries, shape (2 d, 2 d).
        limit: distance that QUANTILE of the recordings of left-out speakers keep.
        shortest_s, longest_s, quietest_dbfs, loudest_dbfs, clipped: extremes of the training recordings.
        sample_rate_hz: their lowest, or that of the features where it is lower still.
    """

    mean: np.ndarray
    deviation: np.ndarray
    precision: np.ndarray
    limit: float
    shortest_s: float
    longest_s: float
    quietest_dbfs: float
    loudest_dbfs: float
    clipped: float
    sample_rate_hz: int

    def ratio(self, frames: np.ndarray) -> float:
        """Distance of a recording divided by the limit; above 1 it is unlike. Frames normalised, its `rows_of_sound`, shape (T, d)."""
        z = (summary(frames) - self.mean) / self.deviation
        return float(np.sqrt(max(z @ self.precision @ z, 0.0)) / self.limit)

    def plain_findings(self, heard: Facts) -> list[Finding]:
        """The plain checks that fire."""
        found = []
        if heard.level_dbfs < SILENCE_DBFS:
            found.append(Finding("silence", f"level {heard.level_dbfs:.0f} dBFS, below {SILENCE_DBFS:.0f} there is nothing to judge"))
        elif not self.quietest_dbfs - LEVEL_MARGIN_DB <= heard.level_dbfs <= self.loudest_dbfs + LEVEL_MARGIN_DB:
            trained = f"training recordings have {self.quietest_dbfs:.0f} to {self.loudest_dbfs:.0f}"
            found.append(Finding("level", f"level {heard.level_dbfs:.0f} dBFS, {trained}"))
        if heard.clipped > max(CLIPPED_SHARE, self.clipped):
            found.append(Finding("clipping", f"{100 * heard.clipped:.1f} % of the samples are at full scale"))
        low, high = self.shortest_s * (1 - DURATION_MARGIN), self.longest_s * (1 + DURATION_MARGIN)
        if not low <= heard.duration_s <= high:
            found.append(
                Finding("duration", f"{heard.duration_s:.2f} s, training recordings last {self.shortest_s:.2f} to {self.longest_s:.2f} s")
            )
        if heard.sample_rate_hz < self.sample_rate_hz:
            has, lacks = (f"{rate / 2000:g} kHz" for rate in (self.sample_rate_hz, heard.sample_rate_hz))
            says = f"sampled at {heard.sample_rate_hz} Hz: nothing above {lacks}, in training there was sound up to {has}"
            found.append(Finding("bandwidth", says))
        return found

    def numbers(self) -> dict[str, float]:
        """Everything that is one number."""
        return {field.name: getattr(self, field.name) for field in fields(self) if not isinstance(getattr(self, field.name), np.ndarray)}


def spectrum_finding(ratio: float) -> list[Finding]:
    """The distance check: a finding where the ratio is above 1."""
    if ratio <= 1:
        return []
    share = f"{100 * QUANTILE:.0f} %"
    return [Finding("spectrum", f"{ratio:.1f} times the distance that {share} of the recordings of unheard training speakers keep")]


def fit(frames: Sequence[np.ndarray], speakers: Sequence[str], heard: Sequence[Facts]) -> Familiar:
    """Statistics of a training side.

    Args:
        frames: normalised features of N training recordings, `rows_of_sound` of each, shapes (T_i, d).
        speakers: who speaks in each.
        heard: their facts.

    Returns:
        The statistics, in the precision in which they are shipped (float32).

    Raises:
        ValueError: fewer than two speakers: no limit can be set by one who was left out.
    """
    who = np.asarray(speakers)
    if len(set(speakers)) < 2:
        raise ValueError("a limit needs recordings of two speakers at least")
    summaries = np.stack([summary(f) for f in frames])
    mean, deviation = summaries.mean(axis=0), np.maximum(summaries.std(axis=0), 1e-6)
    z = (summaries - mean) / deviation
    left_out = []
    for speaker in sorted(set(speakers)):
        others = LedoitWolf(assume_centered=False).fit(z[who != speaker])
        left_out.append(np.sqrt(others.mahalanobis(z[who == speaker])))
    whole = LedoitWolf().fit(z)
    return Familiar(
        mean=(mean + whole.location_ * deviation).astype(np.float32),
        deviation=deviation.astype(np.float32),
        precision=whole.precision_.astype(np.float32),
        limit=float(np.quantile(np.concatenate(left_out), QUANTILE)),
        shortest_s=min(f.duration_s for f in heard),
        longest_s=max(f.duration_s for f in heard),
        quietest_dbfs=min(f.level_dbfs for f in heard),
        loudest_dbfs=max(f.level_dbfs for f in heard),
        clipped=max(f.clipped for f in heard),
        sample_rate_hz=min(f.sample_rate_hz for f in heard),
    )
