"""Weights of a finished run as the start of another: all but the classifier, and nothing that does not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from sercore.errors import SpecError, StoreError


def take_over(model: nn.Module, weights: Path, features_only: bool = False) -> list[str]:
    """Put the weights of a run into a network, the classifier excepted: it has classes of its own.

    Args:
        model: freshly initialised; changed in place. Its classifier is the submodule of that name, else its last linear layer.
        weights: `weights.safetensors` of the finished run.
        features_only: leave all linear layers as they are (thesis Sec. 5.2.3: "all convolution layers"): inputs may then differ in size.

    Returns:
        Names of the tensors taken over.

    Raises:
        StoreError: the file is not there or cannot be read.
        SpecError: a tensor is missing on one side or has another shape (names them), or all are what they were already.
    """
    theirs, own = read(weights), model.state_dict()
    left_out = tuple(f"{name}." for name in (linear_layers(model) if features_only else [classifier(model)]))
    given = {name: value for name, value in theirs.items() if not name.startswith(left_out)}  # a tuple: any of them
    wanted = {name: value for name, value in own.items() if not name.startswith(left_out)}
    wrong = [f"{name} is only in the parent" for name in given if name not in wanted]
    wrong += [f"{name} is not in the parent" for name in wanted if name not in given]
    wrong += [
        f"{name} is {tuple(given[name].shape)} in the parent and {tuple(value.shape)} here"
        for name, value in wanted.items()
        if name in given and given[name].shape != value.shape
    ]
    if wrong:
        raise SpecError(f"the parent's weights do not fit: {'; '.join(wrong[:6])}{' ...' if len(wrong) > 6 else ''}")
    if all(torch.equal(given[name], value.cpu()) for name, value in wanted.items()):
        raise SpecError(f"the parent's weights change nothing: {', '.join(wanted) or 'no tensor but the classifier'} as before")
    model.load_state_dict({**own, **given})
    return list(given)


def read(weights: Path) -> dict[str, Tensor]:
    """Tensors of a finished run's network by name, any shape, as numbers of training; those of its normaliser are left out.

    Raises:
        StoreError: the file is not there or cannot be read.
    """
    try:
        found = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{weights} cannot be read ({error}): run its run again, the parent of this one") from error
    return {name: value for name, value in found.items() if not name.startswith("normaliser.")}


def linear_layers(model: nn.Module) -> list[str]:
    """Names of all linear layers, the classifier among them.

    Example:
        >>> linear_layers(nn.Sequential(nn.Conv1d(1, 2, 3), nn.Linear(4, 3)))
        ['1']
    """
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]


def freeze_until(model: nn.Module, tap: str, x: Tensor, lengths: Tensor) -> int:
    """Keep every layer that the signal goes through up to and with a tap as it is (thesis Sec. 5.3, "until the same layer").

    Args:
        model: with named taps; changed in place.
        tap: the last one that is kept.
        x: any input, shape (B, ...), finite.
        lengths: frames of each item, shape (B,).

    Returns:
        How many parameters are frozen.

    Raises:
        SpecError: the network has no such tap, or no layer with weights lies before it.
    """
    if tap not in getattr(model, "taps", ()):
        raise SpecError(f"the network has no tap {tap!r} to freeze at; taps: {', '.join(getattr(model, 'taps', ())) or 'none'}")
    network: Any = model
    used: set[nn.Module] = set()
    leaves = [module for module in model.modules() if not list(module.children())]
    handles = [leaf.register_forward_pre_hook(lambda module, _: used.add(module)) for leaf in leaves]
    training = model.training
    try:
        with torch.no_grad():
            network.eval().signals(x, lengths, upto=tap)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    frozen = [parameter for leaf in used for parameter in leaf.parameters()]
    if not frozen:
        raise SpecError(f"no layer with weights lies before {tap}: nothing would be frozen")
    for parameter in frozen:
        parameter.requires_grad_(False)
    return sum(parameter.numel() for parameter in frozen)


def classifier(model: nn.Module) -> str:
    """Name of the submodule that answers with the classes: `classifier`, else the last linear layer.

    Raises:
        SpecError: there is neither.

    Example:
        >>> classifier(nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2)))
        '2'
    """
    modules = dict(model.named_modules())
    linear = [name for name, module in modules.items() if isinstance(module, nn.Linear)]
    if "classifier" not in modules and not linear:
        raise SpecError(f"{type(model).__name__} has no classifier: neither a submodule of that name nor a linear layer")
    return "classifier" if "classifier" in modules else linear[-1]
