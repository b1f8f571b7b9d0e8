"""TESS (Pichora-Fuller and Dupuis 2010): `OAF_back_angry.wav`: older or younger actress, target word, emotion.

Copies keep the files in one folder or in one a speaker and emotion, whose spelling varies; only the file's name is read.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.data.names import recordings

#: `ps` is pleasant surprise.
EMOTIONS = {
    "neutral": "neutral", "happy": "happiness", "sad": "sadness", "angry": "anger",
    "fear": "fear", "disgust": "disgust", "ps": "surprise",
}  # fmt: skip
#: One file of the release lacks a letter (`OA_bite_neutral`).
SPEAKERS = {"OAF": "OAF", "YAF": "YAF", "OA": "OAF"}
NAME = re.compile(rf"(?:.*/)?(?P<speaker>OAF?|YAF)_(?P<word>[a-z]+)_(?P<emotion>{'|'.join(EMOTIONS)})")


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release, flat or in folders; other names are left to the check.

    Args:
        root: folder that holds the recordings, at any depth.

    Returns:
        Item table; `word` is the target word, `text` the sentence that carries it. Not decoded.

    Raises:
        CorpusError: nothing under the folder fits the naming scheme, or a recording is there twice.
    """
    rows = [
        {
            "item_id": f"tess/{Path(path).stem}",
            "source_id": Path(path).stem,
            "path": path,
            "speaker": SPEAKERS[match["speaker"]],
            "gender": "female",
            "emotion": EMOTIONS[match["emotion"]],
            "text": f"Say the word {match['word']}",
            "word": match["word"],
            "language": "en",
        }
        for path, match in recordings(root, NAME)
    ]
    return item_table(rows)
