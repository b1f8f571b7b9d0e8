"""No number on a page is anyone's word: prose types none, outputs are the executed notebook's, stored scores follow from the counts."""

from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from sercore import ledger, results
from tests.book import numbers
from tests.book.pages import parse
from tests.book.test_pages import SITE

PROJECT = Path(__file__).resolve().parents[2]
SOURCES = [*sorted(PROJECT.glob("notebooks/*.py")), *sorted(PROJECT.glob("book/*.md")), PROJECT / "README.md", PROJECT / "CHANGELOG.md"]
CHAPTERS = sorted(path.stem for path in PROJECT.glob("notebooks/*.py") if "[markdown]" in path.read_text(encoding="utf-8"))
#: Phrases with a number that is no result: the level of an interval, a rate of guessing, a range that was searched, a rule of a method.
NO_RESULTS = {
    "": ("95 % interval", "95 % prediction interval", "95 % {term}`prediction interval`", "Intervals are 95 %"),
    "glossary": ("With fewer than six it is above 0.05",),
    "reslstm_sa": ("Guessing gives $1/C$: 12.5 % on RAVDESS", "dropout 0.02 to 0.5"),
    "price_of_leaks": ("never rises above 0.05 of full scale", "At 0.05 of full scale"),
}


def allowed(document: Path) -> tuple[str, ...]:
    return (*NO_RESULTS[""], *NO_RESULTS.get(document.stem, ()))


@pytest.mark.parametrize("document", [p for p in SOURCES if p.is_file()], ids=lambda p: p.name)
def test_prose_types_no_result(document):
    """Ours come from `glue` or a table, published ones from `ledger.printed`; what is no result is named in NO_RESULTS."""
    assert numbers.typed_results(numbers.prose(document), allowed(document)) == []


def test_every_allowed_phrase_is_still_there():
    texts = {path.stem: " ".join(numbers.prose(path).split()) for path in SOURCES if path.is_file()}
    stale = [phrase for name, phrases in NO_RESULTS.items() for phrase in phrases if name and name in texts and phrase not in texts[name]]
    assert stale == []


@pytest.mark.parametrize(
    "sentence",
    ["ResLSTM-SA reaches 45.8 % on RAVDESS.", "It gains 4.2 points.", "a UAR of 0.52", "recall is .61", "p = 0.003", "a score near 0.458",
     "between 41 and 45 per cent", "12.5 % on EmoDB"],
)  # fmt: skip
@pytest.mark.parametrize("source", ["notebooks/reslstm_sa.py", "book/index.md"])
def test_a_result_typed_into_prose_is_caught(tmp_path, source, sentence):
    """The planted fault: a sentence with a number is put into a real page."""
    original = PROJECT / source
    copy = tmp_path / original.name
    planted = f"\n# %% [markdown]\n# {sentence}\n" if source.endswith(".py") else f"\n{sentence}\n"
    copy.write_text(original.read_text(encoding="utf-8") + planted, encoding="utf-8")
    assert len(numbers.typed_results(numbers.prose(copy), allowed(original))) == 1


# --- the built pages ----------------------------------------------------------------------------------------------------------------------


def page_and_notebook(chapter: str) -> tuple[BeautifulSoup, nbformat.NotebookNode]:
    page, notebook = SITE / "chapters" / f"{chapter}.html", PROJECT / "book" / "chapters" / f"{chapter}.ipynb"
    if not page.is_file() or not notebook.is_file():
        pytest.skip("no built book at _build/html: run `make book` first, then `make gate`")
    return parse(page), numbers.read_notebook(notebook)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_page_shows_what_its_notebook_gave(chapter):
    page, notebook = page_and_notebook(chapter)
    assert numbers.unfinished(notebook) == []
    assert numbers.altered(page, notebook) == []


@pytest.mark.parametrize("page", ["index", *(f"chapters/{name}" for name in CHAPTERS)])
def test_stored_scores_on_a_page_follow_from_the_published_counts(page):
    if not (SITE / f"{page}.html").is_file():
        pytest.skip("no built book at _build/html: run `make book` first, then `make gate`")
    soup = parse(SITE / f"{page}.html")
    assert numbers.wrong_scores(soup, ledger.stored()) == [], "a page that is older than the published rows is made anew by `make book`"
    if page in ("index", "chapters/reslstm_sa"):
        assert numbers.stored_scores(soup), "no stored score was found on the page: the check has lost its table"


# --- planted faults -----------------------------------------------------------------------------------------------------------------------

ROW = "<tr><td>LSTM-SA-h64</td><td>45.8 [41.0, 50.2] %</td></tr>"
TABLE = f"<table><thead><tr><th>system</th><th>UAR</th></tr></thead><tbody>{ROW}</tbody></table>"
SENTENCE = "4 of 9 published facts are as stated."


def a_notebook() -> nbformat.NotebookNode:
    outputs = [
        nbformat.v4.new_output("display_data", {"text/html": TABLE, "text/plain": "<table>"}),
        nbformat.v4.new_output("display_data", {"text/markdown": SENTENCE}),
    ]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("show()", outputs=outputs)])


def a_page(table: str = TABLE, sentence: str = SENTENCE) -> BeautifulSoup:
    return BeautifulSoup(f'<article><div class="cell_output">{table}<p>{sentence}</p></div></article>', "html.parser")


def test_a_page_equal_to_its_notebook_has_no_fault():
    assert numbers.altered(a_page(), a_notebook()) == []


@pytest.mark.parametrize(
    "page",
    [
        a_page(TABLE.replace("45.8", "54.8")),
        a_page(TABLE.replace("</tbody>", "<tr><td>ResLSTM-SA-h64</td><td>61.0 %</td></tr></tbody>")),
        a_page(sentence=SENTENCE.replace("4 of 9", "9 of 9")),
        a_page(sentence=SENTENCE + " The best run has 62."),
    ],
    ids=["a cell", "a row", "a count", "a sentence"],
)
def test_a_number_on_a_page_that_its_notebook_does_not_have_is_caught(page):
    assert numbers.altered(page, a_notebook()) != []


def test_a_chapter_that_did_not_run_to_its_end_is_caught():
    notebook = a_notebook()
    assert numbers.unfinished(notebook) == ["code cell 1 was not executed"]
    notebook.cells[0].execution_count = 1
    assert numbers.unfinished(notebook) == []
    notebook.cells[0].outputs.append(nbformat.v4.new_output("error", ename="LookupError", evalue="no such row", traceback=[]))
    assert numbers.unfinished(notebook) == ["code cell 1 ended with LookupError"]


def stored_page(uar: str, system: str = "ResLSTM-SA-h64") -> BeautifulSoup:
    head = "<tr><th>from</th><th>corpus, protocol</th><th>system</th><th>UAR [95 %]</th></tr>"
    row = f"<tr><td>stored (full)</td><td>ravdess, strict</td><td>{system}</td><td>{uar} [1.0, 2.0] %</td></tr>"
    return BeautifulSoup(f"<table>{head}{row}</table>", "html.parser")


@pytest.fixture(scope="module")
def stored() -> results.Results:
    return results.load_results("reslstm_sa")


def test_a_stored_score_that_the_counts_do_not_give_is_caught(stored):
    """In no store, or another system's: the score of LSTM-SA under the name of ResLSTM-SA."""
    known = numbers.scores_from_counts(stored)
    mine, other = (known[(name, "ravdess", "strict")] for name in ("ResLSTM-SA-h64", "LSTM-SA-h64"))
    assert numbers.wrong_scores(stored_page(*mine), stored) == []
    assert numbers.wrong_scores(stored_page(*other), stored) != []
    assert numbers.wrong_scores(stored_page("61.8"), stored) != []
    assert numbers.wrong_scores(stored_page(*mine, system="MHSA-FACA"), stored) != []
