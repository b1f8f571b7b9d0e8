"""OMG-Empathy (Barros et al. 2019): ten listeners, eight stories; `Subject_S_Story_T.csv` has the listener's valence, 25 times a second."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import numpy as np
import pandas as pd

from sercore.data import names
from sercore.data.items import item_table
from sercore.errors import CorpusError

RATE_HZ = 25  # values of valence a second: one a frame of the film
#: Sound taken from `Subject_S_Story_T.mp4`, with or without the film's ending in its name, in any folder.
NAME = re.compile(r"(?:.*/)?(Subject_(\d+)_Story_(\d+))(?:\.mp4)?")


def read(root: Path) -> pd.DataFrame:
    """Item table: an item a conversation that has sound and annotation, in whatever folders of the release.

    Args:
        root: folder with the annotations of the release and the sound of its films.

    Returns:
        Item table; `speaker` is the listener, `session` the story (`story_1` ...), `valence` the mean of the annotation; extra columns
        `annotation` (path of the CSV) and `frames` (its length). Not decoded.

    Raises:
        CorpusError: nothing fits, a recording has no annotation, or an annotation is not numbers in [-1, 1].
    """
    csvs = {path.stem: path for path in sorted(root.rglob("Subject_*_Story_*.csv"))}
    rows = []
    for path, match in names.recordings(root, NAME):
        name, listener, story = match.groups()
        if name not in csvs:
            raise CorpusError(f"{root / path} has no annotation: put {name}.csv of the release below {root}")
        values = valence(csvs[name])
        row = {"item_id": f"omg_empathy/{name}", "source_id": name, "path": path, "speaker": listener, "session": f"story_{story}"}
        annotation = {"annotation": csvs[name].relative_to(root).as_posix(), "frames": len(values)}
        rows.append({**row, "valence": float(values.mean()), "language": "en", **annotation})
    return item_table(rows)


def valence(path: Path) -> np.ndarray:
    """The annotation of one conversation.

    Args:
        path: CSV with a column `valence`, a line a frame.

    Returns:
        Shape (T,), float64, in [-1, 1], 25 values a second.

    Raises:
        CorpusError: the file is missing or empty, has no such column, or a value is no number in [-1, 1] (names file and line).
    """
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path} cannot be read ({error}): take it from the release again") from error
    if not rows or "valence" not in rows[0]:
        raise CorpusError(f"{path} holds no column `valence`: take it from the release again")
    values = np.empty(len(rows))
    for line, row in enumerate(rows):
        try:
            values[line] = float(row["valence"])
        except (TypeError, ValueError):
            values[line] = np.nan
        if not -1 <= values[line] <= 1:
            raise CorpusError(f"{path}, line {line + 2}: valence {row['valence']!r} is no number from -1 to 1: take the file again")
    return values
