"""What a check gives: a fact of ours with the place that holds it, or what is missing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

Value = float | str | tuple[float, ...] | tuple[str, ...]
NO_VALUE = "the source states no value"
#: Recordings that this study has, as the sources print their names; a number on others is not run because they are missing.
CORPORA_AT_HAND = ("RAVDESS", "EmoDb", "FSDD")
#: corpus -> its name in the sources
PRINTED = {
    "emodb": "EmoDb",
    "ravdess": "RAVDESS",
    "tess": "TESS",
    "iemocap_4_excited": "IEMOCAP",
    "fsdd": "FSDD",
    "speech_commands": "GSC",
    "cifar10": "CIFAR10",
    "mnist": "MNIST",
    "speech_commands_digits": "GSC",
    "iemocap_4": "IEMOCAP",
    "good_sounds": "Good-Sounds",
    "librispeech_words": "Librispeech",
    "ms_snsd": "MS-SNSD",
    "nsynth": "Nsynth",
}


@dataclass(frozen=True)
class Fact:
    """What ours is, and where it stands; `comparable` is False where it cannot be set beside the printed value, and `why` says why."""

    value: Value
    where: str
    comparable: bool = True
    why: str = NO_VALUE

    def __str__(self) -> str:
        values = self.value if isinstance(self.value, tuple) else (self.value,)
        return ", ".join(v if isinstance(v, str) else f"{v:,.10g}" if abs(v) >= 10000 else f"{v:.4g}" for v in values)


@dataclass(frozen=True)
class Missing:
    """A fact that cannot be had yet, and what it waits for: stored runs, or recordings."""

    what: str = "the check looks at stored runs, and there are none yet"


def corpora_named(settings: str) -> list[str]:
    """The corpora of orthogonal tasks and noises in the settings of a row, as printed.

    Example:
        >>> corpora_named("noise_ms_snsd_20to40dB-wi_emotion_iemocap_4")
        ['IEMOCAP', 'MS-SNSD']
    """
    return list(dict.fromkeys(name for corpus, name in PRINTED.items() if f"_{corpus}" in settings))


def recordings_missing(corpora: Sequence[str]) -> str:
    """The end of a sentence that names which of some corpora (as printed) are not at hand; empty where all are.

    Example:
        >>> recordings_missing(["EmoDb", "TESS"]), recordings_missing(["EmoDb"])
        (': the recordings of TESS are missing', '')
    """
    lacking = [name for name in corpora if name not in CORPORA_AT_HAND]
    named = " and ".join([", ".join(lacking[:-1]), lacking[-1]] if len(lacking) > 1 else lacking)
    return f": the recordings of {named} are missing" if lacking else ""
