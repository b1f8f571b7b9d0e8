"""Sets of layer operations, so that one definition of a network serves real and quaternion numbers (thesis ch. 6 and 7).

A network takes every layer from a set and never names a layer of torch itself. A set may ask that channels come in groups (fours for
quaternions), bring weights of its own form and rule of drawing, and normalise in its own way; maps stay plain tensors (B, C, T, F).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from torch import Tensor, nn

Size = tuple[int, int]
#: How weights are drawn: He et al. 2015 for ReLU with the fan-out, or N(0, 0.01^2); biases 0. What torchvision does in VGG and ResNet.
Rule = Literal["kaiming_fan_out", "normal"]


class LayerOps(ABC):
    """What a network may ask a set of layers for (thesis, Sec. 6.3.1 and 7.2).

    Layers that work on every channel alone are the same in all algebras with split activations, and are written here; the others belong to
    the set. Maps have shape (B, C, T, F), finite numbers; a channel count is always that of real maps.
    """

    #: key of OPS
    name: str
    #: channel counts are multiples of it
    multiple: int

    def channels(self, count: int, width: float = 1.0) -> int:
        """`width` times as many channels, to the nearest multiple that the set can hold, halves up (thesis, Sec. 6.3.1 at width 1).

        Args:
            count: channels of the published network, a count.
            width: factor, above 0.

        Raises:
            ValueError: the width is not above 0, or leaves no channel.

        Example:
            >>> operations("real").channels(192, 1 / 8)
            24
        """
        if not 0 < width < float("inf"):
            raise ValueError(f"width must be a finite number above 0, got {width:g}")
        found = int(count * width / self.multiple + 0.5) * self.multiple
        if not found:
            raise ValueError(
                f"width {width:g} leaves none of {count} channels ({self.name} layers take them in multiples of {self.multiple}): "
                f"take {self.multiple / count / 2:g} or more"
            )
        return found

    def accepted(self, channels: int) -> int:
        """The number of channels of an input (thesis, Sec. 6.3.1), a count, if layers of this set can read it.

        Raises:
            ValueError: there is none, or they do not come in the set's multiples.
        """
        if channels < 1 or channels % self.multiple:
            raise ValueError(f"{self.name} layers take input channels in multiples of {self.multiple}, got {channels}")
        return channels

    @abstractmethod
    def conv(
        self, in_channels: int, out_channels: int, kernel: int | Size, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> nn.Module:
        """Convolution over frames and bins (thesis, Sec. 6.3.1), as torch's: input maps, output maps, ..., zeros on each side."""

    @abstractmethod
    def transposed_conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Size,
        stride: int | Size = 1,
        padding: int | Size = 0,
        output_padding: int | Size = 0,
        bias: bool = True,
    ) -> nn.Module:
        """Transposed convolution (thesis, Sec. 6.2), as torch's."""

    @abstractmethod
    def linear(self, in_features: int, out_features: int, bias: bool = True) -> nn.Module:
        """Hidden layer on flattened maps (thesis, Sec. 6.3.1): a C x T x F block flattens to channels one after the other."""

    @abstractmethod
    def norm(self, channels: int) -> nn.Module:
        """Batch normalisation of maps (thesis, Sec. 6.2)."""

    @abstractmethod
    def draw(self, layer: nn.Module, rule: Rule) -> nn.Module:
        """The layer, its weights drawn anew from torch's random state (He et al. 2015 or a narrow normal distribution), its bias 0.

        A set whose layers have a rule of their own leaves those as they are.
        """

    def classifier(self, in_features: int, n_classes: int) -> nn.Linear:
        """The last layer, real in every set, as classes come in any number (thesis, Sec. 7.2)."""
        return nn.Linear(in_features, n_classes)

    def activation(self) -> nn.Module:
        """ReLU, on each component alone in quaternion networks (thesis, Sec. 6.2)."""
        return nn.ReLU()

    def max_pool(self, kernel: int, stride: int, padding: int = 0) -> nn.Module:
        """Maximum over windows of each channel (thesis, Table 5.1)."""
        return nn.MaxPool2d(kernel, stride, padding)

    def average_pool(self, size: int) -> nn.Module:
        """Means of each channel over size x size windows that cover the map, whatever its size (thesis, Sec. 6.3.1)."""
        return nn.AdaptiveAvgPool2d(size)


class RealOps(LayerOps):
    """Real layers: those of torch (thesis, Sec. 5.2).

    Example:
        >>> sum(weight.numel() for weight in RealOps().conv(1, 64, 3, padding=1).parameters())
        640
    """

    name = "real"
    multiple = 1

    def conv(
        self, in_channels: int, out_channels: int, kernel: int | Size, stride: int = 1, padding: int = 0, bias: bool = True
    ) -> nn.Module:
        """`torch.nn.Conv2d`."""
        return nn.Conv2d(in_channels, out_channels, kernel, stride, padding, bias=bias)

    def transposed_conv(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int | Size,
        stride: int | Size = 1,
        padding: int | Size = 0,
        output_padding: int | Size = 0,
        bias: bool = True,
    ) -> nn.Module:
        """`torch.nn.ConvTranspose2d`."""
        return nn.ConvTranspose2d(in_channels, out_channels, kernel, stride, padding, output_padding, bias=bias)

    def linear(self, in_features: int, out_features: int, bias: bool = True) -> nn.Module:
        """`torch.nn.Linear`."""
        return nn.Linear(in_features, out_features, bias)

    def norm(self, channels: int) -> nn.Module:
        """`torch.nn.BatchNorm2d`: mean, deviation, scale and offset of each channel."""
        return nn.BatchNorm2d(channels)

    def draw(self, layer: nn.Module, rule: Rule) -> nn.Module:
        """The layer with weights drawn by the rule (He et al. 2015, or N(0, 0.01^2)) and bias 0.

        Raises:
            ValueError: there is no such rule.
        """
        weight, bias = layer.weight, layer.bias
        assert isinstance(weight, Tensor)
        if rule == "kaiming_fan_out":
            nn.init.kaiming_normal_(weight, mode="fan_out", nonlinearity="relu")
        elif rule == "normal":
            nn.init.normal_(weight, 0.0, 0.01)
        else:
            raise ValueError(f"no rule of drawing weights is called {rule!r}; known: kaiming_fan_out, normal")
        if isinstance(bias, Tensor):
            nn.init.zeros_(bias)
        return layer


#: name -> set of layer operations
OPS: dict[str, LayerOps] = {"real": RealOps()}


def operations(ops: str | LayerOps) -> LayerOps:
    """A set of layer operations by name (thesis ch. 6 and 7); a set itself is given back.

    Raises:
        ValueError: none has that name (lists those there are).
    """
    if isinstance(ops, LayerOps):
        return ops
    if ops not in OPS:
        raise ValueError(f"no set of layer operations is called {ops!r}; known: {', '.join(OPS)}")
    return OPS[ops]
