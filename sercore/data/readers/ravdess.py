"""RAVDESS speech (Livingstone and Russo 2018): `Actor_NN/03-01-EE-II-SS-RR-AA.wav`.

The seven fields of a name: modality (03 audio), channel (01 speech), emotion, intensity, statement, repetition, actor. Odd actors
are male, even ones female.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.data.names import recordings

EMOTIONS = {
    "01": "neutral", "02": "calm", "03": "happiness", "04": "sadness",
    "05": "anger", "06": "fear", "07": "disgust", "08": "surprise",
}  # fmt: skip
STATEMENTS = {"01": "Kids are talking by the door", "02": "Dogs are sitting by the door"}
NAME = re.compile(r"Actor_[^/]*/03-01-(0[1-8])-(0[12])-(0[12])-(0[12])-(0[1-9]|1\d|2[0-4])")


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release; names that do not fit are left to the corpus check.

    Args:
        root: folder that holds `Actor_01` ... `Actor_24`.

    Returns:
        Item table, with the extra columns `intensity` (normal, strong) and `repetition` (1, 2). Not decoded.

    Raises:
        CorpusError: nothing under the folder fits the naming scheme.
    """
    rows = []
    for path, match in recordings(root, NAME):
        emotion, intensity, statement, repetition, actor = match.groups()
        rows.append(
            {
                "item_id": f"ravdess/{match[0]}",
                "source_id": Path(path).stem,
                "path": path,
                "speaker": str(int(actor)),
                "gender": "male" if int(actor) % 2 else "female",
                "emotion": EMOTIONS[emotion],
                "text": STATEMENTS[statement],
                "language": "en",
                "intensity": {"01": "normal", "02": "strong"}[intensity],
                "repetition": str(int(repetition)),
            }
        )
    return item_table(rows)
