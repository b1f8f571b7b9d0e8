"""Tables and sentences of the page on the sources' own arithmetic."""

from __future__ import annotations

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd

from sercore import provenance
from sercore.arithmetic import Audit, columns
from sercore.arithmetic.accuracies import corpus_sizes, fit_in_words
from sercore.arithmetic.findings import BASES, KINDS, beside_the_ledger
from sercore.arithmetic.statements import FAILS, FOLLOWS, OFF
from sercore.ledger.claims import SOURCES, load_contradictions
from sercore.ledger.page import SearchableTable
from sercore.pages import tables
from sercore.provenance import Shown, Table

#: Kinds whose `ours` is a value and then the readings that were tried.
AVERAGES = ("does not follow", "off by rounding")


def answer(audit: Audit, found: pd.DataFrame) -> str:
    """The page in a few sentences.

    Args:
        audit: of all numbers.
        found: of `findings`, all sources.
    """
    counts = audit.statements["claim_verdict"].value_counts()
    off = int((found["kind"].eq("grid") & found["what"].str.contains("off the grid")).sum())
    equal, impossible = int(audit.twins["equal"].sum()), int((~audit.splits["possible"]).sum())
    return (
        f"Not in full. Of {len(audit.statements)} averages, ratios, counts and p values that can be computed again from printed rows, "
        f"{counts.get(FOLLOWS, 0)} follow, {counts.get(OFF, 0)} are off by rounding or truncation, {counts.get(FAILS, 0)} do not follow. "
        f"In {off} of 4 corpora random-split accuracies with quaternion anti-transfer and those without lie on different grids; "
        f"{equal} of {len(audit.twins)} of the latter are another chapter's values; {impossible} stated splits cannot be made as described."
    )


def verdict(audit: Audit, found: pd.DataFrame) -> str:
    """What the ledger makes of it, and whether the two pages agree. Arguments as `answer`."""
    ledger, bases = beside_the_ledger(audit, found), found["basis"].value_counts()
    parts = ", ".join(f"{bases.get(basis, 0)} {basis}" for basis in BASES)
    agree = "The two pages agree: every statement that does not follow is among them." if not ledger["missing"] else (
        f"{ledger['missing']} statements that do not follow are not among them."
    )  # fmt: skip
    return (
        f"{len(found)} findings: {parts}. The ledger calls {ledger['listed']} numbers and settings *inconsistent*; {ledger['computed']} of "
        f"them are in a finding computed on this page, {ledger['read']} in one found by reading, {ledger['neither']} in none. {agree}"
    )


def browse(found: pd.DataFrame) -> SearchableTable:
    """Every finding, one a row, in a table that can be searched, filtered and sorted."""
    contradicted, rows = load_contradictions(), []
    for line in found.to_dict("records"):
        ids = line["ids"]
        marked = sum(i in contradicted for i in ids)
        name = (ids[0] + (f" and {len(ids) - 1} more" if len(ids) > 1 else "")) if ids else "no number of its own"
        row = {"source": line["source"], "id": name, "where": f"{line['source']}, {line['place']}", "number": line["what"]}
        ours, _, readings = line["ours"].partition("; ") if line["kind"] in AVERAGES else (line["ours"], "", "")
        row |= {"published": line["printed"], "ours": ours, "verdict": line["kind"]}
        why = [line["basis"], readings, line["consequence"], f"{marked} inconsistent in the ledger" if marked else ""]
        rows.append(row | {"why": ". ".join(part[:1].upper() + part[1:] for part in why if part) + "."})
    return SearchableTable(rows, KINDS, SOURCES, provenance.of_printed())


def kinds_table(found: pd.DataFrame) -> Table:
    """How many findings of which kind, one row a kind, one column a source."""
    counts = pd.crosstab(found["kind"], found["source"]).reindex(columns=list(SOURCES), fill_value=0)
    rows = [{"kind": kind} | {name: str(counts.loc[kind, name] or "") for name in SOURCES} for kind in KINDS if kind in counts.index]
    return compact(rows, "Findings by kind and source", "arithmetic-kinds")


def statements_table(audit: Audit, source: str = "") -> Shown:
    """Statements that do not follow as a table, all of them below, to be opened."""
    where = audit.printed.table.set_index("claim_id")["source"]
    lines = audit.statements.assign(source=[where[ids[0]] for ids in audit.statements["ids"]])
    lines = lines[lines["source"] == source] if source else lines
    rows = [_statement(row) for row in lines.to_dict("records")]
    failing = [{key: row[key] for key in row if key != "verdict"} for row in rows if row["verdict"] == FAILS]
    shown = compact(
        failing or [{"statement": "all follow"}], f"{len(failing)} of {len(rows)} statements do not follow", "arithmetic-failing"
    )
    return _opened(shown, compact(rows, f"All {len(rows)} statements", "arithmetic-statements"), f"All {len(rows)} statements")


def grids_table(audit: Audit, source: str = "") -> Shown:
    """Groups of accuracies whose grid decides, and below those that do not, to be opened."""
    lines = audit.grids[audit.grids["source"] == source] if source else audit.grids
    sizes = corpus_sizes(audit.printed)
    rows = [_grid(row, sizes) for row in lines.to_dict("records")]
    decide = [row for row, outcome in zip(rows, lines["outcome"], strict=True) if outcome != "does not decide"]
    rest = [row for row, outcome in zip(rows, lines["outcome"], strict=True) if outcome == "does not decide"]
    what = f"{len(decide)} of {len(rows)} groups of printed accuracies have a grid that says something"
    shown = compact(decide or [{"table": "no group decides"}], what, "arithmetic-grids")
    return _opened(shown, compact(rest or [{"table": "none"}], "Groups that do not decide", "arithmetic-undecided"), f"{len(rest)} others")


def splits_table(audit: Audit, source: str = "") -> Shown:
    """Stated splits that cannot be made, against the number of speakers; those that can below, to be opened."""
    lines = audit.splits[audit.splits["source"] == source] if source else audit.splits
    rows = [
        {"source": row["source"], "system": row["what"], "corpus": row["corpus"], "stated": row["stated"], "there are": row["ours"],
         "as stated": "possible" if row["possible"] else "not possible", "basis": row["basis"]}
        for row in lines.to_dict("records")
    ]  # fmt: skip
    failing, rest = ([row for row in rows if row["as stated"] == how] for how in ("not possible", "possible"))
    none = [{"source": "none"}]
    shown = compact(failing or none, f"{len(failing)} of {len(rows)} stated splits cannot be made as stated", "arithmetic-splits")
    return _opened(shown, compact(rest or none, "Splits that can be made", "arithmetic-possible-splits"), f"{len(rest)} others")


def twins_table(audit: Audit) -> Shown:
    """Baselines of chapter 7 beside chapter 6, by corpus; all of them below."""
    twins = audit.twins
    by = [
        {
            "corpus": corpus,
            "accuracies without AT": len(some),
            "equal to chapter 6": int(some["equal"].sum()),
            "values": ", ".join(some["value"]),
        }
        for corpus, some in twins.groupby("corpus", sort=False)
    ]
    names = {"claim_id": "number", "value": "chapter 7", "twin_id": "of chapter 6", "twin": "chapter 6", "equal": "equal"}
    rows = twins.rename(columns=names)[list(names.values())].to_dict("records")
    return _opened(
        compact(by, "Random-split baselines of chapter 7", "arithmetic-twins"), compact(rows, "Each", "arithmetic-each-twin"), "Each pair"
    )


def twins_argument(audit: Audit) -> str:
    """What the equality says, with its assumption."""
    spread = audit.printed.table[(audit.printed.table["source"] == "reslstm2026") & audit.printed.table["spread"].ne("")]
    least = spread["spread"].astype(float).min()
    chance = columns.chance_of_twins(audit.twins, corpus_sizes(audit.printed), least)
    return (
        f"Had the {len(audit.twins)} networks been trained anew on a tenth of each corpus, and did results vary between runs like normal "
        f"draws of standard deviation {100 * least:.2f} points (the smallest spread over seeds that a source prints), all "
        f"would agree to the last digit with a probability of about {chance:.0e}. Equal numbers are therefore taken to be the same runs or "
        "exact repetitions; which of the two, and whether it was meant so, the digits do not say."
    )


def tests_table(audit: Audit) -> Table:
    """Every Wilcoxon test that a source states, for each way to form pairs."""
    lines = audit.readings[audit.readings["claim"].str.contains("Wilcoxon")]
    rows = [
        {"where": row["area"], "pairs": _pairs(row["quantity"]), "stated": ("below " if row["rule"] == "below" else "") + row["stated"],
         "exact p of the rows": f"{row['recomputed']:.2g}", "verdict": row["verdict"]}
        for row in lines.to_dict("records")
    ]  # fmt: skip
    return compact(rows, "Stated p values, computed again", "arithmetic-tests")


def places_table(audit: Audit, found: pd.DataFrame) -> Table:
    """Numbers that two places give differently, one row a pair."""
    rows = [
        {"what": row["what"], "printed": row["printed"], "where": row["place"], "difference": row["ours"]}
        for row in found[found["kind"] == "two places"].to_dict("records")
    ]
    same = int(audit.pairs["same"].sum())
    caption = f"Two places, two numbers ({same} of {len(audit.pairs)} pairs that were looked at agree)"
    return compact(rows or [{"what": "none"}], caption, "arithmetic-places")


def _pairs(quantity: str) -> str:
    """What was paired, without the stated value."""
    words = quantity.replace("Wilcoxon p over ", "").replace("Wilcoxon p, ", "").replace("; stated below 0.001", "")
    return words.replace(" (stated below 0.001)", "")


def _statement(row: dict[str, Any]) -> dict[str, Any]:
    area, _, what = row["claim"].partition(": ")
    tried = f" ({row['readings']} readings)" if row["readings"] > 1 else ""
    return {
        "where": area,
        "statement": what,
        "stated": row["stated"],
        "rows give": f"{row['recomputed']:.5g}{tried}",
        "verdict": row["claim_verdict"],
    }


def _grid(row: dict[str, Any], sizes: dict[str, int]) -> dict[str, Any]:
    fit = row["fit"]
    parts = [row["corpus"], f"{row['split']} split" if row["split"] in ("random", "speaker") else "", row["subset"]]
    parts += [row["metric"] if row["metric"] != "accuracy" else "", f"{row['rows']} rows" if row["rows"] != "all" else ""]
    each = f" ({row['size_a_fold']:.0f} a fold)" if row["folds"] > 1 and pd.notna(row["size_a_fold"]) else ""
    return {
        "table": f"{row['source']}, {row['locator']}", "group": ", ".join(part for part in parts if part), "numbers": fit.numbers,
        "decimals": fit.decimals, "consistent with": fit_in_words(fit) + each, "sizes fitting by chance": f"{fit.by_chance:.1g}",
        "largest stated size of the corpus": sizes.get(row["corpus"], ""),
    }  # fmt: skip


def _opened(shown: Table, more: Table, summary: str) -> Shown:
    text = f"{shown.to_html()}<details><summary>{html.escape(summary)}</summary>{more.to_html()}</details>"
    return Shown(text, shown.origin)


def compact(rows: Sequence[dict[str, Any]], caption: str, name: str, whole: Sequence[str] = ()) -> Table:
    """As `sercore.pages.tables.compact`; all tables of this page are made from what is printed."""
    return tables.compact(rows, caption, name, whole, provenance.of_printed())
