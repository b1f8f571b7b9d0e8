"""Findings of thesis ch. 4 and 5 over many runs: counted from stored rows, and not run until all that they speak of is stored.

A count or a ratio has no interval of its own, so it stands beside the printed one and is not judged.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from sercore.ledger.facts import PRINTED, Fact, Missing, corpora_named, recordings_missing
from sercore.ledger.measurements import Measurements, cells
from sercore.ledger.paired import label
from sercore.results import Results

#: Corpora for which the released folds are laid down; the others are run under the strict protocol alone.
_POSITIONAL = ("emodb", "ravdess", "tess", "iemocap_4_excited")
_WHY = "a finding over many runs has no interval of its own, and is shown and not judged"


def _cell_gains(prefix: str, results: Results) -> np.ndarray | Missing:
    """Gain of every cell of a table, points, in the order of map.csv."""
    measurements = Measurements(results)
    wanted = cells(prefix)
    there, lacking = [], dict[str, None]()
    for cell in wanted:
        ours = measurements.ours(replace(cell, statistic="gain"))
        if ours is None or ours.group["corpus"] != cell.corpus:
            lacking |= dict.fromkeys([PRINTED[cell.corpus], *corpora_named(cell.settings)])
        else:
            there.append(100 * ours.measured.estimate)
    if there and not lacking:
        return np.array(there)
    return Missing(f"{len(there)} of {len(wanted)} cells are among the stored runs{recordings_missing(list(lacking))}")


def _of_cells(argument: str, results: Results) -> Fact | Missing:
    """`what:ids`: how many cells lose or gain, the largest or mean gain, or the p of a two-sided Wilcoxon test over cells."""
    what, _, prefix = argument.partition(":")
    gains = _cell_gains(prefix, results)
    if isinstance(gains, Missing):
        return gains
    made: dict[str, Callable[[], float]] = {
        "losses": lambda: int((gains <= 0).sum()),
        "gains": lambda: int((gains > 0).sum()),
        "largest": lambda: float(gains.max()),
        "mean": lambda: float(gains.mean()),
        "p": lambda: float(wilcoxon(gains).pvalue),
    }
    return Fact(made[what](), f"{len(gains)} cells of the stored runs", False, _WHY)


def _best_set(argument: str, results: Results) -> tuple[str, Missing | None]:
    """The set of scales with the best validation score among a network's stored runs: `corpus.system` or `corpus.system.kernel`."""
    from sercore.layers.kernel_scales import SCALE_SETS, kernel_sizes

    corpus, system, *kernel = argument.split(".")
    ending = "".join(f"-{name}" for name in kernel)
    groups = results.groups
    protocol = "paper" if corpus in _POSITIONAL else "strict"
    mine = groups[
        groups["corpus"].eq(corpus) & groups["system"].eq(system) & groups["protocol"].eq(protocol) & groups["profile"].eq("full")
    ]
    smallest = (3, 3) if system == "mts_resnet18" else (5, 5)
    sets = [name for name, factors in SCALE_SETS.items() if _has_taps(kernel_sizes, smallest, factors)]
    lacking = [name for name in sets if not mine["settings"].eq(name + ending).any()]
    if lacking:
        said = f"{len(sets) - len(lacking)} of {len(sets)} sets of scales of {label(system)} on {PRINTED[corpus]} are among the stored runs"
        return "", Missing(f"{said}{recordings_missing([PRINTED[corpus]])}")
    scores = {name: results.runs[results.runs["group"].isin(mine.loc[mine["settings"].eq(name + ending), "group"])] for name in sets}
    return max(sets, key=lambda name: pd.to_numeric(scores[name]["validation_uar"]).mean()), None


def _has_taps(kernel_sizes: Callable, kernel: tuple[int, int], factors: tuple[float, ...]) -> bool:
    try:
        kernel_sizes(kernel, factors)
    except ValueError:
        return False
    return True


def _best_scales(argument: str, results: Results) -> Fact | Missing:
    """The factors of that set."""
    best, lacking = _best_set(argument, results)
    return lacking or Fact(tuple(float(s) for s in best.split("_")), "validation scores of the stored runs", False, _WHY)


def _best_branches(arguments: str, results: Results) -> Fact | Missing:
    """How many branches the best sets of several networks have (`a+b`)."""
    found = [_best_set(argument, results) for argument in arguments.split("+")]
    if lacking := [missing for _, missing in found if missing]:
        return lacking[0]
    return Fact(tuple(float(len(best.split("_"))) for best, _ in found), "validation scores of the stored runs", False, _WHY)


def _dominant_branches(_: str, results: Results) -> Fact | Missing:
    """How many branches win more than an equal share, on average over the stored groups with a table of usage."""
    table = results.extras.get("usage")
    if table is None or table.empty:
        return Missing("no table of branch usage is among the stored runs")
    shares = table[table["kernels"].eq("trained")].groupby(["group", "factor"])["share"].mean().reset_index()
    above = shares["share"] > 1 / shares.groupby("group")["share"].transform("size")
    return Fact(float(above.groupby(shares["group"]).sum().mean()), "the stored table of branch usage", False, _WHY)


def _epoch_time(argument: str, results: Results) -> Fact | Missing:
    """`system.branches/reference`: ratio of seconds an epoch on one corpus and device."""
    ours, reference = argument.split("/")
    system, branches = ours.split(".")
    groups = results.groups.assign(n=[len(settings.partition("-")[0].split("_")) for settings in results.groups["settings"]])
    lines = results.runs.merge(groups[["group", "corpus", "system", "n"]], on="group")
    seconds = pd.to_numeric(lines["seconds_per_epoch"])
    mine = seconds[lines["system"].eq(system) & lines["n"].eq(int(branches))].groupby([lines["corpus"], lines["device"]]).mean()
    theirs = seconds[lines["system"].eq(reference)].groupby([lines["corpus"], lines["device"]]).mean()
    ratios = (mine / theirs).dropna()
    if ratios.empty:
        said = f"no runs of {label(reference)} and of {label(system)} with {branches} branches, on one corpus and device, are stored"
        return Missing(f"{said}, and the authors' device is missing; benchmarks/ has the ratio of training steps")
    device = ", ".join(sorted({device for _, device in ratios.index}))
    return Fact(float(ratios.mean()), f"seconds an epoch of stored runs on {device}", False, "the authors name no device")


def _epochs(argument: str, results: Results) -> Fact | Missing:
    """`standard` or `mts`: mean best epoch of A1 to A4, of runs that were allowed the published 500 epochs."""
    published = 500
    names = [f"{'mts_' if argument == 'mts' else ''}a{n}" for n in (1, 2, 3, 4)]
    long = [name for name, spec in results.specs.items() if spec.get("training", {}).get("epochs", 0) >= published]
    mine = results.groups[results.groups["system"].isin(names) & results.groups["group"].isin(long)]
    if mine.empty:
        return Missing(f"no stored runs have a schedule of {published} epochs{recordings_missing(['TESS', 'IEMOCAP'])}")
    best = pd.to_numeric(results.runs.loc[results.runs["group"].isin(mine["group"]), "best_epoch"])
    return Fact(float(best.mean()), f"best epochs of {len(best)} stored runs on {', '.join(sorted(set(mine['corpus'])))}", False, _WHY)


def _layer(argument: str, results: Results) -> Fact | Missing:
    """`rank:corpus.task+task`: the published layer of VGG16 where anti-transfer gives the best (1), ..., the worst (-1) test accuracy."""
    from sercore.models.taps import PUBLISHED

    rank, of = argument.split(":")
    corpus, tasks = of.split(".")[0], of.split(".")[1].split("+")
    groups, data, taps = results.groups, Measurements(results), PUBLISHED["vgg16_pool"]["definition"]
    whole = groups[groups["corpus"].eq(corpus) & groups["system"].eq("vgg16_pool") & groups["protocol"].eq("strict")]
    whole = whole[whole["variant"].eq("definition") & whole["profile"].eq("full")].set_index("settings")["group"]
    scores = {}
    for number, tap in enumerate(taps, 1):
        named = [f"at_{tap}_{task}" for task in tasks]
        if all(name in whole for name in named):
            scores[number] = float(np.mean([data.cube(whole[name]).scores("accuracy").mean() for name in named]))
    if len(scores) < len(taps):
        said = f"{len(scores)} of {len(taps)} layers of VGG16 with anti-transfer on {PRINTED[corpus]} are among the stored runs"
        heard = [PRINTED[task.partition("_")[2]] for task in tasks]
        return Missing(said + recordings_missing(list(dict.fromkeys([PRINTED[corpus], *heard]))))
    order = sorted(scores, key=lambda number: -scores[number])
    place = int(rank)
    return Fact(order[place - 1 if place > 0 else place], f"test accuracies of stored runs at {len(taps)} layers", False, _WHY)


def _cost(column: str, results: Results) -> Fact | Missing:
    """Ratio of a cost of stored runs (a column of runs) with anti-transfer to that without, on one corpus, split and device."""
    keys = ["corpus", "task", "system", "variant", "protocol", "split"]
    groups = results.groups.assign(parts=[settings.split("-") for settings in results.groups["settings"]])
    groups["without"] = ["-".join(part for part in parts if not part.startswith("at_")) for parts in groups["parts"]]
    lines = results.runs.merge(groups[["group", "settings", "without", *keys]], on="group")
    lines[column] = pd.to_numeric(lines[column])
    by = [*keys, "without", "device"]
    plain = lines[lines["settings"].eq(lines["without"])].groupby(by)[column].mean()
    mine = lines[lines["settings"].ne(lines["without"]) & ~lines["settings"].str.endswith("_random")].groupby(by)[column].mean()
    ratios = (mine / plain).dropna()
    if ratios.empty:
        said = "no runs with anti-transfer and without it, on one corpus and device, are stored"
        return Missing(f"{said}, and the authors' device is missing; benchmarks/ has time and memory of training steps")
    where = ", ".join(sorted({f"{label(at[2], at[6])} on {PRINTED.get(at[0], at[0])}, {at[7]}" for at in ratios.index}))
    return Fact(float(ratios.mean()), f"stored runs: {where}", False, "the authors name no device")


def _unstored(argument: str, results: Results) -> Missing:
    """`side:corpora`: a finding over the accuracies of that side in many cells."""
    side, corpora = argument.split(":")
    return Missing(f"it is over the {side}ing accuracies of many cells, which are not all stored{recordings_missing(corpora.split('+'))}")


CHECKS: dict[str, Callable[[str, Results], Fact | Missing]] = {
    "cells": _of_cells,
    "best_scales": _best_scales,
    "best_branches": _best_branches,
    "dominant_branches": _dominant_branches,
    "epoch_time": _epoch_time,
    "epochs": _epochs,
    "at_layer": _layer,
    "at_cost": _cost,
    "unstored": _unstored,
}
