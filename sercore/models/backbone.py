"""What VGG16, AlexNet and ResNet-50 share: layers from a set of operations, named taps of known shape, a forward pass that can stop at one.

The three are revised together: a change here that moves numbers raises REVISION in each of their modules.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from torch import Tensor, nn

from sercore.models.ops import LayerOps, Rule, operations
from sercore.models.spectrogram_network import SpectrogramNetwork, fitted, pooled


class Backbone(SpectrogramNetwork):
    """A network over a set of layer operations with taps for anti-transfer (thesis, Sec. 5.2 and 7.2).

    A network defines `_stages`, which yields each tap up to `logits`, and fills `taps` while it is built.

    Attributes:
        taps: name -> shape without the batch, in order of computation, from `input` (C, T, F) to `logits` (K,).
        ops: the set of layer operations.

    Args:
        architecture: name in error messages.
        n_frames: T, frames of every input.
        n_features: F, bins of every input.
        in_channels: C, maps of every input: 1 for spectrograms, 4 for quaternion embeddings.
        width: factor on all channels and hidden units.
        ops: set of layer operations, or its name.

    Raises:
        ValueError: no set has that name, the input is empty, or its channels do not fit the set.
    """

    def __init__(
        self, architecture: str, n_frames: int, n_features: int, *, in_channels: int = 1, width: float = 1.0, ops: str | LayerOps = "real"
    ) -> None:
        super().__init__(n_frames, n_features)
        self.architecture, self.width, self.ops = architecture, width, operations(ops)
        try:
            self.in_channels = self.ops.accepted(in_channels)
        except ValueError as error:
            raise ValueError(f"{architecture} cannot be built: {error}") from error
        if min(n_frames, n_features) < 1:
            raise ValueError(f"{architecture} cannot be built for {n_frames} frames x {n_features} bins: say the size of the input")
        self.taps: dict[str, tuple[int, ...]] = {"input": (in_channels, n_frames, n_features)}

    def _channels(self, count: int) -> int:
        """`count` times the width."""
        try:
            return self.ops.channels(count, self.width)
        except ValueError as error:
            raise ValueError(f"{self.architecture} cannot be built: {error}") from error

    def _maps(self, x: Tensor) -> Tensor:
        """The input as maps (B, C, T, F), checked."""
        maps = x[:, None] if x.dim() == 3 else x
        if maps.dim() != 4 or tuple(maps.shape[1:]) != self.taps["input"]:
            bare = f"(B, {self.n_frames}, {self.n_features}) or " if self.in_channels == 1 else ""
            built = f"{bare}(B, {self.in_channels}, {self.n_frames}, {self.n_features})"
            raise ValueError(f"built for inputs of shape {built}, got {tuple(x.shape)}: pad or cut to it first")
        return maps

    def _until(self, x: Tensor, upto: str) -> Iterator[tuple[str, Tensor]]:
        """Name and value of each tap up to and with `upto`; nothing behind it is computed."""
        if upto not in self.taps:
            raise ValueError(f"{self.architecture} has no tap {upto!r}; there are: {', '.join(self.taps)}")
        maps = self._maps(x)
        yield "input", maps
        if upto == "input":
            return
        for name, value in self._stages(maps):
            yield name, value
            if name == upto:
                return

    def signals(self, x: Tensor, lengths: Tensor | None = None, upto: str = "logits") -> dict[str, Tensor]:
        """Every tap of the forward pass, in the order of `taps` (thesis, Sec. 5.2).

        Args:
            x: normalised spectra, shape (B, T, F) if there is one channel, else (B, C, T, F), padded to T = n_frames.
            lengths: frames of each item, shape (B,); taken and not used, as the thesis' networks see padding as they see sound.
            upto: the last tap that is computed.

        Returns:
            Name -> activations of shape (B, *taps[name]), finite numbers; `input` is the spectra as maps.

        Raises:
            ValueError: no tap has that name (lists those there are), or the input has other sizes than the network was built for.
        """
        return dict(self._until(x, upto))

    def tapped(self, x: Tensor, tap: str, lengths: Tensor | None = None) -> Tensor:
        """Activations of one tap, shape (B, *taps[tap]), finite numbers; arguments and errors as `signals`.

        Nothing behind the tap is computed, and without a gradient nothing before it is kept.
        """
        value = x
        for _, value in self._until(x, tap):  # noqa: B007  the last one is the answer
            pass
        return value

    def forward(self, x: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Logits, shape (B, K); arguments and errors as `signals`."""
        return self.tapped(x, "logits")


class Conv(NamedTuple):
    """A convolution of a plan (thesis, Table 5.1): maps at width 1, side of its kernel, stride, zeros on each side."""

    maps: int
    kernel: int
    stride: int
    padding: int


class Pool(NamedTuple):
    """A maximum over windows (thesis, Table 5.1): their side and stride."""

    kernel: int
    stride: int


class ConvolutionStack(Backbone):
    """Convolutions and poolings one after the other, two hidden layers and a classifier (Simonyan and Zisserman 2015; thesis, Table 5.1).

        conv - ReLU [- max-pool], ... [- adaptive average pooling] - hidden 4096 - ReLU - hidden 4096 - ReLU - classifier

    Args:
        architecture: name in error messages.
        plan: name of a tap -> its layer, in order.
        n_frames: T, frames of every input.
        n_features: F, bins of every input.
        n_classes: K.
        in_channels: C, maps of every input.
        width: factor on the maps of every convolution and on both hidden layers.
        ops: set of layer operations, or its name.
        adaptive_pool: side of the maps that the hidden layers read, whatever the input; None flattens the maps as they are.
        drawn: rule for the convolutions and hidden layers and the classifier by name; those left out keep torch's default.
        dropout: share of units left out.
        dropout_first: dropout before both hidden layers (AlexNet), else after both (VGG16).

    Raises:
        ValueError: as `Backbone`; the width leaves no channel, or the maps become too small for a layer (named).
    """

    def __init__(
        self,
        architecture: str,
        plan: Mapping[str, Conv | Pool],
        n_frames: int,
        n_features: int,
        n_classes: int,
        *,
        in_channels: int,
        width: float,
        ops: str | LayerOps,
        adaptive_pool: int | None,
        drawn: Mapping[str, Rule],
        dropout: float,
        dropout_first: bool,
    ) -> None:
        super().__init__(architecture, n_frames, n_features, in_channels=in_channels, width=width, ops=ops)
        self.stack = tuple(plan)
        maps, size = in_channels, (n_frames, n_features)
        for name, layer in plan.items():
            if isinstance(layer, Pool):
                size = pooled(architecture, name, size, layer.kernel, layer.stride)
                self.add_module(name, self.ops.max_pool(layer.kernel, layer.stride))
            else:
                size = fitted(architecture, name, size, (layer.kernel,) * 2, None, layer.stride, layer.padding)
                read, maps = maps, self._channels(layer.maps)
                self.add_module(name, self.ops.conv(read, maps, layer.kernel, layer.stride, layer.padding))
            self.taps[name] = (maps, *size)
        self.activation = self.ops.activation()
        self.adaptive_pool = self.ops.average_pool(adaptive_pool) if adaptive_pool else nn.Identity()
        points = adaptive_pool**2 if adaptive_pool else size[0] * size[1]
        hidden = self._channels(4096)
        self.hidden_1 = self.ops.linear(maps * points, hidden)
        self.hidden_2 = self.ops.linear(hidden, hidden)
        self.classifier = self.ops.classifier(hidden, n_classes)
        self.taps |= {"hidden_1": (hidden,), "embedding": (hidden,), "logits": (n_classes,)}
        self.dropout, self.dropout_first = nn.Dropout(dropout), dropout_first
        for name, rule in drawn.items():
            self.ops.draw(self.get_submodule(name), rule)

    def _stages(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        for name in self.stack:
            x = self.get_submodule(name)(x)
            x = self.activation(x) if name.startswith("conv") else x
            yield name, x
        x = self.adaptive_pool(x).flatten(1)
        x = self.activation(self.hidden_1(self.dropout(x) if self.dropout_first else x))
        yield "hidden_1", x
        x = self.activation(self.hidden_2(self.dropout(x)))
        yield "embedding", x
        yield "logits", self.classifier(x if self.dropout_first else self.dropout(x))
