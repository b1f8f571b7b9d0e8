"""The register, the notebooks and the table of contents name the same chapters; notebooks keep to their form."""

import ast
import re
import subprocess

import pytest
import yaml

from notebooks import run

CHAPTERS = run.register()
MOST_CELLS, MOST_LINES = 12, 15


def code_cells(chapter):
    return [cell.source for cell in run.read_notebook(chapter.notebook).cells if cell.cell_type == "code"]


def definitions(source: str) -> list[str]:
    """Names of functions and classes defined in a cell, lambdas bound to a name included."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    named = [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)]
    return named + ["lambda" for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Lambda)]


def test_register_and_notebooks_are_one_to_one(project):
    files = {path.stem for path in (project / "notebooks").glob("*.py")} - set(run.TOOLS)
    assert files == set(CHAPTERS)


def test_register_and_table_of_contents_are_one_to_one(project):
    contents = yaml.safe_load((project / "book" / "_toc.yml").read_text())
    pages = [entry["file"] for part in contents["parts"] for entry in part["chapters"]]
    listed = [page.removeprefix("chapters/") for page in pages if page.startswith("chapters/")]
    assert listed == list(CHAPTERS)


def test_quick_budgets_fit_the_build():
    assert sum(chapter.seconds_quick for chapter in CHAPTERS.values()) <= 300


@pytest.mark.parametrize("profile", run.PROFILES)
@pytest.mark.parametrize("chapter", CHAPTERS.values(), ids=list(CHAPTERS))
def test_registered_parameters_are_the_chapters_own(chapter, profile):
    declared = run.declared_parameters(run.read_notebook(chapter.notebook), chapter.name)
    run.validate(chapter.parameters[profile], declared, chapter.name)
    assert all(parameter.meaning for parameter in declared.values()), "each parameter has a comment with meaning and unit"
    assert set(chapter.after) <= set(CHAPTERS)
    assert not chapter.corpora or {"corpora", "corpora_root"} <= set(declared)


@pytest.mark.parametrize("chapter", CHAPTERS.values(), ids=list(CHAPTERS))
def test_registered_title_is_the_pages(chapter):
    first = next(cell.source for cell in run.read_notebook(chapter.notebook).cells if cell.cell_type == "markdown")
    assert f"# {chapter.title}" in first.splitlines()


@pytest.mark.parametrize("chapter", CHAPTERS.values(), ids=list(CHAPTERS))
def test_a_chapter_is_short_and_defines_nothing(chapter):
    cells = code_cells(chapter)
    assert len(cells) <= MOST_CELLS
    assert max(len(cell.splitlines()) for cell in cells) <= MOST_LINES
    assert [name for cell in cells for name in definitions(cell)] == []


def test_a_definition_in_a_notebook_is_caught():
    assert definitions("x = 1\ndef mean(x):\n    return x\n") == ["mean"]
    assert definitions("mean = lambda x: x") == ["lambda"]


@pytest.mark.parametrize("chapter", CHAPTERS.values(), ids=list(CHAPTERS))
def test_a_chapter_imports_the_package_and_no_other_notebook(chapter):
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for cell in code_cells(chapter)
        for node in ast.walk(ast.parse(cell))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    assert imported <= {"sercore", "pandas", "IPython", "myst_nb", "pathlib"}


def committed_outputs(folder) -> list[str]:
    """What is in git and was made by running: notebooks with outputs, executed pages, pictures or data inside a chapter's text."""
    listed = subprocess.run(["git", "ls-files"], cwd=folder, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: what is committed cannot be listed")
    names = listed.stdout.splitlines()
    made = [
        name for name in names if name.endswith(".ipynb") or name.startswith(("_build/", "book/chapters/", "book/_generated/", "store/"))
    ]
    texts = [name for name in names if name.startswith("notebooks/") and name.endswith(".py")]
    return made + [name for name in texts if re.search(r"base64,|image/png|\"output_type\"", (folder / name).read_text(encoding="utf-8"))]


def test_no_output_is_in_git(project):
    assert committed_outputs(project) == []


def test_a_committed_notebook_output_is_caught(tmp_path):
    files = {"notebooks/a.py": "# %%\nprint(1)\n", "notebooks/b.py": "# ![](data:image/png;base64,iVBO)\n", "a.ipynb": "{}"}
    for name, text in {**files, "book/chapters/a.html": "x"}.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    for command in (["init", "-q"], ["add", "-f", "."]):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    assert committed_outputs(tmp_path) == ["a.ipynb", "book/chapters/a.html", "notebooks/b.py"]


def test_real_corpora_replace_the_synthetic_one_without_a_path_in_the_parameters(tmp_path, monkeypatch):
    (tmp_path / "ravdess").mkdir()
    chapter = CHAPTERS["reslstm_sa"]
    monkeypatch.setenv("SERCORE_CORPORA", str(tmp_path))
    parameters = chapter.parameters_for("quick")
    assert parameters["corpora"] == "ravdess"
    assert str(tmp_path) not in str(parameters)
    monkeypatch.delenv("SERCORE_CORPORA")
    assert chapter.parameters_for("quick")["corpora"] == "synthetic"
