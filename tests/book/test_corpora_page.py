"""The page of all corpora says what the cards say."""

import re

import pytest

from sercore.data.card import load_card
from sercore.data.corpora import CORPORA
from sercore.data.folds import FOLD_TABLES
from sercore.pages.corpora_page import corpora_page, section, tables_of


@pytest.fixture(scope="module")
def page():
    return corpora_page()


def test_every_corpus_has_a_line_and_a_section(page):
    for name in CORPORA:
        card, anchor = load_card(name), f"corpus-{name.replace('_', '-')}"
        state = "verified" if card.layout_verified else "not verified"
        assert re.search(rf"^\| \[{name}\]\(#{anchor}\) \| {card.task} \| .*\| {state} \|$", page, re.M)
        assert page.count(f"({anchor})=\n## {name}: {card.title}\n") == 1
    assert page.count("\n## ") == len(CORPORA)


@pytest.mark.parametrize("name", CORPORA)
def test_a_section_says_where_the_layout_is_from_and_whether_it_was_seen(name):
    card, text = load_card(name), section(load_card(name))
    assert f"**Layout.** {'verified' if card.layout_verified else 'not verified'}; documented in " in text
    assert text.count("\n- ") >= 6 + len(card.caveats) + len(card.known_defects)
    assert not re.search(r"(?<!\\)\$|(?<![<(/\w])https?://", text), "what Markdown would take for mathematics or leave as bare text"


def test_a_layout_called_verified_that_is_not_is_caught():
    card = load_card("tess")
    assert "**Layout.** not verified" in section(card)
    assert "**Layout.** not verified" not in section(card.model_copy(update={"layout_verified": True}))


def test_every_fold_table_stands_in_the_section_of_its_corpus(page):
    assert set().union(*(tables_of(load_card(name)) for name in CORPORA)) == set(FOLD_TABLES)
    assert set(tables_of(load_card("ravdess"))) == {"luna_jimenez_5", "ravdess_6x4"}
    assert set(tables_of(load_card("iemocap_4"))) == {"iemocap_sessions_5", "iemocap_speakers_10"}
    for scheme, table in FOLD_TABLES.items():
        assert f"`{scheme}`, {len(table.folds)} folds" in page
        assert table.fingerprint in page


def test_known_oddities_name_their_files(page):
    for name in ("`OA_bite_neutral`", "`YAF_germ_angry`, `YAF_neat_fear`", "`1040_ITH_SAD_X`", "channel 1 of those in a file is read"):
        assert name in page
