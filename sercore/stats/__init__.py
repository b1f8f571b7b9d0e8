"""How sure a number is: intervals over speakers and seeds, from the counts that a study publishes.

The speaker is the unit: recordings of one speaker are not independent, so they are resampled within their speaker, and speakers among
themselves. Seeds are nested: the mean over seeds is taken inside each resample, and their spread is reported apart.
Tests of a difference are in `sercore.stats.significance`, prediction intervals in `sercore.stats.prediction`; both may be called from here.

Sources: the bootstrap and its percentile interval, Efron and Tibshirani 1993; resampling in levels, Davison and Hinkley 1997, Sec. 3.8.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sercore.metrics import recalls_from_counts, uar_from_counts
from sercore.stats.prediction import (  # noqa: F401
    Interval,
    percentile_interval,
    prediction_interval,
    prediction_interval_of_difference,
    prediction_interval_of_maximum,
)
from sercore.stats.significance import (  # noqa: F401  (one address for all of the study's statistics)
    Test,
    detectable_difference,
    holm,
    max_t,
    max_t_intervals,
    non_inferiority,
    sign_flip,
    wilcoxon,
)

Metric = Literal["uar", "accuracy"]


@dataclass(frozen=True)
class Cube:
    """Counts of one group of runs: `counts[seed, speaker, truth, prediction]`, summed over folds.

    `dropped` are seeds left out because they have not tested every speaker yet.
    """

    counts: NDArray[np.int64]
    seeds: tuple[int, ...]
    speakers: tuple[str, ...]
    labels: tuple[str, ...]
    dropped: tuple[int, ...] = ()

    @property
    def n_items(self) -> int:
        """Recordings tested by each seed."""
        return int(self.counts[0].sum())

    def scores(self, metric: Metric = "uar") -> NDArray[np.float64]:
        """The pooled score of each seed, a fraction, shape (seeds,)."""
        return _score(*_found_and_items(self), metric)


def cube(counts: pd.DataFrame, group: str | None = None, incomplete: Literal["raise", "drop"] = "drop") -> Cube:
    """Gathers rows of `counts.csv` into one array.

    Args:
        counts: columns `group, seed, fold, speaker, truth`, then one column of counts for each predicted class.
        group: the group to take; None where `counts` holds one only.
        incomplete: what to do with a seed that lacks a speaker another seed has tested.

    Returns:
        A Cube; labels in the order of the count columns.

    Raises:
        ValueError: no row of that group, several groups and none named, a truth without its column, a missing count, or an
            incomplete seed under `raise`.
    """
    rows = counts if group is None else counts[counts["group"] == group]
    if rows.empty or len(rows["group"].unique()) > 1:
        raise ValueError(f"need the counts of one group, got {sorted(counts['group'].unique())[:8]}; asked for {group!r}")
    keys = ["group", "seed", "fold", "speaker", "truth"]
    labels = [c for c in rows.columns if c not in keys and rows[c].notna().any()]
    if strangers := sorted(set(rows["truth"]) - set(labels)):
        raise ValueError(f"truth holds classes that have no count column: {strangers}")
    if rows[labels].isna().any(axis=None):
        raise ValueError(f"a count of {rows['group'].iloc[0]} is missing (NaN): it is no zero")
    table = rows.assign(speaker=rows["speaker"].astype(str)).groupby(["seed", "speaker", "truth"])[labels].sum()
    seeds, speakers = sorted(rows["seed"].unique()), sorted(rows["speaker"].astype(str).unique(), key=_natural)
    index = pd.MultiIndex.from_product([seeds, speakers, labels])
    values = table.reindex(index, fill_value=0).to_numpy().reshape(len(seeds), len(speakers), len(labels), len(labels)).astype(np.int64)
    items = values.sum(axis=3)
    complete = (items == items.max(axis=0)).all(axis=(1, 2))
    if not complete.all() and (incomplete == "raise" or not complete.any()):
        raise ValueError(f"seeds {[int(s) for s in np.array(seeds)[~complete]]} of {group} have not tested every recording")
    kept, dropped = (tuple(int(s) for s, c in zip(seeds, complete, strict=True) if c is keep) for keep in (np.True_, np.False_))
    return Cube(values[complete], kept, tuple(speakers), tuple(labels), dropped)


def per_speaker(data: Cube, metric: Metric = "uar") -> pd.DataFrame:
    """One row a speaker: recordings, mean score over seeds, its standard deviation over seeds, lowest and highest seed.

    Args:
        data: counts of one group.
        metric: uar or accuracy; it is also the name of its column. UAR of a speaker is the mean over the classes that he or she recorded.

    Returns:
        Columns `speaker, items`, the metric, `seed_sd, lowest_seed, highest_seed`; fractions.

    Raises:
        ValueError: another metric.
    """
    if metric == "uar":
        scores = np.asarray(uar_from_counts(data.counts, absent="skip"))  # seeds x speakers
    else:
        scores = _score(np.diagonal(data.counts, axis1=2, axis2=3), data.counts.sum(axis=3), metric)
    spread = scores.std(axis=0, ddof=1) if len(data.seeds) > 1 else np.full(len(data.speakers), np.nan)
    return pd.DataFrame(
        {
            "speaker": data.speakers,
            "items": data.counts[0].sum(axis=(1, 2)),
            metric: scores.mean(axis=0),
            "seed_sd": spread,
            "lowest_seed": scores.min(axis=0),
            "highest_seed": scores.max(axis=0),
        }
    )


def spreads(data: Cube, metric: Metric = "uar") -> dict[str, float]:
    """Standard deviations (n - 1) of a metric, shown apart: of the pooled score over seeds, and of the seed means over speakers."""
    seeds, speakers = data.scores(metric), per_speaker(data, metric)[metric]
    return {"seed_sd": float(seeds.std(ddof=1)) if len(seeds) > 1 else np.nan, "speaker_sd": float(speakers.std(ddof=1))}


def mean_recalls(data: Cube) -> dict[str, float]:
    """Recall of each class, pooled over speakers, mean over seeds; fractions by label."""
    return dict(zip(data.labels, recalls_from_counts(data.counts.sum(axis=1)).mean(axis=0).tolist(), strict=True))


def bootstrap(data: Cube, metric: Metric = "uar", resamples: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """Two-level bootstrap of the seed-mean score: speakers with replacement, then their utterances with replacement.

    Utterances are drawn within speaker and class, as the class sizes of a corpus are fixed by its design. Counts do not tell which
    utterance each seed got right; one drawn set of utterances is used for all seeds and the correct ones are assumed to be the same
    as far as possible. That is the widest case: seeds cannot average the luck of the utterances away.

    Args:
        data: counts of one group.
        metric: uar or accuracy, of the pooled resample.
        resamples: number of resamples.
        level: of the percentile interval.
        seed: of the resampling; the same seed gives the same interval.

    Returns:
        The interval of what new speakers of the same population would give, fractions.

    Raises:
        ValueError: fewer than two speakers (nothing to resample).

    Example:
        >>> perfect = Cube(np.tile(np.eye(2, dtype=int), (1, 3, 1, 1)), (0,), ("1", "2", "3"), ("joy", "fear"))
        >>> bootstrap(perfect, resamples=10).low
        1.0
    """
    draws = _resample(data, metric, resamples, seed).mean(axis=1)
    return percentile_interval(float(data.scores(metric).mean()), draws, level, "new speakers")


def bootstrap_difference(
    ours: Cube, other: Cube, metric: Metric = "uar", resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """Two-level bootstrap of the difference (ours - other) of seed-mean scores on the same speakers.

    Each resample draws the same speakers and the same utterances for both systems. Counts do not tell which utterances each got right;
    the easiest are assumed to be the same for both. That is the least the second level can add, and it should be: the differences of
    speakers already carry the luck of their utterances, so a wider second level would count it twice.

    Raises:
        ValueError: the two were not tested on the same recordings of the same speakers.
    """
    if ours.speakers != other.speakers:
        raise ValueError(f"a paired interval needs the same speakers: {sorted(set(ours.speakers) ^ set(other.speakers))} are in one only")
    if ours.labels != other.labels or (ours.counts[0].sum(axis=2) != other.counts[0].sum(axis=2)).any():
        raise ValueError("a paired interval needs the same recordings on both sides")
    both = Cube(np.concatenate([ours.counts, other.counts]), (*ours.seeds, *other.seeds), ours.speakers, ours.labels)
    scores = _resample(both, metric, resamples, seed)
    draws = scores[:, : len(ours.seeds)].mean(axis=1) - scores[:, len(ours.seeds) :].mean(axis=1)
    difference = float(ours.scores(metric).mean() - other.scores(metric).mean())
    return percentile_interval(difference, draws, level, "difference, new speakers")


def bootstrap_difference_of_unlike(
    ours: Cube, other: Cube, metric: Metric = "uar", resamples: int = 2000, level: float = 0.95, seed: int = 0
) -> Interval:
    """As `bootstrap_difference`, where the two sides tested the same speakers on unlike recordings.

    Each resample draws the same speakers for both; utterances are drawn for each side by itself, so the interval is wider.

    Args:
        ours, other: counts of the same speakers and classes.
        metric: uar or accuracy.
        resamples: number of resamples.
        level: of the percentile interval.
        seed: of the resampling.

    Returns:
        The interval of the difference (ours - other), fractions.

    Raises:
        ValueError: the speakers or the classes are not the same.
    """
    if ours.speakers != other.speakers or ours.labels != other.labels:
        raise ValueError("a paired interval needs the same speakers and classes on both sides")
    draws = [_resample(side, metric, resamples, seed).mean(axis=1) for side in (ours, other)]  # equal seeds draw equal speakers
    difference = float(ours.scores(metric).mean() - other.scores(metric).mean())
    return percentile_interval(difference, draws[0] - draws[1], level, "difference, new speakers, unlike recordings")


def best_of_seeds(data: Cube, metric: Metric = "uar", resamples: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """What reporting the best seed adds to the mean over seeds: maximum minus mean of the pooled scores.

    Args:
        data: counts of one group; two seeds at least.
        metric: uar or accuracy.
        resamples: number of resamples.
        level: of the percentile interval.
        seed: of the resampling.

    Returns:
        The gain and its two-level bootstrap interval, fractions, never below 0; it grows with the number of seeds.

    Raises:
        ValueError: one seed only.

    Example:
        >>> counts = np.array([[[[3, 1], [0, 4]]] * 2, [[[4, 0], [0, 4]]] * 2])
        >>> best_of_seeds(Cube(counts, (0, 1), ("1", "2"), ("joy", "fear")), resamples=10).estimate
        0.0625
    """
    scores = data.scores(metric)
    if len(scores) < 2:
        raise ValueError("the best of one seed is that seed: two are needed")
    draws = _resample(data, metric, resamples, seed)
    return percentile_interval(float(scores.max() - scores.mean()), draws.max(axis=1) - draws.mean(axis=1), level, "best seed minus mean")


def speaker_variance(data: Cube, metric: Metric = "uar", resamples: int = 1000, seed: int = 0) -> float:
    """Squared standard error of the seed-mean score over speakers and their utterances, by the two-level bootstrap."""
    return float(_resample(data, metric, resamples, seed).mean(axis=1).var(ddof=1))


def _found_and_items(data: Cube) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Correct items and all items, each seeds x classes, pooled over speakers."""
    return np.diagonal(data.counts, axis1=2, axis2=3).sum(axis=1), data.counts.sum(axis=(1, 3))


def _score(found: NDArray, items: NDArray, metric: Metric) -> NDArray[np.float64]:
    if metric == "accuracy":
        return found.sum(axis=-1) / items.sum(axis=-1)
    if metric != "uar":
        raise ValueError(f"no interval for metric {metric!r}: know uar and accuracy")
    recall = np.divide(found, items, out=np.full(np.shape(items), np.nan), where=items > 0)
    return np.nanmean(recall, axis=-1)  # a resample may lack a class that few speakers recorded


def _resample(data: Cube, metric: Metric, resamples: int, seed: int) -> NDArray[np.float64]:
    """Scores of each seed in each resample, shape (resamples, seeds)."""
    rng = np.random.default_rng(seed)
    n_speakers = len(data.speakers)
    if n_speakers < 2:
        raise ValueError("an interval over speakers needs two at least")
    drawn = rng.integers(n_speakers, size=(resamples, n_speakers))
    n_resamples, (n_seeds, _, n_classes, _) = len(drawn), data.counts.shape
    correct = np.diagonal(data.counts, axis1=2, axis2=3)  # seeds x speakers x classes
    n_items = data.counts[0].sum(axis=2)  # speakers x classes, equal for all seeds
    found = np.zeros((n_resamples, n_seeds, n_classes), dtype=np.int64)
    items = np.zeros((n_resamples, n_classes), dtype=np.int64)
    for speaker in range(len(data.speakers)):
        rows = np.nonzero(drawn == speaker)[0]  # a resample that drew this speaker twice stands here twice, with two draws of utterances
        for k in np.flatnonzero(n_items[speaker]).tolist():
            right = _draw_correct(correct[:, speaker, k], int(n_items[speaker, k]), len(rows), rng)
            np.add.at(found[:, :, k], rows, right)
        np.add.at(items, rows, n_items[speaker])
    return _score(found, np.broadcast_to(items[:, None], found.shape), metric)


def _draw_correct(correct: NDArray[np.int64], n_items: int, draws: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """How many of `n_items` drawn utterances each seed gets right, (draws, seeds), if the easiest utterances are the same for all seeds.

    Utterances are sorted by easiness: seed s gets the first `correct[s]` right. Only the steps between the seeds' thresholds matter.
    """
    order = np.argsort(correct, kind="stable")
    steps = np.diff(np.concatenate([[0], correct[order], [n_items]])) / n_items
    below = rng.multinomial(n_items, steps, size=draws)[:, :-1].cumsum(axis=1)
    result = np.empty_like(below)
    result[:, order] = below
    return result


def _natural(speaker: str) -> tuple[int, str]:
    return (int(speaker), "") if speaker.isdigit() else (10**9, speaker)
