"""Squared cosine of two networks' Gram matrices (thesis ch. 5, Eqs. 5.1 and 5.2), by whichever form of the product is the smaller.

F is a sample's features, c channels x n positions, G = F F^T; index p = the frozen network, t = the trained one; hats = unit length:

    s = <Gh_p, G_t> / |G_t|,        d(s^2)/dF_t = (4 s / |G_t|) (Gh_p - s G_t / |G_t|) F_t

    <G_p, G_t> = |F_p^T F_t|^2,     |G_t| = |F_t^T F_t|,     G_p F_t = F_p (F_p^T F_t),     G_t F_t = F_t (F_t^T F_t)

The first line works with c x c products, the second (dual) with n x n ones, which are smaller in the late layers of a network. The
derivative is written out, so nothing is computed towards the frozen network and no second Gram matrix is kept for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

Kind = Literal["gram", "features"]


def by_channel(features: Tensor) -> Tensor:
    """Features of any layer as c channels x n positions a sample (F in thesis Eq. 5.1).

    Args:
        features: any finite number. Shape (B, C, T, F) of a convolution, (B, T, H) of a recurrent layer (H are its channels, frames
            beyond an item's length hold zeros), or (B, H).

    Returns:
        Shape (B, C, N), N = T F, T or 1.

    Raises:
        ValueError: another number of axes.

    Example:
        >>> by_channel(torch.zeros(2, 8, 5, 3)).shape, by_channel(torch.zeros(2, 5, 8)).shape
        (torch.Size([2, 8, 15]), torch.Size([2, 8, 5]))
    """
    if features.dim() == 4:
        return features.flatten(2)
    if features.dim() == 3:
        return features.transpose(1, 2)
    if features.dim() == 2:
        return features[:, :, None]
    raise ValueError(f"features must have shape (B, C, T, F), (B, T, H) or (B, H), got {tuple(features.shape)}")


def dual_pays(channels: int, positions: int) -> bool:
    """Whether n x n products are fewer than c x c ones: 4 c n^2 against 2 c^2 n multiplications a step (thesis Eq. 5.2 with gradient).

    Example:
        >>> dual_pays(512, 64), dual_pays(128, 1024)
        (True, False)
    """
    return 2 * positions < channels


@dataclass(frozen=True)
class Unit:
    """What the frozen network contributes to thesis Eq. 5.2, a sample at a time, scaled so that its Gram matrix has length 1.

    Attributes:
        kind: `gram` or `features`.
        values: float32 or float64, no gradient; shape (B, C, C), the unit Gram matrices, or (B, C, N), features whose Gram matrix has
            length 1; zeros for a sample whose features are all zero.
    """

    kind: Kind
    values: Tensor


@torch.no_grad()
def unit(features: Tensor, kind: Kind | None = None) -> Unit:
    """The frozen network's side of thesis Eq. 5.2, without a gradient.

    Args:
        features: shape (B, C, N), finite; see `by_channel`.
        kind: what to keep of them; None takes the smaller by `dual_pays`.

    Returns:
        Unit Gram matrices or unit features, shape (B, C, C) or (B, C, N).

    Example:
        >>> unit(torch.ones(1, 2, 9)).values
        tensor([[[0.5000, 0.5000],
                 [0.5000, 0.5000]]])
    """
    dual = dual_pays(*features.shape[1:])
    with _full_precision(features):
        features = _at_least_float32(features)
        product = features.transpose(1, 2) @ features if dual else features @ features.transpose(1, 2)
        scale, length = _normalise(product)
        if (kind or ("features" if dual else "gram")) == "features":
            return Unit("features", features / (scale * length).sqrt()[:, None, None])
        if dual:
            product = features @ features.transpose(1, 2) / scale[:, None, None]
        return Unit("gram", product.div_(length[:, None, None]))


def squared_cosine(features: Tensor, frozen: Unit) -> Tensor:
    """Squared cosine of the vectorised Gram matrices, one a sample (thesis Eq. 5.2 without beta).

    Args:
        features: of the network being trained, shape (B, C, N), finite; see `by_channel`.
        frozen: the other network's, from `unit` or a `GramCache`.

    Returns:
        Shape (B,), in [0, 1]; 0, without a gradient, where either network's features are all zero. Differentiable once, towards
        `features` alone. Half precision is computed in float32, because the products of its squares leave its range.

    Raises:
        ValueError: the two sides have other samples, channels or positions.

    Example:
        >>> features = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
        >>> squared_cosine(features, unit(torch.ones(1, 2, 2)))
        tensor([0.5000])
    """
    same = frozen.values.shape[:2] == features.shape[:2]
    last = features.shape[1] if frozen.kind == "gram" else features.shape[2]
    if not same or frozen.values.shape[2] != last:
        raise ValueError(
            f"features of shape {tuple(features.shape)} cannot be compared with the frozen network's {frozen.kind} of shape "
            f"{tuple(frozen.values.shape)}: both networks must have the same shape up to the tap"
        )
    if frozen.kind == "features" and not dual_pays(*features.shape[1:]):
        frozen = Unit("gram", frozen.values @ frozen.values.transpose(1, 2))
    return _SquaredCosine.apply(features, frozen.values.to(features.device), frozen.kind)


class _SquaredCosine(torch.autograd.Function):
    """s^2 of each sample; its backward pass is one product in each form."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, frozen: Tensor, kind: Kind) -> Tensor:
        ctx.kind, ctx.dtype = kind, features.dtype
        with _full_precision(features):
            x = _at_least_float32(features)
            frozen = frozen.to(x.dtype)
            if kind == "gram" and not dual_pays(*x.shape[1:]):
                cosine, factor, saved = _primal(x, frozen)
            else:
                cosine, factor, saved = _dual(x, frozen, kind)
        ctx.save_for_backward(cosine * factor, *saved)
        return cosine.square().to(features.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor, None, None]:
        factor, *saved = ctx.saved_tensors
        factor = (4 * factor * upstream.to(factor.dtype))[
            :, None, None
        ]  # goes to the smaller matrices: a pass over features costs as a layer
        with _full_precision(factor):
            if len(saved) == 1:
                gradient = saved[0] * factor
            elif len(saved) == 2:
                direction, x = saved
                gradient = (direction * factor) @ x
            else:
                frozen, common, x, own = saved
                gradient = torch.baddbmm(frozen @ (common * factor), x, own * factor, alpha=-1)
        return gradient.to(ctx.dtype), None, None


def _primal(x: Tensor, unit_gram: Tensor) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """Cosines, 1 / |G_t|, and (Gh_p - s G_t / |G_t|, F_t) for the backward pass."""
    gram = x @ x.transpose(1, 2)
    scale, length = _normalise(gram)
    cosine = _inner(unit_gram, gram) / length
    direction = gram.mul_((-cosine / length)[:, None, None]).add_(unit_gram)  # in the place of the Gram matrix: no memory of its own
    return cosine, _inverse(scale, length), (direction, x)


def _dual(x: Tensor, frozen: Tensor, kind: Kind) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
    """The same by n x n products; of a cached Gram matrix only Gh_p F_t is c x c, and it serves value and gradient."""
    own = x.transpose(1, 2) @ x
    scale, length = _normalise(own)
    root = scale.sqrt()[:, None, None]
    if kind == "gram":
        pulled = frozen @ x
        cosine = _inner(pulled / root, x / root) / length
        gradient = torch.baddbmm(pulled, x, own * (cosine / length)[:, None, None], alpha=-1)
        return cosine, _inverse(scale, length), (gradient,)
    common = frozen.transpose(1, 2) @ x
    cosine = (common / root).square().sum((1, 2)) / length
    return cosine, _inverse(scale, length), (frozen, common, x, own.mul_((cosine / length)[:, None, None]))


def _normalise(product: Tensor) -> tuple[Tensor, Tensor]:
    """(largest entry, length of what is left) of each F F^T or F^T F, which is divided by the former in place.

    Entries of the fourth power would leave the range of float32 long before the features do. The largest entry stands on the diagonal.
    A sample of zeros has (1, 1), so that it counts for nothing and nothing is divided by zero.
    """
    scale = product.diagonal(dim1=1, dim2=2).amax(1)
    scale = torch.where(scale == 0, torch.ones_like(scale), scale)
    length = torch.linalg.vector_norm(product.div_(scale[:, None, None]), dim=(1, 2))
    return scale, torch.where(length == 0, torch.ones_like(length), length)


def _inverse(scale: Tensor, length: Tensor) -> Tensor:
    return 1 / length / scale


def _inner(a: Tensor, b: Tensor) -> Tensor:
    """Inner product a sample; two vectors a sample, so that no product of elements is written out."""
    return torch.bmm(a.reshape(len(a), 1, -1), b.reshape(len(b), -1, 1)).flatten()


def _at_least_float32(x: Tensor) -> Tensor:
    return x if x.dtype == torch.float64 else x.float()


def _full_precision(x: Tensor) -> torch.autocast:
    return torch.autocast(x.device.type, enabled=False)
