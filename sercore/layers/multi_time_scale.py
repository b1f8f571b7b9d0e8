"""Multi-time-scale convolution (thesis ch. 4; Guizzo, Weyde and Leveson 2020): one learned kernel, several tempi."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from sercore.layers import multi_time_scale_fused as fused
from sercore.layers.branch_biases import BranchBiases
from sercore.layers.kernel_scales import branch_factors, kernel_sizes, resampled

Variant = Literal["definition", "released"]


class MultiTimeScaleConv2d(BranchBiases):
    """2-D convolution with one kernel resampled to several time scales; each point keeps the scale that matches best.

        y(o, t, f) = max_s a_s [ b_o + sum_c (R_s W)_oc * x_c ](t, f),  a_s = 1 - lambda |ln s|      (thesis, Sec. 4.2 and Fig. 4.1)

    Symbols: W = weight; b = bias; R_s = linear resampling along time (and frequency) to floor(k s) taps; * = the convolution that
    `torch.nn.Conv2d` computes; lambda = scale_penalty. Takes the place of `torch.nn.Conv2d`: same parameters, same output size.

    Args:
        in_channels: input maps.
        out_channels: output maps.
        kernel_size: frames and bins of the unscaled kernel; one number for both.
        time_factors: one a branch, the unscaled 1 among them.
        frequency_factors: one a branch; None is 1 for each.
        stride: frames and bins from output point to output point.
        padding: zeros before and after, frames and bins.
        bias: learn one offset a map.
        variant: `definition` is one parameter whose gradient passes through the resampling of every branch. `released` does what the
            authors' layer does: branches are copies that pass no gradient to the kernel, so it learns from the points won by the unscaled
            branch alone; `after_epoch` smooths it; each branch has a bias of its own in the same memory, so an optimiser moves it once a
            branch (one at a time: on an accelerator torch.optim's `foreach` and `fused` steps would run into each other).
        normalise_gain: multiply a kernel by (taps of the unscaled) / (its taps), so that a constant input gives equal maps.
        scale_penalty: lambda in `a_s`, with |ln s| of time plus |ln s| of frequency; maps are weighed with their bias, before the maximum.
        active: `always`; `evaluate` or `train` compute the plain convolution in the other mode.
        scale_map: give out_channels further maps with ln of the time factor that won each point of each map (0 while not
            active, no gradient).
        alignment: `centred` puts the middle of every kernel on the same input point, zeros standing beyond the edges, so that all maps have
            one size and no map is resampled. `resampled` slides each kernel over the input as it is and stretches its map linearly to the
            size of the unscaled one (the thesis' text and the authors' code): the branches are then apart by up to half the difference of
            their lengths. None takes the variant's: `centred` for `definition`, `resampled` for `released`.

    Differs from the paper: `definition` aligns the branches and, where the thesis averages the kernel with its scaled versions after each
    update, has one kernel that all branches update; a tie goes to the unscaled branch, then to the earlier factor.

    Raises:
        ValueError: as `kernel_sizes`; a size or penalty out of range; an unknown variant, alignment or `active`; `released` and `centred`.

    Example:
        >>> layer = MultiTimeScaleConv2d(1, 10, (10, 5), (0.5, 1, 2))
        >>> layer(torch.zeros(2, 1, 40, 16)).shape, sum(p.numel() for p in layer.parameters())
        (torch.Size([2, 10, 31, 12]), 510)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        time_factors: Sequence[float] = (0.7, 1.0, 1.428),
        frequency_factors: Sequence[float] | None = None,
        *,
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        bias: bool = True,
        variant: Variant = "definition",
        normalise_gain: bool = False,
        scale_penalty: float = 0.0,
        active: Literal["always", "evaluate", "train"] = "always",
        scale_map: bool = False,
        alignment: Literal["centred", "resampled"] | None = None,
    ) -> None:
        super().__init__()
        _one_of("variant", variant, ("definition", "released"))
        _one_of("active", active, ("always", "evaluate", "train"))
        _one_of("alignment", alignment, ("centred", "resampled", None))
        if variant == "released" and alignment == "centred":
            raise ValueError("the released layer resamples its maps: alignment='centred' belongs to variant='definition'")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size, self.stride = _pair("kernel_size", kernel_size, 1), _pair("stride", stride, 1)
        self.padding = _pair("padding", padding, 0)
        self.factors = branch_factors(time_factors, frequency_factors)
        self.sizes = kernel_sizes(self.kernel_size, time_factors, frequency_factors)
        self.unscaled = self.factors.index((1.0, 1.0))
        #: Branches in the order in which they compete: a later one wins a point only by being larger.
        self.order = [self.unscaled, *(i for i in range(len(self.factors)) if i != self.unscaled)]
        self.variant, self.active, self.scale_map, self.normalise_gain = variant, active, scale_map, normalise_gain
        self.alignment = alignment or ("centred" if variant == "definition" else "resampled")
        distances = [abs(math.log(time)) + abs(math.log(frequency)) for time, frequency in self.factors]
        self.weighing = [1 - scale_penalty * distance for distance in distances]
        if scale_penalty < 0 or min(self.weighing) <= 0:
            raise ValueError(f"scale_penalty must be at least 0 and leave every branch a positive weight, got {scale_penalty:g}")
        self._register(bias)
        self.reset_parameters()

    def _register(self, bias: bool) -> None:
        self.weight = nn.Parameter(torch.empty(self.out_channels, self.in_channels, *self.kernel_size))
        self.register_parameter("bias", nn.Parameter(torch.empty(self.out_channels)) if bias else None)
        self._register_branch_biases(self.order[1:] if self.variant == "released" else [])

    def reset_parameters(self) -> None:
        """Draw weight and bias anew, as `torch.nn.Conv2d` does (the authors' code and the thesis name nothing else)."""
        nn.Conv2d.reset_parameters(self)  # type: ignore[arg-type]

    @property
    def maps(self) -> int:
        """Maps that the layer gives: out_channels, twice as many with a scale map (thesis, end of Sec. 4.3)."""
        return self.out_channels * (2 if self.scale_map else 1)

    def forward(self, x: Tensor) -> Tensor:
        """The best match of every point.

        Args:
            x: shape (B, C, T, F), floating, T and F at least the largest kernel less the padding.

        Returns:
            Shape (B, O, T', F'), that of the plain convolution; O = `maps`.

        Raises:
            ValueError: not floating, not (B, C, T, F), or shorter than the largest kernel.
        """
        self._check(x)
        if self.active != "always" and self.training != (self.active == "train"):
            best = functional.conv2d(x, self.weight, self.bias, self.stride, self.padding)
            return torch.cat([best, torch.zeros_like(best)], 1) if self.scale_map else best
        best, winner = self._best(x)
        if not self.scale_map:
            return best
        scales = torch.tensor([math.log(time) for time, _ in self.factors], dtype=best.dtype, device=best.device)
        return torch.cat([best, scales[winner.long()]], 1)

    def branches(self, x: Tensor) -> Tensor:
        """The map of each branch, in factor order, as they are compared (thesis, Fig. 4.1).

        Args:
            x: shape (B, C, T, F), floating.

        Returns:
            Shape (S, B, O, T', F'), S branches, any finite number. Raises as `forward`.
        """
        self._check(x)
        maps = dict(self._maps(x))
        return torch.stack([maps[i] for i in range(len(self.factors))])

    @torch.no_grad()
    def winners(self, x: Tensor) -> Tensor:
        """Index of the branch that wins each point of each map (thesis, Sec. 4.3: use of parallel branches).

        Args:
            x: shape (B, C, T, F), floating.

        Returns:
            Shape (B, O, T', F'), int8, in factor order. Raises as `forward`.
        """
        self._check(x)
        return self._best(x)[1]

    def branch_usage(self, x: Tensor) -> Tensor:
        """Share of output points that each branch wins (thesis, Table 4.2), whether or not the layer is active in this mode.

        A tie counts once, for the branch that passes on its value. The released code compares each map with the maximum: ties count twice.

        Args:
            x: shape (B, C, T, F), floating.

        Returns:
            Shape (S,), float64, in factor order, in [0, 1], sums to 1. Raises as `forward`.
        """
        counts = torch.bincount(self.winners(x).flatten().int(), minlength=len(self.factors)).double()
        return counts / counts.sum()

    @torch.no_grad()
    def after_epoch(self) -> None:
        """What the authors' training does once an epoch, after validation: the kernel becomes the mean over its branches.

        W <- 1/S sum_s R_s^-1 R_s W, where R_s^-1 resamples linearly back to the unscaled size. The branches hold copies of the kernel at
        that moment, so this smooths it; nothing learned is averaged (thesis, Sec. 4.2, says after each update). In `definition` nothing
        happens.
        """
        if self.variant != "released":
            return
        kernels = [resampled(self._kernel(i, gain=False), self.kernel_size) for i in range(len(self.sizes))]
        self.weight.copy_(torch.stack(kernels).mean(0))

    def extra_repr(self) -> str:
        """Sizes and factors of the layer (thesis, Sec. 4.3) in one line."""
        factors = ", ".join(f"{time:g}" if frequency == 1 else f"{time:g}x{frequency:g}" for time, frequency in self.factors)
        return f"{self.in_channels}, {self.out_channels}, {self.kernel_size}, factors=({factors}), variant={self.variant}"

    def _check(self, x: Tensor) -> None:
        if not x.is_floating_point():
            raise ValueError(f"the input must be floating, got {x.dtype}")
        if x.dim() != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f"the input must have shape (B, {self.in_channels}, T, F), got {tuple(x.shape)}")
        for axis, unit in enumerate(("frames", "bins")):
            longest, there = max(size[axis] for size in self.sizes), x.shape[2 + axis] + 2 * self.padding[axis]
            if there < longest:
                raise ValueError(f"the input, {there} {unit}, is shorter than the largest kernel, {longest} {unit}")

    def _kernel(self, i: int, gain: bool = True) -> Tensor:
        """Branch i's kernel, shape (O, C, k_t, k_f)."""
        weight: Tensor = self.weight
        if i != self.unscaled:
            if self.variant == "released":
                weight = weight.detach()
            weight = resampled(weight, self.sizes[i])
        if gain and self.normalise_gain:
            weight = weight * (math.prod(self.kernel_size) / math.prod(self.sizes[i]))
        return weight

    def _margins(self, i: int) -> list[tuple[int, int]]:
        """Zeros before and after, on each axis, that put the middle of branch i's kernel where the unscaled one's is."""
        more = [n - k for n, k in zip(self.sizes[i], self.kernel_size, strict=True)]
        return [(p + d // 2, p + d - d // 2) for p, d in zip(self.padding, more, strict=True)]

    def _maps(self, x: Tensor) -> list[tuple[int, Tensor]]:
        """(branch, its map) in the order of competition."""
        self._share_bias()
        maps = self._centred(x) if self.alignment == "centred" else self._stretched(x)
        return [(i, m if self.weighing[i] == 1 else m * self.weighing[i]) for i, m in maps]

    def _centred(self, x: Tensor) -> list[tuple[int, Tensor]]:
        padded, origin = self._padded(x)
        maps = []
        for i in self.order:
            (before, after), (below, above) = self._margins(i)
            part = padded.narrow(2, origin[0] - before, x.shape[2] + before + after)
            part = part.narrow(3, origin[1] - below, x.shape[3] + below + above)
            maps.append((i, functional.conv2d(part, self._kernel(i), self.bias, self.stride)))
        return maps

    def _padded(self, x: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """The input with the zeros of the longest kernel, and where it begins in them."""
        margins = [self._margins(i) for i in self.order]
        (before, after), (below, above) = ([max(m[axis][side] for m in margins) for side in (0, 1)] for axis in (0, 1))
        return functional.pad(x, (below, above, before, after)), (before, below)

    def _stretched(self, x: Tensor) -> list[tuple[int, Tensor]]:
        maps: list[tuple[int, Tensor]] = []
        for i in self.order:
            one = functional.conv2d(x, self._kernel(i), self._bias_of(i), self.stride, self.padding)
            if maps and one.shape != maps[0][1].shape:
                one = functional.interpolate(one, maps[0][1].shape[2:], mode="bilinear", align_corners=False)
            maps.append((i, one))
        return maps

    def _best(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Maximum over branches and its index, both (B, O, T', F')."""
        if self.alignment == "centred" and fused.pays(self, x):
            return fused.best(self, x)
        (first, best), *others = self._maps(x)
        winner = torch.full(best.shape, first, dtype=torch.int8, device=x.device)
        for i, challenger in others:
            wins = challenger > best
            best, winner = torch.where(wins, challenger, best), winner.masked_fill(wins, i)
        return best, winner


@torch.no_grad()
def untrained_usage(
    inputs: Sequence[Tensor],
    kernel_size: tuple[int, int] = (10, 5),
    time_factors: Sequence[float] = (0.7, 1.0, 1.428),
    *,
    n_kernels: int = 100,
    seed: int = 0,
    **settings: Any,
) -> Tensor:
    """Branch usage of kernels that learned nothing: the control beside the thesis' Table 4.2.

    Args:
        inputs: spectrograms of shape (T, F), standardised, float32; one of them may be longer than another.
        kernel_size: frames and bins.
        time_factors: one a branch.
        n_kernels: kernels drawn as a fresh layer draws them.
        seed: of these.
        settings: further ones of `MultiTimeScaleConv2d`.

    Returns:
        Shape (S,), float64, shares of all points in [0, 1], in factor order.

    Raises:
        ValueError: no input, or as `MultiTimeScaleConv2d`.
    """
    if not len(inputs):
        raise ValueError("no spectrogram given: the control needs at least one")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layer = MultiTimeScaleConv2d(1, n_kernels, kernel_size, time_factors, **settings)
    counts = torch.zeros(len(layer.factors), dtype=torch.float64)
    for x in inputs:
        winners = layer.winners(x[None, None].to(layer.weight))
        counts += torch.bincount(winners.flatten().int(), minlength=len(counts)).double()
    return counts / counts.sum()


def _pair(name: str, value: int | tuple[int, int], least: int) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value) if isinstance(value, Sequence) else (value, value)
    if len(pair) != 2 or not all(isinstance(v, int) and v >= least for v in pair):
        raise ValueError(f"{name} must be one or two whole numbers of at least {least}, got {value!r}")
    return pair


def _one_of(name: str, value: Any, known: tuple) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
