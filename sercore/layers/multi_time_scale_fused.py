"""Multi-time-scale convolution (thesis ch. 4) in one compiled pass: all branches of a few rows while they are in the processor's cache.

A convolution of one input map leaves torch's library far below the speed of the processor, and separate branches write maps that are
read again only to be compared. Here a block of rows is convolved with every branch, two output maps at a time, and only the maximum and
its branch are written. Backwards the gradient of a block is split by winner and correlated with the input. Rows keep the width of the
padded input, so that a block is one long vector: the last columns of each row are computed and thrown away.

Values equal those of the plain path but for rounding. One thread; the result of an item does not depend on its batch. Compiled by numba
at the first use in a process (five to six seconds of one processor); nothing is stored on disk, because numba's stored code is a pickle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.util import find_spec
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

#: Multiplications an item (all branches) below which compiling is not worth while.
LEAST_WORK = 1_000_000
#: Input maps above which torch's library is as fast.
MOST_CHANNELS = 3
#: Threads of torch above which its convolutions win: this pass has one.
MOST_THREADS = 4
#: Frequency taps are taken five at a time.
TAPS = 5
#: Values of a block of rows: with its accumulators it stays in the nearest cache.
BLOCK = 2560

_off = [False]


@contextmanager
def switched_off() -> Iterator[None]:
    """Inside, every layer takes the plain path: to compare the two, to count operations, to trace (the paper's layer is neither)."""
    before, _off[0] = _off[0], True
    try:
        yield
    finally:
        _off[0] = before


def pays(layer: Any, x: Tensor) -> bool:
    """Whether the compiled pass is taken: a bool, from kinds and sizes alone and not from the number of items (thesis ch. 4: A1 to A3).

    Args:
        layer: a `MultiTimeScaleConv2d`, centred (not imported here: it imports this module).
        x: its input, shape (B, C, T, F), floating.
    """
    suits = (
        not _off[0]
        and x.device.type == "cpu"
        and layer.weight.device.type == "cpu"
        and x.dtype == layer.weight.dtype == torch.float32
        and layer.stride == (1, 1)
        and len(layer.sizes) > 1
        and layer.in_channels <= MOST_CHANNELS
        and all(bins == layer.kernel_size[1] for _, bins in layer.sizes)
        and layer.kernel_size[1] % TAPS == 0
        and not (x.requires_grad and torch.is_grad_enabled())
    )
    if not suits or torch.get_num_threads() > MOST_THREADS or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return False
    points = math.prod(n + 2 * p - k + 1 for n, p, k in zip(x.shape[2:], layer.padding, layer.kernel_size, strict=True))
    work = layer.weight.shape[0] * layer.in_channels * layer.kernel_size[1] * points * sum(rows for rows, _ in layer.sizes)
    return work >= LEAST_WORK and find_spec("numba") is not None


def best(layer: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Maximum over branches and its branch (thesis, Sec. 4.2), for a layer and an input for which it `pays`.

    Args:
        layer: a `MultiTimeScaleConv2d`, centred (not imported here: it imports this module).
        x: its input, shape (B, C, T, F), float32.

    Returns:
        `(maximum, winner)`, shapes (B, O, T', F'), float32 and int8.
    """
    padded, origin = layer._padded(x)
    kernels, biases = [], []
    for i in layer.order:
        weighing = layer.weighing[i]
        kernels.append(layer._kernel(i) * weighing if weighing != 1 else layer._kernel(i))
        bias = torch.zeros(layer.out_channels) if layer.bias is None else layer.bias
        biases.append(bias * weighing if weighing != 1 else bias)
    heights = np.array([layer.sizes[i][0] for i in layer.order])
    first_rows = np.array([origin[0] - layer._margins(i)[0][0] for i in layer.order])
    tops = np.concatenate([[0], heights.cumsum()[:-1]])
    geometry = np.stack([heights, tops, first_rows, np.array(layer.order)], axis=1)  # (S, 4)
    rows = x.shape[2] + 2 * layer.padding[0] - layer.kernel_size[0] + 1
    return _Fused.apply(torch.cat(kernels, dim=2), torch.stack(biases), padded, geometry, rows)


class _Fused(torch.autograd.Function):
    """(kernels one below another (O, C, R, k_f), biases (S, O), padded input) -> (maximum, winner)."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, bias: Tensor, padded: Tensor, geometry: np.ndarray, rows: int) -> tuple[Tensor, Tensor]:
        weight, padded = weight.contiguous(), padded.contiguous()
        shape = (padded.shape[0], weight.shape[0], rows, padded.shape[3] - weight.shape[3] + 1)
        maximum, winner = torch.empty(shape), torch.empty(shape, dtype=torch.int8)
        arrays = (t.detach().numpy() for t in (padded, weight, bias.contiguous(), maximum, winner))
        _compiled().forward(*arrays, geometry, max(1, BLOCK // padded.shape[3]))
        ctx.save_for_backward(padded, winner)
        ctx.mark_non_differentiable(winner)
        ctx.geometry, ctx.weight_shape = geometry, weight.shape
        return maximum, winner

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        padded, winner = ctx.saved_tensors
        # Sums over blocks and items in double precision: their order all but leaves no trace.
        weight = torch.zeros(ctx.weight_shape, dtype=torch.float64)
        bias = torch.zeros(len(ctx.geometry), ctx.weight_shape[0], dtype=torch.float64)
        arrays = (t.numpy() for t in (padded, gradient.contiguous(), winner, weight, bias))
        _compiled().backward(*arrays, ctx.geometry, max(1, BLOCK // padded.shape[3]))
        return weight.float(), bias.float(), None, None, None


@cache
def _compiled() -> SimpleNamespace:
    """The two passes, compiled here and not at import: numba takes a while to load and is not needed on a GPU."""
    from numba import njit

    def fast(function: Any) -> Any:
        # Sums may be taken in another order; NaN and infinity keep their meaning. The GIL is let go.
        return njit(function, fastmath={"reassoc", "contract", "nsz", "arcp"}, nogil=True)

    add, dot, keep, share = fast(_add), fast(_dot), fast(_keep), fast(_share)

    def forward(x, weight, bias, maximum, winner, geometry, block):  # type: ignore[no-untyped-def]
        n_out, n_in, taps = weight.shape[0], weight.shape[1], weight.shape[3]
        n_rows, n_columns, width = maximum.shape[2], maximum.shape[3], x.shape[3]
        best = np.empty((2, block * width), np.float32)
        other, won = np.empty_like(best), np.empty_like(best)
        nothing = np.zeros((weight.shape[2], taps), np.float32)
        for b in range(x.shape[0]):
            for top in range(0, n_rows, block):
                rows = min(block, n_rows - top)
                n = rows * width - taps + 1
                for o in range(0, n_out, 2):
                    pair = min(2, n_out - o)
                    for s in range(len(geometry)):
                        height, first, start, label = geometry[s]
                        to = best if s == 0 else other
                        for p in range(pair):
                            to[p, :n] = bias[s, o + p]
                        for c in range(n_in):
                            line = x[b, c].ravel()
                            lower = weight[o + 1, c, first : first + height] if pair == 2 else nothing[:height]
                            add(to[0, :n], to[1, :n], line[(top + start) * width :], width, weight[o, c, first : first + height], lower)
                        for p in range(pair):
                            if s == 0:
                                won[p, :n] = label
                            else:
                                keep(best[p, :n], other[p, :n], won[p, :n], np.float32(label))
                    for p in range(pair):
                        for t in range(rows):
                            maximum[b, o + p, top + t] = best[p, t * width : t * width + n_columns]
                            for f in range(n_columns):
                                winner[b, o + p, top + t, f] = np.int8(won[p, t * width + f])

    def backward(x, gradient, winner, weight, bias, geometry, block):  # type: ignore[no-untyped-def]
        n_out, n_in, taps = weight.shape[0], weight.shape[1], weight.shape[3]
        n_rows, n_columns, width = gradient.shape[2], gradient.shape[3], x.shape[3]
        part = np.zeros((2, block * width), np.float32)  # columns beyond n_columns stay 0
        nothing = np.zeros((weight.shape[2], taps))
        for b in range(x.shape[0]):
            for top in range(0, n_rows, block):
                rows = min(block, n_rows - top)
                n = rows * width - taps + 1
                for o in range(0, n_out, 2):
                    pair = min(2, n_out - o)
                    for s in range(len(geometry)):
                        height, first, start, label = geometry[s]
                        for p in range(pair):
                            for t in range(rows):
                                row = part[p, t * width : t * width + n_columns]
                                bias[s, o + p] += share(gradient[b, o + p, top + t], winner[b, o + p, top + t], np.int8(label), row)
                        for c in range(n_in):
                            line = x[b, c].ravel()
                            lower = weight[o + 1, c, first : first + height] if pair == 2 else nothing[:height]
                            dot(part[0, :n], part[1, :n], line[(top + start) * width :], width, weight[o, c, first : first + height], lower)

    return SimpleNamespace(forward=fast(forward), backward=fast(backward))


def _add(a, b, lines, width, upper, lower):  # type: ignore[no-untyped-def]
    """Every tap of two maps: a_i += sum_kj upper_kj x_{i + k width + j}, and b with lower. Ten multiplications for seven values read."""
    for k in range(upper.shape[0]):
        for j in range(0, upper.shape[1], 5):
            u0, u1, u2, u3, u4 = upper[k, j], upper[k, j + 1], upper[k, j + 2], upper[k, j + 3], upper[k, j + 4]
            v0, v1, v2, v3, v4 = lower[k, j], lower[k, j + 1], lower[k, j + 2], lower[k, j + 3], lower[k, j + 4]
            x = lines[k * width + j : k * width + j + len(a) + 4]
            for i in range(len(a)):
                x0, x1, x2, x3, x4 = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4]
                a[i] += u0 * x0 + u1 * x1 + u2 * x2 + u3 * x3 + u4 * x4
                b[i] += v0 * x0 + v1 * x1 + v2 * x2 + v3 * x3 + v4 * x4


def _dot(a, b, lines, width, upper, lower):  # type: ignore[no-untyped-def]
    """The mirror: upper_kj += sum_i a_i x_{i + k width + j}, and lower with b; both in double precision."""
    for k in range(upper.shape[0]):
        for j in range(0, upper.shape[1], 5):
            u0 = u1 = u2 = u3 = u4 = v0 = v1 = v2 = v3 = v4 = np.float32(0)
            x = lines[k * width + j : k * width + j + len(a) + 4]
            for i in range(len(a)):
                p, q = a[i], b[i]
                x0, x1, x2, x3, x4 = x[i], x[i + 1], x[i + 2], x[i + 3], x[i + 4]
                u0 += p * x0
                u1 += p * x1
                u2 += p * x2
                u3 += p * x3
                u4 += p * x4
                v0 += q * x0
                v1 += q * x1
                v2 += q * x2
                v3 += q * x3
                v4 += q * x4
            for m, (u, v) in enumerate(((u0, v0), (u1, v1), (u2, v2), (u3, v3), (u4, v4))):
                upper[k, j + m] += u
                lower[k, j + m] += v


def _keep(best, other, won, label):  # type: ignore[no-untyped-def]
    """Where the other is larger it becomes the best; a tie stays with the earlier."""
    for i in range(len(best)):
        larger = other[i] > best[i]
        won[i] = label if larger else won[i]
        best[i] = other[i] if larger else best[i]


def _share(gradient, winner, label, part):  # type: ignore[no-untyped-def]
    """The gradient of the points that a branch won, zeros elsewhere; its sum."""
    total = np.float32(0)
    for f in range(len(gradient)):
        value = gradient[f] if winner[f] == label else np.float32(0)
        part[f] = value
        total += value
    return total
