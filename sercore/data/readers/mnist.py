"""MNIST (LeCun et al. 1998): pictures of handwritten digits in four idx files, compressed or not."""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import pandas as pd

from sercore.data.items import item_table
from sercore.errors import CorpusError

SIDES = {"train": "train", "test": "t10k"}
_MEND = "take the file from the release again"


def read(root: Path) -> pd.DataFrame:
    """Item table: an item a picture, of the sides that are there.

    Args:
        root: folder that holds `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same of `t10k`, with or without `.gz`.

    Returns:
        Item table; `digit` is the class ("0" ... "9"), `session` train or test, `path` the file of pictures, extra column `index` the
        place in it. Nobody's name is known, so each picture is a `speaker` of its own.

    Raises:
        CorpusError: there is no file, or one is cut short or not idx (names it).
    """
    rows = []
    for side, name in SIDES.items():
        labels, pictures = _file(root, f"{name}-labels-idx1-ubyte"), _file(root, f"{name}-images-idx3-ubyte")
        if labels and pictures:
            for index, digit in enumerate(_idx(labels, 1)):
                item = f"{side}-{index:05d}"
                row = {"item_id": f"mnist/{item}", "source_id": item, "speaker": item, "path": pictures.name, "session": side}
                rows.append({**row, "digit": str(digit), "index": index})
    return item_table(rows)


def images(root: Path, items: pd.DataFrame) -> np.ndarray:
    """Pictures in the order of the items: shape (N, 28, 28), uint8, 0 is paper and 255 ink. Raises CorpusError as `read`."""
    files = {path: _idx(root / path, 3) for path in items["path"].unique()}
    for path, pictures in files.items():
        if (wanted := int(items.loc[items["path"] == path, "index"].max()) + 1) > len(pictures):
            raise CorpusError(f"{root / path} holds {len(pictures)} pictures, its labels are {wanted}: {_MEND}")
    return np.stack([files[path][index] for path, index in zip(items["path"], items["index"], strict=True)])


def _file(root: Path, name: str) -> Path | None:
    return next((root / found for found in (name, f"{name}.gz") if (root / found).is_file()), None)


def _idx(path: Path, dimensions: int) -> np.ndarray:
    """The array of an idx file of bytes: two zeros, type 8, number of dimensions, their lengths (32 bit, big-endian), the values."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise CorpusError(f"{path} cannot be unpacked ({error}): {_MEND}") from error
    if data[:4] != bytes([0, 0, 8, dimensions]):
        raise CorpusError(f"{path} is no idx file of bytes in {dimensions} dimensions: {_MEND}")
    start = 4 + 4 * dimensions
    shape = tuple(np.frombuffer(data[4:start], ">u4").tolist())
    if len(data) - start != math.prod(shape):
        raise CorpusError(f"{path} holds {len(data) - start} bytes, its head says {math.prod(shape)}: {_MEND}")
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
