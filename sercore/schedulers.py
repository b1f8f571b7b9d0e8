"""Who does the work: this process, worker processes of this machine, or a Dask cluster; one interface for all three.

A scheduler takes a function with plain arguments and gives a future. What it adds is the answer to a worker that dies: `LostError` after
as many attempts as are made of a job whose worker is killed each time. Jobs are therefore ones that can be begun again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any, Protocol
from urllib.parse import urlsplit

from joblib import cpu_count
from joblib.externals.loky.process_executor import ProcessPoolExecutor

from sercore.errors import SchedulerError, SpecError

#: How often a job is begun before it counts as lost: as many as a Dask scheduler makes unless it is told otherwise.
ATTEMPTS = 4
#: Seconds that a Dask scheduler has to answer.
ANSWER_S = 10
_KNOWN = "leave it empty (this process), say local or local:N (worker processes), or give the address of a Dask scheduler, tcp://host:port"
#: One run a process at a time: threads of torch are set for the whole process.
_ONE_AT_A_TIME = threading.Lock()


class LostError(Exception):
    """The worker of a job was gone before the job was done, as often as it was tried."""

    def __init__(self, reason: str, attempts: int) -> None:
        super().__init__(reason, attempts)
        self.reason, self.attempts = reason, attempts


class Scheduler(Protocol):
    """What a sweep needs of a scheduler.

    Attributes:
        width: jobs that it wants at once; more are kept back by the sweep.
        remote: its workers may be on other machines.
        note: a line for the user, e.g. where the dashboard is; empty where there is nothing to say.
    """

    width: float
    remote: bool
    note: str

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """A future of `function(*arguments)`; it raises LostError where the worker was lost."""
        ...

    def check(self) -> str:
        """Something to show while jobs wait, mostly nothing.

        Raises:
            SchedulerError: the scheduler is gone.
        """
        ...

    def close(self) -> None:
        """End the workers that it started; jobs that are not done are given up."""
        ...


def connect(scheduler: str) -> Scheduler:
    """The scheduler of that name.

    Args:
        scheduler: empty (this process), `local` (one worker a core), `local:N`, or `tcp://host:port` of a Dask scheduler.

    Raises:
        SpecError: it is none of these.
        SchedulerError: Dask is not installed, or nothing answers at that address within ANSWER_S.
    """
    if scheduler.startswith(("tcp://", "tls://", "ucx://", "ws://", "wss://")):
        return DaskCluster(scheduler)
    return LocalWorkers(workers(scheduler)) if scheduler else ThisProcess()


def workers(scheduler: str) -> int:
    """Number of worker processes on this machine that a scheduler's name asks for.

    Args:
        scheduler: empty (this process), `local` (one worker a core) or `local:N`.

    Raises:
        SpecError: it is none of these.

    Example:
        >>> workers(""), workers("local:3")
        (1, 3)
    """
    if not scheduler:
        return 1
    kind, _, number = scheduler.partition(":")
    if kind != "local" or (number and not number.isdigit()) or number == "0":
        raise SpecError(f"scheduler {scheduler!r} is not known: {_KNOWN}")
    return int(number) if number else int(cpu_count())


class ThisProcess:
    """One job after the other, here."""

    width, remote, note = 1.0, False, ""

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """A future that is done: what the job raises is raised at once."""
        future: Future[Any] = Future()
        future.set_result(function(*arguments))
        return future

    def check(self) -> str:
        """Nothing to say."""
        return ""

    def close(self) -> None:
        """Nothing to end."""


class LocalWorkers:
    """Worker processes of this machine, each on a pool of its own, so that one that dies takes no other's job with it.

    Every worker has one thread for linear algebra outside torch (torch takes the threads of the spec), and one GPU where there are several.
    Workers end with the process that started them, however that ends.

    Args:
        count: of workers.
    """

    remote, note = False, ""

    def __init__(self, count: int) -> None:
        self.width = float(count)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="worker")
        self._free: SimpleQueue[_Worker] = SimpleQueue()
        self._all = [_Worker(environment) for environment in environments(count)]
        for worker in self._all:
            self._free.put(worker)

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """As `Scheduler.submit`."""
        return self._threads.submit(self._do, function, *arguments)

    def _do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        worker = self._free.get()
        try:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    return worker.do(function, *arguments)
                except BrokenExecutor as error:
                    if worker.closed or attempt == ATTEMPTS:
                        raise LostError(f"its worker ended in mid-run ({_exit(error)})", attempt) from None
        finally:
            self._free.put(worker)

    def check(self) -> str:
        """Nothing to say: a worker that died is started again."""
        return ""

    def close(self) -> None:
        """End the workers, those in mid-run by a kill: a run that is not finished has its checkpoint."""
        for worker in self._all:
            worker.close()
        self._threads.shutdown(wait=True, cancel_futures=True)


class _Worker:
    """A place for one process, filled again when the process has died."""

    def __init__(self, environment: dict[str, str]) -> None:
        self._environment, self.closed, self._busy = environment, False, False
        self._pool: ProcessPoolExecutor | None = None

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        if self.closed:
            raise BrokenExecutor("closed")
        if self._pool is None:
            self._pool = ProcessPoolExecutor(1, env=self._environment, initializer=_end_with, initargs=(os.getpid(),))
        self._busy = True
        try:
            return self._pool.submit(function, *arguments).result()
        except (BrokenExecutor, RuntimeError) as error:  # a RuntimeError of the pool: it was shut down while the job was handed over
            if not isinstance(error, BrokenExecutor) and not self.closed:
                raise
            self._end()
            raise error if isinstance(error, BrokenExecutor) else BrokenExecutor("closed") from error
        finally:
            self._busy = False

    def close(self) -> None:
        self.closed = True
        self._end()

    def _end(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=True, kill_workers=self._busy)


def environments(count: int) -> list[dict[str, str]]:
    """What each of so many workers is started with: single-threaded libraries, and the GPUs of this machine dealt out in turn."""
    single = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
    cards = _gpus() if count > 1 else []
    return [single | ({"CUDA_VISIBLE_DEVICES": cards[k % len(cards)]} if len(cards) > 1 else {}) for k in range(count)]


def _gpus() -> list[str]:
    if (visible := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return [card for card in visible.split(",") if card]
    import torch

    return [str(card) for card in range(torch.cuda.device_count())]


def _end_with(client: int) -> None:
    """In a worker: end when the client has ended, also by `kill -9`, which tells nobody."""

    def watch() -> None:
        while os.getppid() == client:
            stop.wait(0.5)
        os._exit(1)

    stop = threading.Event()
    threading.Thread(target=watch, daemon=True, name="ends with the client").start()


def _exit(error: BaseException) -> str:
    """How a worker ended, from what its pool says."""
    found = re.search(r"\{(.+?)\}", str(error))
    return found[1] if found else "no exit code"


class DaskCluster:
    """The workers of a Dask scheduler, wherever they are; the scheduler itself begins a job again whose worker has died.

    Args:
        address: of the scheduler, `tcp://host:port`.

    Raises:
        SpecError: the address has no host or port.
        SchedulerError: Dask is not installed, or nothing answers within ANSWER_S.
    """

    width, remote = float("inf"), True

    def __init__(self, address: str) -> None:
        try:
            host, port = urlsplit(address).hostname, urlsplit(address).port
        except ValueError:
            host, port = None, None
        if not host or not port:
            raise SpecError(f"scheduler {address!r} is no address: write tcp://host:port, as `dask scheduler` prints it")
        try:
            from distributed import Client
        except ImportError as error:
            raise SchedulerError(f"scheduler {address!r} needs Dask: pip install 'sercore[dask]'") from error
        for name in [name for name in logging.root.manager.loggerDict if name.startswith("distributed")]:
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is said here, in one line
        self.address = address
        try:
            with ThreadPoolExecutor(1) as thread:  # a notebook has an event loop of its own
                thread.submit(asyncio.run, _greet(address)).result()
            self._client = Client(address, timeout=ANSWER_S, set_as_default=False)
        except Exception as error:  # whatever stands at that address may answer anything
            raise SchedulerError(
                f"scheduler {address} does not answer within {ANSWER_S} s: start it with `dask scheduler`, or give another address"
            ) from error
        self._executor = self._client.get_executor(pure=False)
        self.note = f"Dask dashboard: {self._client.dashboard_link}"

    def submit(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """As `Scheduler.submit`."""
        from distributed import KilledWorker

        given = self._executor.submit(one_at_a_time, function, *arguments)
        future: Future[Any] = Future()

        def passed_on(done: Future[Any]) -> None:
            if done.cancelled():
                future.cancel()
                future.set_running_or_notify_cancel()
            elif isinstance(error := done.exception(), KilledWorker):
                future.set_exception(LostError("its worker ended in mid-run", error.allowed_failures + 1))
            elif error is not None:
                future.set_exception(error)
            else:
                future.set_result(done.result())

        given.add_done_callback(passed_on)
        return future

    def check(self) -> str:
        """`no worker` where the cluster has none yet.

        Raises:
            SchedulerError: the scheduler is gone.
        """
        if self._client.status not in ("running", "connecting"):
            raise SchedulerError(
                f"scheduler {self.address} is gone: finished runs are kept and the others go on from their last epoch; start it again "
                "and repeat the command"
            )
        return "" if self._client.scheduler_info().get("workers") else "no worker"

    def close(self) -> None:
        """Give up what waits and leave; the cluster stays."""
        self._client.close(timeout=2)


async def _greet(address: str) -> None:
    """Shake hands and leave: a client alone would try for minutes where something listens and does not answer."""
    from distributed.comm import connect

    comm = await asyncio.wait_for(connect(address, timeout=ANSWER_S), ANSWER_S)
    comm.abort()


def one_at_a_time(function: Callable[..., Any], *arguments: Any) -> Any:
    """`function(*arguments)`, after whatever another thread of this process has in hand."""
    with _ONE_AT_A_TIME:
        return function(*arguments)
