"""SAVEE (Haq and Jackson 2009): `AudioData/DC/a01.wav`, or `DC_a01.wav` in one folder: speaker, letters of emotion, sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.data.names import recordings

EMOTIONS = {
    "n": "neutral", "h": "happiness", "sa": "sadness", "a": "anger", "f": "fear", "d": "disgust", "su": "surprise",
}  # fmt: skip
NAME = re.compile(rf"(?:.*/)?(?P<speaker>DC|JE|JK|KL)[/_](?P<emotion>{'|'.join(EMOTIONS)})(?P<sentence>\d\d)")


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in either layout of the release; other names are left to the check.

    Args:
        root: folder that holds the recordings, at any depth.

    Returns:
        Item table; `text` is the code of the sentence (a01 ... su15), the same for all speakers. Not decoded.

    Raises:
        CorpusError: nothing under the folder fits the naming scheme, or a recording is there in both layouts.
    """
    rows = []
    for path, match in recordings(root, NAME):
        sentence = match["emotion"] + match["sentence"]
        rows.append(
            {
                "item_id": f"savee/{match['speaker']}_{sentence}",
                "source_id": f"{match['speaker']}_{sentence}",
                "path": path,
                "speaker": match["speaker"],
                "gender": "male",
                "emotion": EMOTIONS[match["emotion"]],
                "text": sentence,
                "language": "en",
            }
        )
    return item_table(rows)
