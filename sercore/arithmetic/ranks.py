"""Wilcoxon's signed-rank test for any number of pairs, exact also with ties: rank sums are counted, not sampled.

`sercore.stats.wilcoxon` lists sign patterns and ends at 44 pairs; the sources test up to 48.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import rankdata


def signed_rank_p(differences: ArrayLike) -> float:
    """Two-sided exact p in [0, 1] of differences of shape (N,).

    Differences of zero are left out, equal sizes share their mean rank; differences are taken to nine decimals.

    The sums of ranks (doubled, so that they are whole) under all 2^n signs are counted one rank after the other.

    Raises:
        ValueError: a difference is missing, or there is none.

    Example:
        >>> signed_rank_p([1.0, 2.0, 3.0, 4.0, 5.0])
        0.0625
    """
    d = np.asarray(differences, dtype=float).round(9)
    if d.size == 0 or not np.isfinite(d).all():
        raise ValueError(f"need finite differences, got {d}")
    d = d[d != 0]
    if d.size == 0:
        return 1.0
    ranks = (2 * rankdata(np.abs(d))).astype(int)
    ways = np.zeros(ranks.sum() + 1)  # ways[s] / 2^n is the probability that the positive ranks add up to s / 2
    ways[0] = 1.0
    for rank in ranks:
        ways = (ways + np.concatenate([np.zeros(rank), ways[:-rank]])) / 2
    positive = ranks[d > 0].sum()
    return float(min(1.0, 2 * min(ways[: positive + 1].sum(), ways[positive:].sum())))
