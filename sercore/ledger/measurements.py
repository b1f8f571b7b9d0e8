"""Ours for a published number: which rows are meant, their score for each seed, and how sure it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sercore import stats
from sercore.data.splits import SCHEMES
from sercore.ledger.claims import LedgerError, Selector
from sercore.ledger.rule import MAX_DETECTABLE, MIN_SEEDS, MIN_SPEAKERS, Measured
from sercore.metrics import recalls_from_counts
from sercore.results import Results, empty_results, load_all
from sercore.stats import Cube, Interval


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

    def interval(self, group: str, reference: str = "") -> Interval:
        """Two-level bootstrap interval of a group's UAR, or of its difference to a reference group."""
        key = (group, reference)
        if key not in self._intervals:
            ours = self.cube(group)
            made = stats.bootstrap_difference(ours, self.cube(reference)) if reference else stats.bootstrap(ours)
            self._intervals[key] = made
        return self._intervals[key]

    def in_words(self, group: str) -> str:
        """UAR of a group in per cent with its interval over speakers."""
        if len(self.cube(group).speakers) < 2:
            return f"{100 * self.cube(group).scores().mean():.1f} %"
        interval = self.interval(group)
        return f"{100 * interval.estimate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}] %"

    def ours(self, selector: Selector, protocol: str | None = None) -> Ours | None:
        """Our value for a selector under its protocol, or under another one; None where nothing was run.

        Where these results hold no row at all of the selector's corpus, the same system on another corpus is taken, and
        `measured.other` says so: it is shown, and never comparable.

        Raises:
            LedgerError: the selector matches two kinds of row.
        """
        wanted = replace(selector, protocol=protocol or selector.protocol)
        group, other = find_group(self.results.groups, wanted)
        if group is None:
            return None
        if wanted.statistic == "gain":
            reference, _ = find_group(self.results.groups, replace(wanted, system=wanted.reference))
            return None if reference is None else self._gain(group, reference, int(selector.published_runs), other)
        return self._single(group, wanted, other)

    def _single(self, group: pd.Series, selector: Selector, other: str) -> Ours:
        data, runs = self.cube(group["group"]), int(selector.published_runs)
        scores = seed_scores(data, selector)
        prediction, detectable = None, float("inf")
        if len(scores) > 1:
            make = stats.prediction_interval_of_maximum if selector.statistic == "maximum" else stats.prediction_interval
            prediction = make(scores, runs)
            # the deviation of (our mean - a mean over `runs`), as if it were of one of our seeds
            detectable = stats.detectable_difference(float(scores.std(ddof=1)) * float(np.sqrt(1 + len(scores) / runs)), len(scores))
        estimate = prediction.estimate if prediction and selector.statistic == "maximum" else float(scores.mean())
        interval = self.interval(group["group"]) if selector.statistic == "mean" and len(data.speakers) > 1 else None
        reduced = group["profile"] != "full"
        return Ours(group, Measured(estimate, prediction, len(data.speakers), len(scores), detectable, None, reduced, other), interval)

    def _gain(self, group: pd.Series, reference: pd.Series, runs: int, other: str) -> Ours:
        pair = self.compare(group, reference)
        mine, theirs = (self.cube(row["group"]).scores() for row in (group, reference))
        prediction = stats.prediction_interval_of_difference(mine, theirs, runs) if min(len(mine), len(theirs)) > 1 else None
        reduced = group["profile"] != "full" or reference["profile"] != "full"
        measured = Measured(
            pair.difference.estimate, prediction, pair.n_speakers, pair.n_seeds, pair.detectable, pair.difference, reduced, other
        )
        return Ours(group, measured, pair.difference)

    def compare(self, group: pd.Series, reference: pd.Series) -> Comparison:
        """Two groups that were tested on the same speakers.

        Raises:
            ValueError: the speakers are not the same.
        """
        ours, other = self.cube(group["group"]), self.cube(reference["group"])
        interval = self.interval(group["group"], reference["group"])
        difference = speaker_differences(ours, other)
        return Comparison(
            system=group["system"],
            reference=reference["system"],
            group=group,
            n_speakers=len(ours.speakers),
            n_seeds=min(len(ours.seeds), len(other.seeds)),
            score=float(ours.scores().mean()),
            reference_score=float(other.scores().mean()),
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
    system = system[system["task"].eq(wanted.task)]
    exact = system[system["corpus"].eq(wanted.corpus) & system["split"].eq(wanted.split)]
    if len(full := exact[exact["profile"].eq("full")]):
        exact = full
    if len(exact) > 1:
        raise LedgerError(f"{wanted.id} matches two kinds of row: {', '.join(exact['group'])}; name the difference in map.csv")
    if len(exact):
        folds = SCHEMES.get(wanted.split, (0,))[0]
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
        return data.scores()
    pooled = data.counts.sum(axis=1)
    asked = [selector.label, selector.predicted or selector.label]
    if not set(asked) <= set(data.labels):
        return np.full(len(data.seeds), np.nan)
    truth, predicted = (data.labels.index(label) for label in asked)
    if selector.statistic == "recall":
        return recalls_from_counts(pooled)[:, truth]
    return pooled[:, truth, predicted] / pooled[:, truth].sum(axis=1)


def speaker_differences(ours: Cube, other: Cube) -> NDArray[np.float64]:
    """Seed-mean UAR of each speaker, ours minus other, in the order of `ours.speakers`: shape (N,), fractions.

    Raises:
        ValueError: the two were not tested on the same speakers.
    """
    if ours.speakers != other.speakers:
        raise ValueError("a paired comparison needs the same speakers on both sides")
    return stats.per_speaker(ours)["uar"].to_numpy() - stats.per_speaker(other)["uar"].to_numpy()


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
    return Results(groups, counts, runs, history, specs, stored=all(part.stored for part in parts))


def stored() -> Results:
    """Everything under book/results, of all chapters."""
    return merge([part for part in load_all().values() if len(part.groups)])
