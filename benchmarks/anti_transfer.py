"""Anti-transfer: the Gram term alone, and whole training steps of VGG16 with the loss at one tap, in time and in memory.

`gram`: value and gradient of the squared cosine of two Gram matrices. Forms: `both by autograd` (both matrices formed, the gradient left
to autograd), `ours, unit cached` (what a training step does with a cache), `ours` (the frozen network's side computed too).

`step`: forward, cross-entropy, backward, Adam. Forms: `without the loss`, `cached` (unit Gram matrices from a file, checksums of the inputs
included), `uncached` (the frozen network runs up to the tap, without gradients) and, if asked for, `second pass` (the trained network
runs up to the tap once more, the frozen one with gradients that nobody uses, one Gram matrix holds the whole batch: how the authors' code
works; written here).

Forms take turns in random order inside each round; the ratio to the first form is taken in each round and its median printed with the
quartiles. On a processor its own time is counted, one thread; on a GPU the wall's, the device waited for. Memory is the largest sum of
all tensors alive in one step, weights and optimiser included, beside what Eq. 5.4 of the thesis adds to it.

    python -m benchmarks.anti_transfer [--cases gram step] [--batch 4] [--input 128 64] [--width 1] [--taps conv_1 conv_5 conv_9 conv_13]
                                       [--rounds 7] [--second-pass] [--no-memory] [--json]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from sercore.losses.anti_transfer import AntiTransferLoss, added_bytes
from sercore.losses.frozen import drop_after, freeze, weights_hash
from sercore.losses.gram import squared_cosine, unit
from sercore.losses.gram_cache import GramCache
from sercore.losses.gram_file import CacheKey
from sercore.models.vgg16 import VGG16

CLASSES = 4
#: Channels and positions: VGG16's blocks as they shrink; the last three are on the other side of positions < channels / 2.
SIZES = ((64, 4096), (128, 1024), (256, 1024), (512, 1024), (512, 128), (512, 64), (512, 16))
WITHOUT, CACHED, UNCACHED, SECOND = "without the loss", "cached", "uncached", "second pass"
BOTH, OURS_CACHED, OURS = "both by autograd", "ours, unit cached", "ours"
#: What we hold ourselves to: ratios to the first form; of the Gram term, those at 512 channels and 64 positions besides.
GOALS = {CACHED: 1.03, UNCACHED: 1.35, OURS_CACHED: 0.5, (OURS_CACHED, 512, 64): 0.10}
MEMORY_GOALS = {CACHED: 1.03}

Step = Callable[[], None]


def both_by_autograd(trained: Tensor, frozen: Tensor) -> None:
    """Plain: both Gram matrices, their cosine, squared; gradient of `trained`."""
    a, b = (x @ x.transpose(1, 2) for x in (trained, frozen))
    functional.cosine_similarity(a.flatten(1), b.flatten(1)).square().mean().backward()
    trained.grad = None


def gram_forms(channels: int, positions: int, batch: int, device: torch.device) -> dict[str, Step]:
    """Each form of the Gram term on features (B, C, N)."""
    torch.manual_seed(0)
    trained, frozen = (torch.randn(batch, channels, positions, device=device).relu() for _ in range(2))
    trained.requires_grad_()
    cached = unit(frozen)

    def ours(fresh: bool) -> None:
        squared_cosine(trained, unit(frozen) if fresh else cached).mean().backward()
        trained.grad = None

    return {BOTH: partial(both_by_autograd, trained, frozen), OURS_CACHED: partial(ours, False), OURS: partial(ours, True)}


class Training:
    """VGG16, a batch, and what a training step with the loss at one tap needs."""

    def __init__(self, batch: int, size: tuple[int, int], width: float, device: torch.device, folder: Path) -> None:
        torch.manual_seed(0)
        self.network = partial(VGG16, *size, CLASSES, width=width)
        self.device, self.folder, self.size = device, folder, size
        self.model = self.network().to(device)
        self.x, self.labels = torch.rand(batch, *size), torch.arange(batch, device=device) % CLASSES
        self.items = [f"item_{i}" for i in range(batch)]
        self.optimizer = torch.optim.Adam(self.model.parameters(), 5e-4)
        self.step()  # makes the optimiser's memory

    def forms(self, tap: str, second_pass: bool) -> dict[str, Step]:
        """Each form of the step with the loss at this tap."""
        torch.manual_seed(1)
        network = freeze(self.network())
        cached = AntiTransferLoss(tap, {"random": self.cache(network, tap)})
        drop_after(network, [tap], self.x[:1])
        network.to(self.device)
        forms: dict[str, Step] = {
            WITHOUT: self.step,
            CACHED: partial(self.step, partial(cached, items=self.items)),
            UNCACHED: partial(self.step, AntiTransferLoss(tap, {"random": network})),
        }
        if second_pass:
            forms[SECOND] = partial(self.step, partial(self.second_pass, network, tap))
        self.frozen_bytes = sum(p.numel() * p.element_size() for p in network.parameters())
        return forms

    def cache(self, network: nn.Module, tap: str) -> GramCache:
        """File of the batch's unit Gram matrices."""
        rows = {item: row for row, item in enumerate(self.items)}
        key, quiet = (
            CacheKey(weights_hash(network), tap, "drawn"),
            {"augmentation": False, "trainable_encoder": False, "say": lambda _: None},
        )
        return GramCache.build(self.folder, key, network, self.items, lambda items: (self.x[[rows[i] for i in items]], None), **quiet)

    def second_pass(self, frozen: nn.Module, tap: str, signals: dict[str, Tensor], x: Tensor) -> Tensor:
        """The loss as the authors' code comes to it; the backward pass goes through the frozen network as well, for nothing."""
        frozen.zero_grad(set_to_none=True)
        frozen.requires_grad_(True)
        try:
            a, b = (features.flatten(0, 1).flatten(1) for features in (self.model.tapped(x, tap), frozen.tapped(x, tap)))
            return functional.cosine_similarity(a @ a.T, b @ b.T, dim=1).abs().mean().square()
        finally:
            frozen.requires_grad_(False)

    def step(self, loss: Callable | None = None) -> None:
        """One training step; the taps are let go before the backward pass, which then frees them one by one."""
        self.optimizer.zero_grad(set_to_none=True)
        x = self.x.to(self.device)
        signals = self.model.signals(x)
        total = functional.cross_entropy(signals["logits"], self.labels)
        if loss is not None:
            total = total + loss(signals, x)
        del signals
        total.backward()
        self.optimizer.step()

    def peak_bytes(self, form: str, step: Step) -> int:
        """Largest sum of tensors alive in a step: weights, the optimiser's memory, and all that the step makes."""
        lasting = 3 * sum(p.numel() * p.element_size() for p in self.model.parameters())
        lasting += self.frozen_bytes if form in (UNCACHED, SECOND) else 0
        self.optimizer.zero_grad(set_to_none=True)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            before = torch.cuda.memory_allocated()
            step()
            return lasting + torch.cuda.max_memory_allocated() - before
        os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler writes a line whenever it starts and stops
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen:
            step()
        events = [event for event in seen.profiler.kineto_results.events() if event.name() == "[memory]"]
        changes = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
        return lasting + int(np.cumsum(changes).max())

    def counted_bytes(self, tap: str, form: str) -> int | None:
        """What Eq. 5.4 adds; None where it says nothing."""
        if form == WITHOUT:
            return None
        return added_bytes(self.frozen_bytes, {tap: (len(self.x), *self.model.taps[tap])}, cached=form == CACHED)


def seconds_of(step: Step, device: torch.device) -> float:
    """Processor seconds of a step, or on a GPU the wall's."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    wait(device)
    started = clock()
    step()
    wait(device)
    return clock() - started


def wait(device: torch.device) -> None:
    """Until a GPU has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(forms: dict[str, Step], rounds: int, device: torch.device, repeats: int = 1) -> dict[str, dict[str, float]]:
    """Form -> milliseconds, the ratio to the first form, and its quartiles.

    Args:
        forms: each ready to be timed.
        rounds: how often every form is timed.
        device: where.
        repeats: calls timed together.
    """
    seconds: dict[str, list[float]] = {name: [] for name in forms}

    def repeated(step: Step) -> None:
        for _ in range(repeats):
            step()

    for step in forms.values():
        seconds_of(step, device)
    for number in range(rounds):
        for name in random.Random(number).sample(list(forms), len(forms)):
            seconds[name].append(seconds_of(partial(repeated, forms[name]), device) / repeats)
    found, first = {}, np.array(seconds[next(iter(forms))])
    for name, values in seconds.items():
        low, middle, high = np.percentile(np.array(values) / first, [25, 50, 75])
        found[name] = {"ms": round(1000 * float(np.median(values)), 3)}
        found[name] |= {"ratio": round(middle, 3), "ratio_low": round(low, 3), "ratio_high": round(high, 3)}
    return found


def gram_rows(options: argparse.Namespace, device: torch.device) -> Iterator[dict]:
    """The Gram term at every size."""
    for channels, positions in SIZES:
        repeats = max(1, int(2e9 / (options.batch * channels * positions * min(channels, 2 * positions))))
        forms = gram_forms(channels, positions, options.batch, device)
        for form, found in measure(forms, options.rounds, device, min(repeats, 50)).items():
            goal = GOALS.get((form, channels, positions), GOALS.get(form))
            yield {"case": "gram", "at": f"c {channels} n {positions}", "form": form, **found, "goal": goal}


def step_rows(options: argparse.Namespace, device: torch.device) -> Iterator[dict]:
    """The training step with the loss at every tap."""
    with tempfile.TemporaryDirectory() as folder:
        training = Training(options.batch, tuple(options.input), options.width, device, Path(folder))
        for tap in options.taps:
            forms = training.forms(tap, options.second_pass)
            bytes_of = {} if options.no_memory else {form: training.peak_bytes(form, step) for form, step in forms.items()}
            for form, found in measure(forms, options.rounds, device).items():
                row = {"case": "step", "at": tap, "form": form, **found, "goal": GOALS.get(form)}
                if bytes_of:
                    row |= {"peak_mb": round(bytes_of[form] / 1e6, 1), "peak_ratio": round(bytes_of[form] / bytes_of[WITHOUT], 3)}
                    counted = training.counted_bytes(tap, form)
                    row |= {"peak_goal": MEMORY_GOALS.get(form), "counted_mb": None if counted is None else round(counted / 1e6, 2)}
                yield row


def line(row: dict) -> str:
    """A row as printed."""
    quartiles = f"{row['ratio_low']:.2f} - {row['ratio_high']:.2f}"
    text = f"{row['case']:6}{row['at']:14}{row['form']:20}{row['ms']:11.2f}{row['ratio']:8.3f}  {quartiles:14}{row['goal'] or '':>6}"
    if "peak_mb" in row:
        counted = "" if row["counted_mb"] is None else f"{row['counted_mb']:.1f}"
        text += f"{row['peak_mb']:10.1f}{row['peak_ratio']:8.3f}{row['peak_goal'] or '':>6}{counted:>10}"
    return text


def main() -> None:
    """Print a table, or one JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", nargs="+", choices=("gram", "step"), default=["gram", "step"], help="Gram term alone, training step")
    parser.add_argument("--batch", type=int, default=4, help="items")
    parser.add_argument("--input", nargs=2, type=int, default=[128, 64], metavar=("FRAMES", "BINS"), help="512 128 in the thesis")
    parser.add_argument("--width", type=float, default=1.0, help="factor on VGG16's channels")
    parser.add_argument("--taps", nargs="+", default=["conv_1", "conv_5", "conv_9", "conv_13"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--second-pass", action="store_true", help="the authors' way too")
    parser.add_argument("--no-memory", action="store_true", help="time alone")
    parser.add_argument("--json", action="store_true", help="one JSON line a row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    named = torch.cuda.get_device_name() if device.type == "cuda" else "processor, one thread"
    sizes = f"batch {options.batch}, {options.input[0]} frames x {options.input[1]} bins, width {options.width:g}"
    if not options.json:
        print(f"{named}; {sizes}; {options.rounds} rounds; torch {torch.__version__}; load {os.getloadavg()[0]:.1f}")
        heads = f"{'peak MB':>10}{'ratio':>8}{'goal':>6}{'Eq. 5.4':>10}"
        print(f"{'case':6}{'at':14}{'form':20}{'ms':>11}{'ratio':>8}  {'quartiles':14}{'goal':>6}{heads}")
    for case, rows in (("gram", gram_rows), ("step", step_rows)):
        for row in rows(options, device) if case in options.cases else ():
            print(json.dumps({"device": named, "sizes": sizes, **row}) if options.json else line(row), flush=True)


if __name__ == "__main__":
    main()
