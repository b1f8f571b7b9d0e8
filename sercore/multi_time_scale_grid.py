"""The grid of thesis chapter 4: corpora x networks x sets of time scales x folds x seeds."""

from __future__ import annotations

from collections.abc import Sequence

from sercore.data.splits import DEFAULT_SCHEME
from sercore.errors import SpecError
from sercore.experiment import BASELINES
from sercore.features.stft import MTS_RELEASED
from sercore.layers.kernel_scales import SCALE_SETS
from sercore.models import BACKBONES, SPECTROGRAM
from sercore.spec import PAPER_LEAKS, DataSpec, FeatureSpec, ModelSpec, RunSpec, ScaleSpec, SplitSpec, TrainingSpec

#: Longest recording of a corpus in s, rounded up: silence is added to every recording up to it (thesis ch. 4: to the longest file).
LONGEST_S = {"synthetic": 2.5, "emodb": 9.0, "ravdess": 5.4, "tess": 3.0, "fsdd": 2.3, "speech_commands": 1.0}
#: What is recognised where it is not emotion, and the kernel of these corpora (thesis sec. 4.4).
WORD_SCHEMES, WORD_KERNEL = {"fsdd": "leave_one_speaker_out", "speech_commands": "speakers_4"}, (5, 5)
#: (corpus, protocol) -> seeds that the study promises: A1, standard and with the first set of scales.
PROMISED = {("emodb", "strict"): 5, ("fsdd", "strict"): 5}
FIRST_SET = (0.7, 1.0, 1.428)
FULL_FOLDS = {"emodb": 5, "ravdess": 5, "fsdd": 6, "tess": 2, "speech_commands": 4}
#: Text: Adam, at most 500 epochs, patience of 10 epochs on the validation loss. Rate and batch: released code (the text has none). The
#: promised runs end after 15 epochs, which their rows say; `epochs=500` is the text's schedule.
FULL_TRAINING = TrainingSpec(
    epochs=15, learning_rate=1e-3, weight_decay=0.0, batch_size=100, cosine_period_epochs=1, patience_epochs=10, select_by="validation_loss"
)
#: Fixed beforehand, for a demonstration on few recordings: smaller batches, so that few epochs have steps enough.
QUICK_TRAINING = FULL_TRAINING.model_copy(update={"epochs": 6, "batch_size": 20})


def features_of(corpus: str, variant: str = "definition") -> FeatureSpec:
    """Spectrograms of a corpus, padded to its longest recording, one mean and one deviation for all bins.

    Args:
        corpus: key of LONGEST_S.
        variant: `definition` has windows of 20 ms every 10 ms (thesis ch. 4); `released` those of the code, 64 / 32 ms, magnitudes to the
            power of 2/3.

    Raises:
        SpecError: no length is written down for the corpus.
    """
    if corpus not in LONGEST_S:
        raise SpecError(f"{corpus} is not in the grid of multi-time-scale convolution; known: {', '.join(LONGEST_S)}")
    rate = 0 if corpus == "fsdd" else 16000  # recorded at 8 kHz: above 4 kHz there is nothing to see
    settings = MTS_RELEASED if variant == "released" else {"window_ms": 20.0, "hop_ms": 10.0}
    return FeatureSpec(kind="hann_stft", normaliser="scalar", sample_rate_hz=rate, pad_to_s=LONGEST_S[corpus], **settings)


def specs(
    corpus: str,
    profile: str,
    protocol: str = "strict",
    systems: Sequence[str] = (),
    folds: int = 0,
    seeds: int = 0,
    variant: str = "definition",
    scale_sets: Sequence[tuple[float, ...]] = (),
    epochs: int = 0,
) -> list[RunSpec]:
    """Specs of the chapter on one corpus, without tuned values.

    Args:
        corpus: key of LONGEST_S.
        profile: `quick` (two folds, one seed, 6 epochs) or `full` (all folds, five seeds, 15 epochs).
        protocol: `strict` or `paper` (folds by position in the list of files, quiet files dropped).
        systems: names of `sercore.models.SPECTROGRAM` that are no BACKBONES, of baselines, or `all`; empty takes A1 standard and
            multi-time-scale and baselines.
        folds, seeds, epochs: how many; 0 takes the profile's.
        variant: `definition` or `released`.
        scale_sets: time factors of the mts_ systems, sets of SCALE_SETS or others; empty takes (0.7, 1, 1.428).

    Returns:
        One spec a run, seeds outermost, so that a slice from the front is balanced.

    Raises:
        SpecError: a value is none of these.
    """
    if profile not in ("quick", "full"):
        raise SpecError(f"profile must be quick or full, not {profile!r}")
    if protocol not in ("strict", "paper"):
        raise SpecError(f"protocol must be strict or paper, not {protocol!r}")
    full, known = profile == "full", (*(name for name in SPECTROGRAM if name not in BACKBONES), *BASELINES)
    systems = known if tuple(systems) == ("all",) else tuple(systems) or (*BASELINES, "a1", "mts_a1")
    if unknown := [s for s in systems if s not in known]:
        raise SpecError(f"unknown system {', '.join(unknown)}; known: {', '.join(known)}")
    spectra, training = features_of(corpus, variant), FULL_TRAINING if full else QUICK_TRAINING
    training = training.model_copy(update={"epochs": epochs}) if epochs else training
    scheme = DEFAULT_SCHEME.get(corpus) or WORD_SCHEMES[corpus]
    if protocol == "paper":
        scheme = "positional_2" if corpus == "tess" else "positional_4"
    return [
        RunSpec(
            data=DataSpec(corpus=corpus, task="word" if corpus in WORD_SCHEMES else "emotion"),
            split=SplitSpec(scheme=scheme, fold=fold),
            model=model,
            features=FeatureSpec() if model.name in BASELINES else spectra,
            training=TrainingSpec() if model.name in BASELINES else training,
            leaks=PAPER_LEAKS["thesis"] if protocol == "paper" else (),
            source="thesis",
            seed=seed,
        )
        for seed in range(seeds or (5 if full else 1))
        for model in _models(systems, corpus, variant, tuple(scale_sets) or (FIRST_SET,))
        for fold in range(folds or (2 if not full else 4 if protocol == "paper" else FULL_FOLDS.get(corpus, 5)))
        if model.name not in BASELINES or seed == 0  # neither of them has a seed that changes anything but ties
    ]


def _models(systems: Sequence[str], corpus: str, variant: str, scale_sets: Sequence[tuple[float, ...]]) -> list[ModelSpec]:
    """Each standard network once, each multi-time-scale one for every set of scales."""
    models = []
    for name in systems:
        if name in BASELINES:
            models.append(ModelSpec(name=name))
            continue
        kernel = WORD_KERNEL if corpus in WORD_SCHEMES and name.removeprefix("mts_") in ("a1", "a2", "a3") else None
        for factors in scale_sets if name.startswith("mts_") else (None,):
            scales = None if factors is None else ScaleSpec(time_factors=factors)
            models.append(ModelSpec(name=name, variant=variant, dropout=0.0, scales=scales, kernel=kernel))
    return models


def scale_set(text: str) -> list[tuple[float, ...]]:
    """Sets of scales from a chapter's parameter: `0.7 1 1.428, 0.5 1 2`, or `all` for the thesis' eleven.

    Raises:
        SpecError: a factor is no number.

    Example:
        >>> scale_set("0.7 1 1.428")
        [(0.7, 1.0, 1.428)]
    """
    if text.strip() == "all":
        return [tuple(factors) for factors in SCALE_SETS.values()]
    try:
        return [tuple(float(factor) for factor in one.split()) for one in text.split(",") if one.strip()]
    except ValueError as error:
        raise SpecError(f"scale_sets are factors apart by blanks, sets apart by commas, or all; got {text!r}") from error
