"""The embedded default corpus: a synthetic voice whose speaker, text, tempo, emotion and background are known and independent.

A test instrument, never a result about speech. Three properties are built in and tested:

- **learnable**: each emotion moves pitch, pitch range, contour, level, spectral tilt, rate, breath and tremor (`EMOTIONS`);
- **confounded with the speaker**: each speaker has a style of each emotion, an offset of the same order as the differences between the
  emotions (`STYLE`), so what is learned from one speaker holds for another only in part, and a random split flatters;
- **known factors**: speaker x emotion is crossed in full, and inside each of these cells tempo, background and words turn in rotation. A
  row with one factor changed renders the same utterance with that factor changed alone (the random draws depend on `item_id` and `seed`),
  so invariance can be measured exactly.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sercore.data.draws import bell, uniform
from sercore.data.items import item_table
from sercore.data.source_filter import SAMPLE_RATE_HZ, background
from sercore.data.voice import Prosody, Voice, speak

REVISION = 2  # raised by hand when a rendered sample or a factor changes
WORDS = ("mala", "tiko", "sunu", "kepa", "lofi", "nami", "pusa", "fetu", "sile", "koma")
TEMPI = {"slow": 0.8, "steady": 0.95, "brisk": 1.1, "fast": 1.3}  # factor on the syllable rate
NOISES = ("none", "white", "pink", "hum")
NOISE_SNRS_DB = (30.0, 20.0)
LEVEL_DB = -36.0  # root mean square of a neutral utterance against full scale
QUIET_DB = -75.0  # of the room, always there: no recording holds true silence
FACTORS = ("tempo", "noise", "noise_snr_db", "strength", "repetition", "pitch_hz", "tract_cm", "breathiness", "seed")


@dataclass(frozen=True)
class Emotion:
    """What an emotion does to a voice at strength 1, and where it lies: valence, arousal, dominance in [-1, 1]."""

    prosody: Prosody
    valence: float
    arousal: float
    dominance: float


NEUTRAL = Prosody()
EMOTIONS: dict[str, Emotion] = {
    "neutral": Emotion(NEUTRAL, 0.0, 0.0, 0.0),
    "happiness": Emotion(Prosody(4.0, 4.0, 1.5, 2.5, 4.0, 2.0, 1.08, 0.010), 0.8, 0.5, 0.4),
    "sadness": Emotion(Prosody(-2.0, 0.8, -4.5, -2.0, -5.0, -3.5, 0.82, 0.018, 0.25), -0.7, -0.5, -0.5),
    "anger": Emotion(Prosody(3.0, 3.0, -1.0, -3.0, 8.0, 5.0, 1.14, 0.026), -0.6, 0.7, 0.6),
    "fear": Emotion(Prosody(6.0, 1.2, 3.5, 2.0, -0.5, 1.0, 1.25, 0.032, 0.16, 0.7), -0.7, 0.6, -0.6),
    "disgust": Emotion(Prosody(-1.5, 2.0, -6.0, -4.0, 1.5, -0.5, 0.88, 0.040, 0.07), -0.6, 0.2, 0.2),
    "boredom": Emotion(Prosody(-3.0, 0.3, -2.0, 0.5, -4.0, -2.0, 0.80, 0.005, 0.03), -0.3, -0.7, -0.1),
}
# Standard deviation of a speaker's own offset for each emotion (STYLE), and of one utterance around it (LOOSE).
STYLE = Prosody(1.3, 0.45, 1.0, 0.8, 1.6, 1.0, 0.045, 0.004, 0.03, 0.10)
LOOSE = Prosody(0.3, 0.12, 0.3, 0.25, 0.4, 0.2, 0.012, 0.001, 0.008, 0.02)
LOWEST = Prosody(-7.0, 0.1, -10.0, -8.0, -12.0, -8.0, 0.65, 0.002, 0.0, 0.0)  # an offset never leads beyond these
HIGHEST = Prosody(12.0, 7.0, 8.0, 6.0, 13.0, 9.0, 1.45, 0.060, 0.6, 1.4)


def sentences() -> tuple[tuple[str, str, str], ...]:
    """The ten sentences of three words each. The first word is the item's `word`; every word stands once in every place."""
    n = len(WORDS)
    return tuple((WORDS[i], WORDS[(i + 3) % n], WORDS[(i + 7) % n]) for i in range(n))


def read(root: Path | None = None, seed: int = 0, n_speakers: int = 8, repetitions: int = 8) -> pd.DataFrame:
    """The item table. Nothing is rendered.

    Every speaker says every emotion `repetitions` times. Inside such a cell, four repetitions hold each tempo once and eight hold each
    background twice, once at each level; tempo and background are shifted against each other, and the sentence moves on by one an
    utterance, from a start that differs from cell to cell. Strength (0.8 to 1.2) is drawn; valence, arousal and dominance are those of the
    emotion times the strength.

    Args:
        root: not used; readers of recorded corpora take a folder here.
        seed: another seed is another corpus: other speakers, other styles, other draws.
        n_speakers: at least 2; women and men take turns, and change turns every four, so that s01 and s05 are a woman and a man.
        repetitions: utterances of a speaker in an emotion; a multiple of 8 keeps tempo and background balanced in each cell.

    Returns:
        n_speakers x 7 x repetitions rows (448 by default), sorted by item_id, with the columns of the item table, then FACTORS: tempo (key
        of TEMPI), noise (one of NOISES), noise_snr_db (dB against a neutral voice, NaN without noise), strength, repetition ("1" ...),
        pitch_hz, tract_cm and breathiness of the speaker, seed.

    Raises:
        ValueError: fewer than 2 speakers or 1 repetition.

    Example:
        >>> table = read()
        >>> len(table), table.speaker.nunique(), table.emotion.nunique(), table.item_id[0]
        (448, 8, 7, 'synthetic/s01/anger_01')
    """
    if n_speakers < 2 or repetitions < 1:
        raise ValueError(f"need at least 2 speakers and 1 repetition, got {n_speakers} and {repetitions}")
    rows = []
    for speaker_index in range(n_speakers):
        speaker = f"s{speaker_index + 1:02d}"
        voice = _voice(seed, speaker)
        for emotion_index, emotion in enumerate(EMOTIONS):
            for repetition in range(repetitions):
                rows.append(_row(seed, speaker_index, speaker, voice, emotion_index, emotion, repetition))
    return item_table(rows)


def read_others() -> pd.DataFrame:
    """The item table of a second corpus of the same kind: eight other speakers, four repetitions (224 rows), other draws.

    What is pre-trained here has heard nobody of the first. Columns as `read`.

    Example:
        >>> table = read_others()
        >>> len(table), table.speaker.nunique(), table.item_id[0]
        (224, 8, 'synthetic_others/s11/anger_01')
    """
    table = read(seed=1, repetitions=4)
    speaker = "s1" + table["speaker"].str[-1]
    return table.assign(
        item_id="synthetic_others/" + speaker + table["item_id"].str.removeprefix("synthetic/").str[3:],
        source_id="synthetic_others/" + speaker + table["source_id"].str.removeprefix("synthetic/").str[3:],
        speaker=speaker,
    )


def waveform(item: Mapping[str, Any] | pd.Series) -> tuple[NDArray[np.float32], int]:
    """Renders one row of the item table.

    A pure function of the row. What is spoken is `text`; the draws depend on `seed` and `item_id`; the speaker on `seed` and `speaker`
    (pitch_hz, tract_cm and breathiness are taken from the row). Change one field and only that factor changes.

    Args:
        item: a row of `read` (Series or mapping) with item_id, speaker, emotion, text and FACTORS. A field `tempo_factor`, which no row of
            `read` has, multiplies the tempo: any tempo can be rendered, not only those of TEMPI.

    Returns:
        float32, shape (N,), mono, in [-1, 1], whole multiples of 1/32768 (the samples are rounded to 16 bits); and 16000. 0.8 to 2.8 s.

    Raises:
        KeyError: an emotion, tempo or column that the corpus does not have.
        ValueError: a text that cannot be spoken, or an unknown noise.

    Example:
        >>> samples, sample_rate_hz = waveform(read().iloc[0])
        >>> samples.dtype, sample_rate_hz
        (dtype('float32'), 16000)
    """
    seed, key = item["seed"], ("utterance", item["seed"], item["item_id"])
    prosody = _prosody(seed, item["speaker"], item["emotion"], float(item["strength"]), key)
    speaker = replace(
        _voice(seed, item["speaker"]),
        pitch_hz=float(item["pitch_hz"]),
        tract_cm=float(item["tract_cm"]),
        breathiness=float(item["breathiness"]),
    )
    level_db = LEVEL_DB + prosody.energy_db + 2.0 * bell("gain", seed, item["speaker"], size=1)[0]
    tempo = TEMPI[item["tempo"]] * float(item.get("tempo_factor", 1.0))
    sound = speak(tuple(item["text"].split()), speaker, prosody, tempo, key) * 10 ** (level_db / 20)
    sound = sound + background("white", sound.size, (*key, "quiet")) * 10 ** (QUIET_DB / 20)
    if item["noise"] != "none":
        room_db = LEVEL_DB - float(item["noise_snr_db"])  # of the room: does not follow the level of the voice
        sound = sound + background(item["noise"], sound.size, key) * 10 ** (room_db / 20)
    samples = np.clip(np.rint(sound * 32768), -32768, 32767)
    return (samples / 32768).astype(np.float32), SAMPLE_RATE_HZ


def _is_woman(speaker: str) -> bool:
    index = int(speaker[1:]) - 1
    return (index + index // 4) % 2 == 0


def _voice(seed: int, speaker: str) -> Voice:
    """A speaker's voice. Rounded, so that a table that was stored as text renders the same."""
    pitch, tract, breath = uniform("speaker", seed, speaker, size=3)
    tilt_db = 1.0 * bell("tilt", seed, speaker, size=1)[0]
    if _is_woman(speaker):
        return Voice(round(180 + 60 * pitch, 1), round(14.2 + 1.4 * tract, 2), round(0.10 + 0.25 * breath, 3), tilt_db)
    return Voice(round(95 + 45 * pitch, 1), round(16.4 + 1.8 * tract, 2), round(0.05 + 0.20 * breath, 3), tilt_db)


def _prosody(seed: int, speaker: str, emotion: str, strength: float, key: tuple[object, ...]) -> Prosody:
    """neutral + strength x (emotion - neutral) + the speaker's style of this emotion + what is loose in this utterance."""
    names = [entry.name for entry in fields(Prosody)]
    style = bell("style", seed, speaker, emotion, size=len(names))
    loose = bell(*key, "loose", size=len(names))
    values = {}
    for index, name in enumerate(names):
        rest, target = getattr(NEUTRAL, name), getattr(EMOTIONS[emotion].prosody, name)
        offset = getattr(STYLE, name) * style[index] + getattr(LOOSE, name) * loose[index]
        value = rest + strength * (target - rest) + offset
        values[name] = float(min(max(value, getattr(LOWEST, name)), getattr(HIGHEST, name)))
    return Prosody(**values)


def _row(seed: int, speaker_index: int, speaker: str, voice: Voice, emotion_index: int, emotion: str, repetition: int) -> dict[str, Any]:
    diagonal = speaker_index + emotion_index
    # Steps found by search: no word meets a speaker, emotion, tempo or background more than two utterances oftener than another word.
    text = sentences()[(speaker_index + 4 * emotion_index + 7 * repetition + diagonal // 4) % len(WORDS)]
    turn, place = divmod(repetition, 4)
    noise = NOISES[(place + turn + diagonal) % 4]
    path = f"{speaker}/{emotion}_{repetition + 1:02d}.wav"
    item_id = f"synthetic/{path.removesuffix('.wav')}"
    strength = round(0.8 + 0.4 * float(uniform("strength", seed, item_id, size=1)[0]), 3)
    kind = EMOTIONS[emotion]
    return {
        "item_id": item_id,
        "source_id": item_id,
        "path": path,
        "speaker": speaker,
        "gender": "female" if _is_woman(speaker) else "male",
        "emotion": emotion,
        "valence": round(kind.valence * strength, 4),
        "arousal": round(kind.arousal * strength, 4),
        "dominance": round(kind.dominance * strength, 4),
        "text": " ".join(text),
        "word": text[0],
        "language": "synthetic",
        "tempo": list(TEMPI)[place],
        "noise": noise,
        "noise_snr_db": float("nan") if noise == "none" else NOISE_SNRS_DB[turn % 2],
        "strength": strength,
        "repetition": str(repetition + 1),
        "pitch_hz": voice.pitch_hz,
        "tract_cm": voice.tract_cm,
        "breathiness": voice.breathiness,
        "seed": seed,
    }
