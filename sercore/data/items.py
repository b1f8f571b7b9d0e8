"""The item table: one row a recording or segment, with its labels, and the checks that every table passes."""

from __future__ import annotations

import pandas as pd

from sercore.errors import CorpusError

#: Columns of every item table, in order. Extra columns (a corpus' own factors) may follow.
ITEM_COLUMNS = (
    "item_id", "source_id", "audio_id", "path", "start_s", "end_s", "speaker", "gender", "emotion",
    "valence", "arousal", "dominance", "text", "word", "language", "session",
)  # fmt: skip
#: Emotion labels of all corpora, in the order in which classes are numbered (RAVDESS' own order first).
EMOTIONS = (
    "neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise", "boredom",
    "excitement", "frustration", "other", "undecided",
)  # fmt: skip
_NUMBERS = ("start_s", "end_s", "valence", "arousal", "dominance")
_TEXTS = tuple(c for c in ITEM_COLUMNS if c not in _NUMBERS)


def item_table(rows: list[dict]) -> pd.DataFrame:
    """Rows of a reader as a checked item table, sorted by `item_id`.

    Args:
        rows: one dictionary an item; absent columns become empty text or NaN.

    Returns:
        A table with ITEM_COLUMNS first; text columns as str, `start_s, end_s` in seconds (NaN: the whole file), valence,
        arousal and dominance as float.

    Raises:
        CorpusError: there is no row, an item has no id or speaker, two items share an id, or a segment ends before it starts.
    """
    if not rows:
        raise CorpusError("no recording was found: check that the folder is the one the corpus card describes")
    table = pd.DataFrame(rows)
    for column in _TEXTS:
        table[column] = table[column].fillna("").astype(str) if column in table else ""
    for column in _NUMBERS:
        table[column] = table[column].astype(float) if column in table else float("nan")
    extra = [c for c in table.columns if c not in ITEM_COLUMNS]
    table = table[[*ITEM_COLUMNS, *extra]].sort_values("item_id", kind="stable").reset_index(drop=True)
    check_items(table)
    return table


def check_items(table: pd.DataFrame) -> None:
    """Refuse a table that no split could be trusted on.

    Raises:
        CorpusError: a column is missing, an id or speaker is empty, an id appears twice, or a segment has no length.
    """
    if missing := [c for c in ITEM_COLUMNS if c not in table.columns]:
        raise CorpusError(f"item table lacks the columns {', '.join(missing)}")
    for column in ("item_id", "source_id", "speaker"):
        if (empty := table[column].eq("")).any():
            raise CorpusError(f"{int(empty.sum())} items have no {column}, first {table.loc[empty, 'path'].iloc[0]!r}")
    if (twice := table["item_id"].duplicated()).any():
        raise CorpusError(f"item ids are not unique: {', '.join(table.loc[twice, 'item_id'].head(3))}")
    if (bad := table["end_s"] <= table["start_s"]).any():
        raise CorpusError(f"segment {table.loc[bad, 'item_id'].iloc[0]!r} ends before it starts")


def class_labels(items: pd.DataFrame, task: str) -> list[str]:
    """The classes of a task, in the order in which they are numbered.

    Args:
        items: item table.
        task: the column that is the label: `emotion`, `speaker`, `word`, `noise`, ...

    Returns:
        Emotions in the order of EMOTIONS, other labels sorted.

    Raises:
        CorpusError: an item has no label for the task, an emotion is not in EMOTIONS, or there are fewer than two classes.
    """
    values = items[task]
    if (empty := values.eq("")).any():
        raise CorpusError(f"{int(empty.sum())} of {len(items)} items have no {task}, first {items.loc[empty, 'item_id'].iloc[0]!r}")
    found = set(values)
    if task == "emotion" and (unknown := sorted(found - set(EMOTIONS))):
        raise CorpusError(f"emotions outside the label map: {', '.join(unknown)}; known: {', '.join(EMOTIONS)}")
    if len(found) < 2:
        raise CorpusError(f"the task {task!r} has {len(found)} class; a classifier needs two")
    return [e for e in EMOTIONS if e in found] if task == "emotion" else sorted(found)
