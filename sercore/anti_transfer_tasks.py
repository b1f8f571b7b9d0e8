"""What chapter 5 of the thesis recognises, and what it pre-trains on: target and orthogonal tasks, their splits, and levels of noise."""

from __future__ import annotations

from typing import NamedTuple

from sercore.data.card import load_card
from sercore.data.corpora import CORPORA
from sercore.data.folds import POSITIONAL
from sercore.data.splits import DEFAULT_SCHEME, SCHEMES, base_scheme
from sercore.errors import SpecError
from sercore.spec import PAPER_LEAKS, NoiseSpec, RunSpec


class Target(NamedTuple):
    """What is recognised in a corpus (thesis Sec. 5.3.1): label, split by speakers, length of a segment in s."""

    task: str
    scheme: str
    segment_s: float


class Orthogonal(NamedTuple):
    """What a network is pre-trained for (thesis Table 5.2): corpus, label, split."""

    corpus: str
    task: str
    scheme: str


_SPEAKERS = "within_speakers_5"
TARGETS = {
    **{corpus: Target("emotion", DEFAULT_SCHEME[corpus], 4.0) for corpus in ("synthetic", "emodb", "ravdess", "iemocap_4")},
    "fsdd": Target("word", "leave_one_speaker_out", 1.0),
    "speech_commands": Target("word", "speakers_4", 1.0),
    "speech_commands_digits": Target("word", "speakers_4", 1.0),
    "good_sounds": Target("quality", "speakers_4", 6.0),
}
#: name in a chapter's parameter `tasks` -> the run of it; those of one corpus with the target have heard its test side.
ORTHOGONAL = {
    f"{task}_{corpus}": Orthogonal(corpus, task, scheme)
    for corpus, task, scheme in (
        ("synthetic_others", "speaker", _SPEAKERS), ("synthetic_others", "word", "speakers_4"), ("synthetic_noises", "noise", "speakers_4"),
        ("ravdess", "speaker", _SPEAKERS), ("ravdess", "emotion", DEFAULT_SCHEME["ravdess"]),
        ("emodb", "emotion", DEFAULT_SCHEME["emodb"]), ("fsdd", "speaker", _SPEAKERS), ("fsdd", "word", "leave_one_speaker_out"),
        ("speech_commands", "word", "speakers_4"), ("iemocap_4", "speaker", _SPEAKERS),
        ("iemocap_4", "emotion", DEFAULT_SCHEME["iemocap_4"]), ("librispeech_words", "word", "speakers_4"),
        ("esc10", "noise", "speakers_4"), ("ms_snsd", "noise", "speakers_4"), ("nsynth", "instrument", "speakers_4"),
        ("good_sounds", "instrument", _SPEAKERS),
    )
}  # fmt: skip
#: Levels of Table 5.3 -> lowest and highest ratio of speech to noise in dB. The thesis prints "-40 to -20 dBfs" and "-10 to 0 dBfs" of the
#: noise; the program that it names takes ratios, and speech at full scale has these.
NOISE_LEVELS = {"none": None, "low": (20.0, 40.0), "high": (0.0, 10.0)}
#: How a corpus is divided -> in words. The thesis has `random` beside `speakers` (Table 5.4) and `instruments` (Table 5.5).
DIVISIONS = {
    "speakers": "nobody is on two sides",
    "random": "single recordings at random: everybody is on all sides, which is declared as a leak",
    "instruments": "no instrument is on two sides; musicians may be, which is declared as a leak",
}
#: What a division by single recordings tears apart beside speakers.
_TORN = {"ravdess": ("duplicate_audio",), "iemocap_4": ("source_overlap",), "good_sounds": ("source_overlap",)}


def default_tasks(corpus: str) -> tuple[str, ...]:
    """The orthogonal task of a target where none is asked for: speakers of another corpus, so that no test speaker is heard before."""
    return ("speaker_synthetic_others",) if corpus == "synthetic" else ("speaker_ravdess",) if corpus != "ravdess" else ("speaker_fsdd",)


def default_noises(corpus: str) -> str:
    """The corpus of noises where none is asked for: that of the thesis, or the embedded one for the embedded voices."""
    return "synthetic_noises" if corpus == "synthetic" else "ms_snsd"


def division_of(corpus: str, division: str, protocol: str) -> tuple[str, tuple[str, ...]]:
    """Split scheme and declared leaks of a target.

    Args:
        corpus: key of TARGETS.
        division: key of DIVISIONS.
        protocol: `strict` declares what the division itself leaks and nothing else; `paper` has the thesis' leaks as well, and its
            generator of folds where one is laid down for the corpus.

    Raises:
        SpecError: the corpus has no instruments.

    Example:
        >>> division_of("emodb", "speakers", "strict"), division_of("emodb", "random", "strict")
        (('pairs_5', ()), ('random_5', ('speaker_overlap',)))
    """
    if division == "instruments" and TARGETS[corpus].task != "quality":
        raise SpecError(f"{corpus} has no instruments to be divided by: take speakers or random")
    paper = PAPER_LEAKS["thesis"] if protocol == "paper" else ()
    if division == "random":
        scheme, leaks = "positional_files" if paper else "random_5", ("speaker_overlap", *_TORN.get(corpus, ()))
    elif division == "instruments":
        scheme, leaks = "instruments_4", ("speaker_overlap",)
    else:
        positional = "positional_1" if corpus.removesuffix("_4") in POSITIONAL else "positional_files"
        scheme, leaks = positional if paper else TARGETS[corpus].scheme, ()
        leaks = (*leaks, *_TORN.get(corpus, ())) if scheme == "positional_files" else leaks
    return scheme, tuple(sorted({*paper, *leaks}))


def n_folds(scheme: str, corpus: str) -> int:
    """Folds of a scheme on a corpus, from its card."""
    return SCHEMES[base_scheme(scheme)][0] or len(load_card(corpus).speakers)


def noise_of(level: str, corpus: str) -> NoiseSpec | None:
    """Noise of a corpus at a level, key of NOISE_LEVELS; None for `none`."""
    bounds = NOISE_LEVELS[level]
    return NoiseSpec(corpus=corpus, lowest_snr_db=bounds[0], highest_snr_db=bounds[1]) if bounds else None


def hears_the_target(spec: RunSpec) -> bool:
    """Whether a run that this one starts from, or is kept unlike, learns from the target's own recordings or from its noises.

    That a parent of the same fold and seed (dual anti-transfer) learns from the target's training side is no such thing.
    """
    own = {CORPORA[name].home for name in (spec.data.corpus, *([spec.data.noise.corpus] if spec.data.noise else []))}
    first = [parent for k, parent in enumerate(spec.parents) if k not in spec.following]
    later = [spec.parents[k] for k in spec.following]
    return any(CORPORA[parent.data.corpus].home in own for parent in first) or any(hears_the_target(parent) for parent in later)
