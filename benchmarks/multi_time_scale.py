"""Multi-time-scale convolution against the standard one: the layer alone, and a whole training step of network A2.

Forms: `standard` (torch.nn.Conv2d), `ours` (the path that the layer chooses), `ours, plain path` (a loop over branches; a GPU always
takes it), and `separate convolutions` (a layer of its own weights for each branch, overwritten at every forward, maps stretched and
stacked, as the authors' layer works; written here). They take turns in random order inside each round; the ratio to the standard form is
taken in each round and its median printed with the quartiles. On a processor its own time is counted, one thread; on a GPU the wall's,
the device waited for.

    python -m benchmarks.multi_time_scale [--cases layer a2] [--batch 20] [--frames 165] [--bins 161] [--rounds 15] [--json]

By default the C library gives large tensors back at once and maps them afresh, which makes whatever writes much look worse.
--keep-memory tells it (Linux) to keep them, for every form alike.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import time
from collections.abc import Callable
from contextlib import nullcontext

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sercore.layers import multi_time_scale_fused as fused
from sercore.layers.kernel_scales import kernel_sizes
from sercore.layers.multi_time_scale import MultiTimeScaleConv2d
from sercore.models import mts_cnn

KERNEL, CHANNELS, CLASSES = (10, 5), 10, 7
FACTORS = {3: (0.7, 1.0, 1.428), 5: (0.5, 0.7, 1.0, 1.428, 2.0)}
#: What we hold ourselves to: ratio to the standard form, by case and branches.
GOALS = {("layer", 3): 4.2, ("layer", 5): 6.5, ("a2", 3): 1.25, ("a2", 5): 1.40}
OURS, PLAIN, SEPARATE = "ours", "ours, plain path", "separate convolutions"


class SeparateConvolutions(nn.Module):
    """One convolution a branch; scaled ones take resampled copies of the first's weights at every forward, and gradients of their own."""

    def __init__(self, factors: tuple[float, ...]) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, KERNEL)
        sizes = kernel_sizes(KERNEL, factors)
        self.scaled = nn.ModuleList(nn.Conv2d(1, CHANNELS, size) for size, s in zip(sizes, factors, strict=True) if s != 1)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (B, O, T', F') from x (B, 1, T, F)."""
        maps = [self.first(x)]
        for branch in self.scaled:
            branch.weight.data = functional.interpolate(self.first.weight.data, branch.kernel_size, mode="bilinear", align_corners=False)
            branch.bias.data = self.first.bias.data
            maps.append(functional.interpolate(branch(x), maps[0].shape[2:], mode="bilinear", align_corners=False))
        return torch.stack(maps).max(dim=0).values


def layer_forms(branches: int) -> dict[str, nn.Module]:
    """Each form of the layer; `ours` serves both of its paths."""
    ours = MultiTimeScaleConv2d(1, CHANNELS, KERNEL, FACTORS[branches])
    return {"standard": nn.Conv2d(1, CHANNELS, KERNEL), OURS: ours, PLAIN: ours, SEPARATE: SeparateConvolutions(FACTORS[branches])}


def a2_forms(branches: int, frames: int, bins: int) -> dict[str, nn.Module]:
    """Each form of network A2; the networks hold the same weights outside the convolution, so that they cost memory once."""
    standard = mts_cnn.build("a2", frames, bins, CLASSES)
    found = {"standard": standard}
    for name, convolution in layer_forms(branches).items():
        if name != "standard":
            found[name] = mts_cnn.build("a2", KERNEL[0], KERNEL[1], CLASSES)
            found[name].n_frames, found[name].n_features = frames, bins
            found[name].conv_1, found[name].hidden, found[name].classifier = convolution, standard.hidden, standard.classifier
    return found


def layer_step(layer: nn.Module, x: Tensor, upstream: Tensor) -> Callable[[], None]:
    """Forward and backward of the layer, without a gradient for its input."""

    def step() -> None:
        layer(x[:, None]).backward(upstream)
        layer.zero_grad(set_to_none=True)

    return step


def network_step(model: nn.Module, x: Tensor, labels: Tensor, optimizer: torch.optim.Optimizer) -> Callable[[], None]:
    """One training step: forward, cross-entropy, backward, Adam."""

    def step() -> None:
        loss = functional.cross_entropy(model(x), labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def steps(case: str, branches: int, batch: int, frames: int, bins: int, device: torch.device) -> dict[str, Callable[[], None]]:
    """Form -> its step, ready to be timed."""
    torch.manual_seed(0)
    x = torch.randn(batch, frames, bins, device=device)
    if case == "layer":
        upstream = torch.randn(batch, CHANNELS, frames - KERNEL[0] + 1, bins - KERNEL[1] + 1, device=device)
        return {name: layer_step(layer.to(device), x, upstream) for name, layer in layer_forms(branches).items()}
    labels = torch.arange(batch, device=device) % CLASSES
    models = {name: model.to(device) for name, model in a2_forms(branches, frames, bins).items()}
    every = {id(p): p for model in models.values() for p in model.parameters()}  # one optimiser: Adam's moments are there once
    optimizer = torch.optim.Adam(every.values(), fused=True)
    return {name: network_step(model, x, labels, optimizer) for name, model in models.items()}


def seconds_of(step: Callable[[], None], plain: bool, device: torch.device) -> float:
    """Processor seconds of a step, or on a GPU the wall's."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    with fused.switched_off() if plain else nullcontext():
        wait(device)
        started = clock()
        step()
        wait(device)
    return clock() - started


def wait(device: torch.device) -> None:
    """Until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(case: str, branches: int, batch: int, frames: int, bins: int, rounds: int, device: torch.device) -> list[dict]:
    """One row a form: milliseconds, the ratio to the standard form, its quartiles, and the goal.

    Args:
        case: `layer` or `a2`.
        branches: 3 or 5.
        batch: items.
        frames: T.
        bins: F.
        rounds: how often every form is timed.
        device: where.

    Returns:
        Rows `case, branches, form, ms, ratio, ratio_low, ratio_high, goal`; a goal stands beside `ours` alone.
    """
    forms = steps(case, branches, batch, frames, bins, device)
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for name, step in forms.items():  # compiles, and fills the optimiser's memory
        seconds_of(step, name == PLAIN, device)
    for number in range(rounds):
        for name in random.Random(number).sample(list(forms), len(forms)):
            seconds[name].append(seconds_of(forms[name], name == PLAIN, device))
    rows = []
    for name, values in seconds.items():
        low, middle, high = np.percentile(np.array(values) / np.array(seconds["standard"]), [25, 50, 75])
        ratios = {"ratio": round(middle, 3), "ratio_low": round(low, 3), "ratio_high": round(high, 3)}
        goal = GOALS[case, branches] if name == OURS else None
        rows.append(
            {"case": case, "branches": branches, "form": name, "ms": round(1000 * float(np.median(values)), 2), **ratios, "goal": goal}
        )
    return rows


def keep_memory() -> None:
    """Large blocks stay with the process: no separate mapping for them, nothing given back at the end of the heap."""
    library = ctypes.CDLL(None)
    mapped_at_most, trim_threshold = -4, -1  # M_MMAP_MAX and M_TRIM_THRESHOLD of the GNU C library
    if not hasattr(library, "mallopt") or not (library.mallopt(mapped_at_most, 0) and library.mallopt(trim_threshold, 2**31 - 1)):
        raise SystemExit("--keep-memory needs the GNU C library")


def main() -> None:
    """Print a table, or one JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=("layer", "a2"), default=["layer", "a2"], help="layer alone, whole step of A2")
    parser.add_argument("--branches", nargs="+", type=int, choices=tuple(FACTORS), default=list(FACTORS))
    parser.add_argument("--batch", type=int, default=20, help="items")
    parser.add_argument("--frames", type=int, default=165, help="frames of an item")
    parser.add_argument("--bins", type=int, default=161, help="bins of a frame (161: windows of 20 ms at 16 kHz)")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--keep-memory", action="store_true", help="the C library keeps large blocks (Linux)")
    parser.add_argument("--json", action="store_true", help="one JSON line a row")
    options = parser.parse_args()
    if options.keep_memory:
        keep_memory()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    named = torch.cuda.get_device_name() if device.type == "cuda" else "processor, one thread"
    sizes = f"batch {options.batch}, {options.frames} frames x {options.bins} bins"
    if not options.json:
        memory = "kept" if options.keep_memory else "the C library's own way"
        print(f"{named}; {sizes}; {options.rounds} rounds; torch {torch.__version__}; memory: {memory}; load {os.getloadavg()[0]:.1f}")
        print(f"{'case':7}{'branches':>8}  {'form':24}{'ms':>9}{'ratio':>8}  quartiles        goal")
    for case in options.cases:
        for branches in options.branches:
            for row in measure(case, branches, options.batch, options.frames, options.bins, options.rounds, device):
                if options.json:
                    print(json.dumps({"device": named, "sizes": sizes, "memory_kept": options.keep_memory, **row}), flush=True)
                    continue
                quartiles = f"{row['ratio_low']:.2f} - {row['ratio_high']:.2f}"
                goal = f"{row['goal']:.2f}" if row["goal"] else ""
                print(f"{case:7}{branches:8d}  {row['form']:24}{row['ms']:9.1f}{row['ratio']:8.2f}  {quartiles:15}{goal:>6}", flush=True)


if __name__ == "__main__":
    main()
