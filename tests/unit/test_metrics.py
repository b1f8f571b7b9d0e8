"""Scores against scikit-learn and hand counts, where they are undefined, and what must not pass for them."""

import math
from fractions import Fraction

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score, recall_score

from sercore import metrics

LABELS = ["anger", "fear", "joy", "neutral"]


def draw(seed, n=200, k=4):
    rng = np.random.default_rng(seed)
    truth = rng.choice(LABELS[:k], n, p=np.array([0.6, 0.2, 0.15, 0.05][:k]) / sum([0.6, 0.2, 0.15, 0.05][:k]))
    return truth, np.where(rng.random(n) < 0.5, truth, rng.choice(LABELS[:k], n))


@pytest.mark.parametrize("seed", range(5))
def test_scores_equal_scikit_learn_where_every_class_occurs(seed):
    t, p = draw(seed)
    assert metrics.uar(t, p) == pytest.approx(balanced_accuracy_score(t, p))
    assert metrics.f1_macro(t, p) == pytest.approx(f1_score(t, p, average="macro"))
    assert metrics.accuracy(t, p) == pytest.approx((t == p).mean())
    assert (metrics.confusion(t, p, LABELS) == confusion_matrix(t, p, labels=LABELS)).all()


@pytest.mark.parametrize("seed", range(3))
def test_scores_from_counts_equal_scores_from_items(seed):
    t, p = draw(seed)
    counts = metrics.confusion(t, p)
    assert metrics.uar_from_counts(counts) == pytest.approx(metrics.uar(t, p))
    assert metrics.accuracy_from_counts(counts) == pytest.approx(metrics.accuracy(t, p))
    assert metrics.f1_macro_from_counts(counts) == pytest.approx(metrics.f1_macro(t, p))


def test_stacks_of_counts_are_scored_one_by_one():
    stack = np.stack([metrics.confusion(*draw(s), labels=LABELS) for s in range(4)])
    assert metrics.uar_from_counts(stack) == pytest.approx([metrics.uar_from_counts(m) for m in stack])
    assert metrics.accuracy_from_counts(stack.reshape(2, 2, 4, 4)).shape == (2, 2)


def test_uar_of_a_constant_prediction_is_one_over_the_number_of_classes():
    t, _ = draw(0)
    assert metrics.uar(t, ["anger"] * len(t)) == pytest.approx(1 / 4)
    assert metrics.accuracy(t, ["anger"] * len(t)) > 0.5


def test_scores_do_not_depend_on_the_order_of_items_or_labels():
    t, p = draw(1)
    order = np.random.default_rng(0).permutation(len(t))
    assert metrics.uar(t[order], p[order]) == metrics.uar(t, p) == pytest.approx(metrics.uar(t, p, LABELS[::-1]))


def test_a_class_without_items_is_an_error_not_a_zero():
    t, p = ["joy", "joy"], ["joy", "fear"]
    assert metrics.uar(t, p) == 0.5  # over the classes of the truth: "fear" is a miss, not a class
    assert metrics.f1_macro(t, p) == pytest.approx(2 / 3)
    for score in (metrics.uar, metrics.f1_macro):
        with pytest.raises(ValueError, match="no item of class fear"):
            score(t, p, labels=["joy", "fear"])
    with pytest.raises(ValueError, match="row 1"):
        metrics.uar_from_counts([[1, 1], [0, 0]])
    assert math.isnan(metrics.uar_from_counts([[1, 1], [0, 0]], absent="nan"))
    assert metrics.uar_from_counts([[1, 1], [0, 0]], absent="skip") == 0.5
    assert math.isnan(metrics.uar_from_counts([[0, 0], [0, 0]], absent="skip"))


def test_the_silent_zero_of_an_absent_class_is_caught():
    """The planted fault: a library that scores an absent class as 0 halves the recall."""
    t, p = ["joy", "joy"], ["joy", "joy"]
    silent = recall_score(t, p, labels=["joy", "fear"], average="macro", zero_division=0)
    assert silent == 0.5
    assert metrics.uar(t, p) == 1


def test_metric_averaged_over_batches_is_caught():
    """The planted fault: the mean of batch scores is another number than the score of the pooled predictions."""
    t, p = draw(7, n=70)
    batches = [slice(i, i + 16) for i in range(0, 70, 16)]
    uar_of_batches = np.mean([metrics.uar(t[b], p[b]) for b in batches])
    accuracy_of_batches = np.mean([metrics.accuracy(t[b], p[b]) for b in batches])  # the last batch is smaller
    assert abs(uar_of_batches - metrics.uar(t, p)) > 1e-3
    assert abs(accuracy_of_batches - metrics.accuracy(t, p)) > 1e-3
    pooled = sum(metrics.confusion(t[b], p[b], LABELS) for b in batches)  # counts, unlike scores, may be added
    assert metrics.uar_from_counts(pooled) == pytest.approx(metrics.uar(t, p), abs=1e-12)


@pytest.mark.parametrize("score", [metrics.uar, metrics.accuracy, metrics.f1_macro, metrics.confusion])
@pytest.mark.parametrize(("t", "p"), [([], []), (["joy"], ["joy", "joy"]), ([["joy"]], [["joy"]])])
def test_wrong_shapes_are_refused(score, t, p):
    with pytest.raises(ValueError, match="shapes"):
        score(t, p)


def test_classes_outside_labels_are_refused():
    with pytest.raises(ValueError, match=r"truth holds.*fear"):
        metrics.uar(["joy", "fear"], ["joy", "joy"], labels=["joy"])
    with pytest.raises(ValueError, match=r"predictions hold.*fear"):
        metrics.confusion(["joy"], ["fear"], labels=["joy"])
    with pytest.raises(ValueError, match="twice"):
        metrics.confusion(["joy"], ["joy"], labels=["joy", "joy"])
    with pytest.raises(ValueError, match="no items"):
        metrics.accuracy_from_counts([[0, 0], [0, 0]])


def ccc_by_sums(t, p):
    """The same coefficient from raw sums in exact fractions."""
    t, p, n = [Fraction(x) for x in t], [Fraction(x) for x in p], len(t)
    cross = sum(a * b for a, b in zip(t, p, strict=True)) * n - sum(t) * sum(p)
    spread = n * sum(a * a for a in t) - sum(t) ** 2 + n * sum(b * b for b in p) - sum(p) ** 2 + (sum(t) - sum(p)) ** 2
    return float(2 * cross / spread)


@pytest.mark.parametrize("n", [2, 7, 500])
def test_ccc_equals_an_independent_derivation(n):
    t, p = np.random.default_rng(n).uniform(-1, 1, (2, n))
    assert metrics.ccc(t, p) == pytest.approx(ccc_by_sums(t, p), rel=1e-12)


def test_ccc_sees_what_correlation_forgives_and_is_undefined_for_equal_constants():
    t = np.linspace(-1, 1, 50)
    assert metrics.ccc(t, t) == 1
    assert metrics.ccc(t, 0.5 * t) < 1
    assert metrics.ccc(t, t + 1) < 0.5
    assert math.isnan(metrics.ccc([0.3] * 4, [0.3] * 4))
    assert metrics.ccc([0.3] * 4, [0.1] * 4) == 0


@pytest.mark.parametrize(
    ("t", "p", "says"), [([], [], "length"), ([1], [1, 2], "shapes"), ([0, np.nan], [0, 1], "frame 1"), ([0, 1], [np.inf, 1], "frame 0")]
)
def test_ccc_refuses(t, p, says):
    with pytest.raises(ValueError, match=says):
        metrics.ccc(t, p)


def test_sample_moments_in_ccc_are_caught():
    """The planted fault, n - 1 for n in the moments: another number wherever the means differ."""
    t, p = np.array([0.0, 0.4, 0.1, 0.5]), np.array([0.3, 0.7, 0.2, 0.9])
    wrong = 2 * np.cov(t, p)[0, 1] / (t.var(ddof=1) + p.var(ddof=1) + (t.mean() - p.mean()) ** 2)
    assert abs(metrics.ccc(t, p) - wrong) > 1e-3
