"""The figure of the price list: what each leak adds, on each corpus. Tidy rows only."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from sercore.conditions import CONDITIONS
from sercore.pages.prices import BEST_OF_SEEDS
from sercore.plots import show
from sercore.provenance import Origin, Shown

_ORDER = [*[name for name in CONDITIONS if name not in ("strict", "all_leaks")], BEST_OF_SEEDS, "all_leaks"]
_WORDS = {
    "speaker_overlap": "speakers on both sides",
    "global_normaliser": "statistics from all recordings",
    "validation_is_test": "best epoch chosen on test",
    "tuned_on_test": "hyper-parameters chosen on test",
    "level_filter": "quiet recordings left out",
    "unmasked_padding": "padding counts as speech",
    "duplicate_audio": "copies of test audio in training",
    BEST_OF_SEEDS: "best seed reported",
    "all_leaks": "all of them together",
}
_STYLES = ((show.BLUE, "o"), (show.ORANGE, "s"), (show.GREEN, "^"))


def price_list(tables: Mapping[str, pd.DataFrame], stamp: str, origin: Origin | None = None) -> Shown:
    """Points of UAR that each leak adds to strict, with 95 % intervals, one marker a corpus.

    Args:
        tables: corpus -> rows of `sercore.pages.prices.prices`; corpora without rows are left out.
        stamp: where the rows come from, in words.
        origin: the groups of runs behind them.

    Returns:
        The figure as HTML, or a sentence where nothing was run.
    """
    tables = {corpus: rows for corpus, rows in tables.items() if len(rows) > 1}
    if not tables:
        return show.note("Nothing to draw yet: no full run of the price list is stored.")
    lines = [name for name in _ORDER if any(rows["condition"].eq(name).any() for rows in tables.values())]
    fig, ax = show.canvas(0.46 * len(lines) + 1.5)
    said = []
    for k, (corpus, rows) in enumerate(tables.items()):
        colour, marker = _STYLES[k % len(_STYLES)]
        rows = rows.set_index("condition").reindex(lines).dropna(subset=["price"])
        y = [lines.index(name) + 0.24 * (k - (len(tables) - 1) / 2) for name in rows.index]
        x = 100 * rows["price"]
        reach = [x - 100 * rows["low"], 100 * rows["high"] - x]
        strict = tables[corpus].set_index("condition")["uar"]["strict"]
        name = f"{corpus} (strict: {100 * strict:.1f} %)"
        ax.errorbar(x, y, xerr=reach, fmt=marker, color=colour, markersize=6, linewidth=1.6, capsize=3, label=name)
        said.append(f"{corpus}: " + ", ".join(f"{_WORDS[n]} {100 * p:+.1f}" for n, p in rows["price"].items()))
    ax.axvline(0, color=show.BLACK, linewidth=0.8)
    if "all_leaks" in lines:
        ax.axhline(lines.index("all_leaks") - 0.5, color=show.GREY, linewidth=0.8, linestyle=":")
    ax.set_yticks(range(len(lines)), [_WORDS[name] for name in lines])
    ax.set_ylim(len(lines) - 0.4, -0.6)
    ax.set_xlabel("points of UAR above strict")
    ax.grid(axis="x")
    ax.set_axisbelow(True)
    fig.legend(loc="outside upper left", ncols=len(tables), frameon=False)
    alt = f"What each leak adds to the recall of the same network, in points. {'; '.join(said)}."
    return show.figure(fig, alt, f"Right of zero a leak flatters. Lines are 95 % intervals over speakers. [{stamp}]", origin)


def scores(tables: Mapping[str, pd.DataFrame], stamp: str, origin: Origin | None = None) -> Shown:
    """UAR under each condition with its interval over speakers, one panel a corpus, strict as a line.

    Args:
        tables: corpus -> rows of `sercore.pages.prices.prices`.
        stamp: where the rows come from, in words.
        origin: the groups of runs behind them.

    Returns:
        The figure as HTML, or a sentence where nothing was run.
    """
    tables = {corpus: rows for corpus, rows in tables.items() if len(rows)}
    if not tables:
        return show.note("Nothing to draw yet: no full run of the price list is stored.")
    heights = [len(rows) for rows in tables.values()]
    fig, axes = show.canvas(0.3 * sum(heights) + 1.0 * len(tables) + 0.4, rows=len(tables), squeeze=False, height_ratios=heights)
    said = []
    for ax, (corpus, rows) in zip(axes[:, 0], tables.items(), strict=True):
        y, x = range(len(rows)), 100 * rows["uar"]
        reach = [(x - 100 * rows["uar_low"]).fillna(0), (100 * rows["uar_high"] - x).fillna(0)]
        ax.errorbar(x, y, xerr=reach, fmt="o", color=show.BLUE, markersize=5, linewidth=1.4, capsize=3)
        ax.axvline(float(x.iloc[0]), color=show.GREY, linestyle="--", linewidth=1)
        ax.set_yticks(y, ["strict" if name == "strict" else _WORDS[name] for name in rows["condition"]])
        ax.invert_yaxis()
        ax.set_xlabel("UAR (%)")
        first = rows.iloc[0]
        ax.set_title(f"{corpus}: {int(first['speakers'])} speakers, seeds: {int(first['seeds'])}", loc="left")
        best = rows.loc[rows["uar"].idxmax()]
        said.append(
            f"{corpus}: strict {100 * first['uar']:.1f} %, highest {_WORDS.get(best['condition'], 'strict')} {100 * best['uar']:.1f} %"
        )
    alt = f"Recall of the same network under each condition. {'; '.join(said)}."
    return show.figure(fig, alt, f"The dashed line is strict. Lines are 95 % intervals over speakers. [{stamp}]", origin)
