"""What is audited, in one form: a specification, a split table, a run of the store, or a published run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from sercore.data.corpora import Corpus
from sercore.data.splits import split_plan
from sercore.errors import CorpusError, SpecError, SplitError, StoreError
from sercore.experiment import fingerprint
from sercore.leak_audit.split_table import read_table
from sercore.prepare import corpus_of, load_corpus, table_of
from sercore.results import load_all
from sercore.spec import LEAKS, RunSpec
from sercore.store import RunStore

_LOOKED_UP = ("source_id", "audio_id", "start_s", "end_s", "speaker", "emotion", "text")


@dataclass(frozen=True)
class Case:
    """Everything that a check may look at; what is not known is empty.

    Attributes:
        what: the thing audited, in words.
        kind: `table`, `spec`, `run` or `published`.
        sides: train, validation, test -> item ids; empty where they are not known.
        items: one row an item, with the columns that are known.
        declared: leaks that are declared.
        unknown: why the sides are not known.
        copies: test items of which a copy trains.
        spec, corpus, record: where there is one; the record is a row of `runs.csv` for a published run.
        folder: of a run in the store.
        roots: corpus name -> folder, for the corpora of parents.
    """

    what: str
    kind: str
    sides: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    items: pd.DataFrame = field(default_factory=lambda: pd.DataFrame({"item_id": []}))
    declared: tuple[str, ...] = ()
    unknown: str = ""
    copies: tuple[str, ...] = ()
    spec: RunSpec | None = None
    corpus: Corpus | None = None
    record: Mapping[str, Any] | None = None
    folder: Path | None = None
    roots: Mapping[str, Path] = field(default_factory=dict)

    def known(self, column: str) -> bool:
        """Does any item have a value in that column?"""
        return column in self.items and bool((self.items[column].notna() & self.items[column].astype(str).ne("")).any())


def case_of(
    target: str, corpus: str = "", roots: Mapping[str, Path] | None = None, declared: Sequence[str] = (), spec: RunSpec | None = None
) -> Case:
    """The case of a split table or a run; a specification that has been read is given as `spec`.

    Args:
        target: path of a split table, run id, or the unique beginning of one (of the store, else of the published runs).
        corpus: where a split table's items are looked up.
        roots: corpus name -> folder; without it `$SERCORE_CORPORA/<name>`.
        declared: leaks of a split table that are meant.
        spec: audited in place of a file; `target` then only names it.

    Returns:
        The case.

    Raises:
        SpecError: a leak is unknown.
        SplitError: there is no such file, the table cannot be read, or the corpus does not fit the scheme.
        CorpusError: the corpus of a table or specification is not there.
        StoreError: no run is called so, several are, or its files are damaged.
    """
    if unknown := [leak for leak in declared if leak not in LEAKS]:
        raise SpecError(f"unknown leak {', '.join(unknown)}; known: {', '.join(LEAKS)}")
    if spec is not None:
        return _of_spec(spec, "spec", f"specification {target}", roots or {}, must_load=True)
    path = Path(target)
    if path.is_file():
        return _of_table(path, corpus, roots or {}, tuple(sorted(declared)))
    if path.suffix or path.name != target:
        raise SplitError(f"there is no file {target}: name a split table (.csv, .json), a specification (.yml) or a run")
    return _of_run(target, roots or {})


def _of_table(path: Path, corpus: str, roots: Mapping[str, Path], declared: tuple[str, ...]) -> Case:
    table, found = read_table(path), None
    if corpus:
        found = load_corpus(corpus, str(roots.get(corpus, "")))
        table = _looked_up(table, found, path)
    sides = {side: tuple(dict.fromkeys(table.loc[table["side"] == side, "item_id"])) for side in ("train", "validation", "test")}
    items = table.drop(columns="side").drop_duplicates("item_id").reset_index(drop=True)
    return Case(f"split table {path}: " + _sizes(sides), "table", sides, items, declared, corpus=found)


def _looked_up(table: pd.DataFrame, corpus: Corpus, path: Path) -> pd.DataFrame:
    """The table with what the corpus knows of its items; columns of the table stay, save for what only the recordings can say."""
    known = corpus.items.set_index("item_id")
    ids = table["item_id"].where(table["item_id"].isin(known.index), f"{corpus.name}/" + table["item_id"])
    if (missing := ~ids.isin(known.index)).any():
        first = table.loc[missing, "item_id"].iloc[0]
        raise SplitError(
            f"{path}: {int(missing.sum())} items are not in {corpus.name}, first {first!r}; its items are called {known.index[0]!r} ..."
        )
    table = table.assign(item_id=ids)
    for column in _LOOKED_UP:
        if column not in table or column == "audio_id":
            table[column] = known[column].reindex(ids).to_numpy()
    return table


def _of_run(name: str, roots: Mapping[str, Path]) -> Case:
    store = RunStore()
    if found := [folder.name for folder in sorted(store.folder.glob(f"{name}*")) if folder.is_dir() and "." not in folder.name]:
        run_id = _only(found, name)
        record = store.finished(run_id)
        assert record is not None
        spec = RunSpec.model_validate(record["spec"])
        return _of_spec(spec, "run", f"run {run_id} ({_in_words(spec)})", roots, record, store.path(run_id))
    published = {row["run_id"]: (row, r.specs[row["group"]]) for r in load_all().values() for row in r.runs.to_dict("records")}
    if not (named := sorted(run_id for run_id in published if run_id.startswith(name))):
        raise StoreError(
            f"no run {name!r} in {store.folder} or among the published ones: `sercore runs` lists those of the store; SERCORE_STORE says "
            "where it lies"
        )
    row, form = published[_only(named, name)]
    spec = RunSpec.of_group(form, int(row["fold"]), int(row["seed"]))
    return _of_spec(spec, "published", f"published run {row['run_id']} ({_in_words(spec)})", roots, row)


def _only(names: list[str], asked: str) -> str:
    if asked in names:
        return asked
    if len(names) > 1:
        raise StoreError(f"{len(names)} runs begin with {asked!r}: {', '.join(names[:4])}{' ...' if len(names) > 4 else ''}; give more")
    return names[0]


def _of_spec(
    spec: RunSpec,
    kind: str,
    what: str,
    roots: Mapping[str, Path],
    record: Mapping[str, Any] | None = None,
    folder: Path | None = None,
    must_load: bool = False,
) -> Case:
    """The plan is made as the run made it, with every leak let through, so that each is found here and not refused."""
    bare = Case(what, kind, declared=spec.leaks, spec=spec, record=record, folder=folder)
    try:
        corpus = corpus_of(spec, roots)
    except CorpusError as error:
        if must_load:
            raise
        return _without_sides(bare, f"the recordings are not here ({error})")
    if record is not None and not _same_recordings(spec, corpus, roots, record):
        return _without_sides(bare, f"the recordings of {corpus.name} here are not those of the run (another data fingerprint)")
    items = table_of(spec, corpus)
    plan = split_plan(items, spec.split, tuple(LEAKS), spec.data.task)
    if record is not None and plan.fingerprint != record["split_fingerprint"]:
        return _without_sides(bare, f"{spec.split.scheme} makes other sides today than when the run was done (another split fingerprint)")
    what = f"{what}: {_sizes(plan.sides)}"
    return Case(what, kind, plan.sides, items.reset_index(drop=True), spec.leaks, "", plan.copies, spec, corpus, record, folder, roots)


def _same_recordings(spec: RunSpec, corpus: Corpus, roots: Mapping[str, Path], record: Mapping[str, Any]) -> bool:
    """Whether the corpus is that of the run; a published run with parents has one fingerprint of all their corpora."""
    if "corpus_fingerprint" in record or not spec.parents:
        return corpus.fingerprint() == record.get("corpus_fingerprint", record["data_fingerprint"])
    try:
        return fingerprint(spec, corpus, roots) == record["data_fingerprint"]
    except CorpusError:
        return False


def _without_sides(case: Case, why: str) -> Case:
    return Case(case.what, case.kind, declared=case.declared, unknown=why, spec=case.spec, record=case.record, folder=case.folder)


def _sizes(sides: Mapping[str, Sequence[str]]) -> str:
    return ", ".join(f"{len(ids)} {side}" for side, ids in sides.items())


def _in_words(spec: RunSpec) -> str:
    return f"{spec.model.name}, {spec.data.corpus}, {spec.split.scheme} fold {spec.split.fold}, seed {spec.seed}, {spec.protocol}"
