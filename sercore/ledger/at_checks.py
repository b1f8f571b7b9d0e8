"""Facts and settings of anti-transfer (thesis ch. 5), each read from VGG16, the loss, the corpora or the grid of its runs.

torch is imported only where a network is built or the loss is asked, so the ledger opens without it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any

from sercore.data import mixing
from sercore.data.readers import good_sounds, librispeech_words, ms_snsd
from sercore.ledger.claims import LedgerError, load_claims
from sercore.ledger.facts import PRINTED, Fact, Missing, Value
from sercore.results import Results
from sercore.spec import RunSpec

CHAPTER = "ch05_anti_transfer"
_NETWORK = "sercore.models.MODELS['vgg16_pool']"
#: Frames, bins and classes of the example of Table 5.1: the size from which its other rows follow.
_EXAMPLE = (224, 224, 1000)
#: Frames and bins of a recording of one second as Sec. 5.4.7 prints them, and the digits.
_ONE_SECOND = (126, 129, 10)
_MEGABYTE = 1e6


@cache
def _vgg16(n_frames: int, n_features: int, n_classes: int) -> Any:
    """VGG16 for an input, without memory for its weights."""
    import torch

    from sercore import models

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return models.build("vgg16_pool", n_frames=n_frames, n_features=n_features, n_classes=n_classes, dropout=0.5)


def _by(*sizes: int) -> str:
    return "x".join(str(size) for size in sizes)


def _side(size: int | tuple[int, int]) -> int:
    return size if isinstance(size, int) else size[0]


def _layer(path: str, results: Results) -> Fact:
    """`name.what` of a layer of VGG16 at the size of Table 5.1: channels, size, kernel, stride, units read or given, or the input's."""
    name, what = path.split(".")
    network = _vgg16(*_EXAMPLE)
    if name == "input":
        channels = network.conv_1.in_channels
        found: dict[str, Value] = {"channels": channels, "size": _by(*_EXAMPLE[:2]), "shape": _by(*_EXAMPLE[:2], channels)}
        return Fact(found[what], f"{_NETWORK}; the other rows of the table follow from this size")
    layer = getattr(network, name)
    asked: dict[str, Callable[[], Value]] = {
        "channels": lambda: network.taps[name][0],
        "size": lambda: _by(*network.taps[name][1:]),
        "kernel": lambda: _by(*(_side(layer.kernel_size),) * 2),
        "stride": lambda: _side(layer.stride),
        "read": lambda: layer.in_features,
        "given": lambda: layer.out_features,
    }
    if what not in asked:
        raise LedgerError(f"map.csv asks for vgg16:{path}; known of a layer: {', '.join(asked)}")
    return Fact(asked[what](), f"{_NETWORK}, {name}")


def _block(number: str, results: Results) -> Fact:
    """How many convolutions a block of VGG16 has, counted from 1."""
    stack = _vgg16(*_EXAMPLE).stack
    ends = [0, *(at + 1 for at, name in enumerate(stack) if name.startswith("pool"))]
    return Fact(ends[int(number)] - ends[int(number) - 1] - 1, f"{_NETWORK}, block {number}")


def _shape(tap: str, results: Results) -> Fact:
    """What a tap gives for one recording of one second at the size that Sec. 5.4.7 prints."""
    return Fact(_by(1, *_vgg16(*_ONE_SECOND).taps[tap]), f"{_NETWORK} for {_ONE_SECOND[0]} frames of {_ONE_SECOND[1]} bins")


def _input_shape(corpus: str, results: Results) -> Fact:
    """What a run of whole size reads of one segment."""
    import torch

    from sercore.features.stft import stft_magnitude

    features = _grid(corpus).features
    silence = torch.zeros(1, round(features.segment_s * features.sample_rate_hz))
    seen = stft_magnitude(silence, features.sample_rate_hz, features.window_ms, features.hop_ms, frames=features.segment_frames)
    return Fact(_by(1, *seen.shape), f"sercore.features.stft, {corpus}, size whole")


def _layers(_: str, results: Results) -> Fact:
    from sercore.models.taps import PUBLISHED

    return Fact(len(PUBLISHED["vgg16_pool"]["definition"]), "sercore.models.taps.PUBLISHED['vgg16_pool']")


def _limit(which: str, results: Results) -> Fact:
    """The loss of features that are those of the other network, and of features that share no channel with them."""
    import torch

    from sercore.losses.similarities import similarity

    first, other = torch.zeros(1, 2, 3, 3), torch.zeros(1, 2, 3, 3)
    first[:, 0], other[:, 1] = 1, 1
    return Fact(round(similarity(first, first if which == "max" else other).item(), 6), "sercore.losses.similarities.similarity")


def _loss(what: str, results: Results) -> Fact:
    """Whether a run's loss is what the equations say: `aggregation` (5.1) or `similarity` (5.2)."""
    import torch

    from sercore.losses.similarities import similarity

    loss = _grid("iemocap_4").anti_transfer
    assert loss is not None
    generator = torch.Generator().manual_seed(0)
    trained, frozen = (torch.rand(2, 4, 3, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    grams = [torch.einsum("bitf,bjtf->bij", x, x).flatten(1) for x in (trained, frozen)]
    wanted = torch.cosine_similarity(grams[0], grams[1], dim=1).square().mean()
    ours = similarity(trained, frozen, aggregation=loss.aggregation, measure=loss.measure, variant=loss.variant)
    said = {"aggregation": "channel-wise Gram matrix", "similarity": "squared cosine of vectorized Gram matrices"}[what]
    same = torch.isclose(ours, wanted, rtol=1e-6).item()
    return Fact(said if same else "another loss", "sercore.losses.similarities.similarity, as the grid asks for it")


def _compression(_: str, results: Results) -> Fact:
    from sercore.losses.similarities import COMPRESSION

    return Fact(COMPRESSION, "sercore.losses.similarities.COMPRESSION")


def _memory(what: str, results: Results) -> Fact:
    """Sec. 5.4.7 and Eq. 5.4 in MB of 10^6 bytes: weights in float32, Gram matrix and features of a layer, the factor, bytes a number."""
    from sercore.losses.anti_transfer import added_bytes

    network = _vgg16(*_ONE_SECOND)
    size = inspect.signature(added_bytes).parameters["bytes_per_number"].default
    if what == "bytes":
        return Fact(size, "sercore.losses.anti_transfer.added_bytes")
    if what in ("network", "extractor"):
        counted = [p.numel() for name, p in network.named_parameters() if what == "network" or name.startswith("conv")]
        return Fact(size * sum(counted) / _MEGABYTE, f"{_NETWORK}, weights in float32")
    tap = {"first": "conv_1", "last": "conv_13", "pair": "conv_1"}[what]
    shape = (1, *network.taps[tap])
    added, numbers = added_bytes(0, {tap: shape}), shape[1] ** 2 + prod(shape)
    if what == "pair":
        return Fact(added / (size * numbers), "sercore.losses.anti_transfer.added_bytes")
    return Fact(added / 2 / _MEGABYTE, f"sercore.losses.anti_transfer.added_bytes, {tap}, batch of one")


@cache
def _grid(corpus: str, method: str = "at", tasks: tuple[str, ...] = ()) -> RunSpec:
    """A run of whole size of the chapter's full grid."""
    from sercore.grids import GRIDS

    asked: dict[str, Any] = {"systems": ("vgg16_pool",), "methods": (method,), "tasks": tasks, "size": "whole", "seeds": 1, "folds": 1}
    return GRIDS[CHAPTER](corpus, "full", **asked)[-1]


#: Settings of a run.
_SETTINGS: dict[str, Callable[[RunSpec], Value]] = {
    "sample_rate_khz": lambda run: run.features.sample_rate_hz / 1000,
    "segment_s": lambda run: run.features.segment_s,
    "window_ms": lambda run: run.features.window_ms,
    "overlap_percent": lambda run: 100 * (1 - run.features.hop_ms / run.features.window_ms),
    "learning_rate": lambda run: run.training.learning_rate,
    "batch_size": lambda run: run.training.batch_size,
    "dropout_percent": lambda run: 100 * run.model.dropout,
    "epochs": lambda run: run.training.epochs,
    "patience": lambda run: run.training.patience_epochs if run.training.select_by == "validation_loss" else run.training.select_by,
    "regularisation": lambda run: f"L2 {run.training.weight_decay:g}" if run.training.weight_decay else "none",
    "beta": lambda run: run.anti_transfer.beta if run.anti_transfer else "no loss",
    "taps": lambda run: len(run.anti_transfer.taps) if run.anti_transfer else 0,
    "layer": lambda run: f"{'+'.join(run.anti_transfer.taps) if run.anti_transfer else 'none'}, fixed beforehand",
}


def _run(path: str, results: Results) -> Fact:
    """`corpus.name` of a run with anti-transfer of the chapter, of whole size."""
    corpus, name = path.split(".")
    if name not in _SETTINGS:
        raise LedgerError(f"map.csv asks for at_run:{path}; known of a run: {', '.join(_SETTINGS)}")
    return Fact(_SETTINGS[name](_grid(corpus)), f"sercore.grids.GRIDS[{CHAPTER!r}], {corpus}, full, size whole: {name}")


def _started(_: str, results: Results) -> Fact:
    """What a dual run starts from."""
    dual = _grid("iemocap_4", "dual", ("word_librispeech_words", "speaker_iemocap_4"))
    first = dual.model.initial_weights == "parent_features" and not dual.model.frozen_until and dual.parents[0].anti_transfer is not None
    said = "all convolution layers from the first-stage AT model" if first else dual.model.initial_weights
    return Fact(said, f"sercore.grids.GRIDS[{CHAPTER!r}], method dual: model.initial_weights")


def _window(_: str, results: Results) -> Fact:
    """A click under each sample of the window gives that sample of it: they are compared with SciPy's."""
    import torch
    from scipy.signal import get_window

    from sercore.features.stft import stft_magnitude

    length, rate = 256, 16000
    clicks = torch.eye(length, dtype=torch.float64)  # behind half a window of zeros the second frame reads them from the first on
    seen = stft_magnitude(clicks, rate, 16.0, 8.0)[:, 1, 0]
    shape = torch.from_numpy(get_window("hamming", length))
    same = torch.allclose(seen, shape / shape.sum(), atol=1e-9)
    return Fact("Hamming" if same else "another window", "sercore.features.stft.stft_magnitude")


def _normalised(_: str, results: Results) -> Fact:
    """One mean and one deviation of the training frames alone: those frames get 0 and 1, others do not."""
    import numpy as np

    from sercore.prepare import _NORMALISERS

    run, rng = _grid("iemocap_4"), np.random.default_rng(0)
    train, test = (rng.gamma(shape, 3, (50, 20)).astype(np.float32) for shape in (2, 5))
    fitted = _NORMALISERS[run.features.normaliser]([train])
    of_train, of_test = fitted.apply([train])[0], fitted.apply([test])[0]
    standard = abs(float(of_train.mean())) < 1e-4 and abs(float(of_train.std()) - 1) < 1e-3 and float(of_test.mean()) > 0.5
    own = "global_normaliser" not in run.leaks
    said = "zero mean, unit standard deviation from the training set" if standard and own else "another normalisation"
    return Fact(said, f"sercore.features.normaliser, {run.features.normaliser}")


def _implementation(_: str, results: Results) -> Fact:
    return Fact(f"PyTorch, {type(_vgg16(*_EXAMPLE)).__module__}", _NETWORK)


def _classes(corpus: str, results: Results) -> Fact:
    """Classes that a reader makes, of corpora whose card states none."""
    known: dict[str, tuple[int, str]] = {
        "librispeech_words": (librispeech_words.FREQUENT, "librispeech_words.FREQUENT"),
        "ms_snsd": (len(set(ms_snsd.NOISES.values())), "ms_snsd.NOISES"),
        "good_sounds": (len(set(good_sounds.QUALITIES.values())), "good_sounds.QUALITIES"),
    }
    return Fact(known[corpus][0], f"sercore.data.readers.{known[corpus][1]}")


def _noise_level(level: str, results: Results) -> Fact:
    """`low` or `high`: what the grid mixes; `alone`: the task of telling noises apart."""
    from sercore.anti_transfer_tasks import NOISE_LEVELS

    assert "snr_db" in inspect.signature(mixing.mix).parameters
    if level == "alone":
        why = "the thesis tells noises apart that are mixed with speech, at levels of the noise; here they are alone"
        return Fact("noises without speech", "sercore.anti_transfer_tasks.ORTHOGONAL['noise_ms_snsd']", False, why)
    bounds = NOISE_LEVELS[level]
    assert bounds is not None
    why = "the thesis has levels of the noise, the authors' code ratios of speech to noise, as we have"
    said = f"ratios of speech to noise of {bounds[0]:g} to {bounds[1]:g} dB"
    return Fact(said, f"sercore.anti_transfer_tasks.NOISE_LEVELS[{level!r}]", False, why)


def _corpora(_: str, results: Results) -> Fact:
    """How many of the chapter's corpora, as printed, the grid can take."""
    from sercore.anti_transfer_tasks import ORTHOGONAL, TARGETS

    claims = load_claims("thesis")
    printed = set(claims.loc[claims["chapter"].eq("5"), "corpus"]) - {""}
    ours = {PRINTED.get(corpus) for corpus in (*TARGETS, *(task.corpus for task in ORTHOGONAL.values()))}
    return Fact(len(printed & ours), f"sercore.anti_transfer_grid: {', '.join(sorted(printed & ours))}")


def _targets(_: str, results: Results) -> Fact:
    from sercore.anti_transfer_tasks import TARGETS

    tasks = sorted({target.task for target in TARGETS.values()})
    return Fact(len(tasks), f"sercore.anti_transfer_grid.TARGETS: {', '.join(tasks)}")


def _cells(what: str, results: Results) -> Fact:
    """What Tables 5.3 to 5.5 themselves hold: test accuracies with anti-transfer, or levels of noise."""
    claims = load_claims("thesis")
    rows = claims[claims["locator"].isin(["Table 5.3", "Table 5.4", "Table 5.5"]) & claims["subset"].eq("test")]
    found = {
        "anti_transfer": rows["method"].isin(["AT", "Dual AT"]).sum(),
        "noise": rows["note"].str.extract(r"noise=(\w+)")[0].nunique(),
    }
    return Fact(int(found[what]), "cells of the source's own Tables 5.3 to 5.5")


CHECKS: dict[str, Callable[[str, Results], Fact | Missing]] = {
    "vgg16": _layer,
    "vgg16_block": _block,
    "vgg16_shape": _shape,
    "input_shape": _input_shape,
    "at_layers": _layers,
    "at_limit": _limit,
    "at_loss": _loss,
    "compression": _compression,
    "at_memory": _memory,
    "at_run": _run,
    "dual_start": _started,
    "stft_window": _window,
    "at_normalised": _normalised,
    "vgg16_code": _implementation,
    "reader_classes": _classes,
    "noise_level": _noise_level,
    "at_corpora": _corpora,
    "at_targets": _targets,
    "at_cells": _cells,
}
