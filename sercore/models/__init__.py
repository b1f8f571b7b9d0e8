"""MODELS: row label of a paper's table, in snake case, to the builder of the network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

from torch import nn

from sercore.errors import SpecError
from sercore.models import reslstm_sa
from sercore.spec import RunSpec

#: name -> builder(n_features, n_classes, variant=..., dropout=..., masked=...)
MODELS: dict[str, Callable[..., nn.Module]] = {
    "lstm_sa_h32": partial(reslstm_sa.LSTMSA, n_hidden=32, residual=False),
    "lstm_sa_h64": partial(reslstm_sa.LSTMSA, n_hidden=64, residual=False),
    "lstm_sa_h128": partial(reslstm_sa.LSTMSA, n_hidden=128, residual=False),
    "reslstm_sa_h32": partial(reslstm_sa.LSTMSA, n_hidden=32, residual=True),
    "reslstm_sa_h64": partial(reslstm_sa.LSTMSA, n_hidden=64, residual=True),
    "reslstm_sa_h128": partial(reslstm_sa.LSTMSA, n_hidden=128, residual=True),
}


def _revision(builder: Callable[..., nn.Module]) -> int:
    """REVISION of the module that defines the network; a module without one cannot be registered."""
    network = getattr(builder, "func", builder)
    return int(sys.modules[network.__module__].REVISION)


#: name -> REVISION of the module that defines the network
REVISIONS: dict[str, int] = {name: _revision(builder) for name, builder in MODELS.items()}


def build(name: str, n_features: int = 46, n_classes: int = 8, variant: str = "definition", dropout: float = 0.3) -> nn.Module:
    """The network of a table row, freshly initialised from torch's current random state.

    Args:
        name: key of MODELS.
        n_features: d, values a frame.
        n_classes: C.
        variant: `definition` or `released`.
        dropout: in [0, 1).

    Returns:
        A module called as `model(x (B, T, d), lengths (B,)) -> logits (B, C)`.

    Raises:
        SpecError: no model has that name (lists those there are).
    """
    if name not in MODELS:
        raise SpecError(f"no model is called {name!r}; known: {', '.join(MODELS)}")
    return MODELS[name](n_features, n_classes, variant=variant, dropout=dropout)


def build_for(spec: RunSpec, n_features: int, n_classes: int, n_frames: int = 0) -> nn.Module:
    """The network of a run, freshly initialised from torch's current random state.

    Args:
        spec: whose name, variant and dropout are taken; with the leak `unmasked_padding` the network counts padding.
        n_features: d, values a frame.
        n_classes: C.
        n_frames: T, for networks that read inputs of one length.

    Returns:
        As `build`.

    Raises:
        SpecError: no model has that name.
    """
    if "unmasked_padding" not in spec.leaks:
        return build(spec.model.name, n_features, n_classes, spec.model.variant, spec.model.dropout)
    if spec.model.name not in MODELS:
        raise SpecError(f"no model is called {spec.model.name!r}; known: {', '.join(MODELS)}")
    return MODELS[spec.model.name](n_features, n_classes, variant=spec.model.variant, dropout=spec.model.dropout, masked=False)
