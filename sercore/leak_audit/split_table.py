"""A split of one's own as a table: one row an item and side, from CSV or JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd

from sercore.data.audio import audio_ids
from sercore.errors import SplitError
from sercore.spec import store_folder

#: Names that people give to the three sides.
SIDES = {
    "train": "train", "training": "train", "validation": "validation", "valid": "validation", "val": "validation", "dev": "validation",
    "development": "validation", "test": "test", "testing": "test", "eval": "test", "evaluation": "test",
}  # fmt: skip
_TIMES = ("start_s", "end_s")


def read_table(path: Path) -> pd.DataFrame:
    """The rows of a split table.

    Args:
        path: `.csv` with a header, or `.json` with a list of objects.

    Returns:
        Columns `item_id`, `side` (train | validation | test) and what the file has besides: text as str, `start_s` and `end_s` as float
        seconds. `label` is called `emotion`; `audio_id` is made from the files of a column `path` (relative to the table) where it is
        not given.

    Raises:
        SplitError: the file cannot be read, lacks a column, or a row has no id or another side (names the file and the row).
    """
    try:
        if path.suffix.lower() == ".json":
            rows = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
                raise SplitError(f"{path}: write a list of objects with item_id and side")
            table = pd.DataFrame(rows).astype(object)
        else:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, ValueError) as error:
        raise SplitError(
            f"{path} is no table ({' '.join(str(error).split())}): write CSV with a header, or a JSON list of objects"
        ) from error
    if lacking := [name for name in ("item_id", "side") if name not in table]:
        raise SplitError(f"{path} lacks the column {' and '.join(lacking)}; it has: {', '.join(map(str, table.columns)) or 'none'}")
    if table.empty:
        raise SplitError(f"{path} has no row: write one an item")
    for column in table.columns:
        if column in _TIMES:
            table[column] = _numbers(table[column], path)
        else:
            table[column] = table[column].where(table[column].notna(), "").astype(str)
    table["side"] = _sides(table["side"], path)
    if (empty := table["item_id"].eq("")).any():
        raise SplitError(f"{path}: row {int(empty.to_numpy().argmax()) + 1} has no item_id: give every item a name of its own")
    if "emotion" not in table and "label" in table:
        table = table.rename(columns={"label": "emotion"})
    if "audio_id" not in table and "path" in table and table["path"].ne("").all():
        files = [path.parent / name for name in table["path"]]
        table["audio_id"] = audio_ids(files, store_folder() / "cache" / "audio_ids" / "tables.json")
    return table


def _sides(column: pd.Series, path: Path) -> pd.Series:
    found = column.str.strip().str.lower().map(SIDES)
    if (wrong := found.isna()).any():
        row = int(wrong.to_numpy().argmax())
        raise SplitError(f"{path}: row {row + 1} has the side {column.iloc[row]!r}: write train, validation or test")
    return found


def _numbers(column: pd.Series, path: Path) -> pd.Series:
    numbers = pd.to_numeric(column.replace("", None), errors="coerce")
    if (wrong := numbers.isna() & column.notna() & column.ne("")).any():
        row = int(wrong.to_numpy().argmax())
        raise SplitError(f"{path}: row {row + 1}: {column.name} is {column.iloc[row]!r}: write seconds")
    return numbers.astype(float)
