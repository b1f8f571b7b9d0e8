"""Split plans: who trains, who validates, who is tested. A plan that leaks without saying so cannot be made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from sercore.data.folds import FOLD_TABLES, Masks, by_speakers, positional, positional_files
from sercore.data.overlaps import COLUMNS, PERMITTED_BY, overlaps, permitting_leak
from sercore.errors import LeakError, SplitError
from sercore.spec import SplitSpec, digest

#: Test and validation actors of the published folds of RAVDESS, and EmoDB's pairs: see `folds/*.yml`.
LUNA_JIMENEZ_TEST = tuple(fold.test for fold in FOLD_TABLES["luna_jimenez_5"].folds)
LUNA_JIMENEZ_VALIDATION = tuple(fold.validation for fold in FOLD_TABLES["luna_jimenez_5"].folds)
EMODB_PAIRS = tuple(fold.test for fold in FOLD_TABLES["pairs_5"].folds)


@dataclass(frozen=True)
class SplitPlan:
    """Item ids of the three sides of one fold. Made by `split_plan`; construction refuses undeclared leaks.

    Attributes:
        scheme, fold: which plan of which scheme.
        train, validation, test: item ids, sorted.
        leaks: the leaks that the spec declares.
        found: kinds of overlap that are there, each declared.
        copies: test items of which a copy, under another name, trains too (leak `duplicate_audio`); sorted.
        checked: kinds of overlap that were looked for; one whose column is empty (audio ids not filled) is not among them.
    """

    scheme: str
    fold: int
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]
    leaks: tuple[str, ...] = ()
    found: tuple[str, ...] = ()
    copies: tuple[str, ...] = ()
    checked: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:
        """Hash of who is on which side: equal for equal sides whatever the corpus folder or the order of its files."""
        return digest([self.scheme, self.fold, self.train, self.validation, self.test, *([self.copies] if self.copies else [])])

    @property
    def sides(self) -> dict[str, tuple[str, ...]]:
        """The three sides by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def _one_speaker_out(items: pd.DataFrame, fold: int) -> Masks:
    speakers = sorted(items["speaker"].unique())
    if len(speakers) < 3:
        raise SplitError(f"leaving one speaker out needs three speakers, there are {len(speakers)}")
    if fold >= len(speakers):
        raise SplitError(f"fold {fold} is not there: {len(speakers)} speakers give folds 0 to {len(speakers) - 1}")
    return by_speakers(items, [speakers[fold]], [speakers[(fold + 1) % len(speakers)]])


def _groups(n_folds: int, column: str = "speaker") -> Callable[[pd.DataFrame, int], Masks]:
    """Speakers, or what else a column names, sorted by name and dealt to folds in turn; the next fold's validate."""

    def plan(items: pd.DataFrame, fold: int) -> Masks:
        if column not in items:
            raise SplitError(f"a split by {column} needs items that have one; these have {', '.join(items.columns)}")
        names = sorted(items[column].unique())
        if len(names) < max(3, n_folds):
            raise SplitError(f"{n_folds} {column} folds need {max(3, n_folds)} {column}s, there are {len(names)}")
        dealt = [names[i::n_folds] for i in range(n_folds)]
        return items[column].isin(dealt[fold]), items[column].isin(dealt[(fold + 1) % n_folds])

    return plan


def _random(items: pd.DataFrame, fold: int) -> Masks:
    """Five random fifths, speakers mixed (the leak `speaker_overlap`), the same on every machine."""
    part = pd.Series(np.random.default_rng(20260603).permutation(len(items)) % 5, index=items.index)
    return part.eq(fold), part.eq((fold + 1) % 5)


def _within_speakers(items: pd.DataFrame, fold: int) -> Masks:
    """Five fifths of every speaker's recordings, equal audio together, the same on every machine: who speaks is what is to be told."""
    heard = items["audio_id"].where(items["audio_id"].ne(""), items["source_id"])
    part = pd.Series(0, index=items.index)
    for number, (_, mine) in enumerate(heard.groupby(items["speaker"], sort=True)):
        units = sorted(set(mine))
        dealt = np.random.default_rng([20260603, number]).permutation(len(units)) % 5
        part[mine.index] = mine.map(dict(zip(units, dealt, strict=True)))
    return part.eq(fold), part.eq((fold + 1) % 5)


def _shuffled(items: pd.DataFrame) -> pd.DataFrame:
    """The items with their speakers dealt anew, so that a speaker scheme mixes speakers and keeps the sizes of its sides.

    Equal audio gets one speaker, so that mixed speakers are the only leak.
    """
    speakers = np.random.default_rng(20260603).permutation(items["speaker"].to_numpy())
    heard = items["audio_id"].where(items["audio_id"].ne(""), items["item_id"])
    alone = ~heard.duplicated(keep=False).to_numpy()
    first: dict[str, int] = {}
    for here, audio in enumerate(heard):
        wanted = speakers[first.setdefault(audio, here)]
        if speakers[here] != wanted:
            exchanged = np.flatnonzero(alone & (speakers == wanted))[:1]
            speakers[exchanged] = speakers[here]
            speakers[here] = wanted
    return items.assign(speaker=speakers)


#: scheme -> (number of folds, or 0 where the speakers decide; masks of test and validation items)
SCHEMES: dict[str, tuple[int, Callable[[pd.DataFrame, int], Masks]]] = {
    **{scheme: (len(table.folds), table.masks) for scheme, table in FOLD_TABLES.items()},
    "leave_one_speaker_out": (0, _one_speaker_out),
    "speakers_4": (4, _groups(4)),
    "instruments_4": (4, _groups(4, "instrument")),
    "random_5": (5, _random),
    "within_speakers_5": (5, _within_speakers),
    "positional_1": (1, positional(1)),
    "positional_2": (2, positional(2)),
    "positional_4": (4, positional(4)),
    "positional_files": (1, positional_files),
}
#: Ending of a scheme whose recordings are dealt to the sides whoever speaks, in the sizes of the scheme.
SHUFFLED = "_shuffled"
#: Ending of a scheme whose training side also holds copies of test recordings: what happens where a corpus has each recording twice (the
#: sound and the film of one take) and its files are shuffled.
COPIES = "_copies"
#: Share of the test recordings that are copied: what five shuffled fifths, three of them for training, give.
COPIED_SHARE = 0.6

#: The scheme that a corpus is split by where nothing else is asked for.
DEFAULT_SCHEME = {
    "ravdess": "luna_jimenez_5",
    "emodb": "pairs_5",
    "synthetic": "speakers_4",
    "synthetic_others": "speakers_4",
    "iemocap": "iemocap_sessions_5",
    "iemocap_4": "iemocap_sessions_5",
    "iemocap_4_excited": "iemocap_sessions_5",
    "tess": "tess_two_way",
    "savee": "savee_4",
    "emovo": "emovo_6",
    "mesd": "mesd_voices_3",
    "esd": "esd_5",
    "cremad": "cremad_5",
}


def n_folds(scheme: str, items: pd.DataFrame) -> int:
    """Number of folds of a scheme on a corpus, which is given as its item table.

    Raises:
        SplitError: no scheme has that name.
    """
    return SCHEMES[base_scheme(scheme)][0] or items["speaker"].nunique()


def base_scheme(scheme: str) -> str:
    """The key of SCHEMES that a scheme with or without endings rests on.

    Raises:
        SplitError: there is none.

    Example:
        >>> base_scheme("pairs_5_shuffled_copies")
        'pairs_5'
    """
    base = scheme.removesuffix(COPIES).removesuffix(SHUFFLED)
    if base not in SCHEMES:
        raise SplitError(
            f"no split scheme is called {scheme!r}; known: {', '.join(SCHEMES)}, each also with {SHUFFLED} and {COPIES} behind it"
        )
    return base


def make_plan(
    items: pd.DataFrame,
    train: Sequence[str],
    validation: Sequence[str],
    test: Sequence[str],
    *,
    scheme: str,
    fold: int,
    leaks: Sequence[str] = (),
    copies: Sequence[str] = (),
    task: str = "emotion",
) -> SplitPlan:
    """A plan of the sides given, or a refusal that names the leak.

    Args:
        items: item table that holds every id; audio is compared where `audio_id` is filled.
        train, validation, test: item ids.
        scheme, fold: names for the plan.
        leaks: declared leaks (keys of `sercore.spec.LEAKS`).
        copies: test items of which a copy trains.
        task: where it is `speaker`, every speaker must be on every side, and that is no leak.

    Returns:
        The plan; `found` lists the declared leaks that are really there.

    Raises:
        SplitError: a side is empty, an id is not in the table, or a copy is of no test item.
        LeakError: an item is on two sides; or a speaker, source recording, overlapping segment or identical audio is, undeclared.
    """
    sides = {"train": tuple(sorted(train)), "validation": tuple(sorted(validation)), "test": tuple(sorted(test))}
    for side, ids in sides.items():
        if not ids:
            raise SplitError(f"{scheme} fold {fold}: the {side} side is empty")
    if unknown := sorted(set().union(*sides.values()) - set(items["item_id"])):
        raise SplitError(f"{scheme} fold {fold}: {len(unknown)} items are not in the table, first {unknown[0]!r}")
    if twice := sorted(item for a, b in combinations(sides.values(), 2) for item in set(a) & set(b)):
        raise LeakError(f"{scheme} fold {fold}: {len(twice)} items are on two sides, first {twice[0]!r}; no declaration permits this")
    found = set()
    kinds = tuple(kind for kind in PERMITTED_BY if (kind, task) != ("speaker_overlap", "speaker"))
    for overlap in overlaps(items, sides, kinds=kinds):
        permitted = permitting_leak(overlap, leaks)
        if permitted is None:
            raise LeakError(
                f"{scheme} fold {fold}: {overlap.kind.replace('_', ' ')} {overlap.what!r} is on the {overlap.side_a} "
                f"and the {overlap.side_b} side ({len(overlap.item_ids)} items, first {overlap.item_ids[0]!r}); "
                f"split it apart or declare the leak {PERMITTED_BY[overlap.kind][0]!r}"
            )
        found.add(permitted)
    if copies:
        if "duplicate_audio" not in leaks:
            raise LeakError(f"{scheme} fold {fold}: {len(copies)} test recordings are copied into training; declare 'duplicate_audio'")
        if strangers := sorted(set(copies) - set(sides["test"])):
            raise SplitError(f"{scheme} fold {fold}: {len(strangers)} copies are of no test item, first {strangers[0]!r}")
        found.add("duplicate_audio")
    return SplitPlan(
        scheme=scheme,
        fold=fold,
        **sides,
        leaks=tuple(sorted(leaks)),
        found=tuple(sorted(found)),
        copies=tuple(sorted(copies)),
        checked=tuple(kind for kind in kinds if _can_be_seen(items, kind)),
    )


def _can_be_seen(items: pd.DataFrame, kind: str) -> bool:
    """Has any item what this kind of overlap is looked for in?"""
    column = COLUMNS.get(kind, "source_id")
    return column in items and bool((items[column].notna() & items[column].ne("")).any())


def split_plan(items: pd.DataFrame, split: SplitSpec, leaks: Sequence[str] = (), task: str = "emotion") -> SplitPlan:
    """The plan that a spec asks for.

    Args:
        items: item table of the corpus, `audio_id` filled so that duplicates can be seen.
        split: scheme and fold.
        leaks: declared leaks.
        task: what is recognised; see `make_plan`.

    Returns:
        The plan of that fold; all items that are neither tested nor validated train.

    Raises:
        SplitError: no such scheme or fold, or the corpus does not fit the scheme.
        LeakError: the plan leaks without saying so.
    """
    folds = n_folds(split.scheme, items)
    if split.fold >= folds:
        raise SplitError(f"{split.scheme} has folds 0 to {folds - 1}, not {split.fold}")
    dealt = _shuffled(items) if split.scheme.removesuffix(COPIES).endswith(SHUFFLED) else items
    test, validation = SCHEMES[base_scheme(split.scheme)][1](dealt, split.fold)
    ids = items["item_id"]
    copies: list[str] = []
    if split.scheme.endswith(COPIES):
        tested = sorted(ids[test])
        drawn = np.random.default_rng([20260603, split.fold]).permutation(len(tested))[: round(COPIED_SHARE * len(tested))]
        copies = [tested[i] for i in drawn]
    return make_plan(
        items,
        ids[~test & ~validation].tolist(),
        ids[validation].tolist(),
        ids[test].tolist(),
        scheme=split.scheme,
        fold=split.fold,
        leaks=leaks,
        copies=copies,
        task=task,
    )
