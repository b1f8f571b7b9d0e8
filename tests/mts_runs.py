"""Tiny finished runs of a standard and a multi-time-scale network on a few synthetic recordings, for tests that look at finished runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sercore import experiment, prepare, tempo
from sercore.data import corpora, synthetic
from sercore.data.card import load_card
from sercore.multi_time_scale_grid import specs
from sercore.results import Results, collect
from sercore.store import RunStore


@dataclass(frozen=True)
class Tiny:
    """Store, corpus, rows and the names of the two runs."""

    store: RunStore
    corpus: corpora.Corpus
    results: Results
    standard: str
    scaled: str


@contextmanager
def tiny_runs(folder: Path, systems: tuple[str, ...] = ("a1", "mts_a1")) -> Iterator[Tiny]:
    """Fold 0 of each system, two epochs, 8 speakers with one recording an emotion.

    Args:
        folder: of a store that is used while the context lasts.
        systems: at least `mts_a1`.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERCORE_STORE", str(folder))
        corpus = corpora.Corpus("synthetic", None, synthetic.read(repetitions=1), load_card("synthetic")).with_audio_ids()
        for module in (prepare, tempo):
            patch.setattr(module, "load_corpus", lambda name, root="": corpus)
        records = {}
        for spec in specs("synthetic", "quick", folds=1, systems=systems):
            features = spec.features.model_copy(update={"hop_ms": 20.0})
            training = spec.training.model_copy(update={"epochs": 2, "batch_size": 14})
            records[spec.model.name] = experiment.run_one(spec.model_copy(update={"features": features, "training": training}))
        rows = collect("ch04_multi_time_scale", records.values())
        yield Tiny(RunStore(), corpus, rows, *(records[name]["run_id"] if name in records else "" for name in ("a1", "mts_a1")))
