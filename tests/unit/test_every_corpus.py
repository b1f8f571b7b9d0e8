"""What every corpus that is read from a folder keeps to. A new row of CORPORA is tested here without a line written."""

from itertools import chain

import pytest

from sercore.data.card import load_card
from sercore.data.corpora import CORPORA, default_scheme, load
from sercore.data.splits import DEFAULT_SCHEME, SCHEMES, n_folds, split_plan
from sercore.errors import CorpusError
from sercore.spec import SplitSpec
from tests.corpus_trees import LISTED


def stand_up(name, root, ending=".wav"):
    """A folder with every file name of the release, each file empty: readers open none."""
    for key in load_card(name).expected_names():
        path = root / load_card(name).audio_folder / f"{key}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return root


def test_every_corpus_has_a_card_and_a_split():
    assert all(load_card(name).name == name for name in CORPORA)
    for name in CORPORA:
        assert name in DEFAULT_SCHEME or load_card(name).default_split in ("", *SCHEMES), name


@pytest.mark.parametrize("ending", [".wav", ".flac"])
@pytest.mark.parametrize("name", LISTED)
def test_the_reader_finds_what_the_card_counts(name, ending, tmp_path):
    card, corpus = load_card(name), load(name, stand_up(name, tmp_path, ending))
    assert corpus.items[card.task].value_counts().to_dict() == card.classes
    assert corpus.items["speaker"].value_counts().to_dict() == card.speakers
    assert corpus.items.groupby("speaker")["gender"].unique().map(list).to_dict() == {s: [g] for s, g in card.genders.items()}
    assert corpus.items["item_id"].str.startswith(f"{name}/").all()
    assert set(corpus.items["language"]) <= set(card.languages)
    assert all((tmp_path / path).is_file() for path in corpus.items["path"])


@pytest.mark.parametrize("name", LISTED)
def test_names_of_no_recording_are_left_out(name, tmp_path):
    root = stand_up(name, tmp_path)
    for folder in {root, *(path.parent for path in root.rglob("*.wav"))}:
        for other in ("readme.txt", "copy of 1.wav", ".wav"):
            (folder / other).touch()
    assert len(load(name, root).items) == load_card(name).files


@pytest.mark.parametrize("name", LISTED)
def test_a_missing_recording_is_caught(name, tmp_path):
    next(stand_up(name, tmp_path).rglob("*.wav")).unlink()
    with pytest.raises(CorpusError, match="1 recording is missing"):
        load(name, tmp_path)


@pytest.mark.parametrize("name", LISTED)
def test_the_default_split_tests_every_speaker_once_and_leaks_nothing(name, tmp_path):
    corpus = load(name, stand_up(name, tmp_path))
    items, scheme = corpus.items, default_scheme(corpus)
    plans = [split_plan(items, SplitSpec(scheme=scheme, fold=fold)) for fold in range(n_folds(scheme, items))]
    assert sorted(chain.from_iterable(plan.test for plan in plans)) == items["item_id"].tolist()
    assert all(plan.found == () for plan in plans)
