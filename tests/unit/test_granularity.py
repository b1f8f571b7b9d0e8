"""Grids of printed accuracies: what was made from n recordings fits n, what was not is caught, and chance is named."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from sercore.arithmetic.accuracies import fit_in_words
from sercore.arithmetic.granularity import chance_of_fit, decimals_of, fits, fitting, interval, on_grid, smallest_fit
from sercore.arithmetic.ranks import signed_rank_p
from sercore.stats import wilcoxon


def printed(correct: int, n: int, decimals: int, cut: bool = False) -> str:
    """A per cent as a table prints it, by whole numbers: rounded half up, or cut off."""
    units = Fraction(correct * 100 * 10**decimals, n)
    whole = units.numerator // units.denominator if cut else (2 * units.numerator + units.denominator) // (2 * units.denominator)
    return f"{whole // 10**decimals}.{whole % 10**decimals:0{decimals}d}" if decimals else str(whole)


counted = some.integers(2, 3000).flatmap(lambda n: some.tuples(some.integers(0, n), some.just(n)))


@given(counted, some.integers(0, 4))
def test_what_was_counted_fits_its_size(of, decimals):
    correct, n = of
    assert fits(printed(correct, n, decimals), n, decimals)
    assert fits(printed(correct, n, decimals, cut=True), n, decimals, "truncated")


@given(counted, some.integers(1, 5))
def test_what_fits_a_size_fits_its_multiples(of, times):
    correct, n = of
    assert fits(printed(correct, n, 2), n * times, 2)


@settings(max_examples=40, deadline=None)
@given(some.integers(20, 200), some.integers(0, 2**32 - 1))
def test_a_group_is_traced_to_its_size_or_a_divisor(n, seed):
    counts = np.random.default_rng(seed).choice(n + 1, size=12, replace=False)
    fit = smallest_fit([printed(int(k), n, 2) for k in counts], 1000)
    assert fit.size is not None
    assert fit.size <= n
    assert all(fits(printed(int(k), n, 2), fit.size, 2) for k in counts)


@given(counted)
def test_the_table_of_fits_is_that_of_single_ones(of):
    text, sizes = printed(*of, 2), np.arange(2, 60)
    for printing in ("rounded", "truncated"):
        assert list(fitting([text], sizes, 2, printing)[0]) == [fits(text, int(n), 2, printing) for n in sizes]


def test_dropped_zeros_and_stray_digits_are_read_as_the_column():
    assert decimals_of(["70.0", "52.5", "48.75", "43.75"]) == 2
    assert decimals_of(["57.325", "58.04", "57.48"]) == 2
    assert decimals_of(["69.0"]) == 1
    low, high = interval("52.5", 2)
    assert (float(low), float(high)) == (0.52495, 0.52505)
    low, high = interval("57.325", 2)
    assert float(high - low) == pytest.approx(1e-5)
    assert interval("100.0", 1)[1] == 1


def test_a_planted_number_off_the_grid_is_caught():
    good = [printed(k, 450, 2) for k in (193, 199, 205, 223, 257, 260, 230, 272)]
    assert smallest_fit(good, 2542).size == 450
    fit = smallest_fit([*good, "41.06"], 2542)
    assert fit.size == 4 * 450  # a multiple of the grid of most, on which any number lies more easily
    assert fit.most == 450
    assert smallest_fit([*good, "41.06"], 1440).outcome == "no single size"
    assert "8 of 9 are multiples of 1/450" in fit_in_words(fit)
    assert on_grid(["41.06", good[0]], 450, 2) == [False, True]


def test_few_numbers_and_few_decimals_do_not_decide():
    assert smallest_fit(["69.0", "63.7", "57.2", "67.8", "66.9"], 5531).outcome == "does not decide"
    assert smallest_fit(["100.0"], 535).outcome == "does not decide"  # it fits 1/2, but says nothing
    assert smallest_fit(["45.00", "48.33"], 2542).outcome == "does not decide"


def test_random_numbers_fit_as_often_as_chance_says():
    rng, sizes = np.random.default_rng(0), np.arange(2, 400)
    texts = [f"{value:.2f}" for value in rng.uniform(10, 90, size=2000)]
    found = fitting(texts, sizes, 2).mean()
    assert found == pytest.approx(chance_of_fit(sizes, 2).mean(), rel=0.1)


def test_nothing_to_search_is_refused():
    with pytest.raises(ValueError, match="0 numbers"):
        smallest_fit([], 100)


@given(some.lists(some.integers(-9, 9), min_size=1, max_size=18))
def test_rank_sums_are_counted_as_sign_patterns_are(differences):
    assert signed_rank_p(differences) == pytest.approx(wilcoxon([float(d) for d in differences]).p)


def test_a_missing_difference_is_refused():
    with pytest.raises(ValueError, match="finite"):
        signed_rank_p([1.0, float("nan")])
