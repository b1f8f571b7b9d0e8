"""Embedded noises: three kinds that a spectrum tells apart, eight sources of each that are not copies, the same ones every time."""

import numpy as np
import pytest

from sercore.data import synthetic_noises
from sercore.data.corpora import load
from sercore.data.synthetic_noises import DURATION_S, KINDS, LEVEL_DB, SOURCES, waveform


@pytest.fixture(scope="module")
def sounds():
    return {row["item_id"]: (row["noise"], waveform(row)[0]) for row in synthetic_noises.read().to_dict("records")}


def octave(samples, low_hz):
    """Power from a frequency to its double, of the whole."""
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    at = np.fft.rfftfreq(len(samples), 1 / 16000)
    return power[(at >= low_hz) & (at < 2 * low_hz)].sum() / power.sum()


def test_the_table_has_each_kind_from_each_source_and_the_card_counts_it():
    table = synthetic_noises.read()
    assert table["noise"].value_counts().to_dict() == dict.fromkeys(KINDS, SOURCES)
    assert table["speaker"].is_unique
    corpus = load("synthetic_noises").with_audio_ids()  # counts are compared with the card
    assert corpus.items["audio_id"].is_unique
    assert corpus.card.task == "noise"


def test_a_row_renders_the_same_sound_each_time_at_the_stated_level_and_rate(sounds):
    row = synthetic_noises.read().iloc[3]
    (first, rate), (again, _) = waveform(row), waveform(row.to_dict())
    assert rate == 16000
    assert first.dtype == np.float32
    assert len(first) == DURATION_S * rate
    assert np.array_equal(first, again)
    for _, samples in sounds.values():
        assert 20 * np.log10(np.sqrt(np.mean(samples.astype(float) ** 2))) == pytest.approx(LEVEL_DB, abs=0.1)
        assert np.array_equal(samples * 32768, np.rint(samples * 32768))


def test_kinds_have_their_spectra_and_sources_are_not_alike(sounds):
    for kind, samples in sounds.values():
        low, high = octave(samples, 250), octave(samples, 2000)
        ratio = {"white": high / low, "pink": high / low, "hum": octave(samples, 40)}[kind]
        assert {"white": 6 < ratio < 10, "pink": 0.8 < ratio < 1.25, "hum": ratio > 0.5}[kind], (kind, ratio)
    for kind in KINDS:
        mine = np.stack([samples for name, samples in sounds.values() if name == kind]).astype(float)
        unlike = np.abs(np.corrcoef(mine) - np.eye(SOURCES))
        assert unlike.max() < (0.05 if kind != "hum" else 0.99)  # hums share their frequency and differ in phase
