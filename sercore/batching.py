"""Items of one side of a split, the batches that they come in, and a network's logits of them."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

#: Batches whose items are sorted by length together. More would pad less and shuffle less: a bucket that holds the whole corpus would
#: make the same batches in every epoch.
BUCKET_BATCHES = 4
_EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Examples:
    """Frames and labels of one side of a split.

    Attributes:
        frames: one array an item, shape (T_i, d), float32; an item is a recording, or a segment of one.
        labels: class numbers, shape (N,), int64, or None where labels are sealed.
        recordings: number of the recording that each item is of, 0, 1, ... without a gap, shape (N,); None where each is one.
        ids: name of each item; empty where nobody asks.
    """

    frames: Sequence[np.ndarray]
    labels: np.ndarray | None
    recordings: np.ndarray | None = None
    ids: Sequence[str] = ()

    def __post_init__(self) -> None:
        for what, values in (("labels", self.labels), ("recordings", self.recordings), ("ids", self.ids or None)):
            if values is not None and len(values) != len(self.frames):
                raise ValueError(f"{len(self.frames)} items but {len(values)} {what}")


def derive_seed(*parts: object) -> int:
    """A seed in [0, 2^31) from any mix of words and numbers; equal parts give equal seeds on every machine.

    Example:
        >>> derive_seed(0, "batches", 1) == derive_seed(0, "batches", 1) != derive_seed(0, "batches", 2)
        True
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:4], "big") % 2**31


def batches(lengths: np.ndarray, batch_size: int, seed: int, by_length: bool = True) -> list[np.ndarray]:
    """Item numbers of each batch of an epoch: shuffled, sorted by length inside buckets, batches shuffled again.

    Args:
        lengths: frames of each item, shape (N,).
        batch_size: items a batch; the last batches may be smaller, none has a single item (batch statistics need two).
        seed: of the two shuffles.
        by_length: False leaves the sorting out.

    Returns:
        A list of index arrays that hold each item once.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    if by_length:
        bucket = batch_size * BUCKET_BATCHES
        order = np.concatenate([b[np.argsort(lengths[b], kind="stable")] for b in np.split(order, range(bucket, len(order), bucket))])
    cut = np.split(order, range(batch_size, len(order), batch_size))
    if len(cut) > 1 and len(cut[-1]) == 1:
        cut[-2:] = [np.concatenate(cut[-2:])]
    return [cut[i] for i in rng.permutation(len(cut))]


def padded(frames: Sequence[np.ndarray], device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """A batch: frames padded with zeros at the end to the longest item.

    Args:
        frames: B arrays of shape (T_i, d), float32.
        device: where the batch goes.

    Returns:
        `(x, lengths)`: shapes (B, T, d), float32, and (B,), int64.
    """
    lengths = torch.tensor([len(f) for f in frames])
    x = nn.utils.rnn.pad_sequence([torch.from_numpy(f) for f in frames], batch_first=True)
    return x.to(device, non_blocking=True), lengths.to(device, non_blocking=True)


@torch.no_grad()
def predict_logits(
    model: nn.Module, frames: Sequence[np.ndarray], device: torch.device | str = "cpu", batch_as_given: int = 0
) -> np.ndarray:
    """Logits of items, in the order given, in evaluation mode; the model's mode is restored.

    Args:
        model: `model(x (B, T, d), lengths (B,)) -> (B, C)`.
        frames: N arrays of shape (T_i, d).
        device: where the model is.
        batch_as_given: take batches of this many neighbours instead of items of like length: it changes the logits of a network that
            counts padding, and of no other; 0 batches by length.

    Returns:
        Shape (N, C), float32.
    """
    was_training = model.training
    model.eval()
    order = np.arange(len(frames)) if batch_as_given else np.argsort([len(f) for f in frames], kind="stable")
    out: list[np.ndarray] = [np.empty(0)] * len(frames)
    size = batch_as_given or _EVALUATION_BATCH
    for start in range(0, len(order), size):
        chosen = order[start : start + size]
        logits = model(*padded([frames[i] for i in chosen], device)).float().cpu().numpy()
        for i, row in zip(chosen, logits, strict=True):
            out[i] = row
    model.train(was_training)
    return np.stack(out)


def by_recording(logits: np.ndarray, recordings: np.ndarray | None) -> np.ndarray:
    """Logits of recordings: means over the segments of each.

    Args:
        logits: of items, shape (N, C).
        recordings: number of the recording of each item, shape (N,); None where items are recordings.

    Returns:
        Shape (R, C), in the order of the numbers.

    Example:
        >>> by_recording(np.array([[1.0, 0.0], [0.0, 1.0], [2.0, 3.0]]), np.array([0, 0, 1])).tolist()
        [[0.5, 0.5], [2.0, 3.0]]
    """
    if recordings is None:
        return logits
    sums = np.zeros((recordings.max() + 1, logits.shape[1]), logits.dtype)
    np.add.at(sums, recordings, logits)
    return sums / np.bincount(recordings)[:, None].astype(logits.dtype)
