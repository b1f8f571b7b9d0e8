"""Cards: they add up, they agree with the readers, and a card that contradicts itself is refused."""

import pytest
import yaml

from sercore.data.card import CARDS, Card, card_names, load_card, read_card
from sercore.errors import CorpusError
from tests.corpus_trees import LISTED


@pytest.mark.parametrize("name", card_names())
def test_every_card_loads_under_its_own_name(name):
    assert load_card(name).name == name


def test_ravdess_holds_what_the_release_states():
    card = load_card("ravdess")
    assert card.files == 1440
    assert set(card.speakers.values()) == {60}
    assert len(card.speakers) == 24
    assert card.emotions["neutral"] == 96
    assert set(card.emotions.values()) == {96, 192}
    assert [card.genders[str(n)] for n in (1, 2, 23, 24)] == ["male", "female", "male", "female"]


def test_emodb_holds_what_the_release_states():
    card = load_card("emodb")
    assert card.emotions == {"anger": 127, "boredom": 81, "disgust": 46, "fear": 69, "happiness": 71, "sadness": 62, "neutral": 79}
    assert len(card.speakers) == 10
    assert list(card.genders.values()).count("female") == 5
    assert set(card.ages) == set(card.speakers)


@pytest.mark.parametrize("name", LISTED)
def test_expected_names_give_the_counts_of_the_card(name):
    """The names and the counts are written down separately; each is derived from the other here."""
    import re

    card = load_card(name)
    parts = [re.fullmatch(card.name_pattern, path) for path in card.expected_names()]
    labels = [card.label_map[part[card.task]] for part in parts]
    speakers = [part["speaker"] if part["speaker"] in card.speakers else part["speaker"].lstrip("0") for part in parts]
    assert {label: labels.count(label) for label in card.classes} == card.classes
    assert {speaker: speakers.count(speaker) for speaker in card.speakers} == card.speakers


@pytest.mark.parametrize("name", LISTED)
def test_card_and_reader_agree_on_codes(name):
    import importlib

    reader = importlib.import_module(f"sercore.data.readers.{name}")
    assert load_card(name).label_map == (reader.EMOTIONS if load_card(name).task == "emotion" else reader.WORDS)


@pytest.mark.recordings
@pytest.mark.parametrize("name", LISTED)
def test_expected_names_are_those_of_a_real_copy(name, corpora_root):
    root = corpora_root / name
    if not root.is_dir():
        pytest.skip(f"no folder {name} in SERCORE_CORPORA")
    found = {path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*") if path.suffix in (".wav", ".flac")}
    assert found == set(load_card(name).expected_names())


def changed(**fields):
    card = yaml.safe_load((CARDS / "emodb.yml").read_text(encoding="utf-8"))
    return {**card, **fields}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"files": 534}, "add up to 535"),
        ({"emotions": {"anger": 535}}, "label_map"),
        ({"speakers": {"03": 535}}, "genders"),
        ({"genders": {}}, "genders"),
        ({"expected": []}, None),
        ({"expected": [{"template": "{a}", "values": {"a": ["x"]}}]}, "expected names 1 files"),
        ({"name_pattern": "(?P<emotion>.)"}, "groups emotion and speaker"),
        ({"licnce": "?"}, "Extra inputs"),
    ],
)
def test_a_card_that_contradicts_itself_is_caught(fields, says, tmp_path):
    path = tmp_path / "card.yml"
    path.write_text(yaml.safe_dump(changed(**fields), allow_unicode=True), encoding="utf-8")
    if says is None:
        assert isinstance(read_card(path), Card)
        return
    with pytest.raises(CorpusError, match=says) as caught:
        read_card(path)
    assert "card.yml" in str(caught.value)


def test_a_file_that_is_not_yaml_is_an_error_that_names_it(tmp_path):
    path = tmp_path / "broken.yml"
    path.write_text("a: [")
    with pytest.raises(CorpusError, match="broken.yml"):
        read_card(path)


def test_an_unknown_corpus_names_those_that_are_known():
    with pytest.raises(CorpusError, match="no corpus 'ravdes'; known: .*emodb, .*ravdess"):
        load_card("ravdes")
