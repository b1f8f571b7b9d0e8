"""Figures of the ledger: which verdict how often, by source."""

from __future__ import annotations

from typing import Any

import pandas as pd

from sercore import ledger, provenance
from sercore.plots import show

#: Colour and hatching of a verdict: judged ones in colour, open ones in greys; hatching tells neighbours apart without colour.
LOOKS = {
    "reproduced": (show.GREEN, ""),
    "direction": (show.SKY, ""),
    "direction, reduced size": (show.SKY, "///"),
    "not reproduced": (show.ORANGE, ""),
    "not decidable": (show.PINK, ""),
    "not comparable": (show.YELLOW, ""),
    "inconsistent": (show.ORANGE, "xxx"),
    "as stated": (show.BLUE, ""),
    "differs": (show.BLUE, "///"),
    "not run": ("#b5b5b5", ""),
    "not checked yet": ("#ededed", ""),
}


def verdicts_by_source(counts: pd.DataFrame) -> Any:
    """Share of each verdict among the published numbers of each source, as stacked bars.

    Args:
        counts: of `sercore.ledger.counts_by_source`: one row a source, one column a verdict.

    Returns:
        The figure for a page (HTML), with a text computed from the same counts.

    Raises:
        ValueError: there is nothing to draw.
    """
    if counts.empty or counts.to_numpy().sum() == 0:
        raise ValueError("no numbers to draw: counts_by_source gave an empty table")
    totals = counts.sum(axis=1)
    shares = 100 * counts.div(totals, axis=0)
    fig, axis = show.canvas(1.9 + 0.42 * len(counts))
    left = pd.Series(0.0, index=counts.index)
    names = [f"{source} ({total})" for source, total in totals.items()]
    for verdict in counts:
        colour, hatch = LOOKS[str(verdict)]
        axis.barh(names, shares[verdict], left=left, color=colour, hatch=hatch, edgecolor="white", linewidth=0.6, label=verdict)
        left = left + shares[verdict]
    axis.invert_yaxis()
    axis.set(xlim=(0, 100), xlabel="share of the source's published numbers (%)", ylabel="source (numbers)")
    fig.legend(loc="outside lower center", ncols=3, frameon=False)
    return show.figure(fig, _said(counts, totals), origin=provenance.of_ledger(ledger.stored()))


def _said(counts: pd.DataFrame, totals: pd.Series) -> str:
    parts = [
        f"{source}: " + ", ".join(f"{n} of {totals[source]} {verdict}" for verdict, n in row[row > 0].sort_values(ascending=False).items())
        for source, row in counts.iterrows()
    ]
    return "Stacked bars of the verdicts on the published numbers of each source. " + "; ".join(parts) + "."
