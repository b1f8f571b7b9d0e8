"""Per-dimension mean and deviation, fitted on a named set of items."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

#: Smallest variance a dimension is divided by (released notebook of ResLSTM-SA).
VARIANCE_FLOOR = 1e-8


@dataclass(frozen=True)
class Normaliser:
    """z = (x - mean) / deviation, per dimension.

    Attributes:
        mean: shape (d,), float64.
        deviation: shape (d,), float64, at least the root of VARIANCE_FLOOR.
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

    def apply(self, frames: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Normalised copies, float32, of the shapes given."""
        return [((f - self.mean) / self.deviation).astype(np.float32) for f in frames]
