"""The parts of a run's spec: data, split, features, system, anti-transfer, training. Each is frozen and validated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

Variant = Literal["definition", "released"]
Task = Literal["emotion", "speaker", "word", "noise", "instrument", "quality", "digit", "object"]


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


class NoiseSpec(Part):
    """Noise that is mixed into every recording (thesis ch. 5, Table 5.3; `sercore.data.noisy`)."""

    corpus: str = Field(min_length=1, description="name in sercore.data.corpora.CORPORA: its recordings are the noises")
    lowest_snr_db: float = Field(
        ge=-60, le=100, description="ratio of speech to noise, dB: one of sercore.data.noisy.RATIOS, evenly spaced"
    )
    highest_snr_db: float = Field(ge=-60, le=100)

    @model_validator(mode="after")
    def _range_fits(self) -> NoiseSpec:
        if self.lowest_snr_db > self.highest_snr_db:
            raise ValueError(f"lowest_snr_db {self.lowest_snr_db:g} is above highest_snr_db {self.highest_snr_db:g}")
        return self

    @property
    def label(self) -> str:
        """The noises and their level in few signs, fit for a file name.

        Example:
            >>> NoiseSpec(corpus="esc10", lowest_snr_db=0, highest_snr_db=10).label
            'noise_esc10_0to10dB'
        """
        levels = dict.fromkeys(f"{value:g}".replace("-", "m") for value in (self.lowest_snr_db, self.highest_snr_db))
        return f"noise_{self.corpus}_{'to'.join(levels)}dB"


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
    noise: NoiseSpec | None = later(None, description="mixed into every recording, on all sides; no noise is on two sides of a fold")


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
    segment_s: float = later(0.0, ge=0, le=60, description="of stft: recordings are cut into segments of this length; 0 leaves them whole")
    segment_frames: int = later(0, ge=0, le=4096, description="rows of every segment, zeros added at its end")

    @model_validator(mode="after")
    def _sizes_fit(self) -> FeatureSpec:
        if self.hop_ms > self.window_ms:
            raise ValueError(f"hop_ms {self.hop_ms:g} is longer than window_ms {self.window_ms:g}: samples between frames would be lost")
        if bool(self.segment_s) != bool(self.segment_frames):
            raise ValueError("segment_s and segment_frames go together: the length of a segment, and the rows that it is padded to")
        if self.segment_s and (self.kind != "stft" or self.pad_to_s):
            raise ValueError("segments are cut from kind stft, and from recordings as long as they are: leave pad_to_s out")
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
    initial_weights: Literal["random", "parent", "parent_features"] = later(
        "random",
        description="parent: all but the classifier from the first parent run; parent_features: all but linear layers (thesis ch. 5)",
    )
    frozen_until: str = later("", description="with weights of a parent: layers up to and with this tap stay as they are")

    @model_validator(mode="after")
    def _frozen_has_a_parent(self) -> ModelSpec:
        if self.frozen_until and self.initial_weights == "random":
            raise ValueError("frozen_until keeps the weights of a parent: set initial_weights to parent_features or parent")
        return self

    @property
    def settings(self) -> str:
        """What tells networks of one name apart beside the variant: scales, kernel, width; empty where all are its own."""
        parts = [self.scales.label] if self.scales else []
        parts += [f"k{self.kernel[0]}x{self.kernel[1]}"] if self.kernel else []
        return "-".join([*parts, *([f"w{self.width:g}"] if self.width != 1 else [])])


class AntiTransferSpec(Part):
    """Which features are kept unlike those of which networks (thesis ch. 5; `sercore.losses.anti_transfer`)."""

    taps: tuple[str, ...] = Field(min_length=1, description="of the network; each counts once")
    against: Literal["parents", "random"] = Field("parents", description="random: a network that has learned nothing, the control")
    beta: float = 1.0
    aggregation: Literal["gram", "mean", "sum", "compressed_product", "max"] = "gram"
    measure: Literal["squared_cosine", "sigmoid_mse"] = "squared_cosine"
    variant: Variant = "definition"

    @model_validator(mode="after")
    def _taps_differ(self) -> AntiTransferSpec:
        if len(set(self.taps)) < len(self.taps):
            raise ValueError(f"each tap is named once, got {', '.join(self.taps)}")
        return self

    def label(self, tasks: Sequence[str]) -> str:
        """Taps, orthogonal tasks and whatever differs from the plain loss, in few signs, fit for a file name.

        Args:
            tasks: labels of the orthogonal tasks.

        Example:
            >>> AntiTransferSpec(taps=("conv_5",), beta=-1).label(["speaker_ravdess"])
            'at_conv_5_speaker_ravdess_bm1'
        """
        parts = ["at", "+".join(self.taps), "random" if self.against == "random" else "+".join(tasks)]
        parts += [f"b{self.beta:g}".replace("-", "m")] if self.beta != 1 else []
        parts += [self.aggregation] if self.aggregation != "gram" else []
        parts += ["mse"] if self.measure != "squared_cosine" else []
        return "_".join([*parts, *(["released"] if self.variant == "released" else [])])


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
