"""Two plain rows for every table of classifiers: the majority class, and utterance functionals with a support vector machine.

They are for scale: a network that does not beat them has shown nothing. No torch.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from sercore.metrics import uar

REVISION = 1  # raised by hand when scores change
FUNCTIONALS = ("mean", "sd", "minimum", "p10", "p25", "median", "p75", "p90", "maximum", "slope", "mean_step")
C_VALUES = (0.01, 0.1, 1.0, 10.0, 100.0)
KERNELS = ("linear", "rbf")


def majority_class(train_labels: ArrayLike, n_items: int, labels: tuple[str, ...] | list[str]) -> NDArray[np.float64]:
    """Scores of a classifier that always answers the commonest training label.

    Its UAR is 1/K whatever the data; its accuracy is the share of that label.

    Args:
        train_labels: labels of the training items, shape (N,).
        n_items: how many items to answer for, B.
        labels: the K labels in the order of the columns. A tie goes to the first.

    Returns:
        float64, shape (B, K): the share of each label in training, the same in every row.

    Raises:
        ValueError: no training label, or one that is not in `labels` (it is named).

    Example:
        >>> majority_class(["anger", "fear", "anger", "anger"], 2, ["anger", "fear"]).tolist()
        [[0.75, 0.25], [0.75, 0.25]]
    """
    train = [str(label) for label in np.asarray(train_labels).ravel()]
    if not train:
        raise ValueError("no training label: the majority class is undefined")
    if unknown := sorted(set(train) - set(labels)):
        raise ValueError(f"training labels {unknown} are not among the labels {list(labels)}")
    shares = np.array([train.count(label) / len(train) for label in labels])
    return np.tile(shares, (n_items, 1))


def functionals(frames: ArrayLike) -> NDArray[np.float64]:
    """Summary of an utterance: eleven numbers for each dimension of its frames.

    Mean, standard deviation (population), minimum, percentiles 10, 25, 50, 75 and 90, maximum, slope of the straight line over the
    utterance (change from its first to its last frame), and mean absolute step between neighbouring frames.

    Args:
        frames: features of one utterance without padding, shape (T, F).

    Returns:
        float64, shape (11 F,): all dimensions of the first functional, then of the next, in the order of FUNCTIONALS.

    Raises:
        ValueError: not two-dimensional, no frame, or a value that is not finite (the message says which frame).

    Example:
        >>> values = functionals([[0.0, 5.0], [1.0, 5.0], [2.0, 5.0]])
        >>> values.shape, values[:2].tolist(), values[18:20].tolist()
        ((22,), [1.0, 5.0], [2.0, 0.0])
    """
    x = np.asarray(frames, dtype=np.float64)
    if x.ndim != 2 or x.size == 0:
        raise ValueError(f"need frames of shape (T, F) with T and F above 0, got {x.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"frame {int(np.argmin(np.isfinite(x).all(axis=1)))} holds a value that is not finite")
    position = np.linspace(-0.5, 0.5, len(x)) if len(x) > 1 else np.zeros(1)
    slope = (position[:, None] * x).sum(axis=0) / max((position**2).sum(), 1e-12)
    step = np.abs(np.diff(x, axis=0)).mean(axis=0) if len(x) > 1 else np.zeros(x.shape[1])
    percentiles = np.percentile(x, [0, 10, 25, 50, 75, 90, 100], axis=0)
    return np.concatenate([x.mean(axis=0), x.std(axis=0), *percentiles, slope, step])


@dataclass(frozen=True)
class FunctionalsSVM:
    """A fitted machine: scaler of the training fold, then the kernel and C that were best on validation.

    Attributes:
        labels: the K labels in the order of the columns of `scores`.
        kernel, c: what was chosen.
        validation_uar: UAR on the validation items of every (kernel, C) that was tried, in the order tried.
    """

    machine: Pipeline
    labels: tuple[str, ...]
    kernel: str
    c: float
    validation_uar: dict[tuple[str, float], float]

    def scores(self, x: ArrayLike) -> NDArray[np.float64]:
        """Decision values of utterances, shape (B, D) -> (B, K); the largest is the answer. Columns follow `labels`."""
        values = np.asarray(self.machine.decision_function(np.asarray(x, dtype=np.float64)))
        return np.stack([-values, values], axis=1) if values.ndim == 1 else values

    def predict(self, x: ArrayLike) -> NDArray[np.str_]:
        """Labels of utterances, shape (B, D) -> (B,): the column of `scores` with the largest value."""
        return np.asarray(self.labels)[self.scores(x).argmax(axis=1)]


def fit_functionals_svm(
    train_x: ArrayLike, train_y: ArrayLike, validation_x: ArrayLike, validation_y: ArrayLike, seed: int
) -> FunctionalsSVM:
    """A support vector machine on standardised functionals; kernel and C are chosen by UAR on the validation items alone.

    Mean and scale come from the training fold. Classes weigh inversely to their number. Among equals the first tried wins: the linear
    kernel, then the smaller C. The chosen machine is not fitted again on training and validation together.

    Args:
        train_x: functionals of the training items, shape (N, D).
        train_y: their labels, shape (N,).
        validation_x: functionals of the validation items, shape (M, D).
        validation_y: their labels, shape (M,).
        seed: kept for equal calls with other systems; the solver draws nothing that changes the scores.

    Returns:
        The fitted machine; its `labels` are the sorted training labels.

    Raises:
        ValueError: fewer than two labels in training, or no validation item.
    """
    x, y = np.asarray(train_x, dtype=np.float64), np.asarray(train_y).astype(str)
    held, truth = np.asarray(validation_x, dtype=np.float64), np.asarray(validation_y).astype(str)
    if len(set(y)) < 2 or len(truth) == 0:
        raise ValueError(f"need two labels in training and a validation item, got {sorted(set(y))} and {len(truth)} items")
    tried: dict[tuple[str, float], float] = {}
    best: FunctionalsSVM | None = None
    for kernel in KERNELS:
        for c in C_VALUES:
            machine = make_pipeline(StandardScaler(), SVC(C=c, kernel=kernel, class_weight="balanced", random_state=seed)).fit(x, y)
            fitted = FunctionalsSVM(machine, tuple(machine.classes_), kernel, c, tried)
            tried[kernel, c] = uar(truth, fitted.predict(held))
            if best is None or tried[kernel, c] > tried[best.kernel, best.c]:
                best = fitted
    assert best is not None
    return best
