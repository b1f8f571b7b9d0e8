"""Whether an explanation says anything about the network: two tests of maps like Grad-CAM.

- Randomised weights (Adebayo et al. 2018): layers are drawn anew one after the other, from the classifier down. A map that stays as it was
  shows the recording, not what the network has learned.
- Deletion and insertion (Petsiuk et al. 2018): the cells of the recording are taken away, or given, in the order of the map. A map that
  points at what matters moves the score faster than the same map with its cells shuffled.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch import Tensor, nn

from sercore.data.draws import uniform
from sercore.explain import Target, evaluating, grad_cam, probability_of, refuse_non_finite, resized, scores

#: Curves and orders of `deletion_and_insertion`.
CURVES, ORDERS = ("deletion", "insertion"), ("explanation", "shuffled")
#: The first step of `randomised_weights`, at which nothing is drawn.
TRAINED = "trained"


def randomised_weights(
    model: nn.Module,
    x: Tensor,
    tap: str,
    target: Target | int | Sequence[int],
    draw: Callable[[], nn.Module],
    *,
    seed: int = 0,
    n_draws: int = 3,
    layers: Sequence[str] | None = None,
    lengths: Tensor | None = None,
    channel_axis: int = 1,
) -> pd.DataFrame:
    """How much of a Grad-CAM map is left when the network's layers are drawn anew, from the classifier down (Adebayo et al. 2018).

    Compared are maps before the cut at 0, whose cells are all in an order. The network itself does not change, nor torch's random state.

    Args:
        model, x, tap, target, lengths, channel_axis: as `grad_cam`; x has shape (B, ...).
        draw: gives a network of the same kind, freshly drawn from torch's random state, e.g. `lambda: models.build_for(spec, ...)`.
        seed: with the number of the draw, the only source of chance.
        n_draws: how often all layers are drawn.
        layers: names of submodules, from the classifier down; None takes every module with parameters of its own, the last defined first.

    Returns:
        One row a draw, step and item: `draw, depth, layer, tap, item, correlation`. At `depth` 0 (layer TRAINED) nothing is drawn; at each
        further one `layer` and all above it are. `correlation` is Spearman's, in [-1, 1], with the trained network's map; NaN where one of
        the two is the same everywhere.

    Raises:
        ValueError: as `grad_cam`; a layer does not exist, nothing is to be drawn, or `draw` gives another network, or the same weights.
    """
    if n_draws < 1:
        raise ValueError(f"the layers must be drawn once at least, got n_draws={n_draws}")
    steps = _from_the_top(model, layers)
    trained = grad_cam(model, x, tap, target, lengths, rectified=False, channel_axis=channel_axis)
    rows = []
    for number in range(n_draws):
        fresh, changed = _drawn(draw, model, seed, number), copy.deepcopy(model)
        for depth, layer in enumerate((TRAINED, *steps)):
            if depth:
                changed.get_submodule(layer).load_state_dict(fresh.get_submodule(layer).state_dict())
            maps = grad_cam(changed, x, tap, target, lengths, rectified=False, channel_axis=channel_axis)
            likeness = [_rank_correlation(one, other) for one, other in zip(trained, maps, strict=True)]
            rows += [(number, depth, layer, tap, item, value) for item, value in enumerate(likeness)]
    return pd.DataFrame(rows, columns=["draw", "depth", "layer", "tap", "item", "correlation"])


@torch.no_grad()
def deletion_and_insertion(
    model: nn.Module,
    x: Tensor,
    maps: Tensor,
    target: Target | int | Sequence[int],
    *,
    seed: int = 0,
    n_shuffled: int = 5,
    steps: int = 20,
    lengths: Tensor | None = None,
) -> pd.DataFrame:
    """A score while cells of the input are taken away, or given to an empty one, the most important first (Petsiuk et al. 2018).

    A cell that is away is 0: the training mean, as inputs are normalised. The control is the same map with its cells shuffled before it is
    resized, so that it takes away patches of the same size at other places.

    Args:
        model: `model(x, lengths)` gives logits.
        x: input, shape (B, T, F) or (B, C, T, F), normalised, finite; a cell is taken from all channels at once.
        maps: raw, of `grad_cam`, best not rectified (equal cells have no order but their place), finite, shape (B, *cells) with the last
            axes of the input for cells; a map over frames alone is passed as (B, T, 1).
        target: class (its probability is followed), a class for each item, or any function from logits (B, K) to scores (B,).
        seed: with the number of the control, the only source of chance.
        n_shuffled: controls of each item.
        steps: equal parts of the cells, taken one after the other.
        lengths: frames of each item, shape (B,), integers: padding behind them is neither ranked nor touched. None ranks all cells.

    Returns:
        One row a point: `item, curve, order, draw, fraction, score`, with values of CURVES and ORDERS; `fraction` of the cells in [0, 1] is
        away (deletion) or there (insertion).

    Raises:
        ValueError: the maps do not fit the input, one is the same everywhere (it ranks nothing), an input or a map is not finite, there
            is no step or no control, or as `grad_cam` for the target.
    """
    if len(maps) != len(x) or not 2 <= maps.dim() <= min(x.dim(), 4):
        raise ValueError(f"maps of shape {tuple(maps.shape)} do not fit an input of shape {tuple(x.shape)}: one map an item is needed")
    refuse_non_finite(x, "input")
    refuse_non_finite(maps, "map")
    if flat := [str(item) for item, one in enumerate(maps) if one.min() == one.max()]:
        raise ValueError(f"the map of item {', '.join(flat)} is the same everywhere and ranks no cell: leave the item out")
    if min(n_shuffled, steps) < 1:
        raise ValueError(f"at least one step and one shuffled control are needed, got steps={steps}, n_shuffled={n_shuffled}")
    score = target if callable(target) else probability_of(target)
    orders = [(ORDERS[0], 0, maps), *((ORDERS[1], number, _shuffled(maps, seed, number)) for number in range(n_shuffled))]
    rows = []
    with evaluating(model):
        for order, number, one in orders:
            rank, behind, n = _ranks(one.to(x.device), x, lengths)
            for step in range(steps + 1):
                first = rank * steps < step * n  # whole numbers: no cell is lost to rounding
                for curve, kept in zip(CURVES, (~first, first | behind), strict=True):
                    found = scores(score, model(x * kept, lengths)).tolist()
                    rows += [(item, curve, order, number, step / steps, value) for item, value in enumerate(found)]
    table = pd.DataFrame(rows, columns=["item", "curve", "order", "draw", "fraction", "score"])
    return table.sort_values(["item", "curve", "order", "draw", "fraction"], ignore_index=True)


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """Area under each curve: the mean score along the way. A good map's is small for deletion and large for insertion.

    Args:
        curves: rows of `deletion_and_insertion`; further columns keep curves apart.

    Returns:
        One row a curve: its columns but `fraction` and `score`, and `area` in units of the score.
    """
    keys = [column for column in curves.columns if column not in ("fraction", "score")]
    ordered = curves.sort_values("fraction", kind="stable").groupby(keys, sort=False)[["fraction", "score"]]
    found = ordered.apply(lambda one: float(np.trapezoid(one["score"], one["fraction"])))
    return found.rename("area").reset_index().sort_values(keys, ignore_index=True)


def _ranks(maps: Tensor, x: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Of each cell of the input: its rank, 0 the most important, and whether it is padding; of each item: cells that count."""
    axes = maps.dim() - 1
    size = x.shape[-axes:]
    frame = torch.arange(size[0], device=x.device).reshape(-1, *[1] * (axes - 1)).expand(size).flatten()
    ends = torch.full((len(x),), size[0]) if lengths is None else lengths
    behind = frame >= ends.to(x.device)[:, None]
    importance = resized(maps, size).flatten(1).masked_fill(behind, -torch.inf)  # padding comes last, behind all n cells
    rank = importance.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    over_channels = (len(x), *[1] * (x.dim() - maps.dim()), *size)
    n = (~behind).sum(dim=1).reshape(-1, *[1] * (x.dim() - 1))
    return rank.reshape(over_channels), behind.reshape(over_channels), n


def _shuffled(maps: Tensor, seed: int, number: int) -> Tensor:
    """The same values at other cells, each item in an order of its own."""
    flat = maps.flatten(1)
    orders = [np.argsort(uniform("shuffled cells", seed, number, item, size=flat.shape[1])) for item in range(len(maps))]
    return flat.gather(1, torch.from_numpy(np.stack(orders)).to(maps.device)).reshape(maps.shape)


def _from_the_top(model: nn.Module, layers: Sequence[str] | None) -> list[str]:
    modules = dict(model.named_modules())
    own = [name for name, module in modules.items() if next(module.parameters(recurse=False), None) is not None]
    if missing := [name for name in layers or () if name not in modules]:
        raise ValueError(f"{type(model).__name__} has no layer {', '.join(missing)}; there are: {', '.join(own)}")
    return list(layers) if layers else own[::-1]


def _drawn(draw: Callable[[], nn.Module], model: nn.Module, seed: int, number: int) -> nn.Module:
    """A fresh network that fits, and is another one."""
    with torch.random.fork_rng(devices=list(range(torch.cuda.device_count()))):
        torch.manual_seed(int(uniform("randomised weights", seed, number, size=1)[0] * 2**53))
        fresh = draw()
    mine, theirs = ({name: value.cpu() for name, value in one.state_dict().items()} for one in (model, fresh))
    shapes = [{name: tuple(value.shape) for name, value in one.items()} for one in (mine, theirs)]
    if unlike := sorted(name for name in {**mine, **theirs} if shapes[0].get(name) != shapes[1].get(name)):
        raise ValueError(f"draw() gives another network than the {type(model).__name__} to be explained: {', '.join(unlike[:4])} differ")
    if all(torch.equal(value, theirs[name]) for name, value in mine.items()):
        raise ValueError("draw() gives the weights of the network itself: it must draw new ones")
    return fresh


def _rank_correlation(one: Tensor, other: Tensor) -> float:
    first, second = (value.flatten().double().cpu().numpy() for value in (one, other))
    return float("nan") if np.ptp(first) == 0 or np.ptp(second) == 0 else float(stats.spearmanr(first, second).statistic)
