"""What the page of multi-time-scale convolution says: the answer, pairs with tests, epochs, and what its figures are drawn from."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from sercore import ledger, models, provenance, scale_usage, stats, tempo, tempo_curves
from sercore.data.card import load_card
from sercore.errors import SpecError
from sercore.features.cache import frames_of
from sercore.layers.kernel_scales import SCALE_SETS
from sercore.ledger.claims import printed
from sercore.ledger.measurements import Comparison, Measurements
from sercore.ledger.rule import MIN_SEEDS, MIN_SPEAKERS
from sercore.multi_time_scale_grid import FIRST_SET, PROMISED, WORD_KERNEL, WORD_SCHEMES, features_of
from sercore.pages.overview import STORED, Source
from sercore.pages.tables import compact
from sercore.provenance import Origin, Table
from sercore.results import Results
from sercore.spec import ScaleSpec
from sercore.stats import Metric

METRICS: tuple[Metric, ...] = ("accuracy", "uar")
#: Their first layer gives a point for each frame, so that its maps can be laid beside the input.
_STRIDE_ONE = ("mts_a1", "mts_a2", "mts_a3")
_NETWORKS = ("a1", "a2", "a3", "a4", "resnet18")


@dataclass(frozen=True)
class Seen:
    """Rows of one corpus that a figure is drawn from, and what they are of."""

    rows: pd.DataFrame
    corpus: str
    stamp: str
    origin: Origin


@dataclass(frozen=True)
class Inside:
    """One network's first layer: its kernels and a recording in it; None for stored rows (frames are not published) and for a stride."""

    view: scale_usage.BranchView | None
    kernels: pd.DataFrame
    stamp: str
    origin: Origin


def tempo_seen(shown: Sequence[Source], roots: Mapping[str, str | Path] | None = None, per_class: int = 1) -> list[Seen]:
    """Rows of `sercore.tempo`, stored ones first: published with the chapter, or measured now on the runs of this build.

    Args:
        shown: of `sercore.pages.overview.sources`.
        roots: corpus name -> folder.
        per_class: recordings of each speaker and class of the runs of this build, the first by name; 0 takes all.
    """
    return _seen(shown, "tempo", lambda results: tempo.tempo_table(results, roots, per_class=per_class))


def usage_seen(shown: Sequence[Source], roots: Mapping[str, str | Path] | None = None, per_class: int = 1) -> list[Seen]:
    """Rows of `sercore.scale_usage.usage_rows`, as `tempo_seen`."""
    return _seen(shown, "usage", lambda results: scale_usage.usage_rows(results, roots, per_class=per_class))


def _seen(shown: Sequence[Source], name: str, measure: Any) -> list[Seen]:
    found = []
    for source in _ordered(shown):
        networks = source.results.of(system=list(models.SPECTROGRAM))
        rows = source.results.extras.get(name) if source.origin == STORED else measure(networks)
        for corpus in dict.fromkeys(networks.groups["corpus"]):
            here = networks.of(corpus=corpus)
            mine = rows[rows["group"].isin(here.groups["group"])] if rows is not None else pd.DataFrame()
            if len(mine):
                mine = mine.fillna({"settings": ""}).reset_index(drop=True)  # a file has no empty text
                origin = provenance.of_runs(here, list(dict.fromkeys(mine["group"])))
                found.append(Seen(mine, corpus, Source(source.origin, here).stamp(corpus), origin))
    return found


def _ordered(shown: Sequence[Source]) -> list[Source]:
    return sorted(shown, key=lambda source: source.origin != STORED)


def inside(shown: Sequence[Source], roots: Mapping[str, str | Path] | None = None) -> list[Inside]:
    """First layer of one run a source and corpus: fold 0, seed 0 of the first multi-time-scale network, so that no result chooses it."""
    found = []
    for source in _ordered(shown):
        networks = source.results.of(system=[name for name in models.SPECTROGRAM if name.startswith("mts_")])
        published = source.results.extras.get("kernels")
        for corpus in dict.fromkeys(networks.groups["corpus"]):
            here = networks.of(corpus=corpus)
            group = here.groups.iloc[0]
            runs = here.runs[here.runs["group"].eq(group["group"]) & here.runs["fold"].eq(0) & here.runs["seed"].eq(0)]
            if runs.empty or (source.origin == STORED and published is None):
                continue
            run_id, origin = runs["run_id"].iloc[0], provenance.of_runs(here, [group["group"]])
            what = f"{ledger.label(group['system'], group['settings'])}, fold 0, seed 0"
            stamp = f"{Source(source.origin, here).stamp(corpus)}; {what}"
            if source.origin == STORED and published is not None:
                rows = published[published["run_id"].eq(run_id)]
                found += [Inside(None, rows, stamp, origin)] if len(rows) else []
                continue
            plain = group["system"] in _STRIDE_ONE
            view = scale_usage.branch_view(run_id, (roots or {}).get(corpus, "")) if plain else None
            found.append(Inside(view, scale_usage.kernels(run_id), stamp, origin))
    return found


@dataclass(frozen=True)
class Pair:
    """A multi-time-scale network beside the standard one, compared in each metric over the same speakers."""

    group: pd.Series
    reference: pd.Series
    by_metric: dict[Metric, Comparison]


def compared(results: Results) -> list[Pair]:
    """Every multi-time-scale group that has its standard one among the rows, both tested on the same two speakers or more."""
    data, by_name = Measurements(results), results.groups.set_index("group", drop=False)
    found = []
    for name, group in by_name.iterrows():
        standard = tempo_curves.standard_group(str(name), group["system"], group["settings"])
        if not group["system"].startswith("mts_") or standard not in by_name.index:
            continue
        cubes = [data.cube(str(one)) for one in (name, standard)]
        if cubes[0].speakers != cubes[1].speakers or len(cubes[0].speakers) < 2:
            continue
        reference = by_name.loc[standard]
        found.append(Pair(group, reference, {metric: data.compare(group, reference, metric) for metric in METRICS}))
    return found


def answer(shown: Sequence[Source], corpora: Sequence[str] = ("emodb", "fsdd")) -> str:
    """One line for the chapter's head: A1 with the scales (0.7, 1, 1.428) against A1, strict, from stored full rows only.

    Where a corpus has none the line says `Not run`, and never takes a quick run in its place.
    """
    kept = next((source.results for source in shown if source.origin == STORED), None)
    said = []
    for corpus in corpora:
        wanted = "" if kept is None else ScaleSpec(time_factors=FIRST_SET).label
        rows = None if kept is None else kept.of(corpus=corpus, protocol="strict", variant="definition", profile="full")
        found = [p for p in compared(rows) if p.group["system"] == "mts_a1" and p.group["settings"].split("-")[0] == wanted] if rows else []
        said.append(_sentence(found[0], corpus) if found else f"Not run in full on {corpus}.")
    return " ".join(said)


def _sentence(pair: Pair, corpus: str) -> str:
    first, parts = pair.by_metric["accuracy"], []
    for metric, name in (("accuracy", "accuracy"), ("uar", "UAR")):
        c = pair.by_metric[metric]  # type: ignore[index]
        score = f"{name} {100 * c.score:.1f} % against {100 * c.reference_score:.1f} %"
        parts.append(f"{score}, {points(c)} points: {finding(c)}")
    extent = (
        f"{int(pair.group['n_items'])} recordings, {first.n_speakers} speakers, {int(pair.group['folds'])} folds, {first.n_seeds} seeds"
    )
    network = ledger.label(pair.group["system"], pair.group["settings"])
    return f"On {corpus} ({extent}, strict) {network} has {parts[0]}; {parts[1]}."


def finding(comparison: Comparison) -> str:
    """What a pair shows, in words: higher, lower, no difference shown, or not decidable and why."""
    low, high = comparison.difference.low, comparison.difference.high
    if comparison.n_speakers < MIN_SPEAKERS or comparison.n_seeds < MIN_SEEDS:
        return "not decidable (too few speakers or seeds)"
    if not comparison.decidable:
        return f"not decidable (only {100 * comparison.detectable:.1f} points or more would be found)"
    return "higher" if low > 0 else "lower" if high < 0 else "no difference shown"


def points(c: Comparison) -> str:
    """A difference with its interval, in points."""
    return f"{100 * c.difference.estimate:+.1f} [{100 * c.difference.low:+.1f}, {100 * c.difference.high:+.1f}]"


def pairs(shown: Sequence[Source]) -> Table:
    """Multi-time-scale minus standard, each corpus, network and set of scales; p corrected by Holm inside corpus, protocol and metric.

    A row says `not run` for each promised corpus of which no pair is stored.
    """
    rows: list[dict[str, Any]] = []
    for source in _ordered(shown):
        origin = "stored" if source.origin == STORED else source.origin
        found = compared(source.results)
        for corpus, protocol, variant in dict.fromkeys((p.group["corpus"], p.group["protocol"], p.group["variant"]) for p in found):
            mine = [p for p in found if (p.group["corpus"], p.group["protocol"], p.group["variant"]) == (corpus, protocol, variant)]
            holm = {metric: stats.holm([p.by_metric[metric].sign_flip.p for p in mine]) for metric in METRICS}
            where = ", ".join([corpus, protocol, *([variant] if variant != "definition" else [])])
            for k, pair in enumerate(mine):
                line = {"from": origin, "corpus, protocol": where, "system": ledger.label(pair.group["system"], pair.group["settings"])}
                for metric in METRICS:
                    c = pair.by_metric[metric]
                    name = "UAR" if metric == "uar" else metric
                    line |= {f"{name} [95 %]": points(c), f"p {name} (Holm)": f"{c.sign_flip.p:.2g} ({holm[metric][k]:.2g})"}
                one = pair.by_metric["accuracy"]
                line |= {"smallest p": f"{one.sign_flip.p_min:.2g}", "finding (accuracy)": finding(one)}
                rows.append(line | {"speakers x seeds": f"{one.n_speakers} x {one.n_seeds}"})
    for corpus, protocol in PROMISED:
        if not any(row["from"] == "stored" and row["corpus, protocol"].startswith(f"{corpus}, {protocol}") for row in rows):
            rows.append({"from": "promised", "corpus, protocol": f"{corpus}, {protocol}", "accuracy [95 %]": "not run"})
    caption = "Multi-time-scale minus standard network, points, paired over speakers"
    return compact(rows, caption, "mts-pairs", ("accuracy [95 %]", "UAR [95 %]"), _networks(shown))


def _networks(shown: Sequence[Source]) -> Origin:
    return sum((provenance.of_runs(source.results.of(system=list(models.SPECTROGRAM))) for source in shown), Origin())


def epochs_table(shown: Sequence[Source]) -> Table:
    """Epochs to the best one and seconds an epoch, standard and multi-time-scale, beside what the thesis prints.

    Seconds are of the machine that ran them, whatever else it did meanwhile; `benchmarks/` measures both side by side.
    """
    rows: list[dict[str, Any]] = []
    for source in _ordered(shown):
        origin = "stored" if source.origin == STORED else source.origin
        runs = source.results.runs.astype({"best_epoch": float, "seconds_per_epoch": float})
        for pair in compared(source.results):
            mine, other = (runs[runs["group"].eq(side["group"])] for side in (pair.group, pair.reference))
            most = source.results.specs.get(pair.group["group"], {}).get("training", {}).get("epochs", "")
            best, pace = ([side[column].mean() for side in (other, mine)] for column in ("best_epoch", "seconds_per_epoch"))
            line = {"from": f"{origin}, {pair.group['corpus']}", "system": ledger.label(pair.group["system"], pair.group["settings"])}
            line |= {"epochs at most": str(most), "best epoch, standard": f"{best[0]:.1f}", "best epoch, MTS": f"{best[1]:.1f}"}
            line |= {"ratio of epochs": _ratio(*best), "s an epoch, standard": f"{pace[0]:.3g}", "s an epoch, MTS": f"{pace[1]:.3g}"}
            rows.append(line | {"ratio of time": _ratio(*pace)})
    names = [f"thesis.s4.3.{end}" for end in ("epochs.standard", "epochs.mts", "epoch-time.3", "epoch-time.5")]
    standard, mts, three, five = (printed(name) for name in names)
    paper = {"from": "thesis, sec. 4.3", "system": "mean over all", "best epoch, standard": standard, "best epoch, MTS": mts}
    rows.append(paper | {"ratio of epochs": _ratio(float(standard), float(mts)), "ratio of time": f"{three} (A2, 3 branches), {five} (5)"})
    caption = "Epochs until the best one on validation, and time of an epoch: means over folds and seeds"
    return compact(rows, caption, "mts-epochs", origin=_networks(shown) + provenance.of_files("book/claims/claims.csv"))


def _ratio(before: float, after: float) -> str:
    return f"{after / before:.2f}" if np.isfinite(before) and np.isfinite(after) and before > 0 else ""


def our_gains(shown: Sequence[Source]) -> pd.DataFrame:
    """Ours beside `published_scales.gains`, stored full rows only: `corpus, network, n, gain, low, high`, points of accuracy."""
    rows = []
    for source in (s for s in shown if s.origin == STORED):
        for pair in compared(source.results):
            d = pair.by_metric["accuracy"].difference
            row = {"corpus": pair.group["corpus"], "network": ledger.label(pair.group["system"], pair.group["settings"])}
            rows.append(row | {"n": int(pair.group["n_items"]), "gain": 100 * d.estimate, "low": 100 * d.low, "high": 100 * d.high})
    return pd.DataFrame(rows, columns=["corpus", "network", "n", "gain", "low", "high"])


def buildable_table(corpora: Sequence[str] = ("emodb", "fsdd")) -> Table:
    """Which of the eleven sets of scales can be built in which network, on the inputs of each corpus, and what stands in the way.

    Args:
        corpora: keys of `sercore.multi_time_scale_grid.LONGEST_S`.
    """
    cells: dict[tuple[str, ...], list[str]] = {}  # corpora by what is said of them
    for name, factors in SCALE_SETS.items():
        for corpus in corpora:
            said = (", ".join(f"{f:g}" for f in factors), *(_obstacle(corpus, network, name) or "yes" for network in _NETWORKS))
            cells.setdefault(said, []).append(corpus)
    heads = ["time factors", *(ledger.label(network) for network in _NETWORKS)]
    rows = [dict(zip(heads, said, strict=True)) | {"on": ", ".join(where)} for said, where in cells.items()]
    caption = "Networks that can be built with the thesis' eleven sets of scales; otherwise the layer that cannot, and why"
    origin = provenance.of_files("sercore/layers/kernel_scales.py", "sercore/models/mts_cnn.py", "sercore/models/mts_resnet.py")
    return compact(rows, caption, "mts-buildable", ("time factors",), origin)


@lru_cache
def _obstacle(corpus: str, network: str, scale_set: str) -> str:
    """Why a network cannot be built, in few words; empty where it can. It is built, without its weights."""
    spec, rate = features_of(corpus), load_card(corpus).sample_rate_hz
    n_frames, n_features = frames_of(np.zeros(round(spec.pad_to_s * rate), dtype=np.float32), rate, spec).shape
    kernel = WORD_KERNEL if corpus in WORD_SCHEMES and network in ("a1", "a2", "a3") else None
    scales = ScaleSpec(time_factors=SCALE_SETS[scale_set])
    try:
        with torch.device("meta"):
            models.build(f"mts_{network}", n_features, 7, dropout=0.0, n_frames=n_frames, scales=scales, kernel=kernel)
    except SpecError as error:
        found = re.search(r"its (\S+) \((\d+x\d+)\) sees [^:]*: (.*?)(?:: |$)", str(error))
        return f"no: {found[1]} ({found[2]}), {found[3]}" if found else f"no: {error}"
    return ""
