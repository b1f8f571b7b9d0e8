"""nbval runs the executed chapters again, from the stored runs, and compares every output: a page's numbers are given twice or not at all.

Figures and sounds are compared by their presence, progress bars not at all; times and what was found in the store differ from run to run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from notebooks import run

PROJECT = Path(__file__).resolve().parents[2]
EXECUTED = PROJECT / "book" / "chapters"
SANITISE = PROJECT / "tests" / "book" / "nbval.cfg"


def again(*notebooks: Path) -> subprocess.CompletedProcess:
    """nbval on executed notebooks, in a process of its own; a chapter's store is the project's, wherever the notebook lies."""
    plugins = ["-p", "no:cacheprovider", "-p", "tests.book.nbval_progress"]
    command = [sys.executable, "-m", "pytest", "-q", *plugins, "--nbval", "--nbval-current-env"]
    store = os.environ.get("SERCORE_STORE") or PROJECT / "store"
    environment = {**os.environ, "SERCORE_STORE": str(Path(store).resolve()), "PYTHONPATH": str(PROJECT), "PYTHONWARNINGS": "ignore"}
    arguments = ["--nbval-cell-timeout", "600", "--nbval-sanitize-with", str(SANITISE), f"--rootdir={PROJECT}", *map(str, notebooks)]
    return subprocess.run([*command, *arguments], cwd=PROJECT, env=environment, capture_output=True, text=True, timeout=1200)


def outcome(done: subprocess.CompletedProcess) -> str:
    """What nbval said, without colours."""
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)[-6000:]


@pytest.mark.slow
@pytest.mark.parametrize("chapter", list(run.register()))
def test_a_chapter_gives_its_outputs_again(chapter):
    notebook = EXECUTED / f"{chapter}.ipynb"
    if not notebook.is_file():
        pytest.skip("no executed chapters in book/chapters: run `make book` first, then `make gate`")
    done = again(notebook)
    assert done.returncode == 0, outcome(done)


def a_notebook(path: Path, *cells: tuple[str, str]) -> Path:
    """Cells with the output that they are said to have given."""
    made = []
    for number, (source, said) in enumerate(cells, 1):
        cell = nbformat.v4.new_code_cell(source, execution_count=number)
        cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=said)] if said else []
        made.append(cell)
    nbformat.write(nbformat.v4.new_notebook(cells=made), path)
    return path


def test_an_altered_output_and_a_cell_that_crashes_are_caught(tmp_path):
    told = ("print('4 runs: 0 found in the store, 4 run now; 7 s')", "4 runs: 4 found in the store, 0 run now; 0 s\n")
    bar = "import sys; print('half of it', file=sys.stderr)"
    sound = a_notebook(tmp_path / "sound.ipynb", ("print('UAR', 45.8)", "UAR 45.8\n"), told, (bar, ""))
    edited = a_notebook(tmp_path / "edited.ipynb", ("print('UAR', 45.8)", "UAR 54.8\n"))
    crashed = a_notebook(tmp_path / "crashed.ipynb", ("raise LookupError('no such row')", ""))
    done = again(sound, edited, crashed)
    assert done.returncode == 1
    for part in ("UAR 54.8", "LookupError: no such row", "2 failed, 3 passed"):
        assert part in outcome(done)
