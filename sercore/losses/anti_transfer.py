"""The anti-transfer loss (thesis ch. 5; Guizzo, Weyde and Tarroni 2021): features unlike those that serve another task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from sercore.losses.frozen import features_at
from sercore.losses.gram import by_channel, squared_cosine
from sercore.losses.gram_cache import GramCache
from sercore.losses.similarities import AGGREGATIONS, SIMILARITIES, VARIANTS, Aggregation, Similarity, Variant, similarity

REVISION = 1


class AntiTransferLoss:
    """Penalty on features that are like those of networks trained for orthogonal tasks; is added to the loss of the task itself.

        L_AT = sum_tasks beta sum_taps w cos^2(vec G_p, vec G_t),    G_ij = <F_i, F_j>     (thesis Eqs. 5.1, 5.2 and 5.3)

    Symbols: G_p, G_t = Gram matrices of the frozen and the trained network's channels at a tap; w = 1, or as stated. The mean over the
    batch is taken of everything that is computed sample by sample.

    Args:
        taps: one tap, several (each counts once, as in Eq. 5.3), or each with its weight. `"mean"` in `over_taps` divides by their number.
        tasks: name of an orthogonal task -> its frozen network, or a `GramCache` of it. Two at once are two terms; the thesis' dual
            anti-transfer is two runs with one task each, the second starting from the first's weights.
        beta: weight of the loss, or one a task, any finite number; it multiplies once, and a negative one encourages similarity
            (inverse beta).
        aggregation: of the channels, see `similarity`.
        measure: of two aggregates, see `similarity`.
        variant: `definition`, or `released`: what the authors' code compares, see `similarity`.
        over_taps: `sum` or `mean`.

    Differs from the paper: the thesis stops training at the sum of both losses on the validation side; this one is not for selection,
    because sums of unlike taps cannot be compared. The authors' later code multiplies by beta twice, in which case its sign is lost; here
    it counts once in both variants. Which tap a published layer number means is the models' to say: the released code compares what
    the n-th convolution reads.

    Raises:
        ValueError: no tap or task, an unknown name, a beta or weight that is not finite, or a cache that does not serve: of another
            tap, or for anything but squared cosines of Gram matrices by definition.

    Example:
        >>> class Network(nn.Module):
        ...     def signals(self, x, lengths=None):
        ...         return {"conv_1": x.relu()}
        >>> loss, x = AntiTransferLoss("conv_1", {"speaker": Network().eval()}, beta=0.5), torch.rand(2, 3, 4, 5)
        >>> loss({"conv_1": 2 * x}, x)
        tensor(0.5000)
    """

    def __init__(
        self,
        taps: str | Sequence[str] | Mapping[str, float],
        tasks: Mapping[str, nn.Module | GramCache],
        *,
        beta: float | Mapping[str, float] = 1.0,
        aggregation: Aggregation = "gram",
        measure: Similarity = "squared_cosine",
        variant: Variant = "definition",
        over_taps: str = "sum",
    ) -> None:
        _one_of("aggregation", aggregation, AGGREGATIONS)
        _one_of("measure", measure, SIMILARITIES)
        _one_of("variant", variant, VARIANTS)
        _one_of("over_taps", over_taps, ("sum", "mean"))
        self.taps = _weights(taps, over_taps)
        self.tasks = dict(tasks)
        if not self.tasks:
            raise ValueError("anti-transfer needs at least one orthogonal task")
        self.beta = _betas(beta, self.tasks)
        self.aggregation, self.measure, self.variant = aggregation, measure, variant
        for task, source in self.tasks.items():
            if isinstance(source, GramCache):
                self._serves(task, source)

    def to(self, device: torch.device | str) -> AntiTransferLoss:
        """Frozen networks of thesis Sec. 5.2 go to the device; a cache follows its batches."""
        for source in self.tasks.values():
            if isinstance(source, nn.Module):
                source.to(device)
        return self

    def __call__(
        self, signals: Mapping[str, Tensor], x: Tensor, lengths: Tensor | None = None, items: Sequence[str] | None = None
    ) -> Tensor:
        """The loss of a batch (thesis Eq. 5.3, second term).

        Args:
            signals: taps of the network being trained in its one forward pass, from `model.signals(x, lengths)`; each of shape
                (B, C, T, F), (B, T, H) or (B, H), finite.
            x: the batch as both networks take it, shape (B, ...), finite.
            lengths: frames of each item, shape (B,), integers, for networks that take them.
            items: ids of the batch; a cache needs them.

        Returns:
            One number, in [-|beta|, |beta|] for one tap and task. Raises as `similarities`.
        """
        found = self.similarities(signals, x, lengths, items)
        return torch.stack([self.beta[task] * self.taps[tap] * value for (task, tap), value in found.items()]).sum()

    def similarities(
        self, signals: Mapping[str, Tensor], x: Tensor, lengths: Tensor | None = None, items: Sequence[str] | None = None
    ) -> dict[tuple[str, str], Tensor]:
        """How alike the features are, before beta and weights (thesis, Fig. 5.7 and Eq. 5.2); arguments as `__call__`.

        Returns:
            (task, tap) -> one number: a squared cosine in [0, 1], or the negative sigmoid of a squared error in [-1, -0.5].

        Raises:
            ValueError: a tap that either network does not have; features of unlike shape; a frozen network that is not frozen; a cache
                without `items`, or as `GramCache.unit`.
        """
        trained = {tap: _at(signals, tap) for tap in self.taps}
        found: dict[tuple[str, str], Tensor] = {}
        for task, source in self.tasks.items():
            if isinstance(source, GramCache):
                if items is None:
                    raise ValueError(f"{task} is cached item by item: give the ids of the batch")
                (tap,) = self.taps
                found[task, tap] = squared_cosine(by_channel(trained[tap]), source.unit(items, x, lengths)).mean()
                continue
            frozen = features_at(source, self.taps, x, lengths)
            for tap, value in trained.items():
                found[task, tap] = self._similarity(task, tap, value, frozen[tap])
        return found

    def check(
        self, signals: Mapping[str, Tensor], x: Tensor, lengths: Tensor | None = None, items: Sequence[str] | None = None
    ) -> dict[tuple[str, str], float]:
        """Look at one batch before training starts, and refuse what could only fail later or teach nothing (thesis, Sec. 5.2).

        Arguments as `__call__`; the network being trained must have run with gradients on.

        Returns:
            (task, tap) -> similarity at the start, one number each.

        Raises:
            ValueError: as `similarities`; an input or features that are not finite; features that are zero for every item (a dead
                layer), in either network; a compressed product of negative features; a trained tap that no gradient reaches, unless the
                variant is `released`, whose first layer is the input. Names the tap and the task.
        """
        if not x.isfinite().all():
            raise ValueError("the input holds numbers that are not finite: look at the features of this batch")
        for tap in self.taps:
            self._look("the trained network", tap, _at(signals, tap))
            if self.variant == "definition" and not signals[tap].requires_grad:
                raise ValueError(f"no gradient reaches {tap} of the trained network: the loss there is a constant; take a later tap")
        for task, source in self.tasks.items():
            if isinstance(source, GramCache):
                if items is not None and set(items) <= set(source.silent):
                    raise ValueError(f"the frozen network of {task} gives zeros for every item of this batch at {source.key.tap}")
                continue
            for tap, value in features_at(source, self.taps, x, lengths).items():
                self._look(f"the frozen network of {task}", tap, value)
        found = {key: value.item() for key, value in self.similarities(signals, x, lengths, items).items()}
        wrong = [f"{value} of {task} at {tap}" for (task, tap), value in found.items() if not math.isfinite(value)]
        if wrong:
            raise ValueError(f"the anti-transfer loss is {', '.join(wrong)}: its features are too large for float32")
        return found

    def _similarity(self, task: str, tap: str, trained: Tensor, frozen: Tensor) -> Tensor:
        try:
            return similarity(trained, frozen, aggregation=self.aggregation, measure=self.measure, variant=self.variant)
        except ValueError as error:
            raise ValueError(f"{tap}, {task}: {error}") from error

    def _look(self, whose: str, tap: str, features: Tensor) -> None:
        if not features.isfinite().all():
            raise ValueError(f"{tap} of {whose} holds numbers that are not finite")
        if not features.any():
            raise ValueError(f"{tap} of {whose} is zero for every item: the layer is dead, and zeros are like nothing")
        if self.aggregation == "compressed_product" and (features < 0).any():
            raise ValueError(f"{tap} of {whose} holds negative numbers, of which there is no compressed product: take a tap after a ReLU")

    def _serves(self, task: str, cache: GramCache) -> None:
        if (self.aggregation, self.measure, self.variant) != ("gram", "squared_cosine", "definition"):
            raise ValueError(
                f"{task} is cached, and only squared cosines of Gram matrices by definition can be: not {self.variant} {self.aggregation} "
                f"with {self.measure}"
            )
        if list(self.taps) != [cache.key.tap]:
            raise ValueError(f"{task} is cached at {cache.key.tap}, and the loss is to be taken at {', '.join(self.taps)}")


def added_bytes(weights_bytes: int, features: Mapping[str, tuple[int, ...]], *, cached: bool = False, bytes_per_number: int = 4) -> int:
    """Memory that the loss adds by the thesis' count, Eq. 5.4: M_t = E_t + sum_l 2 (#G_l + #F_l) bytes; 0 x E_t and 1 x #G_l if cached.

    Args:
        weights_bytes: E_t, of the frozen network up to the tap.
        features: tap -> shape (B, C, T, F).
        cached: count what our form with a cache holds beyond training itself: the unit Gram matrices and the trained network's, or, where
            they are smaller, the unit features and two (T F) x (T F) products.
        bytes_per_number: 4 for float32.

    Returns:
        Bytes, a count.

    Example:
        >>> added_bytes(0, {"conv_13": (1, 512, 7, 8)}) // 1024
        2272
    """
    numbers = 0
    for batch, channels, *positions in features.values():
        points = math.prod(positions)
        if not cached:
            numbers += 2 * batch * (channels * channels + channels * points)
        elif 2 * points < channels:
            numbers += batch * (channels * points + 2 * points * points)
        else:
            numbers += 2 * batch * channels * channels
    return (0 if cached else weights_bytes) + bytes_per_number * numbers


def _weights(taps: str | Sequence[str] | Mapping[str, float], over_taps: str) -> dict[str, float]:
    """Tap -> weight, in order."""
    if isinstance(taps, str):
        taps = (taps,)
    if not isinstance(taps, Mapping) and len(set(taps)) != len(taps):
        raise ValueError(f"each tap must be named once, got {', '.join(taps)}")
    found = {tap: float(taps[tap]) if isinstance(taps, Mapping) else 1.0 for tap in taps}
    for tap, weight in found.items():
        if not math.isfinite(weight):
            raise ValueError(f"the weight of {tap} must be a finite number, got {weight}")
    if not found:
        raise ValueError("anti-transfer needs at least one tap")
    return {tap: weight / len(found) if over_taps == "mean" else weight for tap, weight in found.items()}


def _betas(beta: float | Mapping[str, float], tasks: Mapping[str, object]) -> dict[str, float]:
    """Task -> its beta."""
    if isinstance(beta, Mapping) and set(beta) != set(tasks):
        raise ValueError(f"beta names {', '.join(beta)}; the tasks are {', '.join(tasks)}")
    found = {task: float(beta[task] if isinstance(beta, Mapping) else beta) for task in tasks}
    for task, value in found.items():
        if not math.isfinite(value):
            raise ValueError(f"beta of {task} must be a finite number, got {value}")
    return found


def _at(signals: Mapping[str, Tensor], tap: str) -> Tensor:
    if tap not in signals:
        raise ValueError(f"no tap of the trained network is called {tap}; taps: {', '.join(signals)}")
    return signals[tap]


def _one_of(name: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, known))}, got {value!r}")
