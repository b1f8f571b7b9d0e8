"""How alike two networks' features are: every channel aggregation and both similarities of thesis Table 5.6, as defined and as released."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

from sercore.losses.gram import by_channel, squared_cosine, unit

Aggregation = Literal["gram", "mean", "sum", "compressed_product", "max"]
Similarity = Literal["squared_cosine", "sigmoid_mse"]
Variant = Literal["definition", "released"]
AGGREGATIONS: tuple[Aggregation, ...] = ("gram", "mean", "sum", "compressed_product", "max")
SIMILARITIES: tuple[Similarity, ...] = ("squared_cosine", "sigmoid_mse")
VARIANTS: tuple[Variant, ...] = ("definition", "released")

#: Of the compressed product: features raised to this power before they are multiplied over channels (thesis, Sec. 5.4.5) ...
COMPRESSION = 0.001
#: ... with this added, so that a silent channel does not erase the others (the released code; the thesis names none).
_ABOVE_ZERO = 1e-10
#: The released Gram matrix is divided by its number of features and by this: the cosine does not see it, the squared error does.
_GRAM_UNIT = 0.001


def similarity(
    trained: Tensor,
    frozen: Tensor,
    *,
    aggregation: Aggregation = "gram",
    measure: Similarity = "squared_cosine",
    variant: Variant = "definition",
) -> Tensor:
    """How alike the two networks' features of a batch are; the anti-transfer loss is beta times this (thesis Eq. 5.2 and Table 5.6).

    Args:
        trained: features of the network being trained, shape (B, C, T, F), (B, T, H) or (B, H), finite.
        frozen: of the other network, the same shape; no gradient passes to it.
        aggregation: of the channels: Gram matrix, or point by point their mean, sum, maximum, or compressed product.
        measure: squared cosine in [0, 1], or the negative sigmoid of the mean squared difference, in [-1, -0.5].
        variant: `definition` takes each sample for itself and then the mean over the batch. `released` does what the authors' code does:
            one Gram matrix over batch and channels together, cosines row by row, their mean, then squared; one squared error over the
            batch; for the other aggregations the mean over the batch before the square.

    Returns:
        One number.

    Differs from the paper: the thesis gives Gram matrices under the squared error no unit; we take that of the authors' code, divided by
    0.001 times the number of features, in both variants (sums of products would leave the sigmoid no gradient).

    Raises:
        ValueError: the two have unlike shapes, or as `by_channel`.

    Example:
        >>> x = torch.ones(2, 3, 4, 5)
        >>> round(similarity(x, 2 * x).item(), 4), similarity(x, x, measure="sigmoid_mse").item()
        (1.0, -0.5)
    """
    if trained.shape != frozen.shape:
        raise ValueError(
            f"features are {tuple(trained.shape)} in the trained and {tuple(frozen.shape)} in the frozen network: both must have the same "
            f"shape up to the tap"
        )
    trained, frozen = by_channel(trained), by_channel(frozen.detach())
    if aggregation == "gram":
        return _of_grams(trained, frozen, measure, variant)
    with torch.autocast(trained.device.type, enabled=False):
        a, b = (aggregated(_at_least_float32(x), aggregation) for x in (trained, frozen))
        return _of_vectors(a, b, measure, variant)


def aggregated(features: Tensor, aggregation: Aggregation) -> Tensor:
    """One value a position for all channels (thesis, Sec. 5.4.5).

    Args:
        features: shape (B, C, N); the compressed product needs them >= 0, as after a ReLU.
        aggregation: any but `gram`.

    Returns:
        Shape (B, N), finite where the features are.

    Example:
        >>> aggregated(torch.tensor([[[1.0, 2.0], [3.0, 0.5]]]), "max")
        tensor([[3., 2.]])
    """
    if aggregation == "mean":
        return features.mean(1)
    if aggregation == "sum":
        return features.sum(1)
    if aggregation == "max":
        return features.amax(1)
    return (COMPRESSION * (features + _ABOVE_ZERO).log().sum(1)).exp()  # a product of hundreds of factors, in logarithms


def _of_grams(trained: Tensor, frozen: Tensor, measure: Similarity, variant: Variant) -> Tensor:
    if variant == "definition" and measure == "squared_cosine":
        return squared_cosine(trained, unit(frozen)).mean()
    with torch.autocast(trained.device.type, enabled=False):
        if variant == "released":  # every channel of every sample is a row: products between utterances are in it
            trained, frozen = trained.flatten(0, 1)[None], frozen.flatten(0, 1)[None]
        a, b = (_gram(_at_least_float32(x)) for x in (trained, frozen))
        if measure == "squared_cosine":
            return functional.cosine_similarity(a[0], b[0], dim=1, eps=1e-8).abs().mean().square()
        return _of_vectors(a.flatten(1), b.flatten(1), measure, variant)


def _gram(features: Tensor) -> Tensor:
    """In the unit of the released code; of one batch-joint sample or of many."""
    return features @ features.transpose(1, 2) / (_GRAM_UNIT * features.shape[1] * features.shape[2])


def _of_vectors(a: Tensor, b: Tensor, measure: Similarity, variant: Variant) -> Tensor:
    """Similarity of vectors (B, M), one a sample."""
    if measure == "squared_cosine":
        cosine = functional.cosine_similarity(a, b, dim=1, eps=1e-8)
        return cosine.square().mean() if variant == "definition" else cosine.abs().mean().square()
    error = (a - b).square().mean(1)
    return -error.sigmoid().mean() if variant == "definition" else -error.mean().sigmoid()


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()
