"""How a finished network does when its test recordings are spoken faster or slower: what multi-time-scale convolution is for.

An exploratory measurement: truth and split are those of the stored prediction tables, no network is trained or chosen here, and the sealed
evaluator stays shut. Factors are of the speed: at 1.25 a recording lasts 4/5 as long, its pitch as before.

- Synthetic recordings are rendered anew with the tempo changed alone: the change is exact.
- Real recordings go through a phase vocoder (librosa), at factor 1 too, where it gives the recording back almost as it was. The vocoder
  smears beside 1, so each recording also goes there and back (factor, then 1 / factor): its tempo is then its own, and what the score
  loses is the vocoder's, which has been at work twice.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import nn

from sercore import models
from sercore.batching import padded
from sercore.data.audio import resample
from sercore.data.corpora import CORPORA, Corpus
from sercore.errors import SpecError
from sercore.experiment import device
from sercore.features.cache import frames_of
from sercore.prepare import load_corpus
from sercore.progress import bar
from sercore.results import Results
from sercore.signals import Replay, replay
from sercore.spec import FeatureSpec, RunSpec
from sercore.store import RunStore

#: Of the speed. The thesis' scale factors around 1 that a speaker reaches without effort.
FACTORS = (0.8, 0.9, 1.0, 1.111, 1.25)
#: What is done to a recording; the second only where a vocoder does it.
TEMPO, ROUND_TRIP = "tempo", "there and back"
KEYS = ["group", "system", "settings", "run_id", "fold", "seed", "speaker", "kind", "factor"]
COLUMNS = [*KEYS, "n", "correct", "same", "cut", "change", "cosine"]
_WINDOW_S, _BATCH = 0.064, 16


def stretched(samples: NDArray[np.float32], sample_rate_hz: int, factor: float) -> NDArray[np.float32]:
    """A recording at another speed and its own pitch, by a phase vocoder with windows of about 64 ms.

    Args:
        samples: mono, shape (N,), float32 in [-1, 1].
        sample_rate_hz: in hertz.
        factor: of the speed, above 0.

    Returns:
        Shape (round(N / factor),), float32; peaks may exceed 1 by a little.
    """
    import librosa  # half a second that no other part of the package has to wait for

    window = 2 ** round(math.log2(_WINDOW_S * sample_rate_hz))
    return librosa.effects.time_stretch(samples, rate=factor, n_fft=window).astype(np.float32)


def accuracy_by_tempo(
    run_ids: Sequence[str],
    factors: Sequence[float] = FACTORS,
    root: str | Path = "",
    store: RunStore | None = None,
    per_class: int = 0,
) -> pd.DataFrame:
    """Finished networks on their own test recordings with the tempo changed.

    Args:
        run_ids: of networks on one corpus; runs that tested the same recordings share the work of changing them.
        factors: of the speed, above 0.
        root: folder of the corpus; empty as `sercore.data.corpora.load`.
        store: where the runs lie; None takes the default store.
        per_class: recordings of each speaker and class, the first by name, so that no result chooses them; 0 takes all.

    Returns:
        Columns COLUMNS, one row a run, speaker, kind and factor. Of `n` recordings `correct` are answered rightly and `same` as at the
        recording's own tempo; `cut` were longer than the network's input and lost their end. `change` is the mean distance of the class
        probabilities from those at the own tempo (total variation, in [0, 1]), `cosine` the mean likeness of the embedding (in [-1, 1]).

    Raises:
        SpecError: a factor is not above 0, or the runs are on several corpora.
        StoreError: as `sercore.signals.replay`.
    """
    store = store or RunStore()
    if wrong := [f for f in factors if not (math.isfinite(f) and f > 0)]:
        raise SpecError(f"a tempo factor must be above 0, got {wrong[0]:g}")
    specs = {run_id: store.spec(run_id) for run_id in run_ids}
    if len(names := {spec.data.corpus for spec in specs.values()}) > 1:
        raise SpecError(f"runs on several corpora ({', '.join(sorted(names))}): ask for one after the other")
    if not specs:
        return pd.DataFrame(columns=COLUMNS)
    corpus = load_corpus(names.pop(), str(root))
    sides: dict[tuple[FeatureSpec, tuple[str, ...]], list[str]] = {}
    for run_id, spec in specs.items():
        sides.setdefault((spec.features, _chosen(store.predictions(run_id), per_class)), []).append(run_id)
    kinds = [TEMPO] if _is_rendered(corpus) else [TEMPO, ROUND_TRIP]
    rows, total = [], sum(len(items) for _, items in sides) * len(factors) * len(kinds)
    with bar(total=total, label=f"tempo of {corpus.name}", unit="recording") as shown:
        for (features, items), mine in sides.items():
            versions = {(kind, f): list(_versions(corpus, items, kind, f, features, shown)) for kind in kinds for f in factors}
            for run_id in mine:
                rows += _of_run(replay(run_id, root, store), specs[run_id], items, versions)
    return pd.DataFrame(rows, columns=COLUMNS)


def tempo_table(
    results: Results,
    roots: Mapping[str, str | Path] | None = None,
    factors: Sequence[float] = FACTORS,
    store: RunStore | None = None,
    per_class: int = 0,
) -> pd.DataFrame:
    """`accuracy_by_tempo` of every spectrogram network of a chapter's rows: the table `tempo` of `Results.extras`.

    Args:
        results: whose runs lie in the store.
        roots: corpus name -> folder.
        factors, store, per_class: as `accuracy_by_tempo`.

    Returns:
        Columns COLUMNS; numbers rounded to five digits.
    """
    networks = results.of(system=list(models.SPECTROGRAM))
    parts = [pd.DataFrame(columns=COLUMNS)]
    for corpus in dict.fromkeys(networks.groups["corpus"]):
        run_ids = list(networks.of(corpus=corpus).runs["run_id"])
        parts.append(accuracy_by_tempo(run_ids, factors, (roots or {}).get(corpus, ""), store, per_class))
    return pd.concat([p for p in parts if len(p)] or parts, ignore_index=True).round(5)


@dataclass(frozen=True)
class _Heard:
    """What a network makes of N recordings: class probabilities (N, K), embeddings (N, H), answers (N,)."""

    probabilities: np.ndarray
    embedding: np.ndarray
    answer: np.ndarray


def _is_rendered(corpus: Corpus) -> bool:
    return corpus.name in CORPORA and CORPORA[corpus.name].render is not None


def _chosen(predictions: pd.DataFrame, per_class: int) -> tuple[str, ...]:
    table = predictions.sort_values("item_id")
    table = table.groupby(["speaker", "truth"]).head(per_class) if per_class else table
    return tuple(table["item_id"])


def _versions(
    corpus: Corpus, items: Sequence[str], kind: str, factor: float, features: FeatureSpec, shown: Any
) -> Iterator[tuple[np.ndarray, bool]]:
    """(frames, was it cut) of each recording."""
    by_id = corpus.items.set_index("item_id", drop=False)
    for item in items:
        yield _version(corpus, by_id.loc[item].to_dict(), kind, factor, features)
        shown.update()


def _version(corpus: Corpus, row: dict, kind: str, factor: float, features: FeatureSpec) -> tuple[np.ndarray, bool]:
    if _is_rendered(corpus):
        samples, rate = corpus.waveform({**row, "tempo_factor": factor})
    else:
        samples, rate = corpus.waveform(row)
        if features.sample_rate_hz:
            samples, rate = resample(samples, rate, features.sample_rate_hz), features.sample_rate_hz
        there = stretched(samples, rate, factor)
        samples = there if kind == TEMPO else stretched(there, rate, 1 / factor)[: len(samples)]
    longest = math.floor(features.pad_to_s * rate) if features.pad_to_s else len(samples)
    return frames_of(samples[:longest], rate, features), len(samples) > longest


def _of_run(
    found: Replay, spec: RunSpec, items: Sequence[str], versions: Mapping[tuple[str, float], list[tuple[np.ndarray, bool]]]
) -> list[dict]:
    position = {item: k for k, item in enumerate(found.predictions["item_id"])}
    order = [position[item] for item in items]
    table = found.predictions.iloc[order].reset_index(drop=True)
    own = _hear(found.model, [found.frames[k] for k in order])
    labels = np.array([c.removeprefix("score_") for c in table.columns if c.startswith("score_")])
    about = {"group": spec.group, "system": spec.model.name, "settings": spec.model.settings, "run_id": table["run_id"].iloc[0]}
    about |= {"fold": spec.split.fold, "seed": spec.seed}
    rows = []
    for (kind, factor), made in versions.items():
        now = _hear(found.model, found.normaliser.apply([frames for frames, _ in made]))
        measured = pd.DataFrame(
            {
                "speaker": table["speaker"].astype(str),
                "n": 1,
                "correct": labels[now.answer] == table["truth"],
                "same": now.answer == own.answer,
                "cut": [cut for _, cut in made],
                "change": 0.5 * np.abs(now.probabilities - own.probabilities).sum(axis=1),
                "cosine": _cosine(now.embedding, own.embedding),
            }
        )
        how = {"n": "sum", "correct": "sum", "same": "sum", "cut": "sum", "change": "mean", "cosine": "mean"}
        each = measured.groupby("speaker", sort=True).agg(how).reset_index()
        rows += [about | {"kind": kind, "factor": float(factor)} | row for row in each.to_dict("records")]
    return rows


@torch.inference_mode()
def _hear(model: nn.Module, frames: Sequence[np.ndarray]) -> _Heard:
    logits, inside, where = [], [], device()
    model.to(where)
    for start in range(0, len(frames), _BATCH):
        stages = model.signals(*padded(frames[start : start + _BATCH], where))  # type: ignore[operator]
        logits.append(stages["logits"].cpu().double())
        inside.append(stages["embedding"].cpu().double())
    scores = torch.cat(logits)
    return _Heard(scores.softmax(dim=1).numpy(), torch.cat(inside).numpy(), scores.argmax(dim=1).numpy())


def _cosine(ours: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Of each pair of rows; 1 where both are zero (they are equal), 0 where one is."""
    lengths = np.linalg.norm(ours, axis=1) * np.linalg.norm(other, axis=1)
    both = (np.abs(ours).max(axis=1) == 0) & (np.abs(other).max(axis=1) == 0)
    return np.where(both, 1.0, np.divide((ours * other).sum(axis=1), lengths, out=np.zeros(len(ours)), where=lengths > 0))
