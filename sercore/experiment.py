"""The way through, in one readable function: a spec and a corpus in, a finished run in the store out."""

from __future__ import annotations

import os
import platform
import resource
import subprocess
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file

from sercore import baselines, metrics, models, train
from sercore.data import corpora
from sercore.errors import SpecError
from sercore.features import cache
from sercore.prepare import Prepared, prepare
from sercore.progress import bar
from sercore.spec import RunSpec, run_id
from sercore.store import RunStore, write_json
from sercore.writing import refusals_named

#: Systems that are not networks: two plain rows of every table.
BASELINES = ("majority_class", "functionals_svm")


def device() -> torch.device:
    """The accelerator where there is one, else the CPU; `$SERCORE_DEVICE` overrides."""
    if name := os.environ.get("SERCORE_DEVICE"):
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def revisions(spec: RunSpec) -> dict[str, int]:
    """REVISION of every unit that can change this run's numbers.

    Raises:
        SpecError: the spec names a system that is neither a model nor a baseline.
    """
    name = spec.model.name
    if name in BASELINES:
        return {"features": cache.REVISIONS[spec.features.kind], "baselines": baselines.REVISION}
    if name not in models.MODELS:
        raise SpecError(f"no system is called {name!r}; known: {', '.join([*models.MODELS, *BASELINES])}")
    return {"features": cache.REVISIONS[spec.features.kind], "model": models.REVISIONS[name], "trainer": train.REVISION}


def evaluation_batch(spec: RunSpec) -> int:
    """Neighbours a batch when the test side is scored; 0, batches of like length, where padding cannot change a score."""
    return spec.training.batch_size if "unmasked_padding" in spec.leaks else 0


def identify(spec: RunSpec, corpus: corpora.Corpus) -> str:
    """`run_id` of a spec on a corpus (audio ids filled)."""
    return run_id(spec, corpus.fingerprint(), revisions(spec))


@lru_cache(maxsize=8)
def load_corpus(name: str, root: str = "") -> corpora.Corpus:
    """A corpus with its audio ids, read once a process. Arguments and errors as `sercore.data.corpora.load`."""
    return corpora.load(name, root or None).with_audio_ids()


def run_one(
    spec: RunSpec, roots: Mapping[str, str | Path] | None = None, store: RunStore | None = None, progress: bool = False
) -> dict[str, Any]:
    """Do a run, or find it done.

    A run that was interrupted goes on from its last epoch. The test side is scored once, after the best epoch is chosen.

    Args:
        spec: the run.
        roots: corpus name -> folder; without it `$SERCORE_CORPORA/<name>`.
        store: where the run is kept; None takes the default store.
        progress: show a bar over epochs.

    Returns:
        The record: run_id, spec, labels, uar, accuracy, best epoch, time, memory, device, versions, fingerprints, leaks found.

    Raises:
        SercoreError: the corpus, split or spec is wrong; nothing is written.
        StoreError: the stored run is damaged, or another process is doing it.
    """
    store = store or RunStore()
    corpus = load_corpus(spec.data.corpus, str((roots or {}).get(spec.data.corpus, "")))
    name = identify(spec, corpus)
    if (record := store.finished(name)) is not None:
        return record
    prepared = prepare(spec, corpus)
    with store.writing(name) as folder:
        write_json(folder / "spec.json", spec.canonical())
        started = time.perf_counter()
        system = _run_baseline if spec.model.name in BASELINES else _run_network
        scores, found = system(spec, prepared, folder, progress)
        predictions = prepared.evaluator.predictions(scores, name, spec.split.fold, spec.seed)
        history = found.pop("history")
        with refusals_named(folder):
            predictions.to_parquet(folder / "predictions.parquet", index=False)
            pd.DataFrame(history).to_csv(folder / "history.csv", index=False)
        record = {
            "run_id": name,
            "spec": spec.canonical(),
            "revisions": revisions(spec),
            "labels": prepared.labels,
            "uar": metrics.uar(predictions["truth"], predictions["prediction"]),
            "accuracy": metrics.accuracy(predictions["truth"], predictions["prediction"]),
            "items": {side: len(ids) for side, ids in prepared.plan.sides.items()},
            "leaks_declared": list(spec.leaks),
            "overlaps_found": list(prepared.plan.found),
            "overlaps_checked": list(prepared.plan.checked),
            "data_fingerprint": corpus.fingerprint(),
            "split_fingerprint": prepared.plan.fingerprint,
            # training time over all sittings of a resumed run; this sitting's time where nothing is trained
            "seconds": round(sum(row["seconds"] for row in history) or time.perf_counter() - started, 3),
            "seconds_per_epoch": round(sum(row["seconds"] for row in history) / len(history), 4) if history else None,
            **found,
            **_provenance(spec),
        }
        store.finish(name, record)
    return record


def _run_network(spec: RunSpec, prepared: Prepared, folder: Path, progress: bool) -> tuple[np.ndarray, dict[str, Any]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    where = device()
    if where.type == "cuda":
        torch.cuda.reset_peak_memory_stats(where)
    try:
        seed = train.derive_seed(spec.seed, spec.split.fold)
        torch.manual_seed(train.derive_seed(seed, "initial weights"))
        n_frames, n_features = prepared.train.frames[0].shape
        model = models.build_for(spec, n_features, len(prepared.labels), n_frames).to(where)
        label = f"{spec.model.name} fold {spec.split.fold} seed {spec.seed}"
        with bar(total=spec.training.epochs, label=label, unit="epoch") if progress else _Silent() as shown:
            result = train.fit(
                model,
                prepared.train,
                prepared.validation,
                spec.training,
                seed,
                folder / "checkpoint.safetensors",
                where,
                lambda row: shown.update(int(row["epoch"]) - shown.n),
                by_length="unmasked_padding" not in spec.leaks,
            )
        scores = train.predict_logits(model, prepared.test.frames, where, evaluation_batch(spec))
        weights = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
        weights |= {
            "normaliser.mean": torch.from_numpy(prepared.normaliser.mean),
            "normaliser.deviation": torch.from_numpy(prepared.normaliser.deviation),
        }
        with refusals_named(folder / "weights.safetensors"):
            save_file(weights, folder / "weights.safetensors")
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(False)
    best = result.history[result.best_epoch - 1]
    return scores, {
        "history": result.history,
        "best_epoch": result.best_epoch,
        "validation_uar": best["validation_uar"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "input_shape": [n_frames, n_features],  # of the first training item; the others may have other numbers of frames
    }


class _Silent:
    """Stands in for a progress bar where none is wanted."""

    n = 0

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, steps: int) -> None:
        """Do nothing."""


def _run_baseline(spec: RunSpec, prepared: Prepared, folder: Path, progress: bool) -> tuple[np.ndarray, dict[str, Any]]:
    del folder, progress
    assert prepared.train.labels is not None
    assert prepared.validation.labels is not None
    labels = np.array(prepared.labels)
    train_y, validation_y = labels[prepared.train.labels], labels[prepared.validation.labels]
    if spec.model.name == "majority_class":
        scores = baselines.majority_class(train_y, len(prepared.test.frames), prepared.labels)
        validation = baselines.majority_class(train_y, len(validation_y), prepared.labels)
        chosen = labels[validation.argmax(axis=1)]
    else:
        sides = (prepared.train, prepared.validation, prepared.test)
        train_x, validation_x, test_x = (np.stack([baselines.functionals(f) for f in side.frames]) for side in sides)
        machine = baselines.fit_functionals_svm(train_x, train_y, validation_x, validation_y, train.derive_seed(spec.seed, spec.split.fold))
        scores, chosen = _in_order(machine, test_x, prepared.labels), machine.predict(validation_x)
    return scores, {"history": [], "best_epoch": 0, "validation_uar": metrics.uar(validation_y, chosen), "parameters": None}


def _in_order(machine: baselines.FunctionalsSVM, x: np.ndarray, labels: list[str]) -> np.ndarray:
    """Scores with one column a class of the task; a class that no training item had gets a score below all others."""
    known = list(machine.labels)
    scores = machine.scores(x)
    return np.stack([scores[:, known.index(k)] if k in known else np.full(len(x), scores.min() - 1) for k in labels], axis=1)


def _provenance(spec: RunSpec) -> dict[str, Any]:
    where = device() if spec.model.name not in BASELINES else torch.device("cpu")
    peak = (
        torch.cuda.max_memory_allocated(where) / 2**20
        if where.type == "cuda"
        else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    )
    commit, clean = _code_state()
    return {
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
        "peak_memory_mb": round(peak, 1),
        "threads": spec.threads,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "code_commit": commit,
        "code_clean": clean,
        "finished_at": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
    }


@lru_cache(maxsize=1)
def _code_state() -> tuple[str, bool]:
    """Commit of the package's source and whether it was committed as it ran; empty and False outside git."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
        changed = subprocess.run(
            ["git", "status", "--porcelain", "--", "."], cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "", False
    return commit, not changed
