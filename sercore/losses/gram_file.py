"""How unit Gram matrices of a frozen network lie in a file, and how the file is written: thesis, Sec. 5.4.7 ("precompute all needed")."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from sercore.losses.frozen import features_at
from sercore.losses.gram import Kind, by_channel, dual_pays, unit

#: Raised by hand when what stands in a file changes its meaning.
REVISION = 1
#: Gives a batch of items as the network takes it: x, shape (B, ...), and lengths, shape (B,) or None.
Inputs = Callable[[Sequence[str]], tuple[Tensor, Tensor | None]]
#: Odd, high and low bits mixed (64 binary places of the golden ratio, as a signed number): a checksum depends on positions.
_STRIDE = -7046029254386353131
_HEADER_BYTES = 128


@dataclass(frozen=True)
class CacheKey:
    """What a file of unit Gram matrices belongs to (thesis, Sec. 5.4.7).

    Attributes:
        weights: of the frozen network, from `weights_hash` or the hash that its run's record has of them.
        tap: where its features are taken.
        features: whatever decides an item's input: settings, normalisation, fingerprint of the recordings.
    """

    weights: str
    tap: str
    features: str

    def file_name(self, items: Sequence[str]) -> str:
        """Name of the file of these items, whatever their order."""
        text = json.dumps([REVISION, asdict(self), sorted(items)], sort_keys=True)
        return f"{hashlib.sha256(text.encode()).hexdigest()[:16]}.npy"


@dataclass(frozen=True)
class Layout:
    """One row an item: the upper triangle of its unit Gram matrix, or the unit features that stand for it (thesis Eq. 5.2, in float32).

    Attributes:
        kind: `gram` or `features`.
        channels: C.
        positions: T F of the map; of no account for Gram matrices.
    """

    kind: Kind
    channels: int
    positions: int

    @classmethod
    def of(cls, features: Tensor) -> Layout:
        """The smaller of both for features of a layer, shape (B, C, T, F), (B, T, H) or (B, H), any number (thesis Eq. 5.2)."""
        _, channels, positions = by_channel(features).shape
        fixed = features.dim() != 3  # of (B, T, H) an item has as many positions as its batch has frames
        return cls("features" if fixed and dual_pays(channels, positions) else "gram", channels, positions)

    @property
    def numbers(self) -> int:
        """Length of a row (thesis Eq. 5.4 counts C^2)."""
        return self.channels * (self.positions if self.kind == "features" else self.channels + 1) // (1 if self.kind == "features" else 2)

    def size_bytes(self, items: int) -> int:
        """Bytes of the file of so many items, a count (half of #G in thesis Eq. 5.4, or less).

        Example:
            >>> Layout("gram", 512, 512).size_bytes(535) // 2**20, Layout("features", 512, 32).size_bytes(535) // 2**20
            (268, 33)
        """
        return _HEADER_BYTES + 4 * items * self.numbers

    def packed(self, values: Tensor) -> np.ndarray:
        """Rows (B, numbers), float32, from unit Gram matrices (B, C, C) or unit features (B, C, N) (thesis Eq. 5.1)."""
        array = values.float().cpu().numpy()
        if self.kind == "gram":
            array = array[:, *np.triu_indices(self.channels)]
        return np.ascontiguousarray(array.reshape(len(array), -1))

    def unpacking(self) -> Tensor | None:
        """Where in a row each entry of the Gram matrix (thesis Eq. 5.1) stands: indices, shape (C C,); None for features."""
        if self.kind == "features":
            return None
        places = np.zeros((self.channels, self.channels), np.int64)
        upper = np.triu_indices(self.channels)
        places[upper] = places.T[upper] = np.arange(len(upper[0]))
        return torch.from_numpy(places.ravel())

    def lengths(self, rows: np.ndarray) -> np.ndarray:
        """Length of the Gram matrix (thesis Eq. 5.1) of each row, shape (B,), float64: 1, or 0 for a silent item; rows (B, numbers)."""
        rows = rows.astype(np.float64)
        if self.kind == "features":
            features = rows.reshape(-1, self.channels, self.positions)
            return np.linalg.norm(features.transpose(0, 2, 1) @ features, axis=(1, 2))
        row, column = np.triu_indices(self.channels)
        return np.sqrt((rows**2) @ np.where(row == column, 1.0, 2.0))


def checksums(x: Tensor, lengths: Tensor | None = None) -> list[int]:
    """A number for the bits of each item's input, the same on every device (what must not move, thesis Sec. 5.4.7).

    Args:
        x: shape (B, T, F), (B, N) or (B, C, T, F), float32.
        lengths: items end here along the second axis, shape (B,), integers; not looked at where there are four axes.

    Returns:
        One signed 64-bit number an item.

    Raises:
        ValueError: not float32.

    Example:
        >>> a, b, c = checksums(torch.tensor([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [1.0, 2.0, 9.0]]), torch.tensor([2, 2, 2]))
        >>> a == b, a == c
        (False, True)
    """
    if x.dtype != torch.float32:
        raise ValueError(f"the inputs of cached items must be float32, got {x.dtype}")
    bits = x.detach().contiguous().view(torch.int32)
    if lengths is not None and x.dim() < 4:
        beyond = torch.arange(bits.shape[1], device=x.device) >= lengths.to(x.device)[:, None]
        bits = bits.masked_fill(beyond if x.dim() == 2 else beyond[:, :, None], 0)
    bits = bits.flatten(1)
    weights = torch.arange(1, 2 * bits.shape[1], 2, device=x.device).mul_(_STRIDE)  # int64 wraps around, everywhere alike
    return (bits * weights).sum(1).tolist()


class Writer:
    """Rows of a file are added to a `.part` beside it, their checksums to another: an interrupted one is the beginning of the whole.

    Args:
        path: where the file belongs (thesis, Sec. 5.4.7: what is computed in advance).
        key: what it belongs to.
        network: frozen.
        items: ids.
        inputs: gives a batch of items.
        say: told the size beforehand, and from where an interrupted file goes on.
    """

    def __init__(
        self, path: Path, key: CacheKey, network: nn.Module, items: Sequence[str], inputs: Inputs, say: Callable[[str], None]
    ) -> None:
        self.path, self.key, self.network, self.items, self.inputs, self.say = path, key, network, sorted(items), inputs, say
        self.values, self.sums = path.with_suffix(".npy.part"), path.with_suffix(".sums.part")

    def run(self, batch_size: int) -> None:
        """Write what is missing, then move the file into its place, and last the page that says it is whole (thesis, Sec. 5.4.7).

        Raises:
            ValueError: maps of unlike size, features that are not finite, or all zero for every item.
            OSError: the disk has not the room.
        """
        x, lengths = self.inputs(self.items[:1])
        layout = Layout.of(features_at(self.network, [self.key.tap], x, lengths)[self.key.tap])
        self._room(layout)
        done = self._whole_rows(layout, batch_size)
        if done:
            self.say(f"{done} of {len(self.items)} items are there already")
        with self.values.open("ab") as values, self.sums.open("ab") as sums:
            for first in range(done, len(self.items), batch_size):
                for file, array in zip((values, sums), self._rows(layout, self.items[first : first + batch_size]), strict=True):
                    file.write(array.tobytes())
                    file.flush()
                    os.fsync(file.fileno())
        self._finish(layout)

    def _room(self, layout: Layout) -> None:
        """Say the size, refuse what the disk cannot hold."""
        wanted, there = layout.size_bytes(len(self.items)), self.values.stat().st_size if self.values.exists() else 0
        self.say(f"{self.path}: {wanted / 2**20:.1f} MiB for {len(self.items)} items at {self.key.tap}")
        free = shutil.disk_usage(self.path.parent).free
        if wanted - there > free:
            raise OSError(
                f"{self.path} needs {(wanted - there) / 2**20:.1f} MiB and its disk has {free / 2**20:.1f}: free some, or train without it"
            )

    def _header(self, layout: Layout) -> bytes:
        """Of the .npy format, version 1.0: a plain array of float32."""
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(self.items)}, {layout.numbers}), }}"
        return b"\x93NUMPY\x01\x00" + (_HEADER_BYTES - 10).to_bytes(2, "little") + text.ljust(_HEADER_BYTES - 11).encode() + b"\n"

    def _whole_rows(self, layout: Layout, batch_size: int) -> int:
        """Rows of an earlier try that can stand, the rest cut off: Gram matrices of length 1, of inputs that are what they were."""
        header, whole = self._header(layout), 0
        if not self.values.exists() or not self.sums.exists() or self.values.stat().st_size < len(header):
            self.values.write_bytes(header)
            self.sums.write_bytes(b"")
            return 0
        sums = np.fromfile(self.sums, np.int64)
        count = min((self.values.stat().st_size - len(header)) // (4 * layout.numbers), len(sums), len(self.items))
        for first in range(0, count, batch_size):
            items = self.items[first : min(first + batch_size, count)]
            with self.values.open("rb") as file:
                file.seek(len(header) + 4 * layout.numbers * first)
                rows = np.fromfile(file, np.float32, layout.numbers * len(items)).reshape(len(items), -1)
            good = np.abs(layout.lengths(rows) - 1) < 1e-3
            good &= np.array(checksums(*self.inputs(items))) == sums[first : first + len(items)]
            whole += int(np.argmin(good)) if not good.all() else len(items)
            if not good.all():
                break
        os.truncate(self.values, len(header) + 4 * layout.numbers * whole)
        os.truncate(self.sums, 8 * whole)
        return whole

    def _rows(self, layout: Layout, items: list[str]) -> tuple[np.ndarray, np.ndarray]:
        x, lengths = self.inputs(items)
        features = by_channel(features_at(self.network, [self.key.tap], x, lengths)[self.key.tap])
        wanted = (layout.channels, layout.positions if layout.kind == "features" else features.shape[2])
        if len(features) != len(items) or features.shape[1:] != wanted:
            raise ValueError(f"{self.key.tap} has the shape {tuple(features.shape)} for {items[0]}, not {(len(items), *wanted)}")
        bad = [item for item, good in zip(items, features.isfinite().flatten(1).all(1).tolist(), strict=True) if not good]
        if bad:
            raise ValueError(f"the frozen network's features at {self.key.tap} are not finite for {', '.join(bad[:3])}")
        return layout.packed(unit(features, layout.kind).values), np.array(checksums(x, lengths), np.int64)

    def _finish(self, layout: Layout) -> None:
        values = np.load(self.values, mmap_mode="r", allow_pickle=False)
        silent = [item for item, row in zip(self.items, values, strict=True) if not row.any()]
        if len(silent) == len(self.items):
            raise ValueError(f"the frozen network's features at {self.key.tap} are zero for every item: the layer is dead")
        about = {
            **asdict(self.key),
            **asdict(layout),
            "silent": silent,
            "items": self.items,
            "checksums": np.fromfile(self.sums, np.int64).tolist(),
        }
        page = self.path.with_suffix(".json.part")
        page.write_text(json.dumps(about), encoding="utf-8")
        os.replace(self.values, self.path)
        os.replace(page, self.path.with_suffix(".json"))
        self.sums.unlink()
