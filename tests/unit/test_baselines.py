"""The two plain rows, and the three properties that the embedded corpus is built for."""

import numpy as np
import pandas as pd
import pytest

from sercore.baselines import FUNCTIONALS, fit_functionals_svm, functionals, majority_class
from sercore.data.splits import split_plan
from sercore.metrics import uar
from sercore.spec import SplitSpec
from tests.synthetic_frames import table_and_frames

CHANCE = 1 / 7


@pytest.fixture(scope="module")
def corpus() -> tuple[pd.DataFrame, np.ndarray]:
    """The whole embedded corpus: item table, functionals (448, 506)."""
    table, frames = table_and_frames()
    return table, np.stack([functionals(frames[name]) for name in table["item_id"]])


def pooled_uar(table, x, scheme, folds, labels):
    """UAR of the pooled test predictions of all folds."""
    leaks = ("speaker_overlap",) if scheme == "random_5" else ()
    truth, answers = [], []
    for fold in range(folds):
        plan = split_plan(table, SplitSpec(scheme=scheme, fold=fold), leaks=leaks)
        train, held, test = (table["item_id"].isin(plan.sides[side]).to_numpy() for side in ("train", "validation", "test"))
        machine = fit_functionals_svm(x[train], labels[train], x[held], labels[held], seed=0)
        truth.extend(labels[test])
        answers.extend(machine.predict(x[test]))
    return uar(truth, answers)


@pytest.fixture(scope="module")
def by_speaker(corpus):
    table, x = corpus
    return pooled_uar(table, x, "speakers_4", 4, table["emotion"].to_numpy(str))


def test_emotion_is_learnable_for_new_speakers_but_not_trivial(by_speaker):
    assert 2.5 * CHANCE < by_speaker < 0.85


def test_a_random_split_clearly_beats_a_speaker_split(corpus, by_speaker):
    table, x = corpus
    assert pooled_uar(table, x, "random_5", 5, table["emotion"].to_numpy(str)) > by_speaker + 0.08


def test_shuffled_labels_fall_to_chance(corpus):
    table, x = corpus
    found = [pooled_uar(table, x, "speakers_4", 4, np.random.default_rng(i).permutation(table["emotion"].to_numpy(str))) for i in range(3)]
    assert np.mean(found) == pytest.approx(CHANCE, abs=0.05)  # three standard errors of 3 x 448 answers at chance are 0.03


def test_the_majority_class_is_at_chance(corpus):
    table, _ = corpus
    labels = tuple(sorted(table["emotion"].unique()))
    scores = majority_class(table["emotion"], len(table), labels)
    assert uar(table["emotion"], np.array(labels)[scores.argmax(axis=1)]) == pytest.approx(CHANCE)


def test_majority_class_answers_the_commonest_label_in_training():
    scores = majority_class(["b", "a", "b"], 4, ["a", "b", "c"])
    assert scores.shape == (4, 3)
    assert np.allclose(scores, [1 / 3, 2 / 3, 0])
    assert majority_class(["b", "a"], 1, ["a", "b"]).argmax() == 0  # a tie goes to the first label


def test_functionals_are_those_of_pandas():
    x = np.random.default_rng(0).normal(size=(37, 5)).astype(np.float32)
    got, frame = functionals(x).reshape(len(FUNCTIONALS), 5), pd.DataFrame(x.astype(float))
    want = {
        "mean": frame.mean(), "sd": frame.std(ddof=0), "minimum": frame.min(), "p10": frame.quantile(0.1), "p25": frame.quantile(0.25),
        "median": frame.median(), "p75": frame.quantile(0.75), "p90": frame.quantile(0.9), "maximum": frame.max(),
        "slope": np.polyfit(np.linspace(0, 1, 37), frame, 1)[0], "mean_step": frame.diff().abs().mean(),
    }  # fmt: skip
    assert tuple(want) == FUNCTIONALS
    for row, name in zip(got, FUNCTIONALS, strict=True):
        assert np.allclose(row, want[name]), name


def test_functionals_of_a_single_frame_are_finite():
    values = functionals(np.ones((1, 3))).reshape(len(FUNCTIONALS), 3)
    assert np.isfinite(values).all()
    assert not values[list(FUNCTIONALS).index("slope")].any()


@pytest.mark.parametrize("frames", [np.zeros((0, 4)), np.zeros(4), np.zeros((3, 0))])
def test_functionals_refuse_a_shape(frames):
    with pytest.raises(ValueError, match="shape"):
        functionals(frames)


def test_functionals_name_the_frame_that_is_not_finite():
    with pytest.raises(ValueError, match="frame 2"):
        functionals([[0.0], [1.0], [np.nan]])


@pytest.fixture
def blobs():
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 20)
    return rng.normal(size=(60, 4)) * [1, 10, 100, 1] + 3 * (y[:, None] == ["a", "b", "c", "-"]) * [1, 10, 100, 1], y


def test_scores_have_a_column_a_label_and_the_largest_is_the_answer(blobs):
    x, y = blobs
    fitted = fit_functionals_svm(x[::2], y[::2], x[1::2], y[1::2], seed=0)
    scores = fitted.scores(x)
    assert scores.shape == (60, 3)
    assert fitted.labels == ("a", "b", "c")
    assert np.array_equal(fitted.predict(x), np.array(fitted.labels)[scores.argmax(axis=1)])
    assert fitted.validation_uar[fitted.kernel, fitted.c] == max(fitted.validation_uar.values()) > 0.8


def test_two_labels_give_two_columns(blobs):
    x, y = blobs[0][:40], blobs[1][:40]
    assert fit_functionals_svm(x, y, x, y, seed=0).scores(x).shape == (40, 2)


def test_the_same_call_gives_the_same_scores(blobs):
    x, y = blobs
    first, again = (fit_functionals_svm(x[::2], y[::2], x[1::2], y[1::2], seed=3).scores(x) for _ in range(2))
    assert np.array_equal(first, again)


def test_a_scaler_fitted_on_all_is_caught(blobs):
    """The planted fault: statistics that have seen the other items. Ours do not move when the items to score do."""
    x, y = blobs
    fitted = fit_functionals_svm(x[::2], y[::2], x[1::2], y[1::2], seed=0)
    scaler = fitted.machine[0]
    assert np.allclose(scaler.mean_, x[::2].mean(axis=0))
    assert not np.allclose(scaler.mean_, x.mean(axis=0))


def test_the_choice_follows_the_validation_labels_alone(blobs):
    """Other validation labels, another choice: were it made on training or test items, it could not change."""
    x, y = blobs
    turned = np.roll(y[1::2], 7)
    ours, other = (fit_functionals_svm(x[::2], y[::2], x[1::2], held, seed=0) for held in (y[1::2], turned))
    assert ours.validation_uar != other.validation_uar


@pytest.mark.parametrize(("train_y", "held", "says"), [(["a"] * 3, 2, "two labels"), (["a", "b", "a"], 0, "0 items")])
def test_fit_refuses(train_y, held, says):
    with pytest.raises(ValueError, match=says):
        fit_functionals_svm(np.zeros((3, 2)), train_y, np.zeros((held, 2)), ["a"] * held, seed=0)


def test_majority_class_refuses_a_label_it_cannot_score():
    with pytest.raises(ValueError, match="envy"):
        majority_class(["envy"], 1, ["anger"])
    with pytest.raises(ValueError, match="no training label"):
        majority_class([], 1, ["anger"])
