"""Has a network that a run starts from, or is kept unlike, heard the test side? Recordings of any name, and speakers of the same corpus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from sercore.data.corpora import Corpus
from sercore.data.splits import split_plan
from sercore.errors import LeakError
from sercore.prepare import corpus_of, table_of
from sercore.spec import RunSpec


@dataclass(frozen=True)
class Heard:
    """What of a test side a parent has learned from or was chosen on.

    Attributes:
        parent: the run, in words.
        speakers: of the same corpus, sorted.
        item_ids: test items whose audio the parent has heard, the noise that is mixed into it, or whose speaker; sorted.
    """

    parent: str
    speakers: tuple[str, ...]
    item_ids: tuple[str, ...]


def heard_before(spec: RunSpec, corpus: Corpus, test: Sequence[str], roots: Mapping[str, str | Path] | None = None) -> list[Heard]:
    """What the parents of a run, and theirs, have heard of its test side: on their training and validation sides.

    Args:
        spec: the run.
        corpus: its corpus, audio ids filled.
        test: item ids of its test side.
        roots: corpus name -> folder, for the parents' corpora.

    Returns:
        One entry a parent that has heard any of it; empty where none has.

    Raises:
        CorpusError: a parent's corpus is not there.
    """
    tested = corpus.items.set_index("item_id", drop=False).loc[list(test)]
    found = []
    for parent in spec.parents:
        theirs = corpus_of(parent, roots)
        table = table_of(parent, theirs)
        plan = split_plan(table, parent.split, parent.leaks, parent.data.task)
        learned = table[table["item_id"].isin({*plan.train, *plan.validation, *plan.copies})]
        same_audio = _audio(tested).isin(set(_audio(learned)) - {""}).groupby(level=0).any()
        same_speaker = tested["speaker"].isin(set(learned["speaker"])) & (theirs.name == corpus.name)
        if (known := same_audio.reindex(tested.index) | same_speaker).any():
            speakers = sorted(set(tested.loc[same_speaker, "speaker"]))
            words = f"{parent.data.task} of {parent.data.corpus} ({parent.split.scheme}, fold {parent.split.fold})"
            found.append(Heard(words, tuple(speakers), tuple(sorted(tested.loc[known, "item_id"]))))
        found += heard_before(parent, corpus, test, roots) if parent.parents else []
    return found


def _audio(items: pd.DataFrame) -> pd.Series:
    """Audio ids of items and of the noises that are mixed into them, index item_id: one or two an item."""
    named = items.set_index(items["item_id"].to_numpy())
    return pd.concat([named[column] for column in ("audio_id", "added_noise_audio") if column in named])


def refuse_undeclared(spec: RunSpec, corpus: Corpus, test: Sequence[str], roots: Mapping[str, str | Path] | None = None) -> list[Heard]:
    """As `heard_before`; what is heard must be declared as `pretraining_overlap`.

    Raises:
        LeakError: it is not (names the parent and how much).
    """
    found = heard_before(spec, corpus, test, roots)
    if found and "pretraining_overlap" not in spec.leaks:
        one = found[0]
        who = f"; speakers {', '.join(one.speakers[:4])}{' ...' if len(one.speakers) > 4 else ''}" if one.speakers else ""
        raise LeakError(
            f"{spec.split.scheme} fold {spec.split.fold}: the pre-training on {one.parent} has heard {len(one.item_ids)} of {len(test)} "
            f"test recordings{who}; take another corpus or other speakers for it, or declare the leak 'pretraining_overlap'"
        )
    return found
