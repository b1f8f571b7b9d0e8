"""The published numbers as numbers: rows by their columns, gains over their baseline, and how each was printed."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from sercore.ledger.claims import LedgerError, load_claims, number


class Printed:
    """Every published number, by its id, as printed and as a value.

    Args:
        claims: rows as `sercore.ledger.claims.load_claims` gives them; None takes those of the project.

    Raises:
        LedgerError: an id stands twice.
    """

    def __init__(self, claims: pd.DataFrame | None = None) -> None:
        table = load_claims() if claims is None else claims
        if not table["claim_id"].is_unique:
            twice = table.loc[table["claim_id"].duplicated(), "claim_id"].iloc[0]
            raise LedgerError(f"claims.csv has {twice} twice")
        self.values = {i: number(text) for i, text in zip(table["claim_id"], table["value"], strict=True)}
        x = table["claim_id"].map(self.values).astype(float)
        self.table = table.assign(x=x, gain=x - table["compared_to"].map(self.values).astype(float))
        self._texts = dict(zip(table["claim_id"], table["value"], strict=True))

    def __getitem__(self, claim_id: str) -> float:
        """The value of one number; 5:12 is in the smaller unit.

        Raises:
            LedgerError: no number has that id, or it is none (a shape, say).
        """
        value = self.values.get(claim_id)
        if value is None:
            raise LedgerError(f"no published number has the id {claim_id!r}")
        return value

    def text(self, claim_id: str) -> str:
        """One number as it was printed. Errors as for a value."""
        if claim_id not in self._texts:
            raise LedgerError(f"no published number has the id {claim_id!r}")
        return self._texts[claim_id]

    def rows(self, **columns: str | Sequence[str]) -> pd.DataFrame:
        """Rows whose columns have these values (one, or any of several), with `x` their value and `gain` over their baseline.

        Raises:
            LedgerError: nothing matches, so that an average of nothing is never taken.
        """
        chosen = self.table
        for column, wanted in columns.items():
            chosen = chosen[chosen[column].isin([wanted] if isinstance(wanted, str) else list(wanted))]
        if chosen.empty:
            raise LedgerError(f"no published number has {', '.join(f'{k} {v}' for k, v in columns.items())}")
        return chosen


def best_minus_best(rows: pd.DataFrame, ours: pd.Series) -> float:
    """Best value of the rows marked in `ours` minus the best of the others."""
    return float(rows.loc[ours, "x"].max() - rows.loc[~ours, "x"].max())


def shape(text: str) -> tuple[int, ...]:
    """A printed shape: 1x64x126x129.

    Example:
        >>> shape("1x64x126x129")
        (1, 64, 126, 129)
    """
    return tuple(int(part) for part in text.split("x"))
