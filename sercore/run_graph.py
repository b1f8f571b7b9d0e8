"""The runs that are wanted with all that they start from: which are done, which are to be done, and in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sercore.data.noisy import NoisyCorpus
from sercore.experiment import fingerprint, identify
from sercore.prepare import corpus_of
from sercore.spec import RunSpec
from sercore.store import RunStore


@dataclass(frozen=True)
class Graph:
    """The runs that are wanted with all that they start from, parents before children.

    Attributes:
        wanted: run id of each spec asked for, in their order.
        specs: run id -> spec.
        parents: run id -> those of the runs that it starts from.
        records: run id -> record of what is finished.
        todo: run ids that are not finished and are needed, parents before children.
        corpora: name -> corpus, those of noises too: where they lie.
        data: run id -> fingerprint of its recordings.
    """

    wanted: list[str]
    specs: dict[str, RunSpec]
    parents: dict[str, list[str]]
    records: dict[str, dict[str, Any]]
    todo: list[str]
    corpora: dict[str, Any]
    data: dict[str, str]

    @classmethod
    def of(cls, specs: Sequence[RunSpec], roots: Mapping[str, str | Path] | None, store: RunStore) -> Graph:
        """Derived from the specs; a finished run needs nothing of what it started from.

        Args:
            specs: the runs.
            roots: corpus name -> folder.
            store: where finished runs are looked for.

        Raises:
            CorpusError: a corpus is not there.
            StoreError: a finished run is damaged.
        """
        graph = cls([], {}, {}, {}, [], {}, {})
        graph.wanted.extend(graph._add(spec, roots, store) for spec in specs)
        return graph

    def _add(self, spec: RunSpec, roots: Mapping[str, str | Path] | None, store: RunStore) -> str:
        corpus = corpus_of(spec, roots)
        self.corpora[corpus.name] = corpus
        if isinstance(corpus, NoisyCorpus):
            self.corpora[corpus.noises.name] = corpus.noises
        name = identify(spec, corpus, roots)
        if name in self.specs:
            return name
        self.specs[name], self.parents[name] = spec, []
        if (record := store.finished(name)) is not None:
            self.records[name] = record
            return name
        self.data[name] = fingerprint(spec, corpus, roots)
        self.parents[name] = [self._add(parent, roots, store) for parent in spec.parents]
        self.todo.append(name)
        return name
