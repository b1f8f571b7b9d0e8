"""Corpus cards: what a release holds, under which licence, and what is known to be odd about it. Facts, checked against folders."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import product
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sercore.errors import CorpusError

CARDS = Path(__file__).parent / "cards"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KnownDefect(_Part):
    """Something odd in the official release: a corpus check notes it and does not fail on it."""

    kind: str = Field(description="kind of finding, as sercore.data.audit names it: duplicate_audio, dual_mono, ...")
    files: tuple[str, ...] = Field((), description="paths without ending; empty: any file of the corpus")
    note: str


class ExpectedFiles(_Part):
    """The names of many files as one template and the values of its fields, all combinations."""

    template: str = Field(description='path without ending, e.g. "Actor_{actor}/03-01-{emotion}-{actor}"')
    values: dict[str, tuple[str, ...]]

    def names(self) -> list[str]:
        """Every combination, in the order of the values."""
        return [self.template.format(**dict(zip(self.values, chosen, strict=True))) for chosen in product(*self.values.values())]


class Card(_Part):
    """What is known of a corpus before a file of it is opened.

    Paths are relative to the audio folder (the corpus folder, or `audio_folder` inside it where that exists), posix, without ending.
    """

    name: str
    title: str
    licence: str
    access: str = Field(description="how to get it, in words that a reader can follow")
    citation: str
    languages: tuple[str, ...] = Field(description="ISO 639-1 codes")
    consent: str = Field(description="what the source says of the speakers' consent")
    label_process: str = Field(description="where the labels come from")
    audio_may_be_embedded: bool = Field(description="may a page of the book carry recordings of it")
    sample_rate_hz: int = Field(gt=0)
    files: int = Field(ge=0)
    emotions: dict[str, int] = Field(description="label -> number of files")
    speakers: dict[str, int] = Field(description="speaker -> number of files")
    genders: dict[str, str] = Field(description="speaker -> female | male")
    ages: dict[str, int] = Field({}, description="speaker -> years, where the source gives them")
    label_map: dict[str, str] = Field(description="code in the file name -> label; empty if names carry none")
    reader_expects: str = Field(description="layout and file names, in words")
    audio_folder: str = ""
    name_pattern: str = Field("", description="regular expression of a path without ending; groups emotion (code) and speaker")
    expected: tuple[ExpectedFiles, ...] = Field((), description="every file of the release, where it is known")
    known_defects: tuple[KnownDefect, ...] = ()
    caveats: tuple[str, ...] = ()
    layout_source: str = Field(description="where the layout is documented")
    layout_verified: bool = Field(description="a real copy has passed the corpus check")

    @model_validator(mode="after")
    def _adds_up(self) -> Card:
        names = self.expected_names()
        for what, total in (("emotions", sum(self.emotions.values())), ("speakers", sum(self.speakers.values()))):
            if total != self.files:
                raise ValueError(f"the counts of {what} add up to {total}, files says {self.files}")
        if names and len(set(names)) != self.files:
            raise ValueError(f"expected names {len(set(names))} files, files says {self.files}")
        if set(self.genders) != set(self.speakers) or not set(self.genders.values()) <= {"female", "male"}:
            raise ValueError("genders must give female or male for exactly the speakers of the card")
        if self.label_map and set(self.label_map.values()) != set(self.emotions):
            raise ValueError(f"label_map leads to {sorted(set(self.label_map.values()))}, emotions has {sorted(self.emotions)}")
        if self.name_pattern and not {"emotion", "speaker"} <= set(re.compile(self.name_pattern).groupindex):
            raise ValueError("name_pattern needs the groups emotion and speaker")
        return self

    def expected_names(self) -> list[str]:
        """Every path of the release without ending, or nothing where the card does not list them."""
        return [name for part in self.expected for name in part.names()]

    def defect(self, kind: str, *names: str) -> KnownDefect | None:
        """The known defect of that kind that covers all of these paths (without ending), if there is one."""
        return next((d for d in self.known_defects if d.kind == kind and (not d.files or set(names) <= set(d.files))), None)


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
