"""Training step of ResLSTM-SA: sequences padded in length buckets and masked, against packed sequences.

Both forms compute the same numbers (a test holds it), so only the ratio matters. The two take turns in random order inside each round;
the ratio is taken in each round and its median printed with the quartiles.

    python -m benchmarks.lstm_padding [--hidden 64] [--batch 32] [--frames 87] [--rounds 15]
"""

from __future__ import annotations

import argparse
import json
import random
import time

import numpy as np
import torch
from torch.nn import functional

from sercore import batching
from sercore.models.reslstm_sa import LSTMSA, PackedLSTMSA


def epoch_seconds(model: torch.nn.Module, optimizer: torch.optim.Optimizer, frames: list[np.ndarray], plan: list[np.ndarray]) -> float:
    """Processor seconds of one pass over the items of `plan`."""
    started = time.process_time()
    for chosen in plan:
        x, lengths = batching.padded([frames[i] for i in chosen])
        loss = functional.cross_entropy(model(x, lengths), torch.as_tensor(chosen % 8))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
    return time.process_time() - started


def measure(hidden: int, batch: int, frames_mean: int, rounds: int, residual: bool) -> dict[str, float]:
    """Samples per second of both forms, and the ratio's median and quartiles.

    Args:
        hidden: H.
        batch: items a batch.
        frames_mean: mean number of frames; lengths spread like RAVDESS' (standard deviation one tenth).
        rounds: how often both forms are timed.
        residual: ResLSTM-SA, else LSTM-SA.

    Returns:
        `packed_per_s, padded_per_s, ratio, ratio_low, ratio_high`.
    """
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    lengths = np.maximum(rng.normal(frames_mean, frames_mean / 10, 8 * batch).round().astype(int), 10)
    frames = [rng.normal(size=(n, 46)).astype(np.float32) for n in lengths]
    plan = batching.batches(lengths, batch, 0)
    forms = {"packed": PackedLSTMSA, "padded": LSTMSA}
    models = {name: form(46, 8, hidden, residual) for name, form in forms.items()}
    optimizers = {name: torch.optim.Adam(model.parameters(), fused=True) for name, model in models.items()}
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for name in forms:
        epoch_seconds(models[name], optimizers[name], frames, plan)
    for _ in range(rounds):
        for name in random.Random(_).sample(list(forms), 2):
            seconds[name].append(epoch_seconds(models[name], optimizers[name], frames, plan))
    ratios = np.array(seconds["packed"]) / np.array(seconds["padded"])
    low, middle, high = np.percentile(ratios, [25, 50, 75])
    speed = {f"{name}_per_s": round(len(frames) / float(np.median(values)), 1) for name, values in seconds.items()}
    return {**speed, "ratio": round(middle, 2), "ratio_low": round(low, 2), "ratio_high": round(high, 2)}


def main() -> None:
    """Print one JSON line a case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", type=int, default=64, help="size of the attended hidden state")
    parser.add_argument("--batch", type=int, default=32, help="items a batch")
    parser.add_argument("--frames", type=int, nargs="+", default=[87, 130], help="mean number of frames (87: RAVDESS at 48 kHz)")
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    for residual in (False, True):
        for frames in options.frames:
            found = measure(options.hidden, options.batch, frames, options.rounds, residual)
            print(
                json.dumps({"system": f"{'res' * residual}lstm_sa_h{options.hidden}", "batch": options.batch, "frames": frames, **found}),
                flush=True,
            )


if __name__ == "__main__":
    main()
