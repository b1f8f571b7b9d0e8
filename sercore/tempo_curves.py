"""Scores against tempo with intervals over speakers, and multi-time-scale against standard networks, from rows of `sercore.tempo`."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sercore import stats
from sercore.tempo import KEYS

CURVE_COLUMNS = [
    "group", "system", "settings", "kind", "factor", "accuracy", "low", "high", "same", "same_low", "same_high", "change", "change_low",
    "change_high", "cosine", "cosine_low", "cosine_high", "recordings", "cut", "speakers", "seeds",
]  # fmt: skip


def curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Scores of each group of runs against the factor, with 95 % intervals over speakers.

    Args:
        rows: of `accuracy_by_tempo`.

    Returns:
        Columns CURVE_COLUMNS, fractions. `accuracy` and `same` pool recordings (two-level bootstrap over speakers and their recordings);
        `change` and `cosine` are means over speakers (bootstrap over speakers). One speaker alone has no interval (NaN).
    """
    found = []
    for (group, system, settings, kind, factor), part in rows.groupby(KEYS[:3] + KEYS[-2:], sort=False):
        row = {"group": group, "system": system, "settings": settings, "kind": kind, "factor": factor}
        for name, column in (("accuracy", "correct"), ("same", "same")):
            row |= _named(name, _interval_of_share(_cube(part, column)))
        for name in ("change", "cosine"):
            row |= _named(name, _interval_of_mean(part.groupby("speaker")[name].mean().to_numpy()))
        one = part[part["seed"] == part["seed"].min()]
        row |= {"recordings": int(one["n"].sum()), "cut": int(one["cut"].sum())}
        found.append(row | {"speakers": part["speaker"].nunique(), "seeds": part["seed"].nunique()})
    return pd.DataFrame(found, columns=CURVE_COLUMNS)


def against_standard(rows: pd.DataFrame) -> pd.DataFrame:
    """Multi-time-scale minus standard network at each factor, paired over speakers.

    Args:
        rows: of `accuracy_by_tempo`.

    Returns:
        Columns `group, system, settings, reference, kind, factor, quantity (accuracy | same), difference, low, high, p, p_min, p_holm,
        speakers, seeds`: fractions; p of the exact sign-flip, corrected by Holm inside each group, kind and quantity.
    """
    by_group = dict(iter(rows.groupby("group", sort=False)))
    found = []
    for group, mine in by_group.items():
        first = mine.iloc[0]
        other = by_group.get(standard_group(str(group), first["system"], first["settings"]))
        if not first["system"].startswith("mts_") or other is None:
            continue
        for kind, quantity in ((k, q) for k in mine["kind"].unique() for q in ("correct", "same")):
            lines = [_difference(mine, other, kind, factor, quantity) for factor in sorted(mine["factor"].unique())]
            for line, p in zip(lines, stats.holm([line["p"] for line in lines]), strict=True):
                about = {"group": group, "system": first["system"], "settings": first["settings"], "reference": other["system"].iloc[0]}
                found.append(about | line | {"p_holm": p})
    columns = [
        "group",
        "system",
        "settings",
        "reference",
        "kind",
        "factor",
        "quantity",
        "difference",
        "low",
        "high",
        "p",
        "p_min",
        "p_holm",
    ]
    return pd.DataFrame(found, columns=[*columns, "speakers", "seeds"])


def standard_group(group: str, system: str, settings: str) -> str:
    """Name of the group of the standard network beside a multi-time-scale one's: same corpus, kernel, variant, protocol and split.

    Example:
        >>> standard_group("fsdd.mts_a1.0.7_1_1.428-k5x5.definition.strict.x", "mts_a1", "0.7_1_1.428-k5x5")
        'fsdd.a1.k5x5.definition.strict.x'
    """
    kept = "-".join(part for part in settings.split("-") if re.match(r"k\d|wi$", part))
    there = ".".join(part for part in (system, settings) if part)
    return group.replace(f".{there}.", "." + ".".join(part for part in (system.removeprefix("mts_"), kept) if part) + ".", 1)


def _cube(rows: pd.DataFrame, column: str) -> stats.Cube:
    """Hits and misses of each seed and speaker, as counts of one class; seeds that lack a speaker are left out."""
    summed = rows.assign(speaker=rows["speaker"].astype(str)).groupby(["seed", "speaker"])[[column, "n"]].sum()
    n, hits = (summed.pivot_table(index="seed", columns="speaker", values=c, aggfunc="sum") for c in ("n", column))
    whole = n.eq(n.max()).all(axis=1)
    n, hits = n[whole].to_numpy(dtype=np.int64), hits[whole].to_numpy(dtype=np.int64)
    counts = np.zeros((*n.shape, 2, 2), dtype=np.int64)
    counts[..., 0, 0], counts[..., 0, 1] = hits, n - hits
    return stats.Cube(counts, tuple(whole.index[whole]), tuple(summed.index.unique("speaker").sort_values()), ("hit", "miss"))


def _interval_of_share(data: stats.Cube) -> stats.Interval:
    if len(data.speakers) < 2:
        return stats.Interval(float(data.scores("accuracy").mean()), math.nan, math.nan)
    return stats.bootstrap(data, "accuracy")


def _interval_of_mean(values: NDArray[np.float64], resamples: int = 2000) -> stats.Interval:
    """Of one number a speaker."""
    if len(values) < 2:
        return stats.Interval(float(values.mean()), math.nan, math.nan)
    draws = values[np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))].mean(axis=1)
    return stats.percentile_interval(float(values.mean()), draws, 0.95, "new speakers")


def _named(name: str, interval: stats.Interval) -> dict[str, float]:
    low, high = ("low", "high") if name == "accuracy" else (f"{name}_low", f"{name}_high")
    return {name: interval.estimate, low: interval.low, high: interval.high}


def _difference(mine: pd.DataFrame, other: pd.DataFrame, kind: str, factor: float, column: str) -> dict[str, Any]:
    cubes = [_cube(side[side["kind"].eq(kind) & np.isclose(side["factor"].astype(float), factor)], column) for side in (mine, other)]
    gap = stats.Interval(float(cubes[0].scores("accuracy").mean() - cubes[1].scores("accuracy").mean()), math.nan, math.nan)
    if len(cubes[0].speakers) > 1:
        gap = stats.bootstrap_difference(cubes[0], cubes[1], "accuracy")
    shares = [(c.counts[..., 0, 0] / c.counts[..., 0, :].sum(axis=-1)).mean(axis=0) for c in cubes]
    test = stats.sign_flip(shares[0] - shares[1])
    row: dict[str, Any] = {"kind": kind, "factor": factor, "quantity": "accuracy" if column == "correct" else column}
    row |= {"difference": gap.estimate, "low": gap.low, "high": gap.high, "p": test.p, "p_min": test.p_min}
    return row | {"speakers": len(cubes[0].speakers), "seeds": min(len(c.seeds) for c in cubes)}
