"""Tidy rows of groups of runs: collected from the run store, published into `book/results`, loaded from there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sercore import manifest
from sercore.data.items import EMOTIONS
from sercore.errors import StoreError
from sercore.spec import RunSpec
from sercore.store import RunStore, write_json
from sercore.writing import beside

#: What a network costs (`sercore.resources`): parameters of the network, those trained, those left frozen, all between waveform and answer;
#: multiply-accumulates of one recording, and its number of frames. Empty for systems that are no networks.
COST_COLUMNS = ["parameters", "trainable_parameters", "frozen_parameters", "pipeline_parameters", "macs", "macs_frames"]
GROUP_COLUMNS = [
    "group", "chapter", "corpus", "task", "system", "variant", "settings", "protocol", "leaks", "split", "folds", "seeds",
    "n_items", "n_speakers", "profile", *COST_COLUMNS,
]  # fmt: skip
#: Memory is in MiB. `peak_memory_mb` is of runs before the two others were measured: the highest of the process, earlier runs included.
RUN_COLUMNS = [
    "run_id", "group", "fold", "seed", "status", "best_epoch", "validation_uar", "train_accuracy", "validation_accuracy", "seconds",
    "seconds_per_epoch", "peak_host_mb", "peak_device_mb", "peak_memory_mb", "threads", "device", "torch", "python", "code_commit",
    "code_clean", "data_fingerprint", "split_fingerprint", "finished_at", "revisions",
]  # fmt: skip
HISTORY_COLUMNS = ["group", "epoch", "quantity", "mean", "low", "high", "runs"]
#: Quantities of learning curves, where a run has them.
HISTORY_QUANTITIES = ("train_loss", "added_loss", "validation_loss", "validation_uar")
#: Columns that are words even if all are digits.
_WORDS = ("speaker", "truth", "leaks", "settings", "run_id", "code_commit", "data_fingerprint", "split_fingerprint", "revisions")
_WHOLE: dict[str, Any] = dict.fromkeys(COST_COLUMNS, "Int64")  # all digits are kept, and missing is not zero
_KEYS = ["group", "seed", "fold", "speaker", "truth"]


@dataclass
class Results:
    """Everything that tables, figures and verdicts are computed from.

    Attributes:
        groups: one row a group: runs that differ only in fold and seed.
        counts: one row a (group, seed, fold, speaker, true class): how often each class was predicted, one column a class.
        runs: one row a run, with its provenance.
        history: learning curves, mean, lowest and highest over the runs of a group.
        specs: group -> spec without fold and seed.
        extras: further tidy tables of a chapter, by name (trials, signals, embeddings, ...).
        stored: they were read from `book/results`; otherwise they are of this machine's runs.
    """

    groups: pd.DataFrame
    counts: pd.DataFrame
    runs: pd.DataFrame
    history: pd.DataFrame
    specs: dict[str, dict] = field(default_factory=dict)
    extras: dict[str, pd.DataFrame] = field(default_factory=dict)
    stored: bool = False

    def of(self, **columns: Any) -> Results:
        """The groups whose columns have the values given, with all that belongs to them.

        Args:
            columns: column of `groups` = value, or a list of values.

        Raises:
            StoreError: there is no such column.
        """
        chosen = self.groups
        for column, value in columns.items():
            if column not in chosen:
                raise StoreError(f"groups have no column {column!r}; known: {', '.join(self.groups.columns)}")
            chosen = chosen[chosen[column].isin(value if isinstance(value, (list, tuple, set)) else [value])]
        names = set(chosen["group"])
        parts = (self.counts, self.runs, self.history)
        counts, runs, history = (part[part["group"].isin(names)].reset_index(drop=True) for part in parts)
        specs = {g: s for g, s in self.specs.items() if g in names}
        return Results(chosen.reset_index(drop=True), counts, runs, history, specs, self.extras, self.stored)

    def labels(self, group: str) -> list[str]:
        """The classes of a group, in order."""
        rows = self.counts[self.counts["group"] == group].drop(columns=_KEYS)
        return [c for c in rows.columns if rows[c].notna().any()]


def empty_results() -> Results:
    """Results without a row, with every column."""
    frames = (GROUP_COLUMNS, _KEYS, RUN_COLUMNS, HISTORY_COLUMNS)
    return Results(*(pd.DataFrame(columns=list(columns)) for columns in frames))


def collect(chapter: str, records: Iterable[Mapping], store: RunStore | None = None, profile: str = "quick") -> Results:
    """Tidy rows of finished runs.

    Args:
        chapter: name of the chapter.
        records: of `experiment.run_one` or `RunStore.finished`.
        store: where the runs lie.
        profile: `quick` or `full`.

    Returns:
        The rows; groups in the order of the records.

    Raises:
        StoreError: a run's predictions are not in the store, or runs of one group differ in more than fold and seed.
    """
    store = store or RunStore()
    records = list(records)
    if not records:
        return empty_results()
    specs = {r["run_id"]: RunSpec.model_validate(r["spec"]) for r in records}
    _refuse_unlike(specs.values())
    counts, runs, histories = [], [], []
    for record in records:
        spec = specs[record["run_id"]]
        try:
            predictions = store.predictions(record["run_id"])
        except OSError as error:
            raise StoreError(f"run {record['run_id']} is not in the store {store.folder}: run it again") from error
        counts.append(_count(predictions, spec, record["labels"]))
        runs.append(
            {
                **{c: record.get(c) for c in RUN_COLUMNS},
                "group": spec.group,
                "fold": spec.split.fold,
                "seed": spec.seed,
                "status": "finished",
                "revisions": " ".join(f"{name}={number}" for name, number in sorted(record.get("revisions", {}).items())),
            }
        )
        history = store.history(record["run_id"])
        if not history.empty:
            histories.append(history.assign(group=spec.group))
    groups: dict[str, dict] = {}
    for record in records:
        spec = specs[record["run_id"]]
        groups.setdefault(
            spec.group,
            _group_row(chapter, spec, profile, [specs[r["run_id"]] for r in records if specs[r["run_id"]].group == spec.group], record),
        )
    all_counts = pd.concat(counts, ignore_index=True)
    for name, row in groups.items():
        one = all_counts[all_counts["group"] == name]
        per_seed = one.drop(columns=_KEYS).sum(axis=1).groupby(one["seed"]).sum()
        row |= {"n_items": int(per_seed.iloc[0]), "n_speakers": one["speaker"].nunique()}
    return Results(
        pd.DataFrame(list(groups.values()), columns=list(GROUP_COLUMNS)).astype(_WHOLE),
        all_counts,
        pd.DataFrame(runs, columns=list(RUN_COLUMNS)),
        _learning_curves(histories),
        {s.group: s.group_form() for s in specs.values()},
    )


def _refuse_unlike(specs: Iterable[RunSpec]) -> None:
    """A group's name does not say everything (features, training): runs of one name must be alike, or their counts would be added up."""
    forms: dict[str, Any] = {}
    for spec in specs:
        if forms.setdefault(spec.group, form := spec.group_form()) != form:
            other = forms[spec.group]
            unlike = sorted(key for key in form if form[key] != other.get(key))
            raise StoreError(f"two kinds of runs are called {spec.group}, unlike in {', '.join(unlike)}: collect them apart")


def _count(predictions: pd.DataFrame, spec: RunSpec, labels: list[str]) -> pd.DataFrame:
    table = pd.crosstab([predictions["speaker"], predictions["truth"]], predictions["prediction"])
    table = table.reindex(columns=labels, fill_value=0).reset_index()
    table.columns.name = None
    return table.assign(group=spec.group, seed=spec.seed, fold=spec.split.fold)[[*_KEYS, *labels]]


def _group_row(chapter: str, spec: RunSpec, profile: str, members: list[RunSpec], record: Mapping) -> dict:
    return {
        "group": spec.group, "chapter": chapter, "corpus": spec.data.corpus, "task": spec.data.task, "system": spec.model.name,
        "variant": spec.model.variant, "settings": spec.settings, "protocol": spec.protocol, "leaks": "+".join(spec.leaks),
        "split": spec.split.scheme, "folds": len({m.split.fold for m in members}), "seeds": len({m.seed for m in members}),
        "profile": profile,
        **{column: record.get(column) for column in COST_COLUMNS},
    }  # fmt: skip


def _learning_curves(histories: list[pd.DataFrame]) -> pd.DataFrame:
    if not histories:
        return pd.DataFrame(columns=HISTORY_COLUMNS)
    rows = pd.concat(histories)
    long = rows.melt(["group", "epoch"], [name for name in HISTORY_QUANTITIES if name in rows], var_name="quantity").dropna(subset="value")
    curve = long.groupby(["group", "epoch", "quantity"], sort=False)["value"].agg(["mean", "min", "max", "count"])
    return curve.reset_index().rename(columns={"min": "low", "max": "high", "count": "runs"})[HISTORY_COLUMNS]


def results_folder(chapter: str) -> Path:
    """Where a chapter's published rows lie: `book/results/<chapter>` of the project, or `$SERCORE_RESULTS/<chapter>`."""
    return Path(os.environ.get("SERCORE_RESULTS") or Path(__file__).resolve().parents[1] / "book" / "results") / chapter


def publish(chapter: str, results: Results) -> Path:
    """Write rows and their manifest into `book/results/<chapter>`; groups that are there already are replaced, others kept.

    Args:
        chapter: name of the chapter.
        results: of `collect`, with profile `full`.

    Returns:
        The folder.

    Raises:
        StoreError: a run came from code that was not committed, or from the synthetic corpus (neither is a result about speech); or the
            rows that are there are not those of their manifest.
    """
    if (synthetic := results.groups["corpus"].str.startswith("synthetic")).any():
        raise StoreError(
            f"group {results.groups.loc[synthetic, 'group'].iloc[0]!r} is on the synthetic corpus: never published as a result"
        )
    if (unclean := ~results.runs["code_clean"].astype(bool)).any():
        raise StoreError(f"run {results.runs.loc[unclean, 'run_id'].iloc[0]} came from code that was not committed: commit, then run again")
    folder = results_folder(chapter)
    folder.mkdir(parents=True, exist_ok=True)
    old = load_results(chapter)
    for name in ("groups", "runs", "history"):
        before, new = getattr(old, name), getattr(results, name)
        kept = before[~before["group"].isin(results.groups["group"])]
        merged = pd.concat([kept, new], ignore_index=True) if len(kept) else new
        sort = [c for c in ("group", "seed", "fold", "epoch", "quantity") if c in merged]
        _write_csv(folder / f"{name}.csv", merged.sort_values(sort, kind="stable"))
    # one file a group: the group's name in every row would be most of a single file
    (folder / "counts").mkdir(exist_ok=True)
    for group, table in results.counts.groupby("group"):
        rows = table.drop(columns="group").dropna(axis=1, how="all").sort_values(_KEYS[1:], kind="stable")
        _write_csv(folder / "counts" / f"{group}.csv", rows)
    for name, table in results.extras.items():
        _write_csv(folder / f"{name}.csv", table)
    write_json(folder / "specs.json", {**old.specs, **results.specs})
    before = manifest.read(folder)["runs"] if len(old.runs) else {}
    kept_runs = {name: run for name, run in before.items() if run["group"] not in set(results.groups["group"])}
    manifest.write(folder, kept_runs | manifest.run_digests(results.runs, results.counts))
    load_results(chapter)  # what was written is what was given
    return folder


def _write_csv(path: Path, table: pd.DataFrame) -> None:
    whole = table.copy()
    for column in whole.select_dtypes("float"):
        if whole[column].dropna().mod(1).eq(0).all():
            whole[column] = whole[column].astype("Int64")
    with beside(path) as file:
        whole.to_csv(file, index=False, float_format="%.6g", lineterminator="\n")


def load_results(chapter: str) -> Results:
    """Published rows of a chapter.

    Args:
        chapter: name of the chapter.

    Returns:
        The rows; empty where nothing has been published.

    Raises:
        StoreError: a file cannot be read, or a row is not that of its run (`sercore.manifest`).
    """
    folder = results_folder(chapter)
    if not (folder / "groups.csv").exists():
        return empty_results()
    text: dict[str, Any] = _WHOLE | dict.fromkeys(_WORDS, str)
    try:
        groups, runs, history = (pd.read_csv(folder / f"{n}.csv", dtype=text) for n in ("groups", "runs", "history"))
        parts = [pd.read_csv(folder / "counts" / f"{g}.csv", dtype=text).assign(group=g) for g in groups["group"]]
        specs = json.loads((folder / "specs.json").read_text())
    except (OSError, ValueError) as error:
        raise StoreError(f"published results in {folder} cannot be read ({error}): restore them from git") from error
    # rows from before a column was there have it empty
    groups, runs = groups.reindex(columns=GROUP_COLUMNS).astype(_WHOLE), runs.reindex(columns=RUN_COLUMNS)
    history = history.reindex(columns=HISTORY_COLUMNS)
    for column in ("leaks", "settings"):
        groups[column] = groups[column].astype(object).where(groups[column].notna(), "")
    known = {"groups", "runs", "history"}
    extras = {p.stem: pd.read_csv(p, dtype={"speaker": str}) for p in sorted(folder.glob("*.csv")) if p.stem not in known}
    counts = pd.concat(parts, ignore_index=True)
    _refuse_changed(folder, runs, counts)
    labels = sorted((c for c in counts if c not in _KEYS), key=lambda c: EMOTIONS.index(c) if c in EMOTIONS else len(EMOTIONS))
    return Results(groups, counts[[*_KEYS, *labels]], runs, history, specs, extras, stored=True)


def _refuse_changed(folder: Path, runs: pd.DataFrame, counts: pd.DataFrame) -> None:
    try:
        wrong = manifest.faults(folder, runs, counts)
    except (OSError, ValueError) as error:
        raise StoreError(f"published results in {folder} have no readable {manifest.FILE} ({error}): restore them from git") from error
    if wrong:
        more = f" (and {len(wrong) - 3} more)" if len(wrong) > 3 else ""
        raise StoreError(f"published results in {folder} are not those of their runs: {'; '.join(wrong[:3])}{more}: restore them from git")


def load_all() -> dict[str, Results]:
    """Published rows of every chapter that has any, by chapter."""
    folder = results_folder("x").parent
    return {p.parent.name: load_results(p.parent.name) for p in sorted(folder.glob("*/groups.csv"))}
