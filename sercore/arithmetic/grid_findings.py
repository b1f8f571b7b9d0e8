"""Findings that rest on the grids of printed accuracies: inferences from two decimals, each with the numbers that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from sercore.arithmetic.accuracies import corpus_sizes, group, off_grid
from sercore.arithmetic.audit import Audit
from sercore.data.card import load_card

ARITHMETIC = "arithmetic"
DECIMALS = "inference from printed decimals"
CORPUS = "fact about the corpus"
READING = "reading"


def finding(
    where: pd.DataFrame, ids: tuple[str, ...], kind: str, what: str, printed: str, ours: str, basis: str, consequence: str, place: str = ""
) -> dict[str, Any]:
    """One row of the findings; `where` is claims.csv by id, source and place are those of the first number."""
    at = where.loc[ids[0]]
    return {"source": at["source"], "place": place or at["locator"], "kind": kind, "what": what, "printed": printed, "ours": ours,
            "basis": basis, "consequence": consequence, "ids": ids}  # fmt: skip


def grids(audit: Audit) -> Iterator[dict[str, Any]]:
    """Sizes that the grids suggest, where they say something that the text does not."""
    where, accuracies = audit.printed.table.set_index("claim_id"), audit.grids
    sizes = accuracies[
        (accuracies["source"] == "thesis") & (accuracies["size"].notna()) & (accuracies["outcome"] == "consistent with one size")
    ]
    for row in sizes[(sizes["subset"] == "test") & sizes["locator"].str.match(r"Table [67]")].to_dict("records"):
        yield from _other_grid(audit, where, row)
        yield from _share(audit, where, row)
    most = accuracies[[fit.most is not None for fit in accuracies["fit"]]]
    for row in most.to_dict("records"):
        off = off_grid(group(audit.accuracies, **_named(row)), row["fit"].most)
        ours = f"{row['fit'].best_share:.0%} of the different numbers are multiples of 1/{row['fit'].most}; {len(off)} cells are not"
        what = f"{row['corpus']}, {row['split']} split, {row['rows']}: most accuracies share a grid, some do not"
        shown = ", ".join(off["value"])
        note = "the exceptions may come from another test set or from batches of unequal size"
        yield finding(where, tuple(off["claim_id"]), "grid", what, shown, ours, DECIMALS, note)
    yield from _one_speaker(audit, where)


def _other_grid(audit: Audit, where: pd.DataFrame, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Rows without AT that do not lie on the grid of the AT rows beside them."""
    if row["rows"] != "AT":
        return
    size = int(row["size"])
    beside = group(audit.accuracies, **(_named(row) | {"rows": "no AT"}))
    off, n = off_grid(beside, size), len(beside)
    if off.empty:
        return
    what = f"{row['corpus']}, {row['split']} split: {len(off)} of {n} accuracies without AT are off the grid of the AT accuracies"
    shown = ", ".join(off["value"])
    ours = f"all {row['fit'].numbers} different AT accuracies are multiples of 1/{size}, these are not"
    note = "gains of AT on this split compare other test sets or other averaging: measure both again on one test set"
    yield finding(where, tuple(off["claim_id"]), "grid", what, shown, ours, DECIMALS, note)


def _share(audit: Audit, where: pd.DataFrame, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Sizes larger than the stated share of the largest stated corpus, half as much again allowed."""
    total = corpus_sizes(audit.printed)[row["corpus"]]
    stated = audit.printed["thesis.set.qat.split-test" if row["locator"] > "Table 7" else "thesis.set.rhemo-ser.split-test"]
    if row["size"] <= 1.5 * stated / 100 * total or row["split"] != "random" or row["rows"] == "no AT":
        return
    ids = tuple(audit.printed.rows(source="thesis", locator=row["locator"], metric="accuracy", split="random", subset="test")["claim_id"])
    what = f"{row['corpus']}, random split, {row['rows']} rows: smallest size consistent with the accuracies"
    ours = f"1/{row['size']:.0f}, {row['size'] / total:.0%} of the {total} recordings"
    note = "the test share is not what the text says, or accuracies are averages of batches: the split has to be found, not copied"
    yield finding(where, ids, "grid", what, f"{stated:.0f} % test", ours, DECIMALS, note)


def _one_speaker(audit: Audit, where: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """RAVDESS: 60 recordings are one actor."""
    table, each = audit.grids, set(load_card("ravdess").speakers.values())
    rows = table[(table["corpus"] == "RAVDESS") & (table["split"] == "speaker") & (table["locator"] == "Table 7.3")]
    if len(each) != 1 or not any({fit.size, fit.most} & each for fit in rows["fit"]):
        return
    ids = tuple(audit.printed.rows(locator="Table 7.3", metric="accuracy", split="speaker")["claim_id"])
    n = each.pop()
    fitting = len(ids) - len(off_grid(group(audit.accuracies, source="thesis", locator="Table 7.3", split="speaker"), n))
    what = "RAVDESS, actor split: the accuracies are consistent with one test actor"
    ours = f"{fitting} of {len(ids)} are multiples of 1/{n}; each actor has {n} recordings, and a tenth of 24 actors would be two or three"
    note = f"one recording is {100 / n:.2f} points: differences of a few points are a few recordings of one person"
    yield finding(where, ids, "grid", what, "10 % test", ours, DECIMALS, note)


def _named(row: dict[str, Any]) -> dict[str, str]:
    return {key: row[key] for key in ("source", "locator", "corpus", "split", "subset", "metric", "rows")}
