"""Google Speech Commands 0.02 (Warden 2018): `WORD/SPEAKER_nohash_N.wav`, and two lists that say who validates and who is tested."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data import names
from sercore.data.items import item_table

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
#: The other words of the release.
OTHERS = (
    "backward", "bed", "bird", "cat", "dog", "down", "follow", "forward", "go", "happy", "house", "learn", "left", "marvin", "no",
    "off", "on", "right", "sheila", "stop", "tree", "up", "visual", "wow", "yes",
)  # fmt: skip
LISTS = {"validation": "validation_list.txt", "test": "testing_list.txt"}


def read(root: Path, words: tuple[str, ...] = (*DIGITS, *OTHERS), corpus: str = "speech_commands") -> pd.DataFrame:
    """Item table of a folder in the layout of the release.

    Args:
        root: folder that holds one folder a word.
        words: those that are taken.
        corpus: beginning of the item ids.

    Returns:
        Item table; `session` is the side that the lists of the release give (empty where there are none). Not decoded.

    Raises:
        CorpusError: nothing in the folder fits the naming scheme.
    """
    lists = {side: (root / name).read_text(encoding="utf-8") for side, name in LISTS.items() if (root / name).is_file()}
    sides = {line: side for side, text in lists.items() for line in text.splitlines()}
    pattern = re.compile(rf"({'|'.join(words)})/([0-9a-f]{{8}})_nohash_(\d+)")
    rows = []
    for path, match in names.recordings(root, pattern):
        word, speaker, _take = match.groups()
        rows.append(
            {
                "item_id": f"{corpus}/{match[0]}",
                "source_id": match[0],
                "path": path,
                "speaker": speaker,
                "word": word,
                "text": word,
                "language": "en",
                "session": sides.get(f"{match[0]}.wav", "train") if sides else "",
            }
        )
    return item_table(rows)


def read_digits(root: Path) -> pd.DataFrame:
    """The ten digits alone. Arguments, result and errors as `read`."""
    return read(root, DIGITS, "speech_commands_digits")
