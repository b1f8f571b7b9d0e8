"""Throughput of two local workers against one, one thread a run, and what each scheduler costs a run beyond its training.

Workers are started and have done a run before the clock starts. The two take turns in random order inside each round; the ratio is taken in
each round and its median printed with the quartiles. The goal is 1.8. Where other work runs the ratio is not that of two cores: the cores
that the workers had (processor seconds by seconds on the wall, over the whole measurement) are printed beside.

    python -m benchmarks.sweep [--rounds 5] [--runs 8] [--epochs 15] [--dask tcp://host:port]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import closing
from itertools import count
from pathlib import Path

import numpy as np

from sercore import schedulers
from sercore.experiment import fingerprint, identify
from sercore.prepare import load_corpus
from sercore.schedulers import Scheduler
from sercore.spec import RunSpec
from sercore.store import RunStore
from sercore.sweep import Job, attempt, run_all

_SEEDS = count()


def specs(runs: int, epochs: int) -> list[RunSpec]:
    """So many runs on the embedded corpus, each with a seed that no other has had."""
    base = {"data": {"corpus": "synthetic"}, "split": {"scheme": "speakers_4"}, "model": {"name": "reslstm_sa_h32"}}
    training = {"epochs": epochs, "learning_rate": 5e-3, "batch_size": 16}
    return [RunSpec.model_validate({**base, "training": training, "seed": seed}) for seed, _ in zip(_SEEDS, range(runs), strict=False)]


def jobs(wanted: list[RunSpec]) -> Iterator[Job]:
    """As a sweep sends them to its workers."""
    corpus, store = load_corpus("synthetic"), RunStore()
    folder = str(store.folder.parent.absolute())
    for spec in wanted:
        yield Job(identify(spec, corpus), spec.canonical(), {}, folder, folder, store.identity(), fingerprint(spec, corpus), "benchmark")


def timed(workers: Scheduler, wanted: list[RunSpec]) -> tuple[float, float]:
    """Wall seconds of these runs on workers that stand ready, and the seconds that their training took."""
    ready = list(jobs(wanted))
    started = time.perf_counter()
    futures = [workers.submit(attempt, job) for job in ready]
    wait(futures)
    seconds = time.perf_counter() - started
    return seconds, sum(future.result()["record"]["seconds"] for future in futures)


def throughput(rounds: int, runs: int, epochs: int) -> dict[str, float]:
    """Runs per second of one and of two workers, and their ratio.

    Args:
        rounds: how often both are timed.
        runs: a round and number of workers.
        epochs: a run.

    Returns:
        `one_per_s, two_per_s, ratio, ratio_low, ratio_high`, and `overhead_s`: wall seconds a run beyond its training, one worker.
    """
    seconds: dict[int, list[float]] = {1: [], 2: []}
    beyond = []
    with closing(schedulers.LocalWorkers(1)) as one, closing(schedulers.LocalWorkers(2)) as two:
        places = {1: one, 2: two}
        for workers in places.values():
            timed(workers, specs(4, 1))
        for k in range(rounds):
            for number in random.Random(k).sample([1, 2], 2):
                wall, training = timed(places[number], specs(runs, epochs))
                seconds[number].append(wall)
                beyond += [(wall - training) / runs] if number == 1 else []
    ratios = np.array(seconds[1]) / np.array(seconds[2])
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    speed = {f"{word}_per_s": round(runs / float(np.median(seconds[n])), 2) for n, word in ((1, "one"), (2, "two"))}
    found = {**speed, "ratio": round(middle, 2), "ratio_low": round(low, 2), "ratio_high": round(high, 2)}
    return found | {"overhead_s": round(float(np.median(beyond)), 3)}


def overhead(scheduler: str, runs: int, epochs: int) -> dict[str, float]:
    """Wall seconds a run beyond its training of a whole sweep, the start of its workers apart.

    Args:
        scheduler: as `sercore.schedulers.connect`.
        runs: in the sweep.
        epochs: a run.

    Returns:
        `start_s`: of a sweep of one run with one epoch; `overhead_s`: of each further run.
    """
    started = time.perf_counter()
    first = run_all(specs(1, 1), scheduler=scheduler, progress=False)
    start = time.perf_counter() - started - first.records[0]["seconds"]
    with closing(schedulers.connect(scheduler)) as workers:
        timed(workers, specs(1, 1))
        wall, training = timed(workers, specs(runs, epochs))
    return {"start_s": round(start, 2), "overhead_s": round((wall - training) / runs, 3)}


def main() -> None:
    """Print one JSON line a measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=8, help="a round and number of workers")
    parser.add_argument("--epochs", type=int, default=15, help="a run")
    parser.add_argument("--dask", default="", metavar="ADDRESS", help="a Dask scheduler with one worker of one thread, to be timed too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["SERCORE_STORE"] = str(Path(folder) / "store")
        run_all(specs(1, 1), progress=False)  # features of the corpus
        started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        found = throughput(options.rounds, options.runs, options.epochs)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cores = (used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime) / (time.perf_counter() - started)
        load = {"mean_cores_used": round(cores, 2), "cores": os.cpu_count(), "load_average": round(os.getloadavg()[0], 1)}
        print(json.dumps({"measured": "two local workers against one", **found, **load}), flush=True)
        for scheduler in ("", "local:1", *([options.dask] if options.dask else [])):
            name = "dask" if scheduler == options.dask and scheduler else scheduler or "this process"
            print(json.dumps({"measured": "overhead", "scheduler": name, **overhead(scheduler, options.runs, options.epochs)}), flush=True)


if __name__ == "__main__":
    main()
