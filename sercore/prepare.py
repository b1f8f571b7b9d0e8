"""From a spec and a corpus to the three sides, ready to learn from: the part that a leak would live in, in one place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from sercore.batching import Examples, derive_seed
from sercore.data import corpora
from sercore.data.corpora import Corpus
from sercore.data.items import class_labels
from sercore.data.noisy import NoisyCorpus, with_noise
from sercore.data.splits import SplitPlan, split_plan
from sercore.evaluate import SealedEvaluator
from sercore.features.cache import corpus_features, segments_of
from sercore.features.normaliser import Normaliser
from sercore.spec import DataSpec, FeatureSpec, RunSpec

_NORMALISERS = {"per_dimension": Normaliser.fit, "scalar": Normaliser.fit_scalar, "maximum": Normaliser.fit_maximum}


@dataclass(frozen=True)
class Prepared:
    """The three sides of one run.

    Attributes:
        train, validation: normalised frames and labels, of recordings or of their segments.
        test: normalised frames; their labels are sealed in `evaluator`, which wants a row of scores a recording.
        evaluator: scores the test side, once.
        labels: the K classes in order.
        plan: who is on which side.
        normaliser: fitted on the training side (or on all items, leak `global_normaliser`).
    """

    train: Examples
    validation: Examples
    test: Examples
    evaluator: SealedEvaluator
    labels: list[str]
    plan: SplitPlan
    normaliser: Normaliser


def prepare(spec: RunSpec, corpus: Corpus, jobs: int = 1) -> Prepared:
    """Split, normalise and seal.

    Args:
        spec: the run.
        corpus: with audio ids filled (`Corpus.with_audio_ids`), so that duplicates across sides are seen.
        jobs: worker processes for features that are not cached yet.

    Returns:
        The three sides.

    Raises:
        SplitError, LeakError: the plan is not there, does not fit, or leaks without saying so.
        CorpusError: a recording cannot be read, or an item has no label for the task.
    """
    labels = class_labels(corpus.items, spec.data.task)
    table = table_of(spec, corpus)
    items = table.set_index("item_id", drop=False)
    plan = split_plan(table, spec.split, spec.leaks, spec.data.task)
    features = corpus_features(corpus, spec.features, jobs)
    learnt_from = {**plan.sides, "train": (*plan.train, *plan.copies)}
    fitted_on = table["item_id"] if "global_normaliser" in spec.leaks else learnt_from["train"]
    normaliser = fitted(spec.features, [features[i] for i in fitted_on])
    number = {label: k for k, label in enumerate(labels)}
    sides = {}
    for side, ids in learnt_from.items():
        truth = None if side == "test" else np.array([number[v] for v in items.loc[list(ids), spec.data.task]])
        if truth is not None and spec.data.shuffle_labels:
            truth = np.random.default_rng(derive_seed(spec.seed, spec.split.fold, "shuffle", side)).permutation(truth)
        sides[side] = examples(list(ids), normaliser.apply([features[i] for i in ids]), truth, spec.features)
    evaluator = SealedEvaluator(items.loc[list(plan.test)], spec.data.task, labels, spec.leaks)
    if "validation_is_test" in spec.leaks:
        sides["validation"] = replace(sides["test"], labels=evaluator.reveal("validation_is_test"))
    return Prepared(sides["train"], sides["validation"], sides["test"], evaluator, labels, plan, normaliser)


def table_of(spec: RunSpec, corpus: Corpus) -> pd.DataFrame:
    """Rows of the item table that a run deals to its sides: all, or, with the leak `level_filter`, those that are loud enough.

    Args:
        spec: the run.
        corpus: with audio ids filled where the leak is declared.

    Returns:
        Columns of the item table.
    """
    return _dealt(corpus, spec.data, "level_filter" in spec.leaks)


def _dealt(corpus: Corpus, data: DataSpec, filtered: bool) -> pd.DataFrame:
    return corpus.items[corpus.peaks().to_numpy() > data.level_filter_peak] if filtered else corpus.items


def fitted(features: FeatureSpec, frames: Sequence[np.ndarray]) -> Normaliser:
    """The normaliser that a spec asks for.

    Args:
        features: of the spec.
        frames: of the items to fit it on, at least one; shapes (T_i, d), any finite numbers.
    """
    return _NORMALISERS[features.normaliser](frames)


def examples(ids: list[str], frames: list[np.ndarray], labels: np.ndarray | None, features: FeatureSpec) -> Examples:
    """Recordings as examples; where recordings are cut, each of their segments with its recording's label.

    Args:
        ids: of the recordings.
        frames: of each, normalised, shape (T_i, d).
        labels: class numbers, shape (N,), or None where they are sealed.
        features: what the frames were computed with.
    """
    if not features.segment_frames:
        return Examples(frames, labels, ids=ids)
    cut = [segments_of(recording, features) for recording in frames]
    counts = [len(segments) for segments in cut]
    recordings = np.repeat(np.arange(len(cut)), counts)
    names = [f"{name}#{k}" for name, count in zip(ids, counts, strict=True) for k in range(count)]
    return Examples([one for segments in cut for one in segments], None if labels is None else labels[recordings], recordings, names)


def corpus_of(spec: RunSpec, roots: Mapping[str, str | Path] | None = None) -> Corpus:
    """The corpus of a run, from its folder in `roots`, with noise mixed in where the run says so.

    Raises:
        CorpusError: as `load_corpus`, of the recordings or the noises; or there are too few noises for the split.
    """
    places = roots or {}
    root = str(places.get(spec.data.corpus, ""))
    if spec.data.noise is None:
        return load_corpus(spec.data.corpus, root)
    noises = str(places.get(spec.data.noise.corpus, ""))
    return _noisy_corpus(spec.data, spec.split.scheme, "level_filter" in spec.leaks, root, noises)


@lru_cache(maxsize=8)
def _noisy_corpus(data: DataSpec, scheme: str, filtered: bool, root: str, noise_root: str) -> NoisyCorpus:
    assert data.noise is not None
    clean, noises = load_corpus(data.corpus, root), load_corpus(data.noise.corpus, noise_root)
    return with_noise(clean, noises, data.noise, scheme, data.task, _dealt(clean, data, filtered))


@lru_cache(maxsize=8)
def load_corpus(name: str, root: str = "") -> Corpus:
    """A corpus with its audio ids, read once a process. Arguments and errors as `sercore.data.corpora.load`."""
    return corpora.load(name, root or None).with_audio_ids()
