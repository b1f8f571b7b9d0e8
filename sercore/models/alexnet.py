"""AlexNet on spectrograms or quaternion embeddings (thesis, Sec. 6.3.1 and 7.2).

A4 of thesis chapter 4 (`sercore.models.mts_cnn`) is the same network with multi-time-scale convolutions; its weights and taps bear the same
names.
"""

from __future__ import annotations

from sercore.layers.multi_time_scale import Variant
from sercore.models.backbone import Conv, ConvolutionStack, Pool
from sercore.models.ops import LayerOps

REVISION = 1
#: The third and fourth convolution have no pooling behind them; a pooling bears the number of the convolution before it.
PLAN: dict[str, Conv | Pool] = {
    "conv_1": Conv(64, 11, 4, 2),
    "pool_1": Pool(3, 2),
    "conv_2": Conv(192, 5, 1, 2),
    "pool_2": Pool(3, 2),
    "conv_3": Conv(384, 3, 1, 1),
    "conv_4": Conv(256, 3, 1, 1),
    "conv_5": Conv(256, 3, 1, 1),
    "pool_5": Pool(3, 2),
}


class AlexNet(ConvolutionStack):
    """AlexNet: five convolutions, three max-poolings, maps brought to 6x6, and three layers (Krizhevsky 2014).

    Args:
        n_frames: T, frames of every input; at least 63.
        n_features: F, bins of every input; at least 63.
        n_classes: K.
        in_channels: C, 1 for a spectrogram, 4 for a quaternion embedding. An embedding of 64x64 leaves one point of each map, which the
            adaptive pooling repeats 36 times.
        width: factor on the maps of all convolutions and on the 4096 units of both hidden layers, each rounded to the nearest number that
            the layers can have.
        ops: set of layer operations.
        variant: both are the same; weights of real layers are drawn by torch's default, as in torchvision.
        dropout: before both hidden layers; 0.5 in the thesis.

    Raises:
        ValueError: as `ConvolutionStack`.

    Differs from the paper: the thesis cites Krizhevsky et al. 2012; the sizes are those of Krizhevsky 2014, which torchvision, the
    implementation it names, has, and so have its counts of parameters. `width` is ours.

    Example:
        >>> import torch
        >>> with torch.device("meta"):
        ...     sum(weight.numel() for weight in AlexNet(512, 128, 4).parameters())
        57004740
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
        dropout: float = 0.5,
    ) -> None:
        super().__init__(
            "alexnet",
            PLAN,
            n_frames,
            n_features,
            n_classes,
            in_channels=in_channels,
            width=width,
            ops=ops,
            adaptive_pool=6,
            drawn={},
            dropout=dropout,
            dropout_first=True,
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
) -> AlexNet:
    """AlexNet (thesis, Sec. 6.3.1), freshly initialised from torch's current random state.

    Args:
        architecture: `alexnet`.
        n_frames, n_features, n_classes, variant, dropout, width, in_channels, ops: as `AlexNet`.

    Raises:
        ValueError: another name, or as `AlexNet`.
    """
    if architecture != "alexnet":
        raise ValueError(f"no network is called {architecture!r}; known: alexnet")
    return AlexNet(n_frames, n_features, n_classes, variant=variant, dropout=dropout, width=width, in_channels=in_channels, ops=ops)
