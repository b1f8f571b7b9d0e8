"""Many specs through one scheduler: this process, local workers or a Dask cluster. Finished runs are found, not repeated.

A run that fails does not stop the others: why it failed is kept beside the finished runs (`sercore.failures`), and the next sweep tries
it again. What stops a sweep is what stops every run: a corpus that is not there, a disk that takes no more, a scheduler that has gone.
"""

from __future__ import annotations

import os
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from sercore import schedulers
from sercore.errors import BusyError, CorpusError, SpecError, StoreError, UnwritableError
from sercore.experiment import fingerprint, identify, revisions, run_one
from sercore.failures import in_words, kind_of, without_folders
from sercore.features.cache import corpus_features
from sercore.prepare import corpus_of
from sercore.progress import bar
from sercore.run_graph import Graph
from sercore.schedulers import LostError, Scheduler
from sercore.spec import RunSpec, store_folder
from sercore.store import RunStore

#: Seconds between looks at the scheduler and at runs that another sweep is doing.
POLL_S = 0.5
FAILURE_COLUMNS = ["run_id", "kind", "message", "system", "variant", "corpus", "protocol", "fold", "seed", "attempts", "failed_at"]


@dataclass(frozen=True)
class Sweep:
    """What a sweep found and did.

    Attributes:
        records: one a spec that is finished, in the order of the specs.
        found: how many runs were in the store already, or were done by another sweep meanwhile.
        ran: how many runs were done now, those that others start from included.
        failed: one a run that did not finish: run_id, kind, message, error, attempts, failed_at, spec.
        again: how many of the runs that were to do had failed before.
    """

    records: list[dict[str, Any]]
    found: int
    ran: int
    failed: list[dict[str, Any]] = field(default_factory=list)
    again: int = 0

    def summary(self) -> str:
        """One line for a page: found, ran, failed, seconds of training."""
        seconds = sum(r["seconds"] for r in {r["run_id"]: r for r in self.records}.values())
        kinds = Counter(failure["kind"] for failure in self.failed)
        failed = f", {len(self.failed)} failed ({', '.join(f'{n} {kind}' for kind, n in kinds.items())})" if self.failed else ""
        runs = self.found + self.ran + len(self.failed)
        return f"{runs} runs: {self.found} found in the store, {self.ran} run now{failed}; {seconds:.0f} s of training in all"

    @property
    def failures(self) -> pd.DataFrame:
        """The runs that did not finish, one row each: columns FAILURE_COLUMNS."""
        rows = []
        for failure in self.failed:
            spec = RunSpec.model_validate(failure["spec"])
            of = {"system": spec.model.name, "variant": spec.model.variant, "corpus": spec.data.corpus, "protocol": spec.protocol}
            rows.append({**failure, **of, "fold": spec.split.fold, "seed": spec.seed})
        return pd.DataFrame(rows, columns=FAILURE_COLUMNS)

    def whole(self) -> list[dict[str, Any]]:
        """The records of those seeds of a group that lack no fold: where one failed, what is pooled would be other recordings."""
        broken = {(spec.group, spec.seed) for spec in (RunSpec.model_validate(failure["spec"]) for failure in self.failed)}
        specs = [RunSpec.model_validate(record["spec"]) for record in self.records]
        return [record for record, spec in zip(self.records, specs, strict=True) if (spec.group, spec.seed) not in broken]


@dataclass(frozen=True)
class Job:
    """A run as it is sent to a worker: plain data.

    Attributes:
        run_id: as the client computes it.
        spec: canonical form.
        roots: corpus name -> folder, absolute.
        store: folder of the run store, absolute.
        caches: folder that SERCORE_STORE names at the client, absolute.
        identity: of the client's store, where the worker may be on another machine.
        data: fingerprint of the recordings at the client.
        sweep: name of the sweep.
    """

    run_id: str
    spec: dict[str, Any]
    roots: dict[str, str]
    store: str
    caches: str
    identity: str
    data: str
    sweep: str


def run_all(
    specs: Sequence[RunSpec],
    roots: Mapping[str, str | Path] | None = None,
    scheduler: str = "",
    store: RunStore | None = None,
    progress: bool = True,
    retry_failed: bool = True,
) -> Sweep:
    """Do every run that the store does not have, and first those that it starts from.

    Features are computed once before the workers start; every run is independent of those beside it, so results do not depend on the
    scheduler. Several sweeps may share a store: a run that another one is doing is left to it, and taken over if it dies.

    Args:
        specs: the runs, in any order; a spec that comes twice is run once, and so is the parent of several.
        roots: corpus name -> folder.
        scheduler: see `sercore.schedulers.connect`.
        store: None takes the default store.
        progress: show a bar.
        retry_failed: try runs again that failed in an earlier sweep; False leaves them failed.

    Returns:
        Records of what is finished, in the order of the specs, and what failed.

    Raises:
        SpecError, SchedulerError: the scheduler is unknown, does not answer, or has gone.
        CorpusError: a corpus is not there or a recording cannot be read.
        UnwritableError: the disk takes no more.
    """
    store = store or RunStore()
    with closing(schedulers.connect(scheduler)) as workers:
        if workers.note and progress:
            tqdm.write(workers.note, file=sys.stderr)
        graph = Graph.of(specs, roots, store)
        wanted = {(graph.data[i], graph.specs[i].features): graph.specs[i] for i in graph.todo}
        for spec in wanted.values():
            loaded, features = corpus_of(spec, roots), spec.features
            jobs = -1 if len(loaded.items) > 600 and loaded.root else 1
            corpus_features(loaded, features, jobs=jobs)
        return _Course(graph, store, workers, retry_failed).follow(progress)


class _Course:
    """The way of one sweep through its graph."""

    def __init__(self, graph: Graph, store: RunStore, workers: Scheduler, retry_failed: bool) -> None:
        self.graph, self.store, self.workers = graph, store, workers
        before = {name: failure for name in graph.todo if (failure := store.failure(name)) is not None}
        self.again = len(before) if retry_failed else 0
        self.failed: dict[str, dict[str, Any]] = {} if retry_failed else before
        self.records = dict(graph.records)
        self.found, self.ran = len(graph.records), 0
        self.elsewhere: list[str] = []  # runs that another sweep is doing
        self.sweep = uuid.uuid4().hex
        self.identity = store.identity() if workers.remote and graph.todo else ""

    def follow(self, progress: bool) -> Sweep:
        """Until nothing is left that could be run."""
        waiting, running = [name for name in self.graph.todo if name not in self.failed], dict[Future[Any], str]()
        with bar(total=len(waiting), label="runs", unit="run") if progress else _silent() as shown:
            while waiting or running or self.elsewhere:
                waiting = self._hand_out(waiting, running, shown)
                self._look_elsewhere(waiting, shown)
                if running:
                    done = wait(running, timeout=POLL_S, return_when=FIRST_COMPLETED).done
                    for future in done:
                        self._take(running.pop(future), future, waiting, shown)
                elif self.elsewhere:
                    time.sleep(POLL_S)
                self._say(shown, self.workers.check())
        records = [self.records[name] for name in self.graph.wanted if name in self.records]
        return Sweep(records, self.found, self.ran, list(self.failed.values()), self.again)

    def _hand_out(self, waiting: list[str], running: dict[Future[Any], str], shown: tqdm) -> list[str]:
        """Submit what can start, as much as the scheduler wants; what still waits is given back."""
        left = []
        for name in waiting:
            parents = self.graph.parents[name]
            if broken := [parent for parent in parents if parent in self.failed]:
                self._fail(name, "not run", f"parent failed: {broken[0]} ({self.failed[broken[0]]['kind']})", shown)
            elif len(running) < self.workers.width and all(parent in self.records for parent in parents):
                running[self.workers.submit(attempt, self._job(name))] = name
            else:
                left.append(name)
        return left

    def _job(self, name: str) -> Job:
        roots = {key: str(Path(corpus.root).absolute()) for key, corpus in self.graph.corpora.items() if corpus.root}
        folders = (str(self.store.folder.parent.absolute()), str(store_folder().absolute()))
        return Job(name, self.graph.specs[name].canonical(), roots, *folders, self.identity, self.graph.data[name], self.sweep)

    def _take(self, name: str, future: Future[Any], waiting: list[str], shown: tqdm) -> None:
        """What became of a job."""
        if future.cancelled():
            self.workers.check()
            waiting.append(name)  # given back by a scheduler that is still there
            return
        try:
            outcome = future.result()
        except LostError as error:
            outcome = {"kind": "lost", "message": error.reason, "attempts": error.attempts}
        if "full" in outcome:
            raise UnwritableError(outcome["full"])
        if "busy" in outcome:
            self.elsewhere.append(name)
        elif "record" in outcome:
            self.records[name] = outcome["record"]
            self.ran += not outcome["found"]
            self.found += outcome["found"]
            shown.update()
        else:
            self._fail(name, outcome.pop("kind"), outcome.pop("message"), shown, **outcome)

    def _fail(self, name: str, kind: str, message: str, shown: tqdm, **more: Any) -> None:
        at = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
        failure = {"run_id": name, "kind": kind, "message": message, "attempts": 0, "failed_at": at, **more}
        self.failed[name] = failure | {"spec": self.graph.specs[name].canonical()}
        self.store.fail(name, self.failed[name])
        shown.update()

    def _look_elsewhere(self, waiting: list[str], shown: tqdm) -> None:
        """Take up what another sweep has finished, and take over what it has dropped."""
        for name in [name for name in self.elsewhere if not self.store.busy(name)]:
            self.elsewhere.remove(name)
            if (record := self.store.finished(name)) is None:
                waiting.append(name)
                continue
            self.records[name] = record
            self.found += 1
            shown.update()

    def _say(self, shown: tqdm, state: str) -> None:
        numbers = {"found": self.found, "ran": self.ran, "failed": len(self.failed)}
        elsewhere = {"elsewhere": len(self.elsewhere)} if self.elsewhere else {}
        shown.set_postfix({**numbers, **elsewhere, **({"state": state} if state else {})}, refresh=False)


@contextmanager
def _silent() -> Iterator[tqdm]:
    with tqdm(disable=True) as shown:
        yield shown


def attempt(job: Job, run: Callable[..., dict[str, Any]] = run_one) -> dict[str, Any]:
    """One go at a run, in whatever process: what became of it as plain data, never an error.

    Args:
        job: the run.
        run: does it.

    Returns:
        `record, found`; or `busy`, where another process is doing it; or `full`, where the disk takes no more; or `kind, message, error,
        attempts` of a failure.
    """
    if store_folder().absolute() != Path(job.caches):
        os.environ["SERCORE_STORE"] = job.caches
    store, spec = RunStore(Path(job.store)), RunSpec.model_validate(job.spec)
    try:
        _refuse_another_place(job, store, spec)
        if (record := store.finished(job.run_id)) is not None:
            return {"record": record, "found": True}
        if store.busy(job.run_id):
            return {"busy": True}
        return {"record": run(spec, job.roots, store, sweep=job.sweep), "found": False}
    except BusyError:
        return {"busy": True}
    except UnwritableError as error:
        return {"full": str(error)}
    except Exception as error:  # whatever a run raises is its own affair
        return {"kind": kind_of(error), "message": without_folders(in_words(error)), "error": type(error).__name__, "attempts": 1}


def _refuse_another_place(job: Job, store: RunStore, spec: RunSpec) -> None:
    """A worker that sees another store, other recordings or other code than the client would do another run."""
    if job.identity and (not (store.folder / "store.id").is_file() or store.identity() != job.identity):
        raise StoreError("this worker does not see the client's store: give both the same folder under the same path")
    corpus = corpus_of(spec, job.roots)
    if (here := fingerprint(spec, corpus, job.roots)) != job.data:
        raise CorpusError(
            f"{spec.data.corpus}: this worker's recordings are not the client's (fingerprint {here}, not {job.data}): give both one copy"
        )
    if identify(spec, corpus, job.roots) != job.run_id:
        raise SpecError(f"this worker's code is not the client's (revisions {revisions(spec)}): install one version on both")
