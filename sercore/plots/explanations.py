"""Figures of explanations: Grad-CAM of several networks over one recording, and the two tests of such maps. Arrays and tidy rows only."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.ndimage import gaussian_filter

from sercore import explain, faithfulness
from sercore.plots import show
from sercore.provenance import Origin, Shown

_MARKERS = "osD^vP*X"
_NETWORK = "network"
_TITLE_CHARACTERS = 32


@dataclass(frozen=True)
class View:
    """What one network looks at in a recording.

    Attributes:
        network: its name, a title.
        label: the class that is explained.
        raw: rectified map of `sercore.explain.grad_cam`, of one item, at the tap's resolution or any other, shape (T', F'), at least 0.
        probability: that the network gives to the class, in [0, 1]; None is not shown.
    """

    network: str
    label: str
    raw: np.ndarray
    probability: float | None = None


def maps(
    spectrogram: np.ndarray,
    views: Sequence[View],
    *,
    item: str,
    hop_s: float,
    bin_hz: float,
    n_frames: int | None = None,
    stamp: str = "",
    origin: Origin | None = None,
) -> Shown:
    """A recording and, beside it, which of its cells speak for a class in each network; all maps on the one scale [0, 1].

    Args:
        spectrogram: as the networks see it, padding included, shape (T, F), normalised magnitude.
        views: one a network; maps are resized to the spectrogram and then scaled, each by its own values.
        item: name of the recording.
        hop_s: from frame to frame, in seconds.
        bin_hz: from bin to bin, in hertz.
        n_frames: frames of the recording, the padding behind is not drawn (what of a map lies there is said); None draws all.
        stamp: where the runs come from, in words.
        origin: their groups.

    Returns:
        The figure as HTML; its text says where each map peaks and how much of the picture holds half of it. A sentence where there is no
        network.

    Raises:
        ValueError: a map is not finite, has a value below 0 or not two axes (names the network).
    """
    if not views:
        return show.note("Nothing to draw: no network explains this recording.")
    spectrogram = np.asarray(spectrogram, dtype=np.float64)
    shown = [_fitted(view, spectrogram.shape) for view in views]
    frames = n_frames or len(spectrogram)
    fig, first, key, panels = _panels(len(views))
    t, f = spectrogram.shape
    edges = (-0.5 * hop_s, (t - 0.5) * hop_s, -0.0005 * bin_hz, (f - 0.5) * bin_hz / 1000)
    loudest, level = float(np.quantile(spectrogram[:frames], 0.995)), spectrogram[:frames].min()
    sound = _image(first, spectrogram, "recording", edges, cmap="magma", vmin=level, vmax=loudest)
    for ax, view, values in zip(panels, views, shown, strict=True):
        unit = explain.scaled(torch.from_numpy(values)[None])[0].numpy()
        image = _image(ax, unit, _title(view), edges, cmap="viridis", vmin=0, vmax=1)
        _outline(ax, spectrogram, frames, edges)
    first.set(xlim=(edges[0], (frames - 0.5) * hop_s), ylim=(0, edges[3]))
    fig.supxlabel("time (s)", fontsize=10)
    fig.supylabel("frequency (kHz)", fontsize=10)
    for height, one, words in (
        (0.84, sound, "magnitude (normalised)"),
        (0.3, image, "Grad-CAM, each map by its own\nvalues (1: its peak)"),
    ):
        fig.colorbar(one, cax=key.inset_axes((0.06, height, 0.9, 0.07)), orientation="horizontal", label=words)
    said = [_sentence(view, values, hop_s, bin_hz, frames) for view, values in zip(views, shown, strict=True)]
    alt = f"Where networks look in {item}. {' '.join(said)}"
    rest = "Maps are interpolated from the layer's resolution to that of the recording; white lines go round its loudest tenth, smoothed."
    return show.figure(fig, alt, f"{alt} {rest}{_stamp(stamp)}", origin)


def _fitted(view: View, size: tuple[int, ...]) -> np.ndarray:
    raw = np.asarray(view.raw, dtype=np.float64)
    if raw.ndim != 2 or not np.isfinite(raw).all() or (raw < 0).any():
        raise ValueError(
            f"the map of {view.network} must be rectified and finite, shape (T, F); got shape {raw.shape}, least {raw.min():g}"
        )
    return explain.resized(torch.from_numpy(raw)[None], size)[0].numpy()


def _panels(networks: int) -> tuple[Figure, Any, Any, Any]:
    """Figure, panel of the recording, the place of the colour bars beside it, and a panel a network, on the same axes."""
    rows = 1 + math.ceil(networks / 2)
    fig, axes = show.canvas(1.85 * rows + 0.4, rows=rows, columns=2, sharex=True, sharey=True, squeeze=False)
    key, panels = axes[0, 1], axes.flat[2 : networks + 2]
    key.set_axis_off()
    for ax in axes.flat[networks + 2 :]:  # the one above it is now the lowest
        ax.set_axis_off()
        axes[-2, 1].tick_params(labelbottom=True)
    return fig, axes[0, 0], key, panels


def _image(ax: Any, values: np.ndarray, title: str, edges: tuple[float, ...], **how: Any) -> Any:
    ax.set_title(title, loc="left", fontsize=9.5, pad=3)
    return ax.imshow(values.T, aspect="auto", origin="lower", extent=edges, interpolation="nearest", **how)


def _outline(ax: Any, spectrogram: np.ndarray, frames: int, edges: tuple[float, ...]) -> None:
    """A line round the loudest tenth of the recording, so that a map can be read against it."""
    smooth = gaussian_filter(spectrogram, 1.5)
    if smooth.min() < (level := float(np.quantile(smooth[:frames], 0.9))) < smooth.max():
        ax.contour(smooth.T, levels=[level], colors="white", linewidths=0.6, alpha=0.8, extent=edges, origin="lower")


def _title(view: View) -> str:
    sure = "" if view.probability is None else f", p = {view.probability:.2f}"
    return f"{textwrap.fill(view.network, _TITLE_CHARACTERS)}\n{view.label}{sure}; peak {view.raw.max():.2g}"


def _sentence(view: View, values: np.ndarray, hop_s: float, bin_hz: float, frames: int) -> str:
    name = f"{view.network} (for {view.label})"
    if not values.any():
        return f"{name}: zero everywhere, nothing in this layer speaks for the class."
    t, f = np.unravel_index(values.argmax(), values.shape)
    falling = np.sort(values, axis=None)[::-1].cumsum()
    half = (np.searchsorted(falling, 0.5 * falling[-1]) + 1) / values.size
    padding = f", {100 * values[frames:].sum() / falling[-1]:.0f} % of it in the padding" if frames < len(values) else ""
    return (
        f"{name}: peak at {t * hop_s:.2f} s and {f * bin_hz / 1000:.1f} kHz, half of the map in {100 * half:.0f} % of the cells{padding}."
    )


def randomised(rows: pd.DataFrame, stamp: str = "", origin: Origin | None = None) -> Shown:
    """What is left of the maps while the layers are drawn anew: rank correlation with the trained network's, from the classifier down.

    Args:
        rows: of `sercore.faithfulness.randomised_weights`; with several networks, a column `network` names each.
        stamp: where the runs come from, in words.
        origin: their groups.

    Returns:
        The figure as HTML, or a sentence where there are no rows.
    """
    if rows.empty:
        return show.note("Nothing to draw: no network was drawn anew.")
    networks = _by_network(rows)
    fig, ax = show.canvas(4.3)
    said, undefined = [], int(rows["correlation"].isna().sum())
    for k, (name, part) in enumerate(networks):
        colour, shift = show.COLOURS[k % len(show.COLOURS)], 0.12 * (k - (len(networks) - 1) / 2)
        mean = part.groupby("depth")["correlation"].mean()
        ax.plot(part["depth"] + shift, part["correlation"], ".", color=colour, ms=4, alpha=0.35, mew=0)
        size = part.assign(size=part["correlation"].abs()).groupby("depth")["size"].mean()
        ax.plot(size.index + shift, size, ":", color=colour, lw=1.4)
        ax.plot(mean.index + shift, mean, f"-{_MARKERS[k % len(_MARKERS)]}", color=colour, ms=5, label=name)
        said.append(f"{name}: " + _fall(part.drop_duplicates("depth").set_index("depth"), mean, size))
    steps = max((part for _, part in networks), key=lambda part: part["depth"].max()).drop_duplicates("depth").sort_values("depth")
    ax.axhline(0, color=show.BLACK, lw=0.8)
    for at in steps.loc[[layer.split(".")[-1] == tap for layer, tap in zip(steps["layer"], steps["tap"], strict=True)], "depth"]:
        ax.axvline(at - 0.5, color=show.GREY, ls=":", lw=1.2)
        ax.annotate(
            "and the maps' own layers", (at - 0.5, 1), (0, 3), xycoords=("data", "axes fraction"), textcoords="offset points", fontsize=8.5
        )
    ax.set_xticks(steps["depth"], steps["layer"], rotation=60, ha="right", rotation_mode="anchor")
    ax.set(
        xlabel="drawn anew: this layer and all to its left", ylabel="rank correlation with\nthe trained network's map", ylim=(-1.05, 1.05)
    )
    ax.grid(axis="y")
    ax.set_axisbelow(True)
    if len(networks) > 1:
        fig.legend(loc="outside lower center", ncols=2, frameon=False)
    alt = f"Rank correlation of maps with those of the trained network while layers are drawn anew. {'; '.join(said)}."
    count = f"Dots: {_count(rows['draw'], 'draw')}, {_count(rows['item'], 'recording')}; line: their mean, dotted without the sign."
    lost = f" {undefined} of {len(rows)} are not defined, as a map was the same everywhere." if undefined else ""
    rest = f"{count}{lost} A map that stays near 1 to the end shows the recording and not what was learned."
    return show.figure(fig, alt, f"{alt} {rest}{_stamp(stamp)}", origin)


def _fall(steps: pd.DataFrame, mean: pd.Series, size: pd.Series) -> str:
    """The correlation after the first draw, at the lowest layer, in words."""
    first, last = sorted(steps.index)[min(1, len(steps) - 1)], max(steps.index)
    return f"{mean[first]:.2f} with {steps['layer'][first]} drawn, {mean[last]:.2f} with all (whatever its sign: {size[last]:.2f})"


def curves(rows: pd.DataFrame, score: str = "probability of the class", stamp: str = "", origin: Origin | None = None) -> Shown:
    """The score while cells are taken away and while they are given, in the order of the maps and of shuffled ones, mean over recordings.

    Args:
        rows: of `sercore.faithfulness.deletion_and_insertion`; with several networks, a column `network` names each.
        score: what was followed, the vertical axis.
        stamp: where the runs come from, in words.
        origin: their groups.

    Returns:
        The figure as HTML; its text says the areas. A sentence where there are no rows.
    """
    if rows.empty:
        return show.note("Nothing to draw: no cell was taken away.")
    networks = _by_network(rows)
    fig, axes = show.canvas(3.4 + 0.22 * len(networks), columns=2, sharey=True)
    said = []
    for k, (name, part) in enumerate(networks):
        colour = show.COLOURS[k % len(show.COLOURS)]
        for ax, curve in zip(axes, faithfulness.CURVES, strict=True):
            for order, style in zip(faithfulness.ORDERS, ("-", "--"), strict=True):
                mean = part[part["curve"].eq(curve) & part["order"].eq(order)].groupby("fraction")["score"].mean()
                ax.plot(100 * mean.index, mean, style, color=colour, lw=1.6, label=name if style == "-" else None)
        said.append(f"{name}: {_areas(part)}")
    for ax, title, words in zip(axes, ("deletion: lower is better", "insertion: higher is better"), ("away", "there"), strict=True):
        ax.set_title(title, loc="left")
        ax.set(xlabel=f"cells {words} (%)", xlim=(0, 100))
        ax.grid(axis="y")
        ax.set_axisbelow(True)
    axes[0].set_ylabel(score)
    control = Line2D([], [], ls="--", color=show.BLACK, lw=1.6, label="map with its cells shuffled")
    handles = [*axes[0].get_legend_handles_labels()[0], control]
    fig.legend(handles=handles, loc="outside lower center", ncols=1 if any(len(name) > 30 for name, _ in networks) else 2, frameon=False)
    alt = f"Area under the {score} while the most important cells are taken away or given. {'; '.join(said)}."
    rest = (
        f"Mean over {_count(rows['item'], 'recording')}; a cell that is away has the training mean. Dashed: the same maps, cells shuffled."
    )
    return show.figure(fig, alt, f"{alt} {rest}{_stamp(stamp)}", origin)


def _areas(rows: pd.DataFrame) -> str:
    area = faithfulness.areas(rows).groupby(["curve", "order"])["area"].mean()
    own, control = faithfulness.ORDERS
    return ", ".join(f"{curve} {area[curve, own]:.2f} (shuffled {area[curve, control]:.2f})" for curve in faithfulness.CURVES)


def _by_network(rows: pd.DataFrame) -> list[tuple[str, pd.DataFrame]]:
    if _NETWORK not in rows.columns:
        return [("the network", rows)]
    return [(str(name), part) for name, part in rows.groupby(_NETWORK, sort=False)]


def _count(values: pd.Series, what: str) -> str:
    n = values.nunique()
    return f"{n} {what}{'' if n == 1 else 's'}"


def _stamp(stamp: str) -> str:
    return f" [{stamp}]" if stamp else ""
