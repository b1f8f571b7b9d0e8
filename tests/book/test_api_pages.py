"""The reference has every public module, docstrings come out as they are meant, and no name in a page leads nowhere."""

from pathlib import Path

import api_pages
import pytest
import yaml
from bs4 import BeautifulSoup

from tests.book.pages import parse

PROJECT = Path(__file__).resolve().parents[2]
SITE = PROJECT / "_build" / "html"


def unresolved(soup: BeautifulSoup) -> list[str]:
    """Names written as {func}, {class}, {mod} or {term} that are no links."""
    roles = soup.select(".xref.py-func, .xref.py-class, .xref.py-mod, .xref.py-meth, .xref.py-data, .xref.std-term")
    return [role.get_text() for role in roles if role.find_parent("a") is None]


def test_every_public_module_has_a_page(tmp_path):
    (tmp_path / "sercore").symlink_to(PROJECT / "sercore")
    api_pages.write_api_pages(tmp_path)
    pages = [path.read_text() for path in (tmp_path / "book/api").glob("*.md")]
    members = api_pages.modules(PROJECT / "sercore")
    assert {"sercore.spec", "sercore.stats.prediction", "sercore.data.readers.emodb"} <= set(members)
    assert all(sum(f".. automodule:: {member}\n" in text for text in pages) == 1 for member in members)


def test_a_module_of_no_room_is_on_the_last_page():
    assert api_pages.room_of("sercore.something_new.part") == list(api_pages.ROOMS)[-1]
    assert api_pages.room_of("sercore.ledger.rule") == "results"


def test_every_page_of_the_reference_is_in_the_contents():
    contents = yaml.safe_load((PROJECT / "book/_toc.yml").read_text())
    entries = [entry for part in contents["parts"] for entry in part["chapters"] if entry.get("file") == "api"]
    assert [section["file"] for section in entries[0]["sections"]] == [f"api/{name}" for name in api_pages.ROOMS]


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("the score_ of |x|", r"the score\_ of \|x\|"),
        ("*not* 3 * 4, **never**", r"*not* 3 \* 4, **never**"),
        ("`sercore.spec.RunSpec` and `a, b`", "`sercore.spec.RunSpec` and ``a, b``"),
        ("``as | it *is``", "``as | it *is``"),
        ("over `two\nlines`, then x_", "over ``two\nlines``, then x\\_"),
        ("Example 1*2*3", r"Example 1\*2\*3"),
    ],
)
def test_docstrings_become_rest(text, rest):
    assert api_pages.to_rest(text) == rest


def test_doctests_are_left_alone():
    lines = ["Adds_.", "", ">>> a_ | b", "'x_'", "", "Then c_."]
    api_pages.process_docstring(None, "function", "f", None, None, lines)
    assert lines == ["Adds\\_.", "", ">>> a_ | b", "'x_'", "", "Then c\\_."]


def test_equations_stay_as_they_were_written():
    lines = ["A sum_.", "", "    s_ = a_1 * b|c", "", "Args:", "    a_: x_.", ""]
    api_pages.process_docstring(None, "function", "f", None, None, lines)
    assert lines == ["A sum\\_.", "", "::", "", "    s_ = a_1 * b|c", "", "Args:", "    a\\_: x\\_.", ""]


def test_an_unresolved_name_is_caught():
    page = '<code class="xref py py-func docutils literal"><span>gone()</span></code><a href="#x"><code class="xref py-func">f</code></a>'
    assert unresolved(BeautifulSoup(page, "html.parser")) == ["gone()"]


def test_names_in_pages_lead_somewhere():
    if not (SITE / "index.html").is_file():
        pytest.skip("no built book at _build/html: run `make book` first, then `make gate`")
    pages = [p for p in SITE.rglob("*.html") if p.relative_to(SITE).parts[0] not in ("_static", "_modules", "api")]
    found = {p.relative_to(SITE).as_posix(): unresolved(parse(p)) for p in pages}
    assert {name: names for name, names in found.items() if names} == {}
    assert len(parse(SITE / "api/specification.html").select("dt[id^='sercore.spec.']")) > 10
