"""ResNet-18 on spectrograms, with standard or multi-time-scale convolution from one definition (thesis, Sec. 4.4)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import Tensor, nn
from torch.nn import functional

from sercore.layers.multi_time_scale import MultiTimeScaleConv2d, Variant
from sercore.models.spectrogram_network import Size, SpectrogramNetwork, convolution, fitted, maps_of

REVISION = 1
#: Factors of the residual blocks in the authors' code, whatever was asked for.
BLOCK_FACTORS_RELEASED = (0.7, 1.0, 1.428)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut (He et al. 2016, Fig. 2).

        y = relu(N_2 V_2 relu(N_1 V_1 x) + S x)

    Symbols: V = convolution; N = batch normalisation; S = identity, or a normalised 1x1 convolution where the sizes change.

    Args:
        in_channels: input maps.
        out_channels: output maps.
        stride: of the first convolution and of the shortcut.
        made: settings of `convolution`.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, made: dict[str, Any]) -> None:
        super().__init__()
        self.conv_1 = convolution(in_channels, out_channels, (3, 3), stride=stride, padding=1, **made)
        self.norm_1 = nn.BatchNorm2d(maps_of(self.conv_1))
        self.conv_2 = convolution(maps_of(self.conv_1), out_channels, (3, 3), padding=1, **made)
        self.norm_2 = nn.BatchNorm2d(maps_of(self.conv_2))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != maps_of(self.conv_2):
            plain = nn.Conv2d(in_channels, maps_of(self.conv_2), 1, stride, bias=False)
            self.shortcut = nn.Sequential(plain, nn.BatchNorm2d(maps_of(self.conv_2)))

    def forward(self, x: Tensor) -> Tensor:
        """Activations of shape (B, O, T', F'), numbers of at least 0, from maps of shape (B, C, T, F)."""
        inner = functional.relu(self.norm_1(self.conv_1(x)))
        return functional.relu(self.norm_2(self.conv_2(inner)) + self.shortcut(x))


class MTSResNet18(SpectrogramNetwork):
    """ResNet-18 with a spectrogram resampled to a square and copied to three channels (thesis, Sec. 4.4; He et al. 2016, Table 1).

    Args:
        n_frames: T, frames of every input.
        n_features: F, bins of every input.
        n_classes: K.
        scales: settings of `MultiTimeScaleConv2d` for the 7x7 and every 3x3 convolution (1x1 shortcuts stay plain); None is the standard
            network.
        variant: `definition` resamples the spectrogram to 256 x 256, as the thesis says. `released` does what the authors' code does:
            224 x 224, the factors (0.7, 1, 1.428) in the residual blocks whatever was asked for, and a bias in every multi-time-scale
            convolution.
        dropout: before the classifier (the original has none).

    Raises:
        ValueError: a factor leaves a kernel no tap (the layer is named), or as `MultiTimeScaleConv2d`.

    Differs from the paper: the thesis speaks of 3x3 and 5x5 kernels; ResNet-18 has 7x7, 3x3 and 1x1.

    Example:
        >>> sum(p.numel() for p in MTSResNet18(281, 513, 1000).parameters())
        11689512
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
    ) -> None:
        super().__init__(n_frames, n_features)
        released = variant == "released"
        self.side = 224 if released else 256
        blocks = scales
        if released and scales is not None:
            blocks = {**scales, "time_factors": BLOCK_FACTORS_RELEASED, "frequency_factors": None}
        biased = released and scales is not None
        self._fit(scales, blocks)
        stem: dict[str, Any] = {"scales": scales, "variant": variant, "bias": biased}
        self.conv_1 = convolution(3, 64, (7, 7), stride=2, padding=3, **stem)
        self.norm_1 = nn.BatchNorm2d(maps_of(self.conv_1))
        self.stages = nn.ModuleList()
        maps = maps_of(self.conv_1)
        for number, channels in enumerate((64, 128, 256, 512)):
            pair = []
            for stride in (1 if number == 0 else 2, 1):
                pair.append(ResidualBlock(maps, channels, stride, {**stem, "scales": blocks}))
                maps = maps_of(pair[-1].conv_2)
            self.stages.append(nn.Sequential(*pair))
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(maps, n_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | MultiTimeScaleConv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def _fit(self, scales: dict[str, Any] | None, blocks: dict[str, Any] | None) -> None:
        """Whether every kernel fits; the maps are side / 2 after the stem, side / 4 after its pooling, then halved three times."""
        fitted("resnet18", "conv_1", (self.side, self.side), (7, 7), scales, 2, 3)
        for number in range(4):
            sizes: Size = (self.side >> (number + 2),) * 2
            fitted("resnet18", f"stage_{number + 1}", sizes, (3, 3), blocks, 1, 1)

    def _stages(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = functional.interpolate(x, (self.side, self.side), mode="bilinear", align_corners=False)
        x = x.expand(-1, 3, -1, -1)
        x = functional.relu(self.norm_1(self.conv_1(x)))
        yield "conv_1", x
        x = functional.max_pool2d(x, 3, 2, 1)
        yield "pool_1", x
        for number, stage in enumerate(self.stages, 1):
            x = stage(x)
            yield f"stage_{number}", x
        x = x.mean(dim=(2, 3))
        yield "embedding", x
        yield "logits", self.classifier(self.dropout(x))


def build(
    architecture: str,
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    kernel: Size | None = None,
    scales: dict[str, Any] | None = None,
    variant: Variant = "definition",
    dropout: float = 0.0,
) -> nn.Module:
    """ResNet-18 (thesis, Sec. 4.4), freshly initialised from torch's current random state; arguments as `sercore.models.mts_cnn.build`.

    Args:
        architecture: `resnet18`.
        n_frames: T, frames of every input.
        n_features: F, bins of every input.
        n_classes: K.
        kernel: taken and not used; ResNet-18 has its own.
        scales: settings of `MultiTimeScaleConv2d`; None is the standard network.
        variant: `definition` or `released`.
        dropout: in [0, 1).

    Returns:
        A module called as `model(x (B, T, F), lengths (B,)) -> logits (B, K)`.

    Raises:
        ValueError: another name, or as `MTSResNet18`.
    """
    if architecture != "resnet18":
        raise ValueError(f"no network is called {architecture!r}; known: resnet18")
    return MTSResNet18(n_frames, n_features, n_classes, scales=scales, variant=variant, dropout=dropout)
