"""Figures of what networks hold: factors read out at each tap, and the anti-transfer loss when channels are renumbered. Tidy rows only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sercore.losses.permutation import BOTH, NEITHER, ONE
from sercore.losses.similarities import VARIANTS
from sercore.plots import show
from sercore.probes import NO_NETWORK
from sercore.provenance import Origin, Shown

_MARKERS = "osD^vP*X"
_SUMMARY = {"mean_deviation": "means and deviations of channels", "gram": "Gram matrices, as the loss sees them"}
#: Changes below this are drawn here: a spectrum that did not move at all has no place on a logarithmic axis.
_FLOOR = 1e-17


def scores(rows: pd.DataFrame, stamp: str, origin: Origin | None = None) -> Shown:
    """How well each factor is read out at each tap: a panel a factor, a colour a network, a figure a summary.

    Args:
        rows: of `sercore.probes.probe_table`, taps in the order in which they are to be drawn.
        stamp: where the rows come from, in words.
        origin: the groups of runs behind them.

    Returns:
        The figures as HTML, or a sentence where nothing was run.
    """
    if rows.empty:
        return show.note("Not run: nothing was read out of a network's features.")
    return show.figures([_scores(part, stamp, origin or Origin()) for _, part in rows.groupby("summary", sort=False)])


def _scores(rows: pd.DataFrame, stamp: str, origin: Origin) -> tuple[Figure, str, str, Origin]:
    inside, bare = rows[rows["network"].ne(NO_NETWORK)], rows[rows["network"].eq(NO_NETWORK)].set_index("factor")
    factors, taps, networks = (list(dict.fromkeys(inside[column])) for column in ("factor", "tap", "network"))
    fig, axes = show.canvas(2.3 * len(factors) + 1.0, rows=len(factors), squeeze=False, sharex=True)
    said = []
    for ax, factor in zip(axes[:, 0], factors, strict=True):
        part = inside[inside["factor"].eq(factor)]
        for k, name in enumerate(networks):
            own = part[part["network"].eq(name)].set_index("tap").reindex(taps)
            _line(ax, np.arange(len(taps)) + 0.5 * ((k + 0.5) / len(networks) - 0.5), own, k, name)
            said.append(f"{factor}, {name}: " + ", ".join(f"{tap} {100 * v:.0f} %" for tap, v in own["score"].dropna().items()))
        chance = 100 * part["chance"].mean()
        ax.axhline(chance, color=show.BLACK, ls="--", lw=1, label="permuted labels")
        said.append(f"{factor}, permuted labels {chance:.0f} %")
        if factor in bare.index:
            value = 100 * bare["score"][factor]
            ax.axhline(value, color=show.GREY, ls=":", lw=1.4, label="the input itself")
            said.append(f"{factor}, the input itself {value:.0f} %")
        first = part.iloc[0]
        ax.set_title(f"{factor}: {first['n_classes']} classes, {first['n_groups']} groups ({first['grouped_by']})", loc="left")
        ax.set(ylabel="UAR (%)", ylim=(0, 104), xlim=(-0.6, len(taps) - 0.4))
        ax.grid(axis="y")
        ax.set_axisbelow(True)
    axes[-1, 0].set_xticks(range(len(taps)), taps, rotation=45 if len(taps) > 6 else 0)
    axes[-1, 0].set_xlabel("tap")
    fig.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    alt = f"Recall of linear read-outs from {_SUMMARY[rows['summary'].iloc[0]]}. {'; '.join(said)}."
    caption = f"{alt} {first['n_items']} recordings; a read-out is asked about groups that it has not heard. Lines are 95 % intervals over"
    return fig, alt, f"{caption} groups, the read-outs as fitted. [{stamp}]", origin


def _line(ax: Any, x: np.ndarray, own: pd.DataFrame, k: int, name: str) -> None:
    middle, low, high = (100 * own[column] for column in ("score", "low", "high"))
    reach = np.maximum([middle - low, high - middle], 0)
    colour = show.COLOURS[k % len(show.COLOURS)]
    style = {"fmt": f"{_MARKERS[k % len(_MARKERS)]}-", "color": colour, "markersize": 5, "linewidth": 1.2, "capsize": 2}
    ax.errorbar(x, middle, yerr=reach, label=name, **style)


def permutations(rows: Mapping[str, Sequence[Mapping[str, Any]]], stamp: str, origin: Origin | None = None) -> Shown:
    """The loss before and after renumbering one network's channels, and how little the spectrum of its Gram matrices moves.

    Args:
        rows: what was compared, in words -> rows of `sercore.losses.permutation.channel_permutations`.
        stamp: where the features come from, in words.
        origin: the groups of runs behind them.

    Returns:
        The figure as HTML, or a sentence where nothing was run.
    """
    tables = {name: pd.DataFrame(list(each)) for name, each in rows.items() if len(each)}
    if not tables:
        return show.note("Not run: no channels were renumbered.")
    lines = [(name, variant) for name in tables for variant in VARIANTS]
    fig, axes = show.canvas(2 * (0.42 * len(lines) + 0.7) + 0.7, rows=2)
    said = [_permuted(axes, y, name, variant, tables[name]) for y, (name, variant) in enumerate(lines)]
    for ax, axis in zip(axes, ("squared cosine of the Gram matrices", "relative change"), strict=True):
        ax.set_yticks(range(len(lines)), [f"{name}, {variant}" for name, variant in lines])
        ax.set_ylim(len(lines) - 0.4, -0.6)
        ax.set_xlabel(axis)
        ax.grid(axis="x")
        ax.set_axisbelow(True)
    axes[0].set_xlim(-0.02, 1.02)
    axes[0].set_title("similarity", loc="left")
    axes[1].set_xscale("log")
    axes[1].set_title("what a renumbering changes", loc="left")
    handles, labels = (a + b for a, b in zip(*(ax.get_legend_handles_labels() for ax in axes), strict=True))
    fig.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    alt = f"The anti-transfer loss when the channels of one network are renumbered, which leaves it the same function. {'; '.join(said)}."
    control = max((part["value"] - part["value"].iloc[0]).abs().max() for table in tables.values() for part in _controls(table))
    caption = (
        f"{alt} Renumbering both networks alike changes it by at most {control:.0e}. Changes below {_FLOOR:g} are drawn there. [{stamp}]"
    )
    return show.figure(fig, alt, caption, origin)


def _controls(table: pd.DataFrame) -> list[pd.DataFrame]:
    """Of each variant the rows in which nothing may change; the first is that of the channels as they are."""
    return [part for _, part in table[table["permuted"].isin([NEITHER, BOTH])].groupby("variant")]


def _permuted(axes: Any, y: int, name: str, variant: str, table: pd.DataFrame) -> str:
    """Draws one line of both panels; says what it shows."""
    table = table[table["variant"].eq(variant)]
    of = {kind: part["value"].to_numpy() for kind, part in table.groupby("permuted")}
    before, moved = float(of[NEITHER][0]), of[ONE]
    beside = y + 0.22 * (np.arange(len(moved)) % 5 - 2) / 2  # points in a few rows, so that they can be told apart
    named = "_" if y else ""  # one entry of the legend for all lines
    axes[0].plot(moved, beside, ".", color=show.BLUE, alpha=0.6, ms=6, label=f"{named}one network renumbered")
    axes[0].plot(of[BOTH], np.full(len(of[BOTH]), y), "s", mfc="none", color=show.ORANGE, ms=9, label=f"{named}both renumbered alike")
    axes[0].plot(before, y, "D", color=show.BLACK, ms=5, label=f"{named}as they are")
    change, spectrum = np.abs(moved - before) / max(before, _FLOOR), table.loc[table["permuted"].eq(ONE), "spectrum"].to_numpy()
    axes[1].plot(np.maximum(change, _FLOOR), beside, ".", color=show.BLUE, alpha=0.6, ms=6)
    axes[1].plot(
        np.maximum(spectrum, _FLOOR), beside, "^", color=show.GREEN, alpha=0.6, ms=5, label=f"{named}eigenvalues of the Gram matrices"
    )
    moves = f"{before:.3f} before, {moved.min():.3f} to {moved.max():.3f} after {len(moved)} permutations"
    return f"{name}, {variant}: {moves}, eigenvalues moved by at most {spectrum.max():.0e} of the largest"
