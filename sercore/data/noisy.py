"""A corpus with noise mixed into every recording: which noise, and how loud, is dealt once, so that no noise is on two sides of a fold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from sercore.data.audio import resample
from sercore.data.corpora import Corpus
from sercore.data.mixing import Mixture, mix
from sercore.data.splits import n_folds, split_plan
from sercore.errors import CorpusError
from sercore.spec import LEAKS, NoiseSpec, SplitSpec, digest

REVISION = 1  # raised by hand when another noise, place or level would be taken
#: Ratios between the lowest and the highest, both included: as many as the authors' synthesiser has.
RATIOS = 5
#: Columns that `deal` adds to an item table: item and audio id of the noise, and the ratio in dB.
ADDED = ("added_noise", "added_noise_audio", "added_snr_db")
#: Places in a noise that are tried before its piece counts as silent: clips of a fixed length are often filled up with zeros.
_TRIES = 32


@dataclass(frozen=True)
class NoisyCorpus(Corpus):
    """A corpus whose recordings are heard with noise.

    Audio ids and levels (`peaks`) are those of the recordings without it, so that duplicates and the leak `level_filter` are what they are
    in the clean corpus; features and the fingerprint are of the mixtures.

    Attributes:
        clean: the recordings; `items` is its table with the columns ADDED.
        noises: the corpus of noises, audio ids filled.
    """

    clean: Corpus
    noises: Corpus

    def waveform(self, item: Mapping[str, Any]) -> tuple[np.ndarray, int]:
        """One item's samples with its noise: mono float32, shape (N,), and the sampling rate of the clean corpus in Hz.

        Raises:
            CorpusError: a file is missing or cannot be decoded, or one of the two is silent (names them).
        """
        speech, rate = self.clean.waveform({column: item[column] for column in self.clean.items.columns})
        return self.mixture(item, speech, rate).samples, rate

    def mixture(self, item: Mapping[str, Any], speech: np.ndarray, sample_rate_hz: int) -> Mixture:
        """The mixture of one item with its parts.

        Args:
            item: a row of `items`.
            speech: its samples, shape (N,).
            sample_rate_hz: their rate; the noise is brought to it.

        Raises:
            CorpusError: as `waveform`.
        """
        noise, rate = self.noises.waveform(self._noise_rows[item["added_noise"]])
        noise = np.trim_zeros(resample(noise, rate, sample_rate_hz) if rate != sample_rate_hz else noise)
        try:
            return _audible(speech, noise, float(item["added_snr_db"]), _seed("place", item["item_id"]))
        except CorpusError as error:
            raise CorpusError(f"{self.name}: {item['path'] or item['item_id']} with {item['added_noise']}: {error}") from error

    @cached_property
    def _noise_rows(self) -> dict[str, dict[str, Any]]:
        return {row["item_id"]: row for row in self.noises.items.to_dict("records")}

    def with_audio_ids(self) -> NoisyCorpus:
        """Itself: the ids are filled."""
        return self

    def peaks(self) -> pd.Series:
        """Levels of the recordings without noise; see `Corpus.peaks`."""
        return self.clean.peaks()

    def fingerprint(self) -> str:
        """Hash of recordings, labels, noises and of which is mixed with which."""
        dealt = [[str(value) for value in row] for row in self.items[["item_id", *ADDED]].itertuples(index=False)]
        return digest([REVISION, self.clean.fingerprint(), self.noises.fingerprint(), dealt])


def with_noise(clean: Corpus, noises: Corpus, spec: NoiseSpec, scheme: str, task: str, table: pd.DataFrame) -> NoisyCorpus:
    """The corpus with noise in every recording.

    Args:
        clean, noises: audio ids filled.
        spec: level of the noise.
        scheme: split scheme of the runs that will read it: it decides who may share a noise.
        task: of those runs.
        table: the rows of `clean.items` that those runs deal to their sides (`sercore.prepare.table_of`).

    Raises:
        CorpusError: there are too few noises for the split.
        SplitError: the scheme is unknown or does not fit.
    """
    items = clean.items
    dealt = deal(items["item_id"], same_sides(table, scheme, task), noises.items, spec)
    items = items.join(dealt, on="item_id")
    return NoisyCorpus(clean.name, clean.root, items, clean.card, clean, noises)


def same_sides(table: pd.DataFrame, scheme: str, task: str) -> dict[str, str]:
    """On which sides an item is, one letter a fold of the scheme (`t`, `v` or `e`): items of one word are never on two sides of a fold.

    Args:
        table: item table.
        scheme, task: as `sercore.data.splits.split_plan`.

    Returns:
        item id -> letters.
    """
    letters = dict.fromkeys(table["item_id"], "")
    for fold in range(n_folds(scheme, table)):
        plan = split_plan(table, SplitSpec(scheme=scheme, fold=fold), tuple(LEAKS), task)
        for side, letter in (("train", "t"), ("validation", "v"), ("test", "e")):
            for item in plan.sides[side]:
                letters[item] += letter
    return letters


def deal(ids: Iterable[str], sides: Mapping[str, str], noises: pd.DataFrame, spec: NoiseSpec) -> pd.DataFrame:
    """Which noise is mixed into which item, and how loud: the same in every fold and run, on every machine.

    The sources of the noises (column `speaker`: takes of one source are cut from one recording), sorted by kind, are dealt in turn to the
    words of `same_sides`; an item draws from those of its word, so that no source is heard on two sides. The ratio is drawn from
    RATIOS values between the lowest and the highest.

    Args:
        ids: of the items.
        sides: of `same_sides`; an item without a word is on no side and takes the first.
        noises: item table of the noises, audio ids filled.
        spec: levels.

    Returns:
        Columns ADDED, index item_id.

    Raises:
        CorpusError: there are fewer sources of noise than words.
    """
    words = sorted(set(sides.values()))
    kind = noises["noise"] if "noise" in noises else pd.Series("", index=noises.index)
    sources = sorted({(k, s) for k, s in zip(kind, noises["speaker"], strict=True)})
    if len(sources) < len(words):
        raise CorpusError(
            f"{spec.corpus} has {len(sources)} sources of noise, and the split needs {len(words)} so that none is on two sides: "
            "take a larger collection, or a split of fewer folds"
        )
    of_source = dict(zip(sources, (words[k % len(words)] for k in range(len(sources))), strict=True))
    word = [of_source[k, s] for k, s in zip(kind, noises["speaker"], strict=True)]
    heard = {name: part.sort_values("item_id")[["item_id", "audio_id"]].to_numpy() for name, part in noises.groupby(word)}
    levels = np.linspace(spec.lowest_snr_db, spec.highest_snr_db, RATIOS)
    rows = []
    for item in ids:
        draw = np.random.default_rng(_seed("noise", spec.corpus, item))  # whatever the levels: runs at two levels hear the same noises
        mine = heard[sides.get(item, words[0])]
        rows.append((item, *mine[draw.integers(len(mine))], float(levels[draw.integers(len(levels))])))
    return pd.DataFrame(rows, columns=["item_id", *ADDED]).set_index("item_id")


def _seed(*key: str) -> int:
    return int(digest(list(key), 8), 16)


def _audible(speech: np.ndarray, noise: np.ndarray, snr_db: float, seed: int) -> Mixture:
    """The first mixture from a place on at which the noise is not silent."""
    for further in range(_TRIES):
        try:
            return mix(speech, noise, snr_db, seed + further)
        except CorpusError:
            continue
    return mix(speech, noise, snr_db, seed + _TRIES)
