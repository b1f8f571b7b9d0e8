"""Writes synthetic_hashes.json: what the embedded corpus must be on every machine.

    python tests/golden/make_synthetic_hashes.py

Run it only after a change of the corpus that is meant; then say in the commit that it is another corpus.

How strict the stored values are. Draws and the table use additions and exact scaling alone, so the table is hashed as text. The waveform
also needs sin, exp, log and an FFT, whose last bit may differ between machines (about 1e-16 of a value; a 16-bit step is 3e-5). Such a
difference moves a sample only if it lies that near to a rounding boundary: over all ten million samples of the corpus, an expected
number below 0.001. The hash is taken of samples rounded to 10 bits, 64 times rarer still; beside it stand the levels of 16 parts of
each utterance, which tell such a slip (equal levels, another hash) from another sound. With NumPy's vector instructions switched off
(NPY_DISABLE_CPU_FEATURES) all 448 utterances came out equal in all 16 bits; other makes of processor were not at hand.
"""

import hashlib
import json
from pathlib import Path

import numpy as np

from sercore.data import synthetic

PATH = Path(__file__).with_name("synthetic_hashes.json")
EVERY = 63  # a step through the table that meets every speaker, emotion, tempo and background


def table_hash(seed: int) -> str:
    return hashlib.sha256(synthetic.read(seed=seed).to_csv(index=False, lineterminator="\n").encode()).hexdigest()


def waveform_hash(samples: np.ndarray) -> str:
    return hashlib.sha256(np.rint(samples * 512).astype("<i2").tobytes()).hexdigest()


def levels(samples: np.ndarray) -> list[float]:
    """Root mean square of 16 equal parts, in units of 1/32768, to 3 digits after the point."""
    return [round(float(np.sqrt(np.mean(part.astype(np.float64) ** 2))) * 32768, 3) for part in np.array_split(samples, 16)]


def golden(seed: int) -> dict:
    table = synthetic.read(seed=seed)
    entry: dict = {"table": table_hash(seed), "items": {}}
    for _, item in table.iloc[::EVERY].iterrows():
        samples, _ = synthetic.waveform(item)
        entry["items"][item["item_id"]] = {"samples": len(samples), "hash": waveform_hash(samples), "levels": levels(samples)}
    return entry


if __name__ == "__main__":
    PATH.write_text(json.dumps({str(seed): golden(seed) for seed in (0, 1)}, indent=1) + "\n")
    print(f"wrote {PATH.name}")
