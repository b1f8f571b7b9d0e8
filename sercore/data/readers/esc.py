"""ESC-50 and ESC-10 (Piczak 2015): environmental sounds of five seconds, cut from clips of Freesound.

ESC-50: `audio/FOLD-CLIP-TAKE-CLASS.wav`. ESC-10, in its release of its own: `NNN - name/FOLD-CLIP-TAKE.ogg`. Several cuts may be of one
clip: the clip stands in for the speaker, so that a split by speaker keeps them together, as the folds of the release do.
"""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data import names
from sercore.data.items import item_table

#: In the order of their numbers.
NOISES = (
    "dog", "rooster", "pig", "cow", "frog", "cat", "hen", "insects", "sheep", "crow",
    "rain", "sea_waves", "crackling_fire", "crickets", "chirping_birds", "water_drops", "wind", "pouring_water", "toilet_flush",
    "thunderstorm", "crying_baby", "sneezing", "clapping", "breathing", "coughing", "footsteps", "laughing", "brushing_teeth", "snoring",
    "drinking_sipping", "door_wood_knock", "mouse_click", "keyboard_typing", "door_wood_creaks", "can_opening", "washing_machine",
    "vacuum_cleaner", "clock_alarm", "clock_tick", "glass_breaking", "helicopter", "chainsaw", "siren", "car_horn", "engine", "train",
    "church_bells", "airplane", "fireworks", "hand_saw",
)  # fmt: skip
#: Folders of ESC-10, named as the classes of ESC-50.
FOLDERS = {
    "001": "dog", "002": "rain", "003": "sea_waves", "004": "crying_baby", "005": "clock_tick",
    "006": "sneezing", "007": "helicopter", "008": "chainsaw", "009": "rooster", "010": "crackling_fire",
}  # fmt: skip
NAME_50 = re.compile(r"(?:audio/)?((?P<fold>[1-5])-(?P<clip>\d+)-[A-Z]-(?P<code>\d+))")
NAME_10 = re.compile(r"((?P<code>\d{3}) - [^/]+/(?P<fold>[1-5])-(?P<clip>\d+)-[A-Z])")
ENDINGS = (".ogg", ".wav", ".flac")


def read_50(root: Path) -> pd.DataFrame:
    """Item table of an ESC-50 folder; `noise` is the class, `session` the fold of the release, `speaker` the clip.

    Raises:
        CorpusError: nothing in the folder fits the naming scheme.
    """
    return _read("esc50", root, NAME_50, dict(zip(map(str, range(len(NOISES))), NOISES, strict=True)))


def read_10(root: Path) -> pd.DataFrame:
    """Item table of a folder of ESC-10 in the layout of its own release. Result and errors as `read_50`."""
    return _read("esc10", root, NAME_10, FOLDERS)


def _read(corpus: str, root: Path, pattern: re.Pattern[str], codes: dict[str, str]) -> pd.DataFrame:
    rows = []
    for path, match in names.recordings(root, pattern, ENDINGS):
        if match["code"] in codes:
            found = {"path": path, "speaker": match["clip"], "noise": codes[match["code"]], "session": match["fold"]}
            rows.append({"item_id": f"{corpus}/{match[1]}", "source_id": match["clip"], **found})
    return item_table(rows)
