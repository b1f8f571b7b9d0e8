"""Every figure and table of a built page names what it was made from, and the pages that it leads to have it."""

import json
from hashlib import sha256
from pathlib import Path

import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from run_pages import MIME, anchor, live_groups, origins, runs_page, stored_groups, write_run_pages

from sercore import provenance
from sercore.errors import StoreError
from sercore.ledger import styled
from sercore.plots import show
from sercore.results import GROUP_COLUMNS, RUN_COLUMNS, Results, empty_results
from tests.book.pages import parse

PROJECT = Path(__file__).resolve().parents[2]
SITE = PROJECT / "_build" / "html"
GROUP = "synthetic.lstm_sa_h32.definition.strict.speakers_4"


def results(stored: bool = False) -> Results:
    about = dict.fromkeys(GROUP_COLUMNS) | {"group": GROUP, "chapter": "toy", "corpus": "synthetic", "profile": "quick"}
    run = dict.fromkeys(RUN_COLUMNS) | {"group": GROUP, "fold": 0, "code_commit": "abcdef1234", "code_clean": True, "seconds": 2.5}
    runs = pd.DataFrame([run | {"run_id": f"{k:016x}", "seed": k} for k in range(3)])
    rows = empty_results()
    spec = {GROUP: {"data": {"corpus": "synthetic"}, "split": {"scheme": "speakers_4"}}}
    return Results(pd.DataFrame([about]), rows.counts, runs, rows.history, spec, stored=stored)


def unlinked(soup: BeautifulSoup) -> list[str]:
    """Figures and tables in outputs of a chapter below which no line says what they were made from."""
    found = []
    for output in soup.select(".cell_output"):
        for element in output.select("figure, table"):
            after = element.find_next(class_="made-from")
            if after is None or after not in output.select(".made-from"):
                found.append(" ".join(element.get_text(" ").split())[:60] or element.name)
    return found


def executed(folder: Path, *shown: object) -> Path:
    """An executed notebook with these objects as outputs."""
    data = [item._repr_mimebundle_() for item in shown]
    cells = [{"cell_type": "code", "outputs": [{"output_type": "display_data", "data": d} for d in data]}]
    path = folder / "book" / "chapters" / "toy.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells}))
    return path


def figure(origin: provenance.Origin | None = None) -> provenance.Shown:
    return show.figure(show.canvas(1.0)[0], "An empty drawing, for tests", origin=origin)


def test_the_line_leads_to_group_spec_and_runs_and_names_the_revision():
    line = BeautifulSoup(figure(provenance.of_runs(results())).data, "html.parser").select_one(".made-from")
    place = f"../runs/toy.html#{provenance.anchor('toy', GROUP, False)}"
    assert [a["href"] for a in line.select("a")] == [place, f"{place}-spec", f"{place}-runs"]
    assert line.get_text() == f"from: this build (quick, synthetic) {GROUP} · spec · 3 runs · code revision abcdef1"


def test_uncommitted_code_and_a_missing_revision_are_said():
    rows = results()
    rows.runs["code_clean"] = [True, False, True]
    assert "abcdef1 with uncommitted changes" in provenance.of_runs(rows).line()
    rows.runs["code_commit"] = ""
    assert "not known (outside git)" in provenance.of_runs(rows).line()


def test_many_groups_are_folded_and_counted():
    rows = results(stored=True)
    rows.groups = pd.concat([rows.groups.assign(group=f"{GROUP}{k}") for k in range(4)])
    rows.runs = pd.concat([rows.runs.assign(group=f"{GROUP}{k}") for k in range(4)])
    soup = BeautifulSoup(provenance.of_runs(rows).line(), "html.parser")
    assert soup.select_one("details.made-from summary").get_text() == "from: 4 groups of stored full runs (12 runs, code revision abcdef1)"
    assert len(soup.select("li")) == 4


def test_files_are_named_with_their_contents():
    line = provenance.of_files("book/claims/claims.csv").line()
    assert sha256((PROJECT / "book/claims/claims.csv").read_bytes()).hexdigest()[:8] in line
    assert "inputs.html#book-claims-claims-csv" in line


def test_an_unknown_group_or_file_is_caught():
    with pytest.raises(StoreError, match="no group nobody"):
        provenance.of_runs(results(), ["nobody"])
    with pytest.raises(StoreError, match="no file book/gone.csv"):
        provenance.of_files("book/gone.csv")


def test_the_same_group_is_named_once():
    once = provenance.of_runs(results())
    assert len((once + once + provenance.of_runs(results(stored=True))).groups) == 2


def test_tables_carry_their_origin_too():
    table = styled(pd.DataFrame({"a": [1]}), "Caption", "name", provenance.of_runs(results()))
    page = BeautifulSoup(f'<div class="cell_output">{table._repr_mimebundle_()["text/html"]}</div>', "html.parser")
    assert unlinked(page) == []
    assert table._repr_mimebundle_()[MIME]["groups"][0]["runs"][2]["seed"] == 2


@pytest.mark.parametrize("shown", [figure(), styled(pd.DataFrame({"a": [1]}), "Caption", "name")])
def test_an_unlinked_figure_or_table_is_caught(shown):
    assert unlinked(BeautifulSoup(f'<div class="cell_output">{shown._repr_mimebundle_()["text/html"]}</div>', "html.parser"))


def test_pages_and_lines_agree_on_the_places():
    for stored in (True, False):
        assert anchor("toy", GROUP, stored) == provenance.anchor("toy", GROUP, stored)
    assert provenance.MIME == MIME


def test_the_page_lists_every_group_and_every_run_of_this_build(tmp_path):
    notebook = executed(tmp_path, figure(provenance.of_runs(results())), figure(provenance.of_files("book/claims/claims.csv")))
    live = live_groups([notebook])
    text = runs_page("A toy", "toy", live["toy"], {}, "https://example.org/repo")
    assert f"({anchor('toy', GROUP, False)})=" in text
    assert all(f"`{k:016x}`" in text for k in range(3))
    assert "scheme: speakers_4" in text
    assert "[abcdef1](https://example.org/repo/commit/abcdef1234)" in text
    assert "not a result about speech" in text
    assert [len(origin["inputs"]) for origin in origins(notebook)] == [0, 1]


def test_a_run_that_is_missing_from_a_page_is_caught(tmp_path):
    rows = results()
    whole = runs_page("A toy", "toy", live_groups([executed(tmp_path, figure(provenance.of_runs(rows)))])["toy"], {}, "")
    rows.runs = rows.runs.iloc[:2]
    fewer = runs_page("A toy", "toy", live_groups([executed(tmp_path, figure(provenance.of_runs(rows)))])["toy"], {}, "")
    assert f"`{2:016x}`" in whole
    assert f"`{2:016x}`" not in fewer


def test_pages_of_chapters_without_runs_go(tmp_path):
    (tmp_path / "book/claims").mkdir(parents=True)
    (tmp_path / "book/claims/claims.csv").write_text("1\n")
    executed(tmp_path, figure(provenance.of_runs(results())))
    assert write_run_pages(tmp_path, {"toy": "A toy"}) == ["toy", "inputs"]
    executed(tmp_path, figure(provenance.of_files("book/claims/claims.csv")))
    assert write_run_pages(tmp_path, {"toy": "A toy"}) == ["inputs"]
    assert [p.name for p in (tmp_path / "book/runs").glob("*.md")] == ["inputs.md"]


def test_every_stored_group_has_its_runs_and_its_spec():
    folders = [p.parent for p in (PROJECT / "book/results").glob("*/groups.csv")]
    assert folders
    for folder in folders:
        for name, group in stored_groups(folder).items():
            folds, seeds = int(group["about"]["folds"]), int(group["about"]["seeds"])
            assert len(group["runs"]) == folds * seeds, name
            assert group["spec"]["data"]["corpus"] == group["about"]["corpus"], name


def test_pages_of_shipped_networks_name_their_group():
    for model in (PROJECT / "sercore/shipped").glob("*/model.json"):
        made = json.loads(model.read_text())
        page = (PROJECT / f"book/model_cards/{model.parent.name}.md").read_text()
        assert f"[`{made['group']}`](#{anchor(made['chapter'], made['group'], True)})" in page
        assert f"seed {made['seed']}" in page


# ---------------------------------------------------------------------------------------------------------------------- the built pages
@pytest.fixture(scope="module")
def site() -> Path:
    if not (SITE / "index.html").is_file():
        pytest.skip("no built book at _build/html: run `make book` first, then `make gate`")
    return SITE


def chapters() -> list[str]:
    return [entry["name"] for entry in yaml.safe_load((PROJECT / "notebooks/register.yml").read_text())["chapters"]]


@pytest.mark.parametrize("chapter", chapters())
def test_every_figure_and_table_of_a_chapter_is_linked(site, chapter):
    assert unlinked(parse(site / f"chapters/{chapter}.html")) == []


def test_every_stored_group_has_its_place(site):
    for folder in (p.parent for p in (PROJECT / "book/results").glob("*/groups.csv")):
        soup = parse(site / f"runs/{folder.name}.html")
        for group, stored in stored_groups(folder).items():
            place = anchor(folder.name, group, True)
            assert all(soup.find(id=f"{place}{part}") for part in ("", "-spec", "-runs")), group
            assert all(run["run_id"] in soup.get_text() for run in stored["runs"]), group


@pytest.mark.parametrize("chapter", chapters())
def test_fingerprints_below_figures_are_those_that_the_files_had_when_the_book_was_built(site, chapter):
    """A page that was kept although a file it shows had changed is caught here: its digits are not those of the page of files."""
    assert outdated(parse(site / f"chapters/{chapter}.html"), parse(site / "runs/inputs.html")) == []


def outdated(page: BeautifulSoup, inputs: BeautifulSoup) -> list[str]:
    """Files that the lines of a page name with other digits than the page of files."""
    found = []
    for link in page.select('.made-from a[href*="inputs.html#"]'):
        section = inputs.find(id=str(link["href"]).partition("#")[2])
        digits = str(link.next_sibling).strip(" ();,")[:8]
        if section is None or digits not in section.find_parent("section").get_text():
            found.append(link.get_text())
    return found


def test_a_page_that_was_kept_after_a_file_changed_is_caught():
    line = provenance.of_files("book/claims/claims.csv").line()
    digits = sha256((PROJECT / "book/claims/claims.csv").read_bytes()).hexdigest()[:8]
    files = '<section><span id="book-claims-claims-csv"></span><p>contents {}; last changed</p></section>'
    page, now, later = (BeautifulSoup(t, "html.parser") for t in (line, files.format(digits), files.format("00000000")))
    assert outdated(page, now) == []
    assert outdated(page, later) == ["claims.csv"]
