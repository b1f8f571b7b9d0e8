"""The built book opened in headless Chromium: it logs no error, loads everything, and can be read on a phone and in the dark."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sercore.ledger.page import SearchableTable
from tests.book import browsing
from tests.book.test_pages import SITE, documents

LEDGER = "chapters/ledger"


@pytest.fixture(scope="module")
def browser() -> Iterator:
    """One Chromium for all tests of this file."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install -e '.[test]'")
    if (path := browsing.chromium()) is None:
        pytest.skip(f"no Chromium on this machine (looked for {', '.join(browsing.NAMES)}): apt-get install chromium")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=path, args=browsing.SWITCHES)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def book() -> Iterator[str]:
    """Address of the built book."""
    if not (SITE / "index.html").is_file():
        pytest.skip("no built book at _build/html: run `make book` first, then `make gate`")
    with browsing.served(SITE) as address:
        yield address


def chosen() -> list[str]:
    """Every page; of those that are made from one pattern (a page a group of runs) the first stands for all."""
    runs = [name for name in documents() if name.startswith("runs/")]
    return [name for name in documents() if name not in runs[1:]]


every_page = pytest.mark.parametrize("document", chosen())


@every_page
def test_a_page_logs_no_error_and_loads_everything(browser, book, document):
    with browsing.visited(browser, f"{book}/{document}.html") as (page, wrong):
        assert browsing.unseen_pictures(page) == []
        assert wrong == []


@every_page
def test_a_page_can_be_read_on_a_phone(browser, book, document):
    with browsing.visited(browser, f"{book}/{document}.html", browsing.PHONE) as (page, _):
        assert browsing.unreadable(page) == []


@every_page
def test_a_page_can_be_read_in_the_dark(browser, book, document):
    with browsing.visited(browser, f"{book}/{document}.html", scheme="dark") as (page, _):
        assert page.get_attribute("html", "data-theme") == "dark"
        assert browsing.low_contrast(page) == []


def test_the_ledger_searches_filters_and_sorts(browser, book):
    with browsing.visited(browser, f"{book}/{LEDGER}.html") as (page, wrong):
        assert browsing.faults_of_ledger(page) == []
        assert wrong == []


# --- planted faults -----------------------------------------------------------------------------------------------------------------------

PAGE = """<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,"><style>body{margin:0;font:16px sans-serif}</style></head><body>%s</body></html>"""
PICTURE = "data:image/gif;base64,R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw=="


def planted(folder: Path, body: str) -> Path:
    (folder / "index.html").write_text(PAGE % body, encoding="utf-8")
    return folder


def test_a_sound_page_has_no_fault(browser, tmp_path):
    body = f'<p>Plain <a href="#x">text</a>.</p><img src="{PICTURE}" alt="a"><button style="height:30px;font-size:14px">turn</button>'
    with browsing.served(planted(tmp_path, body)) as at, browsing.visited(browser, f"{at}/index.html", browsing.PHONE) as (page, wrong):
        assert [wrong, browsing.unseen_pictures(page), browsing.unreadable(page), browsing.low_contrast(page)] == [[], [], [], []]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<script>console.error('no such cell')</script>", "console: no such cell"),
        ("<script>const a = 1</script><script>const a = 2</script>", "thrown: "),
        ("<script src='gone.js'></script>", "404: "),
        ("<img src='https://pictures.invalid/a.png' alt='a picture'>", "leaves the machine: "),
    ],
)
def test_a_page_that_logs_an_error_is_caught(browser, tmp_path, body, fault):
    with browsing.served(planted(tmp_path, body)) as at, browsing.visited(browser, f"{at}/index.html") as (page, wrong):
        browsing.unseen_pictures(page)
        assert any(line.startswith(fault) for line in wrong), wrong


def test_a_picture_that_is_not_drawn_is_caught(browser, tmp_path):
    (tmp_path / "half.png").write_bytes(b"\x89PNG\r\n\x1a\n half of a picture")
    body = f'<img src="{PICTURE}" alt="a"><img src="half.png" alt="b">'
    with browsing.served(planted(tmp_path, body)) as at, browsing.visited(browser, f"{at}/index.html") as (page, _):
        assert browsing.unseen_pictures(page) == ["half.png"]


@pytest.mark.parametrize(
    ("body", "fault"),
    [
        ("<p><code>" + "a_name_without_a_place_to_break" * 3 + "</code></p>", "px wide"),
        ("<div style='overflow:hidden'><table><tr>" + "<td>a_long_cell</td>" * 9 + "</tr></table></div>", "does not scroll: TABLE"),
        ("<p style='font-size:12px'>small</p>", "small text: p 12.0 px"),
        ("<button style='height:12px;padding:0'>turn</button>", "small target: button turn"),
    ],
)
def test_a_page_unfit_for_a_phone_is_caught(browser, tmp_path, body, fault):
    with browsing.served(planted(tmp_path, body)) as at, browsing.visited(browser, f"{at}/index.html", browsing.PHONE) as (page, _):
        assert fault in " ".join(browsing.unreadable(page))


def test_ink_on_ink_is_caught(browser, tmp_path):
    body = "<div style='background:#121212;color:#eee'>fine <span style='color:#1b3a2a'>reproduced</span></div>"
    with browsing.served(planted(tmp_path, body)) as at, browsing.visited(browser, f"{at}/index.html", scheme="dark") as (page, _):
        assert ["reproduced" in fault for fault in browsing.low_contrast(page)] == [True]


def a_ledger() -> str:
    """The ledger's own table on a hundred rows."""
    verdicts, sources = ("reproduced", "not run"), ("thesis", "faca2022")
    rows = [
        {"source": sources[i % 2], "id": f"row-{i}", "where": f"{sources[i % 2]}, Table 1"}
        | {
            "number": f"h{64 if i % 3 else 32}: ravdess, uar",
            "published": f"{(37 * i) % 101}.5 %",
            "ours": "",
            "ours, strict": "",
            "verdict": verdicts[i % 5 < 2],
            "why": "by the rule",
        }
        for i in range(100)
    ]
    return SearchableTable(rows, verdicts, sources)._repr_html_()


def test_a_sound_ledger_has_no_fault(browser, tmp_path):
    with browsing.served(planted(tmp_path, a_ledger())) as at, browsing.visited(browser, f"{at}/index.html") as (page, wrong):
        assert browsing.faults_of_ledger(page) == []
        assert wrong == []


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("return x-y;", "return 0;", "sort by published, ascending"),
        ("up=by===k0?-up:1", "up=1", "sort by verdict, descending"),
        ("terms.every(", "terms.some(", "search"),
        ("(!v||rows[i][at.verdict]===v)&&", "", "filter by verdict"),
        ("page++;draw()", "draw()", "next"),
        ("textContent=rows[i][at.id]", "textContent=rows[0][at.id]", "at first"),
    ],
)
def test_a_ledger_that_does_not_sort_or_filter_is_caught(browser, tmp_path, old, new, fault):
    sound = a_ledger()
    assert sound.count(old) == 1
    with browsing.served(planted(tmp_path, sound.replace(old, new))) as at, browsing.visited(browser, f"{at}/index.html") as (page, _):
        assert fault in " ".join(browsing.faults_of_ledger(page))
