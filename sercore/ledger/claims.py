"""What was published: the numbers and settings of the sources, which of our rows each is compared with, and where a source errs.

    claims.csv        one published number a row          settings.csv      one published setting a row
    map.csv           number or setting -> selector of our rows, or the check that computes ours from the code
    inconsistent.csv  numbers that their own source contradicts, and how
    recomputed.csv    every average and ratio of the sources, computed again from their own rows
    read.csv          contradictions in words, captions and equations

A setting has no name of its own in its file: it is called `source/system/setting`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import pandas as pd

from sercore.errors import SercoreError

#: Kinds of published number that a run has to measure; the others are facts that a check can hold.
MEASURED_KINDS = ("result", "statistic", "resource")
FACT_KINDS = ("architecture_fact", "hyperparameter", "dataset_fact")
SOURCES = ("thesis", "qat_waspaa2023", "faca2022", "reslstm2026", "humpcat2025")


class LedgerError(SercoreError):
    """A claim, a selector or a stored row that the ledger cannot read; the message names it."""


@dataclass(frozen=True)
class Selector:
    """One row of map.csv: what ours is for a published number.

    A measured number names the rows (corpus, task, system, settings, variant, protocol, split), the `metric` and the quantity: `statistic`
    is one of STATISTICS. A fact names a `check` instead.

    Attributes:
        settings, reference_settings: what tells runs of one system apart (`sercore.spec.RunSpec.settings`), empty where all are its own.
        reference: the system that a gain is over; for a mean, the one whose published value it is compared to.
        label: class of a recall or confusion; factor of a branch; beginning of the ids of the cells that a mean gain is over.
        predicted: class that `label` was taken for.
        published_runs: how many runs the published value is over.
        published_epochs: the longest schedule of the source; runs of ours with fewer epochs are of reduced size. 0: not compared.
        other: what is other than published about our rows whatever they score, so that they are never comparable; empty: nothing.
    """

    id: str
    corpus: str = ""
    task: str = ""
    system: str = ""
    settings: str = ""
    reference: str = ""
    reference_settings: str = ""
    variant: str = ""
    protocol: str = ""
    split: str = ""
    metric: str = ""
    statistic: str = ""
    label: str = ""
    predicted: str = ""
    published_runs: str = ""
    published_epochs: str = ""
    other: str = ""
    check: str = ""
    remark: str = ""


#: statistic -> what it is of the seeds of a group of runs
STATISTICS = {
    "mean": "mean over seeds",
    "maximum": "best seed",
    "gain": "mean of system minus that of reference",
    "mean_gain": "mean of such gains over the cells of a table: all rows of map.csv with a reference whose id begins with `label`",
    "mean_loss": "the same with the other sign",
    "recall": "of the class `label`",
    "confusion": "share of the class `label` that was taken for `predicted`",
    "train_accuracy": "accuracy of the training side at the chosen epoch, mean over folds and seeds",
    "validation_accuracy": "the same of the validation side",
    "usage": "share of output points won by the branch with the factor `label`",
}
METRICS = ("uar", "accuracy", "recall", "share")


def claims_folder() -> Path:
    """Folder of the published numbers: SERCORE_CLAIMS, or book/claims of the project.

    Raises:
        LedgerError: it is not there (an installed copy of the package without the project around it).
    """
    folder = Path(os.environ.get("SERCORE_CLAIMS") or Path(__file__).resolve().parents[2] / "book" / "claims")
    if not (folder / "claims.csv").is_file():
        raise LedgerError(f"no claims.csv in {folder.name}/: run from the project's folder, or set SERCORE_CLAIMS to its book/claims")
    return folder


@lru_cache
def _table(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / name, dtype=str, keep_default_na=False)


def load_claims(source: str | None = None) -> pd.DataFrame:
    """Every published number, all columns as text; `source` keeps one source.

    Raises:
        LedgerError: no source has that name (lists those there are).
    """
    return _one_source(_table(claims_folder(), "claims.csv"), source)


def printed(claim_id: str, decimals: int = 1) -> str:
    """A published number as prose prints it, so that no page types one.

    Args:
        claim_id: of `claims.csv`.
        decimals: digits after the point for fractions and percentages.

    Returns:
        Fractions and percentages as `62.3 %`, anything else as it was printed.

    Raises:
        LedgerError: no number has that id.

    Example:
        >>> printed("reslstm.t1.reslstm-sa-h64.uar-mean")
        '62.3 %'
    """
    rows = load_claims()
    rows = rows[rows["claim_id"] == claim_id]
    if rows.empty:
        raise LedgerError(f"no published number has the id {claim_id!r}")
    value, unit = rows[["value", "unit"]].iloc[0]
    scale = {"fraction": 100, "percent": 1}.get(unit)
    return value if scale is None else f"{scale * float(value):.{decimals}f} %"


def load_settings(source: str | None = None) -> pd.DataFrame:
    """Every published setting, with its `id`, all columns as text; `source` keeps one source."""
    table = _table(claims_folder(), "settings.csv")
    return _one_source(table.assign(id=table["source"] + "/" + table["system"] + "/" + table["setting"]), source)


def load_map() -> dict[str, Selector]:
    """Selectors by the id of their number or setting.

    Raises:
        LedgerError: an id stands twice, a row has neither a statistic nor a check, or both, or asks for an unknown one.
    """
    selectors: dict[str, Selector] = {}
    for row in _table(claims_folder(), "map.csv").to_dict("records"):
        selector = Selector(**{f.name: row[f.name] for f in fields(Selector)})
        if selector.id in selectors:
            raise LedgerError(f"map.csv has {selector.id} twice")
        if bool(selector.statistic) == bool(selector.check):
            raise LedgerError(f"map.csv: {selector.id} needs either a statistic or a check")
        if selector.statistic and selector.statistic not in STATISTICS:
            raise LedgerError(f"map.csv: {selector.id} asks for {selector.statistic!r}; known: {', '.join(STATISTICS)}")
        if selector.statistic and selector.metric not in METRICS:
            raise LedgerError(f"map.csv: {selector.id} is in the metric {selector.metric!r}; known: {', '.join(METRICS)}")
        selectors[selector.id] = selector
    return selectors


def load_contradictions() -> dict[str, str]:
    """How a source contradicts its own number, by id."""
    table = _table(claims_folder(), "inconsistent.csv")
    return dict(zip(table["claim_id"], table["reason"], strict=True))


def load_readings() -> pd.DataFrame:
    """Contradictions in the words of a source, found by reading: `source, place, what, printed, conflict, consequence`."""
    return _table(claims_folder(), "read.csv")


def number(printed: str) -> float | None:
    """The value of a printed number: 46.8e3, 1/2, 2:47 (hours and minutes, or minutes and seconds: in the smaller unit); else None.

    Example:
        >>> number("46.8e3"), number("3/4"), number("5:12"), number("3x3")
        (46800.0, 0.75, 312.0, None)
    """
    if re.fullmatch(r"-?\d+(\.\d*)?(e-?\d+)?", printed):
        return float(printed)
    if re.fullmatch(r"\d+/\d+", printed):
        return float(Fraction(printed))
    if match := re.fullmatch(r"(\d+):(\d\d)", printed):
        return 60.0 * int(match[1]) + int(match[2])
    return None


def agrees(ours: float, printed: str, note: str = "") -> bool:
    """Whether our number is what was printed, to the digits that were printed.

    `relation=lt` or `gt` in the note makes the printed number a bound; `approximate` allows a tenth of it.

    Example:
        >>> agrees(27988, "28.0e3"), agrees(29384, "28.3e3"), agrees(46772, "50e3", "relation=lt")
        (True, False, True)
    """
    published = number(printed)
    if published is None:
        return False
    if "relation=lt" in note:
        return ours < published
    if "relation=gt" in note:
        return ours > published
    if "approximate" in note:
        return abs(ours - published) <= 0.1 * abs(published)
    mantissa, _, exponent = printed.partition("e")
    step = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2])) if "/" not in printed and ":" not in printed else 0.0
    return abs(ours - published) <= step / 2 + 1e-9 * abs(published)


def _one_source(table: pd.DataFrame, source: str | None) -> pd.DataFrame:
    if source is None:
        return table
    if source not in SOURCES:
        raise LedgerError(f"no source is called {source!r}; known: {', '.join(SOURCES)}")
    return table[table["source"] == source].reset_index(drop=True)
