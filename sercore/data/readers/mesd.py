"""MESD (Duville et al. 2021): `Anger_C_A_abajo.wav`: emotion, kind of voice, word list, word.

Names say child, woman or man, not who: 11 people hide in three voice groups. A group stands where a speaker would, so that a split by
speaker keeps everybody apart.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.data.names import recordings

EMOTIONS = {
    "Neutral": "neutral", "Happiness": "happiness", "Sadness": "sadness", "Anger": "anger", "Fear": "fear", "Disgust": "disgust",
}  # fmt: skip
GENDERS = {"F": "female", "M": "male", "C": "not stated"}
NAME = re.compile(rf"(?:.*/)?(?P<emotion>{'|'.join(EMOTIONS)})_(?P<speaker>[FMC])_(?P<list>[AB])_(?P<word>[a-z_]+)")


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release; other names are left to the check.

    Args:
        root: folder that holds the recordings, at any depth.

    Returns:
        Item table; `speaker` is the voice group (F, M, C), `word_list` A (the same words in every emotion) or B. Not decoded.

    Raises:
        CorpusError: nothing under the folder fits the naming scheme, or a recording is there twice.
    """
    rows = []
    for path, match in recordings(root, NAME):
        word = match["word"].replace("_", " ")
        rows.append(
            {
                "item_id": f"mesd/{Path(path).stem}",
                "source_id": Path(path).stem,
                "path": path,
                "speaker": match["speaker"],
                "gender": GENDERS[match["speaker"]],
                "emotion": EMOTIONS[match["emotion"]],
                "text": word,
                "word": word,
                "language": "es",
                "word_list": match["list"],
            }
        )
    return item_table(rows)
