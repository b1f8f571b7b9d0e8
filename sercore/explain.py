"""What a trained network looks at: Grad-CAM at any tap (Selvaraju et al. 2020).

A map stays in the units of the score it explains; `scaled` is another step, whose results compare neither over items nor over networks.

Networks are those of the study: `model.signals(x, lengths)` gives the taps. Gradients go through it, as most taps are no module's output
(one ReLU serves all layers) and nothing could be hooked there. So nothing is hooked, and no parameter is touched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

#: From logits (B, K) to one score an item (B,): what is explained.
Target = Callable[[Tensor], Tensor]
_MODES = {1: "linear", 2: "bilinear", 3: "trilinear"}


def logit_of(label: int | Sequence[int]) -> Target:
    """The target "logit of a class".

    Args:
        label: class of all items, or one for each.

    Returns:
        A target; it raises ValueError where the network has no such class.

    Example:
        >>> logit_of([2, 0])(torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])).tolist()
        [3.0, 4.0]
    """
    return lambda logits: _of_class(logits, label)


def probability_of(label: int | Sequence[int]) -> Target:
    """The target "probability of a class" (softmax); `label` as in `logit_of`."""
    return lambda logits: _of_class(logits.softmax(1), label)


def grad_cam(
    model: nn.Module,
    x: Tensor,
    tap: str,
    target: Target | int | Sequence[int],
    lengths: Tensor | None = None,
    *,
    rectified: bool = True,
    channel_axis: int = 1,
) -> Tensor:
    """Grad-CAM of a batch (Selvaraju et al. 2020, Eq. 1 and 2): which cells of a tap's maps speak for the target, and how much.

        L = relu(sum_k a_k A_k),   a_k = mean over cells of d y / d A_k

    Symbols: y = the target's score; A_k = map k of the tap. The network runs in evaluation mode; its modes, parameters and their gradients
    are afterwards as they were, also after an error.

    Args:
        model: `model.signals(x, lengths)` names its taps, `logits` among them.
        x: input as the network takes it, shape (B, T, F) or (B, C, T, F), normalised, finite; on the network's device.
        tap: whose maps, one to three axes of cells beside the channels.
        target: class (its logit is explained), a class for each item, or any function from logits (B, K) to scores (B,).
        lengths: frames of each item, shape (B,), integers; None for networks that take none.
        rectified: cut at 0, as the paper does; False keeps what speaks against the target. A map may be negative everywhere: the first is
            then zero everywhere, the second says why.
        channel_axis: of the tap: 1, or -1 for frames of a recurrent network (B, T, H).

    Returns:
        Raw maps, shape (B, *cells of the tap), in units of the score, the tap's activations counted in; not scaled, not resized.

    Raises:
        ValueError: no tap has that name (lists those there are), it has no cells, no gradient of the score reaches it, a class is out of
            range, the target gives another shape, or the input, the logits or the maps are not finite.

    Example:
        >>> class Network(nn.Module):
        ...     def signals(self, x, lengths=None):
        ...         maps = x[:, None].relu()
        ...         return {"conv_1": maps, "logits": maps.sum((2, 3))}
        >>> grad_cam(Network(), torch.tensor([[[1.0, -2.0], [3.0, 0.0]]]), "conv_1", target=0).tolist()
        [[[1.0, 0.0], [3.0, 0.0]]]
    """
    refuse_non_finite(x, "input")
    name = type(model).__name__
    with evaluating(model), torch.inference_mode(False), torch.enable_grad():
        signals = model.signals(x.detach().clone().requires_grad_(), lengths)  # type: ignore[operator]
        if tap not in signals:
            raise ValueError(f"no tap of {name} is called {tap!r}; taps: {', '.join(signals)}")
        maps = signals[tap]
        if not 3 <= maps.dim() <= 5:
            raise ValueError(f"tap {tap!r} of {name} has shape {tuple(maps.shape)}: a map needs items, channels and 1 to 3 axes of cells")
        score = scores(target if callable(target) else logit_of(target), signals["logits"]).sum()  # items do not see each other
        reached = maps.requires_grad and score.requires_grad
        gradient = torch.autograd.grad(score, maps, allow_unused=True)[0] if reached else None
    if gradient is None:
        raise ValueError(f"no gradient of the score reaches tap {tap!r} of {name}: the logits are not computed from it, or it is detached")
    channel = channel_axis % maps.dim()
    cells = tuple(axis for axis in range(1, maps.dim()) if axis != channel)
    found = (gradient.mean(cells, keepdim=True) * maps.detach()).sum(channel)
    refuse_non_finite(found, f"map at tap {tap!r}")
    return functional.relu(found) if rectified else found


def scaled(maps: Tensor) -> Tensor:
    """Maps for the eye: each brought to [0, 1] by its own smallest and largest value, so that maps no longer compare with each other.

    Args:
        maps: raw, shape (B, ...), finite.

    Returns:
        The same shape, in [0, 1]; zeros where a map is the same everywhere.

    Example:
        >>> scaled(torch.tensor([[1.0, 2.0, 5.0], [7.0, 7.0, 7.0]])).tolist()
        [[0.0, 0.25, 1.0], [0.0, 0.0, 0.0]]
    """
    low, high = maps.flatten(1).aminmax(dim=1)
    low, span = (value.reshape(-1, *[1] * (maps.dim() - 1)) for value in (low, high - low))
    return (maps - low) / torch.where(span > 0, span, 1.0)


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps at another resolution, linearly interpolated along each of their axes; each is taken to cover the whole input.

    Args:
        maps: shape (B, *cells), one to three axes, finite.
        size: the new cells, as many axes.

    Returns:
        Shape (B, *size), in the units and range of `maps`.

    Raises:
        ValueError: the number of axes is another, or above three.

    Example:
        >>> resized(torch.tensor([[0.0, 4.0]]), [4]).tolist()
        [[0.0, 1.0, 3.0, 4.0]]
    """
    if maps.dim() - 1 != len(size) or len(size) not in _MODES:
        raise ValueError(f"maps of shape {tuple(maps.shape)} cannot be resized to {tuple(size)}: items and 1 to 3 axes of cells are needed")
    return functional.interpolate(maps[:, None], tuple(size), mode=_MODES[len(size)], align_corners=False)[:, 0]


def _of_class(scores: Tensor, label: int | Sequence[int]) -> Tensor:
    classes = torch.as_tensor(label, device=scores.device)
    if classes.is_floating_point() or classes.shape not in ((), scores.shape[:1]):
        raise ValueError(f"the class must be a whole number, or one for each of {len(scores)} items, got {label!r}")
    if wrong := [k for k in classes.reshape(-1).tolist() if not 0 <= k < scores.shape[1]]:
        raise ValueError(f"class {wrong[0]} is out of range: the network knows 0 to {scores.shape[1] - 1}")
    return scores.gather(1, classes.expand(len(scores))[:, None])[:, 0]


def scores(target: Target, logits: Tensor) -> Tensor:
    """One score an item, checked.

    Args:
        target: what is explained.
        logits: shape (B, K).

    Returns:
        Shape (B,), finite numbers.

    Raises:
        ValueError: the logits are not finite, or the target gives another shape.
    """
    refuse_non_finite(logits, "vector of logits")
    found = target(logits)
    if found.shape != logits.shape[:1]:
        raise ValueError(f"a target gives one score an item, shape ({len(logits)},), got {tuple(found.shape)}")
    return found


def refuse_non_finite(values: Tensor, what: str) -> None:
    """Raises ValueError, naming the first item, where values of shape (B, ...) are not all finite; `what` they are, for the message."""
    finite = torch.isfinite(values).flatten(1).all(dim=1)
    if not finite.all():
        raise ValueError(f"the {what} of item {int((~finite).nonzero()[0, 0])} is not finite: nothing can be explained by it")


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode for a moment; each module has its own mode back afterwards, whatever happens."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for module, training in modes.items():
            module.training = training
