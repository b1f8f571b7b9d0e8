"""Where the next measurement will lie: prediction intervals for further runs of a protocol, from the seeds at hand.

A confidence interval says where the truth is; a published number is not the truth but another measurement, with its own spread. So the
study's verdict asks whether the published value lies where our runs say that the next measurement would.

Sources: intervals for the next measurements, Hahn and Meeker 1991; degrees of freedom of a difference, Welch 1947.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats as distributions


@dataclass(frozen=True)
class Interval:
    """An estimate with its interval at `level`, and what the interval is about, in words."""

    estimate: float
    low: float
    high: float
    level: float = 0.95
    about: str = ""

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


def prediction_interval(
    scores: Sequence[float] | NDArray[np.float64], n_new: int = 1, level: float = 0.95, speaker_variance: float = 0.0
) -> Interval:
    """Where the mean score of `n_new` further runs of the same protocol will lie.

        mean +- t_(S-1) * sqrt( s^2 (1/S + 1/R) + 2 v )        (s: deviation over our S seeds; R = n_new; v = speaker_variance)

    The study's verdict uses v = 0: a published value under the same protocol was measured on the same recordings and the same test
    speakers as ours, so who speaks cannot explain a gap; only the seeds differ. It predicts the *next measurement on this corpus*.
    With v = the squared standard error over speakers (`sercore.stats.speaker_variance`), it predicts a measurement on as many *other*
    speakers; wider, and never used to call a number reproduced.

    Args:
        scores: pooled score of each of our seeds, a fraction, shape (S,), S >= 2.
        n_new: runs that the predicted mean is over, R.
        level: of the interval.
        speaker_variance: squared standard error over speakers, 0 for the same speakers.

    Raises:
        ValueError: fewer than two seeds, or n_new below 1.

    Example:
        >>> interval = prediction_interval([0.50, 0.52, 0.54], n_new=10)
        >>> round(interval.low, 3), round(interval.high, 3)
        (0.463, 0.577)
    """
    values = np.asarray(scores, dtype=float)
    if values.size < 2 or n_new < 1:
        raise ValueError(f"a prediction interval needs two seeds and one new run at least, got {values.size} and {n_new}")
    width = np.sqrt(values.var(ddof=1) * (1 / values.size + 1 / n_new) + 2 * speaker_variance)
    half = float(distributions.t.ppf(0.5 + level / 2, values.size - 1) * width)
    who = "the same speakers" if speaker_variance == 0 else "other speakers"
    return Interval(
        float(values.mean()), float(values.mean()) - half, float(values.mean()) + half, level, f"mean of {n_new} new runs, {who}"
    )


def prediction_interval_of_difference(
    ours: Sequence[float] | NDArray[np.float64], other: Sequence[float] | NDArray[np.float64], n_new: int = 1, level: float = 0.95
) -> Interval:
    """Where the difference of two means of `n_new` further runs each will lie, on the same speakers.

        (m1 - m2) +- t_v * sqrt( s1^2 (1/S1 + 1/R) + s2^2 (1/S2 + 1/R) )      (v: Welch's degrees of freedom of that sum)

    Seeds of two systems are not paired (seed 3 of one has nothing in common with seed 3 of the other), so their variances add.

    Args:
        ours, other: pooled score of each seed, a fraction, shapes (S1,) and (S2,), S1 and S2 at least 2.
        n_new: runs that each predicted mean is over, R.
        level: of the interval.

    Raises:
        ValueError: fewer than two seeds on a side, or n_new below 1.
    """
    sides = [np.asarray(scores, dtype=float) for scores in (ours, other)]
    if min(side.size for side in sides) < 2 or n_new < 1:
        raise ValueError(f"a prediction interval needs two seeds of each and one new run, got {sides[0].size}, {sides[1].size} and {n_new}")
    parts = np.array([side.var(ddof=1) * (1 / side.size + 1 / n_new) for side in sides])
    centre, about = float(sides[0].mean() - sides[1].mean()), f"difference of means of {n_new} new runs, the same speakers"
    if parts.sum() == 0:
        return Interval(centre, centre, centre, level, about)
    freedom = parts.sum() ** 2 / sum(part**2 / (side.size - 1) for part, side in zip(parts, sides, strict=True))
    half = float(distributions.t.ppf(0.5 + level / 2, freedom) * np.sqrt(parts.sum()))
    return Interval(centre, centre - half, centre + half, level, about)


def prediction_interval_of_maximum(
    scores: Sequence[float] | NDArray[np.float64], n_new: int, level: float = 0.95, draws: int = 20000, seed: int = 0
) -> Interval:
    """Where the *best* of `n_new` further runs on the same speakers will lie; for papers that print a maximum over seeds.

    Normal seeds with unknown mean and deviation: both are drawn from their posterior (the one behind the t interval), then the maximum of
    `n_new` values. The estimate is the median of the maxima. With n_new = 1 it agrees with `prediction_interval`.

    Args:
        scores: pooled score of each of our seeds, a fraction, shape (S,), S at least 2.
        n_new: runs that the maximum is over.
        level: of the interval.
        draws, seed: of the simulation.

    Raises:
        ValueError: fewer than two seeds, or n_new below 1.
    """
    values = np.asarray(scores, dtype=float)
    if values.size < 2 or n_new < 1:
        raise ValueError(f"a prediction interval needs two seeds and one new run at least, got {values.size} and {n_new}")
    rng = np.random.default_rng(seed)
    deviation = np.sqrt(values.var(ddof=1) * (values.size - 1) / rng.chisquare(values.size - 1, draws))
    mean = values.mean() + deviation / np.sqrt(values.size) * rng.standard_normal(draws)
    best = mean + deviation * rng.standard_normal((n_new, draws)).max(axis=0)
    return percentile_interval(float(np.median(best)), best, level, f"best of {n_new} new runs, the same speakers")


def percentile_interval(estimate: float, draws: NDArray[np.float64], level: float, about: str) -> Interval:
    """The middle `level` of the draws, with the estimate they belong to.

    Args:
        estimate: in the unit of the draws.
        draws: shape (R,), finite.
        level: share of the draws that lies inside, in (0, 1).
        about: what the interval is about, in words.
    """
    low, high = np.quantile(draws, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(estimate, float(low), float(high), level, about)
