"""IEMOCAP (Busso et al. 2008): turns `SessionN/sentences/wav/DIALOGUE/TURN.wav`, labels `SessionN/dialog/EmoEvaluation/DIALOGUE.txt`.

`Ses01F_impro02_M003` is the fourth turn of the man of session 1 in an improvised dialogue. The first letter says who wore the markers of
the motion capture, the second who speaks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import pandas as pd

from sercore.data.items import item_table
from sercore.data.names import recordings
from sercore.errors import CorpusError

#: `xxx`: the listeners did not agree.
EMOTIONS = {
    "neu": "neutral", "hap": "happiness", "sad": "sadness", "ang": "anger", "fea": "fear", "dis": "disgust",
    "sur": "surprise", "exc": "excitement", "fru": "frustration", "oth": "other", "xxx": "undecided",
}  # fmt: skip
#: The four classes of most publications, without and with excitement counted as happiness.
FOUR = {code: EMOTIONS[code] for code in ("neu", "hap", "sad", "ang")}
FOUR_EXCITED = FOUR | {"exc": "happiness"}

NAME = re.compile(
    r"(?P<top>(?:.*/)?)Session(?P<session>[1-5])/sentences/wav/(?P<dialog>Ses0(?P=session)[FM]_(?P<kind>impro|script)[^/]*)"
    r"/(?P<turn>(?P=dialog)_(?P<who>[FM])\w*)"
)
_LABEL = re.compile(r"^\[[\d.]+ - [\d.]+\]\t(\w+)\t(\w{3})\t\[(\d+\.?\d*), (\d+\.?\d*), (\d+\.?\d*)\]", re.MULTILINE)
_SAID = re.compile(r"^(\w+) \[[\d.]+-[\d.]+\]: (.*)$", re.MULTILINE)


def read(root: Path, label_map: Mapping[str, str] = EMOTIONS) -> pd.DataFrame:
    """Item table of a folder in the layout of the release; turns without a label of the map are left out.

    Args:
        root: folder that holds `Session1` ... `Session5`.
        label_map: code in the label files -> emotion; the codes that are kept.

    Returns:
        Item table. `source_id` is the dialogue that a turn was cut from; valence, arousal (the release says activation) and dominance
        are the listeners' means, 1 to 5. Extra columns: `label` (the release's code) and `scenario` (improvised, scripted). Not decoded.

    Raises:
        CorpusError: no turn is under the folder, or none of them has a label.
    """
    labels: dict[str, dict[str, tuple[str, ...]]] = {}
    said: dict[str, dict[str, str]] = {}
    rows = []
    turns = list(recordings(root, NAME))
    for path, match in turns:
        dialog, turn, speaker = match["dialog"], match["turn"], f"Ses0{match['session']}{match['who']}"
        if dialog not in labels:
            folder = root / f"{match['top']}Session{match['session']}/dialog"
            labels[dialog] = {found[0]: found[1:] for found in _LABEL.findall(_text(folder / f"EmoEvaluation/{dialog}.txt"))}
            said[dialog] = dict(_SAID.findall(_text(folder / f"transcriptions/{dialog}.txt")))
        label, *scores = labels[dialog].get(turn, ("",))
        if label not in label_map:
            continue
        rows.append(
            {
                "item_id": f"iemocap/{turn}",
                "source_id": dialog,
                "path": path,
                "speaker": speaker,
                "gender": {"F": "female", "M": "male"}[match["who"]],
                "emotion": label_map[label],
                "valence": scores[0],
                "arousal": scores[1],
                "dominance": scores[2],
                "text": said[dialog].get(turn, ""),
                "language": "en",
                "session": f"Session{match['session']}",
                "label": label,
                "scenario": {"impro": "improvised", "script": "scripted"}[match["kind"]],
            }
        )
    if turns and not rows:
        raise CorpusError(f"none of the {len(turns)} turns in {root} has a label: restore SessionN/dialog/EmoEvaluation of the release")
    return item_table(rows)


read_four = partial(read, label_map=FOUR)
read_four_excited = partial(read, label_map=FOUR_EXCITED)


def _text(path: Path) -> str:
    """A text file of the release, or nothing where it is missing."""
    return path.read_text(encoding="latin-1") if path.is_file() else ""
