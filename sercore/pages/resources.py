"""What each system costs beside what it scores: one tidy row a group of runs, and the table of a page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch

from sercore import ledger, models, provenance, resources
from sercore.ledger.measurements import Measurements
from sercore.pages.overview import STORED, Source
from sercore.pages.tables import compact
from sercore.provenance import Origin, Table
from sercore.results import COST_COLUMNS, Results
from sercore.spec import RunSpec

#: Length of speech for which operations are counted again where a row, older than the count, has none.
REFERENCE_S = 3.0
COLUMNS = [
    "from", "corpus", "protocol", "group", "name", *COST_COLUMNS, "counted_again", "uar", "low", "high", "seconds_per_epoch", "device",
    "threads", "peak_host_mb", "peak_device_mb",
]  # fmt: skip


def costs(source: Source) -> pd.DataFrame:
    """Score and cost of every group of a source.

    Args:
        source: of `sercore.pages.overview.sources`.

    Returns:
        Columns COLUMNS, one row a group. `uar, low, high` are fractions, the interval is over speakers (NaN where one spoke);
        `seconds_per_epoch` is the median over runs, memory in MiB the highest of them; `counted_again` is True where parameters and
        operations come from the specification and not from the runs.
    """
    results, data, rows = source.results, Measurements(source.results), []
    groups = results.groups.reindex(columns=[*results.groups.columns.union(COST_COLUMNS)])
    groups[COST_COLUMNS] = groups[COST_COLUMNS].apply(pd.to_numeric, errors="coerce")
    frames = _frames(groups, results)
    for group in groups.to_dict("records"):
        name, row = group["group"], {"from": source.origin, "name": _name(group), "counted_again": False}
        row |= {key: group[key] for key in ("corpus", "protocol", "group", *COST_COLUMNS)}
        if pd.notna(group["parameters"]) and pd.isna(group["macs"]):
            row |= _again(results, name, int(group["parameters"]), frames)
        rows.append(row | _score(data, name) | _measured(results.runs[results.runs["group"] == name]))
    return pd.DataFrame(rows, columns=COLUMNS)


def _name(group: dict[str, Any]) -> str:
    """The system with all that tells it from another one on the same corpus under the same protocol."""
    settings = group.get("settings")
    name = ledger.label(group["system"], settings if isinstance(settings, str) else "")
    return f"{name} released" if group.get("variant") == "released" else name


def _score(data: Measurements, group: str) -> dict[str, float]:
    cube = data.cube(group)
    if len(cube.speakers) < 2:
        return {"uar": float(cube.scores().mean()), "low": np.nan, "high": np.nan}
    interval = data.interval(group)
    return {"uar": interval.estimate, "low": interval.low, "high": interval.high}


def _measured(runs: pd.DataFrame) -> dict[str, Any]:
    runs = runs.reindex(columns=runs.columns.union(["seconds_per_epoch", "peak_host_mb", "peak_device_mb", "device", "threads"]))
    numbers = runs[["seconds_per_epoch", "peak_host_mb", "peak_device_mb"]].apply(pd.to_numeric, errors="coerce")
    threads = pd.to_numeric(runs["threads"], errors="coerce").dropna()
    named = {"device": ", ".join(dict.fromkeys(runs["device"].dropna())), "threads": ", ".join(f"{n:.0f}" for n in threads.unique())}
    highest = numbers[["peak_host_mb", "peak_device_mb"]].max()
    return {"seconds_per_epoch": numbers["seconds_per_epoch"].median(), **named, **highest}


def _frames(groups: pd.DataFrame, results: Results) -> dict[str, int]:
    """Reference length of each corpus' frame features, from rows that have one: older rows are counted for the same length."""
    known = groups[groups["macs_frames"].notna()]
    return {_features(results, group): int(n) for group, n in zip(known["group"], known["macs_frames"], strict=True)}


def _features(results: Results, group: str) -> str:
    form = results.specs.get(group, {})
    return json.dumps([form.get("data", {}).get("corpus"), form.get("features")], sort_keys=True)


def _again(results: Results, group: str, parameters: int, frames: dict[str, int]) -> dict[str, Any]:
    """The costs of a row from its specification; nothing where the network of today is not that of the row."""
    form = results.specs.get(group)
    if not form or form.get("features", {}).get("kind") != "mfcc_chroma" or form["model"]["name"] not in models.MODELS:
        return {}
    hop_s = form["features"]["hop_ms"] / 1000
    n_frames = frames.get(_features(results, group), round(REFERENCE_S / hop_s))
    found = _counted(json.dumps(form, sort_keys=True), len(results.labels(group)), n_frames)
    return {**found, "macs_frames": n_frames, "counted_again": True} if found["parameters"] == parameters else {}


@lru_cache(maxsize=64)
def _counted(form: str, n_classes: int, n_frames: int) -> dict[str, int]:
    plain = json.loads(form)
    spec = RunSpec.of_group(plain, 0)
    with torch.random.fork_rng(devices=[]):
        model = models.build_for(spec, spec.features.dimensions, n_classes, n_frames)
    row = resources.count(model, resources.silence(n_frames, spec.features.dimensions)).row()
    return {key: value for key, value in row.items() if key in COST_COLUMNS}


def origin(shown: Sequence[Source]) -> Origin:
    """What the costs were made from: the runs, and the code that counts."""
    return sum((provenance.of_runs(source.results) for source in shown), Origin()) + provenance.of_files("sercore/resources.py")


def table(shown: Sequence[Source]) -> Table:
    """Score and cost of every system, this build's and the stored ones; `not run` where there is none.

    Args:
        shown: of `sercore.pages.overview.sources`.
    """
    rows = [_in_words(row) for source in shown for row in costs(source).to_dict("records")]
    caption = (
        "What each system costs. Parameters: trained / frozen / all from waveform to answer. MACs: multiply-accumulates of one recording "
        "of so many frames (the median of the corpus; with *, counted again from the specification). Time: median over runs; it varies "
        "with the batch size and with what else the machine did. Memory: the highest of a run, interpreter and libraries included; empty "
        "where it was not measured."
    )
    whole = ("system", "UAR [95 %]", "MACs", "s an epoch")
    return compact(rows or [{"system": "not run"}], caption, "resources", whole, origin(shown))


def _in_words(row: dict[str, Any]) -> dict[str, str]:
    spread = f" [{100 * row['low']:.1f}, {100 * row['high']:.1f}]" if pd.notna(row["low"]) else ""
    weights = [row[f"{kind}_parameters"] for kind in ("trainable", "frozen", "pipeline")]
    words = {"from": "stored" if row["from"] == STORED else row["from"], "corpus, protocol": f"{row['corpus']}, {row['protocol']}"}
    words |= {"system": row["name"], "UAR [95 %]": f"{100 * row['uar']:.1f}{spread}"}
    words["parameters"] = " / ".join(in_short(n) for n in weights) if pd.notna(row["macs"]) else in_short(row["parameters"])
    star = "*" if row["counted_again"] else ""
    words["MACs"] = f"{in_short(row['macs'])} ({row['macs_frames']:.0f} frames{star})" if pd.notna(row["macs"]) else ""
    timed = pd.notna(row["seconds_per_epoch"])
    words["s an epoch"] = f"{row['seconds_per_epoch']:.3g}" if timed else ""
    words["on"] = on(row)
    return words | {
        f"{where} (MiB)": f"{row[column]:,.0f}" if pd.notna(row[column]) else ""
        for where, column in (("host", "peak_host_mb"), ("GPU", "peak_device_mb"))
    }


def on(row: dict[str, Any]) -> str:
    """Device and threads of a row of `costs`, in words."""
    return f"{row['device']}, {row['threads']} thread{'s' if row['threads'] != '1' else ''}" if row["device"] else ""


def in_short(value: float) -> str:
    """A count in three digits; empty where there is none.

    Example:
        >>> in_short(29384), in_short(15_348_150), in_short(0), in_short(float("nan"))
        ('29.4 k', '15.3 M', '0', '')
    """
    if pd.isna(value):
        return ""
    for unit, name in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= 0.9995 * unit:
            return f"{value / unit:.3g} {name}"
    return f"{value:.3g}"
