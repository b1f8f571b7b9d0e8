"""Which time scales finished multi-time-scale networks use (thesis, Table 4.2), beside networks that learned nothing, and their kernels.

The control is part of the measurement: a maximum over smoothly rescaled copies of any kernel is mostly won by the shortest or the longest
copy, and in the silence that pads a recording all points are won by one branch. So a share says little until an untrained network of the
same shape has been asked on the same inputs, and until sound and padding are told apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from sercore import batching, models
from sercore.batching import padded
from sercore.errors import StoreError
from sercore.layers.kernel_scales import resampled
from sercore.layers.multi_time_scale import MultiTimeScaleConv2d
from sercore.progress import bar
from sercore.results import Results
from sercore.signals import Replay, load_network, replay
from sercore.spec import RunSpec
from sercore.store import RunStore

TRAINED, UNTRAINED, NOISE = "trained", "untrained", "untrained, white noise"
COLUMNS = ["group", "system", "settings", "run_id", "fold", "seed", "layer", "kernels", "factor", "share", "share_in_sound"]
TABLE_COLUMNS = [
    "group", "system", "settings", "layer", "factor", "trained", "untrained", "untrained_low", "untrained_high", "noise",
    "trained_in_sound", "untrained_in_sound", "untrained_in_sound_low", "untrained_in_sound_high", "runs", "draws",
]  # fmt: skip
KERNEL_COLUMNS = ["group", "run_id", "layer", "map", "stage", "factor", "frame", "bin", "value"]
_BATCH, _NOISE_ITEMS = 16, 8


def usage_rows(
    results: Results, roots: Mapping[str, str | Path] | None = None, store: RunStore | None = None, draws: int = 10, per_class: int = 0
) -> pd.DataFrame:
    """Share of points that each branch wins in every multi-time-scale layer: the table `usage` of `Results.extras`.

    Args:
        results: whose runs lie in the store.
        roots: corpus name -> folder.
        store: None takes the default store.
        draws: untrained networks a group and fold.
        per_class: test recordings of each speaker and class, the first by name; 0 takes all.

    Returns:
        Columns COLUMNS, rounded to five digits. `kernels` is TRAINED (test recordings of the run), UNTRAINED (a fresh network of the same
        shape on the same normalised recordings; `seed` is its number) or NOISE (that network on white noise). `factor` is of time. `share`
        in [0, 1] is over all points, as the thesis counts; `share_in_sound` over the points before the padding begins. The factors of a
        layer sum to 1.

    Raises:
        StoreError: as `sercore.signals.replay`.
    """
    store = store or RunStore()
    networks = results.of(system=[name for name in models.SPECTROGRAM if name.startswith("mts_")])
    corpora = networks.groups.set_index("group")["corpus"].to_dict()
    rows: list[dict] = []
    controlled: set[tuple[str, int]] = set()
    with bar(networks.runs.to_dict("records"), label="use of time scales", unit="run") as runs:
        for run in runs:
            root = (roots or {}).get(corpora[run["group"]], "")
            found, spec = replay(run["run_id"], root, store), store.spec(run["run_id"])
            frames = _chosen(found, per_class)
            silence = _silence(found)
            about = {"group": spec.group, "system": spec.model.name, "settings": spec.model.settings, "run_id": run["run_id"]}
            about |= {"fold": spec.split.fold}
            rows += _rows(found.model, frames, silence, about | {"seed": spec.seed, "kernels": TRAINED})
            if (spec.group, spec.split.fold) not in controlled:
                controlled.add((spec.group, spec.split.fold))
                rows += _control(found, spec, frames, silence, about, draws)
    return pd.DataFrame(rows, columns=COLUMNS).round(5)


def usage_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Trained beside untrained, one row a group, layer and factor.

    Args:
        rows: of `usage_rows`.

    Returns:
        Columns TABLE_COLUMNS; shares are means over runs or draws, fractions, `*_low` and `*_high` the lowest and highest untrained draw
        (each a mean over folds).
    """
    found = []
    for (group, system, settings, layer, factor), part in rows.groupby(["group", "system", "settings", "layer", "factor"], sort=False):
        row = {"group": group, "system": system, "settings": settings, "layer": layer, "factor": factor}
        by_kernels = dict(iter(part.groupby("kernels")))
        for column, ending in (("share", ""), ("share_in_sound", "_in_sound")):
            fresh = by_kernels[UNTRAINED].groupby("seed")[column].mean()
            row |= {f"trained{ending}": by_kernels[TRAINED][column].mean(), f"untrained{ending}": fresh.mean()}
            row |= {f"untrained{ending}_low": fresh.min(), f"untrained{ending}_high": fresh.max()}
        row |= {"noise": by_kernels[NOISE]["share"].mean(), "runs": by_kernels[TRAINED]["run_id"].nunique()}
        found.append(row | {"draws": by_kernels[UNTRAINED]["seed"].nunique()})
    return pd.DataFrame(found, columns=TABLE_COLUMNS)


@dataclass(frozen=True)
class BranchView:
    """One recording inside the first multi-time-scale layer: frames of a recording, so never published.

    Attributes:
        run_id, item_id, truth, prediction: what is seen.
        factors: of time, S branches.
        hop_s, bin_hz: from frame to frame and from bin to bin.
        spectrogram: the normalised input without its padding, shape (T, F).
        maps: of each branch, first map, shape (S, T', F').
        pooled: their maximum, shape (T', F').
        winner: number of the branch that won, shape (T', F').
        offset: frames and bins of the input before the middle of the first output point.
    """

    run_id: str
    item_id: str
    truth: str
    prediction: str
    factors: tuple[float, ...]
    hop_s: float
    bin_hz: float
    spectrogram: np.ndarray
    maps: np.ndarray
    pooled: np.ndarray
    winner: np.ndarray
    offset: tuple[float, float]


def branch_view(run_id: str, root: str | Path = "", item_id: str | None = None, store: RunStore | None = None) -> BranchView:
    """The branches of the first layer on one test recording (as the thesis' Fig. 4.1 draws them).

    Args:
        run_id: of a multi-time-scale network whose first layer has a stride of 1.
        root: folder of its corpus.
        item_id: one of its test items; None takes the first by name, so that no result ever chooses it.
        store: None takes the default store.

    Raises:
        StoreError: as `sercore.signals.replay`, the item was not tested, or the network has no such layer at its input.
    """
    found = replay(run_id, root, store)
    item_id = item_id or str(min(found.predictions["item_id"]))
    at = np.flatnonzero(found.predictions["item_id"] == item_id)
    layer = getattr(found.model, "conv_1", None)
    if not len(at) or not isinstance(layer, MultiTimeScaleConv2d) or layer.stride != (1, 1):
        raise StoreError(f"run {run_id} has no multi-time-scale layer at its input, or did not test {item_id!r}")
    frames, row = found.frames[int(at[0])], found.predictions.iloc[int(at[0])]
    sound = _sound_frames(frames, _silence(found))
    with torch.inference_mode():
        x = torch.from_numpy(frames)[None, None]
        maps, winner = layer.branches(x)[:, 0, 0].numpy(), layer.winners(x)[0, 0].numpy()
    kept = max(1, min(maps.shape[1], sound - layer.kernel_size[0] + 1 + 2 * layer.padding[0]))
    spec = (store or RunStore()).spec(run_id)
    middle = [(k - 1) / 2 - p for k, p in zip(layer.kernel_size, layer.padding, strict=True)]
    return BranchView(
        run_id, item_id, row["truth"], row["prediction"], tuple(time for time, _ in layer.factors), found.hop_s,
        1000 / spec.features.window_ms, frames[:sound], maps[:, :kept], maps[:, :kept].max(axis=0), winner[:kept], (middle[0], middle[1]),
    )  # fmt: skip


def kernels(run_id: str, most_maps: int = 1, store: RunStore | None = None) -> pd.DataFrame:
    """The kernels of the first multi-time-scale layer, as drawn and as learned, with the resampled ones of its branches.

    Args:
        run_id: of a multi-time-scale network.
        most_maps: output maps to take, from the first; of the first input map.
        store: None takes the default store.

    Returns:
        Columns `group, run_id, layer, map, stage (before | after), factor, frame, bin, value`: weights. `before` is drawn again from the
        run's seed, which gives the same weights with the same version of PyTorch; left out where the weights came from a parent run.

    Raises:
        StoreError: as `sercore.signals.load_network`, or the network has no such layer.
    """
    model, _, record = load_network(run_id, store)
    spec, rows = RunSpec.model_validate(record["spec"]), []
    stages = {"after": model}
    if spec.model.initial_weights == "random":
        seed = batching.derive_seed(batching.derive_seed(spec.seed, spec.split.fold), "initial weights")
        stages = {"before": _fresh(spec, record, seed), **stages}
    for stage, network in stages.items():
        layers = _layers(network)
        if not layers:
            raise StoreError(f"run {run_id} ({spec.model.name}) has no multi-time-scale layer: name a run of an mts_ system")
        name, layer = next(iter(layers.items()))
        for i, (factor, _) in enumerate(layer.factors):
            weights = resampled(layer.weight.detach(), layer.sizes[i]).numpy()[:most_maps, 0]
            index = np.indices(weights.shape).reshape(3, -1)
            table = pd.DataFrame({"map": index[0], "frame": index[1], "bin": index[2], "value": weights.ravel().astype(float)})
            rows.append(table.assign(group=spec.group, run_id=run_id, layer=name, stage=stage, factor=factor))
    return pd.concat(rows, ignore_index=True)[KERNEL_COLUMNS].round(6)


def kernel_table(results: Results, store: RunStore | None = None) -> pd.DataFrame:
    """`kernels` of fold 0, seed 0 of every multi-time-scale group, so that no result chooses them: the table `kernels` of `Results.extras`.

    Args:
        results: whose runs lie in the store.
        store: None takes the default store.
    """
    networks = results.of(system=[name for name in models.SPECTROGRAM if name.startswith("mts_")]).runs
    runs = networks[networks["fold"].eq(0) & networks["seed"].eq(0)]["run_id"]
    parts = [kernels(run_id, store=store) for run_id in runs]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=KERNEL_COLUMNS)


def _layers(model: nn.Module) -> dict[str, MultiTimeScaleConv2d]:
    return {name: module for name, module in model.named_modules() if isinstance(module, MultiTimeScaleConv2d)}


def _fresh(spec: RunSpec, record: Mapping[str, Any], seed: int) -> nn.Module:
    n_frames, n_features = record["input_shape"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return models.build_for(spec, n_features, len(record["labels"]), n_frames).eval()


def _silence(found: Replay) -> float:
    """What a bin of digital silence is after normalisation."""
    return float(found.normaliser.apply([np.zeros((1, 1), dtype=np.float32)])[0][0, 0])


def _sound_frames(frames: np.ndarray, silence: float) -> int:
    """Frames up to the last one that is not all silence; at least one."""
    sounding = np.flatnonzero((frames != np.float32(silence)).any(axis=1))
    return int(sounding[-1]) + 1 if len(sounding) else 1


def _chosen(found: Replay, per_class: int) -> list[np.ndarray]:
    table = found.predictions.reset_index(drop=True).sort_values("item_id")
    table = table.groupby(["speaker", "truth"]).head(per_class) if per_class else table
    return [found.frames[k] for k in table.index]


def _control(
    found: Replay, spec: RunSpec, frames: Sequence[np.ndarray], silence: float, about: Mapping[str, Any], draws: int
) -> Iterator[dict]:
    """Rows of untrained networks, on the recordings and on white noise of their shape, mean 0 and deviation 1."""
    labels = [c for c in found.predictions.columns if c.startswith("score_")]
    shape = frames[0].shape
    noise = [np.random.default_rng(k).standard_normal(shape).astype(np.float32) for k in range(min(_NOISE_ITEMS, len(frames)))]
    for draw in range(draws):
        network = _fresh(spec, {"input_shape": shape, "labels": labels}, draw)
        yield from _rows(network, frames, silence, {**about, "seed": draw, "kernels": UNTRAINED})
        yield from _rows(network, noise, silence, {**about, "seed": draw, "kernels": NOISE})


def _rows(model: nn.Module, frames: Sequence[np.ndarray], silence: float, about: Mapping[str, Any]) -> Iterator[dict]:
    layers = _layers(model)
    counts = {name: np.zeros((2, len(layer.factors))) for name, layer in layers.items()}  # all points, those in sound
    for start in range(0, len(frames), _BATCH):
        batch = frames[start : start + _BATCH]
        sound = [_sound_frames(f, silence) / len(f) for f in batch]
        with torch.inference_mode(), _watched(layers) as won:
            model(*padded(batch))
        for name, winners in won.items():
            counts[name] += _count(winners, sound, len(layers[name].factors))
    for name, layer in layers.items():
        everywhere, inside = counts[name] / counts[name].sum(axis=1, keepdims=True)
        for (factor, _), share, part in zip(layer.factors, everywhere, inside, strict=True):
            yield {**about, "layer": name, "factor": factor, "share": share, "share_in_sound": part}


def _count(winners: Tensor, sound: Sequence[float], branches: int) -> np.ndarray:
    """Points won by each branch, in all and before the padding, whose begin lies at the same part of every map."""
    total, inside = (np.zeros(branches) for _ in range(2))
    for one, share in zip(winners.numpy(), sound, strict=True):  # (O, T', F')
        kept = max(1, int(np.ceil(share * one.shape[1])))
        total += np.bincount(one.ravel(), minlength=branches)
        inside += np.bincount(one[:, :kept].ravel(), minlength=branches)
    return np.stack([total, inside])


@contextmanager
def _watched(layers: Mapping[str, MultiTimeScaleConv2d]) -> Iterator[dict[str, Tensor]]:
    """Inside it, what each layer's branches win in a forward pass, shape (B, O, T', F')."""
    won: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_pre_hook(lambda module, inputs, name=name: won.__setitem__(name, module.winners(inputs[0])))
        for name, layer in layers.items()
    ]
    try:
        yield won
    finally:
        for handle in handles:
            handle.remove()
