"""Weights of a finished run as the start of another: all but the classifier, and nothing that does not fit."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from sercore.errors import SpecError, StoreError


def take_over(model: nn.Module, weights: Path) -> list[str]:
    """Put the weights of a run into a network, the classifier excepted: it has classes of its own.

    Args:
        model: freshly initialised; changed in place. Its classifier is the submodule of that name, else its last linear layer.
        weights: `weights.safetensors` of the finished run.

    Returns:
        Names of the tensors taken over.

    Raises:
        StoreError: the file is not there or cannot be read.
        SpecError: a tensor is missing on one side or has another shape (names them), or all are what they were already.
    """
    try:
        theirs = load_file(weights)
    except (OSError, SafetensorError) as error:
        raise StoreError(f"{weights} cannot be read ({error}): run its run again, the parent of this one") from error
    own = model.state_dict()
    left_out = (f"{classifier(model)}.", "normaliser.")
    given = {name: value for name, value in theirs.items() if not name.startswith(left_out)}
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
