"""MODELS: row label of a paper's table, in snake case, to the builder of the network."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from torch import nn

from sercore.errors import SpecError
from sercore.models import alexnet, mts_cnn, mts_resnet, reslstm_sa, resnet50, vgg16
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
#: name -> builder(n_frames=..., n_features=..., n_classes=..., variant=..., dropout=..., width=...) of the networks of thesis ch. 5 to 7,
#: with taps for anti-transfer; vgg16_pool has the adaptive pooling of ch. 5
BACKBONES: dict[str, Callable[..., nn.Module]] = {
    "vgg16": partial(vgg16.build, "vgg16"),
    "vgg16_pool": partial(vgg16.build, "vgg16_pool"),
    "alexnet": partial(alexnet.build, "alexnet"),
    "resnet50": partial(resnet50.build, "resnet50"),
}
#: name -> builder(n_frames=..., n_features=..., n_classes=..., kernel=..., scales=..., variant=..., dropout=...) of networks that read a
#: whole spectrogram of fixed size; those whose name begins with mts_ have multi-time-scale convolutions; BACKBONES take a width, no kernel
SPECTROGRAM: dict[str, Callable[..., nn.Module]] = {
    **{name: partial(mts_cnn.build, name) for name in _CONVOLUTIONAL},
    **{f"mts_{name}": partial(mts_cnn.build, name) for name in _CONVOLUTIONAL},
    "resnet18": partial(mts_resnet.build, "resnet18"),
    "mts_resnet18": partial(mts_resnet.build, "resnet18"),
    **BACKBONES,
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


def _refuse_unused(name: str, scales: ScaleSpec | None, kernel: tuple[int, int] | None, width: float) -> None:
    """A setting that the network would not look at is an error, not a run under a wrong name."""
    if scales is not None and not name.startswith("mts_"):
        other = f", or take mts_{name}" if f"mts_{name}" in MODELS else ""
        raise SpecError(f"{name} has no time scales: leave them out{other}")
    if kernel is not None and (name in RECURRENT or name in BACKBONES):
        raise SpecError(f"{name} has no kernel to set")
    if width != 1 and name not in BACKBONES:
        raise SpecError(f"{name} has no width to set; networks that have one: {', '.join(BACKBONES)}")


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
    width: float = 1.0,
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
        width: factor on all channels and hidden units of the networks of BACKBONES.

    Returns:
        A module called as `model(x (B, T, d), lengths (B,)) -> logits (B, C)`.

    Raises:
        SpecError: no model has that name (lists those there are), scales, a kernel or a width are given to one that takes none, or the
            network does not fit the size of the input.
    """
    builder = _builder(name)
    _refuse_unused(name, scales, kernel, width)
    if name in RECURRENT:
        return builder(n_features, n_classes, variant=variant, dropout=dropout)
    options: dict[str, Any] = {} if kernel is None else {"kernel": kernel}
    if name in BACKBONES:
        options["width"] = width
    if name.startswith("mts_"):
        options["scales"] = (scales or ScaleSpec()).model_dump()
    try:
        return builder(n_frames=n_frames, n_features=n_features, n_classes=n_classes, variant=variant, dropout=dropout, **options)
    except ValueError as error:
        # most messages say so themselves, a multi-time-scale network by the name of its standard one
        said = str(error)
        raise SpecError(said if said.startswith(f"{name} cannot be built") else f"{name} cannot be built: {said}") from error


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
        _refuse_unused(model.name, model.scales, model.kernel, model.width)
        return RECURRENT[model.name](n_features, n_classes, variant=model.variant, dropout=model.dropout, masked=False)
    return build(
        model.name,
        n_features,
        n_classes,
        model.variant,
        model.dropout,
        n_frames=n_frames,
        scales=model.scales,
        kernel=model.kernel,
        width=model.width,
    )
