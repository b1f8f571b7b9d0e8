"""VGG16 on spectrograms or quaternion embeddings, with and without adaptive pooling (thesis, Sec. 5.2, 6.3.1 and 7.2)."""

from __future__ import annotations

from itertools import count
from typing import Any

from sercore.layers.multi_time_scale import Variant
from sercore.models.backbone import Conv, ConvolutionStack, Pool
from sercore.models.ops import LayerOps, Rule

REVISION = 1
#: Maps of the convolutions of each block; a pooling stands behind every block.
BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def _plan() -> dict[str, Conv | Pool]:
    numbers = count(1)
    plan: dict[str, Conv | Pool] = {}
    for block, maps in enumerate(BLOCKS, 1):
        plan |= {f"conv_{next(numbers)}": Conv(channels, 3, 1, 1) for channels in maps}
        plan[f"pool_{block}"] = Pool(2, 2)
    return plan


class VGG16(ConvolutionStack):
    """VGG16: 13 convolutions 3x3 in five blocks, each with a 2x2 max-pool behind it, and three layers (Simonyan and Zisserman 2015).

        2 conv 64 - 2 conv 128 - 3 conv 256 - 3 conv 512 - 3 conv 512 - FC 4096 - FC 4096 - FC K   (thesis, Table 5.1)

    Symbols: K = n_classes; conv_n = the n-th convolution after ReLU; pool_n = what the n-th block's pooling gives.

    Args:
        n_frames: T, frames of every input; at least 32.
        n_features: F, bins of every input; at least 32.
        n_classes: K.
        adaptive_pool: means over 7x7 windows before the hidden layers, as in chapter 5; without it, as in chapters 6 and 7, they read
            T/32 x F/32 points of each map.
        in_channels: C, 1 for a spectrogram, 4 for a quaternion embedding.
        width: factor on the maps of all convolutions and on the 4096 units of both hidden layers, each rounded to the nearest number that
            the layers can have.
        ops: set of layer operations.
        variant: how the weights of real layers are drawn, the one difference between the two. `definition`: as torchvision, which the
            thesis names: convolutions as He et al. 2015 with the fan-out, linear layers N(0, 0.01^2), biases 0. `released`: with adaptive
            pooling the same, but the first convolution and the classifier, which the authors' code replaces, by torch's default (uniform,
            bound 1 / sqrt(fan-in)); without it all layers by torch's default.
        dropout: after both hidden layers; 0.5 in the thesis.

    Raises:
        ValueError: as `ConvolutionStack`.

    Differs from the paper: Table 5.1 writes 2 convolutions of 256 maps and pooling windows of 3x3; the network of Simonyan and Zisserman
    and of torchvision, which it names, has 3 and 2x2, and so have the counts of parameters in chapter 6. `width` is ours.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(weight.numel() for weight in VGG16(512, 128, 4).parameters())
        165733060
    """

    def __init__(
        self,
        n_frames: int,
        n_features: int,
        n_classes: int,
        *,
        adaptive_pool: bool = False,
        in_channels: int = 1,
        width: float = 1.0,
        ops: str | LayerOps = "real",
        variant: Variant = "definition",
        dropout: float = 0.5,
    ) -> None:
        plan = _plan()
        drawn: dict[str, Rule] = {name: "kaiming_fan_out" for name in plan if name.startswith("conv")}
        drawn |= {"hidden_1": "normal", "hidden_2": "normal", "classifier": "normal"}
        if variant == "released":
            drawn = {name: rule for name, rule in drawn.items() if adaptive_pool and name not in ("conv_1", "classifier")}
        super().__init__(
            "vgg16_pool" if adaptive_pool else "vgg16",
            plan,
            n_frames,
            n_features,
            n_classes,
            in_channels=in_channels,
            width=width,
            ops=ops,
            adaptive_pool=7 if adaptive_pool else None,
            drawn=drawn,
            dropout=dropout,
            dropout_first=False,
        )


def build(
    architecture: str,
    n_frames: int,
    n_features: int,
    n_classes: int,
    *,
    variant: Variant = "definition",
    dropout: float = 0.5,
    width: float = 1.0,
    in_channels: int = 1,
    ops: str | LayerOps = "real",
) -> VGG16:
    """VGG16 (thesis, Sec. 5.2 and 6.3.1), freshly initialised from torch's current random state.

    Args:
        architecture: `vgg16`, or `vgg16_pool` with adaptive pooling.
        n_frames, n_features, n_classes, variant, dropout, width, in_channels, ops: as `VGG16`.

    Raises:
        ValueError: another name, or as `VGG16`.
    """
    if architecture not in ("vgg16", "vgg16_pool"):
        raise ValueError(f"no network is called {architecture!r}; known: vgg16, vgg16_pool")
    settings: dict[str, Any] = {"variant": variant, "dropout": dropout, "width": width, "in_channels": in_channels, "ops": ops}
    return VGG16(n_frames, n_features, n_classes, adaptive_pool=architecture == "vgg16_pool", **settings)
