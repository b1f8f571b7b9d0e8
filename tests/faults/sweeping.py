"""A tiny corpus, short runs on it, and sweeps in processes of their own that can be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import yaml

from sercore.experiment import identify
from sercore.prepare import corpus_of
from sercore.spec import RunSpec
from sercore.store import RunStore
from tests.corpus_trees import write_sound

ROOT = Path(__file__).resolve().parents[2]
#: Generous: on a busy machine a worker takes half a minute to start.
DEADLINE_S = 300
#: A sweep as a user would write one: a line with what it did, or one line on standard error and exit code 1.
CLIENT = """
import json, sys
from sercore.errors import SercoreError
from sercore.spec import RunSpec
from sercore.sweep import run_all
given = json.loads(sys.argv[1])
try:
    done = run_all([RunSpec.model_validate(s) for s in given["specs"]], given["roots"], given["scheduler"], progress=False)
except SercoreError as error:
    print(f"error: {error}", file=sys.stderr)
    sys.exit(1)
kinds = {f["run_id"]: f["kind"] for f in done.failed}
print(json.dumps({"found": done.found, "ran": done.ran, "failed": kinds, "runs": [r["run_id"] for r in done.records]}))
"""


def write_corpus(root: Path) -> Path:
    """Four speakers, two emotions, two recordings of each: a corpus of one's own, so that every process reads it from its folder."""
    for seed in range(16):
        speaker, label = "abcd"[seed // 4], ("happy", "angry")[seed // 2 % 2]
        write_sound(root / label / f"{speaker}_{seed}.wav", seed, seconds=0.4)
    card = {"name": "office", "labels": {"happy": "happiness", "angry": "anger"}, "layout": "{emotion}/{speaker}_{take}"}
    (root / "corpus.yml").write_text(yaml.safe_dump(card))
    return root


def spec(seed: int = 0, epochs: int = 300, fold: int = 0, **changes: object) -> RunSpec:
    """A run of a few seconds (some ten milliseconds an epoch)."""
    base = {
        "data": {"corpus": "office"}, "split": {"scheme": "leave_one_speaker_out", "fold": fold}, "model": {"name": "lstm_sa_h32"},
        "training": {"epochs": epochs, "learning_rate": 1e-3, "batch_size": 4}, "seed": seed,
    }  # fmt: skip
    return RunSpec.model_validate({**base, **changes})


class Place:
    """A store and a corpus for one test."""

    def __init__(self, folder: Path, corpus: Path, store: str = "store") -> None:
        self.store, self.roots = folder / store, {"office": str(corpus)}
        self.runs = RunStore(self.store)
        self.clients: list[subprocess.Popen] = []
        self._others = {worker.pid for worker in workers_below(os.getpid())}  # pools that other tests of this process have left

    def client(self, specs: list[RunSpec], scheduler: str = "", code: str = CLIENT) -> subprocess.Popen:
        """A sweep in a process of its own."""
        given = {"specs": [s.canonical() for s in specs], "roots": self.roots, "scheduler": scheduler}
        environment = {**os.environ, "SERCORE_STORE": str(self.store), "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
        command = [sys.executable, "-W", "ignore", "-c", code, json.dumps(given)]
        self.clients.append(subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        return self.clients[-1]

    def started(self, number: int = 1, without: frozenset[str] = frozenset()) -> list[str]:
        """Wait until so many runs have a checkpoint; their run ids."""

        def found() -> list[str]:
            ids = [p.parent.name.removesuffix(".partial") for p in self.runs.folder.glob("*.partial/checkpoint.safetensors")]
            return [name for name in ids if name not in without and self.runs.busy(name)]

        until(lambda: len(found()) >= number)
        return found()

    def workers(self) -> list[psutil.Process]:
        """Worker processes of the sweep that goes on in this process."""
        return [worker for worker in workers_below(os.getpid()) if worker.pid not in self._others]

    def name_of(self, wanted: RunSpec) -> str:
        """Run id of a spec."""
        return identify(wanted, corpus_of(wanted, self.roots), self.roots)

    def begun(self, run_id: str) -> int:
        """How often a run that is not finished was begun."""
        try:
            return json.loads((self.runs.folder / f"{run_id}.partial" / "sittings.json").read_text())["sittings"]
        except OSError:
            return 0

    def holder(self, run_id: str, processes: list[psutil.Process]) -> psutil.Process | None:
        """Which of these processes has a run in hand: the one that holds its lock."""
        lock = str(self.runs.folder / f"{run_id}.lock")
        for process in processes:
            try:
                if any(opened.path == lock for opened in process.open_files()):
                    return process
            except psutil.Error:
                continue
        return None

    def sittings(self) -> dict[str, int]:
        """run id -> how often it was begun, of finished runs."""
        folders = [p for p in self.runs.folder.glob("*") if p.is_dir() and "." not in p.name]
        return {p.name: self.runs.finished(p.name)["sittings"] for p in folders}

    def trained_once(self, epochs: int = 300) -> bool:
        """Every epoch of every finished run is there once: resumed, not repeated."""
        return all(self.runs.history(name)["epoch"].tolist() == list(range(1, epochs + 1)) for name in self.sittings())

    def close(self) -> None:
        """End what a test has left."""
        for client in self.clients:
            if client.poll() is None:
                client.kill()
                client.communicate()


def answer(client: subprocess.Popen) -> dict:
    """What a client did that ended well."""
    out, err = client.communicate(timeout=DEADLINE_S)
    assert client.returncode == 0, err
    return json.loads(out)


def refusal(client: subprocess.Popen) -> str:
    """The one line of a client that did not."""
    out, err = client.communicate(timeout=DEADLINE_S)
    assert (client.returncode, out) == (1, "")
    assert len(err.splitlines()) == 1, err
    return err.strip()


def until(true: Callable[[], object], seconds: float = DEADLINE_S) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def workers_below(pid: int) -> list[psutil.Process]:
    """Worker processes that a process has started, at any depth: of loky, or below the nannies of Dask."""
    found = []
    for child in psutil.Process(pid).children(recursive=True):
        try:
            line = " ".join(child.cmdline())
            if "popen_loky" in line or ("spawn_main" in line and "dask" in " ".join(child.parent().cmdline())):
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def kill(processes: list[psutil.Process]) -> int:
    """SIGKILL each; how many there were."""
    for process in processes:
        process.send_signal(signal.SIGKILL)
    return len(processes)


class Meanwhile(threading.Thread):
    """Something done while a sweep is under way in this process; what it raises is raised at the end."""

    def __init__(self, action: Callable[[], object]) -> None:
        super().__init__(daemon=True)
        self.action, self.error = action, None

    def run(self) -> None:
        """The action."""
        try:
            self.action()
        except BaseException as error:
            self.error = error

    def __enter__(self) -> Meanwhile:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.join(DEADLINE_S)
        if self.error:
            raise self.error
