"""GRIDS: chapter -> the specs of its runs, quick and full. Tuned values come from the searches, never from this file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import get_origin, get_type_hints

import pandas as pd
from pydantic import TypeAdapter, ValidationError
from tqdm import tqdm

from sercore import anti_transfer_grid, multi_time_scale_grid, tune
from sercore.conditions import CONDITIONS
from sercore.data.splits import DEFAULT_SCHEME
from sercore.errors import SpecError, StoreError
from sercore.experiment import BASELINES, identify
from sercore.prepare import corpus_of
from sercore.progress import bar
from sercore.results import Results, collect, load_results
from sercore.spec import PAPER_LEAKS, DataSpec, ModelSpec, RunSpec, SplitSpec, TrainingSpec
from sercore.store import RunStore
from sercore.sweep import Sweep, run_all

#: What a quick run trains with: fixed beforehand, for a demonstration on few epochs; no search.
QUICK_TRAINING = TrainingSpec(epochs=15, learning_rate=5e-3, weight_decay=1e-4, batch_size=16, cosine_period_epochs=5)
RESLSTM_SYSTEMS = (*BASELINES, "lstm_sa_h32", "lstm_sa_h64", "lstm_sa_h128", "reslstm_sa_h32", "reslstm_sa_h64", "reslstm_sa_h128")
#: (corpus, protocol) -> seeds of a full run of the ResLSTM-SA chapter.
FULL_SEEDS = {("ravdess", "strict"): 10, ("ravdess", "paper"): 5, ("emodb", "strict"): 5}
#: chapter -> what the study promises to measure, as FULL_SEEDS.
PROMISED = {
    "reslstm_sa": FULL_SEEDS,
    "price_of_leaks": {(corpus, condition): 5 for corpus in ("ravdess", "emodb") for condition in CONDITIONS},
    "ch04_multi_time_scale": multi_time_scale_grid.PROMISED,
    "ch05_anti_transfer": anti_transfer_grid.PROMISED,
}
FULL_FOLDS = 5
#: Arguments of a grid that have options of their own on the command line, and what it gives back.
_OWN_OPTIONS = ("corpus", "profile", "protocol", "systems", "return")


def reslstm_sa(
    corpus: str,
    profile: str,
    protocol: str = "strict",
    systems: Sequence[str] = (),
    folds: int = 0,
    seeds: int = 0,
    variant: str = "definition",
) -> list[RunSpec]:
    """Specs of the ResLSTM-SA chapter on one corpus, without tuned values.

    Args:
        corpus: key of CORPORA.
        profile: `quick` (h32, two folds, two seeds, 15 epochs) or `full` (h64, five folds, ten or five seeds, 100 epochs).
        protocol: `strict` or `paper`.
        systems: names; empty takes the profile's.
        folds, seeds: how many; 0 takes the profile's.
        variant: `definition` or `released`.

    Returns:
        One spec a run, seeds outermost, so that a slice from the front is balanced.

    Raises:
        SpecError: a value is none of these.
    """
    if profile not in ("quick", "full"):
        raise SpecError(f"profile must be quick or full, not {profile!r}")
    if protocol not in ("strict", "paper"):
        raise SpecError(f"protocol must be strict or paper, not {protocol!r}")
    if unknown := [s for s in systems if s not in RESLSTM_SYSTEMS]:
        raise SpecError(f"unknown system {', '.join(unknown)}; known: {', '.join(RESLSTM_SYSTEMS)}")
    full = profile == "full"
    size = "h64" if full else "h32"
    systems = systems or (*BASELINES, f"lstm_sa_{size}", f"reslstm_sa_{size}")
    folds = folds or (FULL_FOLDS if full else 2)
    seeds = seeds or (FULL_SEEDS.get((corpus, protocol), 5) if full else 2)
    leaks = PAPER_LEAKS["reslstm2026"] if protocol == "paper" else ()
    return _runs(corpus, full, DEFAULT_SCHEME[corpus], leaks, systems, folds, seeds, variant)


def _runs(
    corpus: str, full: bool, scheme: str, leaks: tuple[str, ...], systems: Sequence[str], folds: int, seeds: int, variant: str
) -> list[RunSpec]:
    """One spec a seed, system and fold, in this order."""
    return [
        RunSpec(
            data=DataSpec(corpus=corpus),
            split=SplitSpec(scheme=scheme, fold=fold),
            model=ModelSpec(name=system, variant="definition" if system in BASELINES else variant),
            training=TrainingSpec() if full else QUICK_TRAINING,
            leaks=leaks,
            source="reslstm2026",
            seed=seed,
        )
        for seed in range(seeds)
        for system in systems
        for fold in range(folds)
        # a majority class has no seed; the machine's only use of one is the tie-breaking inside libsvm
        if system not in BASELINES or seed == 0
    ]


def price_of_leaks(
    corpus: str,
    profile: str,
    protocol: str = "strict",
    systems: Sequence[str] = (),
    folds: int = 0,
    seeds: int = 0,
    variant: str = "definition",
) -> list[RunSpec]:
    """Specs of one condition of the price list on one corpus, without tuned values.

    Args:
        corpus: key of CORPORA.
        profile: `quick` (four folds, one seed, 15 epochs) or `full` (five folds, five seeds, 100 epochs).
        protocol: a condition: key of `sercore.conditions.CONDITIONS`.
        systems: names; empty takes ResLSTM-SA-h32.
        folds, seeds: how many; 0 takes the profile's.
        variant: `definition` or `released`.

    Returns:
        One spec a run, seeds outermost.

    Raises:
        SpecError: a value is none of these.
    """
    if profile not in ("quick", "full"):
        raise SpecError(f"profile must be quick or full, not {profile!r}")
    if protocol not in CONDITIONS:
        raise SpecError(f"no condition is called {protocol!r}; known: {', '.join(CONDITIONS)}")
    condition, full = CONDITIONS[protocol], profile == "full"
    scheme = condition.scheme(DEFAULT_SCHEME[corpus])
    folds = folds or (FULL_FOLDS if full else 4)  # all folds of the embedded corpus: prices are paired over speakers
    seeds = seeds or (5 if full else 1)
    return _runs(corpus, full, scheme, condition.leaks, systems or ("reslstm_sa_h32",), folds, seeds, variant)


GRIDS: dict[str, Callable[..., list[RunSpec]]] = {
    "reslstm_sa": reslstm_sa,
    "price_of_leaks": price_of_leaks,
    "ch04_multi_time_scale": multi_time_scale_grid.specs,
    "ch05_anti_transfer": anti_transfer_grid.specs,
}


def published_trials(chapter: str) -> pd.DataFrame:
    """Trials that are published with a chapter's results, one row each (columns of `tune.trial_table`); empty where there are none."""
    return load_results(chapter).extras.get(
        "trials", pd.DataFrame(columns=["study", "trial", "state", "value", *tune.SEARCH_SPACE, "seconds"])
    )


def tuned(specs: Sequence[RunSpec], chapter: str, roots: Mapping[str, str | Path] | None = None, search: bool = True) -> list[RunSpec]:
    """The specs with the parameters that their searches chose.

    A search is read from this machine's store, else from the published trials, else it is run (resumable).

    Args:
        specs: of a full grid.
        chapter: whose published trials to look in.
        roots: corpus name -> folder, for a search that has to be run.
        search: False refuses to run one.

    Returns:
        Specs in the same order; baselines, and systems whose values are all published, unchanged.

    Raises:
        StoreError: a search is missing and `search` is False.
    """
    published, chosen = published_trials(chapter), {}
    for spec in specs:
        name = tune.study_name(spec)
        if spec.model.name in BASELINES or name in chosen or not tune.search_of(spec).trials:
            continue
        trials, wanted = tune.trial_table(name), tune.search_of(spec).trials
        if len(trials) < wanted and (published["study"] == name).any():
            trials = published
        elif len(trials) < wanted:
            if not search:
                raise StoreError(f"the search {name} has {len(trials)} of {wanted} trials: run `sercore tune {chapter}` first")
            corpus = corpus_of(spec, roots)
            with bar(total=wanted, label=f"search {name}", unit="trial") as shown:
                trials = tune.tune(tune.searched(spec), corpus, on_trial=partial(_show, shown))
        chosen[name] = tune.best_parameters(trials, name)
    return [
        tune.with_parameters(spec, chosen.get(tune.study_name(spec)) or {}) if spec.model.name not in BASELINES else spec for spec in specs
    ]


def _show(shown: tqdm, done: int, value: float) -> None:
    shown.set_postfix(best=f"{value:.3f}", refresh=False)
    shown.update(done - shown.n)


def chapter_specs(
    chapter: str, corpora: Sequence[str], profile: str, protocols: Sequence[str] = ("strict",), **choices: object
) -> list[RunSpec]:
    """Specs of a chapter over several corpora and protocols; `choices` go to the chapter's grid.

    A full run of several protocols does those that the study promises for the corpus (PROMISED); asked for alone, any protocol is run.

    Raises:
        SpecError: no chapter has that name, or a choice is wrong.
    """
    if chapter not in GRIDS:
        raise SpecError(f"no grid is written for chapter {chapter!r}; known: {', '.join(GRIDS)}")
    pairs = [(corpus, protocol) for corpus in corpora for protocol in protocols]
    if profile == "full" and len(protocols) > 1:
        pairs = [pair for pair in pairs if pair in PROMISED[chapter]]
    return [spec for corpus, protocol in pairs for spec in GRIDS[chapter](corpus, profile, protocol, **choices)]


def choices_of(chapter: str, given: Sequence[str]) -> dict[str, object]:
    """What a chapter's grid can be asked for beside corpus, profile, protocol and systems, from words.

    Args:
        chapter: key of GRIDS.
        given: `KEY=VALUE` or `KEY=VALUE,VALUE`, a key once.

    Raises:
        SpecError: no such chapter or key, a key twice, or a value of another kind.

    Example:
        >>> choices_of("ch05_anti_transfer", ["taps=conv_1,conv_5", "seeds=1"])
        {'taps': ['conv_1', 'conv_5'], 'seeds': 1}
    """
    if chapter not in GRIDS:
        raise SpecError(f"no grid is written for chapter {chapter!r}; known: {', '.join(GRIDS)}")
    hints = {key: hint for key, hint in get_type_hints(GRIDS[chapter]).items() if key not in _OWN_OPTIONS}
    found: dict[str, object] = {}
    for option in given:
        key, equals, value = (part.strip() for part in option.partition("="))
        if key not in hints or not equals:
            raise SpecError(f"{option!r} is no choice of {chapter}: write KEY=VALUE[,..] with one of {', '.join(hints)}")
        if key in found:
            raise SpecError(f"{key} is chosen twice: write {key}=VALUE,VALUE")
        many = get_origin(hints[key]) is not None
        words = [word.strip() for word in value.split(",") if word.strip()] if many else value
        try:
            found[key] = TypeAdapter(hints[key]).validate_python(words)
        except ValidationError as error:
            raise SpecError(f"{option!r}: {error.errors()[0]['msg']}") from error
    return found


def run_chapter(
    chapter: str,
    corpora: Sequence[str],
    profile: str = "quick",
    protocols: Sequence[str] = ("strict",),
    roots: Mapping[str, str | Path] | None = None,
    scheduler: str = "",
    **choices: object,
) -> tuple[Sweep, Results]:
    """Run a chapter's grid, or find it done, and collect its rows.

    Args:
        chapter: key of GRIDS.
        corpora: names.
        profile: `quick` or `full`.
        protocols: of `strict`, `paper`.
        roots: corpus name -> folder; without it `$SERCORE_CORPORA/<name>`.
        scheduler: see `sercore.schedulers.connect`.
        choices: systems, folds, seeds, variant.

    Returns:
        `(sweep, results)`.

    Raises:
        SercoreError: as `chapter_specs`, `tuned` and `run_all`.
    """
    specs = chapter_specs(chapter, corpora, profile, protocols, **choices)
    if profile == "full":
        specs = tuned(specs, chapter, roots)
    sweep = run_all(specs, roots, scheduler)
    return sweep, collect(chapter, {r["run_id"]: r for r in sweep.whole()}.values(), profile=profile)


def finished_runs(specs: Sequence[RunSpec], roots: Mapping[str, str | Path] | None = None, store: RunStore | None = None) -> list[dict]:
    """Records of those specs that are done, whole (group, seed) pairs only: a seed that lacks a fold would change what is pooled.

    Args:
        specs: of one or more grids, with tuned values.
        roots: corpus name -> folder.
        store: None takes the default store.
    """
    store = store or RunStore()
    records: dict[tuple[str, int], list[dict | None]] = {}
    for spec in specs:
        corpus = corpus_of(spec, roots)
        records.setdefault((spec.group, spec.seed), []).append(store.finished(identify(spec, corpus, roots)))
    return [r for whole in records.values() if all(r is not None for r in whole) for r in whole if r is not None]
