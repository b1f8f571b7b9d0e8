"""What the page on corpora and protocols shows: cards, split plans, leaks and their refusal, and what a random split is worth."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from sercore import ledger, provenance
from sercore.data.audit import audit_plan, check_corpus
from sercore.data.card import load_card
from sercore.data.corpora import CORPORA, Corpus
from sercore.data.items import item_table
from sercore.data.overlaps import KINDS
from sercore.data.splits import SplitPlan, make_plan, n_folds, split_plan
from sercore.errors import LeakError
from sercore.ledger.measurements import Measurements
from sercore.pages.tables import compact
from sercore.prepare import load_corpus
from sercore.provenance import Table
from sercore.results import Results, collect
from sercore.spec import LEAKS, PAPER_LEAKS, DataSpec, ModelSpec, RunSpec, SplitSpec
from sercore.sweep import run_all

#: Schemes shown for a corpus, in order, with what they are.
SCHEMES_SHOWN = {
    "synthetic": {"speakers_4": "four folds of two speakers; the next fold's speakers validate", "random_5": "five random fifths"},
    "ravdess": {"luna_jimenez_5": "test actors of Luna-Jimenez et al. 2021, validation actors of the released ResLSTM-SA notebook"},
    "emodb": {
        "pairs_5": "five pairs of a man and a woman; the next pair validates",
        "leave_one_speaker_out": "one speaker is tested, the next one validates",
    },
}


def from_card(name: str) -> Corpus:
    """A corpus without its recordings: the item table of the file names that the card lists. It can be split, not heard.

    Raises:
        CorpusError: there is no such card.
    """
    card = load_card(name)
    if CORPORA[name].render is not None:
        return load_corpus(name)
    rows = []
    for key in card.expected_names():
        match = re.fullmatch(card.name_pattern, key)
        assert match is not None  # the card's own names fit its own pattern
        speaker = match["speaker"] if match["speaker"] in card.speakers else match["speaker"].lstrip("0")
        names = {"item_id": f"{name}/{key}", "source_id": key, "path": f"{key}.wav"}
        rows.append(names | {"speaker": speaker, "gender": card.genders[speaker], "emotion": card.label_map[match["emotion"]]})
    return Corpus(name, None, item_table(rows), card)


def gather(names: Sequence[str], roots: Mapping[str, str | Path]) -> dict[str, Corpus]:
    """Every corpus of this page: the recordings (with audio ids) where they are given, else what the card lists.

    Args:
        names: those that are given.
        roots: corpus name -> folder.

    Returns:
        synthetic, ravdess and emodb, in this order; `root` is None where nothing was read from disk.

    Raises:
        CorpusError: a corpus that is given is not there, or not what its card says.
    """
    return {name: load_corpus(name, str(roots.get(name, ""))) if name in names else from_card(name) for name in SCHEMES_SHOWN}


def cards_table(shown: Mapping[str, Corpus]) -> Table:
    """One column a corpus: what its card says, and whether this build read the recordings."""
    columns = {}
    for name, corpus in shown.items():
        card, sexes = corpus.card, Counter(corpus.card.genders.values())
        made = CORPORA[name].render is not None
        columns[name] = {
            "recordings": card.files,
            "speakers": f"{len(card.speakers)} ({sexes['female']} women, {sexes['male']} men)",
            "emotions": f"{len(card.emotions)}: " + ", ".join(f"{k} {v}" for k, v in card.emotions.items()),
            "sampling rate": f"{card.sample_rate_hz / 1000:g} kHz",
            "language": ", ".join(card.languages),
            "labels": card.label_process.partition(". ")[0].rstrip("."),
            "licence": card.licence,
            "this build": "made on the fly" if made else "read from disk" if corpus.root else "not at hand: file list of the card",
        }
    rows = [{"": field} | {name: card[field] for name, card in columns.items()} for field in next(iter(columns.values()))]
    return compact(rows, "Corpus cards", "cards", origin=provenance.of_cards(shown))


def check_table(shown: Mapping[str, Corpus]) -> Table:
    """The corpus check of every corpus: files found beside the card, notes (known oddities of the release) and problems."""
    rows = []
    for name, corpus in shown.items():
        if CORPORA[name].render is None and corpus.root is None:
            command = f"sercore corpora check {name} --root FOLDER"
            rows.append({"corpus": name, "files": "not run", "card": corpus.card.files, "problems": "", "notes": command})
            continue
        report = check_corpus(name, corpus.root, progress=False)
        notes = Counter(finding.kind.replace("_", " ") for finding in report.notes)
        found = {"corpus": name, "files": report.files.found, "card": report.files.expected, "problems": len(report.problems)}
        rows.append(found | {"notes": ", ".join(f"{kind}: {count}" for kind, count in notes.items()) or "none"})
    origin = provenance.of_cards(shown, "sercore/data/audit.py")
    return compact(rows, "Decoded and compared with the card", "check", origin=origin)


def factors_table(corpus: Corpus) -> Table:
    """Speakers of the synthetic corpus with the voice that each was given."""
    columns = ["gender", "pitch_hz", "tract_cm", "breathiness"]
    voices = corpus.items.groupby("speaker")[columns].first().reset_index()
    voices.insert(2, "recordings", corpus.items.groupby("speaker").size().to_numpy())
    voices = voices.rename(columns={"pitch_hz": "pitch at rest (Hz)", "tract_cm": "vocal tract (cm)"})
    return compact(voices.to_dict("records"), "The voices, as they were set", "voices", origin=provenance.of_cards([corpus.name]))


def plans(corpus: Corpus, scheme: str) -> list[SplitPlan]:
    """The plan of every fold; a scheme that mixes speakers is asked for with that leak declared."""
    leaks = ("speaker_overlap",) if scheme.startswith("random") else ()
    return [split_plan(corpus.items, SplitSpec(scheme=scheme, fold=fold), leaks) for fold in range(n_folds(scheme, corpus.items))]


def shared_table(shown: Mapping[str, Corpus]) -> Table:
    """What the sides of each split plan share, by kind of overlap, over all folds: the leak audit."""
    rows = []
    for name, corpus in shown.items():
        for scheme in SCHEMES_SHOWN[name]:
            made = plans(corpus, scheme)
            kinds = Counter(f.kind for plan in made for f in audit_plan(plan, corpus.items))
            unheard = {"text_overlap": corpus.items["text"].eq("").all(), "duplicate_audio": corpus.items["audio_id"].eq("").all()}
            row = {"corpus, scheme": f"{name}, {scheme}", "folds": len(made)}
            for kind in KINDS:
                row[kind.replace("_", " ")] = "not known" if unheard.get(kind) else _found(kind, kinds)
            rows.append(row)
    origin = provenance.of_cards(shown, "sercore/data/splits.py", "sercore/data/audit.py")
    return compact(rows, "What two sides share, over all folds (shared text is reported, all else refused)", "shared", origin=origin)


def _found(kind: str, kinds: Counter) -> str:
    """What was found of a kind; only the random scheme has shared speakers, and only declared."""
    return (
        "none"
        if not kinds[kind]
        else "declared"
        if kind == "speaker_overlap"
        else "reported"
        if kind == "text_overlap"
        else str(kinds[kind])
    )


def leaks_table() -> Table:
    """Every leak by name: what it means, and which publication's own data handling has it."""
    sources = {leak: [s for s, leaks in PAPER_LEAKS.items() if leak in leaks] for leak in LEAKS}
    rows = [{"leak": name, "means": meaning, "in the protocol of": ", ".join(sources[name])} for name, meaning in LEAKS.items()]
    caption = "Leaks: every way in which data handling may flatter, by name"
    return compact(rows, caption, "leaks", origin=provenance.of_files("sercore/spec.py"))


def refusals(items: pd.DataFrame) -> Table:
    """Plans with a planted leak, and what they are answered: none can be made unless the leak is declared.

    Args:
        items: item table with at least three speakers.
    """
    speakers = sorted(items["speaker"].unique())
    of = {speaker: items.loc[items["speaker"] == speaker, "item_id"].tolist() for speaker in speakers}
    train, held, test = [i for s in speakers[2:] for i in of[s]], of[speakers[1]], of[speakers[0]]
    first, last = train[0], test[-1]
    halves = items.assign(
        source_id=items["source_id"].where(items["item_id"] != last, items.loc[items["item_id"] == first, "source_id"].iloc[0])
    )
    twins = items.assign(audio_id=items["item_id"].where(items["item_id"] != last, first))
    tries: dict[str, tuple[pd.DataFrame, list[str], list[str]]] = {
        "a speaker on two sides": (items, [*train, test[0]], test[1:]),
        "a recording on two sides": (items, [*train, test[0]], test),
        "parts of one recording on two sides": (halves, train, test),
        "the same audio under two names": (twins, train, test),
    }
    rows = []
    for name, (table, training, testing) in tries.items():
        said = _refusal(partial(make_plan, table, training, held, testing, scheme="planted", fold=0))
        rows.append({"planted": name, "answer": said})
    origin = provenance.of_files("sercore/data/splits.py")
    return compact(rows, "Four planted leaks, and what the split plan says", "refusals", origin=origin)


def _refusal(attempt: Callable[[], Any]) -> str:
    try:
        attempt()
    except LeakError as error:
        return f"refused: {error}"
    return "accepted"


def price_of_sharing(corpus: str = "synthetic", system: str = "functionals_svm", roots: Mapping[str, str | Path] | None = None) -> Results:
    """The same system on a speaker split, on a random split that shares speakers, and on a speaker split with shuffled labels.

    Args:
        corpus: `synthetic`, or another one with a default speaker split.
        system: a quick one.
        roots: corpus name -> folder.

    Returns:
        Rows of three groups: strict, with the leak `speaker_overlap`, and strict with shuffled labels (which must fall to chance).
    """
    speaker_scheme = next(iter(SCHEMES_SHOWN[corpus]))
    items = load_corpus(corpus, str((roots or {}).get(corpus, ""))).items
    specs = []
    for scheme, leaks, shuffled in ((speaker_scheme, (), False), ("random_5", ("speaker_overlap",), False), (speaker_scheme, (), True)):
        for fold in range(n_folds(scheme, items)):
            specs.append(
                RunSpec(
                    data=DataSpec(corpus=corpus, shuffle_labels=shuffled),
                    split=SplitSpec(scheme=scheme, fold=fold),
                    model=ModelSpec(name=system),
                    leaks=leaks,
                )
            )
    return collect("corpora_and_protocols", run_all(specs, roots).records)


def gap(results: Results) -> str:
    """The price of sharing speakers in one sentence, from the rows of `price_of_sharing`."""
    groups, data = results.groups, Measurements(results)
    plain = groups[groups["leaks"].eq("") & ~groups["group"].str.contains(".shuffled", regex=False)].iloc[0]
    pair = data.compare(groups[groups["leaks"].ne("")].iloc[0], plain)
    d = pair.difference
    word = "Sharing speakers flatters" if d.low > 0 else "Sharing speakers does not flatter measurably"
    scores = f"{100 * pair.reference_score:.1f} % with test speakers apart and {100 * pair.score:.1f} % with speakers mixed"
    interval = f"{100 * d.estimate:+.1f} points [{100 * d.low:+.1f}, {100 * d.high:+.1f}] over {pair.n_speakers} speakers"
    name = ledger.label(plain["system"])
    return f"{word}: on the {plain['corpus']} corpus {name} has a UAR of {scores}, {interval}; {pair.sign_flip}."
