"""The ledger: every published number beside ours, with a verdict that is computed and never typed.

verdicts(...)      every number and setting, one row each
table(...)         one table of a source: published, ours (its protocol), ours (strict)
counts_by_source   how many of which verdict            state()        the whole at a glance, as plain data
comparisons(...)   pairs of systems with tests          answer(...)    one sentence on a pair, for a chapter's head
browse(...)        all rows in a table that can be searched and sorted
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from sercore import provenance
from sercore.ledger import claims as published
from sercore.ledger import rule
from sercore.ledger.claims import printed
from sercore.ledger.judgements import judged
from sercore.ledger.measurements import Measurements, merge, stored
from sercore.ledger.page import SearchableTable
from sercore.ledger.paired import answer, comparisons, label
from sercore.provenance import Origin, Table
from sercore.results import Results
from sercore.stats import Metric

__all__ = [
    "answer",
    "browse",
    "comparisons",
    "counts_by_source",
    "counts_table",
    "groups_run",
    "in_a_sentence",
    "label",
    "merge",
    "printed",
    "runs_table",
    "state",
    "stored",
    "styled",
    "table",
    "verdicts",
]

COLUMNS = [
    "id", "row", "source", "locator", "system", "quantity", "published", "unit", "ours", "low", "high", "ours_strict", "strict_low",
    "strict_high", "recordings", "speakers", "folds", "seeds", "verdict", "reason", "contradiction", "group",
]  # fmt: skip
#: Systems that every table of classifiers also shows: the majority class, and utterance functionals with an SVM.
FOR_SCALE = ("majority_class", "functionals_svm")
#: By day; a page may set lighter ones for the dark.
_VERDICT_COLOURS = {
    rule.REPRODUCED: "var(--verdict-good, #1b7837)",
    rule.AS_STATED: "var(--verdict-good, #1b7837)",
    rule.DIRECTION: "var(--verdict-direction, #4d7c0f)",
    rule.NOT_REPRODUCED: "var(--verdict-bad, #b2182b)",
    rule.INCONSISTENT: "var(--verdict-doubt, #b35806)",
}


def verdicts(results: Results | None = None, source: str | None = None, settings: bool = True) -> pd.DataFrame:
    """Every published number and setting, ours, and the verdict.

    Args:
        results: rows to compare with; None takes what is stored in book/results.
        source: one source only.
        settings: add the settings to the numbers.

    Returns:
        Columns COLUMNS. `row` is claim or setting; `published` as printed; `ours, low, high` in the published unit, under the source's
        protocol (interval over speakers, or over new runs where the quantity has none); `*_strict` the same under the strict one.

    Raises:
        LedgerError: a selector matches two kinds of row, or asks for what there is not.
    """
    measurements = Measurements(stored() if results is None else results)
    selectors, contradictions = published.load_map(), published.load_contradictions()
    rows = published.load_claims(source).rename(columns={"claim_id": "id"}).assign(row="claim").to_dict("records")
    if settings:
        rows += published.load_settings(source).assign(row="setting", kind="hyperparameter").to_dict("records")
    lines = [judged(row, selectors.get(row["id"]), contradictions.get(row["id"], ""), measurements) for row in rows]
    return pd.DataFrame(lines, columns=COLUMNS)


def table(results: Results | None, source: str, locator: str) -> Table:
    """Published, ours under the source's protocol and ours under the strict one, for one table or section of a source.

    Two plain systems follow for scale where they were run on the same recordings.

    Args:
        results: rows to compare with, live or stored; None takes what is stored.
        source: e.g. reslstm2026.
        locator: as printed in claims.csv, e.g. "Table I".

    Returns:
        A styled table that names what it was made from; `.data` is the plain one.

    Raises:
        LedgerError: the source has no number with that locator (lists those there are).
    """
    rows = stored() if results is None else results
    everything = verdicts(rows, source, settings=False)
    chosen = everything[everything["locator"] == locator]
    if chosen.empty:
        raise published.LedgerError(f"{source} has nothing in {locator!r}; there are: {', '.join(everything['locator'].unique())}")
    lines = [_shown(line) for line in chosen.to_dict("records")] + _for_scale(rows, chosen)
    origin = provenance.of_ledger(rows.of(group=_used(rows, chosen)))
    return styled(pd.DataFrame(lines), f"{source}, {locator}: published, and measured here", f"ledger-{source}-{locator}", origin)


def styled(frame: pd.DataFrame, caption: str, uuid: str, origin: Origin | None = None) -> Table:
    """A table for a page: no index, text to the left, verdicts in colour (and in words), the same HTML each time it is made.

    Args:
        frame: what is shown, all of it.
        caption: shown above.
        uuid: of the table on its page; anything but letters and digits becomes a hyphen.
        origin: what it was made from, shown below.
    """
    style = Table(frame, uuid="".join(c if c.isalnum() else "-" for c in uuid)).made_from(origin or Origin())
    style.hide(axis="index").set_caption(caption)
    cells = {"selector": "th, td", "props": "text-align: left; padding: 0.2rem 0.6rem; vertical-align: top"}
    style.set_table_styles([cells]).set_table_attributes('class="ledger-table"')
    if "verdict" in frame:
        style.map(lambda v: f"color: {_VERDICT_COLOURS[v]}; font-weight: 600" if v in _VERDICT_COLOURS else "", ["verdict"])
    return style


def browse(frame: pd.DataFrame) -> SearchableTable:
    """All rows of `verdicts` in a table that a reader can search, filter and sort; needs no network."""
    rows = []
    for line in frame.to_dict("records"):
        shown = _shown(line)
        row = {"source": line["source"], "id": line["id"], "where": f"{line['source']}, {line['locator']}"}
        row |= {"number": f"{shown['system']}: {shown['quantity']}", "published": shown["published"], "ours": shown["ours, its protocol"]}
        rows.append(row | {key: shown[key] for key in ("ours, strict", "verdict", "why")})
    return SearchableTable(rows, rule.VERDICTS, published.SOURCES, provenance.of_ledger(stored()))


def state(source: str | None = None) -> dict[str, Any]:
    """The study at a glance, as plain data: numbers judged, verdicts, and what was run, when and on what.

    Args:
        source: one source only.

    Returns:
        `total` numbers, `judged` of them, `verdicts` (`by_verdict` is the same) and `by_source` counts of numbers, `settings` counts of
        settings, `contradictions` (numbers that their source contradicts), `groups`: one dict a group of stored runs.
    """
    results = stored()
    everything = verdicts(results, source)
    numbers, settings = (everything[everything["row"] == kind] for kind in ("claim", "setting"))
    counts = counts_by_source(numbers)
    total = {str(verdict): int(counts[verdict].sum()) for verdict in counts}
    return {
        "total": len(numbers),
        "judged": int((~numbers["verdict"].isin(rule.OPEN)).sum()),
        "verdicts": total,
        "by_verdict": total,
        "by_source": {str(name): {str(v): int(n) for v, n in row.items()} for name, row in counts.iterrows()},
        "settings": {str(v): int(n) for v, n in settings["verdict"].value_counts().items()},
        "contradictions": int(numbers["contradiction"].ne("").sum()),
        "groups": groups_run(results),
    }


def in_a_sentence(state: dict[str, Any]) -> str:
    """The whole in one line, from `state`: how many were judged and how."""
    said = [f"{n} {verdict}" for verdict, n in state["verdicts"].items() if n and verdict not in rule.OPEN]
    waiting = [f"{n} {verdict}" for verdict, n in state["verdicts"].items() if n and verdict in rule.OPEN]
    return (
        f"Of {state['total']} published numbers {state['judged']} are judged: {', '.join(said)}. The others wait: {', '.join(waiting)}. "
        f"{state['contradictions']} are contradicted by their own source."
    )


def runs_table(state: dict[str, Any]) -> Table:
    """What was run, from `state`: one row a group of stored runs, or one that says there is none."""
    frame = pd.DataFrame(state["groups"] or [{"runs": "no full run is stored yet"}])
    return styled(frame, "Stored results of full runs", "ledger-runs", provenance.of_ledger(stored()))


def counts_by_source(frame: pd.DataFrame) -> pd.DataFrame:
    """How many rows of `verdicts` have which verdict, one row a source; columns in the order of VERDICTS, those that occur."""
    counts = pd.crosstab(frame["source"], frame["verdict"])
    sources, names = ([n for n in known if n in there] for known, there in ((published.SOURCES, counts.index), (rule.VERDICTS, counts)))
    return counts.reindex(index=sources, columns=names, fill_value=0)


def counts_table(counts: pd.DataFrame, what: str) -> Table:
    """`counts_by_source` for a page, one row a source; `what` is what was counted."""
    frame, origin = counts.rename_axis(None, axis=1).reset_index(), provenance.of_ledger(stored())
    return styled(frame, f"{what}, by source and verdict", f"counts-{what}", origin)


def groups_run(results: Results) -> list[dict[str, Any]]:
    """One dict a group: what was run, its UAR with the interval over speakers, when the last run ended and on what device."""
    data, rows = Measurements(results), []
    for group in results.groups.to_dict("records"):
        runs = results.runs[results.runs["group"] == group["group"]]
        row = {"system": label(group["system"], group["settings"])} | {
            key: group[key] for key in ("corpus", "task", "variant", "protocol", "split", "profile")
        }
        row |= {"folds": int(group["folds"]), "seeds": int(group["seeds"]), "uar": data.in_words(group["group"])}
        ended = runs["finished_at"].dropna().astype(str)
        row |= {"last run (UTC)": ended.max()[:16].replace("T", " ") if len(ended) else ""}
        rows.append(row | {"device": ", ".join(sorted(runs["device"].dropna().astype(str).unique()))})
    return rows


def _shown(line: dict[str, Any]) -> dict[str, Any]:
    """A row of `verdicts` in the words of a page: scores in per cent with their interval, counts as printed."""
    shown = {"system": line["system"], "quantity": line["quantity"], "published": _in_unit(line["published"], line["unit"])}
    shown["ours, its protocol"] = _interval(line["ours"], line["low"], line["high"], line["unit"])
    shown["ours, strict"] = _interval(line["ours_strict"], line["strict_low"], line["strict_high"], line["unit"])
    shown |= {key: _whole(line[key]) for key in ("recordings", "speakers", "folds", "seeds")}
    return shown | {"verdict": line["verdict"], "why": line["reason"]}


def _used(results: Results, chosen: pd.DataFrame) -> list[str]:
    """Groups that a table shows: those of its measured rows under any protocol, and the plain systems beside them."""
    measured = results.groups[results.groups["group"].isin(chosen["group"].dropna())]
    keys = ["corpus", "task", "system", "settings", "variant"]
    both = results.groups.merge(measured[keys].drop_duplicates(), on=keys)["group"]
    return [*both, *_plain(results, chosen)["group"]]


def _plain(results: Results, chosen: pd.DataFrame) -> pd.DataFrame:
    """Groups of the plain systems on the recordings that the measured rows use."""
    used = results.groups[results.groups["group"].isin(chosen["group"].dropna())]
    plain = results.groups[results.groups["system"].isin(FOR_SCALE) & results.groups["corpus"].isin(used["corpus"])]
    return plain[plain["protocol"].eq("strict") & plain["task"].isin(used["task"])]


def _for_scale(results: Results, chosen: pd.DataFrame) -> list[dict[str, Any]]:
    """The plain systems on the recordings that the table's measured rows use."""
    plain, data = _plain(results, chosen), Measurements(results)
    metric: Metric = "accuracy" if chosen["quantity"].str.contains("accuracy").any() else "uar"
    return [
        {"system": label(row["system"]), "quantity": f"{row['corpus']}, {metric}", "published": "", "ours, its protocol": ""}
        | {"ours, strict": data.in_words(row["group"], metric), "recordings": _whole(row["n_items"]), "speakers": _whole(row["n_speakers"])}
        | {"folds": _whole(row["folds"]), "seeds": _whole(row["seeds"]), "verdict": "", "why": "for scale"}
        for row in plain.to_dict("records")
    ]


def _in_unit(value: str, unit: str) -> str:
    """A printed value with its unit; a fraction becomes per cent."""
    if unit == "count":
        return re.sub(r"e3$", " k", re.sub(r"e6$", " M", value))
    if unit == "fraction" and "/" not in value and (parts := [published.number(p.strip()) for p in value.split("±")]) and None not in parts:
        return " ± ".join(f"{100 * p:.2f}" for p in parts if p is not None) + " %"
    return f"{value} {'%' if unit == 'percent' else 'points' if unit == 'pp' else '' if unit == 'fraction' else unit}".strip()


def _interval(ours: Any, low: Any, high: Any, unit: str) -> str:
    if isinstance(ours, str) or pd.isna(ours):
        return ours if isinstance(ours, str) else ""
    scale, suffix = (100.0, " %") if unit == "fraction" else (1.0, " points" if unit == "pp" else " %" if unit == "percent" else "")
    interval = "" if pd.isna(low) else f" [{scale * low:.1f}, {scale * high:.1f}]"
    return f"{scale * ours:.1f}{interval}{suffix}"


def _whole(value: Any) -> str:
    return "" if pd.isna(value) else f"{value:.0f}" if isinstance(value, float) else str(value)
