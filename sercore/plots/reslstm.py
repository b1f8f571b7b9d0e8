"""Figures of ResLSTM-SA: the network, a recording on its way through, embeddings, and the search. Tidy rows only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from sercore import provenance
from sercore.ledger import label
from sercore.plots import show
from sercore.provenance import Origin, Shown

_STAGE_TITLES = {
    "input": "input: 34 cepstra, 12 chroma (normalised)",
    "lstm_1": "output of LSTM 1",
    "sum": "input + LSTM 1, normalised",
    "attention": "attention weight of each frame",
}
_MARKERS = "osD^vP*X"
#: Every trial of every search that was published with the chapter.
TRIALS_FILE = "book/results/reslstm_sa/trials.csv"


def network() -> Shown:
    """The two networks as boxes: ResLSTM-SA whole, with the part that LSTM-SA lacks shaded."""
    fig, ax = show.canvas(6.6)
    ax.set(xlim=(0, 10), ylim=(0, 14.6))
    ax.axis("off")
    boxes = [
        (0.5, "13.3", "frames  $x_1 ... x_T$", "T x 46"),
        (0.5, "11.1", "LSTM 1", "46 -> 46"),
        (0.5, "9.4", "sum", "$x_t$ + LSTM 1"),
        (0.5, "7.9", "batch norm over true frames", "46"),
        (0.5, "6.2", "LSTM 2", "46 -> h"),
        (0.5, "4.6", "soft attention over true frames", "$\\alpha_t$, sum 1"),
        (0.5, "3.0", "batch norm, dropout", "h"),
        (0.5, "1.4", "linear layer", "h -> K emotions"),
    ]
    ax.add_patch(FancyBboxPatch((0.35, 7.25), 9.2, 4.6, boxstyle="round,pad=0.1", fc="#fdece1", ec=show.ORANGE, ls="--"))
    ax.text(7.8, 9.5, "only in\nResLSTM-SA", va="center", fontsize=8.5, color=show.ORANGE, weight="bold")
    centres = []
    for _, y, name, size in boxes:
        middle = float(y)
        centres.append(middle)
        ax.add_patch(FancyBboxPatch((2.2, middle - 0.5), 5.4, 1.0, boxstyle="round,pad=0.05", fc="white", ec=show.BLACK))
        ax.text(4.9, middle + 0.17, name, ha="center", va="center", fontsize=10)
        ax.text(4.9, middle - 0.25, size, ha="center", va="center", fontsize=8.5, color="#555555")
    for above, below in zip(centres, centres[1:], strict=False):
        ax.add_patch(FancyArrowPatch((4.9, above - 0.55), (4.9, below + 0.55), arrowstyle="-|>", mutation_scale=11, color=show.BLACK))
    bend: Any = {"connectionstyle": "bar,fraction=0.25", "arrowstyle": "-|>", "mutation_scale": 11}
    ax.add_patch(FancyArrowPatch((2.15, 13.3), (2.15, 9.4), color=show.ORANGE, lw=2, **bend))
    ax.text(0.55, 9.85, "skip", fontsize=9, color=show.ORANGE, rotation=90, va="center")
    alt = (
        "The network: 46 values a frame go through LSTM 1 and are added to its output (skip connection), batch normalisation, LSTM 2, soft "
        "attention over the true frames, batch normalisation, dropout and a linear layer. LSTM-SA has no LSTM 1, no sum and no first "
        "normalisation."
    )
    caption = "h is 32, 64 or 128; K is the number of emotions. The shaded part is what LSTM-SA lacks."
    return show.figure(fig, alt, caption, provenance.of_files("sercore/models/reslstm_sa.py"))


def signal_flow(rows: pd.DataFrame, stamp: str, origin: Origin | None = None) -> Shown:
    """One test recording through the network: input, LSTM 1, sum and attention on one axis of time.

    Args:
        rows: of `sercore.signals.signal_flow`.
        stamp: where the run comes from, in words.
        origin: its group.

    Returns:
        The figure as HTML.
    """
    stages = [s for s in _STAGE_TITLES if s in set(rows["stage"])]
    fig, axes = show.canvas(1.35 * len(stages) + 0.9, rows=len(stages), sharex=True, squeeze=False)
    weights = rows[rows["stage"] == "attention"].sort_values("time_s")
    hop = float(weights["time_s"].diff().median()) if len(weights) > 1 else 0.04
    for ax, stage in zip(axes[:, 0], stages, strict=True):
        part = rows[rows["stage"] == stage]
        if stage == "attention":
            ax.bar(part["time_s"], part["value"], width=0.9 * hop, color=show.ORANGE)
            ax.set_ylabel("weight")
            ax.axhline(1 / len(part), color=show.GREY, linestyle=":", linewidth=1)
            ax.set_xlabel("time (s)")
        else:
            table = part.pivot_table(index="dimension", columns="time_s", values="value")
            limit = float(np.quantile(part["value"].abs(), 0.98)) or 1.0
            extent = (-hop / 2, float(part["time_s"].max()) + hop / 2, -0.5, len(table) - 0.5)
            scale = {"cmap": "RdBu_r", "vmin": -limit, "vmax": limit, "interpolation": "nearest"}
            image = ax.imshow(table, aspect="auto", origin="lower", extent=extent, **scale)
            ax.set_ylabel("dimension")
            fig.colorbar(image, ax=ax, aspect=8, pad=0.01)
        ax.set_title(_STAGE_TITLES[stage], loc="left", fontsize=10)
    top = weights.loc[weights["value"].idxmax()]
    most = weights["value"].sort_values(ascending=False).cumsum()
    half = int((most < 0.5).sum()) + 1
    first = rows.iloc[0]
    alt = (
        f"Signal flow of {first['item_id']} (true: {first['truth']}, answered: {first['prediction']}): {len(weights)} frames; "
        f"the attention peaks at {top['time_s']:.2f} s (frame {int(top['frame'])}) with weight {top['value']:.2f}, "
        f"and half of it lies on {half} frames."
    )
    rest = "The dotted line is equal weight. The recording is the first of the test side, not chosen by result."
    return show.figure(fig, alt, f"{alt} {rest} [{stamp}]", origin)


def embeddings(rows: pd.DataFrame, stamp: str, origin: Origin | None = None) -> Shown:
    """Test recordings in the plane of the first two principal components: the network's embedding, and averaged features.

    Args:
        rows: of `sercore.signals.embeddings`.
        stamp: where the run comes from, in words.
        origin: its group.

    Returns:
        The figure as HTML.
    """
    labels = list(dict.fromkeys(rows["truth"]))
    fig, axes = show.canvas(8.2, rows=2)
    said = []
    for ax, space in zip(axes, ("embedding", "averaged features"), strict=True):
        part = rows[rows["space"] == space]
        for k, emotion in enumerate(labels):
            points = part[part["truth"] == emotion]
            colour, marker = show.COLOURS[k % len(show.COLOURS)], _MARKERS[k % len(_MARKERS)]
            ax.plot(points["pc_1"], points["pc_2"], marker, color=colour, ms=4.5, alpha=0.75, mew=0, label=emotion)
        first = part.iloc[0]
        ax.set_title(f"{space} (silhouette of the emotions {first['silhouette']:.2f})", loc="left", fontsize=10)
        ax.set_xlabel(f"component 1 ({100 * first['explained_1']:.0f} % of variance)")
        ax.set_ylabel(f"component 2 ({100 * first['explained_2']:.0f} %)")
        said.append(
            f"{space} {first['silhouette']:.2f}, {100 * (first['explained_1'] + first['explained_2']):.0f} % of variance in the plane"
        )
    handles, names = axes[0].get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncol=4, fontsize=9, frameon=False, handletextpad=0.1)
    alt = (
        f"{len(rows) // 2} test recordings of {rows['speaker'].nunique()} speakers in two principal planes; silhouette of the emotions in "
        f"the whole space: {'; '.join(said)}."
    )
    return show.figure(fig, alt, f"{alt} A silhouette of 1 is perfect separation, 0 none. [{stamp}]", origin)


def trials(table: pd.DataFrame, corpora: Sequence[str] = ("ravdess", "emodb")) -> Shown:
    """The hyper-parameter search: score of each trial against its learning rate, and the best so far against the number of trials.

    Args:
        table: rows of `sercore.tune.trial_table`.
        corpora: whose searches to draw, one figure each.

    Returns:
        One figure a corpus and objective, as HTML, or a note where no search is stored.
    """
    made = []
    of = table["study"].astype(str).str.split(".", expand=True) if len(table) else pd.DataFrame(columns=range(5))
    for corpus in corpora:
        for objective in ("validation", "test"):
            part = table[of[0].eq(corpus) & of[4].eq(objective)] if len(table) else table
            if len(part):
                made.append(_trials(part.assign(system=of[1]), corpus, objective))
    return show.figures(made) if made else show.note("Not run: no search is stored yet, so there are no trials to show.")


def _trials(part: pd.DataFrame, corpus: str, objective: str) -> tuple[Figure, str, str, Origin]:
    fig, axes = show.canvas(5.2, rows=2)
    said = []
    for k, (system, rows) in enumerate(part.groupby("system")):
        colour, marker = (show.BLUE, show.ORANGE, show.GREEN, show.PINK)[k % 4], _MARKERS[k % len(_MARKERS)]
        whole, pruned = rows[rows["state"] == "complete"], rows[rows["state"] != "complete"]
        name = label(str(system))
        for some, state, fill in ((whole, "complete", colour), (pruned, "stopped early", "none")):
            axes[0].plot(some["learning_rate"], 100 * some["value"], marker, color=colour, ms=5, mfc=fill, label=f"{name}, {state}")
        ordered = rows.sort_values("trial")
        so_far = ordered["value"].where(ordered["state"] == "complete").cummax().ffill()
        axes[1].step(range(1, len(so_far) + 1), 100 * so_far, where="post", color=colour, ls="--" if k else "-", label=name)
        best = f"best {100 * whole['value'].max():.1f} %" if len(whole) else "none complete"
        said.append(f"{name} {len(rows)} trials, {best}")
    axes[0].set_xscale("log")
    axes[0].set(xlabel="learning rate", ylabel=f"{objective} UAR (%)")
    axes[1].set(xlabel="trials done", ylabel="best so far (%)")
    axes[0].set_title(f"{corpus}: objective on {objective} speakers", loc="left", pad=40)
    axes[0].legend(fontsize=8, frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncol=2)
    for ax in axes:
        ax.grid(color="#e4e4e4")
    alt = f"Search on {corpus}, scored on {objective} speakers: {'; '.join(said)}."
    return fig, alt, alt, provenance.of_files(TRIALS_FILE)
