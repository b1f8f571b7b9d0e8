"""Figures and sounds of what a corpus holds and how it is split, before anything is trained."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from matplotlib.patches import Patch
from numpy.typing import NDArray
from scipy import signal

from sercore import provenance
from sercore.data.corpora import CORPORA, Corpus
from sercore.data.splits import SplitPlan
from sercore.errors import CorpusError
from sercore.plots import show
from sercore.provenance import Origin, Shown

RANGE_DB = 70.0  # of the colour scale, below the loudest point of all panels
SIDES = {"train": (show.SKY, ""), "validation": (show.YELLOW, "///"), "test": (show.BLUE, "xx")}  # colour and hatching


def one_per_emotion(items: pd.DataFrame, speaker: str | None = None, prefer: Mapping[str, str] | None = None) -> list[str]:
    """One recording of each emotion, all of one speaker: for the ear and for spectrograms.

    Args:
        items: item table.
        speaker: None takes the first who has every emotion (or, if nobody has, the first).
        prefer: column -> value, e.g. {"noise": "none"}; followed where an emotion has such a recording, earlier columns first.

    Returns:
        Item ids, emotions in alphabetical order.

    Raises:
        CorpusError: the speaker is not in the table.
    """
    if speaker is None:
        emotions = items.groupby("speaker")["emotion"].nunique()
        speaker = str(emotions.index[int(emotions.to_numpy().argmax())])
    theirs = items[items["speaker"] == speaker]
    if theirs.empty:
        raise CorpusError(f"no speaker {speaker!r}; there are {', '.join(sorted(items['speaker'].unique()))}")
    chosen = []
    for _, rows in theirs.groupby("emotion"):
        for column, value in (prefer or {}).items():
            rows = rows[rows[column] == value] if (rows[column] == value).any() else rows
        chosen.append(str(rows["item_id"].iloc[0]))
    return chosen


def spectrogram_grid(
    waveforms: Sequence[tuple[NDArray[np.float32], int]], titles: Sequence[str], alt: str | None = None, origin: Origin | None = None
) -> Shown:
    """Spectrograms side by side on one scale of time, frequency and level.

    Hamming window of 20 ms every 4 ms; level in dB against the loudest point of all panels; up to 8 kHz.

    Args:
        waveforms: `(samples, sample_rate_hz)` each, samples of shape (N,), as `Corpus.waveform` gives them.
        titles: one a panel.
        alt: text for those who do not see the figure; None: made from the titles and lengths.
        origin: where the recordings are from; None is the embedded corpus.

    Returns:
        The figure for a page (HTML).

    Raises:
        ValueError: no waveform, or another number of titles.
    """
    if not waveforms or len(waveforms) != len(titles):
        raise ValueError(f"need a title for each waveform, got {len(waveforms)} waveforms and {len(titles)} titles")
    panels = [_level_db(*waveform) for waveform in waveforms]
    top = max(float(level.max()) for _, _, level in panels)
    longest = max(len(samples) / rate for samples, rate in waveforms)
    rows = -(-len(panels) // 2)
    fig, axes = show.canvas(1.0 + 1.4 * rows, rows, 2, sharex=True, sharey=True, squeeze=False)
    image: Any = None
    for axis, (hz, seconds, level), title in zip(axes.flat, panels, titles, strict=False):
        extent = (seconds[0], seconds[-1], hz[0] / 1000, hz[-1] / 1000)
        image = axis.imshow(level - top, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=-RANGE_DB, vmax=0)
        axis.set_title(title, loc="left", fontsize=10)
        axis.set(facecolor="black", xlim=(0, longest))
    for axis in axes.flat[len(panels) :]:
        axis.set_axis_off()
    for axis in axes.flat[max(0, len(panels) - 2) : len(panels)]:
        axis.xaxis.set_tick_params(labelbottom=True)
    for axis in axes[:, 0]:
        axis.set_ylabel("kHz")
    fig.supxlabel("time (s)", fontsize=10)
    fig.colorbar(image, ax=axes, label="level (dB)", location="top", shrink=0.5, aspect=30)
    spans = ", ".join(f"{title} {len(samples) / rate:.1f} s" for (samples, rate), title in zip(waveforms, titles, strict=True))
    said = f"Spectrograms of {len(panels)} recordings, 0 to {panels[0][0][-1] / 1000:g} kHz, {RANGE_DB:g} dB of range: {spans}."
    return show.figure(fig, alt or said, origin=origin or provenance.of_cards(["synthetic"]))


def audio_players(corpus: Corpus, item_ids: Sequence[str]) -> Shown:
    """Players for recordings of a corpus whose card allows its audio on a page; the sound is inside the page (FLAC).

    All are raised by one common gain until the loudest reaches 0.9, so that differences of level remain.

    Args:
        corpus: loaded corpus.
        item_ids: which recordings, in this order.

    Returns:
        HTML for a page: labelled players, side by side where it is wide enough.

    Raises:
        CorpusError: the card forbids it, or an item is not in the corpus.
    """
    if not corpus.card.audio_may_be_embedded:
        raise CorpusError(f"recordings of {corpus.name} must not be put on a page ({corpus.card.licence}); play those of another corpus")
    items = corpus.items.set_index("item_id", drop=False)
    if unknown := [name for name in item_ids if name not in items.index]:
        raise CorpusError(f"{corpus.name} has no item {', '.join(map(repr, unknown))}")
    rows = [items.loc[name] for name in item_ids]
    sounds = [corpus.waveform(row) for row in rows]
    gain = 0.9 / max((float(np.abs(samples).max()) for samples, _ in sounds), default=0.9)
    players = "\n".join(
        _player(_label(row), (samples * gain).astype(np.float32), rate) for row, (samples, rate) in zip(rows, sounds, strict=True)
    )
    return Shown(f'<div style="display:flex;flex-wrap:wrap;gap:0.8rem">\n{players}\n</div>\n', provenance.of_cards([corpus.name]))


def split_plan_picture(plans: Sequence[SplitPlan], items: pd.DataFrame, alt: str | None = None) -> Shown:
    """Who trains, validates and is tested: folds down, speakers across, each cell filled by the share of the speaker's recordings.

    Args:
        plans: of one scheme, one a fold.
        items: item table that the plans were made from.
        alt: None: lists test and validation speakers of each fold, or says how many are on several sides.

    Returns:
        The figure for a page (HTML).

    Raises:
        ValueError: no plan.
    """
    if not plans:
        raise ValueError("no split plan to draw")
    speakers = sorted(items["speaker"].unique(), key=lambda name: (len(name), name))
    shares = [_shares(plan, items, speakers) for plan in plans]
    fig, axis = show.canvas(1.3 + 0.34 * len(plans))
    for row, share in enumerate(shares):
        left = np.arange(len(speakers), dtype=float)
        for side, (colour, hatch) in SIDES.items():
            width = share[side].to_numpy()
            axis.barh(row, 0.94 * width, left=left, height=0.8, color=colour, hatch=hatch, edgecolor="white", linewidth=0.4)
            left = left + 0.94 * width
    axis.set_yticks(range(len(plans)), [str(plan.fold + 1) for plan in plans])
    axis.set_xticks(np.arange(len(speakers)) + 0.47, speakers, rotation=_turn(speakers))
    axis.set(ylabel="fold", xlabel="speaker", xlim=(0, len(speakers)), ylim=(len(plans) - 0.5, -0.5))
    axis.tick_params(length=0, labelsize=8)
    axis.spines[["left", "bottom"]].set_visible(False)
    legend = [Patch(facecolor=colour, hatch=hatch, edgecolor="white", label=side) for side, (colour, hatch) in SIDES.items()]
    fig.legend(handles=legend, loc="outside upper center", ncols=3)
    corpora = dict.fromkeys(items["item_id"].str.partition("/")[0])
    origin = provenance.of_cards((name for name in corpora if name in CORPORA), "sercore/data/splits.py")
    return show.figure(fig, alt or _plan_text(plans, shares), origin=origin)


def class_speaker_counts(corpus: Corpus, alt: str | None = None) -> Shown:
    """Recordings of each emotion by each speaker, with the numbers in the cells.

    Args:
        corpus: loaded corpus.
        alt: None: smallest and largest cell, and the totals of the emotions.

    Returns:
        The figure for a page (HTML).
    """
    items = corpus.items
    counts = pd.crosstab(items["emotion"], items["speaker"])
    counts = counts[sorted(counts.columns, key=lambda name: (len(name), name))]
    values = counts.to_numpy()
    fig, axis = show.canvas(1.0 + 0.32 * len(counts))
    image = axis.imshow(values, aspect="auto", cmap="Blues", vmin=0, vmax=values.max())
    for (row, column), count in np.ndenumerate(values):
        colour = "white" if count > 0.6 * values.max() else "black"
        axis.text(column, row, str(count), ha="center", va="center", fontsize=7.5, color=colour)
    axis.set_yticks(range(len(counts)), counts.index)
    axis.set_xticks(range(counts.shape[1]), counts.columns, rotation=_turn(counts.columns))
    axis.set(xlabel="speaker")
    axis.tick_params(length=0, labelsize=8)
    axis.spines[:].set_visible(False)
    fig.colorbar(image, ax=axis, label="recordings")
    totals = ", ".join(f"{emotion} {total}" for emotion, total in counts.sum(axis=1).items())
    span = f"{values.min()}" if values.min() == values.max() else f"{values.min()} to {values.max()}"
    said = f"{corpus.name}: {span} recordings of each emotion by each of {counts.shape[1]} speakers; in all {totals}."
    return show.figure(fig, alt or said, origin=provenance.of_cards([corpus.name]))


def _level_db(samples: NDArray[np.float32], rate: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies (Hz, up to 8 kHz), times (s) and level (dB), shape (F, T)."""
    window, hop = round(0.020 * rate), round(0.004 * rate)
    hz, seconds, power = signal.spectrogram(
        samples.astype(np.float64), rate, "hamming", window, window - hop, nfft=1 << (window - 1).bit_length(), scaling="spectrum"
    )
    kept = hz <= 8000
    return hz[kept], seconds, 10 * np.log10(power[kept] + 1e-14)


def _turn(names: Sequence[str]) -> int:
    """Degrees by which names under the axis are turned, so that they do not run into each other at the width of a page."""
    return 90 if len(names) * max(map(len, names)) > 48 else 0


def _label(row: pd.Series) -> str:
    parts = [f"{row['emotion']}", f"speaker {row['speaker']}", f"“{row['text']}”" if row["text"] else ""]
    parts += [f"{row['tempo']} tempo", f"noise: {row['noise']}"] if "tempo" in row and "noise" in row else []
    return ", ".join(part for part in parts if part)


def _player(label: str, samples: NDArray[np.float32], rate: int) -> str:
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="FLAC", subtype="PCM_16")
    data = base64.b64encode(buffer.getvalue()).decode()
    text = html.escape(label, quote=True)
    return (
        '<figure style="margin:0;flex:1 1 16rem;max-width:100%">'
        f'<figcaption style="font-size:0.85em">{text}</figcaption>'
        f'<audio controls preload="none" aria-label="{text}" style="width:100%" src="data:audio/flac;base64,{data}"></audio></figure>'
    )


def _shares(plan: SplitPlan, items: pd.DataFrame, speakers: Sequence[str]) -> pd.DataFrame:
    """Share of each speaker's recordings on each side, index speakers, columns train, validation, test."""
    of = items.set_index("item_id")["speaker"]
    totals = items["speaker"].value_counts()
    counts = {side: of.loc[list(ids)].value_counts() for side, ids in plan.sides.items()}
    return pd.DataFrame({side: counts[side].reindex(speakers, fill_value=0) / totals.reindex(speakers) for side in SIDES}, index=speakers)


def _plan_text(plans: Sequence[SplitPlan], shares: Sequence[pd.DataFrame]) -> str:
    said = [f"Split plan {plans[0].scheme}, {len(plans)} folds of {len(shares[0])} speakers."]
    for plan, share in zip(plans, shares, strict=True):
        mixed = int(((share > 0).sum(axis=1) > 1).sum())
        if mixed:
            said.append(f"Fold {plan.fold + 1}: {mixed} speakers are on more than one side.")
        else:
            test, held = (", ".join(share.index[share[side] > 0]) for side in ("test", "validation"))
            said.append(f"Fold {plan.fold + 1}: test {test}; validation {held}.")
    return " ".join(said)
