"""What a network costs: parameters, multiply-accumulates of one recording, and the highest memory of a run.

What is counted as a multiply-accumulate (MAC): every product that is added to a sum in a convolution, a matrix product (linear layers, the
products of attention) or a recurrent layer (its input, recurrent and projection matrices, at every step), in one forward pass in
evaluation mode. Multiplications by zeros of padding count, as the layer does them. Not counted, because they are few and every count in
the literature leaves them out: biases, activations, normalisation, pooling, softmax, element-wise products (the gates of an LSTM), Fourier
transforms. One MAC is two floating-point operations.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from sercore.layers import multi_time_scale_fused

#: Products of a matrix or a vector with a vector, which torch's own counter leaves out; operations, so two for one MAC.
_VECTOR_PRODUCTS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.mv: lambda matrix, vector, *_, **__: 2 * matrix[0] * matrix[1],
    torch.ops.aten.addmv: lambda start, matrix, vector, *_, **__: 2 * matrix[0] * matrix[1],
    torch.ops.aten.dot: lambda one, other, *_, **__: 2 * one[0],
}
_PROC = Path("/proc/self")
_KIB_PER_MIB = 1024
#: What resident memory may lie below its high-water mark right after that was set back: the kernel adds up its counters in pieces.
_SLACK_MIB = 32.0


@dataclass(frozen=True)
class Resources:
    """Size of a network and the work of one item.

    Attributes:
        trainable: parameters that training changes (`requires_grad`), each once however many modules share it.
        frozen: parameters of the network that training leaves as they are.
        pipeline: all parameters between waveform and answer: the two above and those of the networks before it. Networks that only a loss
            reads are not part of it.
        buffers: values that are stored with the weights and are no parameters (running statistics); not in any of the counts above.
        macs: multiply-accumulates of one item from waveform to answer, as the module says.
        input_shapes: what one item was, the network's own inputs first.
    """

    trainable: int
    frozen: int
    pipeline: int
    buffers: int
    macs: int
    input_shapes: tuple[tuple[int, ...], ...]

    def row(self) -> dict[str, Any]:
        """The counts under the names of a run's record."""
        return {
            "parameters": self.trainable + self.frozen,
            "trainable_parameters": self.trainable,
            "frozen_parameters": self.frozen,
            "pipeline_parameters": self.pipeline,
            "buffer_values": self.buffers,
            "macs": self.macs,
        }


def count(model: nn.Module, inputs: Sequence[Tensor], before: Iterable[tuple[nn.Module, Sequence[Tensor]]] = ()) -> Resources:
    """Parameters and multiply-accumulates of a network, and of the networks that it reads from.

    The forward pass runs once, in evaluation mode and without gradients, where the model is. Modes, buffers and torch's random state are
    as before afterwards.

    Args:
        model: the network.
        inputs: its arguments for one item: tensors of shape (1, ...).
        before: further networks between waveform and `inputs` that are no part of `model` (a pre-trained encoder whose outputs are
            features), each with its arguments for one item: tensors of shape (1, ...). Nothing trains them, so their parameters count
            to the pipeline only.

    Returns:
        The counts; parameters that two modules share are counted once.

    Raises:
        ValueError: an input holds another number of items than one.

    Example:
        >>> count(nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4 * 6 * 6, 2)), [torch.zeros(1, 1, 8, 8)])
        Resources(trainable=330, frozen=0, pipeline=330, buffers=0, macs=1584, input_shapes=((1, 1, 8, 8),))
    """
    networks = [(model, tuple(inputs)), *((module, tuple(given)) for module, given in before)]
    for _, given in networks:
        if wrong := [tuple(x.shape) for x in given if x.dim() == 0 or len(x) != 1]:
            raise ValueError(f"MACs are those of one item: inputs must have the shape (1, ...), got {wrong[0]}")
    macs = sum(_macs(module, given) for module, given in networks)
    own = _once(p for p in model.parameters())
    everything = _once(p for module, _ in networks for p in module.parameters())
    trainable = sum(p.numel() for p in own if p.requires_grad)
    frozen = sum(p.numel() for p in own if not p.requires_grad)
    buffers = sum(b.numel() for b in _once(b for module, _ in networks for b in module.buffers()))
    shapes = tuple(tuple(x.shape) for _, given in networks for x in given)
    return Resources(trainable, frozen, sum(p.numel() for p in everything), buffers, macs, shapes)


def of_frames(model: nn.Module, frames: Sequence[np.ndarray], device: torch.device | str = "cpu") -> dict[str, Any]:
    """The part of a run's record that says what its network costs, for the recording of median length.

    Args:
        model: on `device`; called as `model(x (1, T, d), lengths (1,))`.
        frames: all recordings of the run, each of shape (T_i, d), so that every fold counts for the same length.
        device: where the model is.

    Returns:
        `Resources.row()`, and `macs_frames`: T of the recording, the lower median.
    """
    n_frames = median_low([len(f) for f in frames])
    return {**count(model, silence(n_frames, frames[0].shape[1], device)).row(), "macs_frames": n_frames}


def silence(n_frames: int, n_features: int, device: torch.device | str = "cpu") -> tuple[Tensor, Tensor]:
    """Arguments of a network for one recording of zeros.

    Args:
        n_frames: T.
        n_features: d, values a frame.
        device: where they lie.

    Returns:
        `(x, lengths)`: shapes (1, T, d), float32, and (1,), int64, in frames.
    """
    return torch.zeros(1, n_frames, n_features, device=device), torch.tensor([n_frames], device=device)


def _once(tensors: Iterable[Tensor]) -> list[Tensor]:
    return list({id(t): t for t in tensors}.values())


def _macs(model: nn.Module, inputs: Sequence[Tensor]) -> int:
    """One forward pass under torch's counter; recurrent layers by formula, as the counter sees none of their kernels.

    What is compiled outside torch is not seen either, so multi-time-scale layers go their plain way.
    """
    counter = FlopCounterMode(display=False, custom_mapping=_VECTOR_PRODUCTS)
    seen, missed = {}, [0]

    def enter(layer: nn.Module, *_: Any) -> None:
        seen[layer] = counter.get_total_flops()

    def leave(layer: nn.RNNBase, args: tuple, kwargs: dict, *_: Any) -> None:
        counted = (counter.get_total_flops() - seen.pop(layer)) // 2
        missed[0] += _recurrent(layer, args[0] if args else kwargs["input"]) - counted

    with ExitStack() as stack:
        stack.enter_context(_as_before(model, inputs))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_unfused_attention())
        stack.enter_context(multi_time_scale_fused.switched_off())
        for layer in (m for m in model.modules() if isinstance(m, nn.RNNBase)):
            stack.callback(layer.register_forward_pre_hook(enter).remove)
            stack.callback(layer.register_forward_hook(leave, with_kwargs=True).remove)
        with counter:
            model.eval()(*inputs)
    return counter.get_total_flops() // 2 + missed[0]


def _recurrent(layer: nn.RNNBase, x: Any) -> int:
    """Every matrix of every layer and direction, once a step; `x` is padded or packed."""
    steps = (x.data if isinstance(x, nn.utils.rnn.PackedSequence) else x).numel() // layer.input_size
    return steps * sum(p.numel() for p in layer.parameters() if p.dim() == 2)


@contextmanager
def _as_before(model: nn.Module, inputs: Sequence[Tensor]) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    devices = {x.device for x in inputs if x.device.type == "cuda"}
    try:
        with torch.random.fork_rng(devices=sorted(d.index or 0 for d in devices)):
            yield
    finally:
        for module, training in modes:
            module.training = training
        with torch.no_grad():
            for buffer, value in buffers:
                buffer.copy_(value)


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Attention as the matrix products that it consists of: the fused forms are not seen by the counter."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


class PeakMemory:
    """The highest memory while a run goes on, and of nothing that the process did before it.

    Host: resident memory of the whole process, the interpreter and torch included (some hundred MiB), as Linux keeps it: the high-water
    mark is set back on entry. Device: what torch allocated on it. Either is None where it cannot be known: on the host without Linux' /proc
    or without leave to write there, on the device where there is no accelerator, and both when two runs of one process overlap, as their
    memory is one. A run that was interrupted and goes on has the peak of its last sitting.

    Args:
        device: of the run.

    Example:
        >>> with PeakMemory("cpu") as peak:
        ...     found = peak.row()
        >>> sorted(found), found["peak_device_mb"] is None
        (['peak_device_mb', 'peak_host_mb'], True)
    """

    _running: set[PeakMemory] = set()  # of the process, not of an instance

    def __init__(self, device: torch.device | str = "cpu") -> None:
        self.device = torch.device(device)
        self.alone = self.reset = False

    def __enter__(self) -> PeakMemory:
        self._running.add(self)
        self.alone = len(self._running) == 1
        for other in self._running if not self.alone else ():
            other.alone = False
        self.reset = _reset_host_peak()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.discard(self)

    def row(self) -> dict[str, float | None]:
        """`peak_host_mb` and `peak_device_mb` so far, in MiB, under the names of a run's record."""
        host = _host_memory("VmHWM") if self.alone and self.reset else None
        device = torch.cuda.max_memory_allocated(self.device) / 2**20 if self.alone and self.device.type == "cuda" else None
        return {name: None if mb is None else round(mb, 1) for name, mb in (("peak_host_mb", host), ("peak_device_mb", device))}


def _reset_host_peak() -> bool:
    """Set the high-water mark of resident memory back to what is resident now; False where the system does not do it."""
    try:
        with open(_PROC / "clear_refs", "w", encoding="ascii", opener=lambda path, flags: os.open(path, os.O_WRONLY)) as file:
            file.write("5")
    except OSError:
        return False
    peak, now = _host_memory("VmHWM"), _host_memory("VmRSS")
    return peak is not None and now is not None and peak <= now + _SLACK_MIB


def _host_memory(name: str) -> float | None:
    """A line of the process' status, in MiB; None where there is none."""
    try:
        lines = (_PROC / "status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((float(line.split()[1]) / _KIB_PER_MIB for line in lines if line.startswith(f"{name}:")), None)
