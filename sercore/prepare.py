"""From a spec and a corpus to the three sides, ready to learn from: the part that a leak would live in, in one place."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from sercore.data.corpora import Corpus
from sercore.data.items import class_labels
from sercore.data.splits import SplitPlan, split_plan
from sercore.evaluate import SealedEvaluator
from sercore.features.cache import corpus_features
from sercore.features.normaliser import Normaliser
from sercore.spec import RunSpec
from sercore.train import Examples, derive_seed

_NORMALISERS = {"per_dimension": Normaliser.fit, "scalar": Normaliser.fit_scalar, "maximum": Normaliser.fit_maximum}


@dataclass(frozen=True)
class Prepared:
    """The three sides of one run.

    Attributes:
        train, validation: normalised frames and labels.
        test: normalised frames; their labels are sealed in `evaluator`.
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
    table = corpus.items
    if "level_filter" in spec.leaks:
        table = table[corpus.peaks().to_numpy() > spec.data.level_filter_peak]
    items = table.set_index("item_id", drop=False)
    plan = split_plan(table, spec.split, spec.leaks)
    features = corpus_features(corpus, spec.features, jobs)
    learnt_from = {**plan.sides, "train": (*plan.train, *plan.copies)}
    fitted_on = table["item_id"] if "global_normaliser" in spec.leaks else learnt_from["train"]
    normaliser = _NORMALISERS[spec.features.normaliser]([features[i] for i in fitted_on])
    number = {label: k for k, label in enumerate(labels)}
    sides = {}
    for side, ids in learnt_from.items():
        truth = None if side == "test" else np.array([number[v] for v in items.loc[list(ids), spec.data.task]])
        if truth is not None and spec.data.shuffle_labels:
            truth = np.random.default_rng(derive_seed(spec.seed, spec.split.fold, "shuffle", side)).permutation(truth)
        sides[side] = Examples(normaliser.apply([features[i] for i in ids]), truth)
    evaluator = SealedEvaluator(items.loc[list(plan.test)], spec.data.task, labels, spec.leaks)
    if "validation_is_test" in spec.leaks:
        sides["validation"] = replace(sides["test"], labels=evaluator.reveal("validation_is_test"))
    return Prepared(sides["train"], sides["validation"], sides["test"], evaluator, labels, plan, normaliser)
