"""Corpus cards: what a release holds, under which licence, and what is known to be odd about it. Facts, checked against folders."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from pathlib import Path

import yaml
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from sercore.errors import CorpusError

CARDS = Path(__file__).parent / "cards"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownDefect(_Part):
    """Something odd in the official release: a corpus check notes it and does not fail on it."""

    kind: str = Field(description="kind of finding, as sercore.data.audit names it: duplicate_audio, dual_mono, ...")
    files: tuple[str, ...] = Field((), description="paths, or names alone, without ending; empty: any file of the corpus")
    at_most: int = Field(0, ge=0, description="how many, where it is known how many files have it but not which; 0: any number")
    note: str


class ExpectedFiles(_Part):
    """The names of many files as one template and the values of its fields, all combinations."""

    template: str = Field(description='path without ending, e.g. "Actor_{actor}/03-01-{emotion}-{actor}"')
    values: dict[str, tuple[str, ...]]

    def names(self) -> list[str]:
        """Every combination, in the order of the values."""
        return [self.template.format(**dict(zip(self.values, chosen, strict=True))) for chosen in product(*self.values.values())]


class Download(_Part):
    """A file of an openly licensed release, as its source publishes it."""

    url: str
    size_bytes: int = Field(gt=0)
    checksum: str = Field(pattern=r"^(sha256:[0-9a-f]{64}|md5:[0-9a-f]{32})$", description="sha256:... or md5:..., as the source states it")
    part: str = Field("", description="which of the parts of the card it holds, where one may be taken without the others")
    inside: str = Field("", description="folder inside the archive whose content belongs into the corpus folder")


class Card(_Part):
    """What is known of a corpus before a file of it is opened.

    Paths are relative to the audio folder (the corpus folder, or `audio_folder` inside it where that exists), posix, without ending.
    A count that no release fixes is left out, and then not checked.
    """

    name: str
    title: str
    licence: str
    access: str = Field(description="how to get it, in words that a reader can follow")
    citation: str
    task: str = Field("emotion", description="column of the item table that the classes are values of")
    languages: tuple[str, ...] = Field((), description="ISO 639-1 codes; empty where nobody speaks")
    consent: str = Field(description="what the source says of the speakers' consent")
    label_process: str = Field(description="where the labels come from")
    audio_may_be_embedded: bool = Field(description="may a page of the book carry recordings of it")
    sample_rate_hz: int = Field(ge=0, description="0: pictures")
    files: int = Field(0, ge=0, description="recordings, or pictures, of the release; 0: not fixed")
    classes: dict[str, int] = Field(
        {}, validation_alias=AliasChoices("classes", "emotions"), description="label -> number of items; empty: not fixed, or no classes"
    )
    speakers: dict[str, int] = Field({}, description="speaker (or what else sounds) -> number of files; 0 for all: the source states none")
    n_speakers: int = Field(0, ge=0, description="number of speakers where they are too many to list; 0: not fixed")
    parts: dict[str, int] = Field({}, description="folder -> audio files: a copy may hold any of these parts, each one whole")
    genders: dict[str, str] = Field({}, description="speaker -> female | male | not stated")
    ages: dict[str, int] = Field({}, description="speaker -> years, where the source gives them")
    label_map: dict[str, str] = Field({}, description="code in the file name or label file -> label; empty: labels are as in the release")
    label_files: str = Field("", description="where the labels stand, if not in the names; the reader then says who is what")
    speaker_codes: dict[str, str] = Field({}, description="code in the file name -> speaker, where it is not the speaker's name")
    reader_expects: str = Field(description="layout and file names, in words")
    audio_folder: str = ""
    channel: int | None = Field(None, ge=0, description="the channel that is read, where microphones are apart; else all are averaged")
    endings: tuple[str, ...] = Field((".wav", ".flac"), description="of the recordings, with the dot, in lower case")
    name_pattern: str = Field("", description="regular expression of a path without ending; groups speaker and, named as the task, code")
    no_recordings: str = Field("", description="the same, of audio in the release that is none of its recordings (whole dialogues, ...)")
    expected: tuple[ExpectedFiles, ...] = Field((), description="every file of the release, where it is known")
    downloads: tuple[Download, ...] = Field((), description="what `corpora fetch` takes; empty: steps only")
    default_split: str = Field("", description="split scheme where nothing else is asked for; empty: by the number of speakers")
    known_defects: tuple[KnownDefect, ...] = ()
    caveats: tuple[str, ...] = ()
    layout_source: str = Field(description="where the layout is documented")
    layout_verified: bool = Field(description="a real copy has passed the corpus check")

    @model_validator(mode="after")
    def _adds_up(self) -> Card:
        names = self.expected_names()
        for what, counts in (("classes", self.classes), ("speakers", self.speakers), ("parts", self.parts)):
            if any(counts.values()) and sum(counts.values()) != self.files:
                raise ValueError(f"the counts of {what} add up to {sum(counts.values())}, files says {self.files}")
        if names and len(set(names)) != self.files:
            raise ValueError(f"expected names {len(set(names))} files, files says {self.files}")
        if (self.genders or self.task == "emotion") and set(self.genders) != set(self.speakers):
            raise ValueError("genders must give a gender for exactly the speakers of the card")
        if not set(self.genders.values()) <= {"female", "male", "not stated"}:
            raise ValueError("genders are female, male or not stated")
        if self.label_map and set(self.label_map.values()) != set(self.classes):
            raise ValueError(f"label_map leads to {sorted(set(self.label_map.values()))}, classes has {sorted(self.classes)}")
        if self.name_pattern and "speaker" not in re.compile(self.name_pattern).groupindex:
            raise ValueError(f"name_pattern needs the groups {self.task} and speaker (speaker alone where names carry no label)")
        if self.speakers and self.n_speakers not in (0, len(self.speakers)):
            raise ValueError(f"n_speakers is {self.n_speakers}, speakers lists {len(self.speakers)}")
        return self

    @property
    def emotions(self) -> dict[str, int]:
        """The classes of an emotional corpus; empty for any other."""
        return self.classes if self.task == "emotion" else {}

    @property
    def labels_in_names(self) -> bool:
        """Do the names of the files say the class of each?"""
        return self.task in re.compile(self.name_pattern).groupindex

    def expected_names(self) -> list[str]:
        """Every path of the release without ending, or nothing where the card does not list them."""
        return [name for part in self.expected for name in part.names()]

    @property
    def count_slack(self) -> int:
        """By how many files a count may differ: where the release is known to hold a few fewer than was published."""
        return max((d.at_most for d in self.known_defects if d.kind == "count"), default=0)

    def defect(self, kind: str, *names: str) -> KnownDefect | None:
        """The known defect of that kind that covers all of these paths (without ending), if there is one."""
        for defect in self.known_defects:
            if defect.kind == kind and (not defect.files or all(n in defect.files or Path(n).name in defect.files for n in names)):
                return defect
        return None


@lru_cache
def load_card(name: str) -> Card:
    """The card of a corpus.

    Args:
        name: corpus name, e.g. "ravdess"; `card_names()` lists them.

    Returns:
        The card; counts are checked to add up.

    Raises:
        CorpusError: there is no such card, or it contradicts itself (says where).

    Example:
        >>> load_card("ravdess").files
        1440
    """
    if name not in card_names():
        raise CorpusError(f"no corpus {name!r}; known: {', '.join(card_names())}")
    return read_card(CARDS / f"{name}.yml")


def card_names() -> list[str]:
    """Names of all cards, sorted."""
    return sorted(path.stem for path in CARDS.glob("*.yml"))


def read_card(path: Path) -> Card:
    """A card from a YAML file. Raises CorpusError naming the file and the field if it is not one."""
    try:
        return Card.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, yaml.YAMLError) as error:
        raise CorpusError(f"cannot read the card {path}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "card"
        raise CorpusError(f"{path.name}: {where}: {first['msg']}") from error
