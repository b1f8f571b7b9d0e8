"""Facts and settings of the sources, each computed from our code: what a network has, what a corpus holds, what a default is.

A check is written `name:argument` in map.csv; CHECKS is the table of all names. torch is imported only by the checks that build a
network, so the ledger opens without it.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from functools import cache

from sercore.data.folds import positional_cut
from sercore.ledger import at_checks, corpus_checks, mts_checks, stored_checks
from sercore.ledger.claims import LedgerError, agrees, number
from sercore.ledger.facts import Fact, Missing
from sercore.results import Results
from sercore.spec import FeatureSpec, TrainingSpec


def compute(check: str, results: Results) -> Fact | Missing:
    """Ours for one check.

    Args:
        check: `name:argument`, name in CHECKS.
        results: stored rows, for the checks that look at what was run.

    Returns:
        The fact, or what is missing where it needs runs or recordings that are not there.

    Raises:
        LedgerError: no check has that name.
    """
    name, _, argument = check.partition(":")
    if name not in CHECKS:
        raise LedgerError(f"map.csv asks for the check {name!r}; known: {', '.join(CHECKS)}")
    return CHECKS[name](argument, results)


def holds(fact: Fact, printed: str, note: str = "") -> bool:
    """Whether ours is what was printed: numbers to the printed digits, a list as a set, one value as a member of ours, words alike."""
    if isinstance(fact.value, str):
        return fact.value.casefold() == printed.casefold()
    if isinstance(fact.value, tuple):
        listed: set[float | str | None] = {
            number(part.strip()) if number(part.strip()) is not None else part.strip() for part in printed.split(",")
        }
        return listed == set(fact.value) if "," in printed else listed <= set(fact.value)
    return agrees(fact.value, printed, note)


@cache
def _network(name: str):  # type: ignore[no-untyped-def]
    """A freshly initialised network; the generator's state is put back, as a page must not change what a run draws."""
    import torch

    from sercore import models

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return models.build(name)


def count_parameters(name: str) -> int:
    """Trainable parameters of a registered network, at 46 features and 8 classes."""
    return sum(p.numel() for p in _network(name).parameters() if p.requires_grad)


def _parameters(name: str, results: Results) -> Fact:
    return Fact(count_parameters(name), f"sercore.models.MODELS[{name!r}]")


def _parameter_ratio(names: str, results: Results) -> Fact:
    first, second = names.split("/")
    return Fact(count_parameters(first) / count_parameters(second), "the parameter counts of sercore.models")


def _parameter_orders(names: str, results: Results) -> Fact:
    large, small = names.split("/")
    return Fact(math.floor(math.log10((number(large) or 0) / count_parameters(small))), "whole powers of ten between the two counts")


def _hidden_sizes(_: str, results: Results) -> Fact:
    from sercore.models import MODELS

    return Fact(tuple(sorted({float(name.rsplit("_h", 1)[1]) for name in MODELS if "lstm_sa_h" in name})), "sercore.models.MODELS")


def _layer(path: str, results: Results) -> Fact:
    layer, attribute = path.split(".")
    return Fact(getattr(getattr(_network("reslstm_sa_h64"), layer), attribute), "sercore.models.reslstm_sa")


def _initial(what: str, results: Results) -> Fact:
    """Biases of the initialised LSTM (both vectors of a gate together), or the law of its recurrent weights."""
    lstm = _network("reslstm_sa_h64").lstm_2
    size = lstm.hidden_size
    both = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach()
    if what == "forget_bias":
        return Fact(round(both[size : 2 * size].mean().item(), 6), "sercore.layers.recurrent.initialise_lstm")
    if what == "gate_bias":
        others = both[[i for i in range(4 * size) if not size <= i < 2 * size]]
        return Fact(others.abs().max().item(), "sercore.layers.recurrent.initialise_lstm")
    expected = math.sqrt(2 / (size + size))  # Xavier's normal law for one gate's square matrix
    spread = lstm.weight_hh_l0.detach().std().item()
    return Fact(
        "Xavier normal" if abs(spread / expected - 1) < 0.05 else f"standard deviation {spread:.3f}",
        "sercore.layers.recurrent.initialise_lstm",
    )


def _feature(name: str, results: Results) -> Fact:
    return Fact(getattr(FeatureSpec(), name), f"sercore.spec.FeatureSpec.{name}")


def _training(name: str, results: Results) -> Fact:
    return Fact(getattr(TrainingSpec(), name), f"sercore.spec.TrainingSpec.{name}")


def _search(path: str, results: Results) -> Fact:
    from sercore.tune import SEARCH_SPACE

    name, part = path.split(".")
    space = SEARCH_SPACE[name]
    value = {"min": space[0], "max": space[-1], "choices": tuple(float(v) for v in space)}[part]
    return Fact(value, f"sercore.tune.SEARCH_SPACE[{name!r}]")


def _search_size(_: str, results: Results) -> Fact:
    from sercore.tune import SEARCH_SPACE

    return Fact(len(SEARCH_SPACE), "sercore.tune.SEARCH_SPACE")


def _search_method(_: str, results: Results) -> Fact:
    from sercore import tune

    return Fact("Optuna with TPE" if "optuna.samplers.TPESampler(" in inspect.getsource(tune) else "another sampler", "sercore.tune.tune")


def _split(path: str, results: Results) -> Fact:
    from sercore.data import splits

    scheme, what = path.split(".")
    where = f"sercore.data.splits.SCHEMES[{scheme!r}]"
    if what == "folds":
        return Fact(splits.SCHEMES[scheme][0], where)
    if what in ("train", "validation", "test"):  # shares of ten speakers, in per cent, as the released code cuts a list
        sides = dict(zip(("train", "validation", "test"), positional_cut(10, 4, 0), strict=True))
        return Fact(100 * len(sides[what]) / 10, "sercore.data.folds.positional_cut, for ten speakers")
    everyone = sorted(s for fold in splits.LUNA_JIMENEZ_TEST for s in fold)
    apart = len(everyone) == len(set(everyone)) == 24 and len(splits.LUNA_JIMENEZ_TEST) == 5
    return Fact("speaker-independent 5-fold of Luna-Jimenez et al." if apart else "another partition", where)


def _optimizer(_: str, results: Results) -> Fact:
    from sercore import train

    return Fact("Adam" if "torch.optim.Adam(" in inspect.getsource(train.fit) else "another optimiser", "sercore.train.fit")


def _loss(named: str, results: Results) -> Fact:
    from sercore import train

    found = "functional.cross_entropy(logits, labels" in inspect.getsource(train)
    return Fact((named or "categorical cross-entropy") if found else "another loss", "sercore.train.fit")


def _schedule(_: str, results: Results) -> Fact:
    """Half-way through a cosine period the rate is the mean of its ends; the next period starts at the top."""
    from sercore.train import learning_rate

    training = TrainingSpec(cosine_period_epochs=4)
    rates = [learning_rate(training, epoch) for epoch in (0, 2, 4)]
    middle = training.learning_rate * (1 + training.cosine_floor) / 2
    cosine = math.isclose(rates[1], middle) and rates[0] == rates[2] == training.learning_rate
    return Fact("cosine annealing" if cosine else "another schedule", "sercore.train.learning_rate")


def _stored_seeds(_: str, results: Results) -> Fact | Missing:
    groups = results.groups
    rows = groups[groups["corpus"].eq("ravdess") & groups["system"].str.contains("lstm_sa_h") & groups["protocol"].eq("strict")]
    return Fact(int(rows["seeds"].max()), "the stored strict runs on RAVDESS") if len(rows) else Missing()


def _unstated(what: str, results: Results) -> Fact:
    """What we had to choose where the source is silent."""
    name, _, rest = what.partition(".")
    if name == "feature":
        value = getattr(FeatureSpec(), rest)
        return Fact(
            f"{value:.4g}" + (" ms" if rest.endswith("_ms") else ""), f"the released notebook's, sercore.spec.FeatureSpec.{rest}", False
        )
    if name == "trials":
        from sercore.tune import TRIALS

        return Fact(f"{TRIALS} trials", "sercore.tune.TRIALS; the released notebook has 100", False)
    known = {
        "card": ("48 kHz, not resampled", "the released notebook's"),
        "sequence": ("whole recordings, padding left out of attention", "sercore.models.reslstm_sa"),
        "tuned": ("found by our own search", "trials.csv of the stored results"),
    }
    return Fact(*known[name], False)


def _cited(_: str, results: Results) -> Fact:
    return Fact("", "cited work of others, not measured here", False)


def _example(_: str, results: Results) -> Fact:
    return Fact("", "read off one example figure whose recording is not named", False)


CHECKS: dict[str, Callable[[str, Results], Fact | Missing]] = {
    "parameters": _parameters,
    "parameter_ratio": _parameter_ratio,
    "parameter_orders": _parameter_orders,
    "hidden_sizes": _hidden_sizes,
    "layer": _layer,
    "initial": _initial,
    "card": corpus_checks.card,
    "datasets": corpus_checks.datasets,
    "picture": corpus_checks.picture,
    "feature": _feature,
    "training": _training,
    "search": _search,
    "search_size": _search_size,
    "search_method": _search_method,
    "split": _split,
    "optimizer": _optimizer,
    "loss": _loss,
    "schedule": _schedule,
    "stored_seeds": _stored_seeds,
    "unstated": _unstated,
    "cited": _cited,
    "example": _example,
    **mts_checks.CHECKS,
    **at_checks.CHECKS,
    **stored_checks.CHECKS,
}
