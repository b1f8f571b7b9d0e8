"""The sealed evaluator: the only code that sees the labels of the test side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from sercore.errors import LeakError

#: Leaks that need the test labels before the end.
_OPENING_LEAKS = ("validation_is_test", "tuned_on_test")


class SealedEvaluator:
    """Holds the test labels; scores predictions once.

    Args:
        items: rows of the item table that are tested, in the order in which predictions will come.
        label_column: column of the true labels.
        labels: the K classes, in the order of the score columns.
        leaks: leaks that the spec declares.

    Raises:
        ValueError: a test item has a label outside `labels`.
    """

    def __init__(self, items: pd.DataFrame, label_column: str, labels: Sequence[str], leaks: Sequence[str] = ()) -> None:
        if outside := sorted(set(items[label_column]) - set(labels)):
            raise ValueError(f"test labels outside the classes: {', '.join(outside)}")
        self._truth = items[label_column].to_numpy()
        self._items = items[["item_id", "speaker"]].reset_index(drop=True)
        self._labels = list(labels)
        self._leaks = tuple(leaks)
        self._used = False

    def __len__(self) -> int:
        return len(self._items)

    def reveal(self, leak: str) -> np.ndarray:
        """Class numbers of the test items, for a leak that needs them early.

        Args:
            leak: `validation_is_test` or `tuned_on_test`.

        Returns:
            Shape (N,), int64.

        Raises:
            LeakError: the spec does not declare that leak.
        """
        if leak not in _OPENING_LEAKS or leak not in self._leaks:
            raise LeakError(f"test labels are sealed: the spec does not declare the leak {leak!r}")
        return np.array([self._labels.index(t) for t in self._truth])

    def predictions(self, scores: np.ndarray, run_id: str, fold: int, seed: int) -> pd.DataFrame:
        """The prediction table, once.

        Args:
            scores: shape (N, K), any real scores; the largest is the prediction, the first of equal ones.
            run_id, fold, seed: written into every row.

        Returns:
            Columns `run_id, item_id, speaker, fold, seed, truth, prediction, score_<label>...`, one row a test item.

        Raises:
            LeakError: it was asked before, and no leak that needs this is declared.
            ValueError: the shape is wrong or a score is not finite (names the item).
        """
        if self._used and not set(self._leaks) & set(_OPENING_LEAKS):
            raise LeakError("the test side has been scored already: a second look would choose on it")
        scores = np.asarray(scores, dtype=np.float64)
        if scores.shape != (len(self), len(self._labels)):
            raise ValueError(f"scores have shape {scores.shape}, need {(len(self), len(self._labels))}")
        if not (finite := np.isfinite(scores).all(axis=1)).all():
            raise ValueError(f"scores of {self._items['item_id'][int(np.argmin(finite))]!r} are not finite")
        self._used = True
        table = self._items.assign(run_id=run_id, fold=fold, seed=seed, truth=self._truth)
        table["prediction"] = np.array(self._labels)[scores.argmax(axis=1)]
        table = table[["run_id", "item_id", "speaker", "fold", "seed", "truth", "prediction"]]
        return table.assign(**{f"score_{label}": scores[:, k] for k, label in enumerate(self._labels)})
