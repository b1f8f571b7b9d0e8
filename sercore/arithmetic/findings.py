"""All findings of an audit in one table, each with what it rests on and what it means for somebody who repeats the study."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from sercore.arithmetic import columns, grid_findings
from sercore.arithmetic.audit import Audit
from sercore.arithmetic.grid_findings import ARITHMETIC, CORPUS, DECIMALS, READING, finding
from sercore.arithmetic.statements import FAILS, FOLLOWS, OFF
from sercore.ledger.claims import load_contradictions, load_readings, load_settings

BASES = (ARITHMETIC, DECIMALS, CORPUS, READING)
KINDS = (
    "does not follow",
    "off by rounding",
    "rests on one reading",
    "grid",
    "order reverses",
    "copied",
    "column",
    "split",
    "two places",
    "read in the text",
)
COLUMNS = ["source", "place", "kind", "what", "printed", "ours", "basis", "consequence", "ids"]
#: What a failed average means for a reproduction, by the beginning of its area.
_CONSEQUENCES = {
    "T3.1": "compare with the thirty cells, not with the means",
    "Sec. 3.1": "lengths are measured on the recordings",
    "Sec. 3.2.1": "take a 10 ms hop",
    "Sec. 3.2.4": "take the printed weights; the rule that is given leads to others",
    "Sec. 4": "compare cell by cell with the table",
    "Sec. 5.3.3": "compare with the rows of Tables 5.3 to 5.5; how the mean was formed is not stated",
    "Sec. 5.4.7": "measure memory; the printed values are no target",
    "T5.4": "two values of one configuration: compare with both",
    "T6.5": "the rows give the mean; the last digit is the difference",
    "T6": "count parameters from the network",
    "Sec. 6": "count and measure; shares follow from the table's counts",
    "T7.6": "compare with the rows of Tables 7.2 to 7.5: their means are the target",
    "WASPAA": "compare with the rows of Table 1: their means are the target",
    "ResLSTM": "count parameters from the network, gains from the table",
    "HuMP-CAT": "compare corpus by corpus",
}


#: Groups whose mean AT gains a text sets against each other.
_SIDES = (("real", "quaternion"), ("single", "dual"), ("random", "speaker split"), ("speaker task", "word task"),
          ("VGG16", "AlexNet"), ("VGG16", "ResNet-50"), ("AlexNet", "ResNet-50"))  # fmt: skip


def findings(audit: Audit, source: str = "") -> pd.DataFrame:
    """Every finding, one row each.

    Args:
        audit: of all numbers.
        source: keep one source; empty for all.

    Returns:
        COLUMNS: `kind` is one of KINDS, `basis` of BASES; `ids` are the numbers it is about.
    """
    parts = (_averages, _readings, grid_findings.grids, _orders, _near_chance, _copies, _parameter_columns, _splits, _two_places)
    rows = [row for part in parts for row in part(audit)]
    rows += _of_the_ledger(audit, {claim_id for row in rows for claim_id in row["ids"]}) + _read()
    table = pd.DataFrame(rows, columns=COLUMNS)
    return table[table["source"].eq(source)].reset_index(drop=True) if source else table


def beside_the_ledger(audit: Audit, table: pd.DataFrame) -> dict[str, int]:
    """How this audit and the ledger's list of contradicted numbers agree.

    Args:
        audit: of all numbers.
        table: of `findings`, all sources.

    Returns:
        `listed` numbers and settings that the ledger calls inconsistent, of which `computed` are in a finding computed here, `read` in one
        found by reading, `neither` in none; `missing`: statements that do not follow and whose number the ledger does not list.
    """
    listed = set(load_contradictions())
    computed = {i for ids in table.loc[table["basis"] != READING, "ids"] for i in ids}
    read = {i for ids in table.loc[table["basis"] == READING, "ids"] for i in ids}
    failed = audit.statements.loc[audit.statements["claim_verdict"] == FAILS, "ids"]
    return {
        "listed": len(listed), "computed": len(listed & computed), "read": len(listed & (read - computed)),
        "neither": len(listed - computed - read), "missing": sum(not listed & set(ids) for ids in failed),
    }  # fmt: skip


def _averages(audit: Audit) -> Iterator[dict[str, Any]]:
    where, again = audit.printed.table.set_index("claim_id"), _restated(audit)
    for row in audit.statements.to_dict("records"):
        if row["claim_verdict"] == FOLLOWS:
            continue
        kind = "off by rounding" if row["claim_verdict"] == OFF else "does not follow"
        tried = f"; {row['readings']} readings tried, nearest: {row['quantity']}" if row["readings"] > 1 else ""
        why = next((text for area, text in _CONSEQUENCES.items() if row["area"].startswith(area)), "")
        what = row["claim"].partition(": ")[2]
        ids = (*row["ids"], *(i for one in row["ids"] for i in again.get(one, ())))
        yield finding(where, ids, kind, what, row["stated"], f"{row['recomputed']:.5g}{tried}", ARITHMETIC, why)


def _restated(audit: Audit) -> dict[str, tuple[str, ...]]:
    """Other places that print the same number."""
    found: dict[str, tuple[str, ...]] = {}
    for one, other in audit.pairs.loc[audit.pairs["same"], "ids"]:
        found[one] = (*found.get(one, ()), other)
    return found


def _readings(audit: Audit) -> Iterator[dict[str, Any]]:
    """Statements that follow, but not as they are worded, or only for one of several ways to form pairs."""
    where = audit.printed.table.set_index("claim_id")
    worded = audit.readings[audit.readings["claim"].str.contains("Wilcoxon|speech gain|Res-h32 over")]
    for claim, readings in worded.groupby("claim", sort=False):
        held = readings["verdict"].eq(FOLLOWS)
        if held.all() or not held.any():
            continue
        said = "; ".join(f"{x:.3g} ({_way(q)})" for x, q in zip(readings["recomputed"], readings["quantity"], strict=True))
        ids, bound = readings["ids"].iloc[0], "below " if readings["rule"].iloc[0] == "below" else ""
        test = "Wilcoxon" in str(claim)
        ways = "ways to form pairs" if test else "readings"
        what = f"{str(claim).partition(': ')[2]}: follows from {held.sum()} of {len(readings)} {ways}"
        note = "pairs share data and networks and are the best of several: none are independent" if test else "name the reading"
        yield finding(where, ids, "rests on one reading", what, bound + readings["stated"].iloc[0], said, ARITHMETIC, note)


def _orders(audit: Audit) -> Iterator[dict[str, Any]]:
    """Pairs of mean AT gains that stand the other way round in the rows (nearest readings)."""
    where = audit.printed.table.set_index("claim_id")
    gains = audit.statements[audit.statements["claim"].str.contains("mean AT gain")]
    for _, rows in gains.groupby("area", sort=False):
        at = {row["claim"].rpartition(", ")[2]: row for row in rows.to_dict("records")}
        for one, other in _SIDES:
            if one not in at or other not in at:
                continue
            stated, ours = (float(at[one]["stated"]) - float(at[other]["stated"]), at[one]["recomputed"] - at[other]["recomputed"])
            if stated * ours < 0:
                shown = f"{at[one]['stated']} and {at[other]['stated']}"
                said = f"{at[one]['recomputed']:.2f} and {at[other]['recomputed']:.2f}"
                ids, what = at[one]["ids"] + at[other]["ids"], f"mean AT gain, {one} against {other}: the order is the other way round"
                note = "which of the two gains more is open: test it on paired runs"
                yield finding(where, ids, "order reverses", what, shown, said, ARITHMETIC, note)


def _near_chance(audit: Audit) -> Iterator[dict[str, Any]]:
    """TESS, actor split: its classes are equally large, so a constant answer scores one over their number."""
    where = audit.printed.table.set_index("claim_id")
    rows = audit.printed.rows(source="thesis", locator="Table 7.5", metric="accuracy", split="speaker")
    classes = audit.printed["thesis.s6.3.1.tess.labels"]
    constant, ordered = 100 / classes, rows["x"].sort_values()
    below, top = int((ordered <= constant + 0.005).sum()), ordered.iloc[-2]
    if top > 2 * constant:
        return
    what = "TESS, actor split: all accuracies but one are within twice a constant answer's"
    ours = f"a constant answer gives {constant:.2f}; {below} of {len(rows)} are no better, the largest but one is {top:g}"
    note = "no gain on this split can be told from noise without many runs"
    shown = f"{ordered.iloc[0]:g} to {ordered.iloc[-1]:g}"
    yield finding(where, tuple(rows["claim_id"]), "split", what, shown, ours, CORPUS, note)


def _copies(audit: Audit) -> Iterator[dict[str, Any]]:
    where, twins = audit.printed.table.set_index("claim_id"), audit.twins
    equal = twins[twins["equal"]]
    if len(equal):
        what = "random-split accuracies without AT equal the test accuracies of chapter 6, digit for digit"
        note = "the baselines are not runs of chapter 7's campaign, or exact repetitions: measure baseline and AT together"
        ids, ours = tuple(equal["claim_id"]), f"{len(equal)} of {len(twins)} are equal"
        yield finding(where, ids, "copied", what, f"{len(twins)} accuracies", ours, ARITHMETIC, note, place="Tables 7.2 to 7.5")
    same = columns.same_numbers(audit.printed)
    ids, ours = tuple(same.loc[same["equal"], "claim_id"]), f"{same['equal'].sum()} of {len(same)} are equal"
    note = "one measurement, not two: the paper adds no independent evidence to the thesis rows"
    yield finding(
        where,
        ids,
        "copied",
        "accuracies and parameters are those of the thesis' VGG16 rows",
        f"{len(same)} numbers",
        ours,
        ARITHMETIC,
        note,
    )


def _parameter_columns(audit: Audit) -> Iterator[dict[str, Any]]:
    where, table = audit.printed.table.set_index("claim_id"), audit.parameters
    rows = audit.printed.rows(source="thesis", locator=columns.PARAMETER_TABLES, metric="n_params")
    moved = {t: columns.best_exchange(table, t) for t in columns.PARAMETER_TABLES}
    for name, (exchange, as_printed, agreeing) in moved.items():
        if agreeing > as_printed:
            ids = tuple(rows.loc[rows["locator"] == name, "claim_id"])
            said = ", ".join(f"counts of {to} at {net}" for net, to in exchange.items() if net != to)
            ours = f"{as_printed} of 6 blocks agree with the other tables as printed, {agreeing} after an exchange: {said}"
            note = "take the counts of the other three tables"
            yield finding(where, ids, "column", "parameter counts stand at another architecture", "30 counts", ours, ARITHMETIC, note)
    for (kind, domain), cells in columns.exceptions_in_blocks(table).groupby(["at_type", "domain"], sort=False):
        here = rows[(rows["at_type"] == kind) & (rows["domain"] == domain)]
        pairs = set(zip(cells["architecture"], cells["table"], strict=True))
        ids = tuple(row["claim_id"] for row in here.to_dict("records") if (row["architecture"], row["locator"]) in pairs)
        what = f"{domain} {kind} rows: a parameter count unlike the other rows of the same network"
        ours = "the other four rows print " + ", ".join(dict.fromkeys(cells["others"]))
        shown = f"{', '.join(dict.fromkeys(cells['printed']))} in {len(cells)} rows"
        yield finding(where, ids, "column", what, shown, ours, ARITHMETIC, "take the count of the block", place="Tables 7.2 to 7.5")


def _splits(audit: Audit) -> Iterator[dict[str, Any]]:
    for row in audit.splits[~audit.splits["possible"]].to_dict("records"):
        what = f"{row['what']}, {row['corpus']}" if row["corpus"] != "all" else row["what"]
        yield {"source": row["source"], "place": row["place"], "kind": "split", "what": what, "printed": row["stated"], "ours": row["ours"],
               "basis": row["basis"], "consequence": row["consequence"], "ids": ()}  # fmt: skip


def _two_places(audit: Audit) -> Iterator[dict[str, Any]]:
    where = audit.printed.table.set_index("claim_id")
    told = [set(ids) for ids in audit.statements["ids"]]
    for row in audit.pairs[~audit.pairs["same"]].to_dict("records"):
        if any(set(row["ids"]) <= ids for ids in told):
            continue  # an average or restatement that is found above
        other = row["where_other"] if row["source"] == row["source_other"] else f"{row['source_other']} {row['where_other']}"
        what = row["what"] + (f" ({row['note']})" if row["note"] else "")
        place = f"{row['where']} and {other}" if other != row["where"] else other
        note = "a comparison has to name which of the two it is with"
        gap = f"{audit.printed[row['ids'][1]] - audit.printed[row['ids'][0]]:+.4g}"
        yield finding(where, row["ids"], "two places", what, f"{row['one']} and {row['other']}", gap, ARITHMETIC, note, place=place)
    names = {"n_utterances": "recordings", "n_emotion_labels": "emotion labels", "n_speakers": "speakers"}
    for row in audit.corpus_facts.to_dict("records"):
        shown = "; ".join(f"{value} ({', '.join(dict.fromkeys(at))})" for value, at in row["values"].items())
        what = f"{row['corpus']}: {names.get(row['metric'], row['metric'].removeprefix('n_').replace('_', ', '))}"
        note = "subsets, sessions and versions are counted differently: take the card of the corpus"
        found = finding(where, row["ids"], "two places", what, shown, _counted(row), ARITHMETIC, note, place="several places")
        yield found | {"source": row["source"]}


def _of_the_ledger(audit: Audit, known: set[str]) -> list[dict[str, Any]]:
    """Contradictions that the ledger lists and nothing computed is about, one row a reason."""
    reasons: dict[str, list[str]] = {}
    for claim_id, reason in load_contradictions().items():
        if claim_id not in known:
            reasons.setdefault(reason, []).append(claim_id)
    table = pd.concat([audit.printed.table.set_index("claim_id"), load_settings().set_index("id")])
    rows = []
    for reason, ids in reasons.items():
        if set(ids) <= set(table.index):  # else of numbers that are not audited
            shown, at = (", ".join(dict.fromkeys(table.loc[ids, column])) for column in ("value", "locator"))
            note = "as the ledger says in its row"
            rows.append(finding(table, tuple(ids), "read in the text", reason, shown, "", READING, note, place=at))
    return rows


def _read() -> list[dict[str, Any]]:
    """Contradictions in words, captions and equations (read.csv)."""
    return [
        {"source": row["source"], "place": row["place"], "kind": "read in the text", "what": row["what"], "printed": row["printed"],
         "ours": row["conflict"], "basis": READING, "consequence": row["consequence"], "ids": ()}
        for row in load_readings().to_dict("records")
    ]  # fmt: skip


def _counted(row: dict[str, Any]) -> str:
    """How many values there are, and ours where there is a card."""
    return f"{len(row['values'])} values" + (f"; the card has {row['card']:.0f}" if pd.notna(row["card"]) else "")


def _way(quantity: str) -> str:
    return quantity.removeprefix("Wilcoxon p, ").removeprefix("speech: ").removeprefix("Res-h32 over LSTM-h128, ").partition(" (")[0]
