"""The run store: one folder a run, written beside and moved into place; and the tidy tables that the book keeps in git."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from sercore.errors import BusyError, StoreError
from sercore.failures import machine, memory_kills
from sercore.spec import RunSpec, store_folder
from sercore.writing import beside, refusals_named

#: Raised when the layout of a run folder changes; a store from a newer version is refused.
STORE_VERSION = 1
#: Every file of a finished run; weights are missing for systems that have none.
RUN_FILES = ("spec.json", "history.csv", "predictions.parquet", "weights.safetensors")


@dataclass(frozen=True)
class Sitting:
    """One go at a run.

    Attributes:
        number: 1 is the first; an interrupted run has several.
        attempt: the same within one sweep.
        short_of_memory: the sitting before this one, of the same sweep on this machine, was not ended by the run itself, and the kernel
            has killed a process here for lack of memory since it began.
    """

    number: int
    attempt: int
    short_of_memory: bool


def write_json(path: Path, value: Any) -> None:
    """Write JSON beside and move it into place; NaN is refused."""
    with beside(path) as file:
        file.write_text(json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n")


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


class RunStore:
    """Finished and interrupted runs under `<store>/runs`.

    Args:
        folder: of the store; None takes `sercore.spec.store_folder()`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = (folder or store_folder()) / "runs"

    def path(self, run_id: str) -> Path:
        """Folder of a finished run, whether it is there or not."""
        return self.folder / run_id

    def finished(self, run_id: str) -> dict | None:
        """The record of a finished run, or None where there is none.

        Raises:
            StoreError: the run's files are damaged, or a newer version wrote it (names the folder and the mend).
        """
        folder = self.path(run_id)
        if not folder.is_dir():
            return None
        try:
            record = json.loads((folder / "record.json").read_text())
        except (OSError, ValueError) as error:
            raise StoreError(f"{folder} has no readable record.json: delete the folder and run again") from error
        if record.get("store_version", 0) > STORE_VERSION:
            raise StoreError(
                f"{folder} was written by a newer version of the store ({record['store_version']}, this one is {STORE_VERSION}): "
                "update sercore, or set SERCORE_STORE to another folder"
            )
        for name, expected in record["files"].items():
            file = folder / name
            if not file.exists() or _sha256(file) != expected:
                raise StoreError(f"{file} is missing or was changed after the run: delete the folder and run again")
        return record

    @contextmanager
    def writing(self, run_id: str) -> Iterator[Path]:
        """A working folder for one run, kept where the run is interrupted so that it can go on from its checkpoint.

        Raises:
            BusyError: another process is doing the same run.
            UnwritableError: the store cannot be written.
        """
        work = self.folder / f"{run_id}.partial"
        lock = FileLock(self.folder / f"{run_id}.lock")
        try:
            with refusals_named(work):
                self.folder.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
        except Timeout as error:
            raise BusyError(f"run {run_id} is being done by another process: wait for it, or stop it") from error
        try:
            with refusals_named(work):
                work.mkdir(exist_ok=True)
            yield work
        finally:
            with suppress(OSError):
                work.rmdir()  # where nothing was written, nothing was begun
            lock.release()

    def busy(self, run_id: str) -> bool:
        """Whether another process is doing a run at this moment; the lock of one that died is free."""
        lock = FileLock(self.folder / f"{run_id}.lock")
        try:
            if not Path(lock.lock_file).exists():
                return False
            lock.acquire(timeout=0)
        except Timeout:
            return True
        lock.release()
        return False

    def sit(self, run_id: str, sweep: str = "") -> Sitting:
        """Count one more go at a run whose working folder is held.

        Args:
            run_id: of the run.
            sweep: which sweep it is tried in; empty outside of one.

        Raises:
            UnwritableError: the store cannot be written.
        """
        note = self.folder / f"{run_id}.partial" / "sittings.json"
        try:
            before = json.loads(note.read_text())
        except (OSError, ValueError):
            before = {}
        same = bool(sweep) and before.get("sweep") == sweep
        number, attempt = int(before.get("sittings", 0)) + 1, int(before["attempts"]) + 1 if same else 1
        here, kills = machine(), memory_kills()
        write_json(note, {"sittings": number, "sweep": sweep, "attempts": attempt, "machine": here, "memory_kills": kills})
        return Sitting(number, attempt, same and here != "" and here == before["machine"] and kills > before["memory_kills"])

    def fail(self, run_id: str, failure: dict) -> None:
        """Keep why a run failed, in place of what was kept before; the run's checkpoint stays.

        Args:
            run_id: of the run.
            failure: plain data: kind, message, attempts, spec, ...

        Raises:
            UnwritableError: the store cannot be written.
        """
        write_json(self.folder / f"{run_id}.failed.json", failure)

    def failure(self, run_id: str) -> dict | None:
        """Why a run failed when it was last tried; None where it did not, or has been finished since."""
        try:
            found = json.loads((self.folder / f"{run_id}.failed.json").read_text())
        except (OSError, ValueError):
            return None
        return None if self.path(run_id).is_dir() else found

    def identity(self) -> str:
        """A name of this store that tells it from any other, made when it is first asked for.

        Raises:
            UnwritableError: the store cannot be written.
        """
        file = self.folder / "store.id"
        with refusals_named(file):
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / "store.lock"):
                if not file.exists():
                    with beside(file) as new:
                        new.write_text(uuid.uuid4().hex)
        return file.read_text()

    def finish(self, run_id: str, record: dict) -> None:
        """Move a working folder into place: the run is finished when this returns and not before.

        Args:
            run_id: of the run.
            record: plain data; file hashes and the store version are added.
        """
        work, folder = self.folder / f"{run_id}.partial", self.path(run_id)
        for file in work.iterdir():  # the checkpoint, and what a killed process had begun to write
            if file.name not in RUN_FILES:
                file.unlink()
        record["files"] = {name: _sha256(work / name) for name in RUN_FILES if (work / name).exists()}
        record["store_version"] = STORE_VERSION
        write_json(work / "record.json", record)
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(work, folder)
        (self.folder / f"{run_id}.failed.json").unlink(missing_ok=True)
        (self.folder / f"{run_id}.lock").unlink(missing_ok=True)

    def _version(self, run_id: str) -> int:
        """Version of the store that wrote a run; 0 where nothing says so."""
        try:
            return int(json.loads((self.path(run_id) / "record.json").read_text())["store_version"])
        except (OSError, ValueError, KeyError, TypeError):
            return 0

    def predictions(self, run_id: str) -> pd.DataFrame:
        """Prediction table of a finished run (columns as `SealedEvaluator.predictions`)."""
        return pd.read_parquet(self.path(run_id) / "predictions.parquet")

    def history(self, run_id: str) -> pd.DataFrame:
        """One row an epoch; empty for systems that are not trained in epochs."""
        file = self.path(run_id) / "history.csv"
        return pd.read_csv(file) if file.stat().st_size > 1 else pd.DataFrame()

    def spec(self, run_id: str) -> RunSpec:
        """The spec of a run."""
        return RunSpec.model_validate_json((self.path(run_id) / "spec.json").read_text())

    def kept(self) -> Iterator[tuple[dict, int]]:
        """Record and size in bytes of every finished run, read without checking its files: for estimates, not for results."""
        for file in sorted(self.folder.glob("*/record.json")):
            with suppress(OSError, ValueError):
                if not file.parent.name.endswith(".partial"):
                    yield json.loads(file.read_text()), sum(part.stat().st_size for part in file.parent.iterdir())

    def records(self) -> pd.DataFrame:
        """Every run of the store, finished or not.

        Returns:
            Columns `run_id, status (finished | interrupted | failed | damaged | newer), system, variant, corpus, protocol, split, fold,
            seed, epochs, validation_uar, uar, seconds, finished_at, failure (its kind)`.
        """
        columns = [
            "run_id", "status", "system", "variant", "corpus", "protocol", "split", "fold", "seed", "epochs",
            "validation_uar", "uar", "seconds", "finished_at", "failure",
        ]  # fmt: skip
        rows = []
        for folder in sorted(p for p in self.folder.glob("*") if p.is_dir()):
            run_id, interrupted = folder.name.removesuffix(".partial"), folder.name.endswith(".partial")
            row: dict[str, Any] = {"run_id": run_id, "status": "interrupted" if interrupted else "finished"}
            try:
                spec = RunSpec.model_validate_json((folder / "spec.json").read_text())
                row |= _columns(spec)
                record = {} if interrupted else self.finished(run_id) or {}
                row |= {key: record.get(key) for key in ("validation_uar", "uar", "seconds", "finished_at")}
            except (OSError, ValueError, StoreError):
                row["status"] = "interrupted" if interrupted else "newer" if self._version(run_id) > STORE_VERSION else "damaged"
            rows.append(row)
        known = {row["run_id"]: row for row in rows}
        for file in sorted(self.folder.glob("*.failed.json")):
            run_id = file.name.removesuffix(".failed.json")
            if (failure := self.failure(run_id)) is None:
                continue
            row = known.get(run_id) or {"run_id": run_id, **_columns(RunSpec.model_validate(failure["spec"]))}
            if run_id not in known:
                rows.append(row)
            row |= {"status": "failed", "failure": failure["kind"]}
        return pd.DataFrame(rows, columns=columns)


def _columns(spec: RunSpec) -> dict[str, Any]:
    row = {"system": spec.model.name, "variant": spec.model.variant, "corpus": spec.data.corpus, "protocol": spec.protocol}
    return row | {"split": spec.split.scheme, "fold": spec.split.fold, "seed": spec.seed, "epochs": spec.training.epochs}
