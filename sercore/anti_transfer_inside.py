"""What the networks of one fold know at their taps: read-outs, renumbered channels, Grad-CAM with its checks, on unseen recordings.

The runs are those of fold 0 and seed 0 of each method, fixed beforehand, so that no result chooses them; the recordings are those of the
validation and test speakers, from which none of them has learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from sercore import explain, faithfulness, models, probes, signals
from sercore.anti_transfer_grid import METHODS, PROMISED_TAP, transfer_of, without_transfer
from sercore.anti_transfer_tasks import TARGETS
from sercore.batching import derive_seed
from sercore.errors import StoreError
from sercore.losses.permutation import channel_permutations
from sercore.prepare import corpus_of, prepare
from sercore.results import Results
from sercore.spec import RunSpec
from sercore.store import RunStore
from sercore.threads import one_thread

#: Names of networks that stand for no method.
UNTRAINED, ORTHOGONAL = "untrained", "orthogonal task"
#: Networks whose features are read out.
READ_OUT = (UNTRAINED, "none", "wi", "at", "at_random", ORTHOGONAL)
#: Recordings that the read-outs and the curves look at, at most.
MOST_PROBED, MOST_EXPLAINED = 400, 12


@dataclass(frozen=True)
class Networks:
    """Networks of one fold of a corpus that were trained alike but for what is transferred, and recordings that none has learned from.

    Attributes:
        by_name: UNTRAINED, methods (keys of METHODS), and ORTHOGONAL for the pre-trained one, in evaluation mode.
        tap: of anti-transfer.
        frames: first segment of each recording, normalised, shape (T, F).
        lengths: frames of each that are sound, the rest being padding.
        items: their rows of the item table.
        labels: the K classes in order.
        spec: of the run without transfer.
        groups: of the runs.
    """

    by_name: dict[str, nn.Module]
    tap: str
    frames: list[np.ndarray]
    lengths: list[int]
    items: pd.DataFrame
    labels: list[str]
    spec: RunSpec
    groups: tuple[str, ...]

    @property
    def hop_s(self) -> float:
        """Seconds from frame to frame."""
        return self.spec.features.hop_ms / 1000

    @property
    def bin_hz(self) -> float:
        """Hertz from bin to bin."""
        return 1000 / self.spec.features.window_ms


@one_thread()
def networks_of(results: Results, corpus: str, roots: Mapping[str, str | Path] | None = None, store: RunStore | None = None) -> Networks:
    """The networks of a corpus' strict runs.

    Args:
        results: rows of the chapter, whose runs are in the store.
        corpus: a target of theirs.
        roots: corpus name -> folder.
        store: None takes the default store.

    Raises:
        StoreError: no run of anti-transfer, or none like it without transfer, is among them for fold 0 and seed 0, or a run is damaged.
        CorpusError: the recordings are not there.
    """
    store, chosen = store or RunStore(), runs_of(results, corpus)
    if missing := [name for name in ("at", "none") if name not in chosen]:
        raise StoreError(f"no strict run of {corpus} with method {missing[0]}, fold 0 and seed 0 is at hand")
    plain, (at_run, against) = chosen["none"][1], chosen["at"]
    corpus_read = corpus_of(plain, roots)
    prepared = prepare(plain, corpus_read)
    n_frames, n_features = prepared.train.frames[0].shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(derive_seed(0, 0), "initial weights"))  # those that the run without transfer began with
        found: dict[str, nn.Module] = {UNTRAINED: models.build_for(plain, n_features, len(prepared.labels), n_frames).eval()}
        found |= {name: signals.load_network(chosen[name][0], store)[0] for name in METHODS if name in chosen}
        parents = (store.finished(at_run) or {}).get("parents", [])
        found |= {ORTHOGONAL: signals.load_network(parents[-1], store)[0]} if parents else {}
    frames, ids = [], []
    for side in (prepared.validation, prepared.test):
        first = np.unique(side.recordings, return_index=True)[1] if side.recordings is not None else range(len(side.frames))
        frames += [side.frames[k] for k in first]
        ids += [side.ids[k].partition("#")[0] for k in first]
    step = max(1, -(-len(ids) // MOST_PROBED))
    frames, ids = frames[::step], ids[::step]
    items = corpus_read.items.set_index("item_id", drop=False).loc[ids].reset_index(drop=True)
    lengths = [_sounding(one) for one in frames]
    tap, groups = transfer_of(against).tap, tuple(spec.group for _, spec in chosen.values())
    return Networks(found, tap, frames, lengths, items, prepared.labels, plain, groups)


def runs_of(results: Results, corpus: str) -> dict[str, tuple[str, RunSpec]]:
    """Run id and specification by method: of the strict run of anti-transfer, and of those that differ in the transfer alone.

    Of several taps it is the one that was fixed beforehand (`anti_transfer_grid.PROMISED_TAP`), else the first.

    Args:
        results: rows of the chapter.
        corpus: whose runs; those in which it is an orthogonal task are left out, as their test speakers were heard in training.
    """
    task, found = TARGETS[corpus].task if corpus in TARGETS else "", []
    for run in results.of(corpus=corpus, task=task, protocol="strict", system=list(models.BACKBONES)).runs.to_dict("records"):
        if (int(run["fold"]), int(run["seed"])) == (0, 0):
            spec = RunSpec.of_group(results.specs[run["group"]], 0)
            found.append((transfer_of(spec), run["run_id"], spec))
    plain = sorted((one for one in found if one[0].method == "at"), key=lambda one: one[0].tap != PROMISED_TAP)
    first = next(((transfer.tap, without_transfer(spec)) for transfer, _, spec in plain), None)
    chosen: dict[str, tuple[str, RunSpec]] = {}
    for transfer, run_id, spec in found:
        if first is not None and without_transfer(spec) == first[1] and transfer.tap in ("", first[0]):
            chosen.setdefault(transfer.method, (run_id, spec))
    return chosen


def _sounding(frames: np.ndarray) -> int:
    """Frames before the padding: digital silence is one value in all bins of a frame."""
    silent = np.ptp(frames, axis=1) == 0
    return len(frames) if not silent.any() else max(1, int(np.flatnonzero(~silent).max(initial=0)) + 1)


@one_thread()
def probe_rows(networks: Networks, summary: probes.Summary = "mean_deviation", permutations: int = 20) -> pd.DataFrame:
    """How well speaker, text and emotion can be read out at the tap and, of means and deviations, at the last convolution.

    Args:
        networks: of `networks_of`.
        summary: see `sercore.probes.summarised`.
        permutations: for the chance level.

    Returns:
        Columns of `sercore.probes.COLUMNS`; a factor that these recordings cannot tell from what it is grouped by is left out.
    """
    factors = {factor: group for factor, group in probes.GROUPED_BY.items() if _told_apart(networks.items, factor, group)}
    if not factors:
        return pd.DataFrame(columns=probes.COLUMNS)
    taps = [networks.tap] if summary == "gram" else list(dict.fromkeys([networks.tap, _last_convolution(networks)]))
    chosen = {name: model for name, model in networks.by_name.items() if name in READ_OUT}
    return probes.probe_table(chosen, taps, networks.frames, networks.items, factors=factors, summary=summary, permutations=permutations)


def _told_apart(items: pd.DataFrame, factor: str, group: str) -> bool:
    """Two labels at least, each in two groups at least, and a group with two labels."""
    pairs = items[[factor, group]].drop_duplicates()
    named = not pairs.eq("").to_numpy().any()
    return named and len(pairs) > 1 and pairs[factor].value_counts().min() > 1 and pairs[group].value_counts().max() > 1


def _last_convolution(networks: Networks) -> str:
    """The last tap that is a map and no pooling."""
    network: Any = networks.by_name[UNTRAINED]
    taps: dict[str, tuple[int, ...]] = network.taps
    return [name for name, shape in taps.items() if len(shape) > 1 and not name.startswith(("pool", "input"))][-1]


def _tapped(network: Any, x: torch.Tensor, tap: str) -> torch.Tensor:
    return network.tapped(x, tap)


@one_thread()
def permutation_rows(networks: Networks, permutations: int = 50) -> dict[str, list[dict]]:
    """The loss at the tap when the channels of one network are renumbered (sheets' test of an invariance that is not there).

    Args:
        networks: of `networks_of`.
        permutations: random ones.

    Returns:
        What is compared, in words -> rows of `sercore.losses.permutation.channel_permutations`.
    """
    x = torch.from_numpy(np.stack(networks.frames[:8]))
    pairs = {"network without transfer and orthogonal task": ("none", ORTHOGONAL), "orthogonal task and itself": (ORTHOGONAL, ORTHOGONAL)}
    found = {}
    for words, names in pairs.items():
        if all(name in networks.by_name for name in names):
            with torch.no_grad():
                one, other = (_tapped(networks.by_name[name], x, networks.tap) for name in names)
            found[words] = channel_permutations(one, other, permutations=permutations)
    return found


@dataclass(frozen=True)
class Explained:
    """Grad-CAM of several networks over one recording.

    Attributes:
        spectrogram: normalised, shape (T, F).
        maps: network -> (rectified raw map, class explained, probability of it).
        item_id: of the recording.
        n_frames: before the padding.
        tap: where the maps are taken.
    """

    spectrogram: np.ndarray
    maps: dict[str, tuple[np.ndarray, str, float]]
    item_id: str
    n_frames: int
    tap: str


@one_thread()
def explained(networks: Networks) -> Explained:
    """Each network's map at the last convolution for the class that it answers, over the first recording by name.

    Args:
        networks: of `networks_of`.
    """
    k = int(np.argmin(networks.items["item_id"]))
    x, tap = torch.from_numpy(networks.frames[k])[None], _last_convolution(networks)
    found = {}
    for name, model in networks.by_name.items():
        if name == UNTRAINED:
            continue
        with torch.no_grad():
            chances = model(x).softmax(1)[0]
        best = int(chances.argmax())
        label = f"class {best + 1} of {len(chances)}" if name == ORTHOGONAL else networks.labels[best]
        found[name] = (explain.grad_cam(model, x, tap, best)[0].numpy(), label, float(chances[best]))
    return Explained(networks.frames[k], found, str(networks.items["item_id"].iloc[k]), networks.lengths[k], tap)


@one_thread()
def randomised(networks: Networks, names: tuple[str, ...] = ("none", "at")) -> pd.DataFrame:
    """Do the maps change when the weights behind them are drawn anew? Rows of `faithfulness.randomised_weights`, with `network`.

    Args:
        networks: of `networks_of`.
        names: which of them.
    """
    x, tap, labels = _some(networks)
    n_frames, n_features = networks.frames[0].shape
    rows = []
    for name in (name for name in names if name in networks.by_name):
        model = networks.by_name[name]
        found = faithfulness.randomised_weights(
            model, x, tap, labels, lambda: models.build_for(networks.spec, n_features, len(networks.labels), n_frames)
        )
        rows.append(pd.DataFrame(found).assign(network=name))
    return pd.concat(rows, ignore_index=True)


@one_thread()
def curves(networks: Networks, names: tuple[str, ...] = ("none", "at")) -> pd.DataFrame:
    """Deletion and insertion curves; rows of `faithfulness.deletion_and_insertion`, with `network`.

    Args:
        networks: of `networks_of`.
        names: which of them.
    """
    x, tap, labels = _some(networks)
    lengths = torch.tensor([networks.lengths[k] for k in _spread(networks)])
    rows = []
    for name in (name for name in names if name in networks.by_name):
        model = networks.by_name[name]
        maps = explain.grad_cam(model, x, tap, labels, rectified=False)
        usable = [k for k in range(len(x)) if float(maps[k].max() - maps[k].min()) > 0]  # a flat map ranks nothing
        if usable:
            targets = explain.probability_of([labels[k] for k in usable])
            found = faithfulness.deletion_and_insertion(model, x[usable], maps[usable], targets, lengths=lengths[usable])
            rows.append(pd.DataFrame(found).assign(network=name))
    return pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()


def _spread(networks: Networks) -> list[int]:
    """Recordings that are looked at, evenly over the list."""
    return list(range(0, len(networks.frames), max(1, len(networks.frames) // MOST_EXPLAINED)))[:MOST_EXPLAINED]


def _some(networks: Networks) -> tuple[torch.Tensor, str, list[int]]:
    """Inputs, tap, and true classes as numbers."""
    chosen = _spread(networks)
    x = torch.from_numpy(np.stack([networks.frames[k] for k in chosen]))
    labels = [networks.labels.index(networks.items[networks.spec.data.task].iloc[k]) for k in chosen]
    return x, _last_convolution(networks), labels
