"""The manifest of published rows: the checksum of each file, and for each run a checksum of the rows that came from it.

Rows in git can be edited, merged badly or swapped, and would look like results all the same. `results.publish` writes the manifest from
the runs themselves, `results.load_results` compares: a row that is not its run's is never shown.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercore import metrics
from sercore.spec import RunSpec, digest, run_id
from sercore.store import write_json

FILE = "manifest.json"
_MEMBER = ["group", "fold", "seed"]
_GROUP_IS = {
    "corpus": lambda spec: spec.data.corpus,
    "task": lambda spec: spec.data.task,
    "system": lambda spec: spec.model.name,
    "variant": lambda spec: spec.model.variant,
    "protocol": lambda spec: spec.protocol,
    "leaks": lambda spec: "+".join(spec.leaks),
    "split": lambda spec: spec.split.scheme,
}


def run_digests(runs: pd.DataFrame, counts: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """What ties published rows to the run that they came from.

    Args:
        runs: columns of `results.RUN_COLUMNS`.
        counts: columns `group, seed, fold, speaker, truth` and one a class, in recordings.

    Returns:
        run id -> `group`, `fold`, `seed`; `items` tested and their `uar` in [0, 1], which can be computed again from the counts;
        `counts`, the checksum of all its rows there; `row`, that of its row in runs.csv.
    """
    parts = dict(list(counts.groupby(_MEMBER, sort=False)))
    return {row["run_id"]: _of_run(row, parts.get(tuple(row[key] for key in _MEMBER))) for row in runs.to_dict("records")}


def _of_run(row: Mapping[str, Any], counts: pd.DataFrame | None) -> dict[str, Any]:
    found: dict[str, Any] = {"group": row["group"], "fold": int(row["fold"]), "seed": int(row["seed"])}
    found["row"] = digest({key: text for key, value in row.items() if (text := _text(value))})
    if counts is None:
        return found | {"items": 0, "uar": None, "counts": ""}
    labels = sorted(name for name in set(counts.columns) - {*_MEMBER, "speaker", "truth"} if counts[name].notna().any())
    lines = sorted(
        [*who, *map(int, line)] for who, line in zip(counts[["speaker", "truth"]].to_numpy(), counts[labels].to_numpy(), strict=True)
    )
    pooled = np.zeros((len(labels), len(labels)), dtype=int)
    for _, truth, *line in lines:
        pooled[labels.index(truth)] += line
    uar = round(float(metrics.uar_from_counts(pooled, absent="skip")), 6)
    return found | {"items": int(pooled.sum()), "uar": uar, "counts": digest([labels, lines])}


def _text(value: Any) -> str:
    """A cell as it is written: six digits, nothing for a missing value, the same before and after a round through CSV."""
    if pd.isna(value):
        return ""
    if isinstance(value, (bool, str)):
        return str(value)
    return f"{float(value):.6g}"


def _checksums(folder: Path) -> dict[str, str]:
    """Path below the folder -> SHA-256; line ends of another system count as the same."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in (".csv", ".json") and p.name != FILE)
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes().replace(b"\r\n", b"\n")).hexdigest() for p in files}


def write(folder: Path, runs: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the manifest of a folder as it now lies.

    Args:
        folder: of a chapter's published rows.
        runs: of `run_digests`, from the runs and not from the files.
    """
    write_json(folder / FILE, {"files": _checksums(folder), "runs": dict(runs)})


def read(folder: Path) -> dict[str, Any]:
    """The manifest of a folder: `files` and `runs`.

    Args:
        folder: of a chapter's published rows.

    Raises:
        OSError: there is none.
        ValueError: it is no JSON.
    """
    return json.loads((folder / FILE).read_text(encoding="utf-8"))


def faults(folder: Path, runs: pd.DataFrame, counts: pd.DataFrame) -> list[str]:
    """Where the files of a folder are not what was published; empty where they are.

    Args:
        folder: of a chapter's published rows, with its manifest.
        runs, counts: as read from there.

    Returns:
        One line a fault, naming the file or the run.

    Raises:
        OSError: there is no manifest.
        ValueError: it is no JSON.
    """
    kept = read(folder)
    there, found = _checksums(folder), run_digests(runs, counts)
    wrong = [f"{name} is missing" for name in sorted(set(kept["files"]) - set(there))]
    wrong += [f"{name} is not in {FILE}" for name in sorted(set(there) - set(kept["files"]))]
    wrong += [f"{name} was changed" for name, sha in there.items() if kept["files"].get(name, sha) != sha]
    for name in sorted(set(kept["runs"]) | set(found)):
        was, now = kept["runs"].get(name), found.get(name)
        if was is None or now is None:
            wrong.append(f"run {name} is {'not in ' + FILE if was is None else 'missing in runs.csv'}")
        elif was != now:
            wrong.append(f"the {' and '.join(key for key in was if was[key] != now.get(key))} of run {name} are not those of the run")
    return wrong


def contradictions(groups: pd.DataFrame, runs: pd.DataFrame, counts: pd.DataFrame, specs: Mapping[str, dict]) -> list[str]:
    """Where published rows contradict each other, whatever the manifest says; empty where nothing does.

    A run id is the hash of spec, recordings and revisions, so it can be computed again and holds group, fold and seed fast; sizes of groups
    follow from the counts; who is tested in which fold with how many recordings is the same for every system, seed and protocol.

    Args:
        groups, runs, counts, specs: of `sercore.results.Results`.

    Returns:
        One line a contradiction.
    """
    wrong = []
    for row in runs.to_dict("records"):
        form = specs[row["group"]]
        spec = RunSpec.of_group(form, row["fold"], row["seed"])
        revisions = {name: int(number) for name, _, number in (part.partition("=") for part in row["revisions"].split())}
        if run_id(spec, row["data_fingerprint"], revisions) != row["run_id"]:
            wrong.append(f"run {row['run_id']} is not fold {row['fold']}, seed {row['seed']} of {row['group']}")
    for row in groups.to_dict("records"):
        mine, its_runs = counts[counts["group"] == row["group"]], runs[runs["group"] == row["group"]]
        form = specs[row["group"]]
        spec = RunSpec.of_group(form, 0)
        items = mine.drop(columns=["group", "seed", "fold", "speaker", "truth"]).sum(axis=1).groupby(mine["seed"]).sum()
        expected = {key: of(spec) for key, of in _GROUP_IS.items()} | {"group": spec.group, "n_speakers": mine["speaker"].nunique()}
        expected |= {"folds": its_runs["fold"].nunique(), "seeds": its_runs["seed"].nunique(), "n_items": items.iloc[0]}
        wrong += [f"{key} of {row['group']} is {row[key]}, its runs say {value}" for key, value in expected.items() if row[key] != value]
        if (items != items.iloc[0]).any():
            wrong.append(f"seeds of {row['group']} test different numbers of recordings")
    return wrong + _unequal_tests(groups, counts)


def _unequal_tests(groups: pd.DataFrame, counts: pd.DataFrame) -> list[str]:
    """Speakers whose fold, or whose number of recordings of a class, differs between runs on one split of one corpus.

    Runs that left quiet recordings out are compared among themselves; a speaker is tested in one fold unless mixed speakers are declared.
    """
    keys = ["group", "seed", "fold", "speaker", "truth"]
    about = groups[["group", "corpus", "split"]].assign(
        filtered=groups["leaks"].str.contains("level_filter"), mixed=groups["leaks"].str.contains("speaker_overlap")
    )
    rows = counts[keys].assign(items=counts.drop(columns=keys).sum(axis=1)).merge(about, on="group")
    wrong = []
    for (corpus, split, _, mixed), part in rows.groupby(["corpus", "split", "filtered", "mixed"]):
        if not mixed and (folds := part.groupby("speaker")["fold"].nunique()).max() > 1:
            wrong.append(f"speaker {folds.idxmax()} of {corpus} ({split}) is tested in {folds.max()} folds")
        whole = part.groupby(["group", "seed", "speaker", "truth"])["items"].sum()
        if (sizes := whole.groupby(level=["speaker", "truth"]).nunique()).max() > 1:
            wrong.append(f"runs on {corpus} ({split}) disagree on the number of recordings of {', '.join(map(str, sizes.idxmax()))}")
    return wrong
