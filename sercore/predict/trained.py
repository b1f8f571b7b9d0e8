"""Trained networks by name: those that ship with the project, and finished runs of the store."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load_file
from torch import nn

from sercore import experiment, prepare, signals
from sercore.data.card import Card, card_names, load_card
from sercore.data.corpora import Corpus
from sercore.data.items import EMOTIONS
from sercore.data.splits import split_plan
from sercore.errors import CorpusError, StoreError
from sercore.features.cache import corpus_features
from sercore.features.normaliser import Normaliser
from sercore.predict import novelty
from sercore.predict.novelty import Facts, Familiar
from sercore.spec import RunSpec
from sercore.store import RunStore

SHIPPED = Path(__file__).resolve().parents[1] / "shipped"
#: Layout of a shipped model's folder; a newer one is refused.
FORMAT = 1
#: Without training durations: up to here a recording is answered for as a whole.
WHOLE_UP_TO_S = 10.0
_BROKEN = "install sercore again, or restore the folder from git"
#: Letter of a shipped model's table -> side of a split.
SIDES = {"t": "train", "v": "validation", "e": "test"}


@dataclass(frozen=True)
class Network:
    """One trained network.

    Attributes:
        run_id, fold: which run made it.
        model: on the CPU, in evaluation mode.
        normaliser: that its inputs go through.
        familiar: statistics of its training side; None where they are not known.
    """

    run_id: str
    fold: int
    model: nn.Module
    normaliser: Normaliser
    familiar: Familiar | None = None


@dataclass(frozen=True)
class Trained:
    """Networks that answer together: one run, or the folds of a shipped model (their class scores are averaged).

    Attributes:
        name: as it was asked for; `networks`: one or more; `spec`: of the first; `labels`: the K classes in order.
        heard: audio id -> side of the split in each network, one letter a network (SIDES); None where it is not known.
        shipped: is it a shipped model.
        own_card: of a training corpus of one's own, which has no card in the package.
    """

    name: str
    networks: tuple[Network, ...]
    spec: RunSpec
    labels: tuple[str, ...]
    heard: Mapping[str, str] | None
    shipped: bool
    own_card: Card | None = None

    @property
    def sample_rate_hz(self) -> int:
        """Rate of the training corpus: recordings are brought to it; 0 where those of the corpus have many."""
        return (self.own_card or load_card(self.spec.data.corpus)).sample_rate_hz

    @property
    def segment_s(self) -> float:
        """Length of the segments that recordings are cut into, in seconds; 0 where the networks read them whole."""
        return self.spec.features.segment_s

    @property
    def whole_up_to_s(self) -> float:
        """Up to this duration a recording is answered for as a whole: the longest training recording and a fifth more.

        Never more than the length that all recordings are brought to (`pad_to_s`), where there is one.
        """
        known = [network.familiar.longest_s for network in self.networks if network.familiar]
        longest = min(known) * (1 + novelty.DURATION_MARGIN) if known else WHOLE_UP_TO_S
        return min(longest, self.spec.features.pad_to_s or longest)

    def sides_of(self, audio_id: str) -> dict[str, list[int]]:
        """Which folds had this recording on which side: `{"train": [0, 2], "test": [1]}`; empty for one they did not have."""
        found: dict[str, list[int]] = {}
        for network, letter in zip(self.networks, (self.heard or {}).get(audio_id, ""), strict=False):
            found.setdefault(SIDES[letter], []).append(network.fold)
        return found


def shipped_names(folder: Path | None = None) -> list[str]:
    """Names of the models that ship with the project."""
    return sorted(path.parent.name for path in (folder or SHIPPED).glob("*/model.json"))


def find(run: str, roots: Mapping[str, str | Path] | None = None, store: RunStore | None = None, folder: Path | None = None) -> Trained:
    """The trained networks that a name means.

    Args:
        run: name of a shipped model (`ravdess`: its five networks together; `ravdess.fold_2`: one of them), or the id of a finished run
            of the store, or the beginning of one.
        roots: corpus name -> folder: where the recordings of a stored run lie, so that novelty can be judged.
        store: None takes the default store.
        folder: of the shipped models; None takes the package's.

    Raises:
        StoreError: no such name, several runs begin with it, the run is not finished, has no weights, is damaged, comes from another
            revision of the code, or does not predict emotions.
    """
    name, _, fold = run.partition(".fold_")
    if name in shipped_names(folder):
        return _one_fold(load_shipped(name, folder), fold) if fold else load_shipped(name, folder)
    store = store or RunStore()
    return _from_store(_run_id(run, store, folder), roots or {}, store)


def _one_fold(whole: Trained, fold: str) -> Trained:
    folds = [str(network.fold) for network in whole.networks]
    if fold not in folds:
        raise StoreError(f"the shipped model {whole.name} has folds {', '.join(folds)}, not {fold!r}")
    k = folds.index(fold)
    heard = {key: sides[k] for key, sides in (whole.heard or {}).items()}
    return replace(whole, name=f"{whole.name}.fold_{fold}", networks=(whole.networks[k],), heard=heard)


def _run_id(run: str, store: RunStore, folder: Path | None) -> str:
    known = f"shipped models: {', '.join(shipped_names(folder)) or 'none'}; `sercore runs` lists the runs of the store"
    fits = sorted(p.name for p in store.folder.glob("*") if p.is_dir() and p.name.startswith(run)) if re.fullmatch("[0-9a-f]+", run) else []
    finished = [name for name in fits if not name.endswith(".partial")]
    if not fits:
        raise StoreError(f"no run or shipped model is called {run!r}; {known}")
    if not finished:
        raise StoreError(f"the run {fits[0].removesuffix('.partial')} is not finished: run it again, it goes on from its last epoch")
    if len(finished) > 1:
        shown = ", ".join(finished[:4]) + (" ..." if len(finished) > 4 else "")
        raise StoreError(f"{len(finished)} runs begin with {run!r} ({shown}): give more of the name")
    return finished[0]


def _network(run_id: str, fold: int, store: RunStore, familiar: Familiar | None) -> tuple[Network, RunSpec, tuple[str, ...]]:
    model, normaliser, record = signals.load_network(run_id, store)
    spec, labels = RunSpec.model_validate(record["spec"]), tuple(record["labels"])
    now = experiment.revisions(spec)
    then = record["revisions"]
    if differing := [f"{part} {then.get(part)}, now {now[part]}" for part in now if then.get(part) != now[part]]:
        raise StoreError(
            f"run {run_id} was made by other revisions of the code ({'; '.join(differing)}): its weights would be fed what they were not "
            f"trained on; run it again, or take the code of revision {record.get('code_commit', '')[:7] or 'unknown'}"
        )
    if spec.data.task != "emotion" or (outside := sorted(set(labels) - set(EMOTIONS))):
        told = f"its task is {spec.data.task}" if spec.data.task != "emotion" else f"labels outside the map: {', '.join(outside)}"
        raise StoreError(f"run {run_id} does not predict emotions ({told}): name another run")
    return Network(run_id, fold, model, normaliser, familiar), spec, labels


def _from_store(run_id: str, roots: Mapping[str, str | Path], store: RunStore) -> Trained:
    network, spec, labels = _network(run_id, 0, store, None)
    network = replace(network, fold=spec.split.fold)
    try:
        corpus = prepare.corpus_of(spec, roots)
    except CorpusError as error:
        if (own := spec.data.corpus) not in card_names():
            raise StoreError(f"run {run_id} was trained on {own!r}, a corpus of one's own: give --root {own}=DIR ({error})") from error
        return Trained(run_id, (network,), spec, labels, None, False)
    record = store.finished(run_id) or {}
    if corpus.fingerprint() != record.get("corpus_fingerprint", record["data_fingerprint"]):
        return Trained(run_id, (network,), spec, labels, None, False, corpus.card)
    familiar, heard = training_side(corpus, spec, network.normaliser)
    return Trained(run_id, (replace(network, familiar=familiar),), spec, labels, heard, False, corpus.card)


def training_side(
    corpus: Corpus, spec: RunSpec, normaliser: Normaliser, facts: Mapping[str, Facts] | None = None
) -> tuple[Familiar | None, dict[str, str]]:
    """Novelty statistics of a run's training side, as the run dealt it, and which recording was on which side.

    Args:
        corpus: with audio ids; spec, normaliser: of the run.
        facts: item id -> `novelty.Facts`, where they are known already.

    Returns:
        `(familiar, heard)`; familiar is None where one speaker alone trained, as no limit can be set then; heard is audio id -> letter of
        SIDES.
    """
    table = prepare.table_of(spec, corpus)
    items = table.set_index("item_id", drop=False)
    plan = split_plan(table, spec.split, spec.leaks, spec.data.task)
    features = corpus_features(corpus, spec.features)
    learnt_from = [*plan.train, *plan.copies]
    training = items.loc[learnt_from]
    rows = training.to_dict("records")
    known = [facts[row["item_id"]] if facts else novelty.facts(*corpus.waveform(row)) for row in rows]
    sounding = [features[i][novelty.rows_of_sound(features[i], spec.features)] for i in learnt_from]
    familiar = None
    if training["speaker"].nunique() > 1:
        familiar = novelty.fit(normaliser.apply(sounding), training["speaker"].tolist(), known)
        heard_hz = spec.features.sample_rate_hz or familiar.sample_rate_hz  # what lies above, the network never heard
        familiar = replace(familiar, sample_rate_hz=min(heard_hz, familiar.sample_rate_hz))
    letters = {side: letter for letter, side in SIDES.items()}
    order = ("test", "validation", "train")  # the same audio under two names: training decides
    sides = {**plan.sides, "train": learnt_from}
    return familiar, {items.at[i, "audio_id"]: letters[side] for side in order for i in sides[side]}


def load_shipped(name: str, folder: Path | None = None) -> Trained:
    """A shipped model, every file compared with its checksum.

    Args:
        name: one of `shipped_names`.
        folder: None takes the package's.

    Raises:
        StoreError: a file is missing, damaged or of a newer layout, or the code's revisions have changed since.
    """
    home = (folder or SHIPPED) / name
    try:
        card = json.loads((home / "model.json").read_text(encoding="utf-8"))
        if card["format"] > FORMAT:
            raise StoreError(f"the shipped model {name} has layout {card['format']}, this sercore reads {FORMAT}: update sercore")
        for file_name, expected in card["files"].items():
            if hashlib.sha256((home / file_name).read_bytes()).hexdigest() != expected:
                raise StoreError(f"{home.name}/{file_name} of the shipped models is damaged: {_BROKEN}")
        statistics = load_file(home / "novelty.safetensors")
        with open(home / "heard.csv", newline="", encoding="utf-8") as file:
            heard = {row["audio_id"]: row["sides"] for row in csv.DictReader(file)}
        store, loaded = RunStore(home), []
        for network in card["networks"]:
            arrays: dict[str, Any] = {key: statistics[f"fold_{network['fold']}.{key}"] for key in ("mean", "deviation", "precision")}
            _same_weights(store, network)
            loaded.append(_network(network["run_id"], network["fold"], store, Familiar(**arrays, **network["familiar"])))
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise StoreError(f"the shipped model {name} cannot be read ({type(error).__name__}: {error}): {_BROKEN}") from error
    networks, specs, labels = zip(*loaded, strict=True)
    if len(set(labels)) > 1 or list(labels[0]) != card["labels"]:
        raise StoreError(f"the networks of the shipped model {name} do not have the labels of its model.json: {_BROKEN}")
    return Trained(name, networks, specs[0], labels[0], heard, True)


def _same_weights(store: RunStore, network: Mapping[str, Any]) -> None:
    try:
        record = store.finished(network["run_id"])
    except StoreError as error:
        raise StoreError(f"{str(error).partition(': ')[0]}: {_BROKEN}") from error
    if record is None or record["files"].get("weights.safetensors") != network["sha256"]:
        raise StoreError(f"the shipped run {network['run_id']} is missing or holds other weights than model.json names: {_BROKEN}")
