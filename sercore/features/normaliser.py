"""Mean and deviation, or largest value, fitted on a named set of items: per dimension, or one number for all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Smallest variance a dimension is divided by (released notebook of ResLSTM-SA).
VARIANCE_FLOOR = 1e-8


@dataclass(frozen=True)
class Normaliser:
    """z = (x - mean) / deviation, per dimension, or with one number for all.

    Attributes:
        mean: shape (d,), or (1,) for all dimensions together; float64.
        deviation: shape as mean, float64; at least the root of VARIANCE_FLOOR where it was fitted as a deviation.
    """

    mean: np.ndarray
    deviation: np.ndarray

    @classmethod
    def fit(cls, frames: Sequence[np.ndarray]) -> Normaliser:
        """Moments over all frames of all items given: give it the training side only.

        Args:
            frames: one array an item, shape (T_i, d).

        Returns:
            The fitted normaliser.

        Raises:
            ValueError: no item is given.

        Differs from the paper: nothing it states. The authors' code takes all items, test speakers included (leak `global_normaliser`).
        """
        if not frames:
            raise ValueError("no item to fit the normaliser on")
        count = sum(len(f) for f in frames)
        mean = sum(f.sum(axis=0, dtype=np.float64) for f in frames) / count
        variance = sum(((f - mean) ** 2).sum(axis=0) for f in frames) / count
        return cls(mean, np.sqrt(np.maximum(variance, VARIANCE_FLOOR)))

    @classmethod
    def fit_scalar(cls, frames: Sequence[np.ndarray]) -> Normaliser:
        """One mean and one deviation over all bins of all items given (thesis ch. 4; ch. 5 to 7 as "z-score"): the training side only.

        Args:
            frames: one array an item, shape (T_i, F), or (S_i, T, F) of segments.

        Returns:
            The fitted normaliser, mean and deviation of shape (1,).

        Raises:
            ValueError: no item is given.
        """
        if not frames:
            raise ValueError("no item to fit the normaliser on")
        count = sum(f.size for f in frames)
        mean = sum(f.sum(dtype=np.float64) for f in frames) / count
        variance = sum(((f - mean) ** 2).sum(dtype=np.float64) for f in frames) / count
        return cls(np.array([mean]), np.sqrt(np.maximum([variance], VARIANCE_FLOOR)))

    @classmethod
    def fit_maximum(cls, frames: Sequence[np.ndarray]) -> Normaliser:
        """Division by the largest value of all items given (thesis ch. 5 to 7, "0-1"): the training side only.

        Values of the other sides may then exceed 1; they are not clipped.

        Args:
            frames: one array an item, shape (T_i, F), or (S_i, T, F) of segments, at least 0.

        Returns:
            The fitted normaliser: mean 0, deviation the largest value, both of shape (1,).

        Raises:
            ValueError: no item is given, or no value is above 0.
        """
        largest = max((float(f.max(initial=0)) for f in frames), default=0.0)
        if largest <= 0:
            raise ValueError("no value above 0 to divide by: the items given are none, empty or silent")
        return cls(np.zeros(1), np.array([largest]))

    def apply(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Normalised copies, float32, of the shapes given."""
        return [((f - self.mean) / self.deviation).astype(np.float32) for f in frames]
