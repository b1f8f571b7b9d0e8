"""ESD (Zhou et al. 2022): `0011/Angry/0011_000351.wav`, and `0011/0011.txt` with what is said."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.data.names import recordings

EMOTIONS = {"Neutral": "neutral", "Happy": "happiness", "Sad": "sadness", "Angry": "anger", "Surprise": "surprise"}
NAME = re.compile(
    rf"(?:.*/)?(?P<speaker>00(?:0[1-9]|1\d|20))/(?P<emotion>{'|'.join(EMOTIONS)})/(?:(?:train|test|evaluation)/)?(?P=speaker)_\d{{6}}"
)


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release; other names are left to the check.

    Args:
        root: folder that holds `0001` ... `0020`, at any depth.

    Returns:
        Item table; `text` is the line of the speaker's transcript (empty where there is none), the part of the release (train, test,
        evaluation) is not used: its parts share speakers. Not decoded.

    Raises:
        CorpusError: nothing under the folder fits the naming scheme, or a recording is there twice.
    """
    texts: dict[str, dict[str, str]] = {}
    rows = []
    for path, match in recordings(root, NAME):
        speaker, name = match["speaker"], Path(path).stem
        folder = root / path[: match.end("speaker")]
        if speaker not in texts:
            texts[speaker] = _transcript(folder / f"{speaker}.txt")
        rows.append(
            {
                "item_id": f"esd/{name}",
                "source_id": name,
                "path": path,
                "speaker": speaker,
                "gender": "not stated",
                "emotion": EMOTIONS[match["emotion"]],
                "text": texts[speaker].get(name, ""),
                "language": "zh" if int(speaker) <= 10 else "en",
            }
        )
    return item_table(rows)


def _transcript(path: Path) -> dict[str, str]:
    """Name -> sentence, of lines `0011_000351<tab>sentence<tab>emotion`. The files of a release differ in their encoding."""
    raw = path.read_bytes() if path.is_file() else b""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        text = raw.decode("utf-16", "replace")
    else:
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = raw.decode("gb18030", "replace")
    lines = (line.split("\t") for line in text.splitlines() if "\t" in line)
    return {name.strip(): said.strip() for name, said, *_emotion in lines}
