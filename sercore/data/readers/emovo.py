"""EMOVO (Costantini et al. 2014): `f1/dis-f1-b1.wav`: emotion, speaker, sentence."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.data.names import recordings

#: First letters of disgusto, gioia, neutro, paura, rabbia, sorpresa, tristezza.
EMOTIONS = {
    "dis": "disgust", "gio": "happiness", "neu": "neutral", "pau": "fear", "rab": "anger", "sor": "surprise", "tri": "sadness",
}  # fmt: skip
NAME = re.compile(rf"(?:.*/)?(?P<emotion>{'|'.join(EMOTIONS)})-(?P<speaker>[fm][123])-(?P<sentence>[bdln]\d)")


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release; other names are left to the check.

    Args:
        root: folder that holds `f1` ... `m3`.

    Returns:
        Item table; `text` is the code of the sentence (b1 ... n5). Not decoded.

    Raises:
        CorpusError: nothing under the folder fits the naming scheme, or a recording is there twice.
    """
    rows = [
        {
            "item_id": f"emovo/{Path(path).stem}",
            "source_id": Path(path).stem,
            "path": path,
            "speaker": match["speaker"],
            "gender": {"f": "female", "m": "male"}[match["speaker"][0]],
            "emotion": EMOTIONS[match["emotion"]],
            "text": match["sentence"],
            "language": "it",
        }
        for path, match in recordings(root, NAME)
    ]
    return item_table(rows)
