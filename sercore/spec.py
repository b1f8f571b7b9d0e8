"""What a run is: frozen, validated parameters, their canonical form and the run's name.

A spec says everything that can change a result and nothing else: no folder, no device, no host. Two specs with the same
canonical form, on the same recordings, with the same revisions of the code, are the same run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from sercore.spec_parts import (
    AntiTransferSpec,
    DataSpec,
    FeatureSpec,
    ModelSpec,
    NoiseSpec,
    Part,
    ScaleSpec,
    SplitSpec,
    Task,
    TrainingSpec,
    Variant,
    later,
)

__all__ = [
    "LEAKS", "PAPER_LEAKS", "AntiTransferSpec", "DataSpec", "FeatureSpec", "ModelSpec", "NoiseSpec", "PAPER_MAY_LEAK", "RunSpec",
    "ScaleSpec", "SplitSpec", "Task", "TrainingSpec", "Variant", "digest", "run_id", "store_folder",
]  # fmt: skip

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
    "pretraining_overlap": "a network that the run starts from, or is kept unlike, has heard recordings or speakers of the test side",
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

#: Leaks that a publication has in a part of its runs: with them a run is still of its `paper` protocol.
PAPER_MAY_LEAK: dict[str, tuple[str, ...]] = {
    # Speakers of IEMOCAP told apart first, on all of it, the noises of one collection in both tasks; and what its divisions by single
    # recordings tear apart.
    "thesis": ("duplicate_audio", "pretraining_overlap", "source_overlap"),
}


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
    following: tuple[int, ...] = later((), description="positions of the parents that have this run's fold and seed, whatever they are")
    anti_transfer: AntiTransferSpec | None = later(
        None, description="against the parents that give no initial weights; the first one gives them where initial_weights says so"
    )

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
        if self.model.initial_weights != "random" and not self.parents:
            raise ValueError(f"initial_weights is {self.model.initial_weights!r} but the run has no parents")
        against = self.anti_transfer.against if self.anti_transfer else ""
        if against == "parents" and not self.orthogonal:
            raise ValueError("anti-transfer needs the run of an orthogonal task among the parents, or against='random'")
        if self.orthogonal and against != "parents":
            raise ValueError(f"{len(self.orthogonal)} of the parents are used for nothing: leave them out, or say anti_transfer")
        for k in self.following:
            if not 0 <= k < len(self.parents) or (self.parents[k].seed, self.parents[k].split.fold) != (self.seed, self.split.fold):
                raise ValueError(f"following names parent {k}, which is not there or has not this run's fold {self.split.fold} and seed")
        return self

    @property
    def orthogonal(self) -> tuple[RunSpec, ...]:
        """The parents that anti-transfer is against: all but the one that gives the initial weights."""
        return self.parents if self.model.initial_weights == "random" else self.parents[1:]

    @property
    def settings(self) -> str:
        """What tells runs of one system apart beside variant and protocol: network, noise, what it starts from and is kept unlike.

        Example:
            >>> data, split = {"corpus": "emodb"}, {"scheme": "pairs_5"}
            >>> model = {"name": "vgg16", "width": 0.125}
            >>> RunSpec(data=data, split=split, model=model, anti_transfer={"taps": ("conv_5",), "against": "random"}).settings
            'w0.125-at_conv_5_random'
        """
        return "-".join(part for part in (self.model.settings, self._noise(), *self._transfers()) if part)

    def _noise(self) -> str:
        return self.data.noise.label if self.data.noise else ""

    def _transfers(self) -> list[str]:
        parts = []
        if self.model.initial_weights != "random":
            kind = "wi" if self.model.initial_weights == "parent_features" else "wiall"
            frozen = f"_frozen_{self.model.frozen_until}" if self.model.frozen_until else ""
            parts.append(f"{kind}_{self.parents[0]._as_parent()}{frozen}")
        if self.anti_transfer:
            parts.append(self.anti_transfer.label([parent._as_parent() for parent in self.orthogonal]))
        return parts

    def _as_parent(self) -> str:
        return "_".join([self.data.task, self.data.corpus, *([self._noise()] if self.data.noise else []), *self._transfers()])

    @property
    def protocol(self) -> str:
        """`strict`, `paper`, or `leaks: a+b` for a set that is no publication's."""
        if not self.leaks:
            return "strict"
        if self.source and set(PAPER_LEAKS[self.source]) <= set(self.leaks):
            more = set(self.leaks) - set(PAPER_LEAKS[self.source])
            if more <= set(PAPER_MAY_LEAK.get(self.source, ())):
                return "paper"
        return "leaks: " + "+".join(self.leaks)

    @property
    def group(self) -> str:
        """Name of the group of runs that differ from this one only in fold and seed."""
        protocol = self.protocol.replace("leaks: ", "leaks-")
        parts = [self.data.corpus, self.model.name, self.model.variant, protocol]
        if self.settings:
            parts.insert(2, self.settings)
        if self.data.task != "emotion":
            parts.append(self.data.task)
        if self.data.shuffle_labels:
            parts.append("shuffled")
        return ".".join([*parts, self.split.scheme])

    def canonical(self) -> dict[str, Any]:
        """The spec as plain sorted data: what is hashed and stored."""
        return json.loads(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    def group_form(self) -> dict[str, Any]:
        """The canonical form without fold and seed, and without those of the parents that follow: what the runs of one group share."""
        form = self.canonical()
        form.pop("seed")
        form["split"].pop("fold")
        for k in self.following:
            form["parents"][k] = self.parents[k].group_form()
        return form

    @classmethod
    def of_group(cls, form: Mapping[str, Any], fold: int, seed: int = 0) -> RunSpec:
        """The run of a group with a fold and a seed.

        Args:
            form: of `group_form`.
            fold, seed: of the run, and of the parents that follow it.

        Raises:
            pydantic.ValidationError: the form is no spec's.
        """
        return cls.model_validate(_with(form, fold, seed))


def _with(form: Mapping[str, Any], fold: int, seed: int) -> dict[str, Any]:
    whole = {**form, "split": {**form["split"], "fold": fold}, "seed": seed}
    if following := form.get("following"):
        whole["parents"] = [_with(parent, fold, seed) if k in following else parent for k, parent in enumerate(form["parents"])]
    return whole


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
