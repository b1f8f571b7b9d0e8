"""What the pages of anti-transfer say: the answer, what is transferred against nothing and against the control, losses, layers, costs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from sercore import ledger, provenance, stats
from sercore.anti_transfer_grid import METHODS, PROMISED, SIZES, Transfer, specs, transfer_of, without_transfer
from sercore.anti_transfer_tasks import ORTHOGONAL, TARGETS, default_tasks, division_of
from sercore.ledger.measurements import Comparison, Measurements, speaker_differences
from sercore.models import BACKBONES
from sercore.pages.multi_time_scale import finding, points
from sercore.pages.overview import STORED, Source
from sercore.pages.tables import compact
from sercore.provenance import Origin, Table
from sercore.results import Results
from sercore.spec import RunSpec
from sercore.stats import Metric

METRICS: tuple[Metric, ...] = ("uar", "accuracy")
#: method -> what it is compared with beside `none`: the control that tells the orthogonal task from any other network.
_CONTROL = {"at": "at_random", "at_inverse": "at_random", "dual": "at"}


@dataclass(frozen=True)
class Row:
    """A group of runs of the grid, with what it transfers and its specification (fold 0)."""

    group: pd.Series
    transfer: Transfer
    spec: RunSpec

    @property
    def alike(self) -> RunSpec:
        """What groups share that are compared or drawn together: everything but what is transferred."""
        return without_transfer(self.spec)


@dataclass(frozen=True)
class Against:
    """A group beside another one that shares all but what is transferred, over the same recordings."""

    row: Row
    reference: Row
    by_metric: dict[Metric, Comparison]


def rows_of(results: Results) -> list[Row]:
    """The networks among the groups, in their order; those with a tap behind the others, the first layer first."""
    found = []
    for group in results.groups.itertuples(index=False):
        if group.system in BACKBONES and group.group in results.specs:
            spec = RunSpec.of_group(results.specs[str(group.group)], 0)
            found.append(Row(pd.Series(group._asdict()), transfer_of(spec), spec))
    return sorted(found, key=lambda row: _depth(row.transfer.tap))


def _depth(tap: str) -> int:
    """Number of a tap's layer, of several the first; -1 without one."""
    return int(number[0]) if (number := re.search(r"\d+", tap)) else -1


def compared(results: Results, with_control: bool = True) -> list[Against]:
    """Every group against the one that transfers nothing, and anti-transfer against its control, where both tested the same recordings.

    Args:
        results: rows of the chapter.
        with_control: add the comparisons with the control.
    """
    data, rows, found = Measurements(results), rows_of(results), []
    for row in rows:
        for reference in _references(row, rows, with_control):
            if _same_recordings(*(data.cube(one.group["group"]) for one in (row, reference))):
                by_metric = {metric: data.compare(row.group, reference.group, metric) for metric in METRICS}
                found.append(Against(row, reference, by_metric))
    return found


def _references(row: Row, rows: Sequence[Row], with_control: bool) -> Iterator[Row]:
    control = _CONTROL.get(row.transfer.method, "none") if with_control else "none"
    for other in (one for one in rows if one is not row and one.alike == row.alike):
        theirs, mine = other.transfer, row.transfer
        same_loss = _loss(theirs) == _loss(mine) and (theirs.method == "at_random" or theirs.tasks in mine.tasks)
        if theirs.method == "none" or (theirs.method == control and same_loss):
            yield other


def _loss(transfer: Transfer) -> tuple[Any, ...]:
    return (transfer.tap, abs(transfer.beta), transfer.aggregation, transfer.measure)


def _same_recordings(one: stats.Cube, other: stats.Cube) -> bool:
    """Of two speakers at least: fewer leave nothing to be resampled."""
    same = one.speakers == other.speakers and one.labels == other.labels and len(one.speakers) > 1
    return same and bool((one.counts[0].sum(axis=2) == other.counts[0].sum(axis=2)).all())


def in_words(transfer: Transfer) -> str:
    """What is transferred, in few words for a cell.

    Example:
        >>> in_words(Transfer("at", "conv_5", "speaker of ravdess"))
        'anti-transfer at conv_5 against speaker of ravdess'
    """
    tap, tasks = transfer.tap, transfer.tasks
    said = {
        "none": "nothing",
        "wi": f"weights of {tasks}",
        "wi_frozen": f"weights of {tasks}, frozen up to {tap}",
        "at": f"anti-transfer at {tap} against {tasks}",
        "at_random": f"anti-transfer at {tap} against a random network",
        "at_inverse": f"inverse beta at {tap}: kept like {tasks}",
        "at_wi": f"weights of, and anti-transfer at {tap} against, {tasks}",
        "dual": f"dual anti-transfer at {tap}: {tasks}",
    }[transfer.method]
    more = [f"beta {transfer.beta:g}"] if abs(transfer.beta) != 1 else []
    more += [transfer.aggregation.replace("_", " ")] if transfer.aggregation != "gram" else []
    more += ["sigmoid MSE"] if transfer.measure != "squared_cosine" else []
    return f"{said} ({', '.join(more)})" if more else said


def methods_table() -> Table:
    """What is transferred, in words: the names of the chapter's parameter `methods`."""
    rows = [{"method": name, "what is transferred": said} for name, said in METHODS.items()]
    return compact(rows, "Methods", "at-methods", ("method",), provenance.of_files("sercore/anti_transfer_grid.py"))


def answer(shown: Sequence[Source], corpora: Sequence[str] = ("emodb",)) -> str:
    """The chapter's head: anti-transfer against nothing and against the control, strict, from stored full rows only.

    A sentence for each size of the promised network with the promised task, at the tap that was fixed beforehand: others would be choices.
    Where a corpus has none it says `Not run`, and never takes a quick run in its place.
    """
    kept = next((source.results for source in shown if source.origin == STORED), None)
    said = []
    for corpus in corpora:
        found = [] if kept is None else compared(kept.of(corpus=corpus, protocol="strict", variant="definition", profile="full"))
        promised = specs(corpus, "full", methods=["at"], folds=1, seeds=1)[-1]
        wanted = (promised.model.name, promised.data, promised.split, transfer_of(promised))
        mine = [a for a in found if (a.row.group["system"], a.row.spec.data, a.row.spec.split, a.row.transfer) == wanted]
        names = dict.fromkeys(a.row.group["group"] for a in mine)
        said += [_sentence([a for a in mine if a.row.group["group"] == name], corpus) for name in names]
        said += [] if mine else [f"Not run in full on {corpus}."]
    return " ".join(said)


def _sentence(found: Sequence[Against], corpus: str) -> str:
    first = found[0]
    one = first.by_metric["uar"]
    group = first.row.group
    extent = f"{int(group['n_items'])} recordings, {one.n_speakers} speakers, {int(group['folds'])} folds, {one.n_seeds} seeds"
    parts = []
    for against in found:
        c = against.by_metric["uar"]
        other = "a network that is kept unlike a random one" if against.reference.transfer.method == "at_random" else "one without transfer"
        parts.append(f"against {other} ({100 * c.reference_score:.1f} %) {points(c)} points: {finding(c)}")
    size = size_of(first.row.spec)
    what = in_words(first.row.transfer)
    return f"On {corpus} ({extent}, strict; {size}) {what} has a UAR of {100 * one.score:.1f} %; {'; '.join(parts)}."


def size_of(spec: RunSpec) -> str:
    """The size of a network and its input in words; `reduced size` where it is not the thesis'."""
    width, features = spec.model.width, spec.features
    bins = round(features.window_ms * (features.sample_rate_hz or 16000) / 2000)
    said = f"{features.segment_frames} x {bins} inputs, width {width:g}"
    return said if width == 1 and (features.sample_rate_hz, features.hop_ms) == SIZES["whole"] else f"reduced size: {said}"


def recordings_of(spec: RunSpec) -> str:
    """Corpus and protocol, and noise and division where they are not the plain ones.

    Example:
        >>> recordings_of(specs("emodb", "quick", noises=["high"], divisions=["random"])[-1])
        'emodb, leaks: speaker_overlap, random_5, noise of ms_snsd at 0 to 10 dB'
    """
    noise, plain = spec.data.noise, default_scheme(spec)
    parts = [spec.data.corpus, spec.protocol, *([spec.split.scheme] if spec.split.scheme != plain else [])]
    parts += [f"noise of {noise.corpus} at {noise.lowest_snr_db:g} to {noise.highest_snr_db:g} dB"] if noise else []
    return ", ".join(parts)


def default_scheme(spec: RunSpec) -> str:
    """The division of a run's corpus under its protocol where none is asked for."""
    protocol = "paper" if spec.protocol == "paper" else "strict"
    return division_of(spec.data.corpus, "speakers", protocol)[0] if spec.data.corpus in TARGETS else spec.split.scheme


def pairs(shown: Sequence[Source]) -> Table:
    """Each method minus nothing, and anti-transfer minus its control; p corrected by Holm inside corpus, network and metric.

    A row says `not run` for each promised corpus of which nothing is stored.
    """
    rows: list[dict[str, Any]] = []
    for source in ordered(shown):
        found = compared(source.results)
        for alike in dict.fromkeys(a.row.alike for a in found):
            rows += _lines([a for a in found if a.row.alike == alike], source)
    for corpus, protocol in PROMISED:
        if not any(row["from"] == "stored" and row["corpus, protocol"].startswith(f"{corpus}, {protocol}") for row in rows):
            rows.append({"from": "promised", "corpus, protocol": f"{corpus}, {protocol}", "UAR [95 %]": "not run"})
    caption = "Transfer minus its reference, points, paired over speakers"
    wordy = ("network", "transfer", "against", "finding (UAR)")
    return compact(rows, caption, "at-pairs", ("UAR [95 %]", "accuracy [95 %]"), origin_of(shown), wordy)


def _lines(found: Sequence[Against], source: Source) -> list[dict[str, Any]]:
    holm = {metric: stats.holm([a.by_metric[metric].sign_flip.p for a in found]) for metric in METRICS}
    lines = []
    for k, a in enumerate(found):
        network = f"{ledger.label(a.row.group['system'])}, {size_of(a.row.spec)}"
        variant = "" if a.row.group["variant"] == "definition" else f", {a.row.group['variant']}"
        line = {"from": "stored" if source.origin == STORED else source.origin, "network": network + variant}
        line |= {"corpus, protocol": recordings_of(a.row.spec), "transfer": in_words(a.row.transfer)}
        line["against"] = in_words(a.reference.transfer)
        for metric in METRICS:
            c = a.by_metric[metric]
            name = "UAR" if metric == "uar" else metric
            line |= {f"{name} [95 %]": points(c), f"p {name} (Holm)": f"{c.sign_flip.p:.2g} ({holm[metric][k]:.2g})"}
        one = a.by_metric["uar"]
        line |= {"smallest p": f"{one.sign_flip.p_min:.2g}", "finding (UAR)": finding(one)}
        lines.append(line | {"speakers x seeds": f"{one.n_speakers} x {one.n_seeds}"})
    return lines


def orthogonal_table(shown: Sequence[Source]) -> Table:
    """The runs of orthogonal tasks: what was told apart, how well, on whom (thesis, Table 5.2); those promised and not run are named."""
    rows: list[dict[str, Any]] = []
    for source in ordered(shown):
        used = {parent.group for row in rows_of(source.results) for parent in _all_parents(row.spec) if not parent.parents}
        data = Measurements(source.results)
        for row in rows_of(source.results):
            if row.group["group"] in used:
                classes = source.results.labels(row.group["group"])
                line = {"from": "stored" if source.origin == STORED else source.origin, "corpus": row.group["corpus"]}
                line |= {"task": row.group["task"], "classes": str(len(classes)), "split": row.group["split"]}
                line |= {"accuracy [95 %]": data.in_words(row.group["group"], "accuracy"), "chance": f"{100 / len(classes):.1f}"}
                rows.append(line | {"recordings": str(int(row.group["n_items"])), "size": size_of(row.spec)})
    stored = {(row["corpus"], row["task"]) for row in rows if row["from"] == "stored"}
    for task in dict.fromkeys(ORTHOGONAL[default_tasks(corpus)[0]] for corpus, _ in PROMISED):
        if (task.corpus, task.task) not in stored:
            rows.append({"from": "promised", "corpus": task.corpus, "task": task.task, "accuracy [95 %]": "not run"})
    caption = "Orthogonal tasks: accuracy on the test side of fold 0"
    return compact(rows, caption, "at-orthogonal", ("accuracy [95 %]",), origin_of(shown))


def _all_parents(spec: RunSpec) -> list[RunSpec]:
    return [one for parent in spec.parents for one in (parent, *_all_parents(parent))]


@dataclass(frozen=True)
class Gain:
    """Improvement over no transfer of all groups that share everything but what is transferred.

    Attributes:
        rows: `tap`, `method`, `beta`, `aggregation`, `measure`, `gain` (points of UAR), `low`, `high` (bootstrap over speakers),
            `max_t_low`, `max_t_high` (together for all taps of one task), `validation` (UAR that would choose), `seeds`, `group`.
        corpus, stamp, origin: of the rows.
    """

    rows: pd.DataFrame
    corpus: str
    stamp: str
    origin: Origin


def gains(shown: Sequence[Source]) -> list[Gain]:
    """Improvements over no transfer in each source, corpus and setting, with intervals that hold for all taps together (max-T)."""
    found = []
    for source in ordered(shown):
        every = compared(source.results, with_control=False)
        for alike in dict.fromkeys(a.row.alike for a in every):
            mine, corpus = [a for a in every if a.row.alike == alike], alike.data.corpus
            here = source.results.of(group=[one.group["group"] for a in mine for one in (a.row, a.reference)])
            rows = pd.DataFrame([_gain(a, here) for a in mine])
            rows = rows.join(_together(mine, here, rows))
            about = f"{ledger.label(alike.model.name)}, {size_of(alike)}, {alike.protocol}"
            found.append(Gain(rows, corpus, f"{Source(source.origin, here).stamp(corpus)}; {about}", provenance.of_runs(here)))
    return found


def _gain(a: Against, results: Results) -> dict[str, Any]:
    c = a.by_metric["uar"]
    chosen = results.runs.loc[results.runs["group"].eq(a.row.group["group"]), "validation_uar"].astype(float).mean()
    said = a.row.transfer._asdict() | {"group": a.row.group["group"], "words": in_words(a.row.transfer), "validation": chosen}
    said |= {"seeds": c.n_seeds}
    return said | {"gain": 100 * c.difference.estimate, "low": 100 * c.difference.low, "high": 100 * c.difference.high}


def _together(found: Sequence[Against], results: Results, rows: pd.DataFrame) -> pd.DataFrame:
    """Intervals of plain anti-transfer against one task, all taps at once: mean difference over speakers -/+ the max-T critical value."""
    plain = rows["method"].eq("at") & rows["beta"].eq(1) & rows["aggregation"].eq("gram") & rows["measure"].eq("squared_cosine")
    made, data = pd.DataFrame({"max_t_low": np.nan, "max_t_high": np.nan}, index=rows.index), Measurements(results)
    for _, part in rows[plain].groupby("tasks"):
        if len(part) > 1:
            sides = [(data.cube(found[k].row.group["group"]), data.cube(found[k].reference.group["group"])) for k in part.index]
            differences = np.stack([speaker_differences(mine, other) for mine, other in sides], axis=1)
            made.loc[part.index, ["max_t_low", "max_t_high"]] = 100 * stats.max_t_intervals(differences)
    return made


def ordered(shown: Sequence[Source]) -> list[Source]:
    """Stored rows first."""
    return sorted(shown, key=lambda source: source.origin != STORED)


def origin_of(shown: Sequence[Source]) -> Origin:
    """Where the rows of the networks come from."""
    return sum((provenance.of_runs(source.results.of(system=list(BACKBONES))) for source in shown), Origin())
