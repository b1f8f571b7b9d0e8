"""The gate on the built pages. Sphinx exits 0 with a crashed, an unexecuted or an orphan page; this does not."""

from pathlib import Path

import pytest
import yaml

from tests.book.pages import ABSOLUTE, broken_links, faults_of_chapter, parse, remote_assets

SITE = Path(__file__).resolve().parents[2] / "_build" / "html"
GENERATED = {"genindex", "search", "py-modindex"}
BOOK = Path(__file__).resolve().parents[2] / "book"

GOOD = """<article><div class="cell_output"><p>Verdict: not run.</p><table><tr><td>1</td></tr></table>
<img src="a.png" alt="Recall of each speaker, two systems"></div></article>"""


def documents() -> list[str]:
    contents = yaml.safe_load((BOOK / "_toc.yml").read_text())
    return [contents["root"], *(name for part in contents["parts"] for entry in part["chapters"] for name in names(entry))]


def names(entry: dict) -> list[str]:
    """The pages of an entry of the contents and of the entries below it; `glob` stands for the generated pages that match."""
    if "glob" in entry:
        return sorted(p.relative_to(BOOK).with_suffix("").as_posix() for p in BOOK.glob(f"{entry['glob']}.md"))
    return [entry["file"], *(name for below in entry.get("sections", ()) for name in names(below))]


def strays(site: Path, listed: list[str]) -> list[str]:
    """Pages that were built and are in no contents, and those that are there and were not built."""
    files = [p.relative_to(site) for p in site.rglob("*.html")]
    built = {p.with_suffix("").as_posix() for p in files if not p.parts[0].startswith("_")} - GENERATED
    return [f"orphan: {name}" for name in sorted(built - set(listed))] + [f"not built: {name}" for name in sorted(set(listed) - built)]


@pytest.fixture(scope="module")
def site() -> Path:
    if not (SITE / "index.html").is_file():
        pytest.skip("no built book at _build/html: run `make book` first, then `make gate`")
    return SITE


@pytest.fixture
def page(site, request) -> Path:
    path = site / f"{request.param}.html"
    assert path.is_file(), f"{request.param} is in the table of contents but was not built"
    return path


every_page = pytest.mark.parametrize("page", documents(), indirect=True)
every_chapter = pytest.mark.parametrize("page", [d for d in documents() if d.startswith("chapters/")], indirect=True)


def test_pages_are_those_of_the_table_of_contents(site):
    assert strays(site, documents()) == []


@every_chapter
def test_a_chapter_has_outputs_a_table_a_figure_with_alt_text_and_a_verdict(page):
    assert faults_of_chapter(parse(page)) == []


@every_page
def test_links_and_pictures_resolve(page, site):
    assert broken_links(page, parse(page), site) == []


@every_page
def test_nothing_is_fetched_from_elsewhere(page):
    assert remote_assets(parse(page)) == []


@every_page
def test_no_page_names_a_folder_of_the_machine(page):
    assert sorted(set(ABSOLUTE.findall(parse(page).get_text(" ")))) == []


def test_no_file_names_the_folder_of_the_project(site):
    root = str(SITE.parents[1])
    texts = [p for p in site.rglob("*") if p.suffix in (".html", ".js", ".json", ".ipynb", ".md", ".txt") and "mathjax" not in p.parts]
    assert [p.relative_to(site).as_posix() for p in texts if root in p.read_text(encoding="utf-8", errors="replace")] == []


def planted(html: str) -> list[str]:
    from bs4 import BeautifulSoup

    return faults_of_chapter(BeautifulSoup(html, "html.parser"))


def test_a_good_page_has_no_faults():
    assert planted(GOOD) == []


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<article><p>not run</p></article>", "no outputs"),
        (GOOD.replace("table", "div"), "no table"),
        (GOOD.replace("<img", "<br"), "no figure"),
        (GOOD.replace("Recall of each speaker, two systems", "../_images/0a1b.png"), "alt text"),
        (GOOD.replace("Verdict: not run.", ""), "no verdict"),
        (GOOD.replace("not run.", "not run. Traceback (most recent call last): ValueError"), "traceback"),
    ],
)
def test_a_crashed_or_unfinished_page_is_caught(html, fault):
    assert fault in " ".join(planted(html))


def test_an_orphan_page_and_a_page_that_was_not_built_are_caught(tmp_path):
    for name in ("index.html", "chapters/a.html", "chapters/left_over.html", "_static/a.html", "search.html"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("<html></html>")
    assert strays(tmp_path, ["index", "chapters/a", "chapters/b"]) == ["orphan: chapters/left_over", "not built: chapters/b"]


def test_a_broken_link_and_a_remote_script_are_caught(tmp_path):
    page = tmp_path / "index.html"
    page.write_text('<a href="gone.html">x</a><a href="#here">y</a><p id="here"></p><script src="https://cdn.example/x.js"></script>')
    assert broken_links(page, parse(page), tmp_path) == ["gone.html"]
    assert remote_assets(parse(page)) == ["https://cdn.example/x.js"]


def test_a_folder_of_the_machine_is_caught():
    assert ABSOLUTE.search("read from /home/someone/corpora") is not None
    assert ABSOLUTE.search("store/runs and a/b, 1/2") is None
