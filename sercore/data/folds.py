"""FOLD_TABLES: who is tested and who validates in each fold, as data (`folds/*.yml`), and the released generator of positional folds.

A table names every speaker of its corpus once among the tested; who is neither tested nor validates, trains.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from pydantic import BaseModel, ConfigDict, Field

from sercore.errors import SplitError
from sercore.spec import digest

FOLDER = Path(__file__).parent / "folds"
#: In this order in messages; each file holds the tables of one corpus.
_FILES = ("ravdess", "emodb", "iemocap", "savee", "emovo", "tess", "mesd", "esd", "cremad")

Masks = tuple[pd.Series, pd.Series]


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Fold(_Part):
    """Speakers of one fold; the others train."""

    test: tuple[str, ...] = Field(min_length=1)
    validation: tuple[str, ...]


class FoldTable(_Part):
    """The folds of one scheme.

    Attributes:
        source: where the assignment is from.
        leaks: those that a run on it has to declare (keys of `sercore.spec.LEAKS`).
        folds: in order.
        validation_words: where the validation side has no speaker of its own, one word in so many of the training speakers.
    """

    source: str
    leaks: tuple[str, ...]
    folds: tuple[Fold, ...]
    validation_words: int = 0

    @property
    def fingerprint(self) -> str:
        """Hash of who is on which side of each fold, whatever the order of names within a side."""
        return digest([self.validation_words, [[sorted(fold.test), sorted(fold.validation)] for fold in self.folds]])

    def masks(self, items: pd.DataFrame, fold: int) -> Masks:
        """Test and validation items of a fold, as booleans beside the item table.

        Raises:
            SplitError: a speaker of the table is not among the items.
        """
        chosen = self.folds[fold]
        test, validation = by_speakers(items, chosen.test, chosen.validation)
        if self.validation_words:
            ranked = {word: rank for rank, word in enumerate(sorted(set(items["word"])))}
            validation = ~test & items["word"].map(ranked).mod(self.validation_words).eq(0)
        return test, validation


def by_speakers(items: pd.DataFrame, test: Sequence[str], validation: Sequence[str]) -> Masks:
    """Items of the speakers named, as booleans beside the item table.

    Raises:
        SplitError: a speaker is not among the items.
    """
    speakers = set(items["speaker"])
    if missing := sorted((set(test) | set(validation)) - speakers):
        raise SplitError(f"the split names speakers {', '.join(missing)}, who are not among the {len(items)} items given")
    return items["speaker"].isin(test), items["speaker"].isin(validation)


def positional_cut(n_keys: int, n_folds: int, fold: int) -> tuple[list[int], list[int], list[int]]:
    """Which keys train, validate and are tested, as the released code of the thesis' systems cuts a list.

    The list is entered at `int(fold * n_keys / n_folds)` and gone round once: the first 70 % train, the next 20 % validate, the rest is
    tested, rounded half to even. Where that leaves a side empty, a tenth is tested and a fifth validates, rounded up.

    Args:
        n_keys: length of the list (speakers, sessions, ...).
        n_folds, fold: fold counted from 0.

    Returns:
        `(train, validation, test)`: positions in the list.

    Example:
        >>> positional_cut(10, 1, 0)
        ([0, 1, 2, 3, 4, 5, 6], [7, 8], [9])
    """
    train, validation = round(0.7 * n_keys), round(0.2 * n_keys)
    if not (train and validation and n_keys - train - validation > 0):
        validation = ceil(0.2 * n_keys)
        train = n_keys - validation - ceil(0.1 * n_keys)
    start = int(fold * n_keys / n_folds)
    order = [(start + i) % n_keys for i in range(n_keys)]
    return order[:train], order[train : train + validation], order[train + validation :]


def positional(n_folds: int) -> Callable[[pd.DataFrame, int], Masks]:
    """The released generator with so many folds, as a function of the item table and the fold.

    Args:
        n_folds: 1 (one division), 2 or 4.

    Returns:
        A function like `FoldTable.masks`: test and validation items as booleans, one an item, by its `speaker` and `item_id`. A key without
        items (RAVDESS' actor 25) is an empty key, as it was there. It raises SplitError for a corpus without keys.
    """

    def masks(items: pd.DataFrame, fold: int) -> Masks:
        corpus = items["item_id"].iloc[0].partition("/")[0]
        if corpus not in POSITIONAL:
            raise SplitError(f"positional folds are laid down for {', '.join(POSITIONAL)}; these items are of {corpus!r}")
        keys = POSITIONAL[corpus]["keys"]
        halves = items["speaker"] + "/" + _halves(items)
        _, validation, test = positional_cut(len(keys), n_folds, fold)
        chosen = [[name for i in side for name in keys[i]] for side in (test, validation)]
        of_test, of_validation = (items["speaker"].isin(names) | halves.isin(names) for names in chosen)
        return of_test, of_validation

    return masks


def positional_files(items: pd.DataFrame, fold: int) -> Masks:
    """The released generator over single recordings in a drawn order, whoever speaks: one fold of 70, 20 and 10 %.

    Args:
        items: item table; `item_id` decides the order, which was drawn anew each time in the released code and is fixed here.
        fold: 0.
    """
    order = items.sort_values("item_id").index.to_numpy()[np.random.default_rng(20260603).permutation(len(items))]
    _, validation, test = positional_cut(len(items), 1, fold)
    of_test, of_validation = (pd.Series(items.index.isin(order[side]), index=items.index) for side in (test, validation))
    return of_test, of_validation


def positional_leaks(corpus: str) -> tuple[str, ...]:
    """The leaks that a run on positional folds of a corpus has to declare."""
    return tuple(POSITIONAL[corpus]["leaks"])


def _halves(items: pd.DataFrame) -> pd.Series:
    """`a` or `b` for each item: its half of its speaker's recordings. The released halves were drawn anew each time; these are fixed."""
    drawn = pd.Series(np.random.default_rng(20260603).permutation(len(items)), index=items.sort_values("item_id").index)
    rank = drawn.groupby(items["speaker"]).rank() - 1
    size = items.groupby("speaker")["item_id"].transform("size")
    return (2 * rank.reindex(items.index) < size).map({True: "a", False: "b"})


def _read(name: str) -> dict:
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text(encoding="utf-8"))


#: corpus -> keys of the positional folds, each the speakers or halves of speakers that it stands for, and leaks
POSITIONAL: dict[str, dict] = _read("positional")
#: scheme -> table
FOLD_TABLES: dict[str, FoldTable] = {scheme: FoldTable.model_validate(table) for name in _FILES for scheme, table in _read(name).items()}
