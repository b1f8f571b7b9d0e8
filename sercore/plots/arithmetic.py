"""Figures of the sources' own arithmetic: how far a stated number lies from its rows, grids of accuracies, columns of counts."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sercore import provenance
from sercore.arithmetic import Audit
from sercore.arithmetic.accuracies import group
from sercore.arithmetic.granularity import chance_of_fit, fitting
from sercore.arithmetic.statements import FAILS, FOLLOWS, OFF
from sercore.ledger.claims import number
from sercore.plots import show
from sercore.provenance import Shown

LOOKS = {FOLLOWS: (show.BLUE, "o"), OFF: (show.YELLOW, "s"), FAILS: (show.ORANGE, "X")}
#: Areas of statements, as rows of the first figure.
CHAPTERS = {"T3": "thesis 3", "Sec. 3": "thesis 3", "Sec. 4": "thesis 4", "Sec. 5": "thesis 5", "T5": "thesis 5", "T6": "thesis 6",
            "Sec. 6": "thesis 6", "T7": "thesis 7", "Sec. 7": "thesis 7", "Ch. 6/7": "thesis 7", "WASPAA": "WASPAA 2023",
            "FACA": "FACA 2022", "ResLSTM": "ResLSTM 2026", "HuMP-CAT": "HuMP-CAT 2025"}  # fmt: skip
#: Titles as the other figures of the book have them.
TITLE: Any = {"fontsize": 10.5, "fontweight": "bold", "loc": "left"}
ROWS = {"no AT": show.ORANGE, "AT": show.BLUE}
CORPORA = {"IEMOCAP": "Table 7.2", "RAVDESS": "Table 7.3", "EmoDb": "Table 7.4", "TESS": "Table 7.5"}


def distances(statements: pd.DataFrame) -> Shown:
    """How far each stated number lies from its nearest reading, in units of its last printed digit.

    Args:
        statements: of `Audit.statements`; those that are compared with a bound or an "about" are left out.

    Raises:
        ValueError: nothing to draw.
    """
    rows = statements[statements["rule"] == "digits"].copy()
    if rows.empty:
        raise ValueError("no statements to draw")
    rows["distance"] = (rows["recomputed"] - rows["stated"].map(number)).abs() / rows["unit"]
    rows["chapter"] = [next(name for start, name in CHAPTERS.items() if area.startswith(start)) for area in rows["area"]]
    names = [name for name in dict.fromkeys(CHAPTERS.values()) if name in set(rows["chapter"])]
    fig, axis = show.canvas(1.6 + 0.34 * len(names))
    for verdict, (colour, marker) in LOOKS.items():
        some = rows[rows["claim_verdict"] == verdict]
        levels = some.groupby("chapter").cumcount() % 5 - 2  # five lanes, so that equal distances do not hide each other
        y = some["chapter"].map(names.index) + 0.13 * levels
        axis.plot(some["distance"].clip(lower=0.02), y, marker, color=colour, ms=4.5, alpha=0.75, mew=0, label=f"{verdict} ({len(some)})")
    axis.axvline(0.5, color=show.GREY, lw=1, ls="--")
    axis.axvline(1.0, color=show.GREY, lw=1, ls=":")
    axis.set_xscale("log")
    axis.set_yticks(range(len(names)), names)
    axis.invert_yaxis()
    axis.set(xlabel="distance from the nearest reading (units of the last digit)", ylabel="source")
    fig.legend(loc="outside lower center", ncols=1, frameon=False)
    counts = rows["claim_verdict"].value_counts()
    by = "; ".join(
        f"{n}: {(rows.loc[rows['chapter'] == n, 'claim_verdict'] == FAILS).sum()} of {(rows['chapter'] == n).sum()}" for n in names
    )
    alt = (
        f"Distances of {len(rows)} stated numbers from what their rows give, in units of the last printed digit: "
        f"{counts.get(FOLLOWS, 0)} follow, {counts.get(OFF, 0)} are off by rounding or truncation, {counts.get(FAILS, 0)} do not follow. "
        f"Not following, by source: {by}."
    )
    caption = "Dashed: half a unit, as rounding allows; dotted: one unit, as truncation does. Below 0.02 drawn at 0.02."
    return show.figure(fig, alt, caption, provenance.of_printed())


def mean_gains(statements: pd.DataFrame) -> Shown:
    """Stated and recomputed mean gains of anti-transfer, thesis and WASPAA paper, one row a group.

    Raises:
        ValueError: no mean gains among the statements.
    """
    rows = statements[statements["claim"].str.contains("mean AT gain")]
    areas = list(dict.fromkeys(rows["area"]))
    if not areas:
        raise ValueError("no mean AT gains to draw")
    sizes = [int((rows["area"] == area).sum()) for area in areas]
    fig, axes = show.canvas(1.5 + 0.24 * sum(sizes), rows=len(areas), sharex=True, squeeze=False, height_ratios=sizes)
    said = []
    for axis, area in zip(axes[:, 0], areas, strict=True):
        some = rows[rows["area"] == area].reset_index(drop=True)
        stated, ours = some["stated"].map(number), some["recomputed"]
        names = some["claim"].str.rpartition(", ")[2]
        axis.hlines(some.index, stated, ours, color="#bbbbbb", lw=2, zorder=1)
        axis.plot(stated, some.index, "o", color="white", mec=show.BLACK, ms=6, label="stated")
        axis.plot(ours, some.index, "o", color=show.BLUE, ms=6, label="rows give")
        axis.axvline(0, color=show.GREY, lw=0.8)
        axis.set_yticks(some.index, names)
        axis.invert_yaxis()
        axis.set_title("Thesis, chapter 7" if area.startswith("T7") else "WASPAA 2023", **TITLE)
        axis.set_ylabel("rows averaged")
        said += [f"{area}, {n}: {s:g} and {o:.2f}" for n, s, o in zip(names, stated, ours, strict=True)]
    axes[-1, 0].set_xlabel("mean gain of anti-transfer (points of accuracy)")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    alt = "Mean gains of anti-transfer as stated and as the table rows give them. " + "; ".join(said) + "."
    return show.figure(fig, alt, origin=provenance.of_printed())


def grids(audit: Audit, largest: int = 1500, split: str = "random") -> Shown:
    """Share of the printed accuracies that are multiples of 1/n, for each n: rows with and without anti-transfer, chapter 7.

    Args:
        audit: of all numbers.
        largest: n to draw up to.
        split: random or speaker.
    """
    fig, axes = show.canvas(7.4, rows=len(CORPORA), sharex=True, sharey=True)
    sizes, said = np.arange(2, largest + 1), []
    for axis, (corpus, table) in zip(axes, CORPORA.items(), strict=True):
        named, words = {"source": "thesis", "locator": table, "split": split}, []
        found: dict[str, int] = {}
        for rows in ROWS:
            some = group(audit.accuracies, **named, rows=rows)
            smallest = _shares(axis, sizes, some, ROWS[rows])
            found |= {rows: smallest} if smallest else {}
            words.append(f"{rows}: all on 1/{smallest}" if smallest else f"{rows}: no size up to {largest} fits all")
        for rows, n in found.items():  # labels point away from each other
            left = len(found) > 1 and n == min(found.values())
            side: Any = {"xytext": (-7, 0), "ha": "right"} if left else {"xytext": (7, 0), "ha": "left"}
            axis.annotate(f"1/{n}", (n, 1.06), textcoords="offset points", va="center", color=ROWS[rows], fontsize=9, **side).set_in_layout(
                False
            )
        axis.plot(sizes, chance_of_fit(sizes, int(some["decimals"].iloc[0])), color=show.BLACK, lw=1, ls="--", label="chance")
        axis.set_title(f"{corpus}, {table}", **TITLE)
        axis.set(xlim=(-0.06 * largest, 1.03 * largest), ylim=(0, 1.15), yticks=(0, 0.5, 1), ylabel="share on grid")
        said.append(f"{corpus}: {'; '.join(words)}")
    axes[-1].set_xlabel("n: test-set size, or size times number of equal parts averaged")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    alt = f"Share of the printed accuracies ({split} split) that are multiples of 1/n, against n, one panel a corpus. {'. '.join(said)}."
    caption = "Each dot is one n. Triangles: the smallest n whose grid holds every number of the group; lines: 80 % or more."
    return show.figure(fig, alt, caption, provenance.of_printed())


def _shares(axis: Any, sizes: Any, rows: pd.DataFrame, colour: str) -> int | None:
    """Draws the share of one group for every size; returns the smallest size that fits all."""
    different = list(dict.fromkeys(rows["percent"]))
    share = fitting(different, sizes, int(rows["decimals"].iloc[0])).mean(axis=0)
    axis.plot(sizes, share, ".", color=colour, ms=2.5, alpha=0.35, mew=0)
    axis.vlines(sizes[share >= 0.8], 0, share[share >= 0.8], color=colour, lw=0.8, alpha=0.8)
    axis.plot([], [], "s", color=colour, ms=5, label=f"{rows['rows'].iloc[0]} rows")
    whole = sizes[share == 1]
    if not len(whole):
        return None
    axis.plot(whole[:1], [1.0], "v", color=colour, ms=7)
    return int(whole[0])


def parameter_columns(columns: pd.DataFrame) -> Shown:
    """Parameter counts as four tables print them, one row a network and method, one colour a count.

    Args:
        columns: of `Audit.parameters`.
    """
    counts = sorted(set(columns.to_numpy().ravel()), key=lambda text: -float(text))
    colours = dict(zip(counts, show.COLOURS, strict=False))
    fig, axis = show.canvas(1.2 + 0.2 * len(columns))
    for y, (_, row) in enumerate(columns.iterrows()):
        for x, text in enumerate(row):
            axis.barh(y, 0.96, left=x - 0.48, height=0.92, color=colours[text], alpha=0.55, lw=0)
            axis.text(x, y, text, ha="center", va="center", fontsize=8)
    names = [f"{net}, {domain}{f', {kind}' if kind else ''}" for net, domain, kind in columns.index]
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.set_xticks(range(len(columns.columns)), list(columns.columns))
    axis.xaxis.tick_top()
    for y in range(0, len(names) + 1, 10):
        axis.axhline(y - 0.5, color=show.BLACK, lw=1)
    axis.set(xlim=(-0.5, len(columns.columns) - 0.5), ylim=(len(names) - 0.5, -0.5), ylabel="network and method")
    axis.xaxis.set_label_position("top")
    axis.set_xlabel("parameter column of")
    axis.tick_params(length=0)
    differing = sum(len(set(row)) > 1 for _, row in columns.iterrows())
    said = "; ".join(f"{table}: " + ", ".join(dict.fromkeys(columns[table])) for table in columns)
    alt = f"Parameter counts of {len(columns)} rows in {len(columns.columns)} tables; {differing} rows differ. In order, {said}."
    caption = "One colour a count: a column that agrees with its neighbours has their colours."
    return show.figure(fig, alt, caption, provenance.of_printed())
