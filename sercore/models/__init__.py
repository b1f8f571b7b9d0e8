"""MODELS: row label of a paper's table, in snake case, to the builder of the network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from sercore.errors import SpecError
from sercore.models import mts_cnn, mts_resnet, reslstm_sa
from sercore.spec import RunSpec, ScaleSpec

#: name -> builder(n_features, n_classes, variant=..., dropout=...) of networks that read frames one after the other
RECURRENT: dict[str, Callable[..., nn.Module]] = {
    "lstm_sa_h32": partial(reslstm_sa.LSTMSA, n_hidden=32, residual=False),
    "lstm_sa_h64": partial(reslstm_sa.LSTMSA, n_hidden=64, residual=False),
    "lstm_sa_h128": partial(reslstm_sa.LSTMSA, n_hidden=128, residual=False),
    "reslstm_sa_h32": partial(reslstm_sa.LSTMSA, n_hidden=32, residual=True),
    "reslstm_sa_h64": partial(reslstm_sa.LSTMSA, n_hidden=64, residual=True),
    "reslstm_sa_h128": partial(reslstm_sa.LSTMSA, n_hidden=128, residual=True),
}
_CONVOLUTIONAL = ("a1", "a2", "a3", "a4")
#: name -> builder(n_frames=..., n_features=..., n_classes=..., kernel=..., scales=..., variant=..., dropout=...) of networks that read a
#: whole spectrogram of fixed size; those whose name begins with mts_ have multi-time-scale convolutions
SPECTROGRAM: dict[str, Callable[..., nn.Module]] = {
    **{name: partial(mts_cnn.build, name) for name in _CONVOLUTIONAL},
    **{f"mts_{name}": partial(mts_cnn.build, name) for name in _CONVOLUTIONAL},
    "resnet18": partial(mts_resnet.build, "resnet18"),
    "mts_resnet18": partial(mts_resnet.build, "resnet18"),
}
MODELS: dict[str, Callable[..., nn.Module]] = {**RECURRENT, **SPECTROGRAM}


def _revision(builder: Callable[..., nn.Module]) -> int:
    """REVISION of the module that defines the network; a module without one cannot be registered."""
    network = getattr(builder, "func", builder)
    return int(sys.modules[network.__module__].REVISION)


#: name -> REVISION of the module that defines the network
REVISIONS: dict[str, int] = {name: _revision(builder) for name, builder in MODELS.items()}


def _builder(name: str) -> Callable[..., nn.Module]:
    if name not in MODELS:
        raise SpecError(f"no model is called {name!r}; known: {', '.join(MODELS)}")
    return MODELS[name]


def build(
    name: str,
    n_features: int = 46,
    n_classes: int = 8,
    variant: str = "definition",
    dropout: float = 0.3,
    *,
    n_frames: int = 0,
    scales: ScaleSpec | None = None,
    kernel: tuple[int, int] | None = None,
) -> nn.Module:
    """The network of a table row, freshly initialised from torch's current random state.

    Args:
        name: key of MODELS.
        n_features: d, values a frame.
        n_classes: C.
        variant: `definition` or `released`.
        dropout: in [0, 1).
        n_frames: T, frames of every input; networks of SPECTROGRAM need it, the others read any number.
        scales: branches of the mts_ networks; None takes the thesis' first set (0.7, 1, 1.428).
        kernel: of the first convolution; None takes the network's own.

    Returns:
        A module called as `model(x (B, T, d), lengths (B,)) -> logits (B, C)`.

    Raises:
        SpecError: no model has that name (lists those there are), scales or a kernel are given to one that takes none, or the network does
            not fit the size of the input.
    """
    builder = _builder(name)
    if scales is not None and not name.startswith("mts_"):
        raise SpecError(f"{name} has no time scales: leave them out, or take mts_{name}")
    if name in RECURRENT:
        if kernel is not None:
            raise SpecError(f"{name} has no kernel to set")
        return builder(n_features, n_classes, variant=variant, dropout=dropout)
    options: dict[str, Any] = {} if kernel is None else {"kernel": kernel}
    if name.startswith("mts_"):
        options["scales"] = (scales or ScaleSpec()).model_dump()
    try:
        return builder(n_frames=n_frames, n_features=n_features, n_classes=n_classes, variant=variant, dropout=dropout, **options)
    except ValueError as error:
        raise SpecError(f"{name} cannot be built: {error}") from error


def build_for(spec: RunSpec, n_features: int, n_classes: int, n_frames: int = 0) -> nn.Module:
    """The network of a run, freshly initialised from torch's current random state.

    Args:
        spec: whose model is taken; with the leak `unmasked_padding` a recurrent network counts padding.
        n_features: d, values a frame.
        n_classes: C.
        n_frames: T, for networks of SPECTROGRAM.

    Returns:
        As `build`.

    Raises:
        SpecError: as `build`.
    """
    model = spec.model
    if "unmasked_padding" in spec.leaks and model.name in RECURRENT:
        return RECURRENT[model.name](n_features, n_classes, variant=model.variant, dropout=model.dropout, masked=False)
    return build(
        model.name, n_features, n_classes, model.variant, model.dropout, n_frames=n_frames, scales=model.scales, kernel=model.kernel
    )
