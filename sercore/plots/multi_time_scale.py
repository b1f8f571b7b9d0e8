"""Figures of multi-time-scale convolution: its branches on one recording, who wins, kernels, tempo, and gain by size of the corpus."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure

from sercore import provenance, scale_usage, tempo, tempo_curves
from sercore.ledger import label
from sercore.pages import multi_time_scale as page
from sercore.pages import published_scales
from sercore.pages.multi_time_scale import Inside, Seen
from sercore.pages.overview import STORED, Source
from sercore.plots import show
from sercore.provenance import Origin, Shown

_CLAIMS = "book/claims/claims.csv"
_MARKERS = "osD^vP*X"
_Figure = tuple[Figure, str, str, Origin]


def branches(seen: Sequence[Inside]) -> Shown:
    """One recording in the first layer: input, the map of each branch, their maximum, and which branch won each point.

    Args:
        seen: of `sercore.pages.multi_time_scale.inside`; stored ones have no frames and are left out.
    """
    made = [_branches(one.view, one) for one in seen if one.view is not None]
    return show.figures(made) if made else show.note("Nothing to draw: this build ran no multi-time-scale network.")


def _branches(view: scale_usage.BranchView, one: Inside) -> _Figure:
    n = len(view.factors)
    fig, axes = show.canvas(1.25 * (n + 3) + 0.6, rows=n + 3, sharex=True, sharey=True)
    limit = float(np.quantile(np.abs(view.maps), 0.99)) or 1.0
    signed: dict[str, Any] = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit}
    top = float(np.quantile(view.spectrogram, 0.99))
    _map(fig, axes[0], view.spectrogram, view, "input (normalised magnitude)", (0.0, 0.0), cmap="magma", vmax=top)
    for ax, factor, values in zip(axes[1:], view.factors, view.maps, strict=False):
        _map(fig, ax, values, view, f"branch {factor:g}", view.offset, **signed)
    _map(fig, axes[n + 1], view.pooled, view, "maximum over branches", view.offset, **signed)
    colours = ListedColormap([show.COLOURS[k % len(show.COLOURS)] for k in range(n)])
    bar = _map(fig, axes[-1], view.winner, view, "branch that won", view.offset, cmap=colours, norm=BoundaryNorm(np.arange(n + 1) - 0.5, n))
    bar.set_ticks(range(n), labels=[f"{f:g}" for f in view.factors])
    t, f = view.spectrogram.shape
    axes[-1].set(xlim=(-0.5 * view.hop_s, (t - 0.5) * view.hop_s), ylim=(0, (f - 0.5) * view.bin_hz / 1000), xlabel="time (s)")
    fig.supylabel("frequency (kHz)", fontsize=10)
    shares = np.bincount(view.winner.ravel(), minlength=n) / view.winner.size
    won = ", ".join(f"{f:g} {100 * s:.0f} %" for f, s in zip(view.factors, shares, strict=True))
    alt = (
        f"{view.item_id} (true: {view.truth}, answered: {view.prediction}) in the first layer: of the points before the padding the "
        f"branches win {won}."
    )
    rest = "The recording is the first of the test side by name, not chosen by result; padding is not shown."
    return fig, alt, f"{alt} {rest} [{one.stamp}]", one.origin


def _map(
    fig: Figure, ax: Any, values: np.ndarray, view: scale_usage.BranchView, title: str, offset: tuple[float, float], **how: Any
) -> Any:
    (t, f), (before, below) = values.shape, offset
    extent = (
        (before - 0.5) * view.hop_s, (before + t - 0.5) * view.hop_s,
        (below - 0.5) * view.bin_hz / 1000, (below + f - 0.5) * view.bin_hz / 1000,
    )  # fmt: skip
    image = ax.imshow(values.T, aspect="auto", origin="lower", extent=extent, interpolation="nearest", **how)
    ax.set_title(title, loc="left", fontsize=9.5, pad=2)
    return fig.colorbar(image, ax=ax, aspect=8, pad=0.01)


def kernels(seen: Sequence[Inside]) -> Shown:
    """The first layer's kernel as it was drawn and as it was learned, resampled for each branch.

    Args:
        seen: of `sercore.pages.multi_time_scale.inside`.
    """
    made = [_kernels(one) for one in seen if len(one.kernels)]
    return show.figures(made) if made else show.note("Not run: no multi-time-scale network is at hand, so there are no kernels to show.")


def _kernels(one: Inside) -> _Figure:
    rows = one.kernels[one.kernels["map"].eq(0)]
    stages, factors = list(dict.fromkeys(rows["stage"])), sorted(rows["factor"].unique())
    frames = [int(rows[rows["factor"].eq(f)]["frame"].max()) + 1 for f in factors]
    fig, axes = show.canvas(0.16 * max(frames) * len(stages) + 1.5, rows=len(stages), columns=len(factors), squeeze=False, sharex=True)
    limit = float(rows["value"].abs().max()) or 1.0
    tables = {}
    for line, stage in zip(axes, stages, strict=True):
        for ax, factor in zip(line, factors, strict=True):
            part = rows[rows["stage"].eq(stage) & rows["factor"].eq(factor)]
            tables[stage, factor] = table = part.pivot_table(index="frame", columns="bin", values="value")
            image = ax.imshow(table, cmap="RdBu_r", vmin=-limit, vmax=limit, origin="lower", aspect="auto", interpolation="nearest")
            ax.set_ylim(-0.5, max(frames) - 0.5)
            ax.set_xticks(range(len(table.columns)))
            ax.set_title(f"{'as drawn' if stage == 'before' else 'learned'}, {factor:g}", loc="left", fontsize=9.5)
            ax.set(xlabel="bin" if stage == stages[-1] else "", ylabel="frame" if factor == factors[0] else "")
    fig.colorbar(image, ax=axes, aspect=25, pad=0.01, label="weight")
    alt = f"Kernel of {rows['layer'].iloc[0]}, {frames[factors.index(1.0)]} frames long; its branches are "
    alt += f"{', '.join(f'{n} frames (factor {f:g})' for n, f in zip(frames, factors, strict=True) if f != 1)} long."
    if "before" in stages:
        first, last = (tables[stage, 1.0].to_numpy() for stage in ("before", "after"))
        alt += f" Training changed it by {100 * np.linalg.norm(last - first) / np.linalg.norm(first):.0f} % of its norm."
    return fig, alt, f"{alt} Branches of one line are one kernel, resampled linearly along time. [{one.stamp}]", one.origin


def usage(seen: Sequence[Seen]) -> Shown:
    """Share of points that each branch wins, trained beside untrained, with the published shares of the same factors as marks.

    Args:
        seen: of `sercore.pages.multi_time_scale.usage_seen`.
    """
    made = [_usage(part, one) for one in seen for _, part in scale_usage.usage_table(one.rows).groupby("group", sort=False)]
    return show.figures(made) if made else show.note("Not run: no multi-time-scale network is at hand, so no branch has won anything.")


def _usage(table: pd.DataFrame, one: Seen) -> _Figure:
    name, factors = label(table["system"].iloc[0], table["settings"].iloc[0]), sorted(table["factor"].unique())
    layers = list(dict.fromkeys(table["layer"]))
    marks, x = published_scales.usage_of(one.corpus, tuple(factors)), np.arange(len(factors))
    kinds = [("all points", "", layers), ("without padding", "_in_sound", layers)]
    fig, axes = show.canvas(6.0, rows=2, sharex=True)
    said = []
    for ax, (title, ending, names) in zip(axes, kinds, strict=True):
        mean = table.groupby("factor").mean(numeric_only=True)
        low, mid, high = (mean[f"untrained{ending}{end}"] for end in ("_low", "", "_high"))
        if len(names) > 1:  # each layer as a small point behind the mean
            for layer in names:
                ax.plot(
                    x - 0.12, table[table["layer"].eq(layer)].sort_values("factor")[f"trained{ending}"], ".", color=show.BLUE, alpha=0.4
                )
        ax.plot(x - 0.12, mean[f"trained{ending}"], "o", color=show.BLUE, ms=8, label="trained")
        ax.errorbar(
            x + 0.12,
            mid,
            yerr=np.maximum([mid - low, high - mid], 0),
            fmt="s",
            color=show.ORANGE,
            ms=7,
            capsize=4,
            label="untrained: mean, range",
        )
        if not ending:
            ax.plot(x, mean["noise"], "x", color=show.GREY, ms=7, mew=1.6, label="untrained, on white noise")
            for k, (where, part) in enumerate(marks.groupby("name", sort=False)):
                ax.plot(x + 0.25, part.sort_values("factor")["share"], _MARKERS[3 + k % 5], mfc="none", color=show.BLACK, ms=6, label=where)
        said.append(f"{title}: " + ", ".join(f"{f:g} {mean[f'trained{ending}'][f]:.2f} ({mid[f]:.2f})" for f in factors))
        ax.axhline(1 / len(factors), color=show.GREY, ls=":", lw=1)
        ax.set(ylabel="share of points won", ylim=(0, 1), xlim=(-0.5, len(factors) - 0.5))
        ax.set_title(title, loc="left")
        ax.grid(axis="y")
        ax.set_axisbelow(True)
    axes[1].set_xticks(x, [f"{f:g}" for f in factors])
    axes[1].set_xlabel("factor of the branch")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
    over = f", mean over {len(layers)} layers" if len(layers) > 1 else ""
    alt = f"Shares of the branches of {name}{over}, trained, in brackets untrained. {'; '.join(said)}."
    caption = f"{alt} {int(table['runs'].max())} trained runs; {int(table['draws'].max())} untrained draws a fold. Dotted: equal shares."
    return fig, alt, f"{caption} [{one.stamp}]", one.origin + provenance.of_files(_CLAIMS)


def accuracy_by_tempo(seen: Sequence[Seen]) -> Shown:
    """Accuracy against the tempo of the test recordings, a line a network, with intervals over speakers.

    Args:
        seen: of `sercore.pages.multi_time_scale.tempo_seen`.
    """
    made = [_by_tempo(tempo_curves.curves(one.rows), one) for one in seen]
    return show.figures(made) if made else show.note("Not run: no network at hand was tested at another tempo.")


def _by_tempo(table: pd.DataFrame, one: Seen) -> _Figure:
    fig, ax = show.canvas(4.4)
    said = []
    for k, (name, part) in enumerate(_lines(table)):
        _band(ax, part, "accuracy", "low", "high", k, name)
        changed = part.sort_values("factor").set_index("factor")["accuracy"]
        said.append(f"{name}: " + ", ".join(f"{100 * v:.1f} % at {f:g}" for f, v in changed.items()))
    _round_trips(ax, table, "accuracy")
    _tempo_axis(ax, table, "accuracy (%)")
    ax.set_title(f"{one.corpus}: test recordings faster or slower", loc="left")
    fig.legend(loc="outside lower center", frameon=False)
    cut = table[table["kind"].eq(tempo.TEMPO)].groupby("factor")[["cut", "recordings"]].first()
    lost = [f"{int(row['cut'])} of {int(row['recordings'])} at {f:g}" for f, row in cut.iterrows() if row["cut"]]
    alt = f"Accuracy on {one.corpus} when the test recordings are faster or slower. {'; '.join(said)}."
    how = "Rendered anew at each tempo." if tempo.ROUND_TRIP not in set(table["kind"]) else (
        "Stretched by a phase vocoder; dotted: there and back, at the own tempo, so that what is lost is the vocoder's, twice over."
    )  # fmt: skip
    rest = f"{how} Exploratory: no network was chosen by it. Bands are 95 % intervals over speakers."
    rest += f" Longer than the input and cut at the end: {', '.join(lost)}." if lost else " None was cut."
    return fig, alt, f"{alt} {rest} [{one.stamp}]", one.origin


def tempo_invariance(seen: Sequence[Seen]) -> Shown:
    """How far answers, probabilities and embeddings move when the tempo alone is changed, a line a network.

    Args:
        seen: of `sercore.pages.multi_time_scale.tempo_seen`; exact on the synthetic corpus, with a vocoder's traces elsewhere.
    """
    made = [_invariance(tempo_curves.curves(one.rows), one) for one in seen]
    return show.figures(made) if made else show.note("Not run: no network at hand was tested at another tempo.")


def _invariance(table: pd.DataFrame, one: Seen) -> _Figure:
    fig, axes = show.canvas(7.2, rows=3, sharex=True)
    panels = (("same", "same answer (%)", "answers that stay"), ("change", "distance (points)", "change of the class probabilities"))
    said = []
    for ax, (column, axis, title) in zip(axes, (*panels, ("cosine", "cosine x 100", "likeness of the embedding")), strict=True):
        for k, (name, part) in enumerate(_lines(table)):
            _band(ax, part, column, f"{column}_low", f"{column}_high", k, name)
            away = part[~np.isclose(part["factor"], 1)]
            if column == "same" and len(away):
                said.append(f"{name} {100 * away[column].mean():.1f} %")
        _round_trips(ax, table, column)
        _tempo_axis(ax, table, axis)
        ax.set_title(title, loc="left")
    for ax in axes[:2]:
        ax.set_xlabel("")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", frameon=False)
    gaps = tempo_curves.against_standard(one.rows)
    gaps = gaps[gaps["quantity"].eq("same") & gaps["kind"].eq(tempo.TEMPO) & ~np.isclose(gaps["factor"].astype(float), 1)]
    gaps[["difference", "low", "high"]] *= 100
    found = [
        f"{label(r['system'], r['settings'])} {r['difference']:+.1f} [{r['low']:+.1f}, {r['high']:+.1f}] at {r['factor']:g}"
        for r in gaps.to_dict("records")
    ]
    alt = f"Answers on {one.corpus} that stay the same at another tempo, mean over the changed ones: {'; '.join(said)}."
    exact = "Exact: the same utterance rendered with its tempo changed alone." if tempo.ROUND_TRIP not in set(table["kind"]) else (
        "Dotted: stretched there and back, at the own tempo; what moves there is the phase vocoder's doing, twice over."
    )  # fmt: skip
    against = f" Same answers, multi-time-scale minus standard, points: {'; '.join(found)}." if found else ""
    return fig, alt, f"{alt} {exact}{against} Bands are 95 % intervals over speakers. [{one.stamp}]", one.origin


def _lines(table: pd.DataFrame, kind: str = tempo.TEMPO) -> list[tuple[str, pd.DataFrame]]:
    """A line a group: its label, and its rows in order of the factor; where labels are equal the group's name tells them apart."""
    parts = [(str(group), part.sort_values("factor")) for group, part in table[table["kind"].eq(kind)].groupby("group", sort=False)]
    names = [label(part["system"].iloc[0], part["settings"].iloc[0]) for _, part in parts]
    return [(name if names.count(name) == 1 else f"{name}, {group}", part) for name, (group, part) in zip(names, parts, strict=True)]


def _band(ax: Any, part: pd.DataFrame, column: str, low: str, high: str, k: int, name: str) -> None:
    colour = show.COLOURS[k % len(show.COLOURS)]
    ax.fill_between(part["factor"], 100 * part[low], 100 * part[high], color=colour, alpha=0.15, lw=0)
    ax.plot(part["factor"], 100 * part[column], f"-{_MARKERS[k % len(_MARKERS)]}", color=colour, ms=5, label=name)


def _round_trips(ax: Any, table: pd.DataFrame, column: str) -> None:
    for k, (name, part) in enumerate(_lines(table, tempo.ROUND_TRIP)):
        ax.plot(part["factor"], 100 * part[column], ":", color=show.COLOURS[k % len(show.COLOURS)], lw=1.6, label=f"{name}, there and back")


def _tempo_axis(ax: Any, table: pd.DataFrame, ylabel: str) -> None:
    factors = sorted(table["factor"].astype(float).unique())
    ax.set_xscale("log")
    ax.set_xticks(factors, [f"{f:g}" for f in factors])
    ax.minorticks_off()
    ax.axvline(1, color=show.GREY, ls="--", lw=1)
    ax.set(xlabel="speed of the test recordings (1: their own)", ylabel=ylabel)
    ax.grid(axis="y")


def gain_by_size(shown: Sequence[Source]) -> Shown:
    """Gain of multi-time-scale over standard against the size of the corpus: the thesis' points, and ours where they are stored.

    Args:
        shown: of `sercore.pages.overview.sources`.
    """
    theirs, ours = published_scales.gains(), page.our_gains(shown)
    fig, ax = show.canvas(4.8)
    words = {"Table 4.1": "emotion, A1 to A4", "Table 4.3": "emotion, ResNet18", "Table 4.4": "words, A1 to A3", "Table 4.5": "pictures"}
    said = []
    for k, (table, part) in enumerate(theirs.groupby("table", sort=True)):
        name = words.get(str(table), str(table))
        ax.plot(
            part["n"], part["gain"], _MARKERS[k], color=show.COLOURS[k], mfc="none", ms=6, label=f"thesis, {str(table).lower()}: {name}"
        )
        said.append(f"{name} {part['gain'].mean():+.1f} on average, {int((part['gain'] > 0).sum())} of {len(part)} above zero")
    if len(ours):
        reach = [ours["gain"] - ours["low"], ours["high"] - ours["gain"]]
        ax.errorbar(
            ours["n"], ours["gain"], yerr=reach, fmt="*", color=show.BLACK, ms=10, capsize=3, label="ours, strict, 95 % over speakers"
        )
    ax.axhline(0, color=show.BLACK, lw=0.8)
    ax.set_xscale("log")
    ax.set(xlabel="recordings or pictures in the corpus", ylabel="points of accuracy,\nmulti-time-scale minus standard")
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    fig.legend(loc="outside lower center", frameon=False)
    mine = "; ".join(
        f"{r['network']} on {r['corpus']} {r['gain']:+.1f} [{r['low']:+.1f}, {r['high']:+.1f}]" for r in ours.to_dict("records")
    )
    alt = f"Gain by size of the corpus, as published: {'; '.join(said)}. Ours: {mine or 'not run'}."
    origin = provenance.of_files(_CLAIMS)
    for source in (s for s in shown if s.origin == STORED):
        drawn = [str(side["group"]) for pair in page.compared(source.results) for side in (pair.group, pair.reference)]
        origin = origin + provenance.of_runs(source.results, drawn)
    return show.figure(fig, alt, f"{alt} Published points have no interval; the networks of one corpus stand above each other.", origin)
