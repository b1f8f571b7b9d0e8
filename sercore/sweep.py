"""Many specs through one scheduler: in this process, or in local one-thread workers. Finished runs are found, not repeated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib

from sercore.errors import SpecError
from sercore.experiment import identify, load_corpus, run_one
from sercore.features.cache import corpus_features
from sercore.progress import bar
from sercore.spec import RunSpec
from sercore.store import RunStore


@dataclass(frozen=True)
class Sweep:
    """What a sweep found and did.

    Attributes:
        records: one a spec, in the order of the specs.
        found: how many were in the store already.
        ran: how many were run now.
    """

    records: list[dict[str, Any]]
    found: int
    ran: int

    def summary(self) -> str:
        """One line for a page: found, ran, seconds of training."""
        seconds = sum(r["seconds"] for r in self.records)
        return f"{len(self.records)} runs: {self.found} found in the store, {self.ran} run now; {seconds:.0f} s of training in all"


def workers(scheduler: str) -> int:
    """Number of worker processes a scheduler's name asks for.

    Args:
        scheduler: empty (this process), `local` (one worker a core) or `local:N`.

    Raises:
        SpecError: it is none of these.
    """
    if not scheduler:
        return 1
    kind, _, number = scheduler.partition(":")
    if kind != "local" or (number and not number.isdigit()) or number == "0":
        raise SpecError(f"scheduler {scheduler!r} is not known: leave it empty, or say local or local:N")
    return int(number) if number else joblib.cpu_count()


def run_all(
    specs: Sequence[RunSpec],
    roots: Mapping[str, str | Path] | None = None,
    scheduler: str = "",
    store: RunStore | None = None,
    progress: bool = True,
) -> Sweep:
    """Do every run that the store does not have.

    Features are computed once before the workers start; every run is independent, so results do not depend on the scheduler.

    Args:
        specs: the runs, in any order; a spec that comes twice is run once.
        roots: corpus name -> folder.
        scheduler: see `workers`.
        store: None takes the default store.
        progress: show a bar.

    Returns:
        Records in the order of the specs.

    Raises:
        SercoreError: the first run that fails; runs that are finished stay in the store.
    """
    store = store or RunStore()
    jobs = workers(scheduler)
    loaded = {name: load_corpus(name, str((roots or {}).get(name, ""))) for name in dict.fromkeys(s.data.corpus for s in specs)}
    ids = [identify(spec, loaded[spec.data.corpus]) for spec in specs]
    records = {name: record for name in dict.fromkeys(ids) if (record := store.finished(name)) is not None}
    found = len(records)
    todo = {name: spec for name, spec in zip(ids, specs, strict=True) if name not in records}
    for name, features in dict.fromkeys((s.data.corpus, s.features) for s in todo.values()):
        corpus_features(loaded[name], features, jobs=-1 if len(loaded[name].items) > 600 and loaded[name].root else jobs)
    with joblib.Parallel(n_jobs=jobs, return_as="generator_unordered") as parallel:
        done = parallel(joblib.delayed(run_one)(spec, roots, store) for spec in todo.values())
        for record in bar(done, total=len(todo), label="runs", unit="run"):
            records[record["run_id"]] = record
    return Sweep([records[name] for name in ids], found, len(todo))
