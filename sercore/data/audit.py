"""What is wrong with a corpus folder or a split plan: each finding names the file or item, and the mend. Reads only."""

from __future__ import annotations

import os
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile

from sercore.data import corpora, names, synthetic
from sercore.data.audio import decode, samples_id
from sercore.data.card import Card, load_card
from sercore.data.findings import CorpusReport, Count, Finding
from sercore.data.overlaps import KINDS, overlaps, permitting_leak
from sercore.data.splits import SplitPlan
from sercore.errors import CorpusError
from sercore.progress import bar

CONTAINERS = {".wav": ("WAV", "WAVEX", "RF64"), ".flac": ("FLAC",)}


@dataclass(frozen=True)
class _Sound:
    """What decoding said of one file. With a `fault` the rest is empty."""

    fault: str = ""
    audio_id: str = ""
    rate_hz: int = 0
    channels: int = 1
    channels_equal: bool = True
    silent: bool = False
    container: str = ""


@dataclass(frozen=True)
class _File:
    """One audio file of a corpus folder."""

    name: str  # relative to the corpus folder, with its ending
    key: str  # relative to the audio folder, without ending: what the card calls it
    sound: _Sound


class _Verdicts:
    """Collects findings: what the card knows as a defect of the release becomes a note, all else a problem."""

    def __init__(self, card: Card) -> None:
        self.card = card
        self.notes: list[Finding] = []
        self.problems: list[Finding] = []
        self.noted: Counter[str] = Counter()

    def add(self, kind: str, message: str, files: Sequence[_File] = (), keys: Sequence[str] = ()) -> None:
        """One finding about some files (or, where there is no file, some keys of the card)."""
        what = tuple(file.name for file in files) or tuple(keys)
        defect = self.card.defect(kind, *(file.key for file in files), *keys)
        if defect and not 0 < defect.at_most <= self.noted[kind]:
            self.noted[kind] += 1
            self.notes.append(Finding(kind, f"{', '.join(what)}: {defect.note}", what))
        else:
            self.problems.append(Finding(kind, message, what))


def check_corpus(name: str, root: Path | None = None, progress: bool = True) -> CorpusReport:
    """Every file of a corpus folder against the card: names, counts and the decoded audio. Writes nothing.

    Args:
        name: corpus, e.g. "ravdess".
        root: its folder, in the layout of the official release (.wav or .flac); without it, `$SERCORE_CORPORA/<name>`. Not needed for
            "synthetic", whose table is counted.
        progress: show a progress bar on stderr while decoding.

    Returns:
        The report. Kinds of finding: misnamed, misplaced, extra, twice (two endings), missing; undecodable, other_container,
        sampling_rate, dual_mono, stereo, silent, duplicate_audio; count (only where the card lists no names).

    Raises:
        CorpusError: no such corpus or folder, or nothing in the folder belongs to it.
    """
    card = load_card(name)
    verdicts = _Verdicts(card)
    if name == "synthetic":
        items = synthetic.read()
        return _report(verdicts, "", len(items), list(zip(items["emotion"], items["speaker"], strict=True)))
    if root is None and (folder := os.environ.get("SERCORE_CORPORA")):
        root = Path(folder) / corpora.CORPORA[name].home
    if root is None or not root.is_dir():
        fault = f"{root} is not a folder" if root else "no folder is given, and SERCORE_CORPORA is not set"
        raise CorpusError(f"{name}: {fault}: name the folder that holds the recordings. {card.access}")
    files = _listen_to_all(card, root, progress)
    _judge_names(verdicts, files)
    _judge_sounds(verdicts, files)
    _judge_duplicates(verdicts, files)
    if card.label_files:
        items = corpora.CORPORA[name].read(root)
        return _report(verdicts, str(root), len(items), list(zip(items["emotion"], items["speaker"], strict=True)))
    keys = sorted({file.key for file in files})
    return _report(verdicts, str(root), len(keys), [label for key in keys if (label := names.label_of(card, key))])


def audit_plan(plan: SplitPlan, items: pd.DataFrame) -> list[Finding]:
    """Everything that two sides of a split plan share, declared or not.

    Args:
        plan: the plan.
        items: item table of its corpus, `audio_id` filled.

    Returns:
        One finding per shared thing: `kind` is a key of `sercore.data.overlaps.KINDS`, `files` the item ids; the message says whether a
        declared leak permits it. Shared text is reported and needs no permission.

    Raises:
        SplitError: the plan names an item that the table does not hold.
    """
    findings = []
    for overlap in overlaps(items, plan.sides):
        leak = permitting_leak(overlap, plan.leaks)
        state = f"declared as {leak}" if leak else "NOT declared: split it apart, or declare the leak"
        if overlap.kind == "text_overlap":
            state = "reported only"
        message = f"{KINDS[overlap.kind].split(' (')[0]}: {overlap.what!r} in {overlap.side_a} and {overlap.side_b}; {state}"
        findings.append(Finding(overlap.kind, message, overlap.item_ids))
    return findings


def _report(verdicts: _Verdicts, root: str, files: int, labels: list[tuple[str, str]]) -> CorpusReport:
    """Counts and findings together. Where the card lists no names, a wrong count is a finding of its own."""
    card, counted = verdicts.card, []
    for part, expected in enumerate((card.emotions, card.speakers)):
        found = Counter(label[part] for label in labels)
        counted.append({key: Count(found[key], expected.get(key, 0)) for key in {**expected, **found}})
    if not card.expected:
        for key, count in [*counted[0].items(), *(counted[1].items() if any(card.speakers.values()) else ())]:
            if abs(count.found - count.expected) > card.count_slack:
                says = f"{key}: {count.found} files, the card says {count.expected}: restore the official release"
                verdicts.problems.append(Finding("count", says))
            elif count.found != count.expected:
                verdicts.add("count", f"{key}: {count.found} files, the card says {count.expected}", keys=[key])
    return CorpusReport(card.name, root, Count(files, card.files), counted[0], counted[1], verdicts.problems, verdicts.notes)


def _listen_to_all(card: Card, root: Path, progress: bool) -> list[_File]:
    """Every audio file below the folder, decoded once, in the order of the paths."""
    paths = list(names.audio_files(root))
    if card.no_recordings:
        paths = [path for path in paths if not re.fullmatch(card.no_recordings, names.key_of(card, root, path))]
    keys = [names.key_of(card, root, path) for path in paths]
    if not any(re.fullmatch(card.name_pattern, key) for key in keys):
        home = root / corpora.CORPORA[card.name].home
        inside = f" (did you mean {home}?)" if home.is_dir() else ""
        raise CorpusError(
            f"none of the {len(paths)} audio files under {root} belongs to {card.name}{inside}. Expected: {card.reader_expects}"
        )
    counted = bar(paths, label=f"decoding {card.name}", unit="file") if progress else paths
    heard = zip(counted, keys, strict=True)
    return [_File(names.shown(path.relative_to(root)), key, _listen(path, card.channel)) for path, key in heard]


def _listen(path: Path, channel: int | None) -> _Sound:
    """Decodes one file; whatever is wrong with it comes back as a fault, never as an exception."""
    if not path.is_file():
        return _Sound(fault="it is not a file, or a link that leads nowhere")
    try:
        samples, rate_hz = decode(path, channel=channel)
        header = soundfile.info(path)
        equal = header.channels == 1 or bool(np.ptp(soundfile.read(path, dtype="float32")[0], axis=1).max() == 0)
    except (CorpusError, soundfile.LibsndfileError, OSError, UnicodeError) as error:  # UnicodeError: a name that is no text
        fault = str(error).removeprefix(f"{path} ").removeprefix(f"{path}: ").split(": replace ")[0]
        return _Sound(fault=fault.replace(str(path), path.name))
    return _Sound("", samples_id(samples, rate_hz), rate_hz, header.channels, equal, not samples.any(), header.format)


def _judge_names(verdicts: _Verdicts, files: list[_File]) -> None:
    """What the names alone say, then what is missing."""
    card = verdicts.card
    expected = dict.fromkeys(card.expected_names())
    homes = {Path(key).name: key for key in expected}
    present = {file.key for file in files}
    first: dict[str, _File] = {}
    for file in files:
        kind = "extra"
        if file.key in first:
            kind, says = "twice", f"holds the recording of {first[file.key].name} once more, with another ending: take one of the two out"
        elif file.key in expected:
            says = ""
        elif Path(file.key).name in homes:
            home = homes[Path(file.key).name]
            if home in present:
                kind, says = "twice", f"has the name of {home}, which is there too: take one of the two out"
            else:
                kind, says = "misplaced", f"belongs at {home}, its folder and its name disagree: move it there"
        elif card.defect("misnamed", file.key):
            kind, says = "misnamed", "is named so in the official release"
        elif fault := names.name_fault(card, file.key):
            kind, says = "misnamed", f"{fault}: give it its name in the official release, or take it out"
        else:
            says = "is not in the official release: take it out of the folder" if expected else ""
        if says:
            verdicts.add(kind, f"{file.name} {says}", [file])
        first.setdefault(file.key, file)
    for key in expected:
        if key not in first:
            verdicts.add("missing", f"{key} is missing: restore it from the official release", keys=[key])


def _judge_sounds(verdicts: _Verdicts, files: list[_File]) -> None:
    """What decoding says of each file."""
    rate_hz, again = verdicts.card.sample_rate_hz, "replace it with the file of the official release"
    for file in files:
        sound = file.sound
        if sound.fault:
            verdicts.add("undecodable", f"{file.name}: {sound.fault}: {again}", [file])
            continue
        if sound.container not in CONTAINERS[Path(file.name).suffix.lower()]:
            verdicts.add("other_container", f"{file.name} holds {sound.container}, another format than its ending says: {again}", [file])
        if sound.rate_hz != rate_hz:
            verdicts.add("sampling_rate", f"{file.name} has {sound.rate_hz} Hz, the card says {rate_hz} Hz: {again}", [file])
        if sound.channels > 1:
            kind, how = ("dual_mono", "equal") if sound.channels_equal else ("stereo", "different")
            verdicts.add(kind, f"{file.name} has {sound.channels} {how} channels, one is expected: {again}", [file])
        if sound.silent:
            verdicts.add("silent", f"{file.name}: every sample is zero: {again}", [file])


def _judge_duplicates(verdicts: _Verdicts, files: list[_File]) -> None:
    """Files of different recordings whose decoded samples are equal, whatever their names and formats."""
    same: defaultdict[str, list[_File]] = defaultdict(list)
    for file in files:
        if file.sound.audio_id and not file.sound.silent:
            same[file.sound.audio_id].append(file)
    for copies in same.values():
        if len({file.key for file in copies}) > 1:
            both = ", ".join(file.name for file in copies)
            verdicts.add("duplicate_audio", f"{both} hold the same audio: replace the copy with the file of the official release", copies)
