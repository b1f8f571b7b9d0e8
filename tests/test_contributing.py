"""The worked examples of CONTRIBUTING.md, carried out in a copy of the project and tried by the commands that stand beside them."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from tests.book.pages import faults_of_chapter
from tests.contributing import carry_out, commands, insert, sections

PROJECT = Path(__file__).resolve().parents[1]
SECTIONS = sections((PROJECT / "CONTRIBUTING.md").read_text(encoding="utf-8"))
EXAMPLES = ["Add a corpus", "Add a network", "Add a chapter"]
LEFT_OUT = (".*", "_build", "build", "store", "chapters", "_generated", "__pycache__", "*.egg-info", "*.ipynb")


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    """The project with all three examples in it."""
    root = tmp_path_factory.mktemp("copy") / "project"
    shutil.copytree(PROJECT, root, ignore=shutil.ignore_patterns(*LEFT_OUT))
    for name in EXAMPLES:
        carry_out(SECTIONS[name], root)
    return root


def tried(command: str, root: Path) -> subprocess.CompletedProcess:
    """A documented command, with this interpreter, on the copy."""
    words = shlex.split(command)
    words[:1] = {"python": [sys.executable], "sercore": [sys.executable, "-m", "sercore"]}[words[0]]
    environment = {**os.environ, "PYTHONPATH": str(root), "SERCORE_STORE": str(root / "store"), "PYTEST_ADDOPTS": ""}
    return subprocess.run(words, cwd=root, env=environment, capture_output=True, text=True, timeout=1200)


@pytest.mark.parametrize(
    ("section", "shows"),
    [("Add a corpus", "office"), ("Add a network", "gru_mean_h32"), ("Add a chapter", "women_and_men: done")],
)
def test_the_example_works_as_it_is_written(copy, section, shows):
    said = ""
    for command in commands(SECTIONS[section]):
        done = tried(command, copy)
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        said += done.stdout
    assert shows in said


def test_the_page_of_the_example_has_what_every_page_has(copy):
    """A table, a figure with a text and a verdict: what the gate looks for on the built page, here in the executed notebook."""
    if not (executed := copy / "women_and_men.ipynb").is_file():
        assert tried(commands(SECTIONS["Add a chapter"])[0], copy).returncode == 0
    data = [out.get("data", {}) for cell in nbformat.read(executed, as_version=4).cells for out in cell.get("outputs", [])]
    shown = "".join(f'<div class="cell_output">{one.get("text/html") or one.get("text/markdown", "")}</div>' for one in data)
    assert faults_of_chapter(BeautifulSoup(shown, "html.parser")) == []


def test_the_grid_of_the_example_is_asked_for_plain_rows_only(copy):
    code = """
from sercore.grids import PROMISED, chapter_specs
names = {spec.model.name for spec in chapter_specs("plain_rows", ["synthetic"], "quick")}
assert names == {"majority_class", "functionals_svm"} and "plain_rows" in PROMISED, names
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_the_examples_keep_the_style(copy):
    ruff = shutil.which("ruff", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if ruff is None:
        pytest.skip("ruff is not installed: make check installs it")
    new = ["sercore/data/readers/office.py", "sercore/models/gru_mean.py", "tests/unit/test_office.py", "tests/unit/test_gru_mean.py"]
    changed = ["sercore/data/corpora.py", "sercore/models/__init__.py"]
    tries = [["check", *new, "notebooks/women_and_men.py"], ["format", "--check", *new], ["check", "--select", "I", *changed]]
    for words in tries:
        done = subprocess.run([ruff, *words, "--no-cache"], cwd=copy, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_a_change_is_carried_out_where_its_lines_stand():
    text = "from a import b, c\nX: dict[str, C[..., D]] = {\n    1,\n}\n"
    assert insert(text, "-from a import ...c\n+from a import ...bb, c\n").splitlines()[0] == "from a import b, bb, c"
    assert insert(text, "+\n X: dict[str, C[..., D]] = {\n+    0,\n").splitlines()[1:4] == ["", "X: dict[str, C[..., D]] = {", "    0,"]


def test_an_example_that_no_longer_fits_the_code_is_caught(copy):
    with pytest.raises(ValueError, match="sercore/grids.py has 0 times the lines"):
        insert((copy / "sercore/grids.py").read_text(), ' GRIDS = {\n+    "new": new,\n', "sercore/grids.py")
    with pytest.raises(ValueError, match="called new and is there already"):
        carry_out(SECTIONS["Add a corpus"], copy)


def test_an_example_that_does_not_work_is_caught(copy):
    """The card of the corpus gives a code another label than the counts have."""
    card = copy / "sercore/data/cards/office.yml"
    before = card.read_text()
    card.write_text(before.replace("happy: happiness", "happy: sadness"))
    done = tried("sercore corpora list", copy)
    card.write_text(before)
    assert done.returncode == 1
    assert "office.yml: card" in done.stderr
    assert "label_map" in done.stderr
