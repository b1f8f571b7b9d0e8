"""The run store: one folder a run, written beside and moved into place; and the tidy tables that the book keeps in git."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from sercore.errors import StoreError
from sercore.spec import RunSpec, store_folder
from sercore.writing import beside, refusals_named

#: Raised when the layout of a run folder changes; a store from a newer version is refused.
STORE_VERSION = 1
#: Every file of a finished run; weights are missing for systems that have none.
RUN_FILES = ("spec.json", "history.csv", "predictions.parquet", "weights.safetensors")


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
            StoreError: another process is doing the same run, or the store cannot be written.
        """
        work = self.folder / f"{run_id}.partial"
        lock = FileLock(self.folder / f"{run_id}.lock")
        try:
            with refusals_named(work):
                work.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
        except Timeout as error:
            raise StoreError(f"run {run_id} is being done by another process: wait for it, or stop it") from error
        try:
            yield work
        finally:
            lock.release()

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

    def records(self) -> pd.DataFrame:
        """Every run of the store, finished or not.

        Returns:
            Columns `run_id, status (finished | interrupted | damaged | newer), system, variant, corpus, protocol, split, fold, seed,
            epochs, validation_uar, uar, seconds, finished_at`.
        """
        columns = [
            "run_id", "status", "system", "variant", "corpus", "protocol", "split", "fold", "seed", "epochs",
            "validation_uar", "uar", "seconds", "finished_at",
        ]  # fmt: skip
        rows = []
        for folder in sorted(p for p in self.folder.glob("*") if p.is_dir()):
            run_id, interrupted = folder.name.removesuffix(".partial"), folder.name.endswith(".partial")
            row: dict[str, Any] = {"run_id": run_id, "status": "interrupted" if interrupted else "finished"}
            try:
                spec = RunSpec.model_validate_json((folder / "spec.json").read_text())
                row |= {"system": spec.model.name, "variant": spec.model.variant, "corpus": spec.data.corpus, "protocol": spec.protocol}
                row |= {"split": spec.split.scheme, "fold": spec.split.fold, "seed": spec.seed, "epochs": spec.training.epochs}
                record = {} if interrupted else self.finished(run_id) or {}
                row |= {key: record.get(key) for key in ("validation_uar", "uar", "seconds", "finished_at")}
            except (OSError, ValueError, StoreError):
                row["status"] = "interrupted" if interrupted else "newer" if self._version(run_id) > STORE_VERSION else "damaged"
            rows.append(row)
        return pd.DataFrame(rows, columns=columns)
