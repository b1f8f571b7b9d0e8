"""Does the anti-transfer loss see past the numbering of channels? Renumber those of one network and look (thesis, Sec. 5.2).

The thesis compares Gram matrices because they hold all pairs of channels, which should limit the impact of their order: which of a
network's channels is called the first means nothing, and the same network with its channels renumbered is the same function. But with
P the permutation of the trained network's channels

    F_t -> P F_t,    G_t -> P G_t P^T,    <G_p, P G_t P^T> != <G_p, G_t>    unless P G_p P^T = G_p,

so the loss changes, while the eigenvalues of G_t, which are the squared singular values of F_t, do not.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from sercore.losses.gram import by_channel
from sercore.losses.similarities import VARIANTS, similarity

#: Whose channels a row has renumbered; `both`, by the same permutation, is the control: nothing may change.
NEITHER, ONE, BOTH = "neither", "one", "both"


@torch.no_grad()
def channel_permutations(trained: Tensor, frozen: Tensor, *, permutations: int = 50, seed: int = 0) -> list[dict[str, Any]]:
    """Squared cosines of Gram matrices (thesis Eq. 5.2) before and after random permutations of the trained network's channels.

    Args:
        trained: features of one network, shape (B, C, T, F), (B, T, H) or (B, H), finite. All items are permuted alike, as a network's
            channels are.
        frozen: of the other network, the same shape; it may be the same tensor, whose squared cosine with itself is 1.
        permutations: how many random ones.
        seed: of the draw; equal seeds give equal permutations.

    Returns:
        One row for each variant and permutation, computed in float64. `variant`: `definition` or `released`. `permuted`: NEITHER
        (permutation 0), ONE (the trained network's channels) or BOTH. `permutation`: its number. `value`: the squared cosine, in [0, 1].
        `spectrum`: the largest change of an eigenvalue of the trained network's Gram matrices, sorted, as a fraction of the largest
        eigenvalue; sample by sample in the definition, of the one batch-joint matrix in the released variant.

    Raises:
        ValueError: fewer than two channels or one permutation, features that are not finite or all zero, or as `similarity`.

    Example:
        >>> one = torch.tensor([[[1.0, 0.0]], [[0.0, 2.0]]]).transpose(0, 1)[..., None]
        >>> rows = channel_permutations(one, one, permutations=4)
        >>> sorted({(row["permuted"], round(row["value"], 3)) for row in rows if row["permuted"] != "one"})
        [('both', 1.0), ('neither', 1.0)]
    """
    channels = by_channel(trained).shape[1]
    if channels < 2 or permutations < 1:
        raise ValueError(f"need two channels and one permutation at least, got {channels} and {permutations}")
    for name, features in (("trained", trained), ("frozen", frozen)):
        if not features.isfinite().all():
            raise ValueError(f"features of the {name} network hold numbers that are not finite")
        if not features.any():
            raise ValueError(f"features of the {name} network are all zero: the layer is dead, and zeros are like nothing")
    trained, frozen = trained.double(), frozen.double()
    axis = 1 if trained.dim() == 4 else trained.dim() - 1
    draw = torch.Generator().manual_seed(seed)
    before = {variant: _eigenvalues(trained, variant) for variant in VARIANTS}
    rows = [_row(trained, frozen, variant, NEITHER, 0, 0.0) for variant in VARIANTS]
    for number in range(1, permutations + 1):
        order = torch.randperm(channels, generator=draw).to(trained.device)
        renumbered, alike = trained.index_select(axis, order), frozen.index_select(axis, order)
        for variant in VARIANTS:
            moved = _moved(before[variant], _eigenvalues(renumbered, variant))
            rows.append(_row(renumbered, frozen, variant, ONE, number, moved))
            rows.append(_row(renumbered, alike, variant, BOTH, number, moved))
    return rows


def _row(trained: Tensor, frozen: Tensor, variant: Any, permuted: str, number: int, moved: float) -> dict[str, Any]:
    value = similarity(trained, frozen, variant=variant).item()
    return {"variant": variant, "permuted": permuted, "permutation": number, "value": value, "spectrum": moved}


def _eigenvalues(features: Tensor, variant: str) -> Tensor:
    """Of the Gram matrices, largest first, shape (B, min(C, N)) or for the batch-joint matrix (1, min(B C, N)); the others are zero."""
    f = by_channel(features)
    return torch.linalg.svdvals(f.flatten(0, 1)[None] if variant == "released" else f).square()


def _moved(before: Tensor, after: Tensor) -> float:
    largest = before.amax(1, keepdim=True)
    return ((after - before).abs() / torch.where(largest == 0, torch.ones_like(largest), largest)).max().item()
