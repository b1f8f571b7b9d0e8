"""Leaks of what a run fitted or chose: feature statistics, the epoch, the hyper-parameters. Looked for in what the run left behind."""

from __future__ import annotations

import numpy as np
import pandas as pd
from safetensors import SafetensorError
from safetensors.numpy import load_file
from scipy.special import logsumexp

from sercore import tune
from sercore.errors import CorpusError
from sercore.experiment import BASELINES
from sercore.features.cache import corpus_features
from sercore.leak_audit.cases import Case
from sercore.leak_audit.outcome import FOUND, NOT_FOUND, Found, Outcome, unchecked
from sercore.prepare import fitted
from sercore.results import load_all
from sercore.store import RunStore

#: Largest difference of stored and computed statistics, in deviations: stored as float32.
_EQUAL = 1e-4
#: Relative difference up to which two mean losses are the same loss of the same items.
_SAME_LOSS = 1e-4


def normaliser(case: Case) -> Outcome:
    """Stored feature statistics against those of the training side and of all items."""
    declared = "global_normaliser" if "global_normaliser" in case.declared else ""
    missing = _no_run(case) or (not (case.folder and (case.folder / "weights.safetensors").exists()) and "the run has no stored statistics")
    if missing:
        own = "" if case.kind == "table" else "; they are taken from the training side unless the leak is declared"
        return _declared_or(declared, missing + own, case)
    if not case.sides or case.corpus is None or case.spec is None or case.folder is None:
        return _declared_or(declared, case.unknown, case)
    try:
        stored = load_file(case.folder / "weights.safetensors")
        features = corpus_features(case.corpus, case.spec.features)
    except (OSError, SafetensorError, CorpusError) as error:
        return unchecked(f"{error}")
    train = fitted(case.spec.features, [features[i] for i in (*case.sides["train"], *case.copies)])
    whole = fitted(case.spec.features, [features[i] for i in case.items["item_id"]])
    here, there = (float(np.max(np.abs(stored["normaliser.mean"] - one.mean) / one.deviation)) for one in (train, whole))
    if here <= _EQUAL:
        return Outcome(NOT_FOUND, f"the stored means are those of the training side (largest difference {here:.1e} deviations)")
    if there <= _EQUAL:
        what = f"the stored means are those of all {len(case.items)} items, not of the training side ({here:.1e} deviations apart)"
        return Outcome(FOUND, "", (Found(what, (), declared),))
    return unchecked(f"the stored means are neither those of the training side ({here:.1e} deviations apart) nor of all ({there:.1e})")


def epoch(case: Case) -> Outcome:
    """The kept epoch against the history; the loss that chose it against the loss on the test side."""
    declared = "validation_is_test" if "validation_is_test" in case.declared else ""
    if reason := _no_run(case):
        return _declared_or(declared, reason, case)
    if case.folder is None or case.spec is None or case.record is None:
        return _declared_or(declared, "history and scores of single runs are not published", case)
    runs = RunStore(case.folder.parents[1])
    history, predictions = runs.history(case.folder.name), runs.predictions(case.folder.name)
    if history.empty:
        return Outcome(NOT_FOUND, "the system is not trained in epochs")
    scores = history["validation_uar"] if case.spec.training.select_by == "validation_uar" else -history["validation_loss"]
    best, kept = int(history.loc[scores.idxmax(), "epoch"]), int(case.record["best_epoch"])
    if best != kept:
        return Outcome(FOUND, "", (Found(f"epoch {kept} is kept, validation would choose epoch {best}", (), declared),))
    chosen = float(history.loc[history["epoch"] == kept, "validation_loss"].iloc[0])
    tested = _loss(predictions)
    says = f"epoch {kept} of {len(history)} is the best on validation; its loss is {chosen:.4f} there, {tested:.4f} on test"
    if abs(chosen - tested) <= _SAME_LOSS * abs(tested):
        return Outcome(FOUND, "", (Found(f"{says}: both are the same items", (), declared),))
    return Outcome(NOT_FOUND, says)


def _loss(predictions: pd.DataFrame) -> float:
    """Mean cross-entropy of the test side, from the stored scores (logits)."""
    labels = [name.removeprefix("score_") for name in predictions.columns if name.startswith("score_")]
    scores = predictions[[f"score_{label}" for label in labels]].to_numpy()
    truth = predictions["truth"].map({label: k for k, label in enumerate(labels)}).to_numpy()
    return float(np.mean(logsumexp(scores, axis=1) - scores[np.arange(len(scores)), truth]))


def search(case: Case) -> Outcome:
    """The values that the run trains with against the searches that are known, in the store and published."""
    declared = "tuned_on_test" if "tuned_on_test" in case.declared else ""
    if case.spec is None:
        return _declared_or(declared, "a split table says nothing of a search", case)
    if case.spec.model.name in BASELINES:
        return Outcome(NOT_FOUND, "the system has no searched hyper-parameters")
    if not tune.search_of(case.spec).trials:
        return Outcome(NOT_FOUND, "every value is the publication's; none is searched")
    spec = case.spec
    values = {**spec.training.model_dump(), "dropout": spec.model.dropout}
    searches = tune.study_name(spec.model_copy(update={"leaks": ()})).removesuffix("validation")
    for objective in ("test", "test_alone", "validation"):
        name = searches + objective
        chosen = _chosen(name, tune.search_of(spec).trials)
        if chosen and all(np.isclose(values[key], value, rtol=1e-5) for key, value in chosen.items()):
            if objective != "validation":
                return Outcome(FOUND, "", (Found(f"the values are those of the search {name}, scored on test speakers", (), declared),))
            folds = ", ".join(map(str, tune.search_of(spec).folds))
            return Outcome(
                NOT_FOUND,
                f"the values are those of the search {name}, scored on validation speakers of folds {folds} (tested in other folds)",
            )
    return _declared_or(declared, "no search that is known ends in these values", case)


def _chosen(name: str, wanted: int) -> dict[str, float | int] | None:
    tables = [results.extras["trials"] for results in load_all().values() if "trials" in results.extras]
    for trials in (*_stored_trials(name, wanted), *tables):
        if chosen := tune.best_parameters(trials, name):
            return chosen
    return None


def _stored_trials(name: str, wanted: int) -> list[pd.DataFrame]:
    if not (RunStore().folder.parent / "tuning" / "trials.log").is_file():
        return []
    trials = tune.trial_table(name)
    return [trials] if len(trials) >= wanted else []


def _no_run(case: Case) -> str:
    if case.kind == "table":
        return "a split table says nothing of what is fitted on it"
    return "nothing is fitted yet" if case.kind == "spec" else ""


def _declared_or(declared: str, why: str, case: Case) -> Outcome:
    """A leak that cannot be looked for: where it is declared it is taken at its word."""
    if declared:
        switch = "is declared" if case.kind == "table" else "the specification switches it on"
        return Outcome(FOUND, f"taken at its word: {why}", (Found(switch, (), declared),))
    return unchecked(why)
