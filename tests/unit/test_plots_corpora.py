"""Figures of corpora and splits: what they say in words is what the rows hold, and recordings that may not be shown are not."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import soundfile

from sercore.data import corpora, splits
from sercore.errors import CorpusError
from sercore.plots import corpora as plots
from sercore.spec import SplitSpec


@pytest.fixture(scope="module")
def corpus() -> corpora.Corpus:
    return corpora.load("synthetic")


def plans(corpus, scheme, folds, *leaks):
    return [splits.split_plan(corpus.items, SplitSpec(scheme=scheme, fold=fold), leaks=leaks) for fold in range(folds)]


def alt_of(shown) -> str:
    found = re.search('alt="([^"]+)"', shown.data)
    assert found is not None
    assert "data:image/png;base64," in shown.data
    return found.group(1)


def test_one_recording_of_each_emotion_of_one_speaker(corpus):
    rows = corpus.items.set_index("item_id").loc[plots.one_per_emotion(corpus.items, "s03", {"noise": "none", "tempo": "steady"})]
    assert set(rows["speaker"]) == {"s03"}
    assert list(rows["emotion"]) == sorted(corpus.card.emotions)
    assert set(rows["noise"]) == {"none"}
    with pytest.raises(CorpusError, match="s99"):
        plots.one_per_emotion(corpus.items, "s99")


def test_spectrograms_say_how_many_and_how_long(corpus):
    rows = corpus.items.iloc[[0, 100, 200]]
    sounds = [corpus.waveform(row) for _, row in rows.iterrows()]
    said = alt_of(plots.spectrogram_grid(sounds, list(rows["emotion"])))
    assert "3 recordings" in said
    assert f"{len(sounds[1][0]) / 16000:.1f} s" in said
    with pytest.raises(ValueError, match="1 waveforms and 2 titles"):
        plots.spectrogram_grid(sounds[:1], ["a", "b"])


def test_a_given_text_replaces_the_computed_one(corpus):
    assert alt_of(plots.class_speaker_counts(corpus, alt="Eight of each kind")) == "Eight of each kind"


def test_counts_say_the_totals(corpus):
    said = alt_of(plots.class_speaker_counts(corpus))
    assert "8 recordings of each emotion by each of 8 speakers" in said
    assert "boredom 64" in said


def test_plans_name_test_and_validation_speakers(corpus):
    said = alt_of(plots.split_plan_picture(plans(corpus, "speakers_4", 4), corpus.items))
    assert "Fold 1: test s01, s05; validation s02, s06." in said


def test_a_plan_with_speakers_on_several_sides_says_so(corpus):
    said = alt_of(plots.split_plan_picture(plans(corpus, "random_5", 1, "speaker_overlap"), corpus.items))
    assert "8 speakers are on more than one side" in said
    with pytest.raises(ValueError, match="no split plan"):
        plots.split_plan_picture([], corpus.items)


def test_players_hold_the_recordings_at_one_common_gain(corpus):
    names = ["synthetic/s01/anger_01", "synthetic/s01/sadness_01"]
    page = plots.audio_players(corpus, names).data
    sounds = [soundfile.read(io.BytesIO(base64.b64decode(text))) for text in re.findall('base64,([^"]+)', page)]
    items = corpus.items.set_index("item_id", drop=False)
    originals = [corpus.waveform(items.loc[name])[0] for name in names]
    assert len(sounds) == page.count("aria-label=") == 2
    gains = [np.abs(sound).max() / np.abs(original).max() for (sound, _), original in zip(sounds, originals, strict=True)]
    assert gains[0] == pytest.approx(gains[1], rel=2e-3)
    assert max(np.abs(sound).max() for sound, _ in sounds) == pytest.approx(0.9, abs=1e-3)
    assert "anger, speaker s01" in page


def test_recordings_that_may_not_be_embedded_are_refused(corpus):
    closed = replace(corpus, card=corpus.card.model_copy(update={"audio_may_be_embedded": False}))
    with pytest.raises(CorpusError, match="must not be put on a page"):
        plots.audio_players(closed, ["synthetic/s01/anger_01"])


def test_players_refuse_an_item_that_is_not_there(corpus):
    with pytest.raises(CorpusError, match="nobody"):
        plots.audio_players(corpus, ["synthetic/nobody"])
