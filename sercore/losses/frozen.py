"""The network trained for an orthogonal task, used and never changed: frozen, read at its taps, cut after the last (thesis, Sec. 5.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def freeze(network: nn.Module, before: str | None = None) -> nn.Module:
    """The same network, in evaluation mode and with no parameter that an optimiser could move (thesis, Sec. 5.2.1).

    Args:
        network: changed in place.
        before: `weights_hash` of it before the weights of the orthogonal task were loaded; None for a network that is random on purpose.

    Raises:
        ValueError: the weights are those of before: nothing was loaded.
    """
    if before is not None and weights_hash(network) == before:
        raise ValueError(f"nothing was loaded into this {type(network).__name__}: its weights are those that it was made with")
    return network.eval().requires_grad_(False)


def weights_hash(network: nn.Module) -> str:
    """Name of everything a network has learned (the frozen one of thesis Sec. 5.2), buffers included: 16 hexadecimal digits of SHA-256.

    Example:
        >>> a, b = nn.Linear(2, 2), nn.Linear(2, 2)
        >>> weights_hash(a) == weights_hash(a), weights_hash(a) == weights_hash(b)
        (True, False)
    """
    found = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        array = np.ascontiguousarray(value.detach().cpu().reshape(-1).view(torch.uint8).numpy())
        found.update(f"{name} {value.dtype} {tuple(value.shape)};".encode())
        found.update(array.data)
    return found.hexdigest()[:16]


@torch.no_grad()
def features_at(network: nn.Module, taps: Iterable[str], x: Tensor, lengths: Tensor | None = None) -> dict[str, Tensor]:
    """Features of a frozen network at its taps, without a gradient; nothing after the last tap is computed where the network allows it.

    The thesis' second network, Sec. 5.2. A network allows it by a method `tapped(x, tap, lengths)`, or by taking the name of the last tap
    as `upto` in `signals(x, lengths)` and naming its `taps` in order; the others run to their end.

    Args:
        network: frozen.
        taps: names.
        x: input as the network takes it, shape (B, ...), finite.
        lengths: frames of each item, shape (B,), integers; None for networks that take none.

    Returns:
        Tap -> features, shape (B, C, T, F), (B, T, H) or (B, H).

    Raises:
        ValueError: a tap does not exist (names those there are), or the network is not frozen.

    Example:
        >>> class Network(nn.Module):
        ...     def signals(self, x, lengths=None):
        ...         return {"input": x, "conv_1": x.relu()}
        >>> features_at(Network().eval(), ["conv_1"], torch.tensor([[-1.0, 2.0]]))
        {'conv_1': tensor([[0., 2.]])}
    """
    if network.training or any(p.requires_grad for p in network.parameters()):
        raise ValueError(f"the {type(network).__name__} of the orthogonal task is not frozen: pass it through freeze() first")
    reads: Any = network
    taps, known = list(taps), getattr(network, "taps", None)
    found: dict[str, Any]
    if known is None:
        found = reads.signals(x, lengths)
    elif not set(taps) <= set(known):
        found = dict.fromkeys(known)
    elif len(taps) == 1 and hasattr(network, "tapped"):
        found = {taps[0]: reads.tapped(x, taps[0], lengths)}
    else:
        found = reads.signals(x, lengths, upto=max(taps, key=list(known).index))
    missing = [tap for tap in taps if tap not in found]
    if missing:
        raise ValueError(f"no tap of {type(network).__name__} is called {', '.join(missing)}; taps: {', '.join(found)}")
    return {tap: found[tap] for tap in taps}


def drop_after(network: nn.Module, taps: Iterable[str], x: Tensor, lengths: Tensor | None = None) -> int:
    """Give back the memory of all layers that are not called up to the last tap (E_t of thesis Eq. 5.4 counts convolutions alone).

    Args:
        network: frozen; changed in place, of use for `features_at` at these taps alone afterwards.
        taps: names.
        x: any input, shape (B, ...), finite.
        lengths: as `features_at`, shape (B,).

    Returns:
        Bytes given back, a count: 0 if the network cannot be cut.
    """
    used: set[nn.Module] = set()
    leaves = [module for module in network.modules() if not list(module.children())]
    handles = [leaf.register_forward_pre_hook(lambda module, _: used.add(module)) for leaf in leaves]
    try:
        features_at(network, taps, x, lengths)
    finally:
        for handle in handles:
            handle.remove()
    freed = 0
    for leaf in leaves:
        for kept in (*leaf.parameters(), *leaf.buffers()) if leaf not in used else ():
            freed += kept.numel() * kept.element_size()
            kept.data = kept.data.new_empty(0)  # a network with tensors on the meta device could not be moved
    return freed
