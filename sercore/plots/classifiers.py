"""Figures of classifiers: confusion, recall of each speaker, learning curves, score against size, price of a protocol. Tidy rows only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sercore import provenance, stats
from sercore.ledger import label
from sercore.ledger.claims import load_claims, number
from sercore.ledger.measurements import Measurements
from sercore.pages.overview import STORED, Case, Source
from sercore.plots import show
from sercore.provenance import Origin, Shown
from sercore.results import Results

#: The reference first, the proposed network second; shape and filling differ as well as colour.
_STYLES = ((show.BLUE, "o", "-"), (show.ORANGE, "s", "--"))
_NOTHING = "Nothing to draw yet: no run of these systems is stored, and this build ran none."


def confusion(shown: Sequence[Case]) -> Shown:
    """How each emotion was answered by the proposed network: share of each true class, with counts a seed.

    Args:
        shown: of `sercore.pages.overview.cases`; the last group of each is drawn.

    Returns:
        One figure a case, as HTML.
    """
    return show.figures([_confusion(case) for case in shown]) if shown else show.note(_NOTHING)


def _confusion(case: Case) -> tuple[Figure, str, str, Origin]:
    data = stats.cube(case.results.counts, case.groups[-1])
    counts = data.counts.sum(axis=1).mean(axis=0)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    name, labels = label(_system(case, case.groups[-1])), list(data.labels)
    fig, ax = show.canvas(0.52 * len(labels) + 1.3)
    image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for i, j in np.ndindex(shares.shape):
        text = f"{100 * shares[i, j]:.0f}\n({counts[i, j]:.3g})"
        ax.text(j, i, text, ha="center", va="center", fontsize=7.5, color="white" if shares[i, j] > 0.55 else show.BLACK)
    ax.set_xticks(range(len(labels)), labels, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticks(range(len(labels)), labels)
    ax.set_xlabel("answered")
    ax.set_ylabel("true emotion")
    ax.set_title(f"{name}: {case.title}", loc="left")
    fig.colorbar(image, ax=ax, label="share of the true class", shrink=0.8)
    recall = np.diag(shares)
    off = shares - np.diag(recall)
    i, j = np.unravel_index(off.argmax(), off.shape)
    alt = (
        f"Confusion matrix of {name} on {case.title}: best recall {labels[recall.argmax()]} {100 * recall.max():.0f} %, worst "
        f"{labels[recall.argmin()]} {100 * recall.min():.0f} %; the commonest error is {labels[i]} taken for {labels[j]}, "
        f"{100 * off[i, j]:.0f} %."
    )
    caption = f"Per cent of each true class; in brackets recordings, mean over {len(data.counts)} seeds. {alt} [{case.stamp}]"
    return fig, alt, caption, provenance.of_runs(case.results, case.groups[-1:])


def per_speaker(shown: Sequence[Case], word: str = "speaker") -> Shown:
    """Recall of each test speaker (UAR over the classes that he or she recorded), two systems, sorted by the proposed one.

    Args:
        shown: of `sercore.pages.overview.cases`.
        word: what a speaker is called; RAVDESS' are actors and are called so in any case.

    Returns:
        One figure a case, as HTML. Points are means over seeds, lines reach from the lowest seed to the highest.
    """
    return show.figures([_per_speaker(case, word) for case in shown]) if shown else show.note(_NOTHING)


def _per_speaker(case: Case, word: str) -> tuple[Figure, str, str, Origin]:
    word = "actor" if case.corpus == "ravdess" else word
    tables = {g: stats.per_speaker(stats.cube(case.results.counts, g)).set_index("speaker") for g in case.groups}
    order = list(tables[case.groups[-1]]["uar"].sort_values().index)
    fig, ax = show.canvas(0.24 * len(order) + 1.4)
    for k, (group, rows) in enumerate(tables.items()):
        rows, (colour, marker, _) = rows.loc[order], _STYLES[k]
        y = np.arange(len(order)) + (0.14 if k else -0.14)
        ax.hlines(y, 100 * rows["lowest_seed"], 100 * rows["highest_seed"], color=colour, linewidth=1.4, alpha=0.7)
        ax.plot(100 * rows["uar"], y, marker, color=colour, markersize=5, label=label(_system(case, group)))
    chance = 100 / len(case.results.labels(case.groups[-1]))
    ax.axvline(chance, color=show.GREY, linewidth=1, linestyle=":", label="chance")
    ax.set_yticks(range(len(order)), order)
    ax.set_ylim(-0.7, len(order) - 0.3)
    ax.set_xlabel("UAR of the recordings of one " + word + " (%)")
    ax.set_ylabel(word)
    ax.grid(axis="x", color="#e4e4e4")
    ax.set_title(case.title, loc="left", pad=26)
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncol=3, fontsize=9, handletextpad=0.3, columnspacing=1)
    top = tables[case.groups[-1]]["uar"]
    alt = (
        f"UAR of each of {len(order)} {word}s under {label(_system(case, case.groups[-1]))}, {case.title}: from {100 * top.min():.0f} % "
        f"({word} {top.idxmin()}) to {100 * top.max():.0f} % ({word} {top.idxmax()})"
    )
    if len(case.groups) == 2:
        gain = top - tables[case.groups[0]]["uar"].reindex(top.index)
        alt += f"; above {label(_system(case, case.groups[0]))} for {int((gain > 0).sum())} of {len(order)}"
    caption = f"Points: mean over seeds; lines: lowest to highest seed. {alt}. [{case.stamp}]"
    return fig, f"{alt}.", caption, provenance.of_runs(case.results, case.groups)


def learning_curves(shown: Sequence[Case]) -> Shown:
    """Training loss and validation UAR by epoch: mean over runs, and the range of the runs.

    Args:
        shown: of `sercore.pages.overview.cases`.

    Returns:
        One figure a case, as HTML.
    """
    made = [_learning_curves(case) for case in shown if len(case.results.history)]
    return show.figures(made) if made else show.note(_NOTHING)


def _learning_curves(case: Case) -> tuple[Figure, str, str, Origin]:
    fig, axes = show.canvas(4.6, rows=2, sharex=True)
    said = []
    for k, group in enumerate(case.groups):
        rows, (colour, _, line) = case.results.history[case.results.history["group"] == group], _STYLES[k]
        name = label(_system(case, group))
        for ax, quantity, scale in zip(axes, ("train_loss", "validation_uar"), (1, 100), strict=True):
            curve = rows[rows["quantity"] == quantity].sort_values("epoch")
            ax.plot(curve["epoch"], scale * curve["mean"], line, color=colour, label=name, linewidth=1.8)
            ax.fill_between(curve["epoch"], scale * curve["low"], scale * curve["high"], color=colour, alpha=0.18, linewidth=0)
        best = rows[rows["quantity"] == "validation_uar"].set_index("epoch")["mean"]
        where = f"in epoch {int(best.idxmax())} of {int(best.index.max())}"
        said.append(f"{name} reaches a mean validation UAR of {100 * best.max():.0f} % {where}")
    axes[0].set_ylabel("training loss (nats)")
    axes[1].set_ylabel("validation UAR (%)")
    axes[1].set_xlabel("epoch")
    axes[0].set_title(case.title, loc="left")
    axes[0].legend(fontsize=9, frameon=False)
    for ax in axes:
        ax.grid(color="#e4e4e4")
    alt = f"Learning curves on {case.title}: {'; '.join(said)}."
    caption = f"Lines: mean over runs; bands: lowest to highest run. {alt} [{case.stamp}]"
    return fig, alt, caption, provenance.of_runs(case.results, case.groups)


def score_against_parameters(shown: Sequence[Source], corpus: str = "ravdess") -> Shown:
    """UAR against the number of parameters: the six published networks, and ours with the interval over speakers where they were run.

    Args:
        shown: of `sercore.pages.overview.sources`; only stored full runs are drawn, a quick run is not comparable.
        corpus: of our rows; the published ones are RAVDESS'.

    Returns:
        The figure as HTML.
    """
    fig, ax = show.canvas(4.6)
    claims = load_claims("reslstm2026")
    table = claims[claims["locator"] == "Table I"]
    means = table[table["claim_id"].str.endswith(".uar-mean")]
    for k, kind in enumerate(("LSTM-SA", "ResLSTM-SA")):
        rows = means[means["architecture"].str.startswith(f"{kind}-")]
        size = [number(v) for v in rows["n_params"]]
        score, spread = ([100 * (number(v) or np.nan) for v in rows[c]] for c in ("value", "spread"))
        colour, marker, line = _STYLES[k]
        name = f"{kind}, published (± sd)"
        ax.errorbar(size, score, spread, fmt=f"{marker}{line}", color=colour, mfc="white", capsize=2, lw=1, label=name)
        for x, y, name in zip(size, score, rows["architecture"], strict=True):
            place, text = (-7, 5 if k else -11), name.rpartition("-")[2]
            ax.annotate(text, (x, y), place, textcoords="offset points", fontsize=8.5, color=colour, ha="right")
    ours = _ours(shown, corpus)
    for row in ours:
        k = int(row["system"].startswith("reslstm"))
        colour, marker = _STYLES[k][0], "D" if row["protocol"] == "strict" else "^"
        error = [[row["score"] - row["low"]], [row["high"] - row["score"]]]
        x = row["parameters"] * (0.94 if row["protocol"] == "strict" else 1.06)
        name = f"{label(row['system'])}, ours {row['protocol']} [95 %]"
        ax.errorbar(x, row["score"], error, fmt=marker, color=colour, capsize=4, lw=2, ms=7, label=name)
    ax.set_xscale("log")
    ticks = [10e3, 20e3, 50e3, 100e3]
    ax.set_xticks(ticks, [f"{t / 1e3:.0f} k" for t in ticks])
    ax.minorticks_off()
    ax.set_xlim(8e3, 145e3)
    ax.set_xlabel("trainable parameters")
    ax.set_ylabel("UAR on RAVDESS (%)")
    ax.grid(color="#e4e4e4")
    ax.legend(fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17), ncol=2)
    said = "; ".join(f"{label(r['system'])} {r['protocol']} {r['score']:.1f} [{r['low']:.1f}, {r['high']:.1f}] %" for r in ours)
    alt = (
        "UAR against parameters on RAVDESS, six published networks: LSTM-SA rises from 53.5 to 59.0 %, ResLSTM-SA stays between 61.1 and "
        f"62.3 %. Ours: {said or 'not run, so only published points are shown'}."
    )
    drawn = [r["group"] for r in ours]
    of_ours = (provenance.of_runs(s.results, drawn) for s in shown if s.origin == STORED and drawn)
    return show.figure(fig, alt, alt, sum(of_ours, provenance.of_files("book/claims/claims.csv")))


def _ours(shown: Sequence[Source], corpus: str) -> list[dict[str, Any]]:
    found = []
    for source in (s for s in shown if s.origin == STORED):
        data = Measurements(source.results)
        groups = source.results.groups
        for row in groups[groups["corpus"].eq(corpus) & groups["parameters"].notna()].to_dict("records"):
            interval = data.interval(row["group"])
            found.append({**row, "score": 100 * interval.estimate, "low": 100 * interval.low, "high": 100 * interval.high})
    return found


def price_of_protocol(shown: Sequence[Source]) -> Shown:
    """UAR of the same systems under the strict protocol and under the source's own data handling, with intervals over speakers.

    Args:
        shown: of `sercore.pages.overview.sources`; those that have both protocols on a corpus are drawn.

    Returns:
        One figure a source and corpus, as HTML, or a note.
    """
    made = []
    for source in shown:
        for corpus in dict.fromkeys(source.results.groups["corpus"]):
            here = source.results.of(corpus=corpus)
            both = here.groups[here.groups["parameters"].notna()].groupby("system")["protocol"].agg(set)
            systems = [s for s, protocols in both.items() if {"strict", "paper"} <= protocols]
            if systems:
                made.append(_price(Source(source.origin, here), corpus, systems))
    return show.figures(made) if made else show.note("Not run: no corpus has runs under both protocols, so there is no price to show yet.")


def _price(source: Source, corpus: str, systems: Sequence[str]) -> tuple[Figure, str, str, Origin]:
    data, groups, said = Measurements(source.results), source.results.groups, []
    fig, ax = show.canvas(0.75 * len(systems) + 1.3)
    for y, system in enumerate(systems):
        rows = groups[groups["system"] == system].set_index("protocol")["group"]
        ends = [data.interval(rows[protocol]) for protocol in ("strict", "paper")]
        ax.plot([100 * e.estimate for e in ends], [y - 0.12, y + 0.12], color=show.GREY, lw=1, zorder=0)
        for (colour, marker, _), end, shift, protocol in zip(_STYLES, ends, (-0.12, 0.12), ("strict", "paper"), strict=True):
            ax.hlines(y + shift, 100 * end.low, 100 * end.high, color=colour, lw=2)
            ax.plot(100 * end.estimate, y + shift, marker, color=colour, ms=7, label=f"protocol {protocol}" if y == 0 else None)
        gap = data.compare(groups[groups["group"] == rows["paper"]].iloc[0], groups[groups["group"] == rows["strict"]].iloc[0])
        d = gap.difference
        said.append(f"{label(system)} {100 * d.estimate:+.1f} [{100 * d.low:+.1f}, {100 * d.high:+.1f}] points, {gap.sign_flip}")
    ax.set_yticks(range(len(systems)), [label(s) for s in systems])
    ax.set_ylim(-0.6, len(systems) - 0.4)
    ax.set_xlabel("UAR (%), 95 % over speakers")
    ax.set_title(corpus, loc="left", pad=24)
    ax.legend(fontsize=9, frameon=False, ncol=2, loc="lower left", bbox_to_anchor=(0, 1))
    ax.grid(axis="x", color="#e4e4e4")
    alt = f"Price of the protocol on {corpus}, paper minus strict: {'; '.join(said)}."
    drawn = groups.loc[groups["system"].isin(set(systems)), "group"]
    return fig, alt, f"{alt} [{source.stamp(corpus)}]", provenance.of_runs(source.results, list(drawn))


def splits_compared(results: Results) -> Shown:
    """One system on a speaker split, on a random split that shares speakers, and with shuffled labels: UAR with intervals, and chance.

    Args:
        results: of `sercore.pages.protocols.price_of_sharing`.

    Returns:
        The figure as HTML.
    """
    data, groups, said, names = Measurements(results), results.groups, [], []
    fig, ax = show.canvas(0.55 * len(groups) + 1.2)
    for y, row in enumerate(groups.to_dict("records")):
        shuffled = ".shuffled" in row["group"]
        name = "speakers mixed" if row["leaks"] else "speakers apart,\nlabels shuffled" if shuffled else "speakers apart"
        interval = data.interval(row["group"])
        colour, marker = (show.ORANGE, "s") if row["leaks"] else (show.GREY, "^") if shuffled else (show.BLUE, "o")
        ax.hlines(y, 100 * interval.low, 100 * interval.high, color=colour, lw=2.5)
        ax.plot(100 * interval.estimate, y, marker, color=colour, ms=8)
        names.append(name)
        words = " ".join(name.split())
        said.append(f"{words} {100 * interval.estimate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}] %")
    chance = 100 / len(results.labels(groups["group"].iloc[0]))
    ax.axvline(chance, color=show.BLACK, lw=1, ls=":", label=f"chance, {chance:.1f} %")
    ax.set_yticks(range(len(groups)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(groups) - 0.4, -0.6)
    ax.set_xlim(0, None)
    ax.set_xlabel("UAR (%), 95 % over speakers")
    ax.grid(axis="x", color="#e4e4e4")
    ax.legend(fontsize=9, frameon=False, loc="lower right")
    alt = f"{label(groups['system'].iloc[0])} on {groups['corpus'].iloc[0]}: {'; '.join(said)}; chance {chance:.1f} %."
    return show.figure(fig, alt, alt, provenance.of_runs(results))


def _system(case: Case, group: str) -> str:
    groups: pd.DataFrame = case.results.groups
    return str(groups.loc[groups["group"] == group, "system"].iloc[0])
