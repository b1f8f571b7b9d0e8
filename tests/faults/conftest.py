"""One tiny corpus for all fault tests, a store for each, and a Dask cluster by hand."""

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.faults.sweeping import Place, until, workers_below, write_corpus


@pytest.fixture(scope="session")
def office(tmp_path_factory):
    return write_corpus(tmp_path_factory.mktemp("office"))


@pytest.fixture
def place(tmp_path, office, monkeypatch):
    """A store and the corpus; sweeps in this process use them too."""
    here = Place(tmp_path, office)
    monkeypatch.setenv("SERCORE_STORE", str(here.store))
    yield here
    here.close()


class Cluster:
    """`dask scheduler` and `dask worker`, as a user starts them."""

    def __init__(self, folder: Path, port: int = 0) -> None:
        self.folder = folder
        # a job whose worker has died is begun twice more instead of three times, so that the tests wait for fewer workers; not once:
        # where both workers die in one moment, a job is handed from one dead worker to the other before the scheduler knows
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "2"}
        self.log = folder / "scheduler.log"
        dask = [sys.executable, "-W", "ignore", "-m", "dask"]
        with self.log.open("w") as log:
            command = [*dask, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
            self.scheduler = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=folder)
        until(lambda: self._address())
        self.address = self._address()
        with (folder / "worker.log").open("w") as log:
            command = [*dask, "worker", self.address, "--nworkers", "2", "--nthreads", "1", "--memory-limit", "0", "--no-dashboard"]
            self.worker = subprocess.Popen(
                [*command, "--local-directory", str(folder)], stdout=log, stderr=log, env=environment, cwd=folder
            )
        until(lambda: len(self.workers()) == 2)

    def _address(self) -> str:
        found = re.search(r"Scheduler at:\s+(tcp://\S+)", self.log.read_text())
        return found[1] if found else ""

    def workers(self) -> list[psutil.Process]:
        """The processes in which runs are done."""
        return workers_below(self.worker.pid)

    def close(self) -> None:
        """End everything."""
        below = psutil.Process(self.worker.pid).children(recursive=True) if self.worker.poll() is None else []
        for process in (self.worker, self.scheduler):
            process.kill()
            process.wait()
        for child in below:
            if child.is_running():
                child.kill()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory):
    pytest.importorskip("distributed", reason="Dask is not installed: pip install 'sercore[dask]'")
    here = Cluster(tmp_path_factory.mktemp("dask"))
    yield here
    here.close()
