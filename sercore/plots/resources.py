"""Score against what it costs: parameters, operations of one recording, time of an epoch. Tidy rows only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, MaxNLocator, NullLocator

from sercore import provenance
from sercore.ledger import FOR_SCALE, label
from sercore.pages.overview import Source
from sercore.pages.resources import costs, in_short, on
from sercore.plots import show
from sercore.provenance import Origin, Shown

_MARKERS = {"strict": "o", "paper": "^"}
_AXES = (
    ("pipeline_parameters", "parameters from waveform to answer"),
    ("macs", "multiply-accumulates of one recording"),
    ("seconds_per_epoch", "seconds an epoch"),
)
#: Points nearer than this share of the axis are set side by side, so much apart.
_APART = 0.035
#: The most of the axis that points of equal cost may take together.
_TOGETHER = 0.3
#: So many systems are all put into words; of more the ends are.
_IN_WORDS = 4


def score_against_resources(shown: Sequence[Source], corpora: Sequence[str] = ()) -> Shown:
    """UAR, with its interval over speakers, against parameters, operations and seconds an epoch, on logarithmic axes.

    Args:
        shown: of `sercore.pages.overview.sources`.
        corpora: names; empty takes all that were run.

    Returns:
        One figure a source and corpus, as HTML, or a note where no network was run.
    """
    made = []
    for source in shown:
        rows = costs(source)
        for corpus in dict.fromkeys(rows["corpus"]):
            here = rows[rows["corpus"] == corpus]
            networks = here[here["parameters"].notna()].sort_values(["pipeline_parameters", "parameters", "name"], kind="stable")
            if len(networks) and (not corpora or corpus in corpora):
                made.append(_figure(source, corpus, networks.reset_index(drop=True), _plain(here)))
    return show.figures(made) if made else show.note("Not run: no network has a score yet that could be set against its cost.")


def _plain(rows: pd.DataFrame) -> dict[str, float]:
    """UAR of the plain systems of a corpus, by name; they have no parameters to be drawn at."""
    first = rows.drop_duplicates("name").set_index("name")["uar"]
    return {label(system): float(first[label(system)]) for system in FOR_SCALE if label(system) in first}


def _figure(source: Source, corpus: str, rows: pd.DataFrame, plain: dict[str, float]) -> tuple[Figure, str, str, Origin]:
    axes_of = [(column, name) for column, name in _AXES if rows[column].notna().any()]
    lines = -(-len(rows) // 2)
    fig, panels = show.canvas(2.35 * len(axes_of) + 0.21 * (lines + 1), rows=len(axes_of), sharey=True, squeeze=False)
    for ax, (column, name) in zip(panels[:, 0], axes_of, strict=True):
        _panel(ax, rows, column)
        ax.set_xlabel(f"{name} ({', '.join(dict.fromkeys(on(r) for r in rows.to_dict('records')))})" if column == _AXES[-1][0] else name)
        if (svm := plain.get(label("functionals_svm"))) is not None:
            ax.axhline(100 * svm, color=show.GREY, lw=1, ls=":", zorder=0)
    panels[0, 0].set_title(corpus, loc="left")
    key: dict[str, Any] = {"ncol": 2, "fontsize": 8.5, "frameon": False, "handletextpad": 0.4, "columnspacing": 1.2}
    fig.legend(handles=_key(rows, plain), loc="outside lower left", **key)
    missing = [name for column, name in _AXES if column not in dict(axes_of)]
    alt = _words(corpus, rows, plain)
    caption = f"Points that would hide each other are set side by side. {alt}"
    caption += f" Not known for these rows: {', '.join(missing)}." if missing else ""
    drawn = [*rows["group"], *source.results.groups.loc[source.results.groups["system"].isin(FOR_SCALE), "group"]]
    of_corpus = source.results.groups.loc[source.results.groups["corpus"] == corpus, "group"]
    origin = provenance.of_runs(source.results, [g for g in drawn if g in set(of_corpus)]) + provenance.of_files("sercore/resources.py")
    return fig, alt, f"{caption} [{source.stamp(corpus)}]", origin


def _panel(ax: Any, rows: pd.DataFrame, column: str) -> None:
    known = rows[rows[column].notna() & (rows[column] > 0)]
    places = _side_by_side(known[column].to_numpy(dtype=float))
    for (k, row), x in zip(known.iterrows(), places, strict=True):
        colour, top = show.COLOURS[int(k) % len(show.COLOURS)], 100 * (row["high"] if pd.notna(row["high"]) else row["uar"])
        if pd.notna(row["low"]):
            ax.vlines(x, 100 * row["low"], 100 * row["high"], color=colour, lw=1.6, alpha=0.75)
        ax.plot(x, 100 * row["uar"], _MARKERS.get(row["protocol"], "s"), color=colour, ms=6.5)
        ax.annotate(str(int(k) + 1), (x, top), (0, 4), textcoords="offset points", fontsize=8.5, color=show.BLACK, ha="center")
    ax.set_xscale("log")
    _ticks(ax, places)
    ax.margins(y=0.12)
    ax.set_ylabel("UAR (%)")
    ax.grid(color="#e4e4e4")


def _side_by_side(values: np.ndarray) -> np.ndarray:
    """Places on a logarithmic axis: values that are all but equal are spread around their middle, the rest stays where it is.

    Args:
        values: above 0, shape (N,).

    Returns:
        Shape (N,), numbers above 0.
    """
    at = np.log10(values)
    span = max(float(np.ptp(at)), 0.3) if len(at) else 0.0
    step = _APART * span
    order = np.argsort(at, kind="stable")
    for cluster in np.split(order, np.flatnonzero(np.diff(at[order]) > step) + 1):
        if len(cluster) > 1:
            ranks = np.arange(len(cluster)) - (len(cluster) - 1) / 2
            at[cluster] = at[cluster].mean() + min(step, _TOGETHER * span / len(cluster)) * ranks
    return 10**at


def _ticks(ax: Any, places: np.ndarray) -> None:
    """Ticks with few digits, also where all values lie within one decade."""
    low, high = (places.min(), places.max()) if len(places) else (1.0, 10.0)
    edge = max(1.25, (high / low) ** 0.05)
    low, high = low / edge, high * edge
    ax.set_xlim(low, high)
    decades = np.log10(high / low)
    if decades < 1:
        inside = [t for t in MaxNLocator(4).tick_values(low, high) if low <= t <= high and t > 0]
        ax.xaxis.set_major_locator(FixedLocator(inside))
    else:
        ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if decades < 2.2 else (1,), numticks=20))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: in_short(value)))


def _key(rows: pd.DataFrame, plain: dict[str, float]) -> list[Line2D]:
    """What each number is; a protocol is named where it is not the strict one."""
    made = []
    for k, row in enumerate(rows.to_dict("records")):
        marker, colour = _MARKERS.get(row["protocol"], "s"), show.COLOURS[k % len(show.COLOURS)]
        made.append(Line2D([], [], marker=marker, color=colour, ls="", ms=6, label=f"{k + 1} {_named(row)}"))
    if label("functionals_svm") in plain:
        made.append(Line2D([], [], color=show.GREY, lw=1, ls=":", label=label("functionals_svm")))
    return made


def _named(row: dict[str, Any]) -> str:
    return row["name"] if row["protocol"] == "strict" else f"{row['name']}, {row['protocol']}"


def _words(corpus: str, rows: pd.DataFrame, plain: dict[str, float]) -> str:
    """The figure in words: all systems where they are few, else the best and the cheapest."""
    if len(rows) <= _IN_WORDS:
        chosen = dict.fromkeys(rows.index, "")
    else:
        chosen = {int(rows["uar"].idxmax()): "highest score: "}
        for column, name in _AXES:
            if rows[column].notna().any():
                at = int(rows[column].astype(float).idxmin())
                chosen[at] = f"{chosen.get(at, '').removesuffix(': ')}{', ' if at in chosen else ''}fewest {name}: "
    said = [said_of + _of_one(rows.loc[k].to_dict()) for k, said_of in chosen.items()]
    scale = "; ".join(f"{name} {100 * uar:.1f} %" for name, uar in plain.items())
    return f"UAR against cost on {corpus}, {len(rows)} systems: {'; '.join(said)}{f'. For scale: {scale}' if scale else ''}."


def _of_one(row: dict[str, Any]) -> str:
    spread = f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if pd.notna(row["low"]) else ""
    parts = [f"{in_short(row['pipeline_parameters'])} parameters"] if pd.notna(row["pipeline_parameters"]) else []
    parts += [f"{in_short(row['macs'])} MACs"] if pd.notna(row["macs"]) else []
    parts += [f"{row['seconds_per_epoch']:.2g} s an epoch"] if pd.notna(row["seconds_per_epoch"]) else []
    return f"{_named(row)} {100 * row['uar']:.1f}{spread} % with {', '.join(parts)}"
