"""OMG-Emotion (Barros et al. 2018): utterances of monologues on YouTube; three CSV files have arousal, valence and the voted emotion."""

from __future__ import annotations

import csv
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.errors import CorpusError

EMOTIONS = {"0": "anger", "1": "disgust", "2": "fear", "3": "happiness", "4": "neutral", "5": "sadness", "6": "surprise"}
#: Side -> its CSV file; the sound of `utterance_N.mp4` of a video lies in SIDE/VIDEO/.
SIDES = {"train": "omg_TrainVideos.csv", "validation": "omg_ValidationVideos.csv", "test": "omg_TestVideos_WithLabels.csv"}
COLUMNS = ("link", "video", "utterance", "arousal", "valence", "emotionmaxvote")
ENDINGS = (".wav", ".flac", ".mp4.wav", ".mp4.flac")


def read(root: Path) -> pd.DataFrame:
    """Item table of the utterances whose sound is there (videos that their owners withdrew are missing everywhere).

    Args:
        root: folder with the CSV files of the release and, in `train/`, `validation/` and `test/`, VIDEO/utterance_N.wav.

    Returns:
        Item table; `speaker` is the film on YouTube (all its parts together), `session` the side, arousal and valence those of the
        release. Not decoded.

    Raises:
        CorpusError: a CSV file lacks a column or has an unknown emotion (names file and line), or there is no sound at all.
    """
    rows = []
    for side, name in SIDES.items():
        for line, label in enumerate(_labels(root / name) if (root / name).is_file() else (), start=2):
            if label["emotionmaxvote"] not in EMOTIONS:
                raise CorpusError(f"{root / name}, line {line}: emotion {label['emotionmaxvote']!r}, known are 0 to 6: take the file again")
            source = f"{side}/{label['video']}/{label['utterance'].removesuffix('.mp4')}"
            path = next((source + ending for ending in ENDINGS if (root / (source + ending)).is_file()), None)
            if path:
                row = {"item_id": f"omg_emotion/{source}", "source_id": source, "path": path, "session": side, "language": "en"}
                ratings = {"arousal": float(label["arousal"]), "valence": float(label["valence"])}
                film = label["link"].rpartition("=")[2]
                rows.append({**row, **ratings, "speaker": film, "emotion": EMOTIONS[label["emotionmaxvote"]]})
    return item_table(rows)


def _labels(path: Path) -> list[dict[str, str]]:
    """Lines of a CSV file of the release; its headings are not always written alike."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        lines = [{str(key).strip().lower(): str(value).strip() for key, value in line.items()} for line in csv.DictReader(file)]
    if lines and (missing := [column for column in COLUMNS if column not in lines[0]]):
        raise CorpusError(f"{path} lacks the columns {', '.join(missing)}: take it from the release again")
    return lines
