"""Hyper-parameter search with Optuna: the same budget for every model, scored on validation speakers, resumable."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import optuna
import pandas as pd
import torch
from optuna.storages.journal import JournalFileBackend

from sercore import metrics, models
from sercore.batching import derive_seed, predict_logits
from sercore.data.corpora import Corpus
from sercore.data.splits import DEFAULT_SCHEME
from sercore.prepare import Prepared, prepare
from sercore.spec import RunSpec, TrainingSpec, store_folder
from sercore.train import fit
from sercore.writing import refusals_named

#: Union of the paper's ranges (Sec. IV-C) and the released notebook's: the range, or the choices.
SEARCH_SPACE: dict[str, tuple[float, float] | tuple[int, ...]] = {
    "learning_rate": (1e-5, 3e-2),
    "weight_decay": (2e-5, 4e-2),
    "dropout": (0.02, 0.5),
    "cosine_period_epochs": (1, 2, 3, 5, 10),
    "batch_size": (4, 8, 16, 32, 64),
}
TRIALS, TRIAL_EPOCHS, TRIAL_FOLDS = 30, 30, (0, 1)


@dataclass(frozen=True)
class Search:
    """What is tried for one group of runs, the same for every system of a table.

    Attributes:
        space: name -> `(low, high)`, or three choices and more.
        trials, epochs, folds: the budget.
        exhaustive: every choice once, instead of a guided search.
    """

    space: Mapping[str, tuple[float, ...]]
    trials: int
    epochs: int
    folds: tuple[int, ...]
    exhaustive: bool = False


#: The weights of L2 regularisation that the released code of multi-time-scale convolution tries; the thesis (ch. 4) names a grid search.
L2_WEIGHTS = (0.0, 0.001, 0.003, 0.01)
RECURRENT_SEARCH = Search(SEARCH_SPACE, TRIALS, TRIAL_EPOCHS, TRIAL_FOLDS)
SPECTROGRAM_SEARCH = Search({"weight_decay": L2_WEIGHTS}, len(L2_WEIGHTS), 15, TRIAL_FOLDS, exhaustive=True)
#: The thesis (ch. 5 to 7) states one set of values for all trainings and searches none.
NO_SEARCH = Search({}, 0, 0, ())
#: A trial is stopped when it lags the median of the earlier ones; the first ones run whole.
_PRUNER = {"n_startup_trials": 8, "n_warmup_steps": 10}


def search_of(spec: RunSpec) -> Search:
    """The search that a run's system gets; NO_SEARCH, without a trial, where the publication states every value."""
    if spec.model.name in models.BACKBONES:
        return NO_SEARCH
    return SPECTROGRAM_SEARCH if spec.model.name in models.SPECTROGRAM else RECURRENT_SEARCH


def suggest(trial: optuna.Trial, space: Mapping[str, tuple[float, ...]] = SEARCH_SPACE) -> dict[str, float | int]:
    """One point of a space: rates on a logarithmic scale, dropout on a linear one, the rest from their choices."""
    return {
        name: trial.suggest_float(name, *values, log=name != "dropout") if len(values) == 2 else trial.suggest_categorical(name, values)
        for name, values in space.items()
    }


def with_parameters(spec: RunSpec, parameters: dict[str, float | int]) -> RunSpec:
    """The spec with tuned values in place of its own.

    Args:
        spec: any run.
        parameters: keys of SEARCH_SPACE.

    Returns:
        A new spec, validated.

    Raises:
        pydantic.ValidationError: a value is out of range or a key is unknown.
    """
    training = {**spec.training.model_dump(), **{k: v for k, v in parameters.items() if k != "dropout"}}
    model = {**spec.model.model_dump(), "dropout": parameters.get("dropout", spec.model.dropout)}
    return RunSpec.model_validate({**spec.model_dump(), "training": training, "model": model})


def searched(spec: RunSpec) -> RunSpec:
    """The run whose search gives this one its parameters.

    Under `strict` and `paper` it is the run itself. Where leaks are switched on one by one, nothing but the leak may differ from strict:
    so its parameters are those of strict, or, with the leak `tuned_on_test`, those of the search that looks at the test side of strict.
    """
    if spec.protocol in ("strict", "paper"):
        return spec
    leaks = ("tuned_on_test",) if "tuned_on_test" in spec.leaks else ()
    split = spec.split.model_copy(update={"scheme": DEFAULT_SCHEME.get(spec.data.corpus, spec.split.scheme)})
    return spec.model_copy(update={"leaks": leaks, "split": split})


def study_name(spec: RunSpec) -> str:
    """Name of the search whose result a group of runs uses."""
    spec = searched(spec)
    objective = "validation" if not spec.leaks else "test" if spec.protocol == "paper" else "test_alone"
    settings = [spec.model.settings] if spec.model.settings else []
    settings += [spec.data.noise.label] if spec.data.noise else []
    task = [spec.data.task] if spec.data.task != "emotion" else []
    return ".".join([spec.data.corpus, spec.model.name, *settings, spec.model.variant, *task, spec.split.scheme, objective])


def tune(
    spec: RunSpec,
    corpus: Corpus,
    trials: int = 0,
    epochs: int = 0,
    folds: Sequence[int] = (),
    on_trial: Callable[[int, float], None] | None = None,
) -> pd.DataFrame:
    """Search, or go on with a search that was interrupted.

    The objective is the mean over folds of the best epoch's UAR on the fold's validation speakers; with the leak `tuned_on_test`
    declared it is the UAR of the fold's test speakers, as the authors' code has it. Each trial's draw depends only on the trials before
    it, so an interrupted search ends where an uninterrupted one would.

    Args:
        spec: the group to tune; its fold and seed are not used.
        corpus: with audio ids.
        trials: to have when done, pruned ones included; 0 takes the budget of `search_of`.
        epochs: a fold of a trial; 0 likewise.
        folds: of the split scheme; empty likewise.
        on_trial: called with the number done and the best value so far.

    Returns:
        `trial_table` of the study, one row a trial.

    Raises:
        LeakError: the objective would need test labels that the spec does not declare.

    Differs from the paper: ResLSTM-SA 30 trials of 30 epochs on two folds instead of 100 trials; the paper names no objective, the
    authors' code takes the test folds. Multi-time-scale: each L2 weight on two folds, for the standard layer and each set of scales
    alike; the thesis chose the best of twelve (weight, scales) for its layer and of four weights for the standard one.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = _storage()
    spec = searched(spec)
    name, search = study_name(spec), search_of(spec)
    trials, epochs, folds = trials or search.trials, epochs or search.epochs, folds or search.folds
    sides = [prepare(spec.model_copy(update={"split": spec.split.model_copy(update={"fold": f})}), corpus) for f in folds]
    threads = torch.get_num_threads()
    torch.set_num_threads(spec.threads)
    try:
        while (done := _finished(storage, name)) < trials:
            sampler = _sampler(search, name, done)
            study = optuna.create_study(
                storage=storage,
                study_name=name,
                direction="maximize",
                sampler=sampler,
                pruner=optuna.pruners.MedianPruner(**_PRUNER),
                load_if_exists=True,
            )
            with refusals_named(store_folder() / "tuning"):
                study.optimize(lambda trial: _objective(trial, spec, search, sides, epochs), n_trials=1)
            if on_trial is not None:
                on_trial(done + 1, study.best_value)
    finally:
        torch.set_num_threads(threads)
    return trial_table(name)


def _storage() -> optuna.storages.JournalStorage:
    folder = store_folder() / "tuning"
    folder.mkdir(parents=True, exist_ok=True)
    return optuna.storages.JournalStorage(JournalFileBackend(str(folder / "trials.log")))


def _finished(storage: optuna.storages.BaseStorage, name: str) -> int:
    if name not in optuna.get_all_study_names(storage):
        return 0
    return sum(t.state.is_finished() for t in optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False))


def _sampler(search: Search, study: str, done: int) -> optuna.samplers.BaseSampler:
    if search.exhaustive:  # its seed orders the grid, so it is one for all trials of a study
        return optuna.samplers.GridSampler({name: list(values) for name, values in search.space.items()}, seed=derive_seed(study))
    return optuna.samplers.TPESampler(seed=derive_seed(study, done))


def _objective(trial: optuna.Trial, spec: RunSpec, search: Search, sides: Sequence[Prepared], epochs: int) -> float:
    tuned = with_parameters(spec, suggest(trial, search.space))
    training: TrainingSpec = tuned.training.model_copy(update={"epochs": epochs})
    scores: list[float] = []
    for number, side in enumerate(sides):
        seed = derive_seed("trial", trial.number, number)
        torch.manual_seed(seed)
        model = models.build_for(tuned, side.train.frames[0].shape[1], len(side.labels), len(side.train.frames[0]))
        best = -np.inf

        def watch(row: dict[str, float], number: int = number) -> None:
            nonlocal best
            best = max(best, row["validation_uar"])
            trial.report(float(np.mean([*scores, best])), step=number * epochs + int(row["epoch"]))
            if trial.should_prune():
                raise optuna.TrialPruned

        fit(model, side.train, side.validation, training, seed, on_epoch=watch)
        if "tuned_on_test" in spec.leaks:
            truth = side.evaluator.reveal("tuned_on_test")
            best = metrics.uar(truth, predict_logits(model, side.test.frames).argmax(axis=1))
        scores.append(best)
    return float(np.mean(scores))


def trial_table(name: str) -> pd.DataFrame:
    """Finished trials of a study.

    Args:
        name: `study_name(spec)`.

    Returns:
        Columns `study, trial, state (complete | pruned), value, learning_rate, weight_decay, dropout, cosine_period_epochs,
        batch_size, seconds`; value is a UAR in [0, 1], of a pruned trial the last one reported.
    """
    storage = _storage()
    rows = []
    for trial in (
        optuna.load_study(study_name=name, storage=storage).get_trials(deepcopy=False)
        if name in optuna.get_all_study_names(storage)
        else []
    ):
        if trial.state.is_finished() and trial.params:
            seconds = trial.duration.total_seconds() if trial.duration else float("nan")
            rows.append(
                {
                    "study": name,
                    "trial": trial.number,
                    "state": trial.state.name.lower(),
                    "value": trial.value,
                    **trial.params,
                    "seconds": round(seconds, 1),
                }
            )
    return pd.DataFrame(rows, columns=["study", "trial", "state", "value", *SEARCH_SPACE, "seconds"])


def best_parameters(trials: pd.DataFrame, name: str) -> dict[str, float | int] | None:
    """Parameters of the best complete trial of a study; None where it has none with a value (NaN is none).

    Args:
        trials: rows of `trial_table`.
        name: study.
    """
    rows = trials[(trials["study"] == name) & (trials["state"] == "complete") & trials["value"].notna()]
    if rows.empty:
        return None
    best = rows.loc[rows["value"].idxmax()]
    whole = ("cosine_period_epochs", "batch_size")
    tried = [key for key in SEARCH_SPACE if pd.notna(best[key])]  # a search may leave some of them as they are
    return {key: int(best[key]) if key in whole else float(best[key]) for key in tried}
