"""Scale factors of multi-time-scale convolution and what they make of a kernel (thesis ch. 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

#: The eleven sets of scale factors that the thesis tried (Sec. 4.3), by name.
SCALE_SETS: dict[str, tuple[float, ...]] = {
    "0.25_1_4": (0.25, 1.0, 4.0),
    "0.5_1_2": (0.5, 1.0, 2.0),
    "0.7_1_1.428": (0.7, 1.0, 1.428),
    "0.8_1_1.25": (0.8, 1.0, 1.25),
    "0.9_1_1.111": (0.9, 1.0, 1.111),
    "0.95_1_1.053": (0.95, 1.0, 1.053),
    "0.25_0.5_1_2_4": (0.25, 0.5, 1.0, 2.0, 4.0),
    "0.5_0.7_1_1.428_2": (0.5, 0.7, 1.0, 1.428, 2.0),
    "0.8_0.9_1_1.111_1.25": (0.8, 0.9, 1.0, 1.111, 1.25),
    "0.25_0.5_0.7_1_1.428_2_4": (0.25, 0.5, 0.7, 1.0, 1.428, 2.0, 4.0),
    "0.7_0.8_0.9_1_1.111_1.25_1.428": (0.7, 0.8, 0.9, 1.0, 1.111, 1.25, 1.428),
}


def branch_factors(time_factors: Sequence[float], frequency_factors: Sequence[float] | None = None) -> tuple[tuple[float, float], ...]:
    """(time factor, frequency factor) of every branch (thesis, Sec. 4.2), in the order given.

    Args:
        time_factors: one a branch, above 0, the unscaled 1 among them.
        frequency_factors: one a branch; None is 1 for each.

    Raises:
        ValueError: no factor, one that is not a finite number above 0, lists of unequal length, two equal branches, or no unscaled one.

    Example:
        >>> branch_factors((0.5, 1, 2))
        ((0.5, 1.0), (1.0, 1.0), (2.0, 1.0))
    """
    time = tuple(float(s) for s in time_factors)
    frequency = (1.0,) * len(time) if frequency_factors is None else tuple(float(s) for s in frequency_factors)
    if len(time) != len(frequency):
        raise ValueError(f"{len(time)} time factors but {len(frequency)} frequency factors: give one of each a branch")
    for name, factors in (("time", time), ("frequency", frequency)):
        if wrong := [s for s in factors if not (math.isfinite(s) and s > 0)]:
            raise ValueError(f"{name} factors must be finite and above 0, got {wrong[0]:g}")
    pairs = tuple(zip(time, frequency, strict=True))
    if len(set(pairs)) < len(pairs):
        twice = next(pair for pair in pairs if pairs.count(pair) > 1)
        raise ValueError(f"the branch with time factor {twice[0]:g} and frequency factor {twice[1]:g} is there twice")
    if (1.0, 1.0) not in pairs:
        raise ValueError(f"the unscaled branch (factor 1) must be among the factors, got {', '.join(f'{s:g}' for s in time) or 'none'}")
    return pairs


def scaled_length(length: int, factor: float) -> int:
    """floor(length x factor): taps of a scaled kernel (the released code; the thesis gives no rule), a count that may be 0.

    Example:
        >>> [scaled_length(10, s) for s in (0.25, 0.7, 0.95, 1.053, 1.428, 4)]
        [2, 7, 9, 10, 14, 40]
    """
    return math.floor(length * factor + 1e-9)  # so that 100 x 0.29 is 29, not the 28 of binary fractions


def kernel_sizes(
    kernel: tuple[int, int], time_factors: Sequence[float], frequency_factors: Sequence[float] | None = None
) -> tuple[tuple[int, int], ...]:
    """(frames, bins) of every branch's kernel (thesis, Sec. 4.2).

    Args:
        kernel: frames and bins of the unscaled kernel.
        time_factors: as `branch_factors`.
        frequency_factors: as `branch_factors`.

    Raises:
        ValueError: as `branch_factors`, or a factor leaves a kernel no length (it is named).

    Example:
        >>> kernel_sizes((10, 5), (0.5, 1, 2))
        ((5, 5), (10, 5), (20, 5))
    """
    sizes = []
    for time, frequency in branch_factors(time_factors, frequency_factors):
        size = scaled_length(kernel[0], time), scaled_length(kernel[1], frequency)
        for axis, factor, length, left in zip(("time", "frequency"), (time, frequency), kernel, size, strict=True):
            if left < 1:
                raise ValueError(
                    f"{axis} factor {factor:g} leaves a kernel of length {length} no tap: take a longer kernel or a larger factor"
                )
        sizes.append(size)
    return tuple(sizes)


def obstacle(
    kernel: tuple[int, int],
    input_size: tuple[int, int],
    time_factors: Sequence[float],
    frequency_factors: Sequence[float] | None = None,
    padding: tuple[int, int] = (0, 0),
) -> str | None:
    """Why a multi-time-scale convolution (thesis, Sec. 4.3) cannot be built on an input; None if it can.

    Args:
        kernel: frames and bins of the unscaled kernel.
        input_size: frames and bins of the input.
        time_factors: as `branch_factors`.
        frequency_factors: as `branch_factors`.
        padding: zeros added before and after, frames and bins.

    Returns:
        One line, or None.

    Raises:
        ValueError: as `branch_factors`.

    Example:
        >>> obstacle((3, 3), (100, 64), (0.25, 1, 4))
        'time factor 0.25 leaves a kernel of length 3 no tap: take a longer kernel or a larger factor'
        >>> obstacle((10, 5), (100, 64), (0.25, 1, 4)) is None
        True
    """
    branch_factors(time_factors, frequency_factors)
    try:
        sizes = kernel_sizes(kernel, time_factors, frequency_factors)
    except ValueError as error:
        return str(error)
    for axis, unit in enumerate(("frames", "bins")):
        longest, there = max(size[axis] for size in sizes), input_size[axis] + 2 * padding[axis]
        if there < longest:
            return f"an input of {there} {unit} is shorter than the largest kernel, {longest} {unit}"
    return None


def buildable(
    kernel: tuple[int, int],
    input_size: tuple[int, int],
    time_factors: Sequence[float],
    frequency_factors: Sequence[float] | None = None,
    padding: tuple[int, int] = (0, 0),
) -> bool:
    """Whether every kernel of a scale set (thesis, Sec. 4.3) has a tap and fits the input; arguments and errors as `obstacle`.

    Example:
        >>> [name for name, factors in SCALE_SETS.items() if not buildable((3, 3), (64, 64), factors)]
        ['0.25_1_4', '0.25_0.5_1_2_4', '0.25_0.5_0.7_1_1.428_2_4']
    """
    return obstacle(kernel, input_size, time_factors, frequency_factors, padding) is None


def resampling_matrix(length: int, new_length: int) -> Tensor:
    """The matrix that resamples a series linearly to another length (thesis, Sec. 4.2: linear interpolation).

        y_i = (1 - w_i) x_j + w_i x_{j+1},  j + w_i = max(0, (i + 1/2) length / new_length - 1/2)

    Half-sample positions, as images are resampled; the last value is held beyond its position. Equals torch's linear interpolation to an
    explicit size.

    Args:
        length: values of the series.
        new_length: values wanted.

    Returns:
        Shape (N, L), N = new_length, L = length, float64, each row sums to 1.

    Example:
        >>> resampling_matrix(4, 2).tolist()
        [[0.5, 0.5, 0.0, 0.0], [0.0, 0.0, 0.5, 0.5]]
    """
    position = ((torch.arange(new_length, dtype=torch.float64) + 0.5) * (length / new_length) - 0.5).clamp(min=0)
    left = position.floor().long().clamp(max=length - 1)
    weight = position - left
    rows = torch.arange(new_length)
    matrix = torch.zeros(new_length, length, dtype=torch.float64)
    matrix[rows, left] += 1 - weight
    matrix[rows, (left + 1).clamp(max=length - 1)] += weight
    return matrix


def resampled(kernel: Tensor, size: tuple[int, int]) -> Tensor:
    """A kernel resampled linearly to another size (thesis, Sec. 4.2), in full precision whatever autocast says.

    Args:
        kernel: weights of shape (O, C, K, L), floating; K frames, L bins.
        size: frames and bins wanted.

    Returns:
        Shape (O, C, *size), differentiable.
    """
    with torch.autocast(kernel.device.type, enabled=False):
        if kernel.shape[3] != size[1]:
            kernel = kernel @ _matrix(kernel.shape[3], size[1], kernel.device, kernel.dtype)
        if kernel.shape[2] != size[0]:
            kernel = (kernel.transpose(2, 3) @ _matrix(kernel.shape[2], size[0], kernel.device, kernel.dtype)).transpose(2, 3)
        return kernel


@cache
def _matrix(length: int, new_length: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):  # or the first use under inference_mode would forbid training afterwards
        return resampling_matrix(length, new_length).T.to(device, dtype)
