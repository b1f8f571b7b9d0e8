"""From runs of orthogonal tasks to the term that anti-transfer adds to a loss: frozen networks, their caches, a look beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sercore import initial_weights, models
from sercore.batching import Examples, derive_seed, padded
from sercore.errors import SpecError, StoreError
from sercore.losses import anti_transfer
from sercore.losses.anti_transfer import AntiTransferLoss
from sercore.losses.frozen import drop_after, freeze, weights_hash
from sercore.losses.gram_cache import GramCache
from sercore.losses.gram_file import CacheKey
from sercore.prepare import Prepared
from sercore.spec import RunSpec, digest, store_folder
from sercore.store import RunStore
from sercore.writing import refusals_named

REVISION = anti_transfer.REVISION


class AntiTransferTerm:
    """What is added to the cross-entropy of each batch (thesis Eq. 5.3); a `sercore.train.Term`.

    Args:
        loss: of the run.
        examples: its training side.
    """

    def __init__(self, loss: AntiTransferLoss, examples: Examples) -> None:
        self.loss, self.ids = loss, list(examples.ids)

    def __call__(self, signals: Mapping[str, Tensor], x: Tensor, lengths: Tensor, chosen: np.ndarray) -> Tensor:
        """The loss of the batch made of those items, one number."""
        return self.loss(signals, x, lengths, [self.ids[i] for i in chosen])


def term_of(
    spec: RunSpec,
    prepared: Prepared,
    model: nn.Module,
    parents: Sequence[str],
    store: RunStore,
    device: torch.device,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[AntiTransferTerm, dict[str, float]]:
    """The term of a run with `anti_transfer`, checked on one batch before training starts.

    Unit Gram matrices are computed once and kept wherever the loss can be taken from them: one tap, Gram matrices with squared cosines, by
    definition. Inputs are the same at every epoch here, so that is the only condition.

    Args:
        spec: of the run.
        prepared: its sides; both networks see the run's own inputs, as in the authors' code.
        model: on `device`, with its initial weights.
        parents: run ids of the orthogonal tasks, in the order of `spec.orthogonal`.
        store: where they lie.
        device: of the run.
        say: told how much a cache will take on the disk, before it is written.

    Returns:
        The term, and `task@tap` -> similarity of the first batch before training.

    Raises:
        SpecError: a tap does not exist, networks or features do not fit the loss, a layer is dead, a feature is not finite.
        StoreError: a parent's weights cannot be read.
    """
    assert spec.anti_transfer is not None
    wanted, shape = spec.anti_transfer, prepared.train.frames[0].shape
    try:
        frozen = _random(spec, prepared) if wanted.against == "random" else _trained(spec, parents, store, shape)
        cached = (len(wanted.taps), wanted.aggregation, wanted.measure, wanted.variant) == (1, "gram", "squared_cosine", "definition")
        x, lengths = padded(prepared.train.frames[:2])
        tasks: dict[str, nn.Module | GramCache] = {}
        for task, network in frozen.items():
            if cached:
                tasks[task] = _cache(spec, prepared, network.to(device), say)
            else:
                drop_after(network, wanted.taps, x, lengths)
                tasks[task] = network.to(device)
        loss = AntiTransferLoss(
            wanted.taps, tasks, beta=wanted.beta, aggregation=wanted.aggregation, measure=wanted.measure, variant=wanted.variant
        )
        return AntiTransferTerm(loss, prepared.train), _look(loss, model, prepared.train, spec.training.batch_size, device)
    except (ValueError, RuntimeError) as error:
        raise SpecError(f"anti-transfer at {', '.join(wanted.taps)}: {error}") from error


def _look(loss: AntiTransferLoss, model: Any, examples: Examples, batch_size: int, device: torch.device) -> dict[str, float]:
    """Similarities on the first batch; what could only fail later is refused."""
    first = range(min(batch_size, len(examples.frames)))
    x, lengths = padded([examples.frames[i] for i in first], device)
    was_training = model.training
    found = loss.check(model.eval().signals(x, lengths), x, lengths, [examples.ids[i] for i in first])
    model.train(was_training)
    return {f"{task}@{tap}": value for (task, tap), value in found.items()}


def _random(spec: RunSpec, prepared: Prepared) -> dict[str, nn.Module]:
    """A network of the same kind that has learned nothing, another one for every seed."""
    n_frames, n_features = prepared.train.frames[0].shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(spec.seed, "random network of an orthogonal task"))
        return {"random": freeze(models.build_for(spec, n_features, len(prepared.labels), n_frames))}


def _trained(spec: RunSpec, parents: Sequence[str], store: RunStore, shape: tuple[int, ...]) -> dict[str, nn.Module]:
    """The network of each orthogonal task, frozen, in the size of this run's inputs."""
    found: dict[str, nn.Module] = {}
    for parent, run_id in zip(spec.orthogonal, parents, strict=True):
        record, weights = store.finished(run_id), store.path(run_id) / "weights.safetensors"
        if record is None or parent.model.name not in models.MODELS:
            raise StoreError(f"the orthogonal task {run_id} ({parent.model.name}) is no finished network")
        network = models.build_for(parent, shape[1], len(record["labels"]), shape[0])
        before = weights_hash(network)
        _load(network, initial_weights.read(weights), spec.anti_transfer.taps if spec.anti_transfer else ())
        name = f"{parent.data.task} of {parent.data.corpus}"
        found[name if name not in found else f"{name}, {len(found) + 1}"] = freeze(network, before)
    return found


def _load(network: nn.Module, theirs: Mapping[str, Tensor], taps: Sequence[str]) -> None:
    """All weights, strictly; linear layers of another input size may differ where every tap lies before them."""
    own, shapes = network.state_dict(), getattr(network, "taps", {})
    if set(own) != set(theirs):
        odd = sorted(set(own) ^ set(theirs))
        raise ValueError(f"the weights of the orthogonal task are another network's: {', '.join(odd[:4])}{' ...' if len(odd) > 4 else ''}")
    wrong = [name for name in own if own[name].shape != theirs[name].shape]
    linear = tuple(f"{name}." for name in initial_weights.linear_layers(network))
    maps = all(len(shapes.get(tap, ())) > 1 for tap in taps)
    if refused := [name for name in wrong if not (maps and name.startswith(linear))]:
        name = refused[0]
        raise ValueError(f"{name} is {tuple(theirs[name].shape)} in the orthogonal task's run and {tuple(own[name].shape)} here")
    network.load_state_dict({name: own[name] if name in wrong else theirs[name] for name in own})


def _cache(spec: RunSpec, prepared: Prepared, network: nn.Module, say: Callable[[str], None]) -> GramCache:
    """Unit Gram matrices of the training side, found or computed."""
    assert spec.anti_transfer is not None
    examples, (tap,) = prepared.train, spec.anti_transfer.taps
    numbers = [prepared.normaliser.mean.tolist(), prepared.normaliser.deviation.tolist()]
    heard = [spec.data.corpus, *([spec.data.noise.label] if spec.data.noise else [])]
    features = digest([*heard, spec.features.model_dump(mode="json"), prepared.plan.fingerprint, numbers])
    place = {name: k for k, name in enumerate(examples.ids)}
    device, folder = next(network.parameters()).device, store_folder() / "cache" / "grams"
    with refusals_named(folder):
        return GramCache.build(
            folder,
            CacheKey(weights_hash(network), tap, features),
            network,
            examples.ids,
            lambda names: padded([examples.frames[place[name]] for name in names], device),
            augmentation=False,
            trainable_encoder=False,
            say=say,
        )
