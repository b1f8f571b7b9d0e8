"""NSynth (Engel et al. 2017): `nsynth-SIDE/audio/FAMILY_KIND_NNN-PITCH-VELOCITY.wav`, notes of sampled instruments."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from sercore.data import names
from sercore.data.items import item_table

INSTRUMENTS = ("bass", "brass", "flute", "guitar", "keyboard", "mallet", "organ", "reed", "string", "synth_lead", "vocal")
NAME = re.compile(
    rf"nsynth-(train|valid|test)/audio/((({'|'.join(INSTRUMENTS)})_(acoustic|electronic|synthetic)_\d{{3}})-(\d{{3}})-(\d{{3}}))"
)


def read(root: Path) -> pd.DataFrame:
    """Item table of a folder in the layout of the release (json and wav); everything that is needed stands in the names.

    Args:
        root: folder that holds any of `nsynth-train`, `nsynth-valid`, `nsynth-test`.

    Returns:
        Item table; `instrument` is the family, `speaker` the single instrument; extra columns `kind` (acoustic, electronic, synthetic),
        `pitch_midi` (9 to 119) and `velocity` (25 to 127). Not decoded.

    Raises:
        CorpusError: nothing in the folder fits the naming scheme.
    """
    rows = []
    for path, match in names.recordings(root, NAME):
        side, note, instrument, family, kind, pitch, velocity = match.groups()
        row = {"item_id": f"nsynth/{side}/{note}", "source_id": note, "path": path, "speaker": instrument, "session": side}
        rows.append({**row, "instrument": family, "kind": kind, "pitch_midi": int(pitch), "velocity": int(velocity)})
    return item_table(rows)
