"""What the names in a corpus folder say, before a file is opened: which recordings are there, which are missing, which are no one's."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from sercore.data.audio import AUDIO_ENDINGS
from sercore.data.card import Card, card_names, load_card
from sercore.errors import CorpusError

_LOOKED_AT = 2000  # files that decide what a folder holds: the folder may be anyone's


def audio_files(folder: Path, endings: tuple[str, ...] = AUDIO_ENDINGS, above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """Audio files below a folder in a fixed order. Links are followed, but never round a loop."""
    here = os.path.realpath(folder)
    if here in above:
        return
    for path in sorted(folder.iterdir(), key=lambda path: os.fsencode(path.name)):
        if path.is_dir():
            yield from audio_files(path, endings, above | {here})
        elif path.suffix.lower() in endings:
            yield path


def recordings(root: Path, pattern: re.Pattern[str], endings: tuple[str, ...] = AUDIO_ENDINGS) -> Iterator[tuple[str, re.Match[str]]]:
    """Audio files whose path below a folder, without ending, fits a pattern as a whole.

    Yields:
        `(path relative to the folder, match)`, in a fixed order. Names that are no text are left to the check.
    """
    for path in audio_files(root, endings) if root.is_dir() else ():
        relative = path.relative_to(root).as_posix()
        match = pattern.fullmatch(relative.removesuffix(path.suffix))
        if match and not re.search("[\ud800-\udfff]", relative):
            yield relative, match


def shown(path: Path) -> str:
    """A relative path as text that any terminal and JSON file can hold."""
    return os.fsencode(path.as_posix()).decode("utf-8", "backslashreplace")


def key_of(card: Card, root: Path, path: Path) -> str:
    """What the card calls a file: its path below the audio folder, without ending."""
    base = audio_base(card, root)
    return shown(path.relative_to(base if path.is_relative_to(base) else root).with_suffix(""))


def audio_base(card: Card, root: Path) -> Path:
    """The audio folder: `audio_folder` of the card where it is there, else the corpus folder."""
    return root / card.audio_folder if card.audio_folder and (root / card.audio_folder).is_dir() else root


def part_counts(card: Card, root: Path) -> dict[str, int]:
    """Audio files of each part of a release that is there; empty where the release has no parts."""
    folders = {part: audio_base(card, root) / part for part in card.parts}
    return {part: sum(1 for _ in audio_files(folder, card.endings)) for part, folder in folders.items() if folder.is_dir()}


def speaker_of(card: Card, code: str) -> str:
    """The card's name of a speaker; some releases write it with leading zeros in file names."""
    return card.speaker_codes.get(code) or (code if code in card.speakers or not card.speakers else code.lstrip("0"))


def label_of(card: Card, key: str) -> tuple[str, str] | None:
    """Class and speaker that a name states, or None where it does not fit the scheme; a class that names do not carry is empty."""
    match = re.fullmatch(card.name_pattern, key)
    if not match or name_fault(card, key):
        return None
    code = match[card.task] if card.labels_in_names else ""
    return card.label_map.get(code, code), speaker_of(card, match["speaker"])


def name_fault(card: Card, key: str) -> str:
    """Why a name does not fit the card's scheme; empty if it does."""
    match = re.fullmatch(card.name_pattern, key)
    if not match:
        return "does not fit the naming scheme of the release"
    codes = card.label_map or card.classes
    if card.labels_in_names and codes and match[card.task] not in codes:
        return f"has the class code {match[card.task]}, known are {', '.join(codes)}"
    if card.speakers and not card.label_files and speaker_of(card, match["speaker"]) not in card.speakers:
        return f"names the speaker {match['speaker']}, known are {', '.join(card.speakers)}"
    return ""


def refuse_other_folder(card: Card, root: Path) -> None:
    """Refuse a folder in which nothing has a name of this corpus.

    Raises:
        CorpusError: names the folder, the corpus whose recordings it holds where it is another's, and the mend.
    """
    depth = max(3, card.name_pattern.count("/") + 1 + bool(card.audio_folder))
    near = [path for path in islice(_near(root, depth), _LOOKED_AT) if path.suffix.lower() in card.endings]
    near = near or list(islice(audio_files(root, card.endings), _LOOKED_AT))  # deeper down, or behind many other files
    if any(re.fullmatch(card.name_pattern, key_of(card, root, path)) for path in near):
        return
    if not near:
        raise CorpusError(
            f"{card.name}: {root} holds no recording ({' or '.join(card.endings)}): give the folder of the release with "
            f"--root {card.name}=DIR. Expected: {card.reader_expects}"
        )
    for other in (load_card(name) for name in card_names() if name != card.name):
        if other.name_pattern and any(re.fullmatch(other.name_pattern, key_of(other, root, path)) for path in near):
            raise CorpusError(
                f"{card.name}: {root} holds recordings of {other.name}, none of {card.name}: give --root {other.name}={root}, or the "
                f"folder of {card.name} with --root {card.name}=DIR"
            )
    raise CorpusError(
        f"{card.name}: none of the {len(near)} audio files in {root} is named like one of its recordings (first "
        f"{shown(near[0].relative_to(root))}): give the folder of the release with --root {card.name}=DIR. Expected: {card.reader_expects}"
    )


def refuse_other_names(card: Card, root: Path, paths: Iterable[str]) -> None:
    """Compare the recordings read with the names of the release.

    Args:
        card: lists the names of the release.
        root: corpus folder.
        paths: of the recordings read, relative to it.

    Raises:
        CorpusError: a name has a label or speaker outside the map, or recordings are missing or too many (says which).
    """
    for path in audio_files(root, card.endings):
        fault = name_fault(card, key_of(card, root, path))
        if fault.startswith(("has the class", "names the speaker")):
            raise CorpusError(f"{card.name}: {path} {fault}: give it its name in the official release, or take it out of the folder")
    keys = {key_of(card, root, root / path) for path in paths}
    expected = card.expected_names()
    missing = [key for key in expected if key not in keys]
    extra = sorted(keys - set(expected))
    check = f"`sercore corpora check {card.name} --root {root}` lists what differs"
    if missing:
        of_how_many = f"{_first(missing)}; the release has {len(expected)}"
        raise CorpusError(f"{card.name}: {_count(missing)} missing from {root} ({of_how_many}): restore what is missing; {check}")
    if extra:
        raise CorpusError(
            f"{card.name}: {_count(extra)} too many in {root} ({_first(extra)}): take out what is not in the release; {check}"
        )


def _near(root: Path, depth: int) -> Iterator[Path]:
    """What lies at the top of a folder and in the folders below it, nearest first."""
    for level in range(1, depth + 1):
        yield from sorted(islice(root.glob("/".join(["*"] * level)), _LOOKED_AT), key=lambda path: os.fsencode(path.name))


def _count(keys: list[str]) -> str:
    return f"{len(keys)} recording{' is' if len(keys) == 1 else 's are'}"


def _first(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
