"""What a run is: frozen, validated parameters, their canonical form and the run's name.

A spec says everything that can change a result and nothing else: no folder, no device, no host. Two specs with the same
canonical form, on the same recordings, with the same revisions of the code, are the same run.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, field_validator, model_serializer, model_validator

Variant = Literal["definition", "released"]
Task = Literal["emotion", "speaker", "word", "noise", "instrument", "quality", "digit", "object"]

#: Every way in which data handling may leak, by name. A spec that declares none is `strict`.
LEAKS: dict[str, str] = {
    "speaker_overlap": "a speaker of the test side also speaks in training or validation",
    "source_overlap": "segments of one source recording lie on two sides",
    "duplicate_audio": "the same audio lies on two sides under two names",
    "validation_speakers": "validation speakers also speak in training (corpora with too few speakers)",
    "global_normaliser": "feature means and deviations are taken from all items, the test side included",
    "validation_is_test": "the best epoch is chosen on the test side",
    "tuned_on_test": "hyper-parameters are chosen on the test side",
    "level_filter": "quiet recordings are left out on every side, the test side included",
    "unmasked_padding": "padding counts as speech, so that a score depends on the longest recording of its batch",
}

#: What each publication's authors did with their data: the leaks that protocol `paper` switches on.
PAPER_LEAKS: dict[str, tuple[str, ...]] = {
    "reslstm2026": ("global_normaliser", "tuned_on_test"),
    # Chapters 4 to 7, as released: folds by position in a list (schemes positional_*), in TESS with one woman validating and tested and in
    # random splits with everybody on all sides; quiet files dropped (chapters 4 and 5 at a peak of 0.05, 6 and 7 at 0.005).
    "thesis": ("level_filter", "speaker_overlap"),
    "qat_waspaa2023": ("level_filter", "speaker_overlap"),
}


def later(default: Any, **limits: Any) -> Any:
    """A field that was added after the first runs: at its default it is left out of every dump, so that those runs keep their names."""
    return Field(default, json_schema_extra={"later": True}, **limits)


class Part(BaseModel):
    """Base of every part of a spec: frozen, and a misspelt field is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields = type(self).model_fields
        unused = {
            name
            for name, field in fields.items()
            if isinstance(field.json_schema_extra, dict) and "later" in field.json_schema_extra and getattr(self, name) == field.default
        }
        return {name: value for name, value in handler(self).items() if name not in unused}


class DataSpec(Part):
    """Which recordings, and what is predicted from them."""

    corpus: str = Field(min_length=1, description="name in sercore.data.corpora.CORPORA")
    task: Task = Field("emotion", description="column of the item table that is the label")
    shuffle_labels: bool = Field(False, description="permute the training and validation labels: a control that must fall to chance")
    level_filter_peak: float = later(
        0.05,
        gt=0,
        lt=1,
        description="what the leak level_filter leaves out: recordings that never rise above it; chapters 6 and 7 take 0.005",
    )


class SplitSpec(Part):
    """Which of the published or generated split plans, and which fold of it."""

    scheme: str = Field(min_length=1, description="name in sercore.data.splits.SCHEMES")
    fold: int = Field(0, ge=0)


class FeatureSpec(Part):
    """Frame features. Windows are given in ms, so that one setting fits every sampling rate.

    85.333 / 42.667 ms are 4096 / 2048 samples at 48 kHz and 1365 / 683 at 16 kHz (ResLSTM-SA, released notebook; the paper
    states no value).
    """

    kind: Literal["mfcc_chroma", "stft", "hann_stft"] = Field(
        "mfcc_chroma", description="stft and hann_stft read window_ms and hop_ms; anti-transfer takes 16 and 8, multi-time-scale 20 and 10"
    )
    window_ms: float = Field(4096 / 48, gt=0, le=1000)
    hop_ms: float = Field(2048 / 48, gt=0, le=1000)
    n_mfcc: int = Field(34, ge=1, le=128)
    n_chroma: int = Field(12, ge=0, le=48)
    n_mels: int = Field(128, ge=2, le=512)
    power: float = later(1.0, gt=0, le=4, description="exponent of the magnitudes of hann_stft")
    sample_rate_hz: int = later(0, ge=0, le=384_000, description="recordings are resampled to this first; 0 leaves the corpus' rate")
    pad_to_s: float = later(0.0, ge=0, le=60, description="silence is added at the end up to this length; longer is an error; 0 adds none")
    normaliser: Literal["per_dimension", "scalar", "maximum"] = later("per_dimension")

    @model_validator(mode="after")
    def _hop_fits(self) -> FeatureSpec:
        if self.hop_ms > self.window_ms:
            raise ValueError(f"hop_ms {self.hop_ms:g} is longer than window_ms {self.window_ms:g}: samples between frames would be lost")
        return self

    @property
    def dimensions(self) -> int:
        """Values per frame of `mfcc_chroma`; those of `stft` depend on the sampling rate."""
        return self.n_mfcc + self.n_chroma


class ScaleSpec(Part):
    """Branches of a multi-time-scale convolution (thesis ch. 4)."""

    time_factors: tuple[float, ...] = Field((0.7, 1.0, 1.428), min_length=1, description="one a branch, the unscaled 1 among them")
    frequency_factors: tuple[float, ...] | None = Field(None, description="one a branch; None leaves the frequency axis as it is")
    normalise_gain: bool = False
    scale_penalty: float = Field(0.0, ge=0)
    active: Literal["always", "train", "evaluate"] = "always"
    scale_map: bool = False

    @model_validator(mode="after")
    def _factors_fit(self) -> ScaleSpec:
        factors = (*self.time_factors, *(self.frequency_factors or ()))
        if any(factor <= 0 for factor in factors):
            raise ValueError(f"scale factors must be above 0, got {', '.join(f'{f:g}' for f in factors)}")
        if len(self.frequency_factors or self.time_factors) != len(self.time_factors):
            raise ValueError(f"{len(self.time_factors)} time factors but {len(self.frequency_factors or ())} frequency factors")
        branches = list(zip(self.time_factors, self.frequency_factors or (1.0,) * len(self.time_factors), strict=True))
        if len(set(branches)) < len(branches):
            raise ValueError(f"two branches have the same factors: {self.label}")
        if (1.0, 1.0) not in branches:
            raise ValueError(f"the unscaled branch, factor 1, must be among {self.label}")
        return self

    @property
    def label(self) -> str:
        """The factors and whatever differs from the plain layer, in few signs, fit for a file name.

        Example:
            >>> ScaleSpec(time_factors=(0.5, 1, 2), normalise_gain=True).label
            '0.5_1_2-gain'
        """
        parts = ["_".join(f"{f:g}" for f in self.time_factors)]
        parts += ["f" + "_".join(f"{f:g}" for f in self.frequency_factors)] if self.frequency_factors else []
        parts += ["gain"] if self.normalise_gain else []
        parts += [f"penalty{self.scale_penalty:g}"] if self.scale_penalty else []
        parts += [f"{self.active}_only"] if self.active != "always" else []
        return "-".join([*parts, *(["map"] if self.scale_map else [])])


class ModelSpec(Part):
    """Which system, in which variant."""

    name: str = Field(min_length=1, description="name in sercore.models.MODELS or sercore.baselines.BASELINES")
    variant: Variant = "definition"
    dropout: float = Field(0.3, ge=0, lt=1)
    scales: ScaleSpec | None = later(None, description="of systems whose name begins with mts_")
    kernel: tuple[int, int] | None = later(None, description="frames and bins of the first convolution; None takes the system's own")
    width: float = later(1.0, gt=0, le=4, description="factor on all channels and hidden units of the networks of sercore.models.BACKBONES")
    initial_weights: Literal["random", "parent"] = later("random", description="parent: all but the classifier from the first parent run")

    @property
    def settings(self) -> str:
        """What tells runs of one system apart beside the variant: scales, kernel, width, initial weights; empty where all are its own."""
        parts = [self.scales.label] if self.scales else []
        parts += [f"k{self.kernel[0]}x{self.kernel[1]}"] if self.kernel else []
        parts += [f"w{self.width:g}"] if self.width != 1 else []
        return "-".join([*parts, *(["wi"] if self.initial_weights == "parent" else [])])


class TrainingSpec(Part):
    """How the weights are found. Defaults: the ResLSTM-SA paper (Sec. IV-B and IV-C) where it states a value."""

    epochs: int = Field(100, ge=1)
    learning_rate: float = Field(1e-3, gt=0, le=1)
    weight_decay: float = Field(1e-3, ge=0, le=1)
    batch_size: int = Field(32, ge=2)
    cosine_period_epochs: int = Field(10, ge=1, description="T_0 of the warm restarts; 1 is a constant rate")
    cosine_floor: float = Field(0.01, ge=0, le=1, description="lowest rate as a share of the learning rate")
    patience_epochs: int = Field(0, ge=0, description="stop after this many epochs without a better validation score; 0 never stops early")
    select_by: Literal["validation_uar", "validation_loss"] = "validation_uar"
    mixed_precision: bool = Field(False, description="bfloat16 autocast; only on an accelerator")


class RunSpec(Part):
    """One run: one system, one fold, one seed."""

    data: DataSpec
    split: SplitSpec
    model: ModelSpec
    features: FeatureSpec = FeatureSpec()
    training: TrainingSpec = TrainingSpec()
    leaks: tuple[str, ...] = ()
    source: str = Field("", description="publication whose `paper` protocol the leaks are compared with")
    seed: int = Field(0, ge=0, lt=2**31)
    threads: int = Field(1, ge=1, le=1024)
    parents: tuple[RunSpec, ...] = later((), description="runs that must be finished before this one: what it is pre-trained on")

    @field_validator("leaks", mode="before")
    @classmethod
    def _known_leaks(cls, value: Any) -> tuple[str, ...]:
        names = tuple(sorted({value} if isinstance(value, str) else set(value)))
        if unknown := [name for name in names if name not in LEAKS]:
            raise ValueError(f"unknown leak {', '.join(unknown)}; known: {', '.join(LEAKS)}")
        return names

    @field_validator("source")
    @classmethod
    def _known_source(cls, value: str) -> str:
        if value and value not in PAPER_LEAKS:
            raise ValueError(f"no paper protocol is written down for source {value!r}; known: {', '.join(PAPER_LEAKS)}")
        return value

    @model_validator(mode="after")
    def _parents_fit(self) -> RunSpec:
        if self.model.initial_weights == "parent" and not self.parents:
            raise ValueError("initial_weights is 'parent' but the run has no parents")
        return self

    @property
    def protocol(self) -> str:
        """`strict`, `paper`, or `leaks: a+b` for a set that is no publication's."""
        if not self.leaks:
            return "strict"
        if self.source and self.leaks == tuple(sorted(PAPER_LEAKS[self.source])):
            return "paper"
        return "leaks: " + "+".join(self.leaks)

    @property
    def group(self) -> str:
        """Name of the group of runs that differ from this one only in fold and seed."""
        protocol = self.protocol.replace("leaks: ", "leaks-")
        parts = [self.data.corpus, self.model.name, self.model.variant, protocol]
        if self.model.settings:
            parts.insert(2, self.model.settings)
        if self.data.task != "emotion":
            parts.append(self.data.task)
        if self.data.shuffle_labels:
            parts.append("shuffled")
        return ".".join([*parts, self.split.scheme])

    def canonical(self) -> dict[str, Any]:
        """The spec as plain sorted data: what is hashed and stored."""
        return json.loads(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    def group_form(self) -> dict[str, Any]:
        """The canonical form without fold and seed: what the runs of one group share."""
        form = self.canonical()
        form.pop("seed")
        form["split"].pop("fold")
        return form


def digest(value: Any, length: int = 16) -> str:
    """SHA-256 of plain data in canonical JSON, cut to `length` hexadecimal digits.

    Raises:
        TypeError: the value holds something that JSON cannot say.
        ValueError: a number is NaN or infinite.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def run_id(spec: RunSpec, data_fingerprint: str, revisions: dict[str, int]) -> str:
    """The run's name: a hash of the canonical spec, the recordings and the revisions of the code it uses.

    Args:
        spec: the run.
        data_fingerprint: of the corpus (`Corpus.fingerprint()`).
        revisions: the REVISION integer of each unit that can change the numbers (features, model, trainer, ...).

    Returns:
        16 hexadecimal digits.
    """
    return digest({"spec": spec.canonical(), "data": data_fingerprint, "revisions": revisions})


def store_folder() -> Path:
    """Folder for everything heavy (runs, caches): `$SERCORE_STORE`, else `store` in the current folder. Not created here."""
    return Path(os.environ.get("SERCORE_STORE") or "store")
