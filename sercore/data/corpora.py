"""CORPORA: the explicit table of corpora, and the one way to load them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sercore.data import audio, names, own, synthetic, synthetic_noises
from sercore.data.card import Card, load_card
from sercore.data.readers import (
    cifar10,
    cremad,
    emodb,
    emovo,
    esc,
    esd,
    fsdd,
    good_sounds,
    iemocap,
    librispeech_words,
    mesd,
    mnist,
    ms_snsd,
    nsynth,
    omg_emotion,
    omg_empathy,
    ravdess,
    savee,
    speech_commands,
    tess,
)
from sercore.data.splits import DEFAULT_SCHEME
from sercore.errors import CorpusError
from sercore.spec import digest, store_folder


@dataclass(frozen=True)
class CorpusEntry:
    """One row of CORPORA.

    Attributes:
        name: key.
        read: `read(root) -> item table`, without decoding.
        render: makes an item's waveform where there are no files; None where there are.
        revision: of the rendering: raised when rendered samples change.
        folder: the folder's name beside those of other corpora, where it is not the corpus' own: several entries may read one folder.
        images: `images(root, items) -> pictures` of a corpus that is not to be heard.
    """

    name: str
    read: Callable[[Path], pd.DataFrame]
    render: Callable[[Mapping], tuple[np.ndarray, int]] | None = None
    revision: int = 0
    folder: str = ""
    images: Callable[[Path, pd.DataFrame], np.ndarray] | None = None

    @property
    def home(self) -> str:
        """Name of the folder that the corpus is looked for in."""
        return self.folder or self.name


CORPORA: dict[str, CorpusEntry] = {
    "synthetic": CorpusEntry("synthetic", lambda root: synthetic.read(), synthetic.waveform, synthetic.REVISION),
    "synthetic_others": CorpusEntry("synthetic_others", lambda root: synthetic.read_others(), synthetic.waveform, synthetic.REVISION),
    "synthetic_noises": CorpusEntry(
        "synthetic_noises", lambda root: synthetic_noises.read(), synthetic_noises.waveform, synthetic_noises.REVISION
    ),
    "ravdess": CorpusEntry("ravdess", ravdess.read),
    "emodb": CorpusEntry("emodb", emodb.read),
    # One folder, three label maps: a corpus of its own for each leaves the canonical form of a run's spec, and so its name, as it is.
    "iemocap": CorpusEntry("iemocap", iemocap.read),
    "iemocap_4": CorpusEntry("iemocap_4", iemocap.read_four, folder="iemocap"),
    "iemocap_4_excited": CorpusEntry("iemocap_4_excited", iemocap.read_four_excited, folder="iemocap"),
    "tess": CorpusEntry("tess", tess.read),
    "savee": CorpusEntry("savee", savee.read),
    "emovo": CorpusEntry("emovo", emovo.read),
    "mesd": CorpusEntry("mesd", mesd.read),
    "esd": CorpusEntry("esd", esd.read),
    "cremad": CorpusEntry("cremad", cremad.read),
    "omg_emotion": CorpusEntry("omg_emotion", omg_emotion.read),
    # Other tasks: what networks are pre-trained on, or kept from learning.
    "omg_empathy": CorpusEntry("omg_empathy", omg_empathy.read),
    "librispeech_words": CorpusEntry("librispeech_words", librispeech_words.read),
    "speech_commands": CorpusEntry("speech_commands", speech_commands.read),
    "speech_commands_digits": CorpusEntry("speech_commands_digits", speech_commands.read_digits, folder="speech_commands"),
    "fsdd": CorpusEntry("fsdd", fsdd.read),
    "ms_snsd": CorpusEntry("ms_snsd", ms_snsd.read),
    "esc50": CorpusEntry("esc50", esc.read_50),
    "esc10": CorpusEntry("esc10", esc.read_10),
    "nsynth": CorpusEntry("nsynth", nsynth.read),
    "good_sounds": CorpusEntry("good_sounds", good_sounds.read),
    "mnist": CorpusEntry("mnist", mnist.read, images=mnist.images),
    "cifar10": CorpusEntry("cifar10", cifar10.read, images=cifar10.images),
}
#: Stands for a corpus of one's own, which has a card and no line above.
_OWN = CorpusEntry("own", lambda root: own.read(root.name, root)[1])

#: Columns that can change a result, and so the fingerprint.
_FINGERPRINTED = ("item_id", "audio_id", "start_s", "end_s", "speaker", "emotion", "word")
#: Rendered items that are kept in memory: both embedded corpora and the noises, some 80 MB.
_KEPT = 768
#: Up to so many speakers, one at a time is left out where no other split is known.
_FEW_SPEAKERS = 10


@dataclass(frozen=True)
class Corpus:
    """A corpus that has been read: its items, its card, and a way to hear them.

    Attributes:
        name: key in CORPORA, or name of a corpus of one's own.
        root: its folder; None for a corpus that is made on the fly.
        items: item table.
        card: what is known about it.
    """

    name: str
    root: Path | None
    items: pd.DataFrame
    card: Card

    def waveform(self, item: Mapping) -> tuple[np.ndarray, int]:
        """One item's samples.

        Args:
            item: a row of the item table (mapping with `path`, `start_s`, `end_s`; a synthetic item's factors).

        Returns:
            `(samples, sample_rate_hz)`: mono float32, shape (N,).

        Raises:
            CorpusError: the file is missing or cannot be decoded (names it), or the corpus holds pictures.
        """
        entry = self._entry
        if entry.images is not None:
            raise CorpusError(f"{self.name} holds pictures, which cannot be heard: ask for Corpus.images()")
        if entry.render is not None:
            samples, rate = _rendered(self.name, tuple((key, None if value != value else value) for key, value in item.items()))
            return samples.copy(), rate
        assert self.root is not None
        samples, rate = audio.decode(self.root / item["path"], channel=self.card.channel)
        start, end = item["start_s"], item["end_s"]
        if np.isnan(start):
            return samples, rate
        return samples[round(start * rate) : round(end * rate)], rate

    @property
    def _entry(self) -> CorpusEntry:
        return CORPORA.get(self.name, _OWN)

    def images(self) -> np.ndarray:
        """The pictures in the order of the items: shape (N, height, width) or (N, channels, height, width), uint8.

        Raises:
            CorpusError: the corpus holds sound, or a file is broken (names it).
        """
        if self._entry.images is None or self.root is None:
            raise CorpusError(f"{self.name} holds sound and no pictures: ask for Corpus.waveform(item)")
        return self._entry.images(self.root, self.items)

    def with_audio_ids(self) -> Corpus:
        """The same corpus with `audio_id` filled from the decoded samples (remembered on disk, so later calls are quick).

        The parts of one recording have its id; a picture has that of its pixels.

        Raises:
            CorpusError: a recording is missing or cannot be decoded.
        """
        cache = store_folder() / "cache" / "audio_ids"
        entry = self._entry
        if entry.images is not None:
            ids = [audio.bytes_id(picture.tobytes()) for picture in self.images()]
        elif entry.render is None:
            assert self.root is not None
            paths = self.items["path"].unique()
            found = audio.audio_ids([self.root / p for p in paths], cache / f"{self.name}.json", f"hashing {self.name}", self.card.channel)
            ids = self.items["path"].map(dict(zip(paths, found, strict=True))).tolist()
        else:
            rows = self.items.to_dict("records")
            keys = [digest([entry.revision, {k: str(v) for k, v in row.items()}]) for row in rows]
            ids = audio.remembered(
                cache / f"{self.name}.json", keys, lambda i: audio.samples_id(*self.waveform(rows[i])), f"rendering {self.name}"
            )
        return replace(self, items=self.items.assign(audio_id=ids))

    def peaks(self) -> pd.Series:
        """Largest absolute sample of each item, in [0, 1] for whole-number files (remembered on disk by `audio_id`).

        Returns:
            item_id -> peak, in the order of the item table.

        Raises:
            CorpusError: a recording is missing or cannot be decoded, or audio ids are not filled.
        """
        if self.items["audio_id"].eq("").any():
            raise CorpusError(f"{self.name}: fill audio ids (Corpus.with_audio_ids) before asking for peaks")
        rows = self.items.to_dict("records")
        keys = [f"{row['audio_id']}|{row['start_s']}|{row['end_s']}" for row in rows]
        cache = store_folder() / "cache" / "peaks" / f"{self.name}.json"
        found = audio.remembered(cache, keys, lambda i: repr(float(np.abs(self.waveform(rows[i])[0]).max())), f"levels of {self.name}")
        return pd.Series([float(peak) for peak in found], index=self.items["item_id"], name="peak")

    def fingerprint(self) -> str:
        """Hash of what the recordings and labels are; needs `with_audio_ids` first.

        Raises:
            CorpusError: `audio_id` is not filled.
        """
        if self.items["audio_id"].eq("").any():
            raise CorpusError(f"{self.name}: fill audio ids (Corpus.with_audio_ids) before taking a fingerprint")
        labels = [self.card.task] if self.card.task not in _FINGERPRINTED else []
        rows = self.items[[*_FINGERPRINTED, *labels]].itertuples(index=False)
        return digest([self.name, [[str(value) for value in row] for row in rows]])


@lru_cache(maxsize=_KEPT)
def _rendered(name: str, row: tuple[tuple[str, Any], ...]) -> tuple[np.ndarray, int]:
    """One item of a corpus without files; what is made on the fly takes longer than all that is then done with it."""
    render = CORPORA[name].render
    assert render is not None
    return render({key: float("nan") if value is None else value for key, value in row})


def load(name: str, root: str | Path | None = None, check_counts: bool = True) -> Corpus:
    """Read a corpus and compare its counts with its card.

    Args:
        name: key of CORPORA, or name of a corpus of one's own (`sercore.data.own`).
        root: its folder; where empty, `$SERCORE_CORPORA/<name>` is taken. Not needed for `synthetic`.
        check_counts: False lets a subset through (a test tree, a slice); never silently.

    Returns:
        The corpus; nothing is decoded.

    Raises:
        CorpusError: no such corpus, no such folder, the folder holds nothing of it or another corpus, a name has a label or speaker
            outside the map, or recordings are missing or too many (says which).
    """
    if name not in CORPORA:
        if mine := own.find(name, root):
            card, items = own.read(name, mine)
            return Corpus(name, mine, items, card)
        hint = f"one of your own has its folder given, with {own.CARD} in it"
        raise CorpusError(f"no corpus is called {name!r}; known: {', '.join(CORPORA)}; {hint}")
    entry, card = CORPORA[name], load_card(name)
    if entry.render is not None:
        return Corpus(name, None, entry.read(Path()), card)
    if not root and os.environ.get("SERCORE_CORPORA"):
        root = Path(os.environ["SERCORE_CORPORA"]) / entry.home
    if not root:
        raise CorpusError(
            f"{name} needs its folder: give root, or set SERCORE_CORPORA to the folder that holds {entry.home}/; {card.access}"
        )
    folder = Path(root)
    if (folder / entry.home).is_dir() and not list(folder.glob("Actor_*")):
        folder = folder / entry.home
    if not folder.is_dir():
        raise CorpusError(f"{name}: there is no folder {folder}; {card.access}")
    try:
        corpus = Corpus(name, folder, entry.read(folder), card)
    except CorpusError:
        if card.name_pattern:  # what the folder holds instead says more than that nothing was found
            names.refuse_other_folder(card, folder)
        raise
    if check_counts and card.expected:
        names.refuse_other_names(card, folder, corpus.items["path"])
    if check_counts:
        _compare_counts(corpus)
    return corpus


def default_scheme(corpus: Corpus) -> str:
    """The split of a corpus where nothing else is asked for: the published one, else that of its card, else by its number of speakers."""
    few = corpus.items["speaker"].nunique() <= _FEW_SPEAKERS
    return DEFAULT_SCHEME.get(corpus.name) or corpus.card.default_split or ("leave_one_speaker_out" if few else "speakers_4")


def _compare_counts(corpus: Corpus) -> None:
    card, wrong, slack = corpus.card, [], corpus.card.count_slack
    parts = names.part_counts(card, corpus.root) if corpus.root else {}
    wrong += [f"{part} has {have} of {card.parts[part]}" for part, have in parts.items() if have != card.parts[part]]
    files, whole = sum(parts.values()) or len(corpus.items), set(parts) == set(card.parts)
    for column, expected in ((card.task, card.classes), ("speaker", card.speakers)) if whole else ():
        counts = corpus.items[column].value_counts().to_dict() if any(expected.values()) else {}
        for value in sorted(set(expected) | set(counts)) if counts else ():
            have, want = counts.get(value, 0), expected.get(value, 0)
            if abs(have - want) > slack or (value in expected) != (value in counts):
                wrong.append(f"{column} {value} has {have} of {want}")
    if whole and card.n_speakers and (speakers := corpus.items["speaker"].nunique()) != card.n_speakers:
        wrong.append(f"{speakers} of {card.n_speakers} speakers")
    if wrong:
        missing = sum(card.parts[part] for part in parts) - files if parts else card.files - files
        what = (
            f"{missing} recordings are missing"
            if missing > 0
            else f"{-missing} recordings are too many"
            if missing < 0
            else "counts differ"
        )
        raise CorpusError(
            f"{corpus.name}: {what} ({'; '.join(wrong[:6])}{' ...' if len(wrong) > 6 else ''}); "
            f"run `sercore corpora check {corpus.name} --root ...` for the list; a sample of the release is read with check_counts=False"
        )


def find_corpora(folder: str | Path, task: str = "emotion") -> dict[str, Path]:
    """Real corpora of a task that lie under a folder, by the folder names of CORPORA.

    Args:
        folder: holds `ravdess/`, `emodb/`, ...
        task: of the cards.

    Returns:
        name -> folder, in the order of CORPORA; empty where none is there.
    """
    homes = {name: Path(folder) / entry.home for name, entry in CORPORA.items() if entry.render is None}
    return {name: home for name, home in homes.items() if home.is_dir() and load_card(name).task == task}
