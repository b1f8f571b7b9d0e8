"""What of a chapter's full grid is done, as the rows that are published: finished runs and the searches behind them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from sercore import anti_transfer_inside, models, probes, scale_usage, signals, tempo, tune
from sercore.errors import StoreError
from sercore.experiment import BASELINES, revisions
from sercore.grids import PROMISED, chapter_specs, finished_runs, published_trials, tuned
from sercore.results import Results, collect, load_all, load_results
from sercore.spec import RunSpec, run_id


def promised_corpora(chapter: str) -> list[str]:
    """Corpora of a chapter's full grid, in its order."""
    return list(dict.fromkeys(corpus for corpus, _ in PROMISED.get(chapter, ())))


def promised_specs(
    chapter: str, corpora: Sequence[str], protocols: Sequence[str] = (), systems: Sequence[str] = (), **choices: object
) -> list[list[RunSpec]]:
    """Specs of a chapter's full grid, without tuned values: one list a group.

    Args:
        chapter: key of `sercore.grids.GRIDS`.
        corpora: names.
        protocols: of `strict`, `paper`; empty takes those that the study promises for the corpus.
        systems: names; empty takes the chapter's.
        choices: what else the chapter's grid can be asked for (`sercore.grids.choices_of`).

    Raises:
        SpecError: no such chapter, or a choice is wrong.
    """
    pairs = [(c, p) for c in corpora for p in protocols] or [(c, p) for c, p in PROMISED.get(chapter, ()) if c in corpora]
    grids: list[list[RunSpec]] = []
    for corpus, protocol in pairs:
        by_group: dict[str, list[RunSpec]] = {}
        for spec in chapter_specs(chapter, [corpus], "full", [protocol], systems=systems, **choices):
            by_group.setdefault(spec.group, []).append(spec)
        grids += by_group.values()
    return grids


def finished_results(
    chapter: str, grids: Sequence[Sequence[RunSpec]], roots: Mapping[str, str | Path] | None = None
) -> tuple[Results, list[str]]:
    """Rows of those runs that are done, and why others are left out.

    Args:
        chapter: whose rows these become.
        grids: of `promised_specs`.
        roots: corpus name -> folder; without it `$SERCORE_CORPORA/<name>`.

    Returns:
        `(results, left_out)`: whole seeds only; `results.extras["trials"]` has the searches that the specs rest on, beside those published
        before, `extras["embeddings"]` one run seen from inside, where it is among them; `left_out` has a line for each grid whose search
        is not complete.

    Raises:
        StoreError: nothing of the grids is finished.
        CorpusError: a corpus is not there; it is read to name the runs.
    """
    specs: list[RunSpec] = []
    left_out = []
    for grid in grids:
        try:
            specs += tuned(grid, chapter, roots, search=False)
        except StoreError as error:
            left_out.append(str(error))
    records = finished_runs(specs, roots)
    if not records:
        raise StoreError(f"no seed of the full grid of {chapter} is finished in all folds; {'; '.join(left_out) or 'run it first'}")
    studies = {
        tune.study_name(spec): tune.search_of(spec).trials
        for spec in specs
        if spec.model.name not in BASELINES and tune.search_of(spec).trials
    }
    results = collect(chapter, records, profile="full")
    extras = {**results.extras, "trials": _trials(chapter, studies)}
    for name, made in (("embeddings", _embeddings), ("scales", _scales), ("probes", _probes)):
        try:
            extras |= made(chapter, results, roots or {})
        except StoreError as error:
            left_out.append(f"{name}: {error}")
    return replace(results, extras=extras), left_out


def _scales(chapter: str, results: Results, roots: Mapping[str, str | Path]) -> dict[str, pd.DataFrame]:
    """Use of time scales, kernels and answers at other tempi, of the runs of seed 0: fixed beforehand, so that no result chooses them.

    One recording of each speaker and class is heard; rows of groups that are not published now are kept as they are.
    """
    networks = results.of(system=[name for name in models.SPECTROGRAM if name not in models.BACKBONES])
    first = replace(networks, runs=networks.runs[networks.runs["seed"].eq(0)])
    if first.runs.empty:
        return {}
    made = {
        "usage": scale_usage.usage_rows(first, roots, per_class=1),
        "kernels": scale_usage.kernel_table(first),
        "tempo": tempo.tempo_table(first, roots, per_class=1),
    }
    before = load_results(chapter).extras
    for name, table in made.items():
        if name in before:
            kept = before[name][~before[name]["group"].isin(first.groups["group"])]
            made[name] = pd.concat([part for part in (kept, table) if len(part)] or [table], ignore_index=True)
    return made


def _probes(chapter: str, results: Results, roots: Mapping[str, str | Path]) -> dict[str, pd.DataFrame]:
    """What can be read out of networks with and without anti-transfer, of fold 0 and seed 0: fixed beforehand.

    Rows of a corpus stay as they are where they are of networks that are not published now: they are compared with each other.
    """
    before = load_results(chapter).extras.get("probes", pd.DataFrame(columns=["corpus", "network"]))
    rows = {str(corpus): [part] for corpus, part in before.groupby("corpus", sort=False)}
    for corpus in dict.fromkeys(results.groups[results.groups["settings"].str.contains("at_")]["corpus"]):
        networks = anti_transfer_inside.networks_of(results.of(corpus=corpus), corpus, roots)
        known = set(before.loc[before["corpus"].eq(corpus), "network"]) - {probes.NO_NETWORK}
        if known <= set(networks.by_name):
            rows[corpus] = [anti_transfer_inside.probe_rows(networks, summary).assign(corpus=corpus) for summary in probes.SUMMARIES]
    parts = [part for found in rows.values() for part in found]
    return {"probes": pd.concat(parts, ignore_index=True)} if parts else {}


def _embeddings(chapter: str, results: Results, roots: Mapping[str, str | Path]) -> dict[str, pd.DataFrame]:
    """Test recordings of one run in two principal planes; the run is fixed beforehand, so that no result chooses it.

    Frames of recordings are not published: they are too near to the recordings themselves.
    """
    del chapter
    shown = results.groups[results.groups["corpus"].eq("ravdess") & results.groups["system"].eq("reslstm_sa_h64")]
    shown = shown[shown["protocol"].eq("strict") & shown["variant"].eq("definition")]
    runs = results.runs[results.runs["group"].isin(shown["group"]) & results.runs["fold"].eq(0) & results.runs["seed"].eq(0)]
    if runs.empty:
        return {}
    return {"embeddings": signals.embeddings(runs["run_id"].iloc[0], roots.get("ravdess", "")).round(4)}


def _trials(chapter: str, studies: Mapping[str, int]) -> pd.DataFrame:
    """Trials of these searches (name -> how many make it whole) from the store, and all others as they were published."""
    before = published_trials(chapter)
    fresh = [trials for name, wanted in sorted(studies.items()) if len(trials := tune.trial_table(name)) >= wanted]
    kept = before[~before["study"].isin([trials["study"].iloc[0] for trials in fresh])]
    return pd.concat([table for table in (kept, *fresh) if len(table)] or [before], ignore_index=True)


def behind(results: Results) -> list[str]:
    """Stored runs whose name would be another one with the code as it is now: their behaviour has changed since.

    Args:
        results: rows with `runs` and `specs`.

    Returns:
        Their `run_id`; empty where all are current.
    """
    found = []
    for run in results.runs.to_dict("records"):
        form = results.specs[run["group"]]
        spec = RunSpec.of_group(form, int(run["fold"]), int(run["seed"]))
        if run_id(spec, run["data_fingerprint"], revisions(spec)) != run["run_id"]:
            found.append(run["run_id"])
    return found


def behind_by_chapter() -> dict[str, int]:
    """Chapter -> how many of its stored runs are `behind`."""
    return {chapter: len(behind(results)) for chapter, results in load_all().items()}
