"""Facts and settings of multi-time-scale convolution (thesis ch. 4), each read from the layer, the networks or the grid of its runs.

torch is imported only where a network is built or the layer is asked, so the ledger opens without it.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from functools import cache
from typing import Any

from sercore.ledger.claims import LedgerError
from sercore.ledger.facts import Fact, Missing
from sercore.results import Results
from sercore.spec import RunSpec, ScaleSpec

CHAPTER = "ch04_multi_time_scale"
#: Frames, bins and classes for which networks are built here: 9 s in steps of 10 ms, windows of 20 ms at 16 kHz, EmoDB's emotions.
_INPUT: dict[str, Any] = {"n_frames": 899, "n_features": 161, "n_classes": 7}


@cache
def _modules(name: str) -> tuple[Any, ...]:
    """The layers of a network in order, without memory for their weights."""
    import torch

    from sercore import models

    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        return tuple(models.build(name, **_INPUT).modules())


def _convolutions(name: str) -> list[Any]:
    return [module for module in _modules(name) if hasattr(module, "out_channels")]


def _linear(name: str) -> list[Any]:
    from torch import nn

    return [module for module in _modules(name) if isinstance(module, nn.Linear)]


def _size(pair: tuple[int, int]) -> str:
    return f"{pair[0]}x{pair[1]}"


def _convolution(path: str, results: Results) -> Fact:
    """`network.number.attribute`: out_channels, in_channels or kernel_size of a convolution of a network, counted from 0."""
    name, number, attribute = path.split(".")
    value = getattr(_convolutions(name)[int(number)], attribute)
    return Fact(_size(value) if isinstance(value, tuple) else value, f"sercore.models.MODELS[{name!r}]")


def _kernels(name: str, results: Results) -> Fact:
    """Kernel sizes of a network, the most frequent first."""
    counts = Counter(_size(tuple(layer.kernel_size)) for layer in _convolutions(name))
    return Fact(tuple(size for size, _ in counts.most_common()), f"sercore.models.MODELS[{name!r}]")


def _hidden_units(name: str, results: Results) -> Fact:
    return Fact(_linear(name)[0].out_features, f"sercore.models.MODELS[{name!r}]")


def _count(path: str, results: Results) -> Fact:
    """`network.what`: how many convolutions, hidden layers or multi-time-scale layers a network has."""
    from sercore.layers.multi_time_scale import MultiTimeScaleConv2d

    name, what = path.split(".")
    counts = {
        "convolutions": lambda: len(_convolutions(name)),
        "hidden": lambda: len(_linear(name)) - 1,
        "mts": lambda: sum(isinstance(layer, MultiTimeScaleConv2d) for layer in _convolutions(name)),
    }
    if what not in counts:
        raise LedgerError(f"map.csv asks for count:{path}; known of a network: {', '.join(counts)}")
    return Fact(counts[what](), f"sercore.models.MODELS[{name!r}]")


def _pooling(name: str, results: Results) -> Fact:
    """Window between the two convolutions of A3, from the sizes that they see and give."""
    import torch

    from sercore import models

    with torch.random.fork_rng(devices=[]):
        network: Any = models.build(name, n_frames=60, n_features=40, n_classes=2).eval()
    taps = network.signals(torch.zeros(1, 60, 40))
    before, after = taps["conv_1"].shape[2:], taps["pool_1"].shape[2:]
    return Fact(_size((before[0] // after[0], before[1] // after[1])), f"the taps of sercore.models.MODELS[{name!r}]")


def _mts_convolutions(_: str, results: Results) -> Fact:
    """Which convolutions of ResNet18 are multi-time-scale."""
    from sercore.layers.multi_time_scale import MultiTimeScaleConv2d

    plain = {_size(tuple(layer.kernel_size)) for layer in _convolutions("mts_resnet18") if not isinstance(layer, MultiTimeScaleConv2d)}
    said = f"all but the {' and '.join(sorted(plain))}" if plain else "all convolution layers"
    return Fact(said, "sercore.models.MODELS['mts_resnet18']")


def _architectures(_: str, results: Results) -> Fact:
    from sercore.models import MODELS

    both = [name for name in MODELS if f"mts_{name}" in MODELS and not name.startswith("resnet")]
    return Fact(len(both), f"sercore.models.MODELS: {', '.join(both)}, each standard and multi-time-scale")


def _word_networks(_: str, results: Results) -> Fact:
    """Networks that take another kernel: those of the word and picture tables."""
    from sercore import models
    from sercore.errors import SpecError

    names = []
    for name in (name for name in models.MODELS if f"mts_{name}" in models.MODELS and not name.startswith("resnet")):
        try:
            grid = _grid("fsdd", systems=(name,))
        except SpecError:
            continue
        if grid.model.kernel:
            names.append(name.upper())
    return Fact(", ".join(names), f"sercore.grids.GRIDS[{CHAPTER!r}]: the networks that take kernels of words")


def _resized(_: str, results: Results) -> Fact:
    from sercore import models

    network = next(module for module in _modules("mts_resnet18") if hasattr(module, "side"))
    assert isinstance(network, models.mts_resnet.MTSResNet18)
    return Fact(_size((network.side, network.side)), "sercore.models.mts_resnet.MTSResNet18")


def _scale_sets(what: str, results: Results) -> Fact:
    """`count`, `branches`, or the factors of a set by its number, counted from 1 as the thesis lists them."""
    from sercore.layers.kernel_scales import SCALE_SETS

    where, sets = "sercore.layers.kernel_scales.SCALE_SETS", list(SCALE_SETS.values())
    if what == "count":
        return Fact(len(sets), where)
    if what == "branches":
        return Fact(" ".join(str(n) for n in sorted({len(factors) for factors in sets})), where)
    if what == "sizes":
        return Fact(tuple(float(n) for n in sorted({len(factors) for factors in sets})), where)
    return Fact(tuple(sets[int(what) - 1]), where)


def _branches(_: str, results: Results) -> Fact:
    return Fact(len(ScaleSpec().time_factors), "sercore.spec.ScaleSpec.time_factors")


@cache
def _grid(corpus: str, systems: tuple[str, ...] = ("mts_a1",), protocol: str = "strict") -> RunSpec:
    """The first spec of the chapter's full grid on a corpus."""
    from sercore.grids import GRIDS

    return GRIDS[CHAPTER](corpus, "full", protocol, systems=systems)[0]


def _run(path: str, results: Results) -> Fact:
    """`corpus.part.field` of the spec of a full run of the chapter; `overlap_ms` is what windows share, `kernel` is written 5x5."""
    corpus, part, name = path.split(".")
    spec = getattr(_grid(corpus), part)
    value = spec.window_ms - spec.hop_ms if name == "overlap_ms" else getattr(spec, name)
    where = f"sercore.grids.GRIDS[{CHAPTER!r}], {corpus}, full: {part}.{name}"
    return Fact(_size(value) if isinstance(value, tuple) else value, where)


def _unstated_run(path: str, results: Results) -> Fact:
    """The same, where the thesis is silent."""
    fact = _run(path, results)
    return Fact(fact.value, f"the released code's, {fact.where}", False)


def _sample_rate(corpus: str, results: Results) -> Fact:
    return Fact(_grid(corpus).features.sample_rate_hz / 1000, f"sercore.grids.GRIDS[{CHAPTER!r}], {corpus}: features.sample_rate_hz")


def _regularised(_: str, results: Results) -> Fact:
    """Adam's weight decay is L2 regularisation; its weights are all tried."""
    from sercore import tune

    search = tune.search_of(_grid("emodb"))
    tried = search.exhaustive and len(search.space.get("weight_decay", ())) > 1
    said = ", ".join(f"{weight:g}" for weight in search.space.get("weight_decay", ()))
    return Fact("L2, weight by grid search" if tried else "another regularisation", f"sercore.tune.search_of: {said}, on validation")


def _normalised(_: str, results: Results) -> Fact:
    """Frames through the normaliser that the grid names have one mean of 0 and one deviation of 1."""
    import numpy as np

    from sercore.prepare import _NORMALISERS

    frames = np.random.default_rng(0).gamma(2, 3, (50, 20)).astype(np.float32)
    done = _NORMALISERS[_grid("emodb").features.normaliser]([frames]).apply([frames])[0]
    standard = abs(float(done.mean())) < 1e-4 and abs(float(done.std()) - 1) < 1e-3
    return Fact("zero mean, unit standard deviation" if standard else "another normalisation", "sercore.features.normaliser")


def _padded(_: str, results: Results) -> Fact:
    equal = all(_grid(corpus).features.pad_to_s > 0 for corpus in ("emodb", "ravdess", "tess"))
    said = "zero-padding to equal length (EmoDb, RAVDESS, TESS)" if equal else "no padding"
    return Fact(said, f"sercore.grids.GRIDS[{CHAPTER!r}]: features.pad_to_s")


def _speakers_apart(_: str, results: Results) -> Fact:
    from sercore.data.folds import POSITIONAL

    apart = not _grid("emodb").leaks and all("speaker_overlap" not in POSITIONAL[corpus]["leaks"] for corpus in ("emodb", "ravdess"))
    where = "sercore.data.splits: a plan that shares a speaker without saying so cannot be made"
    return Fact("yes" if apart else "no", where)


def _activation(_: str, results: Results) -> Fact:
    """No hidden value of A3 is below 0, and the loss takes the softmax of the last."""
    import torch

    from sercore import models, train

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network: Any = models.build("mts_a3", n_frames=60, n_features=40, n_classes=2).eval()
        taps = network.signals(torch.randn(2, 60, 40))
    rectified = all(bool((taps[name] >= 0).all()) and bool((taps[name] == 0).any()) for name in ("conv_1", "conv_2", "embedding"))
    softmax = "functional.cross_entropy(logits, labels" in inspect.getsource(train)
    return Fact(
        "ReLU hidden, softmax output" if rectified and softmax else "another activation", "sercore.models.mts_cnn, sercore.train.fit"
    )


def _resampling(_: str, results: Results) -> Fact:
    """A kernel resampled by our matrix is that of torch's linear interpolation to the same size."""
    import torch
    from torch.nn.functional import interpolate

    from sercore.layers.kernel_scales import resampling_matrix

    series = torch.arange(10, dtype=torch.float64).square()
    same = all(
        torch.allclose(resampling_matrix(10, n) @ series, interpolate(series[None, None], size=n, mode="linear")[0, 0]) for n in (5, 7, 14)
    )
    return Fact("linear interpolation" if same else "another interpolation", "sercore.layers.kernel_scales.resampling_matrix")


def _merged(_: str, results: Results) -> Fact:
    """The layer gives, at every point, the largest of its branches' maps."""
    import torch

    from sercore.layers.multi_time_scale import MultiTimeScaleConv2d

    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(0)
        layer = MultiTimeScaleConv2d(1, 2, (10, 5))
        x = torch.randn(1, 1, 30, 12)
        largest = torch.stack([m for _, m in layer._maps(x)]).amax(0)
        same = torch.allclose(layer(x), largest, atol=1e-5)
    return Fact("3D max pooling over scales" if same else "another merge", "sercore.layers.multi_time_scale.MultiTimeScaleConv2d")


def _shared(_: str, results: Results) -> Fact:
    """How many kernels a layer learns, and whether anything is averaged."""
    from sercore.layers.multi_time_scale import MultiTimeScaleConv2d

    kernels = [name for name, _ in MultiTimeScaleConv2d(1, 1, (10, 5)).named_parameters() if name.startswith("weight")]
    said = "one kernel, which every branch updates" if len(kernels) == 1 else f"{len(kernels)} kernels"
    return Fact(said, "sercore.layers.multi_time_scale.MultiTimeScaleConv2d")


def _lacking(corpus: str, results: Results) -> Missing:
    return Missing(f"the recordings of {corpus} are missing, and no run here needs the setting without them")


CHECKS: dict[str, Callable[[str, Results], Fact | Missing]] = {
    "convolution": _convolution,
    "kernels": _kernels,
    "hidden_units": _hidden_units,
    "count": _count,
    "pooling": _pooling,
    "mts_convolutions": _mts_convolutions,
    "architectures": _architectures,
    "word_networks": _word_networks,
    "resized": _resized,
    "scale_sets": _scale_sets,
    "branches": _branches,
    "run": _run,
    "unstated_run": _unstated_run,
    "sample_rate": _sample_rate,
    "regularised": _regularised,
    "normalised": _normalised,
    "padded": _padded,
    "speakers_apart": _speakers_apart,
    "activation": _activation,
    "resampling": _resampling,
    "merged": _merged,
    "shared": _shared,
    "lacking": _lacking,
}
