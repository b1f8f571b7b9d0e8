"""MS-SNSD (Reddy et al. 2019): noises of `noise_train/` and `noise_test/`, `TypeOfNoise_N.wav`. Mixing is in `sercore.data.mixing`."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data import names
from sercore.data.items import item_table

#: `Neighbor` is NeighborSpeaking in a few names of the test folder.
NOISES = {
    "AirConditioner": "air_conditioner", "AirportAnnouncements": "airport_announcements", "Babble": "babble",
    "CopyMachine": "copy_machine", "Munching": "munching", "NeighborSpeaking": "neighbor_speaking", "Neighbor": "neighbor_speaking",
    "ShuttingDoor": "shutting_door", "SqueakyChair": "squeaky_chair", "Typing": "typing", "VacuumCleaner": "vacuum_cleaner",
    "WasherDryer": "washer_dryer",
}  # fmt: skip
NAME = re.compile(r"noise_(train|test)/(([A-Za-z]+)_\d+)")


def read(root: Path) -> pd.DataFrame:
    """Item table of the noises of a folder in the layout of the release.

    Args:
        root: folder that holds `noise_train` and `noise_test`.

    Returns:
        Item table; `noise` is the type, `session` train or test. A name that stands in both folders is taken for one source: it is the
        `speaker` of both. Not decoded.

    Raises:
        CorpusError: nothing in the folder fits the naming scheme.
    """
    rows = []
    for path, match in names.recordings(root, NAME):
        side, source, noise = match.groups()
        if noise in NOISES:
            found = {"path": path, "speaker": source, "noise": NOISES[noise], "session": side}
            rows.append({"item_id": f"ms_snsd/{match[0]}", "source_id": source, **found})
    return item_table(rows)
