"""CREMA-D (Cao et al. 2014): `AudioWAV/1001_DFA_ANG_XX.wav`: actor, sentence, emotion, level (low, middle, high, not given)."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.data.names import recordings

EMOTIONS = {"NEU": "neutral", "HAP": "happiness", "SAD": "sadness", "ANG": "anger", "FEA": "fear", "DIS": "disgust"}
SENTENCES = {
    "IEO": "It's eleven o'clock", "TIE": "That is exactly what happened", "IOM": "I'm on my way to the meeting",
    "IWW": "I wonder what this is about", "TAI": "The airplane is almost full", "MTI": "Maybe tomorrow it will be cold",
    "IWL": "I would like a new alarm clock", "ITH": "I think I have a doctor's appointment", "DFA": "Don't forget a jacket",
    "ITS": "I think I've seen this before", "TSI": "The surface is slick", "WSI": "We'll stop in a couple of minutes",
}  # fmt: skip
LEVELS = {"LO": "low", "MD": "middle", "HI": "high", "XX": "", "X": ""}
NAME = re.compile(
    rf"(?:.*/)?(?P<speaker>10\d\d)_(?P<sentence>{'|'.join(SENTENCES)})_(?P<emotion>{'|'.join(EMOTIONS)})_(?P<level>{'|'.join(LEVELS)})"
)
#: Numbers of the actresses among the 91 (VideoDemographics.csv of the release).
WOMEN = {
    1002, 1003, 1004, 1006, 1007, 1008, 1009, 1010, 1012, 1013, 1018, 1020, 1021, 1024, 1025, 1028, 1029, 1030, 1037, 1043, 1046,
    1047, 1049, 1052, 1053, 1054, 1055, 1056, 1058, 1060, 1061, 1063, 1072, 1073, 1074, 1075, 1076, 1078, 1079, 1082, 1084, 1089,
    1091,
}  # fmt: skip


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release; other names are left to the check.

    Args:
        root: folder that holds `AudioWAV`.

    Returns:
        Item table, with the extra column `intensity` (low, middle, high, or empty where none was asked for). Not decoded.

    Raises:
        CorpusError: nothing under the folder fits the naming scheme, or a recording is there twice.
    """
    rows = [
        {
            "item_id": f"cremad/{Path(path).stem}",
            "source_id": Path(path).stem,
            "path": path,
            "speaker": match["speaker"],
            "gender": "female" if int(match["speaker"]) in WOMEN else "male",
            "emotion": EMOTIONS[match["emotion"]],
            "text": SENTENCES[match["sentence"]],
            "language": "en",
            "intensity": LEVELS[match["level"]],
        }
        for path, match in recordings(root, NAME)
    ]
    return item_table(rows)
