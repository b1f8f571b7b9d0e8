"""Unit Gram matrices of a frozen network, computed once and kept: the loss of thesis ch. 5 without its second network.

The thesis names the idea and its limit (Sec. 5.4.7): it holds only while every item reaches the network as it did when they were computed.
So a file belongs to a network's weights, a tap, a key of the features and a list of items; whoever opens it says that nothing moves the
inputs; and every item is recognised by a checksum of its input whenever it is used.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor, nn

from sercore.losses.frozen import weights_hash
from sercore.losses.gram import Unit
from sercore.losses.gram_file import CacheKey, Inputs, Layout, Writer, checksums


class GramCache:
    """An open file of unit Gram matrices, or of the unit features that stand for them where they are smaller (thesis, Sec. 5.4.7).

    Made by `build` and `open`. The file is a plain array of float32, one row an item, read as it is needed.

    Attributes:
        path: the file.
        key: what it belongs to.
        layout: what a row is.
        silent: items whose features are all zero; the loss passes them by.
    """

    def __init__(self, path: Path, key: CacheKey, layout: Layout, about: dict) -> None:
        self.path, self.key, self.layout, self.silent = path, key, layout, list(about["silent"])
        self._row = {item: row for row, item in enumerate(about["items"])}
        self._checksums = np.array(about["checksums"], np.int64)
        self._places = layout.unpacking()
        found = path.stat().st_size
        if found != layout.size_bytes(len(self)):
            raise ValueError(f"{path} has {found} bytes instead of {layout.size_bytes(len(self))}: remove it and its .json, and build anew")
        self._values = np.load(path, mmap_mode="r", allow_pickle=False)

    def __len__(self) -> int:
        return len(self._row)

    @classmethod
    def build(
        cls,
        folder: Path,
        key: CacheKey,
        network: nn.Module,
        items: Sequence[str],
        inputs: Inputs,
        *,
        augmentation: bool,
        trainable_encoder: bool,
        batch_size: int = 16,
        say: Callable[[str], None] = print,
    ) -> GramCache:
        """Open the file of these items; compute and write it first where it is missing or unfinished (thesis, Sec. 5.4.7).

        What was written before an interruption is kept as far as it is whole. Another process that is at the same file is waited for.

        Args:
            folder: where such files are kept.
            key: what the file belongs to.
            network: frozen.
            items: ids, each once, in any order.
            inputs: gives a batch of items as training will: x, shape (B, ...), float32, and lengths, shape (B,), or None.
            augmentation: whether training draws inputs anew.
            trainable_encoder: whether something before the network learns.
            batch_size: items computed at once.
            say: told the size on the disk beforehand, and from where an interrupted file goes on.

        Raises:
            ValueError: augmentation or a trainable encoder; weights that are not those of the key; no items, or one named twice; a tap that
                does not exist; maps of unlike size; features that are not finite (names the item), or all zero for every item.
            OSError: the disk has not the room.
        """
        _inputs_stay(augmentation, trainable_encoder)
        if len(set(items)) != len(items) or not len(items):
            raise ValueError("the items of a cache must be at least one, each named once")
        path = Path(folder) / key.file_name(items)
        if not _page(path).exists():
            found = weights_hash(network)
            if found != key.weights:
                raise ValueError(f"the frozen network has the weights {found}, and the cache is to belong to {key.weights}")
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_suffix(".lock")):
                if not _page(path).exists():
                    Writer(path, key, network, items, inputs, say).run(batch_size)
        return cls.open(folder, key, items, augmentation=augmentation, trainable_encoder=trainable_encoder)

    @classmethod
    def open(cls, folder: Path, key: CacheKey, items: Sequence[str], *, augmentation: bool, trainable_encoder: bool) -> GramCache:
        """Open a finished file without the network that it was made by; arguments as `build` (thesis, Sec. 5.4.7).

        Raises:
            ValueError: augmentation or a trainable encoder; there is no such file (names what is otherwise in those that are there), it is
                not as long as it was, or what stands beside it cannot be read.
        """
        _inputs_stay(augmentation, trainable_encoder)
        path = Path(folder) / key.file_name(items)
        if not _page(path).exists() or not path.exists():
            raise ValueError(
                f"{folder} holds no unit Gram matrices of {key} for these {len(items)} items{_others(path, key, items)}: build them"
            )
        try:
            about = json.loads(_page(path).read_text(encoding="utf-8"))
            layout = Layout(about["kind"], about["channels"], about["positions"])
        except (json.JSONDecodeError, KeyError) as error:
            raise ValueError(f"{_page(path)} cannot be read ({error!r}): remove it, and build anew") from error
        return cls(path, key, layout, about)

    def unit(self, items: Sequence[str], x: Tensor, lengths: Tensor | None = None) -> Unit:
        """What the frozen network contributes for a batch (thesis Eq. 5.2).

        Args:
            items: ids of the batch.
            x: its input, shape (B, ...), float32; its checksums are compared with those of the time of building.
            lengths: frames of each item, shape (B,), integers; what stands beyond them is not looked at.

        Returns:
            Unit Gram matrices (B, C, C) or unit features (B, C, N), float32, on the device of x.

        Raises:
            ValueError: an item is not in the file, or its input is another than it was.
        """
        unknown = [item for item in items if item not in self._row]
        if unknown or len(items) != len(x):
            named = f"it has no {', '.join(unknown[:3])}" if unknown else f"{len(items)} items were named for {len(x)} inputs"
            raise ValueError(f"{self.path} holds unit Gram matrices of {len(self)} items: {named}")
        rows = [self._row[item] for item in items]
        changed = [item for item, row, found in zip(items, rows, checksums(x, lengths), strict=True) if self._checksums[row] != found]
        if changed:
            raise ValueError(
                f"the input of {', '.join(changed[:3])} is not what it was when {self.path} was built: with augmentation, a trainable "
                f"encoder or other features the frozen network must run at every step"
            )
        values = torch.from_numpy(self._values[rows]).to(x.device)
        if self._places is None:
            return Unit("features", values.view(len(rows), self.layout.channels, -1))
        self._places = self._places.to(x.device)
        return Unit("gram", values.index_select(1, self._places).view(len(rows), self.layout.channels, -1))


def _inputs_stay(augmentation: bool, trainable_encoder: bool) -> None:
    moving = [name for name, there in (("augmentation", augmentation), ("a trainable encoder", trainable_encoder)) if there]
    if moving:
        raise ValueError(
            f"no cache of unit Gram matrices with {' and '.join(moving)}: inputs change, so the frozen network must run at every step"
        )


def _page(path: Path) -> Path:
    """Beside the array: what it belongs to. It is written last, so where it stands the array is whole."""
    return path.with_suffix(".json")


def _others(path: Path, key: CacheKey, items: Sequence[str]) -> str:
    """What is otherwise in the file of that folder that comes nearest."""
    nearest: list[str] = []
    for page in sorted(path.parent.glob("*.json")):
        try:
            about = json.loads(page.read_text(encoding="utf-8"))
        except json.JSONDecodeError:
            continue
        unlike = [f"{name} {about.get(name)}" for name, wanted in asdict(key).items() if about.get(name) != wanted]
        unlike += ["other items"] if about.get("items") != sorted(items) else []
        nearest = min(nearest or unlike, unlike, key=len)
    return f" (there is one of {', '.join(nearest)})" if nearest else ""
