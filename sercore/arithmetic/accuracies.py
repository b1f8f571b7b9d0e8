"""Every table of printed accuracies, group by group: which test-set sizes it is consistent with.

A group is what can share a test set: one table, corpus, split, side (train, val, test) and metric; in the anti-transfer tables the rows
with and without AT apart, in the ResLSTM table means and maxima over seeds apart. Values that a source only cites are left out.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm
from typing import Any

import pandas as pd

from sercore.arithmetic.granularity import Fit, decimals_of, on_grid, smallest_fit
from sercore.arithmetic.rows import Printed
from sercore.data.card import load_card

METRICS = ("accuracy", "wa", "ua", "uar")
#: Metrics that are means of recalls: their grid is that of accuracy only where classes are equally large.
OF_RECALLS = ("ua", "uar")
SIZE_METRICS = ("n_utterances", "n_datapoints", "n_images")
#: Stated number of folds that a printed value is the mean of.
FOLDS = {
    ("thesis", "kfold"): "thesis.set.mts.n-folds",
    ("faca2022", "IEMOCAP"): "faca.set.mhsa-faca.iemocap-folds",
    ("faca2022", "RAVDESS"): "faca.set.mhsa-faca.ravdess-folds",
    ("humpcat2025", "IEMOCAP"): "humpcat.set.hump-cat.iemocap-folds",
}
KEYS = ["source", "locator", "corpus", "split", "subset", "metric", "rows"]


def accuracies(printed: Printed) -> pd.DataFrame:
    """The printed accuracies of all tables with `percent` (digits in per cent), `rows` (their block) and `decimals` (of their column)."""
    table = printed.table
    chosen = table[table["metric"].isin(METRICS) & (table["kind"] == "result") & (table["system"] != "external")]
    chosen = chosen[chosen["locator"].str.match(r"Table \S+$") & chosen["unit"].isin(["percent", "fraction"])]
    chosen = chosen.assign(percent=[_percent(v, u) for v, u in zip(chosen["value"], chosen["unit"], strict=True)])
    chosen = chosen.assign(rows=[_block(row) for row in chosen.to_dict("records")])
    columns = chosen.groupby(["source", "locator", "metric", "subset", "split", "corpus"], sort=False)["percent"]
    return chosen.assign(decimals=columns.transform(lambda texts: decimals_of(list(texts))))


def fits(printed: Printed, rows: pd.DataFrame) -> pd.DataFrame:
    """One row a group: what it is, and what its numbers are consistent with.

    Args:
        printed: all numbers.
        rows: of `accuracies`.

    Returns:
        Columns KEYS, `fit` (a `granularity.Fit`), `outcome`, `size`, `folds` (stated; 1 where none) and `size_a_fold`: where the size is a
        multiple of the number of folds averaged, the size of one.
    """
    sizes, lines = corpus_sizes(printed), []
    for key, members in rows.groupby(KEYS, sort=False):
        named: dict[str, Any] = dict(zip(KEYS, key, strict=True))
        decimals = int(members["decimals"].iloc[0])
        largest = min(sizes.get(named["corpus"], 10**9), 10 ** (decimals + 2))  # beyond it every number lies on every grid
        grid = expected_grid(named) if named["rows"] == "maximum of seeds" else None
        fit = smallest_fit(list(members["percent"]), max(largest, grid or 0), decimals)
        folds = _folds(printed, named)
        part = fit.size // folds if fit.size and fit.size % folds == 0 else None
        lines.append({**named, "fit": fit, "outcome": fit.outcome, "size": fit.size, "folds": folds, "size_a_fold": part})
    return pd.DataFrame(lines)


def corpus_sizes(printed: Printed) -> dict[str, int]:
    """The largest number of recordings that any source states for a corpus; no test set can be larger."""
    rows = printed.table[printed.table["metric"].isin(SIZE_METRICS)].dropna(subset=["x"])
    return {str(corpus): int(size) for corpus, size in rows.groupby("corpus")["x"].max().items() if corpus}


def expected_grid(named: dict[str, Any]) -> int | None:
    """Denominator of the mean of recalls over a whole corpus, from its card: classes times the least common multiple of their sizes.

    Example:
        >>> expected_grid({"metric": "uar", "corpus": "RAVDESS"})
        1536
    """
    if named["metric"] not in OF_RECALLS or named["corpus"] != "RAVDESS":
        return None
    emotions = load_card("ravdess").emotions
    return len(emotions) * lcm(*emotions.values())


def group(table: pd.DataFrame, /, **columns: str) -> pd.DataFrame:
    """Rows of `accuracies` whose columns have these values."""
    for column, value in columns.items():
        table = table[table[column] == value]
    return table


def off_grid(members: pd.DataFrame, n: int) -> pd.DataFrame:
    """Those rows of one group of `accuracies` that cannot be multiples of 1/n, rounded or truncated."""
    good = on_grid(list(members["percent"]), n, int(members["decimals"].iloc[0])) if len(members) else []
    return members[[not fits_n for fits_n in good]]


def share_on_grid(texts: list[str], decimals: int, sizes: range) -> list[float]:
    """For each size the share of the numbers that lie on its grid (rounded or truncated); for figures."""
    return [sum(on_grid(texts, n, decimals)) / len(texts) for n in sizes]


def fit_in_words(fit: Fit) -> str:
    """One cell of a table.

    Example:
        >>> from sercore.arithmetic.granularity import smallest_fit
        >>> fit_in_words(smallest_fit(["69.0", "63.7"], 5531))
        'does not decide (2 numbers of 1 decimal)'
    """
    said = f"{fit.numbers} number{'s' * (fit.numbers != 1)} of {fit.decimals} decimal{'s' * (fit.decimals != 1)}"
    words = {
        "consistent with one size": f"multiples of 1/{fit.size}",
        "no single size": f"no single size up to {fit.largest}",
        "does not decide": f"does not decide ({said})",
    }[fit.outcome]
    return words + (f"; {round(fit.best_share * fit.numbers)} of {fit.numbers} are multiples of 1/{fit.most}" if fit.most else "")


def _percent(value: str, unit: str) -> str:
    """Digits in per cent: 0.6517 of a fraction is 65.17."""
    if unit == "percent":
        return value
    places = max(len(value.partition(".")[2]) - 2, 0)
    return f"{float(100 * Fraction(value)):.{places}f}"


def _block(row: dict[str, Any]) -> str:
    if row["source"] == "qat_waspaa2023" or row["locator"] in ("Table 7.2", "Table 7.3", "Table 7.4", "Table 7.5"):
        return "AT" if row["at_type"] else "no AT"
    if "aggregate=max" in row["note"]:
        return "maximum of seeds"
    return "mean of seeds" if "aggregate=mean" in row["note"] else "all"


def _folds(printed: Printed, named: dict[str, Any]) -> int:
    claim = FOLDS.get((named["source"], named["split"])) or FOLDS.get((named["source"], named["corpus"]))
    return int(printed[claim]) if claim else 1
