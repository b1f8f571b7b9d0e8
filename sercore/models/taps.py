"""Layer numbers of the anti-transfer publications, and the taps that they mean (thesis, Sec. 5.4.3 and 7.3.4; Guizzo et al. 2023)."""

from __future__ import annotations

from typing import Literal

Variant = Literal["definition", "released"]

_VGG16: dict[str, tuple[str, ...]] = {
    "definition": tuple(f"conv_{number}" for number in range(1, 14)),
    "released": (
        *("input", "conv_1", "pool_1", "conv_3", "pool_2"),
        *("conv_5", "conv_6", "pool_3", "conv_8", "conv_9", "pool_4", "conv_11", "conv_12"),
    ),
}
#: network -> variant -> taps of the published layers 1, 2, ... in order
PUBLISHED: dict[str, dict[str, tuple[str, ...]]] = {
    "vgg16": _VGG16,
    "vgg16_pool": _VGG16,
    "alexnet": {
        "definition": ("conv_1", "conv_2", "conv_3", "conv_4", "conv_5"),
        "released": ("input", "pool_1", "pool_2", "conv_3", "conv_4"),
    },
    "resnet50": {
        "definition": ("stage_1", "stage_2", "stage_3_block_3", "stage_3", "stage_4"),
        "released": ("input", "pool_1", "stage_1", "stage_2", "stage_3"),
    },
}


def tap_of(network: str, layer: int, variant: Variant = "definition") -> str:
    """The tap that a published layer number means (thesis, Sec. 5.4.3 and 7.3.4).

    Args:
        network: `vgg16`, `vgg16_pool`, `alexnet` or `resnet50`.
        layer: as published, from 1: the n-th convolution, for ResNet-50 the n-th block of ten convolutions.
        variant: `definition` is what the text says: the n-th convolution's maps after ReLU, before pooling; in ResNet-50 the maps after the
            residual block in which convolution 10 n stands (shortcuts not counted; there are 49, so the fifth is the last block).
            `released` is what the authors' code compares under that number: the maps that the n-th convolution reads, pooled where a
            pooling stands before it, so that layer 1 is the spectrogram itself and the last convolution is never tested; in ResNet-50
            the input, the pooled stem and the first three stages.

    Returns:
        A key of `Backbone.taps`.

    Raises:
        ValueError: no published layers are known of that network, or it has none of that number or variant.

    Example:
        >>> tap_of("vgg16", 5), tap_of("vgg16", 5, "released")
        ('conv_5', 'pool_2')
    """
    if network not in PUBLISHED:
        raise ValueError(f"no published layers are known of {network!r}; known: {', '.join(PUBLISHED)}")
    if variant not in PUBLISHED[network]:
        raise ValueError(f"variant must be definition or released, not {variant!r}")
    taps = PUBLISHED[network][variant]
    if not 1 <= layer <= len(taps):
        raise ValueError(f"the published layers of {network} are 1 to {len(taps)}, not {layer}")
    return taps[layer - 1]
