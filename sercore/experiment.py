"""The way through, in one readable function: a spec and a corpus in, a finished run in the store out."""

from __future__ import annotations

import os
import platform
import subprocess
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import save_file
from torch import nn
from tqdm import tqdm

from sercore import baselines, batching, initial_weights, metrics, models, orthogonal, pretraining, resources, train
from sercore.data import corpora
from sercore.errors import SpecError, StoreError
from sercore.features import cache
from sercore.prepare import Prepared, corpus_of, prepare
from sercore.progress import bar
from sercore.spec import RunSpec, digest, run_id
from sercore.store import RunStore, write_json
from sercore.writing import refusals_named

#: Sides that a network learns from or is chosen on; their accuracy at the end is kept, and no decision rests on it.
LEARNED = ("train", "validation")
#: Systems that are not networks: two plain rows of every table.
BASELINES = ("majority_class", "functionals_svm")


def device() -> torch.device:
    """The accelerator where there is one, else the CPU; `$SERCORE_DEVICE` overrides."""
    if name := os.environ.get("SERCORE_DEVICE"):
        return torch.device(name)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def revisions(spec: RunSpec) -> dict[str, int]:
    """REVISION of every unit that can change this run's numbers, those of its parents included.

    Raises:
        SpecError: the spec names a system that is neither a model nor a baseline.
    """
    name, found = spec.model.name, {"features": cache.REVISIONS[spec.features.kind]}
    for k, parent in enumerate(spec.parents):
        found |= {f"parent_{k}.{unit}": number for unit, number in revisions(parent).items()}
    if name in BASELINES:
        return found | {"baselines": baselines.REVISION}
    if name not in models.MODELS:
        raise SpecError(f"no system is called {name!r}; known: {', '.join([*models.MODELS, *BASELINES])}")
    found |= {"model": models.REVISIONS[name], "trainer": train.REVISION}
    return found | {"anti_transfer": orthogonal.REVISION} if spec.anti_transfer else found


def evaluation_batch(spec: RunSpec) -> int:
    """Neighbours a batch when the test side is scored; 0, batches of like length, where padding cannot change a score."""
    return spec.training.batch_size if "unmasked_padding" in spec.leaks else 0


def identify(spec: RunSpec, corpus: corpora.Corpus, roots: Mapping[str, str | Path] | None = None) -> str:
    """`run_id` of a spec on a corpus (audio ids filled); it changes with those of its parents, whose corpora lie in `roots`."""
    return run_id(spec, fingerprint(spec, corpus, roots), revisions(spec))


def fingerprint(spec: RunSpec, corpus: corpora.Corpus, roots: Mapping[str, str | Path] | None = None) -> str:
    """Of the recordings that a run learns from: those of its corpus, and those of its parents where it has some."""
    if not spec.parents:
        return corpus.fingerprint()
    return digest([corpus.fingerprint(), *(fingerprint(parent, corpus_of(parent, roots), roots) for parent in spec.parents)])


def run_one(
    spec: RunSpec, roots: Mapping[str, str | Path] | None = None, store: RunStore | None = None, progress: bool = False, sweep: str = ""
) -> dict[str, Any]:
    """Do a run, or find it done.

    A run that was interrupted goes on from its last epoch. The test side is scored once, after the best epoch is chosen.

    Args:
        spec: the run.
        roots: corpus name -> folder; without it `$SERCORE_CORPORA/<name>`.
        store: where the run is kept; None takes the default store.
        progress: show a bar over epochs.
        sweep: which sweep this is part of; empty outside of one.

    Returns:
        The record: run_id, spec, labels, uar, accuracy, best epoch, time, memory, device, versions, fingerprints, leaks found.

    Raises:
        SercoreError: the corpus, split or spec is wrong, or a parent has heard the test side undeclared; nothing is written.
        StoreError: the stored run is damaged, a parent is not finished, or another process is doing it (BusyError).
        MemoryError: in this sweep the run was ended once already, as the kernel killed processes for lack of memory.
    """
    store = store or RunStore()
    corpus = corpus_of(spec, roots)
    name = identify(spec, corpus, roots)
    if (record := store.finished(name)) is not None:
        return record
    parents = _finished_parents(spec, roots, store)
    prepared = prepare(spec, corpus)
    heard = pretraining.refuse_undeclared(spec, corpus, prepared.plan.test, roots)
    with store.writing(name) as folder, resources.PeakMemory(_where(spec)) as peak:
        if (record := store.finished(name)) is not None:  # by another process, since it was looked for
            return record
        sitting = store.sit(name, sweep)
        if sitting.short_of_memory:
            raise MemoryError("it was ended in mid-run, and the kernel has killed a process for lack of memory meanwhile")
        write_json(folder / "spec.json", spec.canonical())
        started = time.perf_counter()
        system = _run_baseline if spec.model.name in BASELINES else _run_network
        scores, found = system(spec, prepared, folder, progress, parents, store)
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
            "overlaps_found": [*prepared.plan.found, *(["pretraining_overlap"] if heard else [])],
            "overlaps_checked": [*prepared.plan.checked, *(["pretraining_overlap"] if parents else [])],
            "data_fingerprint": fingerprint(spec, corpus, roots),
            "split_fingerprint": prepared.plan.fingerprint,
            **({"corpus_fingerprint": corpus.fingerprint(), "parents": parents} if parents else {}),
            # training time over all sittings of a resumed run; this sitting's time where nothing is trained
            "seconds": round(sum(row["seconds"] for row in history) or time.perf_counter() - started, 3),
            "seconds_per_epoch": round(sum(row["seconds"] for row in history) / len(history), 4) if history else None,
            "sittings": sitting.number,
            **found,
            **peak.row(),
            **_provenance(spec),
        }
        store.finish(name, record)
    return record


def _finished_parents(spec: RunSpec, roots: Mapping[str, str | Path] | None, store: RunStore) -> list[str]:
    """Run ids of the runs that this one starts from; a damaged or missing one is an error."""
    ids = [identify(parent, corpus_of(parent, roots), roots) for parent in spec.parents]
    if missing := [name for name in ids if store.finished(name) is None]:
        raise StoreError(f"the parent {missing[0]} is not finished: run it first, as a sweep does")
    return ids


def _run_network(
    spec: RunSpec, prepared: Prepared, folder: Path, progress: bool, parents: Sequence[str], store: RunStore
) -> tuple[np.ndarray, dict[str, Any]]:
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    where = device()
    try:
        seed = batching.derive_seed(spec.seed, spec.split.fold)
        torch.manual_seed(batching.derive_seed(seed, "initial weights"))
        n_frames, n_features = prepared.train.frames[0].shape
        model = models.build_for(spec, n_features, len(prepared.labels), n_frames)
        _start_from_parent(spec, model, prepared, parents, store)
        model, term = model.to(where), None
        similar: dict[str, float] = {}
        if spec.anti_transfer:
            against = parents[len(parents) - len(spec.orthogonal) :]
            term, similar = orthogonal.term_of(spec, prepared, model, against, store, where, tqdm.write if progress else lambda _: None)
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
                term=term,
            )
        scores = batching.predict_logits(model, prepared.test.frames, where, evaluation_batch(spec))
        scores = batching.by_recording(scores, prepared.test.recordings)
        learned = {f"{side}_accuracy": _accuracy(model, getattr(prepared, side), where, evaluation_batch(spec)) for side in LEARNED}
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
        **learned,
        **({"similarity_before": similar} if similar else {}),
        **resources.of_frames(model, [*prepared.train.frames, *prepared.validation.frames, *prepared.test.frames], where),
        "input_shape": [n_frames, n_features],  # of the first training item; the others may have other numbers of frames
    }


def _accuracy(model: nn.Module, side: batching.Examples, where: torch.device, batch: int) -> float:
    """Share of right answers on a side whose labels are known, of recordings where they are cut."""
    assert side.labels is not None
    scores = batching.by_recording(batching.predict_logits(model, side.frames, where, batch), side.recordings)
    truth = side.labels if side.recordings is None else side.labels[np.unique(side.recordings, return_index=True)[1]]
    return metrics.accuracy(truth, scores.argmax(axis=1))


def _start_from_parent(spec: RunSpec, model: nn.Module, prepared: Prepared, parents: Sequence[str], store: RunStore) -> None:
    """Weights of the first parent, where the spec says so, and what of them stays as it is."""
    if spec.model.initial_weights == "random":
        return
    weights = store.path(parents[0]) / "weights.safetensors"
    initial_weights.take_over(model, weights, features_only=spec.model.initial_weights == "parent_features")
    if spec.model.frozen_until:
        initial_weights.freeze_until(model, spec.model.frozen_until, *batching.padded(prepared.train.frames[:2]))


class _Silent:
    """Stands in for a progress bar where none is wanted."""

    n = 0

    def __enter__(self) -> _Silent:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def update(self, steps: int) -> None:
        """Do nothing."""


def _run_baseline(
    spec: RunSpec, prepared: Prepared, folder: Path, progress: bool, parents: Sequence[str], store: RunStore
) -> tuple[np.ndarray, dict[str, Any]]:
    del folder, progress, parents, store
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
        machine = baselines.fit_functionals_svm(
            train_x, train_y, validation_x, validation_y, batching.derive_seed(spec.seed, spec.split.fold)
        )
        scores, chosen = _in_order(machine, test_x, prepared.labels), machine.predict(validation_x)
    return scores, {"history": [], "best_epoch": 0, "validation_uar": metrics.uar(validation_y, chosen), "parameters": None}


def _in_order(machine: baselines.FunctionalsSVM, x: np.ndarray, labels: list[str]) -> np.ndarray:
    """Scores with one column a class of the task; a class that no training item had gets a score below all others."""
    known = list(machine.labels)
    scores = machine.scores(x)
    return np.stack([scores[:, known.index(k)] if k in known else np.full(len(x), scores.min() - 1) for k in labels], axis=1)


def _where(spec: RunSpec) -> torch.device:
    return torch.device("cpu") if spec.model.name in BASELINES else device()


def _provenance(spec: RunSpec) -> dict[str, Any]:
    where = _where(spec)
    commit, clean = _code_state()
    return {
        "device": torch.cuda.get_device_name(where) if where.type == "cuda" else "cpu",
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
