"""CIFAR-10 (Krizhevsky 2009), binary version: files of 3073-byte records: a label, then red, green and blue of 32 x 32 pixels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from sercore.data.items import item_table
from sercore.errors import CorpusError

OBJECTS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
FILES = {**{f"data_batch_{n}.bin": "train" for n in range(1, 6)}, "test_batch.bin": "test"}
_RECORD = 1 + 3 * 32 * 32


def read(root: Path) -> pd.DataFrame:
    """Item table: an item a picture, of the files that are there.

    Args:
        root: folder that holds `data_batch_1.bin` ... `data_batch_5.bin` and `test_batch.bin`, or `cifar-10-batches-bin/` with them.

    Returns:
        Item table; `object` is the class, `session` train or test, extra column `index` the place in the file. Each picture is a
        `speaker` of its own.

    Raises:
        CorpusError: there is no such file (the pickled version is not read), or one is cut short or has an unknown label (names it).
    """
    folder = "cifar-10-batches-bin/" if (root / "cifar-10-batches-bin").is_dir() else ""
    if (root / "data_batch_1").exists() or (root / "cifar-10-batches-py").exists():
        raise CorpusError(f"{root} holds the Python version of CIFAR-10, which is pickled and not read: take the binary version")
    rows = []
    for name, side in FILES.items():
        if not (root / folder / name).is_file():
            continue
        for index, label in enumerate(_records(root / folder / name)[:, 0]):
            item = f"{name.removesuffix('.bin')}-{index:05d}"
            row = {"item_id": f"cifar10/{item}", "source_id": item, "speaker": item, "path": folder + name, "session": side}
            rows.append({**row, "object": OBJECTS[label], "index": index})
    return item_table(rows)


def images(root: Path, items: pd.DataFrame) -> np.ndarray:
    """Pictures in the order of the items: shape (N, 3, 32, 32), uint8, channels red, green, blue. Raises CorpusError as `read`."""
    files = {path: _records(root / path)[:, 1:].reshape(-1, 3, 32, 32) for path in items["path"].unique()}
    return np.stack([files[path][index] for path, index in zip(items["path"], items["index"], strict=True)])


def _records(path: Path) -> np.ndarray:
    """Records of a file, shape (N, 3073), uint8."""
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}): take it from the release again") from error
    if len(data) == 0 or len(data) % _RECORD:
        raise CorpusError(f"{path} holds {len(data)} bytes, which are no whole records of {_RECORD}: take it from the release again")
    records = data.reshape(-1, _RECORD)
    if records[:, 0].max() >= len(OBJECTS):
        raise CorpusError(f"{path} has the label {records[:, 0].max()}, known are 0 to 9: take it from the release again")
    return records
