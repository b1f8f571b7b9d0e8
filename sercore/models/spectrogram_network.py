"""What the networks on whole spectrograms share: one input size, named taps, standard or multi-time-scale convolution (thesis ch. 4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from sercore.layers.kernel_scales import obstacle
from sercore.layers.multi_time_scale import MultiTimeScaleConv2d, Variant

Size = tuple[int, int]


def convolution(
    in_channels: int,
    out_channels: int,
    kernel: Size,
    *,
    scales: dict[str, Any] | None = None,
    variant: Variant = "definition",
    stride: int = 1,
    padding: int = 0,
    bias: bool = True,
) -> nn.Module:
    """`torch.nn.Conv2d`, or with `scales` the multi-time-scale convolution in its place (thesis, Sec. 4.2).

    Args:
        in_channels: input maps.
        out_channels: output maps.
        kernel: frames and bins.
        scales: settings of `MultiTimeScaleConv2d`; None is the standard convolution.
        variant: of the multi-time-scale layer.
        stride: from output point to output point.
        padding: zeros on each side.
        bias: learn one.
    """
    if scales is None:
        return nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias)
    return MultiTimeScaleConv2d(in_channels, out_channels, kernel, stride=stride, padding=padding, bias=bias, variant=variant, **scales)


def activated(convolved: nn.Module, x: Tensor) -> Tensor:
    """ReLU of a convolution's maps; the scale map of a multi-time-scale one stays signed (thesis, end of Sec. 4.3).

    Args:
        convolved: the layer.
        x: input of the layer, shape (B, C, T, F), any finite number.

    Returns:
        Shape (B, O, T', F'), a score >= 0 but for the scale map.
    """
    out = convolved(x)
    if not getattr(convolved, "scale_map", False):
        return functional.relu(out)
    maps, scales = out.chunk(2, dim=1)
    return torch.cat([functional.relu(maps), scales], dim=1)


class SpectrogramNetwork(nn.Module):
    """What the networks of thesis ch. 4 have in common: one input size, named taps, the scales that won.

    A network defines `_stages`, which yields the name and value of each tap up to `logits`.

    Args:
        n_frames: T, frames of every input (items are padded to it beforehand).
        n_features: F, bins of every input.
    """

    def __init__(self, n_frames: int, n_features: int) -> None:
        super().__init__()
        self.n_frames, self.n_features = n_frames, n_features

    def _stages(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        raise NotImplementedError

    def signals(self, x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
        """Every named stage of the forward pass (the taps): `conv_1 ...` after activation and before pooling, `pool_1 ...`.

        Args:
            x: normalised spectra, shape (B, T, F), padded to T = n_frames.
            lengths: frames of each item, shape (B,); taken and not used, as the thesis' networks see padding as they see sound.

        Returns:
            `input` (B, T, F), then taps in order, at last `embedding` (B, H) and `logits` (B, K).

        Raises:
            ValueError: the input has other sizes than the network was built for.
        """
        if x.dim() != 3 or tuple(x.shape[1:]) != (self.n_frames, self.n_features):
            raise ValueError(
                f"built for inputs of shape (B, {self.n_frames}, {self.n_features}), got {tuple(x.shape)}: pad or cut to it first"
            )
        return {"input": x, **dict(self._stages(x[:, None]))}

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits, shape (B, K); arguments and errors as `signals`."""
        return self.signals(x, lengths)["logits"]

    def multi_time_scale_layers(self) -> dict[str, MultiTimeScaleConv2d]:
        """Its multi-time-scale layers (thesis, Sec. 4.2) by name; none in a standard network."""
        return {name: module for name, module in self.named_modules() if isinstance(module, MultiTimeScaleConv2d)}

    @torch.no_grad()
    def usage(self, x: Tensor) -> dict[str, Tensor]:
        """Share of points that each branch wins, per multi-time-scale layer (thesis, Table 4.2).

        Args:
            x: normalised spectra, shape (B, T, F).

        Returns:
            Layer name -> shape (S,), float64, in factor order, in [0, 1]; empty for a standard network.
        """
        found: dict[str, Tensor] = {}

        def watch(name: str) -> Any:
            return lambda layer, inputs: found.__setitem__(name, layer.branch_usage(inputs[0]))

        handles = [layer.register_forward_pre_hook(watch(name)) for name, layer in self.multi_time_scale_layers().items()]
        try:
            self(x)
        finally:
            for handle in handles:
                handle.remove()
        return found

    def after_epoch(self) -> None:
        """To be called once an epoch, after validation: smooths the kernels of `released` layers (thesis, Sec. 4.2)."""
        for layer in self.multi_time_scale_layers().values():
            layer.after_epoch()


def maps_of(layer: nn.Module) -> int:
    """Maps that a convolution gives, scale maps (thesis, end of Sec. 4.3) with them, a count."""
    return layer.maps if isinstance(layer, MultiTimeScaleConv2d) else int(layer.out_channels)  # type: ignore[arg-type]


def fitted(network: str, name: str, size: Size, kernel: Size, scales: dict[str, Any] | None, stride: int = 1, padding: int = 0) -> Size:
    """Frames and bins after a convolution of a network (thesis, Sec. 4.3).

    Raises:
        ValueError: the input of the layer `name` is too small for its largest kernel, or a factor leaves a kernel no tap.
    """
    scales = scales or {}
    factors = scales.get("time_factors", (0.7, 1.0, 1.428) if scales else (1.0,))
    problem = obstacle(kernel, size, factors, scales.get("frequency_factors"), (padding, padding))
    if problem:
        raise ValueError(
            f"{network} cannot be built, its {name} ({kernel[0]}x{kernel[1]}) sees {size[0]} frames x {size[1]} bins: {problem}"
        )
    return tuple((n + 2 * padding - k) // stride + 1 for n, k in zip(size, kernel, strict=True))  # type: ignore[return-value]


def pooled(network: str, name: str, size: Size, kernel: int, stride: int) -> Size:
    """Frames and bins after a max-pooling of a network (thesis, Sec. 4.3).

    Raises:
        ValueError: the map that the layer `name` pools is smaller than its window.
    """
    if min(size) < kernel:
        raise ValueError(
            f"{network} cannot be built, its {name} ({kernel}x{kernel}) sees {size[0]} frames x {size[1]} bins: no map is left"
        )
    return tuple((n - kernel) // stride + 1 for n in size)  # type: ignore[return-value]
