"""Free Spoken Digit Dataset (Jackson et al.): `recordings/D_NAME_N.wav`: digit, speaker, number of the take."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data import names
from sercore.data.items import item_table

WORDS = {
    "0": "zero", "1": "one", "2": "two", "3": "three", "4": "four",
    "5": "five", "6": "six", "7": "seven", "8": "eight", "9": "nine",
}  # fmt: skip
NAME = re.compile(r"(?:recordings/)?((\d)_([a-z]+)_(\d+))")
TESTED_TAKES = 5  # takes 0 to 4 are the test side of the release


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release (files in `recordings/`, or at the top).

    Args:
        root: corpus folder.

    Returns:
        Item table; `word` is the digit in words, `session` the side of the release (train, test). Not decoded.

    Raises:
        CorpusError: nothing in the folder fits the naming scheme.
    """
    rows = []
    for path, match in names.recordings(root, NAME):
        stem, digit, speaker, take = match.groups()
        rows.append(
            {
                "item_id": f"fsdd/{stem}",
                "source_id": stem,
                "path": path,
                "speaker": speaker,
                "gender": "male",
                "word": WORDS[digit],
                "text": WORDS[digit],
                "language": "en",
                "session": "test" if int(take) < TESTED_TAKES else "train",
            }
        )
    return item_table(rows)
