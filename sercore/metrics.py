"""Scores of a prediction: pure functions of (truth, prediction), or of the counts that suffice for them.

Every score of the study comes from here, and from whole prediction tables: never from the mean of batch scores. scikit-learn has the
same formulas, but answers 0 (with a warning) for a class that the truth lacks; here that is an error, or a declared choice.
NaN stays NaN: a label that is NaN is an error, a count that is NaN makes the score NaN, never a miss and never a class left out.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Absent = Literal["raise", "skip", "nan"]


def accuracy(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Share of the items whose class is right; the speech literature's WA ("weighted accuracy").

    Args:
        truth: labels, shape (B,).
        prediction: labels, shape (B,).

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: the shapes differ, there is no item, or a label is NaN.

    Example:
        >>> accuracy(["joy", "joy", "fear"], ["joy", "fear", "fear"]) == 2 / 3
        True
    """
    t, p = _pair(truth, prediction)
    return float((t == p).mean())


def uar(truth: ArrayLike, prediction: ArrayLike, labels: Sequence[Any] | None = None) -> float:
    """Unweighted average recall: the mean over classes of the share of each class that is found; the literature's UA.

        UAR = 1/K sum_k  n_kk / n_k        (n_kk: items of class k called k; n_k: items of class k)

    Args:
        truth: labels, shape (B,).
        prediction: labels, shape (B,).
        labels: the K classes to average over; None: those that occur in `truth`. A prediction outside them is a miss.

    Returns:
        A fraction in [0, 1]; 1 / K for a constant prediction.

    Raises:
        ValueError: the shapes differ, there is no item, a label is NaN, a class of `labels` has no item in `truth`, or `truth` has
            another class.

    Example:
        >>> uar(["joy", "joy", "joy", "fear"], ["joy"] * 4)
        0.5
    """
    t, p = _pair(truth, prediction)
    classes = _classes(t, labels)
    return float(uar_from_counts(_count(t, p, classes, other=True)[:-1], labels=classes))


def f1_macro(truth: ArrayLike, prediction: ArrayLike, labels: Sequence[Any] | None = None) -> float:
    """Mean over classes of F1, the harmonic mean of precision and recall.

        F1_k = 2 n_kk / (n_k + m_k)        (n_k: items of class k; m_k: items called k)

    A class that is never predicted has F1 = 0: that is measured, not undefined.

    Args:
        truth: labels, shape (B,).
        prediction: labels, shape (B,).
        labels: the K classes to average over; None: those that occur in `truth`. A prediction outside them is a miss.

    Returns:
        A fraction in [0, 1].

    Raises:
        ValueError: as for `uar`.

    Example:
        >>> round(f1_macro([0, 0, 1, 1], [0, 1, 1, 1]), 3)
        0.733
    """
    t, p = _pair(truth, prediction)
    counts = _count(t, p, classes := _classes(t, labels), other=True)
    _refuse_absent(counts[:-1].sum(axis=1), classes)
    return float(_f1(counts)[:-1].mean())


def confusion(truth: ArrayLike, prediction: ArrayLike, labels: Sequence[Any] | None = None) -> NDArray[np.int64]:
    """Count matrix: rows are the truth, columns the prediction, both in the order of `labels`.

    Args:
        truth: labels, shape (B,).
        prediction: labels, shape (B,).
        labels: the K classes in order; None: all that occur in either, sorted.

    Returns:
        Counts, shape (K, K); they add up to B.

    Raises:
        ValueError: the shapes differ, there is no item, a label is NaN, or an item's class is not among `labels` (it could not be shown).

    Example:
        >>> confusion([0, 0, 1], [0, 1, 1]).tolist()
        [[1, 1], [0, 1]]
    """
    t, p = _pair(truth, prediction)
    classes = _classes(t, np.union1d(t, p).tolist() if labels is None else labels)
    if strangers := sorted(set(p.tolist()) - set(classes)):
        raise ValueError(f"predictions hold classes that are not among labels: {strangers}; add them to labels")
    return _count(t, p, classes)


def recalls_from_counts(counts: ArrayLike) -> NDArray[np.float64]:
    """Recall of each class from count matrices, shape (..., K, K or more) -> (..., K); NaN where there is no item or a NaN."""
    matrix = np.asarray(counts, dtype=float)
    found, items = np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(axis=-1)  # a further column is "some other class"
    return np.divide(found, items, out=np.full(items.shape, np.nan), where=items > 0)


def accuracy_from_counts(counts: ArrayLike) -> float | NDArray[np.float64]:
    """Accuracy from count matrices (rows truth), shape (..., K, K) -> (...); a matrix without items is a ValueError."""
    matrix = np.asarray(counts, dtype=float)
    items = matrix.sum(axis=(-2, -1))
    if (items == 0).any():
        raise ValueError("accuracy of no items: a count matrix is all zeros")
    return _scalar(np.trace(matrix, axis1=-2, axis2=-1) / items)


def uar_from_counts(counts: ArrayLike, absent: Absent = "raise", labels: Sequence[Any] | None = None) -> float | NDArray[np.float64]:
    """Unweighted average recall from count matrices, one or many at once.

    Args:
        counts: rows truth, columns prediction, shape (..., K, K); columns beyond K count as misses.
        absent: what a class without items does. `raise`: an error. `skip`: the mean is over the classes that are there (as for one
            speaker who did not record every emotion). `nan`: the value is NaN.
        labels: names of the classes, for the message.

    Returns:
        Fractions in [0, 1], shape (...); a plain float for one matrix. A matrix without any item gives NaN under `skip`.

    Raises:
        ValueError: a class has no item and `absent` is `raise`; the message names the class.

    Example:
        >>> uar_from_counts([[3, 1], [0, 4]])
        0.875
        >>> uar_from_counts([[3, 1], [0, 0]], absent="skip")
        0.75
    """
    recalls = recalls_from_counts(counts)
    missing = np.asarray(counts, dtype=float).sum(axis=-1) == 0
    if absent == "raise":
        _refuse_absent(np.all(~missing.reshape(-1, missing.shape[-1]), axis=0), labels)
    if absent == "nan":
        return _scalar(recalls.mean(axis=-1))
    present = (~missing).sum(axis=-1)
    total = np.where(missing, 0.0, recalls).sum(axis=-1)
    return _scalar(np.divide(total, present, out=np.full(np.shape(total), np.nan), where=present > 0))


def f1_macro_from_counts(counts: ArrayLike, labels: Sequence[Any] | None = None) -> float:
    """Macro F1 from one count matrix (rows truth), shape (K, K); a class without items is a ValueError that names it."""
    matrix = np.asarray(counts, dtype=float)
    _refuse_absent(matrix.sum(axis=1), labels)
    return float(_f1(matrix).mean())


def ccc(truth: ArrayLike, prediction: ArrayLike) -> float:
    """Concordance correlation coefficient: a correlation that is also lowered by a shift or a stretch between the curves.

        CCC = 2 cov(t, p) / (var(t) + var(p) + (mean(t) - mean(p))^2)      (Lin 1989; thesis Eq. 3.1, p. 37)

    Symbols: the thesis' rho sigma_x sigma_y = cov, sigma^2 = var, mu = mean. Moments divide by n, as the OMG-Empathy scorer's do.

    Args:
        truth: the annotated curve, shape (T,).
        prediction: the predicted curve, shape (T,).

    Returns:
        A value in [-1, 1], 1 only for equal curves; NaN where both are one and the same constant (nothing to agree about).

    Raises:
        ValueError: the shapes differ, the curves are empty, or a frame is not finite (the message names it).

    Differs from the paper: nothing.

    Example:
        >>> ccc([0.0, 1.0], [1.0, 0.0])
        -1.0
    """
    t, p = np.asarray(truth, dtype=float), np.asarray(prediction, dtype=float)
    if t.ndim != 1 or t.shape != p.shape or t.size == 0:
        raise ValueError(f"ccc needs two curves of the same non-zero length, got shapes {t.shape} and {p.shape}")
    if (bad := np.flatnonzero(~(np.isfinite(t) & np.isfinite(p)))).size:
        raise ValueError(f"ccc needs finite values, frame {bad[0]} is not")
    distance = t.var() + p.var() + (t.mean() - p.mean()) ** 2
    return float(2 * np.mean((t - t.mean()) * (p - p.mean())) / distance) if distance > 0 else float("nan")


def _pair(truth: ArrayLike, prediction: ArrayLike) -> tuple[NDArray, NDArray]:
    t, p = np.asarray(truth), np.asarray(prediction)
    for name, values in (("truth", t), ("prediction", p)):
        if values.dtype.kind == "f" and np.isnan(values).any():
            raise ValueError(f"{name} holds NaN: no label, so neither right nor wrong")
    if t.ndim != 1 or t.shape != p.shape or t.size == 0:
        raise ValueError(f"need one truth and one prediction for each of at least one item, got shapes {t.shape} and {p.shape}")
    return t, p


def _classes(truth: NDArray, labels: Sequence[Any] | None) -> list:
    if labels is None:
        return np.unique(truth).tolist()
    classes = list(labels)
    if len(set(classes)) != len(classes):
        raise ValueError(f"labels hold a class twice: {classes}")
    if strangers := sorted(set(truth.tolist()) - set(classes)):
        raise ValueError(f"truth holds classes that are not among labels: {strangers}; add them, or leave these items out")
    return classes


def _count(truth: NDArray, prediction: NDArray, classes: list, other: bool = False) -> NDArray[np.int64]:
    """Counts in the order of `classes`; with `other`, one more row and column for predictions outside them."""
    position = {label: k for k, label in enumerate(classes)}
    size = len(classes) + other
    rows = np.array([position[t] for t in truth.tolist()])
    columns = np.array([position.get(p, len(classes)) for p in prediction.tolist()])
    return np.bincount(rows * size + columns, minlength=size * size).reshape(size, size)


def _f1(counts: NDArray) -> NDArray[np.float64]:
    both = counts.sum(axis=0) + counts.sum(axis=1)
    return np.divide(2 * np.diagonal(counts), both, out=np.zeros(len(both)), where=both != 0)


def _refuse_absent(items: ArrayLike, labels: Sequence[Any] | None) -> None:
    if empty := np.flatnonzero(np.asarray(items) == 0).tolist():
        names = [labels[k] for k in empty] if labels is not None else [f"row {k}" for k in empty]
        raise ValueError(f"no item of class {', '.join(map(str, names))} in the truth: its recall is undefined; leave it out of labels")


def _scalar(value: Any) -> float | NDArray[np.float64]:
    return float(value) if np.ndim(value) == 0 else value
