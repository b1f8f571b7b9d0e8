"""The runner: wrong parameters are refused before anything runs, a failed chapter leaves no half output."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from notebooks import run

TOY = """\
# %% [markdown]
# # A toy chapter

# %% tags=["parameters"]
corpora = "synthetic"  # names, separated by commas
profile = "quick"      # quick | full
seeds = 2              # runs a fold
share = 0.5            # fraction of the items
shuffle = False        # before training

# %%
from pathlib import Path

Path("{witness}").touch()
print(corpora, profile, seeds, share, shuffle, Path.cwd().name)
1 / (seeds - 3)
"""


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    """A chapter that leaves a file `witness` when it runs, and divides by zero with three seeds."""
    path = tmp_path / "toy.py"
    path.write_text(TOY.replace("{witness}", str(tmp_path / "witness")))
    return path


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["-p", "sedes", "2"], r"no parameter 'sedes' \(did you mean seeds\?\); it has: corpora, profile, seeds, share, shuffle"),
        (["-p", "seeds", "two"], r"seeds is a whole number \(default 2\), got 'two'"),
        (["-p", "seeds", "2.5"], "seeds is a whole number"),
        (["-p", "seeds", "True"], "seeds is a whole number"),
        (["-p", "share", "half"], "share is a number"),
        (["-p", "shuffle", "1"], "shuffle is True or False"),
        (["-p", "profile", "qick"], "profile is one of quick, full; got 'qick'"),
    ],
)
def test_a_misspelt_or_wrongly_typed_parameter_is_caught(toy, capsys, given, says):
    output = toy.with_name("out.ipynb")
    assert run.main([str(toy), *given, "-o", str(output)]) == 1
    error = capsys.readouterr().err
    assert len(error.splitlines()) == 1
    assert re.search(says, error)
    assert not toy.with_name("witness").exists(), "a cell ran although the parameters were refused"
    assert not output.exists()


def test_values_are_read_as_the_type_of_the_default(toy):
    declared = run.declared_parameters(run.read_notebook(toy), "toy")
    assert declared["share"].parse("1", "toy") == 1
    assert declared["corpora"].parse("12", "toy") == "12"
    assert declared["shuffle"].parse("true", "toy") is True
    assert declared["seeds"].meaning == "runs a fold"
    assert declared["profile"].choices == ("quick", "full")
    assert declared["corpora"].choices == ()


def test_a_finished_chapter_is_moved_into_place_and_says_nothing_of_the_machine(toy, capsys):
    output = toy.with_name("out.ipynb")
    assert run.main([str(toy), "-p", "seeds", "4", "-o", str(output)]) == 0
    notebook = nbformat.read(output, as_version=4)
    printed = "".join(out.text for cell in notebook.cells for out in cell.get("outputs", []) if out.output_type == "stream")
    assert printed == f"synthetic quick 4 0.5 False {run.ROOT.name}\n"
    assert notebook.metadata.papermill.input_path == "notebooks/toy.py"
    assert sorted(p.name for p in toy.parent.iterdir()) == ["out.ipynb", "toy.py", "witness"]


def test_a_failed_chapter_that_leaves_half_output_is_caught(toy, capsys):
    output = toy.with_name("out.ipynb")
    output.write_text("the last good one")
    assert run.main([str(toy), "-p", "seeds", "3", "-o", str(output)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "ZeroDivisionError: division by zero" in line
    assert "out.failed.ipynb" in line
    assert output.read_text() == "the last good one"
    assert sorted(p.name for p in toy.parent.iterdir()) == ["out.failed.ipynb", "out.ipynb", "toy.py", "witness"]


def test_a_full_disk_is_one_line_and_keeps_the_last_good_notebook(toy, capsys, monkeypatch):
    import errno

    import papermill

    def full(*args, **kwargs):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(args[1]))

    monkeypatch.setattr(papermill, "execute_notebook", full)
    output = toy.with_name("out.ipynb")
    output.write_text("the last good one")
    assert run.main([str(toy), "-o", str(output)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "No space left on device" in line
    assert "free some space" in line
    assert output.read_text() == "the last good one"
    assert sorted(p.name for p in toy.parent.iterdir()) == ["out.ipynb", "toy.py"]


def test_a_chapter_that_is_not_there_is_named(capsys):
    assert run.main(["no_such_chapter"]) == 1
    assert "no chapter no_such_chapter" in capsys.readouterr().err


def test_a_parameters_cell_with_more_than_scalars_is_refused(tmp_path):
    path = tmp_path / "bad.py"
    path.write_text('# %% tags=["parameters"]\nseeds = list(range(3))  # runs\n')
    with pytest.raises(run.ChapterError, match="line 1 of the parameters cell"):
        run.declared_parameters(run.read_notebook(path), "bad")


def papermill(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    """papermill's own command, where `notebooks/toy.py` lies under the current folder."""
    command = [str(Path(sys.executable).with_name("papermill")), "notebooks/toy.py", str(folder / "out.ipynb"), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(run.ROOT)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)


@pytest.fixture
def toy_folder(toy) -> Path:
    (toy.parent / "notebooks").mkdir()
    toy.rename(toy.parent / "notebooks" / "toy.py")
    return toy.parent


def test_papermill_reads_a_chapter_and_passes_parameters(toy_folder):
    done = papermill(toy_folder, "-p", "seeds", "5")
    assert done.returncode == 0, done.stderr[-500:]
    assert "synthetic quick 5" in (toy_folder / "out.ipynb").read_text()


@pytest.mark.parametrize(
    ("given", "says"), [(("-p", "sedes", "2"), "no parameter 'sedes'"), (("-r", "seeds", "2"), "seeds is a whole number")]
)
def test_papermill_with_a_wrong_parameter_is_caught(toy_folder, given, says):
    done = papermill(toy_folder, *given)
    assert done.returncode == 1
    assert says in done.stderr
    assert not (toy_folder / "witness").exists()
    assert not (toy_folder / "out.ipynb").exists()


def test_a_wrong_parameter_from_papermills_python_interface_is_caught(toy_folder, monkeypatch):
    import papermill as pm

    monkeypatch.chdir(toy_folder)
    with pytest.raises(pm.exceptions.PapermillExecutionError, match="no parameter 'sedes'"):
        pm.execute_notebook("notebooks/toy.py", "out.ipynb", parameters={"sedes": 2}, progress_bar=False)
    assert not (toy_folder / "witness").exists()
