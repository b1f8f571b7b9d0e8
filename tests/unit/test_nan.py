"""A score that is not a number stays none: through every metric, and it never ranks best: not in training, search, tables or ledger."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from sercore import batching, metrics, stats, train, tune
from sercore.errors import SercoreError
from sercore.evaluate import SealedEvaluator
from sercore.ledger import rule
from sercore.spec import TrainingSpec
from sercore.stats.prediction import Interval

NAN = float("nan")
HOLE = [[3.0, 1.0, 0.0], [NAN, 4.0, 0.0], [0.0, 1.0, 3.0]]


@pytest.mark.parametrize("score", [metrics.accuracy, metrics.uar, metrics.f1_macro, metrics.confusion])
@pytest.mark.parametrize(("truth", "prediction"), [([0.0, 1.0], [0.0, NAN]), ([0.0, NAN], [0.0, 1.0])])
def test_a_label_that_is_nan_counted_as_a_miss_is_caught(score, truth, prediction):
    with pytest.raises(ValueError, match="holds NaN"):
        score(truth, prediction)


@pytest.mark.parametrize("absent", ["raise", "skip", "nan"])
def test_a_count_that_is_nan_taken_for_an_absent_class_is_caught(absent):
    assert math.isnan(metrics.uar_from_counts(HOLE, absent=absent))
    assert np.isnan(metrics.uar_from_counts([HOLE, np.eye(3)], absent=absent)).tolist() == [True, False]
    assert np.isnan(metrics.recalls_from_counts(HOLE)).tolist() == [False, True, False]


def test_nan_counts_stay_nan_in_accuracy_and_f1():
    assert math.isnan(metrics.accuracy_from_counts(HOLE))
    assert math.isnan(metrics.f1_macro_from_counts(HOLE))
    with pytest.raises(ValueError, match="frame 1"):
        metrics.ccc([0.0, NAN, 1.0], [0.0, 0.5, 1.0])


class Diverging(torch.nn.Module):
    """A network that learns until the epoch named, from which on it answers NaN in evaluation."""

    def __init__(self, nan_from: int) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(2, 2)
        self.nan_from, self.evaluated = nan_from, 0

    def forward(self, x, lengths):
        answer = self.linear(x.mean(dim=1))
        if self.training:
            return answer
        self.evaluated += 1
        return answer * NAN if self.evaluated >= self.nan_from else answer


def examples(n: int = 8) -> batching.Examples:
    """Class 0 is all that NaN logits would be read as by argmax; it is the commoner class here."""
    labels = np.array([0] * (n - 2) + [1] * 2)
    return batching.Examples([np.full((3, 2), 1.0 - 2 * label, dtype=np.float32) for label in labels], labels)


@pytest.mark.parametrize("select_by", ["validation_uar", "validation_loss"])
def test_an_epoch_whose_score_is_nan_is_never_the_best(select_by):
    torch.manual_seed(0)
    training = TrainingSpec(epochs=4, batch_size=4, learning_rate=1e-3, select_by=select_by)
    result = train.fit(Diverging(nan_from=3), examples(), examples(), training, 0)
    assert [math.isnan(row["validation_uar"]) for row in result.history] == [False, False, True, True]
    assert result.best_epoch in (1, 2)
    assert math.isfinite(result.best_score)


def test_a_run_without_any_score_ends_with_an_error():
    with pytest.raises(ValueError, match="no epoch had a defined validation score"):
        train.fit(Diverging(nan_from=1), examples(), examples(), TrainingSpec(epochs=2, batch_size=4), 0)


def test_the_argmax_of_nan_that_passes_for_a_score_is_caught():
    """The planted fault: without the check, NaN logits score as a network that always says class 0."""
    logits = np.full((8, 2), NAN)
    assert metrics.uar(examples().labels, logits.argmax(axis=1)) == 0.5
    found = train._validate(Diverging(nan_from=1), examples(), "cpu", False)
    assert math.isnan(found["validation_uar"])
    assert math.isnan(found["validation_loss"])


def trials(values: list[float]) -> pd.DataFrame:
    rows = {"study": "s", "trial": range(len(values)), "state": "complete", "value": values, "learning_rate": np.arange(len(values)) + 1.0}
    rows |= {"weight_decay": 0.1, "dropout": 0.1, "cosine_period_epochs": 2, "batch_size": 8}
    return pd.DataFrame(rows)


def test_a_trial_whose_value_is_nan_is_never_the_best():
    assert tune.best_parameters(trials([0.2, NAN, 0.4]), "s")["learning_rate"] == 3.0
    assert tune.best_parameters(trials([NAN, 0.2]), "s")["learning_rate"] == 2.0
    assert tune.best_parameters(trials([NAN, NAN]), "s") is None


def test_nan_scores_are_refused_by_the_evaluator_that_all_tables_come_from():
    items = pd.DataFrame({"item_id": ["a", "b"], "speaker": ["1", "2"], "emotion": ["joy", "fear"]})
    sealed = SealedEvaluator(items, "emotion", ["joy", "fear"])
    with pytest.raises((ValueError, SercoreError), match="'b' are not finite"):
        sealed.predictions(np.array([[0.1, 0.2], [NAN, 0.2]]), "run", 0, 0)


def counts(**changes: float) -> pd.DataFrame:
    rows = [
        {"group": "g", "seed": seed, "fold": 0, "speaker": str(speaker), "truth": truth, "joy": 3.0, "fear": 1.0}
        for seed in (0, 1)
        for speaker in (1, 2)
        for truth in ("joy", "fear")
    ]
    rows[-1] |= changes
    return pd.DataFrame(rows)


def test_a_missing_count_that_is_added_as_zero_is_caught():
    assert stats.cube(counts()).counts.sum() == 32
    with pytest.raises(ValueError, match="is missing"):
        stats.cube(counts(joy=NAN))


@pytest.mark.parametrize("prediction", [Interval(NAN, NAN, NAN), Interval(0.6, 0.5, 0.7)])
def test_a_nan_of_ours_earns_no_verdict_in_the_ledger(prediction):
    ours = rule.Measured(estimate=NAN, prediction=prediction, n_speakers=24, n_seeds=10, detectable=0.02)
    assert rule.judge(0.6, ours).name == rule.NOT_DECIDABLE


def test_the_best_of_seeds_with_a_nan_is_nan():
    found = stats.prediction_interval_of_maximum([0.5, NAN, 0.6], 10)
    assert math.isnan(found.estimate)
    assert 0.99 not in found
