"""Ours for a published number: which rows are meant, their score for each seed, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sercore import stats
from sercore.data.card import load_card
from sercore.data.splits import DEFAULT_SCHEME, SCHEMES
from sercore.ledger.claims import LedgerError, Selector, load_map
from sercore.ledger.rule import MAX_DETECTABLE, MIN_SEEDS, MIN_SPEAKERS, Measured
from sercore.metrics import recalls_from_counts
from sercore.results import Results, empty_results, load_all
from sercore.stats import Cube, Interval, Metric

#: Statistics of a side that no test is held on.
SIDES = ("train_accuracy", "validation_accuracy")


@dataclass(frozen=True)
class Ours:
    """Our value for one selector and protocol, fractions, and the group of runs it comes from."""

    group: pd.Series
    measured: Measured
    interval: Interval | None


@dataclass(frozen=True)
class Comparison:
    """Two systems on the same speakers: `difference` is the mean of `system` minus that of `reference`, over speakers and seeds."""

    system: str
    reference: str
    group: pd.Series
    n_speakers: int
    n_seeds: int
    score: float
    reference_score: float
    difference: Interval
    sign_flip: stats.Test
    wilcoxon: stats.Test
    detectable: float

    @property
    def decidable(self) -> bool:
        """Enough speakers and seeds, and either a clear difference or the power to have seen one of five points."""
        clear = self.difference.low > 0 or self.difference.high < 0
        return self.n_speakers >= MIN_SPEAKERS and self.n_seeds >= MIN_SEEDS and (clear or self.detectable <= MAX_DETECTABLE)


class Measurements:
    """Results with the intervals computed from them, each once."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._cubes: dict[str, Cube] = {}
        self._intervals: dict[tuple[str, ...], Interval] = {}

    def cube(self, group: str) -> Cube:
        """Counts of a group as one array; seeds that have not tested everything are left out."""
        if group not in self._cubes:
            self._cubes[group] = stats.cube(self.results.counts, group)
        return self._cubes[group]

    def interval(self, group: str, reference: str = "", metric: Metric = "uar") -> Interval:
        """Two-level bootstrap interval of a group's score, or of its difference to a reference group."""
        key = (group, reference, metric)
        if key not in self._intervals:
            ours = self.cube(group)
            made = stats.bootstrap_difference(ours, self.cube(reference), metric) if reference else stats.bootstrap(ours, metric)
            self._intervals[key] = made
        return self._intervals[key]

    def in_words(self, group: str, metric: Metric = "uar") -> str:
        """Score of a group in per cent with its interval over speakers."""
        if len(self.cube(group).speakers) < 2:
            return f"{100 * self.cube(group).scores(metric).mean():.1f} %"
        interval = self.interval(group, metric=metric)
        return f"{100 * interval.estimate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}] %"

    def ours(self, selector: Selector, protocol: str | None = None) -> Ours | None:
        """Our value for a selector under its protocol, or under another one; None where nothing was run.

        Under the strict protocol the folds are those that the study splits the corpus by, whatever the source's are. Where these results
        hold no row at all of the selector's corpus, the same system on another corpus is taken, and `measured.other` says so: it is shown,
        and never comparable.

        Raises:
            LedgerError: the selector matches two kinds of row.
        """
        wanted = replace(selector, protocol=protocol or selector.protocol)
        if wanted.statistic in ("mean_gain", "mean_loss"):
            return self._over_cells(wanted)
        if wanted.protocol == "strict" and selector.protocol != "strict":
            wanted = replace(wanted, split=strict_split(wanted.corpus) or wanted.split)
        group, other = find_group(self.results.groups, wanted)
        if group is None:
            return None
        other = " and ".join(part for part in (other, wanted.other) if part)
        if wanted.statistic == "usage":
            return self._usage(group, wanted, other)
        if wanted.statistic in SIDES:
            return self._side(group, wanted, other)
        reference = None
        if wanted.reference:
            reference, _ = find_group(self.results.groups, replace(wanted, system=wanted.reference, settings=wanted.reference_settings))
        if wanted.statistic == "gain":
            return None if reference is None else self._gain(group, reference, wanted, other)
        return self._single(group, reference, wanted, other)

    def _single(self, group: pd.Series, reference: pd.Series | None, selector: Selector, other: str) -> Ours:
        data, metric = self.cube(group["group"]), score_of(selector)
        interval = None
        if selector.statistic == "mean" and len(data.speakers) > 1:
            interval = self.interval(group["group"], metric=metric)
        difference = None if reference is None else self.compare(group, reference, metric).difference
        measured = self._measured(group, selector, seed_scores(data, selector), len(data.speakers), other)
        return Ours(group, replace(measured, difference=difference), interval)

    def _measured(self, group: pd.Series, selector: Selector, scores: NDArray[np.float64], speakers: int, other: str) -> Measured:
        """What one score a seed says of the mean, or the best, of the published runs."""
        runs, prediction, detectable = int(selector.published_runs), None, float("inf")
        if len(scores) > 1:
            make = stats.prediction_interval_of_maximum if selector.statistic == "maximum" else stats.prediction_interval
            prediction = make(scores, runs)
            # the deviation of (our mean - a mean over `runs`), as if it were of one of our seeds
            detectable = stats.detectable_difference(float(scores.std(ddof=1)) * float(np.sqrt(1 + len(scores) / runs)), len(scores))
        estimate = prediction.estimate if prediction and selector.statistic == "maximum" else float(scores.mean())
        return Measured(estimate, prediction, speakers, len(scores), detectable, None, self._reduced(group, selector), other)

    def _gain(self, group: pd.Series, reference: pd.Series, selector: Selector, other: str) -> Ours:
        metric = score_of(selector)
        pair, runs = self.compare(group, reference, metric), int(selector.published_runs)
        mine, theirs = (self.cube(row["group"]).scores(metric) for row in (group, reference))
        prediction = stats.prediction_interval_of_difference(mine, theirs, runs) if min(len(mine), len(theirs)) > 1 else None
        reduced = self._reduced(group, selector) or self._reduced(reference, selector)
        measured = Measured(
            pair.difference.estimate, prediction, pair.n_speakers, pair.n_seeds, pair.detectable, pair.difference, reduced, other
        )
        return Ours(group, measured, pair.difference)

    def _over_cells(self, selector: Selector) -> Ours | None:
        """The mean gain over the cells of a table; None unless all of them are stored. Cells are taken as independent of each other."""
        found = [self.ours(replace(cell, statistic="gain"), selector.protocol) for cell in cells(selector.label)]
        if not found or any(cell is None for cell in found):
            return None
        parts = [cell.measured for cell in found if cell is not None]
        sign, reduced = (-1 if selector.statistic == "mean_loss" else 1), any(part.reduced for part in parts)
        prediction = _mean_interval([part.prediction for part in parts], sign)
        difference = _mean_interval([part.difference for part in parts], sign)
        detectable = float(np.sqrt(sum(part.detectable**2 for part in parts))) / len(parts)
        others = [selector.other, *(part.other for part in parts)]
        other = " and ".join(dict.fromkeys(said for said in others if said))
        fewest = min(part.n_speakers for part in parts), min(part.n_seeds for part in parts)
        estimate = sign * float(np.mean([part.estimate for part in parts]))
        return Ours(found[0].group, Measured(estimate, prediction, *fewest, detectable, difference, reduced, other), difference)  # type: ignore[union-attr]

    def _usage(self, group: pd.Series, selector: Selector, other: str) -> Ours | None:
        """Share of output points of one branch, from the stored table `usage`: columns group, seed, fold, kernels, factor, share."""
        table = self.results.extras.get("usage")
        if table is None:
            return None
        rows = table[
            table["group"].eq(group["group"]) & table["kernels"].eq("trained") & np.isclose(table["factor"], float(selector.label))
        ]
        shares = rows.groupby("seed")["share"].mean().to_numpy(dtype=float)
        return Ours(group, self._measured(group, selector, shares, int(group["n_speakers"]), other), None) if len(shares) else None

    def _side(self, group: pd.Series, selector: Selector, other: str) -> Ours | None:
        """Accuracy of a side that was learned from or chosen on; None where the runs are older than its record."""
        runs = self.results.runs[self.results.runs["group"].eq(group["group"])]
        if selector.statistic not in runs:
            return None
        scores = pd.to_numeric(runs[selector.statistic]).groupby(runs["seed"]).agg(lambda folds: folds.mean(skipna=False)).dropna()
        return (
            Ours(group, self._measured(group, selector, scores.to_numpy(), int(group["n_speakers"]), other), None) if len(scores) else None
        )

    def _reduced(self, group: pd.Series, selector: Selector) -> bool:
        """A run that is not whole, or whose schedule ends before the published one may."""
        ours = self.results.specs.get(group["group"], {}).get("training", {}).get("epochs")
        return bool(group["profile"] != "full" or (ours is not None and ours < int(selector.published_epochs or 0)))

    def compare(self, group: pd.Series, reference: pd.Series, metric: Metric = "uar") -> Comparison:
        """Two groups that were tested on the same speakers, in one metric.

        Raises:
            ValueError: the speakers are not the same.
        """
        ours, other = self.cube(group["group"]), self.cube(reference["group"])
        interval = self.interval(group["group"], reference["group"], metric)
        difference = speaker_differences(ours, other, metric)
        return Comparison(
            system=group["system"],
            reference=reference["system"],
            group=group,
            n_speakers=len(ours.speakers),
            n_seeds=min(len(ours.seeds), len(other.seeds)),
            score=float(ours.scores(metric).mean()),
            reference_score=float(other.scores(metric).mean()),
            difference=interval,
            sign_flip=stats.sign_flip(difference),
            wilcoxon=stats.wilcoxon(difference),
            detectable=stats.detectable_difference(float(difference.std(ddof=1)), len(difference)),
        )


def find_group(groups: pd.DataFrame, wanted: Selector) -> tuple[pd.Series | None, str]:
    """The one group that a selector means, and what is other about it (empty: nothing).

    Raises:
        LedgerError: the selector matches two kinds of row.
    """
    system = groups[groups["system"].eq(wanted.system) & groups["variant"].eq(wanted.variant) & groups["protocol"].eq(wanted.protocol)]
    system = system[system["task"].eq(wanted.task) & system["settings"].eq(wanted.settings)]
    exact = system[system["corpus"].eq(wanted.corpus) & system["split"].eq(wanted.split)]
    if len(full := exact[exact["profile"].eq("full")]):
        exact = full
    if len(exact) > 1:
        raise LedgerError(f"{wanted.id} matches two kinds of row: {', '.join(exact['group'])}; name the difference in map.csv")
    if len(exact):
        folds = SCHEMES.get(wanted.split, (0,))[0] or len(load_card(wanted.corpus).speakers)
        done = int(exact.iloc[0]["folds"])
        return exact.iloc[0], f"{done} of {folds} folds" if done < folds else ""
    if groups["corpus"].eq(wanted.corpus).any() or system.empty:
        return None, ""
    row = system.iloc[0]
    return row, f"corpus {row['corpus']} in place of {wanted.corpus}"


def seed_scores(data: Cube, selector: Selector) -> NDArray[np.float64]:
    """The selector's quantity for each seed, pooled over speakers and folds, fractions, shape (seeds,).

    A class that the corpus does not have gives NaN.
    """
    if selector.statistic not in ("recall", "confusion"):
        return data.scores(score_of(selector))
    pooled = data.counts.sum(axis=1)
    asked = [selector.label, selector.predicted or selector.label]
    if not set(asked) <= set(data.labels):
        return np.full(len(data.seeds), np.nan)
    truth, predicted = (data.labels.index(label) for label in asked)
    if selector.statistic == "recall":
        return recalls_from_counts(pooled)[:, truth]
    return pooled[:, truth, predicted] / pooled[:, truth].sum(axis=1)


def score_of(selector: Selector) -> Metric:
    """The score of a confusion matrix that a selector is in."""
    return "accuracy" if selector.metric == "accuracy" else "uar"


def cells(prefix: str) -> list[Selector]:
    """The rows of map.csv with a reference whose id begins with one of the words of `prefix`: the cells of a table of gains."""
    return [s for s in load_map().values() if s.reference and s.statistic == "mean" and s.id.startswith(tuple(prefix.split()))]


def strict_split(corpus: str) -> str:
    """The folds of a corpus under the strict protocol; empty where its card leaves them to the number of speakers."""
    return DEFAULT_SCHEME.get(corpus) or load_card(corpus).default_split


def speaker_differences(ours: Cube, other: Cube, metric: Metric = "uar") -> NDArray[np.float64]:
    """Seed-mean score of each speaker, ours minus other, in the order of `ours.speakers`: shape (N,), fractions.

    Raises:
        ValueError: the two were not tested on the same speakers.
    """
    if ours.speakers != other.speakers:
        raise ValueError("a paired comparison needs the same speakers on both sides")
    mine, theirs = (stats.per_speaker(side, metric)[metric].to_numpy() for side in (ours, other))
    return mine - theirs


def _mean_interval(parts: Sequence[Interval | None], sign: int) -> Interval | None:
    """The interval of a mean of independent estimates: their half widths added in squares."""
    there = [part for part in parts if part is not None]
    if len(there) < len(parts):
        return None
    centre = sign * float(np.mean([part.estimate for part in there]))
    half = float(np.sqrt(sum(((part.high - part.low) / 2) ** 2 for part in there))) / len(there)
    return Interval(centre, centre - half, centre + half, there[0].level, f"mean over {len(there)} cells")


def merge(parts: Sequence[Results]) -> Results:
    """The rows of several chapters as one; a group that two chapters hold is taken from the first."""
    if not parts:
        return empty_results()
    seen: set[str] = set()
    own = []
    for part in parts:
        own.append(part.of(group=[name for name in part.groups["group"] if name not in seen]))
        seen |= set(part.groups["group"])
    parts = own
    groups, counts, runs, history = (
        pd.concat([getattr(p, name) for p in parts], ignore_index=True) for name in ("groups", "counts", "runs", "history")
    )
    specs = {group: spec for part in parts for group, spec in part.specs.items()}
    names = {name for part in parts for name, table in part.extras.items() if "group" in table}
    extras = {name: pd.concat([part.extras[name] for part in parts if name in part.extras], ignore_index=True) for name in sorted(names)}
    return Results(groups, counts, runs, history, specs, extras, stored=all(part.stored for part in parts))


def stored() -> Results:
    """Everything under book/results, of all chapters."""
    return merge([part for part in load_all().values() if len(part.groups)])
