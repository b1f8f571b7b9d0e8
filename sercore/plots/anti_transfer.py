"""Figures of anti-transfer: both losses over epochs, gain at each tap, gain against beta, similarity against dissimilarity."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from sercore import provenance
from sercore.pages.anti_transfer import Gain, Row, in_words, rows_of
from sercore.pages.overview import STORED, Source
from sercore.plots import show
from sercore.provenance import Origin, Shown

_Figure = tuple[Figure, str, str, Origin]
_NOTHING = "Not run: no pair of runs with and without anti-transfer is at hand."
#: Of one figure: more could not be told apart.
_MOST_LINES = 6


def losses(shown: Sequence[Source]) -> Shown:
    """Cross-entropy and anti-transfer loss over epochs, means with the range over runs (thesis, Fig. 5.7), stored rows first.

    Args:
        shown: of `sercore.pages.overview.sources`.
    """
    made = []
    for source in sorted(shown, key=lambda s: s.origin != STORED):
        every = [row for row in rows_of(source.results) if row.transfer.method in ("none", "at", "at_random") and _plain(row)]
        for alike in dict.fromkeys(row.alike for row in every if row.transfer.method != "none"):
            rows = [row for row in every if row.alike == alike][:_MOST_LINES]
            here = source.results.of(group=[row.group["group"] for row in rows])
            made.append(_losses(rows, here.history, Source(source.origin, here).stamp(alike.data.corpus), provenance.of_runs(here)))
    return show.figures(made) if made else show.note(_NOTHING)


def _plain(row: Row) -> bool:
    return (abs(row.transfer.beta), row.transfer.aggregation, row.transfer.measure) == (1, "gram", "squared_cosine")


def _losses(rows: Sequence[Row], history: pd.DataFrame, stamp: str, origin: Origin) -> _Figure:
    panels = {"train_loss": "cross-entropy, training", "validation_loss": "cross-entropy, validation", "added_loss": "anti-transfer loss"}
    fig, axes = show.canvas(3.1, columns=3)
    said = []
    for k, row in enumerate(rows):
        mine = history[history["group"].eq(row.group["group"])]
        for ax, quantity in zip(axes, panels, strict=True):
            part = mine[mine["quantity"].eq(quantity)].sort_values("epoch")
            if len(part):
                colour = show.COLOURS[k % len(show.COLOURS)]
                ax.plot(part["epoch"], part["mean"], color=colour, label=in_words(row.transfer), marker="o", markersize=3)
                ax.fill_between(part["epoch"], part["low"].astype(float), part["high"].astype(float), color=colour, alpha=0.15, lw=0)
                if quantity == "added_loss":
                    said.append(f"{in_words(row.transfer)} from {part['mean'].iloc[0]:.2g} to {part['mean'].iloc[-1]:.2g}")
    axes[2].set_yscale("symlog", linthresh=1e-4)
    for ax, title in zip(axes, panels.values(), strict=True):
        ax.set_title(title, loc="left", fontsize=9.5)
        ax.set(xlabel="epoch", ylabel="loss")
        ax.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", fontsize=8, ncols=1)
    alt = f"Losses over epochs. The anti-transfer loss goes {'; '.join(said)}."
    return fig, alt, f"{alt} Lines are means over runs, bands from the lowest to the highest run. [{stamp}]", origin


def gain_by_tap(found: Sequence[Gain]) -> Shown:
    """Improvement over no transfer at each tap, with intervals of one tap and of all together; the tap that validation chooses is marked.

    Args:
        found: of `sercore.pages.anti_transfer.gains`.
    """
    made = []
    for one in found:
        rows = one.rows[one.rows["method"].eq("at") & one.rows["beta"].eq(1) & _is_plain(one.rows)]
        made += [_by_tap(part, one) for _, part in rows.groupby("tasks", sort=False) if len(part) > 1]
    return show.figures(made) if made else show.note("Not run at more than one tap.")


def _is_plain(rows: pd.DataFrame) -> pd.Series:
    return rows["aggregation"].eq("gram") & rows["measure"].eq("squared_cosine")


def _by_tap(rows: pd.DataFrame, one: Gain) -> _Figure:
    fig, ax = show.canvas(3.4)
    at = np.arange(len(rows))
    ax.axhline(0, color="0.5", lw=0.8)
    together = rows["max_t_low"].notna()
    ax.vlines(
        at[together], rows.loc[together, "max_t_low"], rows.loc[together, "max_t_high"], color="0.75", lw=5, label="95 %, all taps together"
    )
    ax.vlines(at, rows["low"], rows["high"], color=show.COLOURS[0], lw=1.6, label="95 %, one tap")
    ax.plot(at, rows["gain"], "o", color=show.COLOURS[0])
    best = int(rows["validation"].to_numpy().argmax())
    ax.plot(
        at[best], rows["gain"].iloc[best], "o", markersize=12, markerfacecolor="none", color=show.COLOURS[1], label="chosen by validation"
    )
    ax.set_xticks(at, rows["tap"], rotation=45, ha="right")
    ax.set(xlabel="tap of anti-transfer", ylabel="UAR above no transfer (points)")
    legend = fig.legend(*ax.get_legend_handles_labels(), loc="outside lower center", fontsize=8, ncols=2)
    if not together.any():
        legend.get_texts()[0].set_text("95 %, all taps together: too few speakers")
    ax.set_title(f"{one.corpus}: against {rows['tasks'].iloc[0]}", loc="left", fontsize=10)
    chosen = rows.iloc[best]
    worst, top = rows.loc[rows["gain"].idxmin()], rows.loc[rows["gain"].idxmax()]
    alt = (
        f"Gain in UAR at {len(rows)} taps of {one.corpus}: from {worst['gain']:+.1f} ({worst['tap']}) to {top['gain']:+.1f} points "
        f"({top['tap']}); validation chooses {chosen['tap']} ({chosen['gain']:+.1f})."
    )
    clear = rows.loc[(rows["max_t_low"] > 0) | (rows["max_t_high"] < 0), "tap"].tolist()
    rest = (
        f"Clear of zero when all taps are looked at together: {', '.join(clear) or 'none'}."
        if together.any()
        else ("Too few speakers for intervals of all taps together.")
    )
    return fig, alt, f"{alt} {rest} [{one.stamp}]", one.origin


def gain_by_beta(found: Sequence[Gain]) -> Shown:
    """Improvement over no transfer against the weight of the loss, each similarity by itself (thesis, Fig. 5.8).

    Args:
        found: of `sercore.pages.anti_transfer.gains`.
    """
    made = []
    for one in found:
        rows = one.rows[one.rows["method"].isin(["at", "at_inverse"]) & one.rows["aggregation"].eq("gram")]
        made += [_by_beta(part, one) for _, part in rows.groupby(["tap", "tasks"], sort=False) if part["beta"].nunique() > 2]
    return show.figures(made) if made else show.note("Not run with more than two values of beta.")


def _by_beta(rows: pd.DataFrame, one: Gain) -> _Figure:
    fig, ax = show.canvas(3.0)
    ax.axhline(0, color="0.5", lw=0.8)
    said = []
    for k, (measure, part) in enumerate(rows.groupby("measure", sort=False)):
        part = part.sort_values("beta")
        spread = np.maximum([part["gain"] - part["low"], part["high"] - part["gain"]], 0)  # an interval may leave its mean out
        name = str(measure).replace("_", " ")
        ax.errorbar(part["beta"], part["gain"], spread, marker="o", capsize=3, color=show.COLOURS[k], label=name)
        said.append(f"{name}: {', '.join(f'{g:+.1f} at {b:g}' for b, g in zip(part['beta'], part['gain'], strict=True))}")
    ax.set_xscale("symlog", linthresh=0.1)
    ax.set(xlabel="beta (symmetric logarithmic scale)", ylabel="UAR above no transfer (points)")
    ax.legend(fontsize=8)
    alt = f"Gain in UAR against beta at {rows['tap'].iloc[0]} on {one.corpus}. {'; '.join(said)}."
    return fig, alt, f"{alt} Bars are 95 % over speakers. [{one.stamp}]", one.origin


def likeness(found: Sequence[Gain]) -> Shown:
    """Features kept unlike, kept alike, and taken over: gains beside each other (thesis, Fig. 5.4).

    Args:
        found: of `sercore.pages.anti_transfer.gains`.
    """
    made = []
    for one in found:
        rows = one.rows[one.rows["beta"].abs().eq(1) & _is_plain(one.rows)]
        taps = set(rows.loc[rows["method"].isin(["at_inverse", "wi_frozen", "at_random"]), "tap"]) or set(rows["tap"])
        rows = rows[rows["tap"].isin(taps) | rows["tap"].eq("")]
        made += [_likeness(rows, one)] if len(set(rows["method"])) > 1 else []
    return show.figures(made) if made else show.note(_NOTHING)


def _likeness(rows: pd.DataFrame, one: Gain) -> _Figure:
    fig, ax = show.canvas(0.42 * len(rows) + 1.0)
    at = np.arange(len(rows))[::-1]
    ax.axvline(0, color="0.5", lw=0.8)
    ax.barh(at, rows["gain"], color=show.COLOURS[0], alpha=0.5, height=0.6)
    ax.hlines(at, rows["low"], rows["high"], color="0.2", lw=1.4)
    ax.set_yticks(at, rows["words"], fontsize=8)
    ax.set_xlabel("UAR above no transfer (points)", loc="right")  # under long names the axis is narrower than its label
    alt = f"Gain in UAR on {one.corpus}: {'; '.join(f'{w} {g:+.1f}' for w, g in zip(rows['words'], rows['gain'], strict=True))}."
    return fig, alt, f"{alt} Bars with 95 % intervals over speakers. [{one.stamp}]", one.origin
