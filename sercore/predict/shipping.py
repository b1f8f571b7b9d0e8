"""The shipped models, made from published runs: weights, novelty statistics, and how often the novelty check fires on what.

A shipped model is a folder: `model.json` (which runs, from which revision; checksums; measured rates), `runs/<run id>/` (record and
weights, as the run store has them), `novelty.safetensors`, `heard.csv` (which recording was on which side) and the model card.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save_file

import sercore
from sercore import experiment, metrics, prepare, signals
from sercore.data.corpora import Corpus
from sercore.data.splits import SCHEMES
from sercore.errors import StoreError
from sercore.features.cache import corpus_features
from sercore.predict import novelty, sounds
from sercore.predict.hearing import judge
from sercore.predict.novelty import Facts, Finding
from sercore.predict.recording import gather, opened
from sercore.predict.scoring import class_logits, class_scores, frames_for
from sercore.predict.trained import FORMAT, SHIPPED, Trained, load_shipped, training_side
from sercore.progress import bar
from sercore.results import load_results
from sercore.spec import RunSpec
from sercore.store import RunStore, write_json


@dataclass(frozen=True)
class Recipe:
    """Which published runs a shipped model is made of: all folds of one seed of a group, fixed beforehand, never by score."""

    chapter: str
    group: str
    seed: int = 0


RECIPES = {
    "ravdess": Recipe("reslstm_sa", "ravdess.reslstm_sa_h64.definition.strict.luna_jimenez_5"),
    "emodb": Recipe("reslstm_sa", "emodb.reslstm_sa_h64.definition.strict.pairs_5"),
}
#: Folders of sounds beside a corpus that are known by name, for the card.
KNOWN_SOUNDS = {
    "ravdess": "acted English speech (RAVDESS)",
    "emodb": "acted German speech (EmoDB)",
    "esc10": "environmental sounds of ten kinds (a sample of ESC-10)",
    "fsdd": "single spoken digits at 8 kHz (Free Spoken Digit Dataset)",
    "speech_commands": "single English words of many speakers (a sample of Speech Commands)",
}
#: At most so many recordings of a folder are measured, evenly spread over its sorted names.
MEASURED = 300


def ship(
    name: str, roots: Mapping[str, str | Path], beside: Path | None = None, store: RunStore | None = None, folder: Path | None = None
) -> Path:
    """Make a shipped model from its published runs, beside, and move it into place.

    Args:
        name: key of RECIPES.
        roots: corpus name -> folder of the recordings.
        beside: folder whose sub-folders hold other sounds; the novelty check is measured on each. None measures made sounds alone.
        store: that holds the runs; None takes the default store.
        folder: of the shipped models; None takes the package's.

    Returns:
        The model's folder; its card is written by `sercore.pages.model_card`.

    Raises:
        StoreError: no such recipe; its runs are not published whole, came from code that was not committed or from another revision,
            are damaged or not in the store, or do not give their stored scores on the recordings at hand.
    """
    if name not in RECIPES:
        raise StoreError(f"no recipe is written for a shipped model {name!r}; known: {', '.join(RECIPES)}")
    recipe, store, folder = RECIPES[name], store or RunStore(), folder or SHIPPED
    corpus_name = recipe.group.partition(".")[0]
    corpus = prepare.load_corpus(corpus_name, str(roots.get(corpus_name, "")))
    records = _published(recipe, store, str(roots.get(corpus_name, "")))
    work = folder / f".{name}.{os.getpid()}"
    shutil.rmtree(work, ignore_errors=True)
    try:
        facts = _corpus_facts(corpus)
        card = _write_model(work, name, recipe, records, corpus, facts, store)
        write_json(work / "model.json", card)
        trained = load_shipped(work.name, folder)
        card["novelty"]["rates"] = _held_out_rates(trained, corpus, facts, store) + _other_rates(trained, corpus_name, beside)
        card["cross_corpus"] = _cross_corpus(trained, corpus_name, beside)
        write_json(work / "model.json", card)
        if (old := folder / name / "MODEL_CARD.md").exists():
            shutil.copy(old, work)
        shutil.rmtree(folder / name, ignore_errors=True)
        os.replace(work, folder / name)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return folder / name


def _published(recipe: Recipe, store: RunStore, root: str) -> list[dict[str, Any]]:
    """Records of the recipe's runs, in the order of folds, each one checked."""
    results = load_results(recipe.chapter)
    rows = results.runs[results.runs["group"].eq(recipe.group) & results.runs["seed"].eq(recipe.seed)].sort_values("fold")
    folds = SCHEMES[recipe.group.rpartition(".")[2]][0]
    if rows["fold"].tolist() != list(range(folds)):
        raise StoreError(
            f"seed {recipe.seed} of {recipe.group} is not published in all {folds} folds: `sercore publish {recipe.chapter}` first"
        )
    records = []
    for row in rows.to_dict("records"):
        run_id = row["run_id"]
        if (record := store.finished(run_id)) is None:
            raise StoreError(f"the published run {run_id} is not in the store {store.folder}: name the store that has it in SERCORE_STORE")
        if not (record["code_clean"] and row["code_clean"] and record["code_commit"]):
            raise StoreError(f"run {run_id} came from code that was not committed: commit, run again and publish")
        if any(record[key] != row[key] for key in ("code_commit", "data_fingerprint", "split_fingerprint", "finished_at")):
            raise StoreError(
                f"run {run_id} of the store is not the one that was published (another commit, data, split or time): publish again"
            )
        if record["revisions"] != (now := experiment.revisions(RunSpec.model_validate(record["spec"]))):
            raise StoreError(f"run {run_id} was made by revisions {record['revisions']}, the code is at {now}: run again and publish")
        signals.replay(run_id, root, store)
        records.append(record)
    return records


def _corpus_facts(corpus: Corpus) -> dict[str, Facts]:
    rows = corpus.items.to_dict("records")
    return {row["item_id"]: novelty.facts(*corpus.waveform(row)) for row in bar(rows, label=f"levels of {corpus.name}")}


def _write_model(
    work: Path, name: str, recipe: Recipe, records: Sequence[dict], corpus: Corpus, facts: Mapping[str, Facts], store: RunStore
) -> dict[str, Any]:
    """Every file of the folder but model.json, whose content is returned."""
    arrays: dict[str, np.ndarray] = {}
    sides: dict[str, list[str]] = {}
    networks = []
    for record in records:
        run_id, spec = record["run_id"], RunSpec.model_validate(record["spec"])
        _, normaliser, _ = signals.load_network(run_id, store)
        familiar, heard = training_side(corpus, spec, normaliser, facts)
        if familiar is None:
            raise StoreError(f"run {run_id} was trained on one speaker, so what is unlike its training side cannot be told: ship another")
        for key in ("mean", "deviation", "precision"):
            arrays[f"fold_{spec.split.fold}.{key}"] = np.ascontiguousarray(getattr(familiar, key))
        for audio_id, letter in heard.items():
            sides.setdefault(audio_id, []).append(letter)
        target = work / "runs" / run_id
        target.mkdir(parents=True)
        shutil.copyfile(store.path(run_id) / "weights.safetensors", target / "weights.safetensors")
        weights = record["files"]["weights.safetensors"]
        write_json(target / "record.json", {**record, "files": {"weights.safetensors": weights}})
        networks.append({"fold": spec.split.fold, "run_id": run_id, "sha256": weights, "familiar": familiar.numbers()})
    save_file(arrays, work / "novelty.safetensors")
    (work / "heard.csv").write_text(
        "".join(["audio_id,sides\n", *(f"{audio_id},{''.join(letters)}\n" for audio_id, letters in sorted(sides.items()))])
    )
    files = {file: hashlib.sha256((work / file).read_bytes()).hexdigest() for file in ("novelty.safetensors", "heard.csv")}
    return {
        "format": FORMAT,
        "name": name,
        "chapter": recipe.chapter,
        "group": recipe.group,
        "seed": recipe.seed,
        "labels": records[0]["labels"],
        "sercore": sercore.__version__,
        "networks": networks,
        "files": files,
        "novelty": {"quantile": novelty.QUANTILE, "rates": []},
    }


def _rate(what: str, kind: str, findings: Sequence[Sequence[Finding]]) -> dict[str, Any]:
    """How many recordings each check fired on; `any` counts recordings on which at least one did."""
    fired = Counter(finding.check for found in findings for finding in found)
    row = {"sounds": what, "kind": kind, "recordings": len(findings), "any": sum(bool(found) for found in findings)}
    return row | {check: fired[check] for check in novelty.CHECKS}


def _held_out_rates(trained: Trained, corpus: Corpus, facts: Mapping[str, Facts], store: RunStore) -> list[dict[str, Any]]:
    """False alarms: each fold's check on the recordings of its own test speakers, whom it has not seen; all together, then by fold."""
    rows, everything = [], []
    features = corpus_features(corpus, trained.spec.features)
    for network in trained.networks:
        alone = replace(trained, networks=(network,))
        tested = store.predictions(network.run_id)["item_id"].tolist()
        found = [judge(alone, features[i], facts[i])[1] for i in tested]
        rows.append(_rate(f"{corpus.name}, test speakers of fold {network.fold}", "false alarms", found))
        everything += found
    return [_rate(f"{corpus.name}, test speakers of all folds", "false alarms", everything), *rows]


def _other_rates(trained: Trained, own: str, beside: Path | None) -> list[dict[str, Any]]:
    """Hits: the check of all networks together on everything that is not the training corpus."""
    rows = []
    for sound, waveforms in _others(own, beside):
        findings = []
        for waveform in bar(waveforms, label=sound):
            samples, rate_hz = waveform()
            findings.append(judge(trained, frames_for(trained, samples, rate_hz), novelty.facts(samples, rate_hz))[1])
        rows.append(_rate(sound, "hits", findings))
    return rows


def _others(own: str, beside: Path | None) -> Iterator[tuple[str, list[Callable[[], tuple[np.ndarray, int]]]]]:
    for path in sorted(p for p in (beside.iterdir() if beside else ()) if p.is_dir() and p.name != own):
        files = gather([path])
        chosen = [files[int(i)] for i in np.linspace(0, len(files) - 1, min(MEASURED, len(files))).round()]
        yield path.name, [lambda file=file: _read(file) for file in chosen]  # type: ignore[misc]
    for kind in sounds.KINDS:
        yield kind, [lambda wave=wave: (wave, sounds.RATE_HZ) for wave in sounds.made(kind)]  # type: ignore[misc]


def _read(path: Path) -> tuple[np.ndarray, int]:
    recording = opened(path)
    return recording.samples(), recording.sample_rate_hz


def _cross_corpus(trained: Trained, own: str, beside: Path | None) -> list[dict[str, Any]]:
    """UAR on another emotional corpus, over the emotions that both have; any other answer counts as wrong."""
    rows = []
    for name in sorted({recipe.group.partition(".")[0] for recipe in RECIPES.values()} - {own}):
        if beside is None or not (beside / name).is_dir():
            continue
        corpus = prepare.load_corpus(name, str(beside / name))
        shared = [label for label in trained.labels if label in set(corpus.items["emotion"])]
        items = corpus.items[corpus.items["emotion"].isin(shared)]
        frames = [frames_for(trained, *corpus.waveform(row)) for row in bar(items.to_dict("records"), label=f"emotions of {name}")]
        features = trained.spec.features
        logits = [class_logits(n, n.normaliser.apply(frames), features, together=True) for n in trained.networks]
        scores = class_scores(np.stack(logits)).mean(axis=0)
        said = np.array(trained.labels)[scores.argmax(axis=1)].tolist()
        uar = _uar(items["emotion"], said, shared)
        per_speaker = {s: _uar(part["emotion"], part["said"], shared) for s, part in items.assign(said=said).groupby("speaker")}
        row = {"corpus": name, "emotions": shared, "recordings": len(items), "speakers": items["speaker"].nunique(), "uar": uar}
        rows.append(row | {"lowest_speaker": min(per_speaker.values()), "highest_speaker": max(per_speaker.values())})
    return rows


def _uar(truth: pd.Series, said: Sequence[str], shared: Sequence[str]) -> float:
    return float(metrics.uar(truth, said, labels=[label for label in shared if truth.eq(label).any()]))
