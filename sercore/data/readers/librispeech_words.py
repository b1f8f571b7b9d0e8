"""Words of LibriSpeech (Panayotov et al. 2015), cut by an alignment: the most frequent ones are the classes.

Recordings: `PART/SPEAKER/CHAPTER/SPEAKER-CHAPTER-NNNN.flac`. Alignments, one of two: the selection of SpeechVGG,
`word_labels/PART-selected-1000.txt` with lines `UTTERANCE 1 BEGIN LENGTH WORD SCORE` (seconds); or TextGrid files of the Montreal Forced
Aligner, `alignments/PART/SPEAKER/CHAPTER/UTTERANCE.TextGrid` (or beside the recording), tier `words`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from sercore.data import names
from sercore.data.items import item_table
from sercore.errors import CorpusError

FREQUENT = 1000  # how many words
NAME = re.compile(r"(?:split/)?([a-z]+-(?:clean|other)(?:-\d+)?)/(\d+)/(\d+)/(\2-\3-\d{4})")
_INTERVAL = re.compile(r'xmin = ([\d.]+)\s+xmax = ([\d.]+)\s+text = "(.*?)"')


def read(root: Path, frequent: int = FREQUENT) -> pd.DataFrame:
    """Item table: an item a word, with its start and end in the recording.

    Args:
        root: folder that holds the parts (`train-clean-100`, ...; or `split/` with them) and an alignment.
        frequent: the most frequent words that are kept; counted over the alignments that are there, ties in alphabetical order.

    Returns:
        Item table; `source_id` is the utterance, `session` the part, `gender` from SPEAKERS.TXT where that is there. Not decoded.

    Raises:
        CorpusError: there is no recording or no alignment, or a line of an alignment cannot be read (names file and line).
    """
    found = {match[4]: (path, match[1], match[2]) for path, match in names.recordings(root, NAME)}
    words = [word for word in _aligned(root, found) if word[0] in found]
    if found and not words:
        raise CorpusError(f"{root} holds recordings and no alignment of them: put word_labels/ or alignments/ there, as the card says")
    counts = Counter(word for *_, word in words)
    kept = set(sorted(counts, key=lambda word: (-counts[word], word))[:frequent])
    genders, number, rows = _genders(root / "SPEAKERS.TXT"), Counter[str](), []
    for utterance, start, end, word in words:
        number[utterance] += 1  # of the word among those aligned, so that an id stays when `frequent` changes
        if word in kept:
            path, part, speaker = found[utterance]
            row = {"item_id": f"librispeech_words/{utterance}/{number[utterance]:03d}", "source_id": utterance, "path": path}
            times = {"start_s": start, "end_s": end, "word": word, "text": word, "language": "en"}
            rows.append({**row, **times, "speaker": speaker, "gender": genders.get(speaker, ""), "session": part})
    return item_table(rows)


def _aligned(root: Path, found: dict[str, tuple[str, str, str]]) -> Iterator[tuple[str, float, float, str]]:
    """(utterance, start, end, word) of every aligned word, in the order of the files."""
    lists = sorted((root / "word_labels").glob(f"*-selected-{FREQUENT}.txt"))
    for path in lists:
        for line, text in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                utterance, _, begin, length, word, _ = text.split(" ")
                yield utterance, float(begin), float(begin) + float(length), word.lower()
            except ValueError as error:
                raise CorpusError(f"{path}, line {line}: {text!r} is not six fields with two numbers: take the file again") from error
    for utterance, (recording, _, _) in found.items() if not lists else ():
        beside = Path(recording).with_suffix(".TextGrid")
        grid = next((p for p in (root / beside, root / "alignments" / str(beside).removeprefix("split/")) if p.is_file()), None)
        for start, end, word in _tier(grid) if grid else ():
            yield utterance, start, end, word


def _tier(path: Path) -> Iterator[tuple[float, float, str]]:
    """Words of the tier `words`, without the pauses."""
    tiers = [tier for tier in path.read_text(encoding="utf-8").split("name = ") if tier.startswith('"words"')]
    if not tiers:
        raise CorpusError(f"{path} has no tier `words`: take it from the alignments again")
    yield from ((float(start), float(end), word.lower()) for start, end, word in _INTERVAL.findall(tiers[0]) if word.strip())


def _genders(path: Path) -> dict[str, str]:
    """Gender of each speaker from SPEAKERS.TXT: `ID | F or M | ...`."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    fields = [[field.strip() for field in line.split("|")] for line in lines if not line.startswith(";")]
    return {field[0]: {"F": "female", "M": "male"}[field[1]] for field in fields if len(field) > 1 and field[1] in ("F", "M")}
