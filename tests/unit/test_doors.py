"""Who may import whom: the contracts of pyproject.toml hold, and a planted two-way import breaks them."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def broken_contracts(root: Path) -> subprocess.CompletedProcess:
    """import-linter on the package below `root`, with the project's contracts."""
    code = "import sys; sys.path.insert(0, '.'); from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"
    return subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def copy(tmp_path_factory) -> Path:
    project, root = Path(__file__).resolve().parents[2], tmp_path_factory.mktemp("copy")
    shutil.copy(project / "pyproject.toml", root)
    shutil.copytree(project / "sercore", root / "sercore", ignore=shutil.ignore_patterns("__pycache__"))
    return root


def test_the_package_keeps_its_doors(project):
    done = broken_contracts(project)
    assert done.returncode == 0, done.stdout[-3000:]


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("metrics.py", "from sercore import store", "Nothing flows back"),  # store -> spec, ledger -> metrics: two ways round
        ("data/overlaps.py", "from sercore.data import audit", "No two modules import each other"),
        ("data/items.py", "import torch", "need no torch"),
        ("models/__init__.py", "from sercore import train", "Nothing flows back"),
        ("spec.py", "import papermill", "No notebook tool"),
    ],
)
def test_a_two_way_or_upward_import_is_caught(copy, file, line, contract):
    source = copy / "sercore" / file
    before = source.read_text()
    source.write_text(f"{before}\n\ndef planted():\n    {line}\n")
    done = broken_contracts(copy)
    source.write_text(before)
    assert done.returncode != 0
    broken = [text for text in done.stdout.splitlines() if text.endswith("BROKEN")]
    assert any(contract in text for text in broken), done.stdout[-2000:]


def test_a_module_without_a_line_of_its_own_is_caught(copy):
    (copy / "sercore" / "helpers.py").write_text('"""Planted."""\n')
    done = broken_contracts(copy)
    (copy / "sercore" / "helpers.py").unlink()
    assert done.returncode != 0
    assert "- sercore.helpers" in done.stdout
