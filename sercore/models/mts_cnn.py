"""The networks A1 to A4 of thesis ch. 4, with standard or multi-time-scale convolution from one definition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from sercore.layers.multi_time_scale import Variant
from sercore.models.spectrogram_network import Size, SpectrogramNetwork, activated, convolution, fitted, maps_of, pooled

REVISION = 1


class MTSCNN(SpectrogramNetwork):
    """A1, A2 and A3: one or two convolutions, a hidden layer of 200 and a classifier (thesis, Sec. 4.3).

        A1, A2: conv - FC 200 - FC K;  A3: conv - max-pool 2x2 - conv - FC 200 - FC K;  ReLU after each but the last

    Symbols: K = n_classes; channels 1 in A1, 10 in A2 and A3.

    Args:
        architecture: `a1`, `a2` or `a3`.
        n_frames: T, frames of every input.
        n_features: F, bins of every input.
        n_classes: K.
        kernel: frames and bins of each convolution.
        scales: settings of `MultiTimeScaleConv2d` for each convolution; None is the standard network.
        variant: of the multi-time-scale layers.
        dropout: before the hidden layer and before the classifier (the thesis has none).

    Raises:
        ValueError: the network does not fit the input (what is too small is named), or as `MultiTimeScaleConv2d`.

    Differs from the paper: nothing.

    Example:
        >>> import torch
        >>> model = MTSCNN("a2", 40, 16, 7)
        >>> model(torch.zeros(3, 40, 16)).shape, sum(p.numel() for p in model.parameters())
        (torch.Size([3, 7]), 746117)
    """

    def __init__(
        self,
        architecture: str,
        n_frames: int,
        n_features: int,
        n_classes: int,
        *,
        kernel: Size = (10, 5),
        scales: dict[str, Any] | None = None,
        variant: Variant = "definition",
        dropout: float = 0.0,
    ) -> None:
        super().__init__(n_frames, n_features)
        channels = 1 if architecture == "a1" else 10
        made: dict[str, Any] = {"scales": scales, "variant": variant}
        size = fitted(architecture, "conv_1", (n_frames, n_features), kernel, scales)
        self.conv_1 = convolution(1, channels, kernel, **made)
        self.conv_2 = None
        if architecture == "a3":
            size = pooled(architecture, "pool_1", size, 2, 2)
            size = fitted(architecture, "conv_2", size, kernel, scales)
            self.conv_2 = convolution(maps_of(self.conv_1), channels, kernel, **made)
        self.dropout = nn.Dropout(dropout)
        self.hidden = nn.Linear(maps_of(self.conv_2 or self.conv_1) * size[0] * size[1], 200)
        self.classifier = nn.Linear(200, n_classes)

    def _stages(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = activated(self.conv_1, x)
        yield "conv_1", x
        if self.conv_2 is not None:
            x = functional.max_pool2d(x, 2)
            yield "pool_1", x
            x = activated(self.conv_2, x)
            yield "conv_2", x
        x = functional.relu(self.hidden(self.dropout(x.flatten(1))))
        yield "embedding", x
        yield "logits", self.classifier(self.dropout(x))


class MTSAlexNet(SpectrogramNetwork):
    """A4: AlexNet for one channel, its first two convolutions multi-time-scale (thesis, Sec. 4.3; Krizhevsky et al. 2012).

    Args:
        n_frames: T, frames of every input.
        n_features: F, bins of every input.
        n_classes: K.
        scales: settings of `MultiTimeScaleConv2d` for the first two convolutions; None is the standard network.
        variant: of the multi-time-scale layers. `released` also leaves out the first one's stride of 4, as the authors' code does, so that
            it compares a stride of 1 with the standard network's 4.
        dropout: before both hidden layers (the original has 0.5; the thesis names none).
        in_channels: copies of the spectrogram; 1 in the thesis.

    Raises:
        ValueError: the network does not fit the input (what is too small is named), or as `MultiTimeScaleConv2d`.

    Differs from the paper: the sizes are those of the variant that the authors' code builds on (first convolution 64 maps, sixth layer
    pooled to 6x6 whatever the input).

    Example:
        >>> sum(p.numel() for p in MTSAlexNet(165, 513, 4).parameters())
        57004740
    """

    def __init__(
        self,
        n_frames: int,
        n_features: int,
        n_classes: int,
        *,
        scales: dict[str, Any] | None = None,
        variant: Variant = "definition",
        dropout: float = 0.0,
        in_channels: int = 1,
    ) -> None:
        super().__init__(n_frames, n_features)
        stride = 1 if scales is not None and variant == "released" else 4
        made: dict[str, Any] = {"scales": scales, "variant": variant}
        size = fitted("a4", "conv_1", (n_frames, n_features), (11, 11), scales, stride, 2)
        size = pooled("a4", "pool_1", size, 3, 2)
        size = fitted("a4", "conv_2", size, (5, 5), scales, 1, 2)
        size = pooled("a4", "pool_2", size, 3, 2)
        pooled("a4", "pool_5", size, 3, 2)
        self.in_channels = in_channels
        self.conv_1 = convolution(in_channels, 64, (11, 11), stride=stride, padding=2, **made)
        self.conv_2 = convolution(maps_of(self.conv_1), 192, (5, 5), padding=2, **made)
        self.conv_3 = nn.Conv2d(maps_of(self.conv_2), 384, 3, padding=1)
        self.conv_4 = nn.Conv2d(384, 256, 3, padding=1)
        self.conv_5 = nn.Conv2d(256, 256, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.hidden_1 = nn.Linear(256 * 6 * 6, 4096)
        self.hidden_2 = nn.Linear(4096, 4096)
        self.classifier = nn.Linear(4096, n_classes)

    def _stages(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = x.expand(-1, self.in_channels, -1, -1)
        for number, layer in enumerate((self.conv_1, self.conv_2, self.conv_3, self.conv_4, self.conv_5), 1):
            x = activated(layer, x)
            yield f"conv_{number}", x
            if number in (1, 2, 5):
                x = functional.max_pool2d(x, 3, 2)
                yield f"pool_{number}", x
        x = functional.adaptive_avg_pool2d(x, 6).flatten(1)
        x = functional.relu(self.hidden_1(self.dropout(x)))
        yield "hidden_1", x
        x = functional.relu(self.hidden_2(self.dropout(x)))
        yield "embedding", x
        yield "logits", self.classifier(x)


def build(
    architecture: str,
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    kernel: Size | None = (10, 5),
    scales: dict[str, Any] | None = None,
    variant: Variant = "definition",
    dropout: float = 0.0,
) -> nn.Module:
    """One of the networks A1 to A4 (thesis, Sec. 4.3), freshly initialised from torch's current random state.

    Args:
        architecture: `a1`, `a2`, `a3` or `a4`.
        n_frames: T, frames of every input.
        n_features: F, bins of every input.
        n_classes: K.
        kernel: frames and bins of A1 to A3; None is theirs, (10, 5). A4 has its own.
        scales: settings of `MultiTimeScaleConv2d` (time_factors, ...); None is the standard network.
        variant: `definition` or `released`.
        dropout: in [0, 1).

    Returns:
        A module called as `model(x (B, T, F), lengths (B,)) -> logits (B, K)`.

    Raises:
        ValueError: no network has that name, or it does not fit the input (named).
    """
    if architecture == "a4":
        return MTSAlexNet(n_frames, n_features, n_classes, scales=scales, variant=variant, dropout=dropout)
    if architecture not in ("a1", "a2", "a3"):
        raise ValueError(f"no network is called {architecture!r}; known: a1, a2, a3, a4")
    kernel = (10, 5) if kernel is None else (kernel[0], kernel[1])
    return MTSCNN(architecture, n_frames, n_features, n_classes, kernel=kernel, scales=scales, variant=variant, dropout=dropout)
