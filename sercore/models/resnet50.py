"""ResNet-50 on spectrograms or quaternion embeddings (thesis, Sec. 6.3.1 and 7.2)."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from sercore.layers.multi_time_scale import Variant
from sercore.models.backbone import Backbone
from sercore.models.ops import LayerOps

REVISION = 1
#: (residual blocks, maps inside them) of each stage; a stage gives EXPANSION times as many maps.
STAGES = ((3, 64), (4, 128), (6, 256), (3, 512))
EXPANSION = 4


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 convolution beside a shortcut (He et al. 2016, Fig. 5).

        y = relu(N_3 V_3 relu(N_2 V_2 relu(N_1 V_1 x)) + S x)

    Symbols: V = convolution without bias; N = batch normalisation; S = identity, or a normalised 1x1 convolution where the sizes change.

    Args:
        in_channels: input maps.
        inner: maps of the first two convolutions; the third gives EXPANSION times as many.
        stride: of the 3x3 convolution and of the shortcut.
        ops: set of layer operations.
    """

    def __init__(self, in_channels: int, inner: int, stride: int, ops: LayerOps) -> None:
        super().__init__()
        self.conv_1, self.norm_1 = _convolution(ops, in_channels, inner, 1), ops.norm(inner)
        self.conv_2, self.norm_2 = _convolution(ops, inner, inner, 3, stride, 1), ops.norm(inner)
        self.conv_3, self.norm_3 = _convolution(ops, inner, EXPANSION * inner, 1), ops.norm(EXPANSION * inner)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != EXPANSION * inner:
            self.shortcut = nn.Sequential(_convolution(ops, in_channels, EXPANSION * inner, 1, stride), ops.norm(EXPANSION * inner))
        self.activation = ops.activation()

    def forward(self, x: Tensor) -> Tensor:
        """Activations of shape (B, O, T', F'), numbers of at least 0, from maps of shape (B, C, T, F)."""
        inner = self.activation(self.norm_1(self.conv_1(x)))
        inner = self.activation(self.norm_2(self.conv_2(inner)))
        return self.activation(self.norm_3(self.conv_3(inner)) + self.shortcut(x))


def _convolution(ops: LayerOps, read: int, maps: int, kernel: int, stride: int = 1, padding: int = 0) -> nn.Module:
    """Without bias, as a normalisation follows; drawn as He et al. 2015."""
    return ops.draw(ops.conv(read, maps, kernel, stride, padding, bias=False), "kaiming_fan_out")


class ResNet50(Backbone):
    """ResNet-50: a 7x7 convolution and 16 bottleneck blocks in four stages (He et al. 2016, Table 1).

    Taps: `conv_1` (the stem after normalisation and ReLU), `pool_1`, then each block's output: `stage_1_block_1, stage_1_block_2, stage_1`,
    the last block of a stage bearing the stage's name; `embedding` (means of the maps) and `logits`.

    Args:
        n_frames: T, frames of every input.
        n_features: F, bins of every input.
        n_classes: K.
        in_channels: C, 1 for a spectrogram, 4 for a quaternion embedding.
        width: factor on the maps of the stem and inside the blocks, each rounded to the nearest number that the layers can have; a stage
            gives four times the maps inside it. There is no hidden layer.
        ops: set of layer operations.
        variant: both are the same: nothing that the authors' real network does otherwise is known.
        dropout: before the classifier (the original has none).

    Raises:
        ValueError: as `Backbone`, or the width leaves no channel.

    Differs from the paper: He et al. put the stride of a stage into the first 1x1 convolution; here it is in the 3x3, as in torchvision,
    the implementation that the thesis names. Weights are drawn as there: convolutions as He et al. 2015 with the fan-out, scales of the
    normalisations 1, the classifier by torch's default. `width` and the dropout are ours.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(weight.numel() for weight in ResNet50(512, 128, 4).parameters())
        23509956
    """

    def __init__(
        self,
        n_frames: int,
        n_features: int,
        n_classes: int,
        *,
        in_channels: int = 1,
        width: float = 1.0,
        ops: str | LayerOps = "real",
        variant: Variant = "definition",
        dropout: float = 0.0,
    ) -> None:
        super().__init__("resnet50", n_frames, n_features, in_channels=in_channels, width=width, ops=ops)
        maps = self._channels(64)
        size = _halved((n_frames, n_features))
        self.conv_1, self.norm_1 = _convolution(self.ops, in_channels, maps, 7, 2, 3), self.ops.norm(maps)
        self.taps["conv_1"] = (maps, *size)
        self.activation, self.pool_1 = self.ops.activation(), self.ops.max_pool(3, 2, 1)
        size = _halved(size)
        self.taps["pool_1"] = (maps, *size)
        self.blocks = nn.ModuleDict()
        for stage, (n_blocks, inner) in enumerate(STAGES, 1):
            for block in range(1, n_blocks + 1):
                stride = 2 if stage > 1 and block == 1 else 1
                size = _halved(size) if stride == 2 else size
                name = f"stage_{stage}_block_{block}" if block < n_blocks else f"stage_{stage}"
                self.blocks[name] = Bottleneck(maps, self._channels(inner), stride, self.ops)
                maps = EXPANSION * self._channels(inner)
                self.taps[name] = (maps, *size)
        self.mean, self.dropout = self.ops.average_pool(1), nn.Dropout(dropout)
        self.classifier = self.ops.classifier(maps, n_classes)
        self.taps |= {"embedding": (maps,), "logits": (n_classes,)}

    def _stages(self, x: Tensor) -> Iterator[tuple[str, Tensor]]:
        x = self.activation(self.norm_1(self.conv_1(x)))
        yield "conv_1", x
        x = self.pool_1(x)
        yield "pool_1", x
        for name, block in self.blocks.items():
            x = block(x)
            yield name, x
        x = self.mean(x).flatten(1)
        yield "embedding", x
        yield "logits", self.classifier(self.dropout(x))


def _halved(size: tuple[int, int]) -> tuple[int, int]:
    """Frames and bins after a layer of stride 2 with zeros on each side for half its kernel; at least one of each."""
    return (size[0] - 1) // 2 + 1, (size[1] - 1) // 2 + 1


def build(
    architecture: str,
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    variant: Variant = "definition",
    dropout: float = 0.0,
    width: float = 1.0,
    in_channels: int = 1,
    ops: str | LayerOps = "real",
) -> ResNet50:
    """ResNet-50 (thesis, Sec. 6.3.1), freshly initialised from torch's current random state.

    Args:
        architecture: `resnet50`.
        n_frames, n_features, n_classes, variant, dropout, width, in_channels, ops: as `ResNet50`.

    Raises:
        ValueError: another name, or as `ResNet50`.
    """
    if architecture != "resnet50":
        raise ValueError(f"no network is called {architecture!r}; known: resnet50")
    return ResNet50(n_frames, n_features, n_classes, variant=variant, dropout=dropout, width=width, in_channels=in_channels, ops=ops)
