"""The grid of thesis chapter 5: target corpora x networks x what is transferred (nothing, weights, anti-transfer, controls) x taps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sercore.anti_transfer_tasks import (
    DIVISIONS,
    NOISE_LEVELS,
    ORTHOGONAL,
    TARGETS,
    default_noises,
    default_tasks,
    division_of,
    hears_the_target,
    n_folds,
    noise_of,
)
from sercore.data.corpora import CORPORA
from sercore.errors import SpecError
from sercore.experiment import BASELINES
from sercore.models import BACKBONES
from sercore.spec import AntiTransferSpec, DataSpec, FeatureSpec, ModelSpec, RunSpec, SplitSpec, TrainingSpec

#: What is transferred, in the order of the tables. `dual` is two runs: anti-transfer against the first task, then against
#: the second, from the first's weights.
METHODS = {
    "none": "nothing: the network learns from the target alone",
    "wi": "the convolutions start from those of the orthogonal task",
    "wi_frozen": "the same, and those up to the tap stay as they are",
    "at": "anti-transfer: the features at the tap are kept unlike those of the orthogonal task",
    "at_random": "the same against a network that has learned nothing: the control",
    "at_inverse": "beta -1: the features are kept alike",
    "at_wi": "weights and anti-transfer of the same orthogonal task",
    "dual": "anti-transfer against one task, then, from those weights, against another",
}
#: (corpus, protocol) -> seeds that the study promises: VGG16 of an eighth of the width, the methods of PROMISED_METHODS at PROMISED_TAP.
PROMISED = {("emodb", "strict"): 5}
PROMISED_METHODS = ("none", "wi", "at", "at_random")
#: Fixed beforehand: the layer that the thesis reports as the best one for emotions (Sec. 5.4.3).
PROMISED_TAP = "conv_5"
#: Text: Adam, rate 0.0005, batches of 13, no L2, at most 50 epochs, patience of 5 on the validation loss (Sec. 5.3.2).
FULL_TRAINING = TrainingSpec(
    epochs=50, learning_rate=5e-4, weight_decay=0.0, batch_size=13, cosine_period_epochs=1, patience_epochs=5, select_by="validation_loss"
)
#: Fixed beforehand, for a demonstration on few recordings.
QUICK_TRAINING = FULL_TRAINING.model_copy(update={"epochs": 6, "learning_rate": 1e-3})
#: Epochs of an orthogonal task, at least: a network that has not learned its task is no better than a random one.
FEWEST_PRETRAINING_EPOCHS = 24
#: size -> (sampling rate in Hz, hop in ms): bins are half of 16 ms of samples, so 128, 64 and 32.
SIZES = {"whole": (16000, 8.0), "reduced": (8000, 16.0), "small": (4000, 16.0)}
WIDTHS = {"whole": 1.0, "reduced": 1 / 8, "small": 1 / 16}


def features_of(corpus: str, size: str) -> FeatureSpec:
    """Magnitudes of 16-ms windows in segments; one mean and one deviation for all bins.

    Args:
        corpus: key of TARGETS.
        size: `whole` (every 8 ms, 16 kHz: 4 s are 512 x 128, as in the thesis), `reduced` (every 16 ms, 8 kHz: 256 x 64) or `small`
            (every 16 ms, 4 kHz, segments of 2 s: 128 x 32).

    Raises:
        SpecError: the corpus is no target, or no size has that name.

    Example:
        >>> features_of("emodb", "reduced").segment_frames
        256
    """
    if corpus not in TARGETS:
        raise SpecError(f"{corpus} is no target of anti-transfer; known: {', '.join(TARGETS)}")
    if size not in SIZES:
        raise SpecError(f"no size is called {size!r}; known: {', '.join(SIZES)}")
    rate, hop_ms = SIZES[size]
    segment_s = min(TARGETS[corpus].segment_s, 2.0) if size == "small" else TARGETS[corpus].segment_s
    frames = -(-round(1 + segment_s * 1000 / hop_ms) // 32) * 32  # poolings halve five times
    return FeatureSpec(
        kind="stft", window_ms=16.0, hop_ms=hop_ms, sample_rate_hz=rate, normaliser="scalar", segment_s=segment_s, segment_frames=frames
    )


def specs(
    corpus: str,
    profile: str,
    protocol: str = "strict",
    systems: Sequence[str] = (),
    folds: int = 0,
    seeds: int = 0,
    variant: str = "definition",
    methods: Sequence[str] = (),
    taps: Sequence[str] = (),
    tasks: Sequence[str] = (),
    size: str = "",
    epochs: int = 0,
    betas: Sequence[float] = (),
    aggregations: Sequence[str] = (),
    measures: Sequence[str] = (),
    divisions: Sequence[str] = (),
    noises: Sequence[str] = (),
    noise_corpus: str = "",
) -> list[RunSpec]:
    """Specs of the chapter on one corpus.

    Args:
        corpus: key of TARGETS.
        profile: `quick` (one fold, one seed, 6 epochs, size `small`) or `full` (all folds, five seeds, size `reduced`, 50 epochs at most).
        protocol: `strict`, or `paper` (folds by position in the list of files, quiet files dropped).
        systems: names of BACKBONES or baselines; empty takes baselines and VGG16 with adaptive pooling.
        folds, seeds, epochs: how many; 0 takes the profile's.
        variant: of network and loss, `definition` or `released`.
        methods: keys of METHODS; empty takes none, wi, at and at_random.
        taps: of anti-transfer, one run each; empty takes conv_5.
        tasks: keys of ORTHOGONAL; empty takes speakers of another corpus. `dual` needs two: the first, then the second.
        size: key of SIZES; empty takes the profile's. The width goes with it: 1, 1/8 or 1/16.
        betas, aggregations, measures: of method `at`, one run for each combination; empty takes 1, Gram matrices, squared cosine.
        divisions: keys of DIVISIONS; empty takes speakers.
        noises: keys of NOISE_LEVELS; empty takes none.
        noise_corpus: key of CORPORA, its recordings are the noises; empty takes MS-SNSD, for the embedded voices the embedded noises.

    Returns:
        One spec a run: the orthogonal tasks that are used (one run each, whatever the seeds), then seeds outermost, so that a slice from
        the front is balanced. A run that needs others has them as its parents; where one of them has heard the target's own recordings
        or noises, as in a part of the thesis' pairs, the leak `pretraining_overlap` is declared.

    Raises:
        SpecError: a value is none of these.
    """
    for what, value, known in (("profile", profile, ("quick", "full")), ("protocol", protocol, ("strict", "paper"))):
        if value not in known:
            raise SpecError(f"{what} must be {' or '.join(known)}, not {value!r}")
    full, target = profile == "full", TARGETS.get(corpus)
    size = size or ("reduced" if full else "small")
    features, training = features_of(corpus, size), FULL_TRAINING if full else QUICK_TRAINING
    assert target is not None
    systems = tuple(systems) or (*BASELINES, "vgg16_pool")
    _known("system", systems, (*BACKBONES, *BASELINES))
    methods, tasks = tuple(methods) or PROMISED_METHODS, tuple(tasks) or default_tasks(corpus)
    _known("method", methods, METHODS)
    _known("task", tasks, ORTHOGONAL)
    if "dual" in methods and len(tasks) < 2:
        raise SpecError(f"dual anti-transfer needs two tasks, got {', '.join(tasks)}")
    training = training.model_copy(update={"epochs": epochs}) if epochs else training
    losses = [
        AntiTransferSpec.model_validate({"taps": (PROMISED_TAP,), "beta": b, "aggregation": a, "measure": m, "variant": variant})
        for a in tuple(aggregations) or ("gram",)
        for m in tuple(measures) or ("squared_cosine",)
        for b in tuple(betas) or (1.0,)
    ]
    model = ModelSpec(name=systems[-1], variant=variant, dropout=0.5 if full else 0.0, width=WIDTHS[size])
    found: list[RunSpec] = []
    for seed in range(seeds or (5 if full else 1)):
        for data, scheme, leaks in _divided(corpus, protocol, divisions, noises, noise_corpus):
            split, wanted = SplitSpec(scheme=scheme), folds or (1 if not full or protocol == "paper" else n_folds(scheme, corpus))
            base = RunSpec(data=data, split=split, model=model, features=features, training=training, leaks=leaks, source="thesis")
            for name in systems:
                for made in _of_system(base, name, methods, tuple(taps) or (PROMISED_TAP,), tasks, losses):
                    found += [_placed(made, fold, seed) for fold in range(wanted) if name not in BASELINES or seed == 0]
    first = dict.fromkeys(parent for run in found for parent in _ancestors(run) if not parent.parents)
    return [*first, *found]


def _divided(
    corpus: str, protocol: str, divisions: Sequence[str], noises: Sequence[str], noise_corpus: str
) -> list[tuple[DataSpec, str, tuple[str, ...]]]:
    """Recordings, scheme and leaks for each division and level of noise."""
    divisions, noises, noise_corpus = tuple(divisions) or ("speakers",), tuple(noises) or ("none",), noise_corpus or default_noises(corpus)
    _known("division", divisions, DIVISIONS)
    _known("level of noise", noises, NOISE_LEVELS)
    _known("corpus of noises", [noise_corpus], CORPORA)
    task = TARGETS[corpus].task
    every = [DataSpec.model_validate({"corpus": corpus, "task": task, "noise": noise_of(level, noise_corpus)}) for level in noises]
    return [(data, *division_of(corpus, division, protocol)) for division in divisions for data in every]


def _ancestors(run: RunSpec) -> list[RunSpec]:
    return [one for parent in run.parents for one in (parent, *_ancestors(parent))]


def orthogonal_run(name: str, like: RunSpec) -> RunSpec:
    """The run of an orthogonal task: network, features and training of the runs that use it, fold 0, seed 0, strict.

    Args:
        name: key of ORTHOGONAL.
        like: a run that will use it.
    """
    task, model = ORTHOGONAL[name], without_transfer(like).model
    data, split = DataSpec.model_validate({"corpus": task.corpus, "task": task.task}), SplitSpec(scheme=task.scheme)
    training = like.training.model_copy(update={"epochs": max(like.training.epochs, FEWEST_PRETRAINING_EPOCHS)})
    return RunSpec(data=data, split=split, model=model, features=like.features, training=training, source="thesis")


def _of_system(
    base: RunSpec, name: str, methods: Sequence[str], taps: Sequence[str], tasks: Sequence[str], losses: Sequence[AntiTransferSpec]
) -> list[RunSpec]:
    """Each method once, those with a tap once a tap, those with a task once a task."""
    if name in BASELINES:
        plain = {"model": ModelSpec(name=name), "features": FeatureSpec(), "training": TrainingSpec()}
        return [base.model_copy(update=plain)]
    base = base.model_copy(update={"model": base.model.model_copy(update={"name": name})})
    found = []
    for method in methods:
        tapped = taps if method not in ("none", "wi") else taps[:1]
        asked = tasks[:1] if method in ("none", "at_random", "dual") else tasks
        for tap in tapped:
            for task in asked:
                parents = [orthogonal_run(one, base) for one in (tasks[:2] if method == "dual" else (task,))]
                found += [_declared(_with(base, method, parents, tap, loss)) for loss in (losses if method == "at" else losses[:1])]
    return found


def _with(base: RunSpec, method: str, tasks: Sequence[RunSpec], tap: str, loss: AntiTransferSpec) -> RunSpec:
    """The run with what is transferred."""
    loss = loss.model_copy(update={"taps": (tap,)})
    started = {"initial_weights": "parent_features", "frozen_until": tap if method == "wi_frozen" else ""}
    weights = base.model.model_copy(update=started)
    if method == "none":
        return base
    if method in ("wi", "wi_frozen"):
        return _valid(base, model=weights, parents=tuple(tasks))
    if method == "at_random":
        return _valid(base, anti_transfer=loss.model_copy(update={"against": "random"}))
    if method == "at_inverse":
        loss = loss.model_copy(update={"beta": -loss.beta})
    if method == "at_wi":
        return _valid(base, model=weights, parents=(tasks[0], tasks[0]), anti_transfer=loss)
    if method == "dual":
        first = _declared(_valid(base, parents=(tasks[0],), anti_transfer=loss))
        return _valid(base, model=weights, parents=(first, tasks[1]), following=(0,), anti_transfer=loss)
    return _valid(base, parents=tuple(tasks), anti_transfer=loss)


def _declared(run: RunSpec) -> RunSpec:
    """The run with the leak `pretraining_overlap` where its orthogonal task is of its own recordings or noises."""
    return _valid(run, leaks=(*run.leaks, "pretraining_overlap")) if hears_the_target(run) else run


class Transfer(NamedTuple):
    """What a run of this grid transfers: key of METHODS, tap, orthogonal tasks in words, and what its loss is."""

    method: str
    tap: str = ""
    tasks: str = ""
    beta: float = 1.0
    aggregation: str = "gram"
    measure: str = "squared_cosine"


def transfer_of(spec: RunSpec) -> Transfer:
    """What a run transfers, read from its specification.

    Example:
        >>> transfer_of(specs("synthetic", "quick", systems=["vgg16"], methods=["at_inverse"])[-1])[:4]
        ('at_inverse', 'conv_5', 'speaker of synthetic_others', -1.0)
    """
    loss, started = spec.anti_transfer, spec.model.initial_weights != "random"
    if loss is None:
        frozen = spec.model.frozen_until
        return Transfer("wi_frozen" if frozen else "wi", frozen, _in_words(spec.parents)) if started else Transfer("none")
    about = (loss.beta, loss.aggregation, loss.measure)
    tap = " + ".join(loss.taps)
    if loss.against == "random":
        return Transfer("at_random", tap, "", *about)
    if started and spec.parents[0].anti_transfer:
        return Transfer("dual", tap, _in_words((*spec.parents[0].orthogonal, *spec.orthogonal), ", then "), *about)
    method = "at_wi" if started else "at_inverse" if loss.beta < 0 else "at"
    return Transfer(method, tap, _in_words(spec.orthogonal), *about)


def without_transfer(spec: RunSpec) -> RunSpec:
    """The run that shares everything with this one but what is transferred, and the leak that this alone may be: what a gain is over.

    Example:
        >>> found = specs("synthetic", "quick", systems=["vgg16"], methods=["none", "at_wi"])
        >>> without_transfer(found[-1]) == found[-2]
        True
    """
    model = spec.model.model_copy(update={"initial_weights": "random", "frozen_until": ""})
    leaks = tuple(leak for leak in spec.leaks if leak != "pretraining_overlap")
    return spec.model_copy(update={"model": model, "parents": (), "following": (), "anti_transfer": None, "leaks": leaks})


def _in_words(parents: Sequence[RunSpec], between: str = " and ") -> str:
    return between.join(f"{parent.data.task} of {parent.data.corpus}" for parent in parents)


def _valid(base: RunSpec, **changes: object) -> RunSpec:
    return RunSpec.model_validate({**dict(base), **changes})


def _placed(spec: RunSpec, fold: int, seed: int) -> RunSpec:
    return RunSpec.of_group(spec.group_form(), fold, seed)


def _known(what: str, names: Sequence[str], known: Sequence[str] | dict) -> None:
    if unknown := [name for name in names if name not in known]:
        raise SpecError(f"unknown {what} {', '.join(unknown)}; known: {', '.join(known)}")
