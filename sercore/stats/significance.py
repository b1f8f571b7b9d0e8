"""Tests of paired differences over speakers: exact where the number of speakers allows it, which it nearly always does.

`differences` is always one number a speaker: the mean over seeds of system A minus that of system B. A p value is never printed without
the smallest one that this number of speakers could have given.

Sources: sign flips, Fisher 1935; signed ranks, Wilcoxon 1945; step-down correction, Holm 1979; max-T, Westfall and Young 1993.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats as distributions
from scipy.optimize import brentq

Alternative = Literal["two-sided", "greater"]


@dataclass(frozen=True)
class Test:
    """Outcome of a test: what was measured, its p, the smallest p possible, and how many speakers it rests on."""

    __test__ = False  # not a test case, whatever pytest thinks of its name

    estimate: float
    p: float
    p_min: float
    n: int

    def __str__(self) -> str:
        return f"p = {self.p:.2g} (smallest possible with {self.n} speakers: {self.p_min:.2g})"


@dataclass(frozen=True)
class MaxT:
    """Family-wise p values of several comparisons on the same speakers; `exact` is False where flips were sampled."""

    p: NDArray[np.float64]
    exact: bool


def sign_flip(differences: ArrayLike, alternative: Alternative = "two-sided") -> Test:
    """Exact sign-flip (paired permutation) test: were no system better, each speaker's difference could as well have the other sign.

        p = #{ s in {-1, 1}^n : |sum_i s_i d_i| >= |sum_i d_i| } / 2^n

    All 2^n sign patterns are counted, none sampled: the speakers are halved, the sums of each half are listed, and pairs of sums are
    counted by search in the sorted list; 24 speakers take milliseconds.

    Args:
        differences: one a speaker, shape (n,), n <= 44.
        alternative: two-sided, or greater (the mean is above zero).

    Returns:
        Mean difference, p, and the smallest p that n non-zero differences allow: 2^(1-n), one-sided 2^-n.

    Raises:
        ValueError: no speaker, more than 44, or a value that is not finite.

    Example:
        >>> print(sign_flip([0.1, 0.2, 0.1, 0.3]))
        p = 0.12 (smallest possible with 4 speakers: 0.12)
    """
    d = _finite(differences)
    if d.size > 44:
        raise ValueError(f"{d.size} speakers are too many to enumerate (44 at most)")
    nonzero = d[d != 0]  # flipping a zero changes nothing
    p_min = 2.0 ** (-nonzero.size) * (2 if alternative == "two-sided" and nonzero.size else 1)
    if nonzero.size == 0:
        return Test(0.0, 1.0, 1.0, d.size)
    observed = abs(nonzero.sum()) if alternative == "two-sided" else nonzero.sum()
    threshold = observed - 1e-9 * np.abs(nonzero).sum()  # equal sums in another order must count as equal
    above = _count_sums_from(nonzero, threshold)
    if alternative == "two-sided":
        above = 2 * above if threshold > 0 else 2**nonzero.size  # the sums are symmetric about zero
    return Test(float(d.mean()), min(1.0, above / 2.0**nonzero.size), p_min, d.size)


def wilcoxon(differences: ArrayLike) -> Test:
    """Wilcoxon's signed-rank test, two-sided and exact also with ties: the sign-flip test of the signed ranks.

    Differences of zero are left out, as Wilcoxon did; tied sizes share their mean rank.

    Args:
        differences: one a speaker, shape (N,), fractions or points.

    Returns:
        Median difference, p and the smallest p possible.

    Raises:
        ValueError: as for `sign_flip`.
    """
    d = _finite(differences)
    nonzero = d[d != 0]
    if nonzero.size == 0:
        return Test(0.0, 1.0, 1.0, d.size)
    ranks = distributions.rankdata(np.abs(nonzero).round(12))  # differences equal but for rounding error are ties
    outcome = sign_flip(np.sign(nonzero) * ranks)
    return Test(float(np.median(d)), outcome.p, outcome.p_min, d.size)


def holm(p_values: ArrayLike) -> NDArray[np.float64]:
    """Holm's step-down correction: p values that hold for the whole table, in the order given.

        p'_(i) = max_{j <= i} min(1, (m - j + 1) p_(j))        (p_(1) <= ... <= p_(m))

    Args:
        p_values: shape (m,), in [0, 1].

    Returns:
        Shape (m,), in [0, 1].

    Raises:
        ValueError: a value is no p, or there is more than one axis.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=float)
    if p.ndim != 1 or not ((p >= 0) & (p <= 1)).all():
        raise ValueError(f"holm needs a row of p values in [0, 1], got {p}")
    order = np.argsort(p, kind="stable")
    corrected = np.empty(p.size)
    corrected[order] = np.maximum.accumulate(np.minimum(1.0, p[order] * np.arange(p.size, 0, -1)))
    return corrected


def max_t(differences: ArrayLike, flips: int = 20000, seed: int = 0) -> MaxT:
    """Step-down max-T: p values for many comparisons on the same speakers that stay family-wise right whatever their correlation.

    Each comparison is scaled to |sum d| / sqrt(sum d^2) (a one-to-one function of its t); signs are flipped for all comparisons of a
    speaker together. From the largest statistic down, each is compared with the largest of those not yet handled (Westfall and Young).

    Args:
        differences: shape (n speakers, m comparisons).
        flips: sampled sign patterns where there are more than 20 speakers (with the observed one, so p is never 0).
        seed: of that sampling.

    Returns:
        p of each comparison, shape (m,); exact for 20 speakers or fewer.

    Raises:
        ValueError: not a finite table.
    """
    d = np.asarray(differences, dtype=float)
    if d.ndim != 2 or d.size == 0 or not np.isfinite(d).all():
        raise ValueError(f"max_t needs a finite table of speakers by comparisons, got shape {d.shape}")
    n = d.shape[0]
    scale = np.sqrt((d**2).sum(axis=0))
    scaled = np.divide(d, scale, out=np.zeros_like(d), where=scale > 0)
    observed = np.abs(scaled.sum(axis=0))
    order = np.argsort(-observed, kind="stable")
    exceed, total = np.zeros(d.shape[1]), 0
    for signs in _sign_patterns(n, flips, seed):
        sums = np.abs(signs @ scaled[:, order])
        still_open = np.maximum.accumulate(sums[:, ::-1], axis=1)[:, ::-1]  # the largest among those not yet handled
        exceed += (still_open >= observed[order] - 1e-9).sum(axis=0)
        total += len(signs)
    exact = n <= 20
    share = exceed / total if exact else (exceed + 1) / (total + 1)
    p = np.empty(d.shape[1])
    p[order] = np.maximum.accumulate(share)
    return MaxT(p, exact)


def max_t_intervals(differences: ArrayLike, level: float = 0.95, flips: int = 20000, seed: int = 0) -> NDArray[np.float64]:
    """Intervals of many mean differences on the same speakers that hold all together, whatever their correlation.

        m_j -/+ c s_j / sqrt(n),    c = `level` quantile of max_j |t_j|,  t_j = Student's t of e_i (d_ij - m_j),  e_i = -1 or 1

    Symbols: d_ij = difference of speaker i in comparison j; m_j, s_j = its mean and standard deviation (n - 1). Signs are flipped for all
    comparisons of a speaker together (a studentised wild bootstrap), so that comparisons that go together cost little.

    Args:
        differences: shape (n speakers, m comparisons), in any unit.
        level: in (0, 1).
        flips: sampled sign patterns where there are more than 20 speakers.
        seed: of that sampling.

    Returns:
        Shape (m, 2), low and high in the unit of the differences; NaN for all where there are fewer than three speakers. With fewer than
        six there are too few patterns of signs for the level, and the intervals are too narrow.

    Raises:
        ValueError: not a finite table, or a level outside (0, 1).

    Example:
        >>> max_t_intervals([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]]).round(2).tolist()
        [[0.85, 3.15], [2.0, 2.0]]
    """
    d = np.asarray(differences, dtype=float)
    if d.ndim != 2 or d.size == 0 or not np.isfinite(d).all() or not 0 < level < 1:
        raise ValueError(f"max_t_intervals needs a finite table of speakers by comparisons and a level in (0, 1), got {d.shape}, {level}")
    n = d.shape[0]
    if n < 3:
        return np.full((d.shape[1], 2), np.nan)
    mean, error = d.mean(axis=0), d.std(axis=0, ddof=1) / np.sqrt(n)
    unit = np.divide(d - mean, error * np.sqrt(n * (n - 1)), out=np.zeros_like(d), where=error > 0)  # sums of squares of 1
    sums = np.concatenate([signs @ unit for signs in _sign_patterns(n, flips, seed)])
    largest = np.max(np.abs(sums) * np.sqrt((n - 1) / np.maximum(n - sums**2, 1e-12)), axis=1)
    half = np.quantile(largest, level, method="higher") * error
    return np.stack([mean - half, mean + half], axis=1)


def non_inferiority(differences: ArrayLike, margin: float) -> Test:
    """Is the new system worse than the reference by less than `margin`? One-sided exact sign-flip of (difference + margin).

    A small p says: no worse than the margin, which must be fixed before the runs (the study's is 0.02 of UAR).

    Args:
        differences: new minus reference, one a speaker, shape (N,), fractions.
        margin: above 0, in the same unit.

    Raises:
        ValueError: a margin that is not positive.
    """
    if not margin > 0:
        raise ValueError(f"a non-inferiority margin is a positive difference, got {margin}")
    d = _finite(differences)
    outcome = sign_flip(d + margin, alternative="greater")
    return Test(float(d.mean()), outcome.p, outcome.p_min, d.size)


def detectable_difference(deviation: float, n: int, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true mean difference that a paired two-sided t test over `n` speakers finds with this power.

    Solves power = P(|T| > t_crit) with T of the non-central t with n - 1 degrees and shift delta sqrt(n) / deviation.

    Args:
        deviation: standard deviation (n - 1) over speakers of the paired differences, in the unit of the answer.
        n: speakers.
        power: wanted probability of finding it.
        alpha: of the test.

    Returns:
        A difference in the unit of `deviation`; infinite for fewer than two speakers.

    Example:
        >>> round(detectable_difference(1.0, 24), 3)
        0.597
    """
    if n < 2 or not np.isfinite(deviation):
        return float("inf")
    if deviation == 0:
        return 0.0
    critical = distributions.t.ppf(1 - alpha / 2, n - 1)

    def lack(shift: float) -> float:
        below = np.nan_to_num(distributions.nct.cdf(-critical, n - 1, shift))  # too small to compute far from zero: then it is nothing
        return float(distributions.nct.sf(critical, n - 1, shift) + below - power)

    return float(brentq(lack, 1e-6, 50 + 2 * critical)) * deviation / float(np.sqrt(n))


def _finite(differences: ArrayLike) -> NDArray[np.float64]:
    d = np.asarray(differences, dtype=float)
    if d.ndim != 1 or d.size == 0 or not np.isfinite(d).all():
        raise ValueError(f"need one finite difference for each of at least one speaker, got {d}")
    return d


def _half_sums(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The sums of all 2^n sign patterns of `values`."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums


def _count_sums_from(values: NDArray[np.float64], threshold: float) -> int:
    """How many of the 2^n signed sums are at least `threshold`."""
    left, right = _half_sums(values[::2]), np.sort(_half_sums(values[1::2]))
    return int((right.size - np.searchsorted(right, threshold - left, side="left")).sum())


def _sign_patterns(n: int, flips: int, seed: int, rows: int = 1 << 14):  # type: ignore[no-untyped-def]
    """All sign patterns up to a common flip for n <= 20 (the statistics are two-sided), else `flips` random ones; in chunks of rows."""
    if n <= 20:
        bits = 1 << np.arange(n)
        for start in range(0, 1 << (n - 1), rows):
            codes = np.arange(start, min(start + rows, 1 << (n - 1)))
            yield np.where(codes[:, None] & bits, -1.0, 1.0)
    else:
        rng = np.random.default_rng(seed)
        for start in range(0, flips, rows):
            yield rng.choice([-1.0, 1.0], size=(min(rows, flips - start), n))
