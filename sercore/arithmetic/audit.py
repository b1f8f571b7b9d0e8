"""The published numbers, and everything that is computed from them, each part once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from sercore.arithmetic import accuracies, columns, papers, places, splits, statements, thesis_3_to_5, thesis_6_and_7
from sercore.arithmetic.rows import Printed

CHAPTERS = (
    thesis_3_to_5.chapter_3, thesis_3_to_5.chapter_4, thesis_3_to_5.chapter_5, thesis_6_and_7.chapter_6, thesis_6_and_7.chapter_7,
    thesis_6_and_7.waspaa, papers.faca, papers.reslstm, papers.humpcat,
)  # fmt: skip


@dataclass(frozen=True)
class Audit:
    """The published numbers and everything computed from them; each part once, when it is asked for.

    Args:
        claims: rows of claims.csv; None takes those of the project.

    Raises:
        LedgerError: a number that a computation needs is not there.
    """

    claims: pd.DataFrame | None = None

    @cached_property
    def printed(self) -> Printed:
        """The printed numbers that everything here was computed from."""
        return Printed(self.claims)

    @cached_property
    def readings(self) -> pd.DataFrame:
        """Every reading of every statement (`statements.table`)."""
        return statements.table(reading for chapter in CHAPTERS for reading in chapter(self.printed))

    @cached_property
    def statements(self) -> pd.DataFrame:
        """One row a statement (`statements.by_statement`)."""
        return statements.by_statement(self.readings)

    @cached_property
    def accuracies(self) -> pd.DataFrame:
        """Every printed accuracy of a table (`accuracies.accuracies`)."""
        return accuracies.accuracies(self.printed)

    @cached_property
    def grids(self) -> pd.DataFrame:
        """One row a group of accuracies (`accuracies.fits`)."""
        return accuracies.fits(self.printed, self.accuracies)

    @cached_property
    def parameters(self) -> pd.DataFrame:
        """Parameter counts of Tables 7.2 to 7.5 as printed (`columns.parameter_columns`)."""
        return columns.parameter_columns(self.printed)

    @cached_property
    def twins(self) -> pd.DataFrame:
        """Chapter 7 baselines beside chapter 6 (`columns.chapter_6_twins`)."""
        return columns.chapter_6_twins(self.printed)

    @cached_property
    def splits(self) -> pd.DataFrame:
        """Stated splits against speakers (`splits.checks`)."""
        return splits.checks(self.printed)

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """Numbers that stand in two places (`places.pairs`)."""
        return places.pairs(self.printed)

    @cached_property
    def corpus_facts(self) -> pd.DataFrame:
        """Facts of corpora that places state differently (`places.corpus_facts`)."""
        return places.corpus_facts(self.printed)
