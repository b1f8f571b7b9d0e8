"""How well a factor (speaker, text, emotion) can be read out of a network's features: what anti-transfer should take away or leave.

A linear read-out is trained on a summary of each recording's features and tested on recordings that share no group with its own: a speaker
is read out of texts that the read-out has not heard, a text or an emotion out of speakers that it has not heard. Beside each score
stand that of labels permuted inside their groups, of the input itself, and of the untrained network (one among the networks): only what
differs from them was learned.

The classifier is scikit-learn's `RidgeClassifier`: its solution is closed (no convergence to doubt, no draw), and ten times cheaper than
logistic regression, so that labels can be permuted often. Its penalty, PENALTY times the number of features, is fixed: nothing is tuned.
Least squares can mask a class where features are few: compare networks at one tap, not taps of unlike width.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeClassifier
from sklearn.model_selection import GroupKFold
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from sercore.data.draws import uniform
from sercore.losses.frozen import features_at, freeze
from sercore.losses.gram import by_channel
from sercore.metrics import uar
from sercore.progress import bar
from sercore.stats import Cube, bootstrap

Summary = Literal["mean_deviation", "gram"]
SUMMARIES: tuple[Summary, ...] = ("mean_deviation", "gram")
#: Factor -> the column whose values stay on one side of every fold.
GROUPED_BY = {"speaker": "text", "text": "speaker", "emotion": "speaker"}
#: `network` and `tap` of what is read out of the input itself.
NO_NETWORK, INPUT = "no network", "input"
#: Penalty of the ridge, a feature; principal components kept of Gram matrices.
PENALTY, COMPONENTS = 0.1, 64
COLUMNS = [
    "network", "tap", "summary", "factor", "grouped_by", "score", "low", "high", "chance", "chance_high", "p",
    "n_items", "n_groups", "n_classes", "n_features",
]  # fmt: skip
#: Bytes of all Gram matrices of a tap; variance of a component of theirs, below which it is rounding of float32 and scaled up noise.
_MOST_BYTES, _ROUNDING = 4 * 2**30, 1e-12


def probe_table(
    networks: Mapping[str, nn.Module],
    taps: Sequence[str],
    frames: Sequence[np.ndarray],
    items: pd.DataFrame,
    *,
    factors: Mapping[str, str] = GROUPED_BY,
    summary: Summary = "mean_deviation", folds: int = 5, permutations: int = 20, seed: int = 0, batch: int = 16,
) -> pd.DataFrame:  # fmt: skip
    """Read-out of every factor at every tap of every network, and of the input itself.

    Args:
        networks: name -> network with `signals(x, lengths)`; none is changed. Name the untrained one too: it is one of them.
        taps: names that all networks have.
        frames: normalised input of each item, N arrays of shape (T_i, d), float32.
        items: item table of the same N items in the same order, with every factor and its grouping column.
        factors: factor -> column whose values no two sides of a fold share.
        summary: `mean_deviation` or `gram`, see `summarised`.
        folds: at most; fewer where there are fewer groups.
        permutations: of the labels, for the chance level.
        seed: of permutations and interval; equal arguments give equal rows.
        batch: items a forward pass.

    Returns:
        Columns COLUMNS, one row a network, tap and factor; see `read_out`. Rows NO_NETWORK, INPUT are read out of the frames: their bins
        are the channels, all frames given are the positions (zeros that were appended to them too).

    Raises:
        ValueError: no network, tap or factor, as many frames as items are not there, or as `summaries` and `read_out`.
    """
    if not (networks and taps and factors):
        raise ValueError("a network, a tap and a factor are needed at least")
    for factor, group in factors.items():  # before anything is computed
        if len(frames) != len(_labels(items, factor, group)[0]):
            raise ValueError(f"{len(frames)} recordings and {len(items)} rows of the item table: they must be the same items in one order")
    rows = []
    with bar(total=len(factors) * (1 + len(networks) * len(taps)), label=f"read-outs ({summary})", unit="read-out") as shown:
        for network, tap, x in _every_summary(networks, taps, frames, summary, batch):
            for factor, group in factors.items():
                found = read_out(x, items, factor, group, summary=summary, folds=folds, permutations=permutations, seed=seed)
                rows.append({"network": network, "tap": tap} | found)
                shown.update()
    return pd.DataFrame(rows, columns=COLUMNS)


def summaries(
    network: nn.Module, taps: Sequence[str], frames: Sequence[np.ndarray], summary: Summary = "mean_deviation", batch: int = 16
) -> dict[str, NDArray[np.float32]]:
    """Summaries of a network's features, in evaluation mode and without a gradient; the network is not changed.

    Args:
        network: with `signals(x, lengths)`, see `sercore.losses.frozen.features_at`.
        taps: names.
        frames: N arrays of shape (T_i, d), float32; each batch is padded to its longest.
        summary: see `summarised`.
        batch: items a forward pass.

    Returns:
        Tap -> shape (N, D), float32.

    Raises:
        ValueError: no such tap, or as `summarised`, with the tap.
    """
    frozen = freeze(copy.deepcopy(network))
    device = next((p.device for p in frozen.parameters()), torch.device("cpu"))
    found: dict[str, list[NDArray[np.float32]]] = {tap: [] for tap in taps}
    for start in range(0, len(frames), batch):
        part = [torch.from_numpy(np.asarray(f, dtype=np.float32)) for f in frames[start : start + batch]]
        lengths = torch.tensor([len(f) for f in part])
        x = nn.utils.rnn.pad_sequence(part, batch_first=True).to(device)
        for tap, features in features_at(frozen, list(taps), x, lengths.to(device)).items():
            try:
                found[tap].append(summarised(features, lengths.to(device), summary, len(frames)))
            except ValueError as error:
                raise ValueError(f"{tap}: {error}") from error
    if ragged := [tap for tap, parts in found.items() if len({part.shape[1] for part in parts}) > 1]:
        raise ValueError(f"{', '.join(ragged)}: another number of channels in each batch, so no two recordings can be compared there")
    return {tap: np.concatenate(parts) for tap, parts in found.items()}


@torch.no_grad()
def summarised(features: Tensor, lengths: Tensor, summary: Summary = "mean_deviation", n_items: int = 1) -> NDArray[np.float32]:
    """One vector an item, of the same length for long and short recordings.

    `mean_deviation`: mean and standard deviation (n) of each channel over its positions; for (B, H), one position, the values. `gram`: what
    the anti-transfer loss sees, the upper triangle of the Gram matrix of length 1, pairs of two channels times sqrt(2), so that the inner
    product of two summaries is the cosine that the loss squares.

    Args:
        features: finite. Shape (B, C, T, F): all positions count, padding too, as the network sees it. (B, T, H): frames beyond an
            item's length do not count. (B, H).
        lengths: frames of each item, shape (B,), integers.
        summary: `mean_deviation` or `gram`.
        n_items: of which this batch is a part; their Gram matrices are refused if they would not fit into 4 GiB.

    Returns:
        Shape (B, 2 C), (B, H) or (B, C (C + 1) / 2), finite, float32.

    Raises:
        ValueError: another summary or number of axes, features that are not finite, or too many channels for Gram matrices.

    Example:
        >>> summarised(torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([2])).tolist()
        [[2.0, 1.0]]
    """
    if summary not in SUMMARIES:
        raise ValueError(f"summary must be one of {', '.join(SUMMARIES)}, got {summary!r}")
    if not features.isfinite().all():
        raise ValueError("the features hold numbers that are not finite")
    x = by_channel(features).float()  # (B, C, N)
    keep = torch.ones_like(x[:, :1])
    if features.dim() == 3:
        keep = (torch.arange(x.shape[2], device=x.device) < lengths[:, None])[:, None].to(x)
    x, n = x * keep, keep.sum(2)
    if summary == "mean_deviation":
        mean = x.sum(2) / n
        deviation = (((x - mean[:, :, None]) * keep).square().sum(2) / n).sqrt()
        return (mean if features.dim() == 2 else torch.cat([mean, deviation], 1)).cpu().numpy()
    row, column = torch.triu_indices(x.shape[1], x.shape[1], device=x.device)
    if (needed := 4 * n_items * len(row)) > _MOST_BYTES:
        raise ValueError(f"Gram matrices of {x.shape[1]} channels for {n_items} items take {needed / 2**30:.1f} GiB: take mean_deviation")
    x = x / x.abs().amax((1, 2), keepdim=True).clamp_min(torch.finfo(x.dtype).tiny)  # squares of squares stay in range; zeros stay zeros
    upper = (x @ x.transpose(1, 2))[:, row, column] * torch.where(row == column, 1.0, 2**0.5)
    return nn.functional.normalize(upper, eps=1e-12).cpu().numpy()


def read_out(
    x: NDArray[np.floating],
    items: pd.DataFrame,
    factor: str,
    group: str,
    *,
    summary: Summary = "mean_deviation", folds: int = 5, permutations: int = 20, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """UAR of a linear read-out of one factor, cross-validated over groups, beside that of permuted labels.

    Args:
        x: summaries, shape (N, D), finite numbers.
        items: item table of the same N items, in the same order.
        factor: column that is read out.
        group: column whose values no two sides of a fold share, see GROUPED_BY.
        summary: what `x` is. Of `gram`, at most COMPONENTS principal components are kept, of each fold's training part alone.
        folds: at most; fewer where there are fewer groups.
        permutations: how often the labels are permuted among the items of each group, at least once; what a group alone tells is kept.
        seed: of permutations and interval.

    Returns:
        COLUMNS without network and tap. `score`: UAR of the pooled test predictions, a fraction; `low, high`: its 95 % interval over groups
        and their items (two-level bootstrap; the fitted read-outs stay as they are). `chance, chance_high`: mean and highest UAR of the
        permuted labels; `p`: (1 + those at least as high as the score) / (1 + permutations).

    Raises:
        ValueError: a column is missing or empty for an item, there is one class or one group, a class occurs in one group alone or in no
            training part, no group holds two classes, `x` has another number of rows, or there are no permutations or folds.
    """
    labels, groups = _labels(items, factor, group)
    if len(x) != len(labels) or permutations < 1 or folds < 2:
        raise ValueError(f"{len(x)} summaries of {len(labels)} items, {permutations} permutations (at least 1), {folds} folds (at least 2)")
    x = _isometric(np.asarray(x, dtype=np.float64)) if summary == "gram" else np.asarray(x, dtype=np.float64)
    orders = [_permuted(groups, (seed, factor, number)) for number in range(permutations)]
    answers = np.empty((permutations + 1, len(labels)), dtype=labels.dtype)
    for train, test in list(_folded(labels, groups, factor, group, folds)):  # checked before any is fitted
        seen, asked, width = _prepared(x[train], x[test], summary)
        for row, order in enumerate([np.arange(len(labels)), *orders]):
            ridge = RidgeClassifier(alpha=PENALTY * width, class_weight="balanced")
            answers[row, test] = ridge.fit(seen, labels[order][train]).predict(asked)
    score = uar(labels, answers[0])
    by_chance = np.array([uar(labels[order], answer) for order, answer in zip(orders, answers[1:], strict=True)])
    interval = bootstrap(_cube(labels, answers[0], groups), seed=seed)
    found = {"summary": summary, "factor": factor, "grouped_by": group, "score": score, "low": interval.low, "high": interval.high}
    found |= {"chance": float(by_chance.mean()), "chance_high": float(by_chance.max())}
    found |= {"p": (1 + int((by_chance >= score - 1e-12).sum())) / (1 + permutations)}
    return found | {"n_items": len(labels), "n_groups": len(set(groups)), "n_classes": len(set(labels)), "n_features": width}


def _every_summary(
    networks: Mapping[str, nn.Module], taps: Sequence[str], frames: Sequence[np.ndarray], summary: Summary, batch: int
) -> Iterator[tuple[str, str, NDArray]]:
    """Network, tap and summaries; of the input first."""
    bare = [torch.from_numpy(np.asarray(f, dtype=np.float32))[None] for f in frames]
    yield NO_NETWORK, INPUT, np.concatenate([summarised(f, torch.tensor([f.shape[1]]), summary, len(bare)) for f in bare])
    for name, network in networks.items():
        for together in [[tap] for tap in taps] if summary == "gram" else [list(taps)]:  # Gram matrices of all taps might not fit
            try:
                found = summaries(network, together, frames, summary, batch)
            except ValueError as error:
                raise ValueError(f"{name}, {error}") from error
            yield from ((name, tap, found[tap]) for tap in together)


def _labels(items: pd.DataFrame, factor: str, group: str) -> tuple[NDArray, NDArray]:
    """Both, checked."""
    for column, purpose in ((factor, "is to be read out"), (group, f"keeps items on one side while {factor} is read out")):
        if column not in items:
            raise ValueError(f"the item table has no column {column!r}, which {purpose}")
        if lacking := int((items[column].isna() | items[column].astype(str).eq("")).sum()):
            raise ValueError(f"{lacking} of {len(items)} items have no {column}, which {purpose}")
        if items[column].nunique() < 2:
            raise ValueError(f"all items have one {column} ({items[column].iloc[0]}), which {purpose}: two are needed")
    labels, groups = (items[column].astype(str).to_numpy(dtype=object).astype(str) for column in (factor, group))
    pairs = pd.DataFrame({"label": labels, "group": groups}).drop_duplicates()
    if alone := sorted(pairs["label"].value_counts().loc[lambda n: n.eq(1)].index):
        raise ValueError(f"{factor} {', '.join(alone[:5])} occurs with one {group} alone and cannot be read out with another: leave it out")
    if pairs["group"].value_counts().max() < 2:
        raise ValueError(f"each {group} goes with one {factor}: the two cannot be told apart")
    return labels, groups


def _folded(labels: NDArray, groups: NDArray, factor: str, group: str, folds: int) -> Iterator[tuple[NDArray, NDArray]]:
    for train, test in GroupKFold(min(folds, len(set(groups)))).split(labels, groups=groups):
        if absent := sorted(set(labels[test]) - set(labels[train])):
            raise ValueError(f"{factor} {', '.join(absent[:5])} is in no training part when folds are made by {group}: take more folds")
        yield train, test


def _permuted(groups: NDArray, key: tuple[object, ...]) -> NDArray[np.int64]:
    """An order of the items that moves none out of its group, the same for every network and tap."""
    order = np.arange(len(groups))
    for name in np.unique(groups):
        inside = np.flatnonzero(groups == name)
        order[inside] = inside[np.argsort(uniform("read-out", *key, name, size=len(inside)), kind="stable")]
    return order


def _isometric(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """The same points in as few numbers as their span needs; distances and angles stay, and they are all that PCA sees."""
    return x if x.shape[1] <= x.shape[0] else np.asarray(np.linalg.qr(x.T, mode="r")).T


def _prepared(train: NDArray, test: NDArray, summary: Summary) -> tuple[NDArray, NDArray, int]:
    """Both sides of a fold, scaled (and for Gram matrices rotated and cut) by the training side alone, and their number of features."""
    if summary == "gram":
        with np.errstate(invalid="ignore"):  # shares of the variance, of a dead layer that has none
            components = PCA(min(COMPONENTS, *train.shape), svd_solver="covariance_eigh").fit(train)
        kept = max(1, int((components.explained_variance_ > _ROUNDING).sum()))
        train, test = (components.transform(side)[:, :kept] for side in (train, test))
    scaler = StandardScaler().fit(train)
    train, test = scaler.transform(train), scaler.transform(test)
    if (width := train.shape[1]) > len(train):  # the ridge's weights lie in the span of the training side: the rest changes no answer
        basis, upper = np.linalg.qr(train.T)
        train, test = upper.T, test @ basis
    return train, test, width


def _cube(labels: NDArray, answers: NDArray, groups: NDArray) -> Cube:
    (names, group), classes = np.unique(groups, return_inverse=True), np.unique(labels)
    counts = np.zeros((1, len(names), len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts[0], (group, np.searchsorted(classes, labels), np.searchsorted(classes, answers)), 1)
    return Cube(counts, (0,), tuple(names.tolist()), tuple(classes.tolist()))
