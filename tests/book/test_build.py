"""`jupyter-book build book` by itself: runs what is stale, reuses what is not, and fails with a chapter that fails."""

import fcntl
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toy_book import CHAPTER, build, start_build, write_toy_book


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    return write_toy_book(tmp_path_factory.mktemp("project"))


def test_a_build_runs_what_is_stale_and_reuses_what_is_not(tree):
    first = build(tree)
    assert first.returncode == 0, first.stdout[-2000:] + first.stderr[-2000:]
    assert "1 to run: toy" in first.stdout
    assert "this build ran 42" in (tree / "_build/html/chapters/toy.html").read_text()
    assert "1 of 2 published numbers judged" in (tree / "_build/html/index.html").read_text()
    again = build(tree)
    assert again.returncode == 0
    assert "1 up to date, 0 to run" in again.stdout


def test_a_failing_chapter_that_is_published_is_caught(tree):
    page = tree / "_build/html/chapters/toy.html"
    before = page.read_text() if page.exists() else ""
    notebook = tree / "notebooks/toy.py"
    notebook.write_text(CHAPTER + "\nraise LookupError('no such row')\n")
    failed = build(tree)
    notebook.write_text(CHAPTER)
    assert failed.returncode != 0
    assert "toy: code cell 3: LookupError: no such row" in failed.stdout + failed.stderr
    assert (page.read_text() if page.exists() else "") == before
    assert list((tree / "store/cache/chapters").glob("toy-*.failed.ipynb"))


def test_a_second_build_at_once_is_caught(tree):
    lock = tree / "store/cache/book.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        second = build(tree)
    assert second.returncode == 1
    (line,) = second.stderr.splitlines()
    assert "another build of this book is running" in line
    assert "book.lock" in line
    assert "wait for it to end" in line


def killed_when(process: subprocess.Popen, there: Callable[[], bool]) -> None:
    """`kill -9`, and no sooner."""
    until = time.monotonic() + 120
    while not there():
        assert process.poll() is None, "the build ended before it could be killed"
        assert time.monotonic() < until
        time.sleep(0.02)
    process.kill()
    process.wait()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def halves(root: Path) -> list[Path]:
    """Files that a writer moves into place when they are whole."""
    return [p for p in root.rglob("*") if p.suffix == ".part" or ".part." in p.name or p.name == ".unfinished"]


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks at processes under /proc")
def test_a_build_killed_while_a_chapter_runs_leaves_nothing_behind(tree):
    """The chapter, left alone, would hold its locks for a minute; it ends with the build, and the next build goes through."""
    page = tree / "_build/html/chapters/toy.html"
    before = page.read_text() if page.exists() else ""
    notebook, witness = tree / "notebooks/toy.py", tree / "kernel.pid"
    sleep = f"\nimport os, time\nopen({str(witness)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    notebook.write_text(CHAPTER + sleep)
    killed_when(start_build(tree), lambda: witness.exists() and witness.read_text() != "")
    kernel, until = int(witness.read_text()), time.monotonic() + 20
    while alive(kernel) and time.monotonic() < until:
        time.sleep(0.1)
    assert not alive(kernel), "the chapter goes on without its build"
    assert (page.read_text() if page.exists() else "") == before
    notebook.write_text(CHAPTER)
    again = build(tree)
    assert again.returncode == 0, again.stdout[-2000:] + again.stderr[-2000:]
    assert "this build ran 42" in page.read_text()
    assert halves(tree / "_build") + halves(tree / "book") + halves(tree / "store") == []


def test_a_build_killed_while_it_writes_pages_leaves_no_half_page(tree):
    """Sphinx alone would keep a half-written page, because it is newer than its source."""
    assert build(tree).returncode == 0
    page, marker = tree / "_build/html/index.html", tree / "_build/html/.unfinished"
    whole = page.read_text()
    assert not marker.exists()
    killed_when(start_build(tree), marker.exists)
    page.write_text(whole[: len(whole) // 2])
    again = build(tree)
    assert again.returncode == 0, again.stdout[-2000:] + again.stderr[-2000:]
    assert page.read_text() == whole
    assert halves(tree / "_build") == []


def test_a_half_page_that_is_kept_is_caught(tree):
    """The fault that the marker is there for: without it the next build publishes half a page."""
    assert build(tree).returncode == 0
    page = tree / "_build/html/index.html"
    whole = page.read_text()
    page.write_text(whole[: len(whole) // 2])
    assert build(tree).returncode == 0
    assert page.read_text() != whole
    (tree / "_build/html/.unfinished").touch()
    assert build(tree).returncode == 0
    assert page.read_text() == whole
