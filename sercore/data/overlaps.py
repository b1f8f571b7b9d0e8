"""What two sides of a split share: speakers, recordings, segments, audio, text. Pure functions of the item table.

Split plans refuse the overlaps that a spec does not declare, and the leak audit reports them; both ask here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from sercore.errors import SplitError

# Kind of overlap -> column whose equal values on two sides make it one.
COLUMNS = {"speaker_overlap": "speaker", "source_overlap": "source_id", "duplicate_audio": "audio_id", "text_overlap": "text"}

# One line each, in the order in which they are reported. Text is reported only: spoken corpora repeat their sentences by design.
KINDS = {
    "speaker_overlap": "a speaker is heard on two sides",
    "source_overlap": "one source recording has parts on two sides",
    "segment_overlap": "segments of one source recording on two sides share time",
    "duplicate_audio": "the same decoded audio is on two sides, under whatever names",
    "text_overlap": "the same text is spoken on two sides (reported, not refused)",
}

# Kind of overlap -> the leaks of `sercore.spec.LEAKS` any of which, when declared, permits it.
PERMITTED_BY = {
    "speaker_overlap": ("speaker_overlap", "validation_speakers"),
    "source_overlap": ("source_overlap",),
    "segment_overlap": ("source_overlap",),
    "duplicate_audio": ("duplicate_audio",),
}


@dataclass(frozen=True)
class Overlap:
    """One thing found on two sides of a split."""

    kind: str  # a key of KINDS
    side_a: str
    side_b: str
    what: str  # the shared speaker, source, audio id or text
    item_ids: tuple[str, ...]  # every item of the two sides that takes part, in table order

    def __str__(self) -> str:
        shown = ", ".join(self.item_ids[:4]) + (f" and {len(self.item_ids) - 4} more" if len(self.item_ids) > 4 else "")
        return f"{self.kind}: {self.what!r} in {self.side_a} and {self.side_b} ({shown})"


def overlaps(items: pd.DataFrame, sides: Mapping[str, Sequence[str]], kinds: Sequence[str] = tuple(KINDS)) -> list[Overlap]:
    """Everything that any two sides share, one row per kind, pair of sides and shared thing.

    Missing values (None, NaN, "") say "not known" and match nothing: fill `audio_id` first if duplicates are to be seen. A segment
    without start and end is the whole recording. Segments that only touch (one ends where the next starts) do not overlap.

    Args:
        items: item table; needs `item_id`, `speaker`, `source_id`; `audio_id`, `text`, `start_s`, `end_s` [seconds] where present.
        sides: side -> its item ids, e.g. {"train": ..., "validation": ..., "test": ...}; any number of sides.
        kinds: which keys of `KINDS` to look for.

    Returns:
        Overlaps ordered by kind (order of `KINDS`), pair of sides (order given) and shared thing; empty if nothing is shared.

    Raises:
        SplitError: a side names an item that is not in the table, the table has an item id twice, or a kind is unknown.

    Example:
        >>> items = pd.DataFrame({"item_id": ["a", "b"], "speaker": ["1", "1"], "source_id": ["a", "b"]})
        >>> [str(o) for o in overlaps(items, {"train": ["a"], "test": ["b"]})]
        ["speaker_overlap: '1' in train and test (a, b)"]
    """
    if unknown := [kind for kind in kinds if kind not in KINDS]:
        raise SplitError(f"unknown kind of overlap {unknown[0]!r}; known: {', '.join(KINDS)}")
    rows = _rows_of_sides(items, sides)
    names = items["item_id"].to_numpy(dtype=object)
    found: list[Overlap] = []
    for kind in KINDS:
        if kind not in kinds or (kind in COLUMNS and COLUMNS[kind] not in items):
            continue
        codes, values = _codes(items["source_id" if kind == "segment_overlap" else COLUMNS[kind]])
        times = _times(items) if kind == "segment_overlap" else None
        for side_a, side_b in combinations(rows, 2):
            sharing = _sharing_rows(codes, len(values), rows[side_a], rows[side_b], times)
            found += _grouped(kind, side_a, side_b, codes, values, names, sharing)
    return found


def permitting_leak(overlap: Overlap, leaks: Sequence[str]) -> str | None:
    """The declared leak that permits this overlap, or None. `validation_speakers` covers the train and validation sides only."""
    sides = {overlap.side_a, overlap.side_b}
    for leak in PERMITTED_BY.get(overlap.kind, ()):
        if leak in leaks and (leak != "validation_speakers" or sides == {"train", "validation"}):
            return leak
    return None


def _rows_of_sides(items: pd.DataFrame, sides: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray]:
    """Row numbers of each side's items, sorted and without repeats."""
    index = pd.Index(items["item_id"])
    if not index.is_unique:
        raise SplitError(f"item id {index[index.duplicated()][0]!r} stands twice in the item table; ids must be unique")
    rows = {}
    for side, ids in sides.items():
        wanted = pd.Index(list(ids), dtype=object)
        at = index.get_indexer(wanted)
        if (at < 0).any():
            raise SplitError(f"{side} names {int((at < 0).sum())} items that are not in the item table, first {wanted[at < 0][0]!r}")
        rows[side] = np.unique(at)
    return rows


def _codes(column: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Integer code of each row's value (-1 where it is not known) and the sorted values."""
    codes, values = pd.factorize(column.where(column.notna() & (column != ""), None).astype(object), sort=True)
    return codes, np.asarray(values, dtype=object)


def _times(items: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of every item in seconds; a missing one is the start or end of the recording."""
    n = len(items)
    start = items["start_s"].to_numpy(dtype=float) if "start_s" in items else np.full(n, np.nan)
    end = items["end_s"].to_numpy(dtype=float) if "end_s" in items else np.full(n, np.nan)
    return np.where(np.isnan(start), -np.inf, start), np.where(np.isnan(end), np.inf, end)


def _sharing_rows(codes: np.ndarray, n: int, a: np.ndarray, b: np.ndarray, times: tuple[np.ndarray, np.ndarray] | None) -> np.ndarray:
    """Rows of the two sides whose value is on both; with `times`, only those that share time with a row of the other side."""
    a, b = a[codes[a] >= 0], b[codes[b] >= 0]
    on_both = np.zeros(n, dtype=bool)
    on_both[np.intersect1d(codes[a], codes[b])] = True
    a, b = a[on_both[codes[a]]], b[on_both[codes[b]]]
    if times is not None:
        a, b = a[_meets(codes, times, a, b)], b[_meets(codes, times, b, a)]
    return np.union1d(a, b)


def _meets(codes: np.ndarray, times: tuple[np.ndarray, np.ndarray], these: np.ndarray, others: np.ndarray) -> np.ndarray:
    """For each of `these` rows: does any of `others`, with the same code, share time with it?

    Of the others of that code, those that started before this one ends, less those that had ended when it starts, are the ones that
    meet it. Code and time are joined into one sortable number, so that one binary search per row answers for all codes at once.
    """
    start, end = times
    moments = np.unique(np.concatenate([start[these], end[these], start[others], end[others]]))

    def key(rows: np.ndarray, time: np.ndarray) -> np.ndarray:
        return codes[rows].astype(np.int64) * (len(moments) + 1) + np.searchsorted(moments, time[rows])

    started = np.searchsorted(np.sort(key(others, start)), key(these, end), side="left")
    ended = np.searchsorted(np.sort(key(others, end)), key(these, start), side="right")
    return started > ended


def _grouped(
    kind: str, side_a: str, side_b: str, codes: np.ndarray, values: np.ndarray, names: np.ndarray, rows: np.ndarray
) -> list[Overlap]:
    """One overlap per shared value."""
    if rows.size == 0:
        return []
    rows = rows[np.argsort(codes[rows], kind="stable")]
    first = np.flatnonzero(np.diff(codes[rows], prepend=-1))
    groups = np.split(rows, first[1:])
    return [Overlap(kind, side_a, side_b, str(values[codes[group[0]]]), tuple(names[group])) for group in groups]
