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

from sercore.data import corpora, names, own
from sercore.data.audio import decode, samples_id
from sercore.data.card import Card, load_card
from sercore.data.findings import CorpusReport, Count, Finding
from sercore.data.overlaps import KINDS, overlaps, permitting_leak
from sercore.data.splits import SplitPlan, n_folds
from sercore.errors import CorpusError
from sercore.progress import bar

CONTAINERS = {".wav": ("WAV", "WAVEX", "RF64"), ".flac": ("FLAC",), ".ogg": ("OGG",)}
_RESTORE = "replace it with the file of the official release"
#: What nobody has promised otherwise of a corpus of one's own.
_FREE_IN_OWN = frozenset({"sampling_rate", "stereo", "dual_mono"})


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

    def __init__(self, card: Card, tolerated: frozenset[str] = frozenset(), mend: str = _RESTORE) -> None:
        self.card, self.tolerated, self.mend = card, tolerated, mend
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
        elif kind in self.tolerated:
            self.notes.append(Finding(kind, message.removesuffix(f": {self.mend}"), what))
        else:
            self.problems.append(Finding(kind, message, what))


def check_corpus(name: str, root: Path | None = None, progress: bool = True, subset: bool = False) -> CorpusReport:
    """Every file of a corpus folder against the card: names, counts and the decoded audio. Writes nothing.

    Args:
        name: corpus, e.g. "ravdess", or one's own.
        root: its folder, in the layout of the official release (.wav or .flac); without it, `$SERCORE_CORPORA/<name>`. Not needed for
            a synthetic one, whose table is counted.
        progress: show a progress bar on stderr while decoding.
        subset: the folder is known to hold a sample of the release, perhaps at another sampling rate: what is missing is a note.

    Returns:
        The report. Kinds of finding: misnamed, misplaced, extra, twice (two endings), missing; undecodable, other_container,
        sampling_rate, dual_mono, stereo, silent, duplicate_audio; unlabelled; count (only where the card lists no names); subset,
        resampled.

    Raises:
        CorpusError: no such corpus or folder, or nothing in the folder belongs to it.
    """
    if name in corpora.CORPORA and corpora.CORPORA[name].render is not None:
        items = corpora.CORPORA[name].read(Path())
        return _report(_Verdicts(load_card(name)), "", len(items), list(zip(items["emotion"], items["speaker"], strict=True)))
    if mine := own.find(name, root) if name not in corpora.CORPORA else None:
        return _check_own(name, mine, progress)
    card = load_card(name)
    verdicts, entry = _Verdicts(card), corpora.CORPORA[name]
    if root is None and (folder := os.environ.get("SERCORE_CORPORA")):
        root = Path(folder) / entry.home
    if root is None or not root.is_dir():
        fault = f"{root} is not a folder" if root else "no folder is given, and SERCORE_CORPORA is not set"
        raise CorpusError(f"{name}: {fault}: name the folder that holds the recordings. {card.access}")
    files: list[_File] = []
    if entry.images is None:
        files = _listen_to_all(card, root, progress)
        rates = {file.sound.rate_hz for file in files} - {0}
        resampled = rates.pop() if subset and len(rates) == 1 and rates != {card.sample_rate_hz} else 0
        if resampled:
            verdicts.notes.append(Finding("resampled", f"all files have {resampled} Hz, those of the release {card.sample_rate_hz} Hz"))
        _judge_names(verdicts, files, subset)
        _judge_sounds(verdicts, files, resampled or card.sample_rate_hz)
        _judge_duplicates(verdicts, files)
    if card.labels_in_names and not card.label_files:
        keys = sorted({file.key for file in files})
        return _report(verdicts, str(root), len(keys), [label for key in keys if (label := names.label_of(card, key))], subset)
    items = entry.read(root)
    if entry.images is not None:
        entry.images(root, items)
    if card.label_files and card.task == "emotion" and not entry.folder:
        _judge_labels(verdicts, files, set(items["path"]))
    found = len(items) if entry.folder else len(files) or len(items)  # a shared folder holds more than this corpus
    return _report(verdicts, str(root), found, _labels(card, items), subset)


def _check_own(name: str, root: Path, progress: bool) -> CorpusReport:
    """A corpus of one's own: its table or names hold (an error says where not), and every recording can be heard."""
    card, items = own.read(name, root)
    verdicts = _Verdicts(card, _FREE_IN_OWN, "replace it, or take it out")
    listed = [root / path for path in items["path"].unique()]
    files = _heard(card, root, listed, progress)
    _judge_sounds(verdicts, files, card.sample_rate_hz)
    _judge_duplicates(verdicts, files)
    if left_out := len(list(names.audio_files(root))) - len(listed):
        verdicts.notes.append(Finding("extra", f"{left_out} audio files are not in the table and are left out"))
    verdicts.notes.append(Finding("split", _split_of(corpora.Corpus(name, root, items, card))))
    return _report(verdicts, str(root), len(items), _labels(card, items))


def _split_of(corpus: corpora.Corpus) -> str:
    """The split to take where nothing else is asked for."""
    if (speakers := corpus.items["speaker"].nunique()) < 3:
        return f"{speakers} speakers are too few to keep training, validation and test apart, which takes three"
    scheme = corpora.default_scheme(corpus)
    return f"take {scheme} ({n_folds(scheme, corpus.items)} folds) where nothing else is asked for"


def _labels(card: Card, items: pd.DataFrame) -> list[tuple[str, str]]:
    """Class and speaker of every item; a task of numbers has no classes."""
    classes = items[card.task] if items[card.task].dtype != float else [""] * len(items)
    return list(zip(classes, items["speaker"], strict=True))


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


def _report(verdicts: _Verdicts, root: str, files: int, labels: list[tuple[str, str]], subset: bool = False) -> CorpusReport:
    """Counts and findings together. Where the card lists no names, a wrong count is a finding of its own."""
    card, counted = verdicts.card, []
    for part, expected in enumerate((card.classes, card.speakers)):
        found = Counter(label[part] for label in labels if label[part])
        counted.append({key: Count(found[key], expected.get(key, 0)) for key in {**expected, **found}})
    if subset:
        says = f"{files} of {card.files or 'an unknown number of'} files: read as a subset, counts are not compared"
        verdicts.notes.append(Finding("subset", says))
    elif not card.expected:
        _judge_counts(verdicts, Path(root), counted)
    return CorpusReport(card.name, root, Count(files, card.files), counted[0], counted[1], verdicts.problems, verdicts.notes)


def _judge_counts(verdicts: _Verdicts, root: Path, counted: list[dict[str, Count]]) -> None:
    """What is counted beside what the card states. Where only some parts of a release are there, their files are all that is compared."""
    card, parts = verdicts.card, names.part_counts(verdicts.card, root)
    compared = {part: Count(found, card.parts[part]) for part, found in parts.items()}
    if set(parts) == set(card.parts):
        for counts, stated in zip(counted, (card.classes, card.speakers), strict=True):
            compared |= counts if any(stated.values()) else {}
        compared |= {"speakers": Count(len(counted[1]), card.n_speakers)} if card.n_speakers else {}
    for key, count in compared.items():
        if abs(count.found - count.expected) > card.count_slack:
            says = f"{key}: {count.found} files, the card says {count.expected}: restore the official release"
            verdicts.problems.append(Finding("count", says.replace("files", "of them") if key == "speakers" else says))
        elif count.found != count.expected:
            verdicts.add("count", f"{key}: {count.found} files, the card says {count.expected}", keys=[key])


def _listen_to_all(card: Card, root: Path, progress: bool) -> list[_File]:
    """Every audio file below the folder, decoded once, in the order of the paths."""
    paths = list(names.audio_files(root, card.endings))
    if card.no_recordings:
        paths = [path for path in paths if not re.fullmatch(card.no_recordings, names.key_of(card, root, path))]
    if not any(re.fullmatch(card.name_pattern, names.key_of(card, root, path)) for path in paths):
        home = root / corpora.CORPORA[card.name].home
        inside = f" (did you mean {home}?)" if home.is_dir() else ""
        raise CorpusError(
            f"none of the {len(paths)} audio files under {root} belongs to {card.name}{inside}. Expected: {card.reader_expects}"
        )
    return _heard(card, root, paths, progress)


def _heard(card: Card, root: Path, paths: list[Path], progress: bool) -> list[_File]:
    """Files, each decoded once, in the order given."""
    counted = bar(paths, label=f"decoding {card.name}", unit="file") if progress else paths
    return [_File(names.shown(p.relative_to(root)), names.key_of(card, root, p), _listen(p, card.channel)) for p in counted]


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


def _judge_names(verdicts: _Verdicts, files: list[_File], subset: bool = False) -> None:
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
    for key in expected if not subset else ():
        if key not in first:
            verdicts.add("missing", f"{key} is missing: restore it from the official release", keys=[key])


def _judge_labels(verdicts: _Verdicts, files: list[_File], labelled: set[str]) -> None:
    """Recordings that the label files do not know; a reader leaves them out."""
    for file in files:
        if file.name not in labelled and not names.name_fault(verdicts.card, file.key):
            where = f"no label in {verdicts.card.label_files}"
            verdicts.add("unlabelled", f"{file.name} has {where}: restore the label files of the release", [file])


def _judge_sounds(verdicts: _Verdicts, files: list[_File], rate_hz: int) -> None:
    """What decoding says of each file."""
    again = verdicts.mend
    for file in files:
        sound = file.sound
        if sound.fault:
            verdicts.add("undecodable", f"{file.name}: {sound.fault}: {again}", [file])
            continue
        if sound.container not in CONTAINERS.get(Path(file.name).suffix.lower(), (sound.container,)):
            verdicts.add("other_container", f"{file.name} holds {sound.container}, another format than its ending says: {again}", [file])
        if rate_hz and sound.rate_hz != rate_hz:
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
            verdicts.add("duplicate_audio", f"{both} hold the same audio: {verdicts.mend}", copies)
