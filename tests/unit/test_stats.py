"""Intervals and tests against brute force, scipy and closed forms; and the faults that would make a number look surer than it is."""

import itertools
import math
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from sercore import stats
from sercore.stats.significance import MaxT


def rows_of(correct, items, group="g", folds=None):
    """`counts.csv` rows from numbers correct, shape (seeds, speakers, classes), and numbers of items, shape (speakers, classes)."""
    labels = list("abcdefgh")[: items.shape[1]]
    rows = []
    for s, p, k in itertools.product(*map(range, correct.shape)):
        wrong = items[p, k] - correct[s, p, k]
        row = {"group": group, "seed": s, "fold": p % 2 if folds is None else folds[p], "speaker": str(p + 1), "truth": labels[k]}
        rows.append(row | dict.fromkeys(labels, 0) | {labels[(k + 1) % len(labels)]: wrong} | {labels[k]: correct[s, p, k]})
    return pd.DataFrame(rows)


def draw_cube(seed=0, seeds=4, speakers=8, classes=3, items=6, speaker_sd=0.15, shift=0.0):
    rng = np.random.default_rng(seed)
    skill = np.clip(0.6 + shift + speaker_sd * rng.standard_normal(speakers), 0.05, 0.95)
    n = np.full((speakers, classes), items)
    return stats.cube(rows_of(rng.binomial(n, np.tile(skill[None, :, None], (seeds, 1, classes))), n))


def test_cube_pools_folds_and_orders_speakers_by_number():
    n = np.array([[2, 3]] * 11)
    frame = rows_of(np.ones((2, 11, 2), dtype=int), n)
    halves = pd.concat([frame.assign(fold=f) for f in (0, 1)])
    data = stats.cube(halves.sample(frac=1, random_state=0))
    assert data.speakers == tuple(str(i) for i in range(1, 12))
    assert data.n_items == 2 * 55
    assert data.scores("accuracy") == pytest.approx([22 / 55] * 2)
    assert data.scores() == pytest.approx([(1 / 2 + 1 / 3) / 2] * 2)


def test_cube_ignores_the_empty_columns_of_other_corpora():
    frame = rows_of(np.ones((1, 3, 2), dtype=int), np.full((3, 2), 2)).assign(boredom=np.nan)
    assert stats.cube(frame).labels == ("a", "b")


def test_a_seed_that_has_not_finished_is_left_out_and_named():
    frame = rows_of(np.ones((3, 4, 2), dtype=int), np.full((4, 2), 2))
    unfinished = frame[~((frame["seed"] == 2) & (frame["fold"] == 1))]
    data = stats.cube(unfinished)
    assert data.seeds == (0, 1)
    assert data.dropped == (2,)
    with pytest.raises(ValueError, match=r"seeds \[2\]"):
        stats.cube(unfinished, incomplete="raise")


def test_cube_refuses_two_groups_and_no_group():
    frame = rows_of(np.ones((1, 2, 2), dtype=int), np.full((2, 2), 2))
    with pytest.raises(ValueError, match="one group"):
        stats.cube(pd.concat([frame, frame.assign(group="other")]))
    with pytest.raises(ValueError, match="one group"):
        stats.cube(frame, "missing")


def test_speaker_spread_and_seed_spread_are_shown_apart():
    correct = np.zeros((2, 2, 2), dtype=int)
    correct[:, 0], correct[:, 1] = 4, [[1], [3]]  # speaker 1 always right, speaker 2 a quarter right, then three quarters
    data = stats.cube(rows_of(correct, np.full((2, 2), 4)))
    table = stats.per_speaker(data).set_index("speaker")
    assert table.loc["1", ["uar", "seed_sd"]].tolist() == [1, 0]
    assert table.loc["2", ["uar", "lowest_seed", "highest_seed"]].tolist() == [0.5, 0.25, 0.75]
    apart = stats.spreads(data)
    assert apart["seed_sd"] == pytest.approx(np.std([0.625, 0.875], ddof=1))
    assert apart["speaker_sd"] == pytest.approx(np.std([1, 0.5], ddof=1))


def test_uar_of_a_speaker_is_over_the_classes_that_were_recorded():
    items, correct = np.array([[4, 0], [4, 4]]), np.array([[[2, 0], [4, 4]]])
    assert stats.per_speaker(stats.cube(rows_of(correct, items)))["uar"].tolist() == [0.5, 1.0]


def test_mean_recalls_are_over_seeds():
    correct = np.array([[[2, 4], [4, 4]], [[4, 4], [4, 4]]])
    assert stats.mean_recalls(stats.cube(rows_of(correct, np.full((2, 2), 4)))) == {"a": 0.875, "b": 1.0}


def test_bootstrap_is_deterministic_and_holds_the_estimate():
    data = draw_cube()
    first, again = stats.bootstrap(data, resamples=500), stats.bootstrap(data, resamples=500)
    assert first == again
    assert first.estimate == pytest.approx(data.scores().mean())
    assert first.low < first.estimate < first.high
    assert first.estimate in first


def test_bootstrap_equals_drawing_item_by_item():
    """The same two levels by hand: items as zeros and ones with the easiest the same for all seeds, drawn one at a time."""
    data = draw_cube(seeds=3, speakers=5, classes=2, items=4)
    rng, draws = np.random.default_rng(1), []
    right = np.arange(4)[None, None, None, :] < np.diagonal(data.counts, axis1=2, axis2=3)[..., None]  # seeds, speakers, classes, items
    for _ in range(3000):
        chosen = [[right[:, p, k, rng.integers(4, size=4)] for k in range(2)] for p in rng.integers(5, size=5)]
        draws.append(np.mean(chosen))
    mine = stats._resample(data, "uar", 3000, 0).mean(axis=1)
    assert mine.mean() == pytest.approx(np.mean(draws), abs=0.01)
    assert mine.std() == pytest.approx(np.std(draws), rel=0.08)


def test_bootstrap_covers_the_truth_about_as_often_as_it_says():
    hits = [0.6 in stats.bootstrap(draw_cube(s, seeds=2, speakers=20), resamples=400) for s in range(200)]
    assert 0.88 <= np.mean(hits) <= 0.99


def test_recordings_treated_as_independent_are_caught():
    """The planted fault: resampling recordings alone, as if speakers did not differ, gives far too narrow an interval."""
    data = draw_cube(speakers=10, items=20, speaker_sd=0.25)
    interval = stats.bootstrap(data)
    n, share = data.n_items, data.scores("accuracy").mean()
    assert interval.high - interval.low > 1.8 * 2 * 1.96 * math.sqrt(share * (1 - share) / n)


def test_seeds_counted_as_recordings_are_caught():
    """The planted fault: ten seeds on the same recordings do not make ten times the recordings; copies of a seed add nothing."""
    one = draw_cube(seeds=1)
    ten = stats.Cube(np.repeat(one.counts, 10, axis=0), tuple(range(10)), one.speakers, one.labels)
    widths = [i.high - i.low for i in (stats.bootstrap(one), stats.bootstrap(ten))]
    assert widths[1] == pytest.approx(widths[0], rel=0.1)


def test_paired_bootstrap_gains_from_the_shared_speakers():
    data = draw_cube(speakers=12, items=30, speaker_sd=0.25)
    same = stats.bootstrap_difference(data, data)
    assert (same.estimate, same.low, same.high) == (0, 0, 0)
    better, worse = (draw_cube(speakers=12, items=30, speaker_sd=0.25, shift=shift) for shift in (0.05, 0.0))
    paired, alone = stats.bootstrap_difference(better, worse), stats.bootstrap(better)
    assert paired.high - paired.low < 0.7 * (alone.high - alone.low)


def test_paired_bootstrap_refuses_other_speakers_and_other_recordings():
    data = draw_cube(speakers=8)
    with pytest.raises(ValueError, match="same speakers"):
        stats.bootstrap_difference(data, draw_cube(speakers=5))
    with pytest.raises(ValueError, match="same recordings"):
        stats.bootstrap_difference(data, draw_cube(speakers=8, items=7))


def test_paired_bootstrap_covers_the_true_difference_about_as_often_as_it_says():
    """Two systems whose speakers differ by 0.05 on average, with a spread of 0.08 over speakers."""
    hits = 0
    for seed in range(150):
        rng = np.random.default_rng(seed)
        n, skill = np.full((20, 3), 8), rng.uniform(0.3, 0.7, 20)
        rates = [np.clip(skill + gain, 0, 1) for gain in (rng.normal(0.05, 0.08, 20), 0)]
        ours, other = (stats.cube(rows_of(rng.binomial(n, np.tile(r[None, :, None], (3, 1, 3))), n)) for r in rates)
        hits += 0.05 in stats.bootstrap_difference(ours, other, resamples=400)
    assert 0.87 <= hits / 150 <= 0.99


def test_a_single_speaker_has_no_interval_and_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="two"):
        stats.bootstrap(draw_cube(speakers=1))
    with pytest.raises(ValueError, match="know uar and accuracy"):
        draw_cube().scores("wa")


def test_prediction_interval_holds_the_next_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    ours, new = rng.normal(0.6, 0.01, (4000, 5)), rng.normal(0.6, 0.01, (4000, 10)).mean(axis=1)
    inside = [value in stats.prediction_interval(scores, n_new=10) for scores, value in zip(ours, new, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


def test_prediction_interval_of_the_maximum_holds_the_next_maximum_as_often_as_it_says():
    rng = np.random.default_rng(1)
    ours, new = rng.normal(0.6, 0.01, (400, 8)), rng.normal(0.6, 0.01, (400, 10)).max(axis=1)
    inside = [value in stats.prediction_interval_of_maximum(s, 10, draws=4000) for s, value in zip(ours, new, strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.035)


def test_the_maximum_of_one_run_is_a_run():
    scores = [0.55, 0.57, 0.56, 0.60, 0.58]
    one, best = stats.prediction_interval(scores), stats.prediction_interval_of_maximum(scores, 1, draws=200_000)
    assert (best.low, best.high) == pytest.approx((one.low, one.high), abs=1.5e-3)


def test_a_confidence_interval_in_place_of_a_prediction_interval_is_caught():
    """The planted fault: leaving out the new measurement's own spread (1/R) misses far more than one value in twenty."""
    rng = np.random.default_rng(2)
    misses = 0
    for _ in range(1000):
        ours, new = rng.normal(0, 1, 10), rng.normal(0, 1, 10).mean()
        misses += abs(new - ours.mean()) > scipy_stats.t.ppf(0.975, 9) * ours.std(ddof=1) / math.sqrt(10)
    assert misses / 1000 > 0.1


def test_prediction_interval_of_a_difference_holds_the_next_difference_as_often_as_it_says():
    rng, inside = np.random.default_rng(3), 0
    for _ in range(2000):
        ours, other = rng.normal(0.6, 0.01, 5), rng.normal(0.5, 0.02, 8)
        new = rng.normal(0.6, 0.01, 10).mean() - rng.normal(0.5, 0.02, 10).mean()
        inside += new in stats.prediction_interval_of_difference(ours, other, 10)
    assert inside / 2000 == pytest.approx(0.95, abs=0.015)
    still = stats.prediction_interval_of_difference([0.6, 0.6], [0.5, 0.5], 10)
    assert (still.low, still.high) == pytest.approx((0.1, 0.1))
    with pytest.raises(ValueError, match="two seeds of each"):
        stats.prediction_interval_of_difference([0.6], [0.5, 0.5])


def test_other_speakers_widen_the_prediction():
    data = draw_cube()
    same = stats.prediction_interval(data.scores(), 10)
    other = stats.prediction_interval(data.scores(), 10, speaker_variance=stats.speaker_variance(data))
    assert other.low < same.low
    assert "other speakers" in other.about
    with pytest.raises(ValueError, match="two seeds"):
        stats.prediction_interval([0.5])


# --- tests over speakers ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 9])
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_sign_flip_equals_listing_every_pattern(n, alternative):
    d = np.random.default_rng(n).normal(0.4, 1, n).round(1)
    sums = np.array([np.dot(s, d) for s in itertools.product([-1, 1], repeat=n)])
    beyond = abs(sums) >= abs(d.sum()) - 1e-9 if alternative == "two-sided" else sums >= d.sum() - 1e-9
    assert stats.sign_flip(d, alternative).p == pytest.approx(beyond.mean())


def test_sign_flip_equals_scipy_on_ten_speakers():
    d = np.random.default_rng(5).normal(0.5, 1, 10)
    peer = scipy_stats.permutation_test((d,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert stats.sign_flip(d).p == pytest.approx(peer.pvalue)


def test_sign_flip_of_24_speakers_is_exact_and_quick():
    start = time.perf_counter()
    outcome = stats.sign_flip(np.arange(1, 25) / 100)
    assert outcome.p == outcome.p_min == 2**-23
    assert time.perf_counter() - start < 3
    # the sums of 1..24 with signs are known: Wilcoxon's own distribution
    d = np.arange(1, 25) * np.where(np.arange(24) % 3, 1, -1)
    assert stats.sign_flip(d).p == pytest.approx(scipy_stats.wilcoxon(d, method="exact").pvalue)


def test_few_speakers_can_never_be_significant():
    assert [stats.sign_flip([0.3] * n).p for n in (2, 4, 6, 10)] == pytest.approx([0.5, 0.125, 0.03125, 0.001953125])
    assert "smallest possible with 2 speakers: 0.5" in str(stats.sign_flip([0.3, 0.3]))


def test_zero_differences_do_not_count_as_speakers():
    assert stats.sign_flip([0.1, 0.2, 0, 0]).p_min == 0.5
    assert stats.sign_flip([0, 0]).p == 1


@pytest.mark.parametrize("seed", range(4))
def test_wilcoxon_equals_scipy(seed):
    d = np.random.default_rng(seed).normal(0.3, 1, 14)
    assert stats.wilcoxon(d).p == pytest.approx(scipy_stats.wilcoxon(d, method="exact").pvalue)


def test_wilcoxon_with_ties_is_exact():
    d = np.array([0.1, 0.1, -0.1, 0.3, 0.3, 0.2, 0.0])
    ranks = scipy_stats.rankdata(abs(d[d != 0])) * np.sign(d[d != 0])
    sums = [abs(np.dot(s, abs(ranks))) for s in itertools.product([-1, 1], repeat=6)]
    assert stats.wilcoxon(d).p == pytest.approx(np.mean(np.array(sums) >= abs(ranks.sum()) - 1e-9))


def test_holm_equals_the_rule_written_out():
    p = np.random.default_rng(0).uniform(0, 0.2, 7)
    ranked = sorted(p)
    by_hand = [max(min(1, (7 - j) * ranked[j]) for j in range(ranked.index(x) + 1)) for x in p]
    assert stats.holm(p) == pytest.approx(by_hand)
    assert stats.holm([0.01, 0.01]).tolist() == [0.02, 0.02]
    with pytest.raises(ValueError, match="p values"):
        stats.holm([1.2])


def test_max_t_equals_listing_every_pattern():
    d = np.random.default_rng(3).normal([0.9, 0.4, 0.0], 1, (8, 3))
    size = abs(d.sum(axis=0)) / np.sqrt((d**2).sum(axis=0))
    flipped = np.array([abs((np.array(s)[:, None] * d).sum(axis=0)) for s in itertools.product([-1, 1], repeat=8)])
    flipped = flipped / np.sqrt((d**2).sum(axis=0))
    order, expected, floor = np.argsort(-size), np.empty(3), 0.0
    for i, j in enumerate(order):
        floor = expected[j] = max(floor, (flipped[:, order[i:]].max(axis=1) >= size[j] - 1e-9).mean())
    outcome = stats.max_t(d)
    assert isinstance(outcome, MaxT)
    assert outcome.exact
    assert outcome.p == pytest.approx(expected)


def test_max_t_of_one_comparison_is_the_sign_flip_and_copies_cost_nothing():
    d = np.random.default_rng(4).normal(0.5, 1, (10, 1))
    p = stats.sign_flip(d[:, 0]).p
    assert stats.max_t(d).p == pytest.approx([p])
    assert stats.max_t(np.repeat(d, 5, axis=1)).p == pytest.approx([p] * 5)  # Holm would multiply by five


def test_max_t_of_24_speakers_is_sampled_and_says_so():
    d = np.random.default_rng(6).normal(0.3, 1, (24, 2))
    outcome = stats.max_t(d, flips=20000)
    assert not outcome.exact
    assert min(outcome.p) == pytest.approx(2 * min(stats.sign_flip(c).p for c in d.T), abs=0.03)


def test_a_layer_picked_after_the_sweep_is_caught():
    """The planted fault: the best of 20 useless layers looks significant by itself, and does not once the sweep is counted."""
    best, corrected = [], []
    for seed in range(30):
        d = np.random.default_rng(seed).normal(0, 1, (8, 20))
        best.append(min(stats.sign_flip(c).p for c in d.T))
        corrected.append(stats.max_t(d).p.min())
    assert np.mean(np.array(best) <= 0.05) > 0.4
    assert np.mean(np.array(corrected) <= 0.05) < 0.2


def test_non_inferiority_needs_the_margin_and_the_speakers():
    d = np.full(10, -0.005) + np.linspace(-0.01, 0.01, 10)
    assert stats.non_inferiority(d, margin=0.02).p < 0.05
    assert stats.non_inferiority(d - 0.02, margin=0.02).p > 0.5
    assert stats.non_inferiority(d, 0.02).p_min == 2**-10
    with pytest.raises(ValueError, match="positive"):
        stats.non_inferiority(d, 0)


@pytest.mark.parametrize("n", [4, 10, 24])
def test_detectable_difference_is_found_four_times_in_five(n):
    delta = stats.detectable_difference(0.08, n)
    d = np.random.default_rng(n).normal(delta, 0.08, (6000, n))
    assert (scipy_stats.ttest_1samp(d, 0, axis=1).pvalue < 0.05).mean() == pytest.approx(0.8, abs=0.02)


def test_detectable_difference_shrinks_with_speakers_and_is_infinite_for_one():
    sizes = [stats.detectable_difference(0.08, n) for n in (2, 4, 6, 10, 24, 100)]
    assert sizes == sorted(sizes, reverse=True)
    assert stats.detectable_difference(0.08, 1) == math.inf
    assert stats.detectable_difference(0.0, 5) == 0


@pytest.mark.parametrize("bad", [[], [np.nan, 1], [[1, 2]]])
@pytest.mark.parametrize("test", [stats.sign_flip, stats.wilcoxon])
def test_tests_refuse_what_is_not_a_row_of_finite_differences(test, bad):
    with pytest.raises(ValueError, match="finite"):
        test(bad)


def test_max_t_intervals_hold_together_and_are_wider_than_one_alone():
    rng = np.random.default_rng(0)
    held = []
    for _ in range(200):
        d = rng.normal(size=(10, 1)) + 0.7 * rng.normal(size=(10, 13))  # 13 layers on the same ten speakers: no true difference
        low, high = stats.max_t_intervals(d).T
        held.append(bool(((low <= 0) & (high >= 0)).all()))
    assert 0.90 <= np.mean(held) <= 0.99
    one = stats.max_t_intervals(d[:, :1])
    assert (np.diff(stats.max_t_intervals(d)[0]) > np.diff(one[0])).all()
    assert np.allclose(stats.max_t_intervals(np.repeat(d[:, :1], 5, axis=1)), np.repeat(one, 5, axis=0)), "copies cost nothing"
    assert np.isnan(stats.max_t_intervals(d[:2])).all()
    with pytest.raises(ValueError, match="level"):
        stats.max_t_intervals(d, level=1)
