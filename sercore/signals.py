"""What a trained network does with a recording: the few arrays that figures need, from a stored run's weights.

Runs and recordings are found as the run itself found them; a network that does not give the stored scores again is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file
from sklearn.decomposition import PCA
from sklearn.metrics import silhouette_score
from torch import nn

from sercore import models
from sercore.batching import by_recording, padded, predict_logits
from sercore.errors import StoreError
from sercore.experiment import evaluation_batch
from sercore.features.cache import corpus_features
from sercore.features.cepstral import frame_sizes
from sercore.features.normaliser import Normaliser
from sercore.prepare import corpus_of, examples
from sercore.spec import RunSpec
from sercore.store import RunStore
from sercore.threads import one_thread

#: Stages of the forward pass that `signal_flow` gives, in order; a network without the residual layer has the first and the last.
STAGES = ("input", "lstm_1", "sum", "attention")
#: Scores of the same weights may differ in the last digits where the batches or the device are others.
_TOLERANCE = 1e-4
_BATCH = 256


def load_network(run_id: str, store: RunStore | None = None) -> tuple[nn.Module, Normaliser, dict[str, Any]]:
    """The network of a finished run, as its best epoch left it.

    Args:
        run_id: of a run whose system is a network.
        store: where the run lies; None takes the default store.

    Returns:
        `(model, normaliser, record)`: the model on the CPU in evaluation mode; the normaliser that its inputs went through.

    Raises:
        StoreError: no such run is finished, it is no network's, its files are damaged, or its weights do not fit the network.
    """
    store = store or RunStore()
    if (record := store.finished(run_id)) is None:
        raise StoreError(f"no finished run {run_id} in the store: run it first")
    spec, file = RunSpec.model_validate(record["spec"]), store.path(run_id) / "weights.safetensors"
    if spec.model.name not in models.MODELS or not file.exists():
        raise StoreError(f"run {run_id} ({spec.model.name}) has no weights: name a run of {', '.join(models.MODELS)}")
    tensors = load_file(file)
    normaliser = Normaliser(tensors.pop("normaliser.mean").numpy(), tensors.pop("normaliser.deviation").numpy())
    n_frames, n_features = record.get("input_shape") or (0, len(normaliser.mean))
    model = models.build_for(spec, n_features, len(record["labels"]), n_frames)
    try:
        model.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise StoreError(f"the weights of run {run_id} do not fit {spec.model.name}: delete {file.parent.name} and run again") from error
    return model.eval(), normaliser, record


@dataclass(frozen=True)
class Replay:
    """A stored run's test side, seen again.

    Attributes:
        predictions: the stored prediction table.
        frames: normalised frames of its items, in the same order; shapes (T_i, d). Where recordings are cut, of their segments.
        model: the network, in evaluation mode.
        hop_s: seconds from one frame to the next.
        normaliser: what the frames went through.
        recordings: row of `predictions` that each segment is of; None where recordings are whole.
    """

    predictions: pd.DataFrame
    frames: Sequence[np.ndarray]
    model: nn.Module
    hop_s: float
    normaliser: Normaliser
    recordings: np.ndarray | None = None


def replay(run_id: str, root: str | Path = "", store: RunStore | None = None) -> Replay:
    """Scores of a stored run's test side, computed again from its weights and checked against the stored ones.

    Args:
        run_id: of a network's run.
        root: folder of its corpus; empty as `sercore.data.corpora.load`.
        store: None takes the default store.

    Raises:
        StoreError: as `load_network`; or the recordings are not those of the run; or the weights give other scores.
    """
    store = store or RunStore()
    model, normaliser, record = load_network(run_id, store)
    spec = RunSpec.model_validate(record["spec"])
    corpus = corpus_of(spec, {spec.data.corpus: root})
    if corpus.fingerprint() != record.get("corpus_fingerprint", record["data_fingerprint"]):
        raise StoreError(f"run {run_id} was made from other recordings of {spec.data.corpus} than those at hand")
    features, predictions = corpus_features(corpus, spec.features), store.predictions(run_id)
    ids = predictions["item_id"].tolist()
    side = examples(ids, normaliser.apply([features[i] for i in ids]), None, spec.features)
    stored = predictions[[f"score_{label}" for label in record["labels"]]].to_numpy()
    with one_thread():
        found = by_recording(predict_logits(model, side.frames, batch_as_given=evaluation_batch(spec)), side.recordings)
    if not np.allclose(found, stored, atol=_TOLERANCE, rtol=_TOLERANCE):
        off = np.abs(found - stored).max()
        raise StoreError(f"the weights of run {run_id} do not give its stored scores (off by {off:.2g}): delete it and run again")
    rate_hz = spec.features.sample_rate_hz or corpus.card.sample_rate_hz
    return Replay(predictions, list(side.frames), model, frame_sizes(spec.features, rate_hz)[1] / rate_hz, normaliser, side.recordings)


def signal_flow(run_id: str, item_id: str | None = None, root: str | Path = "", store: RunStore | None = None) -> pd.DataFrame:
    """Stages of the forward pass for one test recording.

    Args:
        run_id: of a network's run.
        item_id: one of its test items; None takes the first in sorted order, so no result ever chooses it.
        root, store: as `replay`.

    Returns:
        Tidy rows `run_id, item_id, truth, prediction, stage, frame, time_s, dimension, value`. Stages as STAGES; `time_s` is the middle of
        the frame; the attention weights have the one dimension 0 and sum to 1.

    Raises:
        StoreError: as `replay`, or the item was not tested by this run.
    """
    return _flow(replay(run_id, root, store), item_id)


def embeddings(run_id: str, root: str | Path = "", store: RunStore | None = None) -> pd.DataFrame:
    """Test recordings in two spaces, each seen through its first two principal components.

    The network's embedding is the normalised context that the classifier reads; beside it the normalised input features averaged over time.

    Args:
        run_id, root, store: as `replay`.

    Returns:
        Two rows a test item: `run_id, item_id, speaker, truth, space (embedding | averaged features), pc_1, pc_2, explained_1, explained_2,
        silhouette`. `explained_*` are shares of variance in [0, 1]; `silhouette` in [-1, 1] says how well the true classes part in the
        whole space, not in the picture (0: not at all).

    Raises:
        StoreError: as `replay`.
    """
    return _spaces(replay(run_id, root, store))


def tables(run_id: str, root: str | Path = "", store: RunStore | None = None) -> dict[str, pd.DataFrame]:
    """What a page shows of one run: `signals` and `embeddings`, rounded to four digits; the run is replayed once.

    Arguments and errors as `signal_flow`.
    """
    found = replay(run_id, root, store)
    return {"signals": _flow(found, None).round(4), "embeddings": _spaces(found).round(4)}


def _flow(found: Replay, item_id: str | None) -> pd.DataFrame:
    predictions = found.predictions
    run_id, first = str(predictions["run_id"].iloc[0]), str(min(predictions["item_id"]))
    chosen = item_id or first
    if chosen not in set(predictions["item_id"]):
        raise StoreError(f"run {run_id} did not test {chosen!r}; its first item is {first!r}")
    row = int(np.flatnonzero(predictions["item_id"] == chosen)[0])
    frames = found.frames[row]
    with torch.inference_mode(), one_thread():
        stages = found.model.signals(*padded([frames]))  # type: ignore[operator]
    parts = []
    for stage in (s for s in STAGES if s in stages):
        values = stages[stage][0].double().numpy().reshape(len(frames), -1)  # T x dimensions
        frame, dimension = np.indices(values.shape)
        long = {"frame": frame.ravel(), "time_s": frame.ravel() * found.hop_s, "dimension": dimension.ravel(), "value": values.ravel()}
        parts.append(pd.DataFrame(long).assign(stage=stage))
    whole = pd.concat(parts, ignore_index=True).assign(run_id=run_id, **predictions.iloc[row][["item_id", "truth", "prediction"]])
    return whole[["run_id", "item_id", "truth", "prediction", "stage", "frame", "time_s", "dimension", "value"]]


def _spaces(found: Replay) -> pd.DataFrame:
    chunks = [found.frames[i : i + _BATCH] for i in range(0, len(found.frames), _BATCH)]
    with torch.inference_mode(), one_thread():
        inside = [found.model.signals(*padded(chunk))["embedding"].double().numpy() for chunk in chunks]  # type: ignore[operator]
    spaces = {"embedding": np.concatenate(inside), "averaged features": np.stack([f.mean(axis=0, dtype=np.float64) for f in found.frames])}
    parts = []
    for space, points in spaces.items():
        plane, explained = principal_plane(points)
        table = found.predictions[["run_id", "item_id", "speaker", "truth"]].assign(space=space, pc_1=plane[:, 0], pc_2=plane[:, 1])
        quality = float(silhouette_score(points, found.predictions["truth"]))
        parts.append(table.assign(explained_1=explained[0], explained_2=explained[1], silhouette=quality))
    return pd.concat(parts, ignore_index=True)


def principal_plane(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """First two principal components of centred points, with the largest loading of each made positive.

    Args:
        points: shape (N, D), N and D at least 2.

    Returns:
        `(plane, explained)`: shape (N, 2); shares of variance, shape (2,).

    Example:
        >>> plane, explained = principal_plane(np.array([[0.0, 0.0], [3.0, 1.0], [6.0, 2.0]]))
        >>> explained.round(3).tolist()
        [1.0, 0.0]
    """
    pca = PCA(2, svd_solver="full").fit(points)
    largest = np.abs(pca.components_).argmax(axis=1)
    signs = np.sign(pca.components_[[0, 1], largest])
    return pca.transform(points) * signs, pca.explained_variance_ratio_
