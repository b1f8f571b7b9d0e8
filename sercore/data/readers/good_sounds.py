"""Good-Sounds (Romani Picas et al. 2015): notes of twelve instruments, well or badly played; `sounds.json` and `takes.json` say which."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd

from sercore.data.items import item_table
from sercore.errors import CorpusError

#: Part of a tag of the release -> quality. Richness counts as timbre, as in the anti-transfer paper.
QUALITIES = {
    "good-sound": "good", "bad-pitch": "bad_pitch", "bad-stability-pitch": "bad_pitch", "bad-timbre": "bad_timbre",
    "bad-stability-timbre": "bad_timbre", "bad-richness": "bad_timbre", "bad-dynamic": "bad_dynamics",
    "bad-stability-dynamic": "bad_dynamics", "bad-attack": "bad_attack",
}  # fmt: skip


def read(root: Path) -> pd.DataFrame:
    """Item table of the takes that have one quality, in the layout of the release.

    Args:
        root: folder that holds `sounds.json`, `takes.json` and the unpacked `good-sounds/`.

    Returns:
        Item table: an item a take (one microphone), `source_id` the sound that all its takes recorded, `quality`, `speaker` the musician,
        extra column `instrument`. Sounds without a tag of QUALITIES (scales, ...) are left out; so are those with several qualities,
        unless one is bad_pitch, which then counts. Not decoded.

    Raises:
        CorpusError: a label file is missing or not what it should be (names it).
    """
    sounds, takes = _records(root / "sounds.json"), _records(root / "takes.json")
    folder = "good-sounds/" if (root / "good-sounds").is_dir() else ""
    rows = []
    for take in sorted(takes.values(), key=lambda take: str(take.get("filename"))):
        sound = sounds.get(str(take.get("sound_id")))
        if sound is None:
            raise CorpusError(f"{root / 'takes.json'}: take {take.get('id')} is of sound {take.get('sound_id')}, which sounds.json lacks")
        quality, path = quality_of(str(sound.get("klass") or "")), f"{folder}{take.get('filename')}"
        if quality and (root / path).is_file():
            who = str(sound.get("player") or f"pack {sound.get('pack_id')}")
            row = {"item_id": f"good_sounds/take_{take['id']}", "source_id": f"sound_{sound['id']}", "path": path, "speaker": who}
            rows.append({**row, "quality": quality, "instrument": str(sound["instrument"])})
    return item_table(rows)


def quality_of(klass: str) -> str:
    """The quality that a tag states; empty where it states none, or several of which none is the pitch.

    Example:
        >>> quality_of("bad-richness"), quality_of("scale-good"), quality_of("bad-attack bad-pitch")
        ('bad_timbre', '', 'bad_pitch')
    """
    found = set() if klass.startswith("scale") else {quality for tag, quality in QUALITIES.items() if tag in klass}
    return found.pop() if len(found) == 1 else "bad_pitch" if "bad_pitch" in found else ""


def _records(path: Path) -> dict[str, Any]:
    """Records of a label file by their id."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return {str(record["id"]): record for record in (found.values() if isinstance(found, dict) else found)}
    except OSError as error:
        raise CorpusError(f"{path} cannot be read ({error.strerror}): take it from the record of the release") from error
    except (ValueError, TypeError, KeyError) as error:
        raise CorpusError(f"{path} is not the label file of the release ({error}): take it from there again") from error
