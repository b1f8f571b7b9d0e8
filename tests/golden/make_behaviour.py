"""Writes behaviour.json: what features, networks, training loop and plain rows give on fixed input, with the REVISION that gave it.

Run it after adding a network, or after a change of behaviour that is meant, together with raising the REVISION of what changed:

    python tests/golden/make_behaviour.py

Numbers of an unchanged REVISION are kept as they are stored, so that it cannot hide a change that is not meant.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import torch

from sercore import baselines, batching, models, train
from sercore.features import cache
from sercore.features.cepstral import mfcc_chroma
from sercore.spec import TrainingSpec

FILE = Path(__file__).with_name("behaviour.json")
#: Frames and bins of a spectrogram: the smallest that every network of spectrograms takes, with room.
SIDE = 70


def signal(number: int) -> np.ndarray:
    """A deterministic second of chirp and noise: no generator but arithmetic."""
    time = np.arange(16000) / 16000
    noise = np.sin(np.arange(16000) * (12.9898 + number) % 7919 * 78.233)
    return (0.3 * np.sin(2 * np.pi * (150 + 40 * number + 60 * time) * time) + 0.02 * noise).astype(np.float32)


def examples(n: int) -> batching.Examples:
    """Items of one of three classes and of unequal length, from arithmetic alone."""
    frames = [
        np.sin(np.outer(np.arange(6 + i % 5) + 1, np.arange(46) + 1) * (0.1 + 0.07 * (i % 3)) + i).astype(np.float32) for i in range(n)
    ]
    return batching.Examples(frames, np.arange(n) % 3)


def spectrograms(n: int) -> list[np.ndarray]:
    """Inputs of one size, from arithmetic alone."""
    return [np.sin(np.outer(np.arange(SIDE) + 1, np.arange(SIDE) + 1) * (0.01 + 0.007 * i)).astype(np.float32) for i in range(n)]


def behaviour() -> dict[str, dict]:
    """Name of a unit -> its REVISION and a few numbers that it gives."""
    torch.set_num_threads(1)
    frames = mfcc_chroma(signal(1), 16000)
    found = {"features.mfcc_chroma": {"revision": cache.REVISIONS["mfcc_chroma"], "values": frames[::8, ::9].ravel()}}
    data = examples(12)
    for name in models.MODELS:
        for variant in ("definition", "released"):
            torch.manual_seed(0)
            maps = name in models.SPECTROGRAM
            size = {"n_features": SIDE, "n_frames": SIDE} if maps else {}
            size |= {"width": 1 / 8} if name in models.BACKBONES else {}  # whole, they are half a gigabyte each
            model = models.build(name, n_classes=3, variant=variant, **size).eval()
            logits = batching.predict_logits(model, spectrograms(2) if maps else data.frames[:3])
            values = logits.ravel()
            if name in models.BACKBONES:  # their first logits are so small that any others would pass for them
                values = [math.log10(tap.std().item()) for tap in model.signals(torch.from_numpy(np.stack(spectrograms(2)))).values()]
            found[f"model.{name}.{variant}"] = {"revision": models.REVISIONS[name], "values": values}
    torch.manual_seed(0)
    model = models.build("reslstm_sa_h32", n_classes=3)
    result = train.fit(model, data, examples(6), TrainingSpec(epochs=3, batch_size=4, learning_rate=1e-3, cosine_period_epochs=2), 1)
    values = [value for row in result.history for key, value in row.items() if key != "seconds"]
    found["trainer"] = {"revision": train.REVISION, "values": np.array(values)}
    x = np.stack([baselines.functionals(f) for f in data.frames])
    y = np.array(["a", "b", "c"])[data.labels]
    machine = baselines.fit_functionals_svm(x[:9], y[:9], x[9:], y[9:], 0)
    found["baselines"] = {"revision": baselines.REVISION, "values": np.concatenate([x[0, ::50], machine.scores(x[9:]).ravel()])}
    return {name: {"revision": entry["revision"], "values": [round(float(v), 4) for v in entry["values"]]} for name, entry in found.items()}


def renewed(found: dict[str, dict], stored: dict[str, dict]) -> dict[str, dict]:
    """What is found now, except where the stored numbers are of the same revision: those stay."""
    return {name: stored[name] if entry["revision"] == stored.get(name, {}).get("revision") else entry for name, entry in found.items()}


if __name__ == "__main__":
    before = json.loads(FILE.read_text())
    after = renewed(behaviour(), before)
    FILE.write_text(json.dumps(after, indent=1) + "\n")
    print(f"{FILE.name}: " + (", ".join(name for name in after if after[name] != before.get(name)) or "nothing new"))
