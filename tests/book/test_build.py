"""`jupyter-book build book` by itself: runs what is stale, reuses what is not, and fails with a chapter that fails."""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CHAPTER = """\
# %% [markdown]
# # A toy chapter

# %% tags=["parameters"]
profile = "quick"  # quick | full

# %%
print("this build ran", 6 * 7)
"""
LEDGER = """\
def state():
    verdicts = {"reproduced": 1, "not run": 1}
    return {"total": 2, "judged": 1, "by_verdict": verdicts, "by_source": {"paper": verdicts}, "groups": []}
"""
REGISTER = """\
chapters:
  - {name: toy, title: A toy, seconds_quick: 5, hours_full: 0, quick: {profile: quick}, full: {profile: full}}
"""


@pytest.fixture(scope="module")
def tree(tmp_path_factory) -> Path:
    """A project with the real configuration, extension and runner, one small chapter and nothing to compute."""
    project, root = Path(__file__).resolve().parents[2], tmp_path_factory.mktemp("project")
    for name in ("_config.yml", "book/_ext", "book/_static", "book/references.bib", "notebooks/run.py"):
        source, target = project / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    texts = {
        "notebooks/toy.py": CHAPTER,
        "notebooks/register.yml": REGISTER,
        "sercore/__init__.py": "",
        "sercore/ledger.py": LEDGER,
        "book/_toc.yml": "format: jb-book\nroot: index\nchapters:\n  - file: chapters/toy\n",
        "book/index.md": "# Front\n\n```{include} _generated/state.md\n```\n",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def build(root: Path) -> subprocess.CompletedProcess:
    command = [str(Path(sys.executable).with_name("jupyter-book")), "build", "-q", "-W", "--keep-going", "book"]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SERCORE_")}
    return subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=300)


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
    assert second.returncode != 0
    assert "another build of this book is running" in second.stdout + second.stderr
