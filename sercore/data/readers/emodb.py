"""EmoDB (Burkhardt et al. 2005): `SSTTTEv.wav`: two digits of speaker, three of text, a letter of emotion, one of version."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data.audio import AUDIO_ENDINGS
from sercore.data.items import item_table

#: The letter is the German name's: Wut, Langeweile, Ekel, Angst, Freude, Trauer, N.
EMOTIONS = {"W": "anger", "L": "boredom", "E": "disgust", "A": "fear", "F": "happiness", "T": "sadness", "N": "neutral"}
GENDERS = {
    "03": "male", "08": "female", "09": "female", "10": "male", "11": "male",
    "12": "male", "13": "female", "14": "female", "15": "male", "16": "female",
}  # fmt: skip
NAME = re.compile(r"^(03|08|09|1[0-6])([ab]\d\d)([WLEAFTN])([a-g])$")


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release (files at the top, or in `wav/`); other names are left to the check.

    Args:
        root: folder that holds the recordings.

    Returns:
        Item table; `text` is the code of the sentence (a01 ... b10). Not decoded.

    Raises:
        CorpusError: nothing in the folder fits the naming scheme.
    """
    folder = root / "wav" if (root / "wav").is_dir() else root
    rows = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        match = NAME.match(path.stem)
        if not match or path.suffix.lower() not in AUDIO_ENDINGS:
            continue
        speaker, text, letter, _version = match.groups()
        rows.append(
            {
                "item_id": f"emodb/{path.stem}",
                "source_id": path.stem,
                "path": path.relative_to(root).as_posix(),
                "speaker": speaker,
                "gender": GENDERS[speaker],
                "emotion": EMOTIONS[letter],
                "text": text,
                "language": "de",
            }
        )
    return item_table(rows)
