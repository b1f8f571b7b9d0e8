"""CHECKS: every kind of leak that the audit knows, in the order of its report. A new kind is a new line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pandas as pd
from scipy.stats.contingency import association

from sercore.data.items import EMOTIONS
from sercore.data.overlaps import COLUMNS, Overlap, overlaps, permitting_leak
from sercore.errors import CorpusError
from sercore.leak_audit import fitted
from sercore.leak_audit.cases import Case
from sercore.leak_audit.outcome import FOUND, NOT_FOUND, Found, Outcome, unchecked
from sercore.pretraining import heard_before
from sercore.spec import LEAKS


@dataclass(frozen=True)
class Check:
    """One kind of leak.

    Attributes:
        kind: its name in reports.
        question: what is looked for, in one line.
        look: case -> outcome.
        reported: it is told and needs no declaration: a property of the recordings, or a note.
    """

    kind: str
    question: str
    look: Callable[[Case], Outcome]
    reported: bool = False


def _items(case: Case) -> Outcome:
    if not case.sides:
        return unchecked(case.unknown)
    names = list(case.sides)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    shared = [(a, b, sorted(set(case.sides[a]) & set(case.sides[b]))) for a, b in pairs]
    return Outcome.of([Found(f"{len(ids)} items are in {a} and in {b}", tuple(ids)) for a, b, ids in shared if ids])


def _overlap(case: Case, kind: str, sides: tuple[str, ...] = ("train", "validation", "test")) -> Outcome:
    """What `sercore.data.overlaps` finds on those sides, each with the declared leak that permits it."""
    if not case.sides:
        return unchecked(case.unknown)
    columns = ("source_id", "start_s") if kind == "segment_overlap" else (COLUMNS[kind],)
    if lacking := [column for column in columns if not case.known(column)]:
        if lacking == ["start_s"] and case.kind != "table":
            return Outcome(NOT_FOUND, "every item is a whole recording")
        return unchecked(f"the items have no {lacking[0]}")
    on_sides = {side: case.sides[side] for side in sides}
    found = [_told(overlap, case) for overlap in overlaps(case.items, on_sides, [kind])]
    if kind == "duplicate_audio" and case.copies:
        permitted = "duplicate_audio" if "duplicate_audio" in case.declared else ""
        found.append(Found(f"{len(case.copies)} test recordings train under another name", case.copies, permitted))
    blank = int((case.items[columns[0]].isna() | case.items[columns[0]].astype(str).eq("")).sum())
    return Outcome.of(found, f"{blank} of {len(case.items)} items have no {columns[0]}" if blank else "")


def _told(overlap: Overlap, case: Case) -> Found:
    return Found(
        f"{overlap.what!r} in {overlap.side_a} and {overlap.side_b}", overlap.item_ids, permitting_leak(overlap, case.declared) or ""
    )


def _class_map(case: Case) -> Outcome:
    """Labels outside the map, classes that are tested and never trained, labels that differ from the corpus or the run."""
    if not case.sides:
        return unchecked(case.unknown)
    column = case.spec.data.task if case.spec else "emotion"
    if not case.known(column):
        return unchecked(f"the items have no {'label' if column == 'emotion' else column}")
    labels = case.items.set_index("item_id")[column].astype(str)
    found = []
    known = set(case.corpus.items[column]) if case.corpus else set(EMOTIONS) if column == "emotion" else set(labels)
    where = f"{case.corpus.name}'s classes" if case.corpus else "the label map"
    if case.corpus or set(labels) & known:  # a table of its own may name its classes as it likes
        found += [Found(f"label {label!r} is outside {where}", tuple(ids.index)) for label, ids in _outside(labels, known)]
    trained = set(labels.reindex(list(case.sides["train"])))
    for side in ("validation", "test"):
        on_side = labels.reindex(list(case.sides[side]))
        found += [Found(f"class {label!r} is in {side}, never in train", tuple(ids.index)) for label, ids in _outside(on_side, trained)]
    if case.corpus and case.kind == "table":
        true = case.corpus.items.set_index("item_id")[column].reindex(labels.index)
        found += [Found(f"label of the table differs from that of {case.corpus.name}", (item,)) for item in labels.index[labels.ne(true)]]
    if case.record and "labels" in case.record and set(case.record["labels"]) != set(labels):
        found.append(Found(f"the run has the classes {', '.join(case.record['labels'])}, the recordings {', '.join(sorted(set(labels)))}"))
    return Outcome.of(found)


def _outside(labels: pd.Series, known: set[str]) -> list[tuple[str, pd.Series]]:
    return [(str(label), ids) for label, ids in labels[~labels.isin(known)].groupby(labels)]


def _confounded(case: Case) -> Outcome:
    """Can a training label be told from the voice? Found: a class that one speaker alone has, or a speaker with one class alone."""
    if not case.sides:
        return unchecked(case.unknown)
    column = case.spec.data.task if case.spec else "emotion"
    if column == "speaker":
        return unchecked("the task is to tell speakers apart")
    if lacking := [name for name in ("speaker", column) if not case.known(name)]:
        return unchecked(f"the items have no {'label' if lacking[0] == 'emotion' else lacking[0]}")
    train = case.items[case.items["item_id"].isin(case.sides["train"])]
    counts = pd.crosstab(train["speaker"], train[column])
    if min(counts.shape) < 2:
        return unchecked(f"training has {counts.shape[0]} speakers and {counts.shape[1]} classes; two of each are needed")
    strength = f"Cramer's V of speaker and label: {association(counts.to_numpy(), method='cramer'):.2f} (1: one tells the other)"
    found = []
    for label in counts.columns[(counts > 0).sum(axis=0) == 1]:
        who = counts.index[counts[label] > 0][0]
        found.append(Found(f"class {label!r} has one training speaker, {who!r}", tuple(train.loc[train[column] == label, "item_id"])))
    for who in counts.index[(counts > 0).sum(axis=1) == 1]:
        found.append(Found(f"training speaker {who!r} has one class only", tuple(train.loc[train["speaker"] == who, "item_id"])))
    return Outcome.of(found, strength)


def _pretraining(case: Case) -> Outcome:
    """What the runs that a run starts from, or is kept unlike, have heard of its test side."""
    if case.spec is None:
        return unchecked("a split table says nothing of pre-training")
    if not case.spec.parents:
        return Outcome(NOT_FOUND, "the run starts from no other and is kept unlike none")
    if not case.sides or case.corpus is None:
        return unchecked(case.unknown or "the recordings are not there")
    try:
        found = heard_before(case.spec, case.corpus, case.sides["test"], case.roots)
    except CorpusError as error:
        return unchecked(f"{error}")
    declared = "pretraining_overlap" if "pretraining_overlap" in case.declared else ""
    say = "{} has heard {} test recordings, speakers {}"
    told = [Found(say.format(h.parent, len(h.item_ids), ", ".join(h.speakers) or "of its own"), h.item_ids, declared) for h in found]
    return Outcome.of(told, f"{len(case.spec.parents)} runs looked at")


def _not_there(case: Case) -> Outcome:
    """Declared leaks of the recordings that are not in the sides: the declaration says more than is done."""
    if not case.declared:
        return Outcome(NOT_FOUND, "no leak is declared")
    if not case.sides:
        return unchecked(case.unknown)
    used = {"duplicate_audio"} if case.copies else set()
    shown = {kind: check for kind, check in COLUMNS.items() if kind != "text_overlap" and case.known(check)}
    for overlap in overlaps(case.items, case.sides, list(shown)):
        used.add(permitting_leak(overlap, case.declared) or "")
    looked_for = {"speaker_overlap", "validation_speakers", "source_overlap", "duplicate_audio"} & set(case.declared)
    idle = [Found(f"{leak} is declared, and nothing of it is there") for leak in sorted(looked_for - used)]
    return Outcome.of(idle, f"declared: {', '.join(case.declared)}")


def _only_declared(case: Case, leak: str) -> Outcome:
    """A leak that leaves no trace in the sides: a declaration is taken at its word."""
    if leak in case.declared:
        return Outcome(FOUND, "", (Found("the specification switches it on", (), leak),))
    return unchecked("the sides say nothing of it" if case.kind == "table" else "only the specification says so, and it declares none")


#: In the order of the report: what is on two sides, what is fitted or chosen, what the labels allow.
CHECKS: tuple[Check, ...] = (
    Check("item_overlap", "the same item on two sides", _items),
    Check("speaker_train_test", "a test speaker trains", partial(_overlap, kind="speaker_overlap", sides=("train", "test"))),
    Check("speaker_validation_test", "a test speaker validates", partial(_overlap, kind="speaker_overlap", sides=("validation", "test"))),
    Check(
        "speaker_train_validation", "a validation speaker trains", partial(_overlap, kind="speaker_overlap", sides=("train", "validation"))
    ),
    Check("source_overlap", "parts of one source recording on two sides", partial(_overlap, kind="source_overlap")),
    Check("segment_overlap", "segments on two sides that share time", partial(_overlap, kind="segment_overlap")),
    Check("duplicate_audio", "the same decoded audio on two sides", partial(_overlap, kind="duplicate_audio")),
    Check("text_overlap", "the same text on two sides", partial(_overlap, kind="text_overlap"), reported=True),
    Check("global_normaliser", "feature statistics from more than the training side", fitted.normaliser),
    Check("validation_is_test", "the epoch is chosen on the test side", fitted.epoch),
    Check("tuned_on_test", "hyper-parameters are chosen on the test side", fitted.search),
    Check("pretraining_overlap", "pre-training has heard the test side", _pretraining),
    *(
        Check(leak, LEAKS[leak], partial(_only_declared, leak=leak))
        for leak in LEAKS
        if leak not in ("speaker_overlap", "source_overlap", "duplicate_audio", "validation_speakers")
        and leak not in ("global_normaliser", "validation_is_test", "tuned_on_test", "pretraining_overlap")
    ),
    Check("class_map", "labels outside the map, or classes that are tested and never trained", _class_map),
    Check("speaker_label", "a label that the voice alone gives away in training", _confounded, reported=True),
    Check("declared_not_found", "a declared leak that is not there", _not_there, reported=True),
)
