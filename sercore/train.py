"""The one training loop: batches of like length, best epoch by validation, resumable after a kill at any moment.

Every random draw of an epoch comes from a seed derived from (seed, purpose, epoch), never from a running state, so a run that was
interrupted and resumed is bit for bit the run that was not.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from sercore import metrics
from sercore.batching import Examples, batches, by_recording, derive_seed, padded, predict_logits
from sercore.errors import DivergedError
from sercore.spec import TrainingSpec
from sercore.writing import beside

REVISION = 1
#: A checkpoint that takes longer than this to write (a large network) is not written after every epoch, but so that writing takes about
#: a tenth of the time; a resumed run repeats the epochs since.
_SLOW_CHECKPOINT_S = 0.25


class Term(Protocol):
    """What is added to the cross-entropy of a batch while training, from the taps of its one forward pass."""

    def __call__(self, signals: Mapping[str, Tensor], x: Tensor, lengths: Tensor, chosen: np.ndarray) -> Tensor:
        """One number; `chosen` are the numbers of the batch's items on the training side."""
        ...


@dataclass
class FitResult:
    """What `fit` found.

    Attributes:
        history: one row an epoch: epoch, learning_rate, train_loss (cross-entropy), added_loss (where a term is added), validation_loss,
            validation_uar, seconds.
        best_epoch: epoch whose weights the model now holds (1 is the first).
        best_score: its validation score: UAR in [0, 1], or the negative loss.
    """

    history: list[dict[str, float]] = field(default_factory=list)
    best_epoch: int = 0
    best_score: float = -math.inf


def learning_rate(training: TrainingSpec, epoch: int) -> float:
    """Rate of an epoch under cosine annealing with warm restarts, stepped once an epoch.

        lr(e) = floor + (lr - floor) (1 + cos(pi (e mod T_0) / T_0)) / 2,  floor = cosine_floor lr      (ResLSTM-SA paper, Sec. IV-B)

    Args:
        training: learning_rate, cosine_period_epochs (T_0), cosine_floor.
        epoch: 0 is the first.

    Returns:
        The rate; T_0 = 1 is a constant rate.

    Differs from the paper: it calls T_0 a number of cycles in Sec. IV-C and a period in Sec. IV-B; the code's period is used.
    """
    floor = training.cosine_floor * training.learning_rate
    phase = (epoch % training.cosine_period_epochs) / training.cosine_period_epochs
    return floor + (training.learning_rate - floor) * (1 + math.cos(math.pi * phase)) / 2


def fit(
    model: nn.Module,
    train: Examples,
    validation: Examples,
    training: TrainingSpec,
    seed: int,
    checkpoint: Path | None = None,
    device: torch.device | str = "cpu",
    on_epoch: Callable[[dict[str, float]], None] | None = None,
    by_length: bool = True,
    term: Term | None = None,
) -> FitResult:
    """Train with Adam (L2 weight decay) and cross-entropy; keep the epoch that is best on validation.

    Parameters that want no gradient stay as they are. Where items are segments, the validation UAR is that of recordings.

    Args:
        model: on `device`; called as `model(x, lengths) -> logits`. Holds the best epoch's weights afterwards. Its `after_epoch()`, if it
            has one, is called when an epoch has been validated.
        train: items to learn from.
        validation: items that choose the epoch; a tie keeps the earlier one.
        training: rates, epochs, batch size.
        seed: of batches and dropout.
        checkpoint: file written after each epoch (of a large network less often) and resumed from if it is there; None keeps nothing.
        device: `cpu` or an accelerator.
        on_epoch: called with each new history row; an exception from it stops the run and leaves the checkpoint.
        by_length: False mixes lengths in a batch, in training and validation (leak `unmasked_padding`, whose networks count padding).
        term: added to the loss of every training batch, never to that of validation; the model must have `signals(x, lengths)`.

    Returns:
        History and the best epoch.

    Raises:
        ValueError: labels are missing, or fewer than two training items.
        DivergedError: a loss is not finite (names the epoch); it is a ValueError too.

    Differs from the paper: nothing it states. Sequences are padded inside length buckets instead of packed, the same numbers.
    """
    if train.labels is None or validation.labels is None or len(train.frames) < 2 or not len(validation.frames):
        raise ValueError("need labels, at least two training items and one validation item")
    apart = _memory_apart(model)
    optimizer = torch.optim.Adam(
        [p for p in model.parameters() if p.requires_grad],
        lr=training.learning_rate,
        weight_decay=training.weight_decay,
        fused=apart,
        foreach=None if apart else False,
    )
    result, best = _resume(checkpoint, model, optimizer)
    lengths = np.array([len(f) for f in train.frames])
    labels = torch.as_tensor(train.labels)
    written, writing_s = -math.inf, 0.0
    while len(result.history) < training.epochs and not _exhausted(result, training):
        epoch, started = len(result.history), time.perf_counter()
        torch.manual_seed(derive_seed(seed, "dropout", epoch))
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(training, epoch)
        plan = batches(lengths, training.batch_size, derive_seed(seed, "batches", epoch), by_length)
        losses = _train_epoch(model, optimizer, train, labels, plan, device, training, term)
        for name, loss in losses.items():
            if not math.isfinite(loss):
                what = "training loss" if name == "train_loss" else "loss that is added to it"
                raise DivergedError(f"the {what} is {loss} in epoch {epoch + 1}: lower the learning rate or look for bad features")
        row = {"epoch": epoch + 1, "learning_rate": learning_rate(training, epoch), **losses}
        row |= _validate(model, validation, device, 0 if by_length else training.batch_size)
        row["seconds"] = time.perf_counter() - started
        result.history.append(row)
        score = row["validation_uar"] if training.select_by == "validation_uar" else -row["validation_loss"]
        if score > result.best_score:
            result.best_score, result.best_epoch = score, epoch + 1
            best = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
        if (after_epoch := getattr(model, "after_epoch", None)) is not None:  # what a released layer does between epochs, unseen by `best`
            after_epoch()
        if checkpoint is not None and (writing_s < _SLOW_CHECKPOINT_S or time.perf_counter() - written > 10 * writing_s):
            written = time.perf_counter()
            _save(checkpoint, model, optimizer, best, result)
            writing_s = time.perf_counter() - written
        if on_epoch is not None:
            on_epoch(row)
    if not best:
        raise ValueError("no epoch had a defined validation score: every class of the task must be among the validation items")
    model.load_state_dict(best)
    return result


def _memory_apart(model: nn.Module) -> bool:
    """Whether every parameter has memory of its own; where some share it (a released layer) steps must be taken one after the other."""
    places = [p.data_ptr() for p in model.parameters() if p.numel()]
    return len(set(places)) == len(places)


def _exhausted(result: FitResult, training: TrainingSpec) -> bool:
    return 0 < training.patience_epochs <= len(result.history) - result.best_epoch


def _train_epoch(
    model: Any,
    optimizer: torch.optim.Optimizer,
    train: Examples,
    labels: Tensor,
    plan: list[np.ndarray],
    device: torch.device | str,
    training: TrainingSpec,
    term: Term | None,
) -> dict[str, float]:
    """Mean losses per item (not per batch: a short last batch would count as much as a full one)."""
    model.train()
    for frozen in (m for m in model.modules() if (own := list(m.parameters(recurse=False))) and not any(p.requires_grad for p in own)):
        frozen.eval()  # running statistics of a frozen layer are weights too
    total, added = 0.0, 0.0
    kind = torch.device(device).type
    for chosen in plan:
        x, lengths = padded([train.frames[i] for i in chosen], device)
        more: Tensor | None = None
        with torch.autocast(kind, torch.bfloat16, enabled=training.mixed_precision and kind != "cpu"):
            if term is None:
                logits = model(x, lengths)
            else:
                signals = model.signals(x, lengths)
                logits, more = signals["logits"], term(signals, x, lengths, chosen)
                del signals  # or every map would be kept until the gradients are done
            loss = functional.cross_entropy(logits, labels[chosen].to(device))
        optimizer.zero_grad(set_to_none=True)
        (loss if more is None else loss + more).backward()
        optimizer.step()
        total += loss.item() * len(chosen)
        added += 0.0 if more is None else more.item() * len(chosen)
    means = {"train_loss": total / len(train.frames)}
    return means if term is None else means | {"added_loss": added / len(train.frames)}


def _validate(model: nn.Module, validation: Examples, device: torch.device | str, batch_as_given: int) -> dict[str, float]:
    assert validation.labels is not None
    logits = predict_logits(model, validation.frames, device, batch_as_given)
    loss = functional.cross_entropy(torch.from_numpy(logits), torch.as_tensor(validation.labels)).item()
    present, truth = np.unique(validation.labels).tolist(), validation.labels
    if validation.recordings is not None:
        logits, truth = by_recording(logits, validation.recordings), truth[np.unique(validation.recordings, return_index=True)[1]]
    uar = metrics.uar(truth, logits.argmax(axis=1), labels=present) if np.isfinite(logits).all() else math.nan
    return {"validation_loss": loss, "validation_uar": uar}  # argmax finds a class even in NaN; such an epoch is never the best


def _named_moments(model: nn.Module) -> Iterator[tuple[str, nn.Parameter, str]]:
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        for moment in ("exp_avg", "exp_avg_sq", "step"):
            yield f"optimizer/{moment}/{name}", parameter, moment


def _save(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, best: dict[str, Tensor], result: FitResult) -> None:
    """One file, written beside and moved into place: a kill leaves the old epoch or the new one, never half of one."""
    tensors = {f"model/{name}": value.contiguous() for name, value in model.state_dict().items()}
    tensors |= {f"best/{name}": value for name, value in best.items()}
    tensors |= {key: optimizer.state[parameter][moment] for key, parameter, moment in _named_moments(model)}
    state = {"history": result.history, "best_epoch": result.best_epoch, "best_score": result.best_score}
    with beside(path) as file:
        save_file(tensors, file, metadata={"state": json.dumps(state)})


def _resume(path: Path | None, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[FitResult, dict[str, Tensor]]:
    if path is None or not path.exists():
        return FitResult(), {}
    with safe_open(path, framework="pt") as file:
        state = json.loads(file.metadata()["state"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 - a safetensors file is no mapping
    model.load_state_dict({key.removeprefix("model/"): value for key, value in tensors.items() if key.startswith("model/")})
    for key, parameter, moment in _named_moments(model):
        value = tensors[key]
        optimizer.state[parameter][moment] = value if moment == "step" and parameter.device.type == "cpu" else value.to(parameter.device)
    best = {key.removeprefix("best/"): value for key, value in tensors.items() if key.startswith("best/")}
    return FitResult(**state), best
