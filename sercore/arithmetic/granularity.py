r"""Which test-set sizes printed accuracies are consistent with: an accuracy over n recordings is a whole number of n-ths.

A number printed with d decimals of a per cent stands for an interval: rounded, half a unit to both sides; truncated, one unit upwards. A
size n fits a number if a multiple of 1/n lies in its interval, and fits a table if it fits every number. Averages of folds or of full
batches of equal size have such a grid too: then n is size times number.

Any n near the number of representable values fits anything, so each fit carries what chance would do. A number that knows nothing of n
lies on its grid with probability $p_n = \min(1, n \cdot 10^{-(d+2)})$ (the interval's width over the grid's step); of N different
numbers at least k do so with the binomial tail $P(X \ge k)$. Different numbers of one table are not independent draws, so this is a
guide to reading and no test.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binom

Printing = Literal["rounded", "truncated"]
#: A fit is read as one only where fewer sizes than this would fit by chance up to it, and for at least so many different numbers.
CHANCE, MIN_VALUES = 0.01, 4
#: A grid that only most numbers lie on is worth a word from this share on, and below this chance.
MOST, MOST_CHANCE = 0.8, 0.001


def decimals_of(texts: Sequence[str]) -> int:
    """Decimals that a column prints: the most that at least two of its numbers have, as programs drop zeros at the end (52.5 for 52.50).

    A single longer number (57.325 among two-digit ones) does not lengthen the others.

    Example:
        >>> decimals_of(["70.0", "52.5", "48.75", "43.75", "57.325"])
        2
    """
    counts = Counter(len(text.partition(".")[2]) for text in texts)
    return max((d for d, n in counts.items() if n > 1), default=max(counts))


def interval(text: str, decimals: int, printing: Printing = "rounded") -> tuple[Fraction, Fraction]:
    """What a printed per cent stands for, as fractions of one, both ends included.

    Args:
        text: digits as printed, in per cent.
        decimals: of its column; a number with more keeps its own.
        printing: rounded, or truncated (digits cut off).

    Example:
        >>> [float(end) for end in interval("46.67", 2)]
        [0.46665, 0.46675]
    """
    unit = Fraction(1, 10 ** (max(decimals, len(text.partition(".")[2])) + 2))
    value = Fraction(text) / 100
    low, high = (value - unit / 2, value + unit / 2) if printing == "rounded" else (value, value + unit)
    return max(low, Fraction(0)), min(high, Fraction(1))


def fits(text: str, n: int, decimals: int, printing: Printing = "rounded") -> bool:
    """Whether a multiple of 1/n can have been printed so.

    Example:
        >>> fits("46.67", 60, 2), fits("40.62", 60, 2), fits("40.62", 32, 2)
        (True, False, True)
    """
    low, high = interval(text, decimals, printing)
    return floor(high * n) >= ceil(low * n)


def fitting(texts: Sequence[str], sizes: NDArray[np.int64], decimals: int, printing: Printing = "rounded") -> NDArray[np.bool_]:
    """`fits` for each number (rows) and size (columns), in whole numbers throughout: shape (len(texts), len(sizes)), bool."""
    table = np.empty((len(texts), len(sizes)), dtype=bool)
    for row, text in enumerate(texts):
        low, high = interval(text, decimals, printing)
        table[row] = high.numerator * sizes // high.denominator >= -(-low.numerator * sizes // low.denominator)
    return table


def chance_of_fit(n: NDArray[np.int64] | int, decimals: int) -> NDArray[np.float64]:
    """Probability that a number which knows nothing of n lies on its grid: interval width over grid step; in [0, 1], the shape of n.

    Example:
        >>> float(chance_of_fit(60, 2))
        0.006
    """
    return np.minimum(1.0, np.asarray(n, dtype=float) * 10.0 ** -(decimals + 2))


@dataclass(frozen=True)
class Fit:
    """What the numbers of one group say about the size behind them.

    Attributes:
        numbers: how many different ones.
        decimals: that their column prints.
        largest: size up to which was searched.
        size: smallest n that fits all, rounded; None where none does.
        size_truncated: the same if digits were cut off.
        others: sizes up to `largest` that fit all and are no multiples of `size`.
        by_chance: sizes up to `size` (or `largest`, where none fits rounded) that would fit all by chance.
        best, best_share: the size least like chance, and the share of the numbers that lie on its grid.
        best_by_chance: sizes up to `best` that would fit as many by chance.
    """

    numbers: int
    decimals: int
    largest: int
    size: int | None
    size_truncated: int | None
    others: int
    by_chance: float
    best: int
    best_share: float
    best_by_chance: float

    @property
    def outcome(self) -> str:
        """consistent with one size | no single size | does not decide."""
        if self.size is None and self.size_truncated is None:
            return "no single size"
        return "consistent with one size" if self.numbers >= MIN_VALUES and self.by_chance <= CHANCE else "does not decide"

    @property
    def most(self) -> int | None:
        """The size whose grid holds most numbers, though not all; None where there is none beyond chance."""
        if self.best == self.size or self.best_share < MOST or self.best_by_chance > MOST_CHANCE or self.numbers < MIN_VALUES:
            return None
        return self.best


def smallest_fit(texts: Sequence[str], largest: int, decimals: int | None = None) -> Fit:
    """Searches every size from 2 to `largest`.

    Args:
        texts: numbers as printed, per cent; equal ones count once.
        largest: number of recordings that the test set cannot exceed.
        decimals: of the column; None takes `decimals_of`.

    Raises:
        ValueError: no numbers, or `largest` below 2.

    Example:
        >>> fit = smallest_fit(["46.67", "41.67", "45.00", "36.67", "51.67", "48.33", "53.33"], 1440)
        >>> fit.size, fit.outcome
        (60, 'consistent with one size')
    """
    if not texts or largest < 2:
        raise ValueError(f"need numbers and a largest size of at least 2, got {len(texts)} numbers and {largest}")
    places = decimals_of(texts) if decimals is None else decimals
    different = list({Fraction(text): text for text in texts}.values())
    sizes = np.arange(2, largest + 1)
    rounded, cut = (fitting(different, sizes, places, printing) for printing in ("rounded", "truncated"))
    all_fit, all_cut = sizes[rounded.all(axis=0)], sizes[cut.all(axis=0)]
    size = int(all_fit[0]) if all_fit.size else None
    p, found = chance_of_fit(sizes, places), rounded.sum(axis=0)
    tail = binom.logsf(found - 1, len(different), p) + np.log(sizes)  # of the many sizes looked at, the smaller ones count for more
    best = int(np.argmin(tail))
    expected = (p ** len(different))[: (size or largest) - 1].sum()
    return Fit(
        numbers=len(different), decimals=places, largest=largest, size=size,
        size_truncated=int(all_cut[0]) if all_cut.size else None,
        others=int((all_fit % size != 0).sum()) if size else 0, by_chance=float(expected),
        best=int(sizes[best]), best_share=float(found[best] / len(different)),
        best_by_chance=float(binom.sf(found[best] - 1, len(different), p[: best + 1]).sum()),
    )  # fmt: skip


def on_grid(texts: Sequence[str], n: int, decimals: int) -> list[bool]:
    """Which numbers can be multiples of 1/n, rounded or truncated."""
    return [fits(text, n, decimals) or fits(text, n, decimals, "truncated") for text in texts]
