"""A source-filter voice: words become phones on a time axis, phones become pulses, noise and gliding formants.

It is an instrument with known settings, not a model of a person. The vowel formants of `PHONES` are those of Peterson and Barney (1952),
*Control methods used in a study of the vowels*, rounded.
"""

from dataclasses import dataclass

import numpy as np

from sercore.data import source_filter
from sercore.data.draws import bell, uniform
from sercore.data.source_filter import SAMPLE_RATE_HZ, Floats

EDGE_S = 0.08  # silence before and after
PAUSE_S = 0.05  # between words


@dataclass(frozen=True)
class Phone:
    """One sound: how long, where the formants are, how much of pulse and of noise, and where the noise sits in frequency."""

    duration_s: float
    f1_hz: float
    f2_hz: float
    f3_hz: float
    voicing: float = 0.0
    noise: float = 0.0
    noise_hz: float = 3000.0
    noise_width_hz: float = 2000.0


LABIAL, ALVEOLAR, VELAR = (350.0, 1000.0, 2300.0), (350.0, 1700.0, 2700.0), (350.0, 2000.0, 2400.0)
PHONES: dict[str, tuple[Phone, ...]] = {
    "a": (Phone(0.125, 750, 1250, 2500, 1.0),),
    "e": (Phone(0.115, 480, 1950, 2600, 0.9),),
    "i": (Phone(0.105, 290, 2300, 3000, 0.8),),
    "o": (Phone(0.115, 480, 850, 2450, 0.9),),
    "u": (Phone(0.105, 320, 800, 2300, 0.8),),
    "m": (Phone(0.065, 260, 1000, 2200, 0.3),),
    "n": (Phone(0.060, 260, 1600, 2600, 0.3),),
    "l": (Phone(0.060, 350, 1150, 2700, 0.5),),
    "p": (Phone(0.055, *LABIAL), Phone(0.015, *LABIAL, 0.0, 0.35, 1000, 1500)),
    "t": (Phone(0.050, *ALVEOLAR), Phone(0.018, *ALVEOLAR, 0.0, 0.45, 4200, 2500)),
    "k": (Phone(0.050, *VELAR), Phone(0.025, *VELAR, 0.0, 0.45, 1900, 900)),
    "s": (Phone(0.095, *ALVEOLAR, 0.0, 0.35, 5800, 2200),),
    "f": (Phone(0.085, *LABIAL, 0.0, 0.15, 3600, 5000),),
}
SILENCE = Phone(0.0, 500, 1500, 2500)
VOWELS = "aeiou"


@dataclass(frozen=True)
class Voice:
    """A speaker: what stays the same from one utterance to the next.

    Attributes:
        pitch_hz: the speaker's usual fundamental frequency.
        tract_cm: length of the vocal tract; all formants scale with 17.5 / tract_cm.
        breathiness: share of noise in the voiced source, 0 (none) to 1.
        tilt_db: the speaker's spectral slope above 500 Hz, dB an octave, added to that of the prosody.
    """

    pitch_hz: float
    tract_cm: float
    breathiness: float
    tilt_db: float = 0.0


@dataclass(frozen=True)
class Prosody:
    """The way an utterance is said: what an emotion changes. The defaults are a neutral voice.

    Attributes:
        pitch_st: shift of the mean pitch, semitones.        range_st: size of the pitch accents, semitones.
        slope_st: rise (or fall) from first to last vowel.   final_st: extra step on the last vowel, semitones.
        energy_db: level against neutral, dB.                tilt_db: spectral slope above 500 Hz, dB an octave.
        rate: syllable rate against neutral (1.2 is faster). jitter: irregularity of the pulses, fraction of a period.
        breath: noise added to that of the voice.            tremor_st: depth of a 6 Hz tremor, semitones.
    """

    pitch_st: float = 0.0
    range_st: float = 1.5
    slope_st: float = -2.0
    final_st: float = -1.0
    energy_db: float = 0.0
    tilt_db: float = 0.0
    rate: float = 1.0
    jitter: float = 0.008
    breath: float = 0.0
    tremor_st: float = 0.0


@dataclass(frozen=True)
class Plan:
    """Phones on a time axis: `phones[i]` sounds from `starts_s[i]` to `ends_s[i]`; `vowels_s` are the middles of the vowels."""

    phones: tuple[Phone, ...]
    starts_s: Floats
    ends_s: Floats
    vowels_s: Floats

    @property
    def n_samples(self) -> int:
        """Length of the utterance, whole samples at 16 kHz."""
        return round(float(self.ends_s[-1]) * SAMPLE_RATE_HZ)


def plan(words: tuple[str, ...], rate: float) -> Plan:
    """The phones of a sentence with their times: silence, words with short pauses between them, silence.

    Args:
        words: spelled with the letters of PHONES, one letter a phone, e.g. ("mala", "tiko").
        rate: 1 is the reference; 1.25 makes every phone and pause 1.25 times shorter. The silence at both ends stays.

    Returns:
        A plan of about 0.23 s a syllable.

    Raises:
        ValueError: no words, a letter that PHONES does not know, or a rate outside 0.25 to 4.
    """
    unknown = sorted(set("".join(words)) - set(PHONES))
    if unknown or not words or not all(words):
        why = f"no phone for {unknown}, known are {''.join(PHONES)}" if unknown else "there is no word, or an empty one"
        raise ValueError(f"cannot speak {words!r}: {why}")
    if not 0.25 <= rate <= 4:
        raise ValueError(f"a rate of {rate} is outside 0.25 to 4")
    phones, durations, is_vowel = [SILENCE], [EDGE_S], [False]
    for index, word in enumerate(words):
        if index:
            phones, durations, is_vowel = [*phones, SILENCE], [*durations, PAUSE_S / rate], [*is_vowel, False]
        for letter in word:
            for phone in PHONES[letter]:
                phones.append(phone)
                durations.append(phone.duration_s / rate)
                is_vowel.append(letter in VOWELS)
    phones, durations, is_vowel = [*phones, SILENCE], [*durations, EDGE_S], [*is_vowel, False]
    ends = np.cumsum(durations)
    starts = ends - np.asarray(durations)
    return Plan(tuple(phones), starts, ends, ((starts + ends) / 2)[np.asarray(is_vowel)])


def speak(words: tuple[str, ...], voice: Voice, prosody: Prosody, tempo: float = 1.0, key: tuple[object, ...] = ()) -> Floats:
    """One utterance, without background.

    Args:
        words: as for `plan`.
        voice: the speaker.
        prosody: the way it is said. Its `energy_db` is not applied here: the level of the result is 1 (see Returns).
        tempo: factor on the syllable rate, beside that of the prosody.
        key: what the random parts (jitter, accents, noise) depend on.

    Returns:
        float64, shape (N,), 16 kHz, root mean square 1 over the whole utterance.

    Raises:
        ValueError: as for `plan`.

    Example:
        >>> speak(("mala",), Voice(120, 17, 0.1), Prosody()).shape
        (8560,)
    """
    score = plan(words, tempo * prosody.rate)
    times = np.arange(score.n_samples) / SAMPLE_RATE_HZ
    frames = source_filter.frame_times(score.n_samples)
    voicing = _track(score, "voicing", 0.012, times) * _stress(score, times, key)
    noise = uniform(*key, "noise", size=times.size) - 0.5
    breath = min(1.0, max(0.0, voice.breathiness + prosody.breath))
    pulses = source_filter.pulses(_pitch_hz(score, voice, prosody, times, key), prosody.jitter, key)

    formants = np.stack([_track(score, name, 0.030, frames) for name in ("f1_hz", "f2_hz", "f3_hz")])
    voiced = source_filter.spectra(pulses * voicing) * source_filter.glottis(voice.tilt_db + prosody.tilt_db)
    voiced = (voiced + 0.12 * breath * source_filter.spectra(noise * voicing)) * source_filter.tract(formants, voice.tract_cm)
    friction = source_filter.spectra(noise * _track(score, "noise", 0.006, times))
    friction = friction * source_filter.band(_track(score, "noise_hz", 0.003, frames), _track(score, "noise_width_hz", 0.003, frames))
    sound = source_filter.overlap_add(voiced + 1.3 * friction, score.n_samples)
    return sound / source_filter.root_mean_square(sound)


def _track(score: Plan, name: str, ramp_s: float, times: Floats) -> Floats:
    """A field of the phones over time: straight ramps that reach its value `ramp_s` inside each phone (at most 35 % of it)."""
    targets = np.array([getattr(phone, name) for phone in score.phones], dtype=np.float64)
    ramp = np.minimum(ramp_s, 0.35 * (score.ends_s - score.starts_s))
    knots = np.stack([score.starts_s + ramp, score.ends_s - ramp], axis=1).ravel()
    return np.interp(times, knots, np.repeat(targets, 2))


def _stress(score: Plan, times: Floats, key: tuple[object, ...]) -> Floats:
    """A small random stress on each vowel (1.5 dB) and a slow fall of 3 dB over the utterance."""
    level_db = 1.5 * bell(*key, "stress", size=score.vowels_s.size) - np.linspace(0, 3, score.vowels_s.size)
    return 10 ** (np.interp(times, score.vowels_s, level_db) / 20)


def _pitch_hz(score: Plan, voice: Voice, prosody: Prosody, times: Floats, key: tuple[object, ...]) -> Floats:
    """The pitch contour: mean, slope, an accent a vowel (strong and weak in turn), the final step, wander and tremor."""
    n = score.vowels_s.size
    accents = prosody.range_st * (np.where(np.arange(n) % 2 == 0, 0.9, -0.9) + 0.5 * bell(*key, "accent", size=n))
    contour = prosody.pitch_st + prosody.slope_st * np.linspace(-0.5, 0.5, n) + accents
    contour[-1] += prosody.final_st
    wander_times = np.arange(0.0, times[-1] + 0.1, 0.06)
    wander = 0.15 * bell(*key, "wander", size=wander_times.size)
    semitones = np.interp(times, score.vowels_s, contour) + np.interp(times, wander_times, wander)
    if prosody.tremor_st:
        semitones = semitones + prosody.tremor_st * np.sin(2 * np.pi * 6.0 * times)
    return voice.pitch_hz * 2 ** (np.clip(semitones, -14, 19) / 12)
