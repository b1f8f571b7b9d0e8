"""Tiny corpus folders with the real names of the releases: a short distinct sound per file."""

import io
from pathlib import Path

import numpy as np
import soundfile

from sercore.data.card import load_card
from sercore.data.corpora import CORPORA

#: Corpora that are read from a folder and whose card lists every file name.
LISTED = [name for name, entry in CORPORA.items() if entry.render is None and load_card(name).expected]


def write_sound(path: Path, seed: int = 0, rate_hz: int = 16000, seconds: float = 0.1, channels: int = 1) -> Path:
    """Noise that differs from seed to seed, 16-bit (or Vorbis), in the format of the ending."""
    samples = np.random.default_rng(seed).uniform(-0.5, 0.5, int(rate_hz * seconds)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    encoded = io.BytesIO()  # in memory first: writing a file directly forces it to disk, which is slow for a thousand of them
    soundfile.write(
        encoded,
        np.stack([samples] * channels, axis=1),
        rate_hz,
        subtype="VORBIS" if path.suffix == ".ogg" else "PCM_16",
        format=path.suffix[1:],
    )
    path.write_bytes(encoded.getvalue())
    return path


def write_tree(corpus: str, root: Path, ending: str = ".wav", seconds: float = 0.01) -> Path:
    """A folder with every file name of the release of that corpus, at its sampling rate."""
    card = load_card(corpus)
    for seed, name in enumerate(card.expected_names()):
        write_sound(root / f"{name}{ending}", seed, card.sample_rate_hz, seconds)
    return root
