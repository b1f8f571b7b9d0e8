"""Facts of corpora that the sources state, from our corpus cards, readers and measurements of the recordings."""

from __future__ import annotations

import math
from collections.abc import Callable

from sercore.data.card import Card, load_card
from sercore.data.folds import POSITIONAL
from sercore.ledger.claims import LedgerError
from sercore.ledger.facts import Fact, Missing, Value
from sercore.results import Results

#: Facts of a release that its card does not carry, held by a test on the real recordings: bits, minutes of audio, mean seconds of a file.
MEASURED_FACTS = {"ravdess.bits": 16.0, "emodb.minutes": 24.785, "ravdess.minutes": 88.816, "fsdd.seconds": 0.437}
#: What only the recordings tell, of releases that are not at hand, by the name that the sources print.
UNMEASURED = {
    "tess.minutes": "TESS",
    "iemocap.minutes": "IEMOCAP",
    "speech_commands.hours": "GSC",
    "speech_commands.seconds": "GSC",
    "speech_commands_digits.hours": "GSC",
    "iemocap_4.hours": "IEMOCAP",
    "librispeech_words.hours": "Librispeech",
    "librispeech_words.chosen_speakers": "Librispeech",
    "ms_snsd.hours": "MS-SNSD",
    "nsynth.hours": "Nsynth",
    "good_sounds.hours": "Good-Sounds",
    "good_sounds.instruments": "Good-Sounds",
}
#: How the thesis names emotions.
_ADJECTIVES = {"anger": "angry", "happiness": "happy", "sadness": "sad"}


def card(path: str, results: Results) -> Fact | Missing:
    """A fact of a corpus, from its card, or measured on its recordings.

    Args:
        path: `corpus.what`.
        results: not looked at.

    Raises:
        LedgerError: a card has no such fact (lists those there are).
    """
    corpus, what = path.split(".")
    if path in MEASURED_FACTS:
        return Fact(MEASURED_FACTS[path], "a test that reads the headers of all recordings")
    if path in UNMEASURED:
        return Missing(f"the recordings of {UNMEASURED[path]} are missing")
    facts = _facts(load_card(corpus))
    if what not in facts:
        raise LedgerError(f"map.csv asks for card:{path}; known of a card: {', '.join(facts)}")
    return Fact(facts[what](), f"the corpus card {corpus}, which `sercore corpora check {corpus}` compares with the recordings")


def _facts(card: Card) -> dict[str, Callable[[], Value]]:
    fields = card.expected[-1].values if card.expected else {}
    of_gender = {g: [s for s, gender in card.genders.items() if gender == g] for g in ("male", "female")}
    return {
        "files": lambda: card.files,
        "sample_rate_khz": lambda: card.sample_rate_hz / 1000,
        "speakers": lambda: card.n_speakers or len(card.speakers),
        "emotions": lambda: len(card.emotions),
        "classes": lambda: len(card.classes),
        "adjectives": lambda: tuple(_ADJECTIVES.get(emotion, emotion) for emotion in card.emotions),
        "male": lambda: len(of_gender["male"]),
        "female": lambda: len(of_gender["female"]),
        "files_male": lambda: sum(card.speakers[s] for s in of_gender["male"]),
        "files_female": lambda: sum(card.speakers[s] for s in of_gender["female"]),
        "statements": lambda: len(fields["statement"]),
        "intensities": lambda: len(fields["intensity"]),
        "repetitions": lambda: len(fields["repetition"]),
        # EmoDB: a text is a letter and two digits, and stands before the emotion in the name
        "sentences": lambda: len({name[:3] for part in card.expected for name in part.values["recording"]}),
        # every speaker says every word once with every emotion
        "words": lambda: card.files / (len(card.speakers) * len(card.emotions)),
        "labelled": lambda: card.files - card.classes["undecided"] - card.classes["other"],
        "decided_emotions": lambda: len(set(card.emotions) - {"undecided"}),
        "first_digit": lambda: float(min(card.label_map)),
        "last_digit": lambda: float(max(card.label_map)),
    }


def datasets(_: str, results: Results) -> Fact:
    """The emotional corpora for which the released folds are laid down."""
    return Fact(len(POSITIONAL), f"sercore.data.folds.POSITIONAL: {', '.join(POSITIONAL)}")


def picture(corpus: str, results: Results) -> Fact | Missing:
    """Size of a corpus' pictures: CIFAR-10's follows from the length of a record, MNIST's stands in its files."""
    if corpus != "cifar10":
        return Missing(f"the pictures of {corpus.upper()} are missing")
    from sercore.data.readers import cifar10

    side = math.isqrt((cifar10._RECORD - 1) // 3)
    return Fact(f"{side}x{side}", "the length of a record in sercore.data.readers.cifar10")
