"""Model cards are computed from the stored rows, and the ones beside the weights are current."""

import dataclasses
import shutil
from functools import lru_cache

import pytest

from sercore.data.card import load_card
from sercore.errors import StoreError
from sercore.pages import model_card
from sercore.predict.trained import SHIPPED, shipped_names
from sercore.results import load_results

NAMES = shipped_names()


@lru_cache
def text(name):
    return model_card.text(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_card_beside_the_weights_is_that_of_the_stored_rows(name):
    assert (SHIPPED / name / model_card.FILE).read_text(encoding="utf-8") == text(name), "run `sercore cards` and commit what it wrote"


@pytest.mark.parametrize("name", NAMES)
def test_a_card_says_for_whom_it_is_not_and_names_every_speaker(name):
    card = load_card(name)
    assert "**Not for decisions about people**" in text(name)
    assert card.licence in text(name)
    assert all(f"| {speaker} ({gender}) |" in text(name) for speaker, gender in card.genders.items())
    assert "functionals svm" in text(name)
    assert "nan" not in text(name).lower().split()


def test_a_number_typed_into_a_card_is_caught(tmp_path, monkeypatch):
    folder = shutil.copytree(SHIPPED / "emodb", tmp_path / "emodb").parent
    monkeypatch.setattr(model_card, "text", lambda name, folder=None: text(name))
    assert model_card.is_current("emodb", folder)
    path = folder / "emodb" / model_card.FILE
    path.write_text(path.read_text(encoding="utf-8").replace("535 recordings", "5350 recordings", 1), encoding="utf-8")
    assert not model_card.is_current("emodb", folder)


def test_other_stored_rows_give_another_card(monkeypatch):
    results = load_results("reslstm_sa")
    counts = results.counts.copy()
    row = counts.index[counts["group"].eq("emodb.reslstm_sa_h64.definition.strict.pairs_5") & counts["truth"].eq("anger")][0]
    counts.loc[row, ["anger", "boredom"]] = counts.loc[row, ["boredom", "anger"]].to_numpy()
    monkeypatch.setattr(model_card, "load_results", lambda chapter: dataclasses.replace(results, counts=counts))
    assert model_card.text("emodb") != text("emodb")


def test_a_model_that_does_not_ship_is_refused(tmp_path):
    with pytest.raises(StoreError, match="there is no shipped model nobody"):
        model_card.text("nobody", tmp_path)
