"""An executed chapter is reused only while everything that its page depends on is unchanged."""

from pathlib import Path

import pytest
from freshness import chapter_key, imported_modules, sources_of

TREE = {
    "notebooks/a.py": "from sercore import sweep\n",
    "sercore/__init__.py": "",
    "sercore/sweep.py": "def go():\n    from sercore.data import corpora\n",
    "sercore/data/__init__.py": "",
    "sercore/data/corpora.py": "from . import items\n",
    "sercore/data/items.py": "import numpy\n",
    "sercore/data/cards/toy.yml": "files: 3\n",
    "sercore/unused.py": "",
    "book/results/a/counts.csv": "1\n",
    "book/results/b/counts.csv": "1\n",
    "book/claims/claims.csv": "1\n",
    "corpora/toy/one.wav": "RIFF",
    "corpora/other/one.wav": "RIFF",
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name, content in TREE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(content)
    return tmp_path


def key_of(tree: Path, **changes) -> str:
    arguments = {"parameters": {"corpora": "toy", "seeds": 2}, "shows": ["a"], "corpora_folder": tree / "corpora"} | changes
    return chapter_key(tree / "notebooks/a.py", root=tree, **arguments)


def test_sources_are_followed_through_imports_in_functions_and_relative_ones(tree):
    names = [path.relative_to(tree).as_posix() for path in sources_of("from sercore import sweep", tree)]
    assert names == [
        "sercore/__init__.py",
        "sercore/data/__init__.py",
        "sercore/data/cards/toy.yml",
        "sercore/data/corpora.py",
        "sercore/data/items.py",
        "sercore/sweep.py",
    ]


def test_relative_imports_are_resolved_from_modules_and_packages():
    assert "sercore.data.items" in imported_modules("from . import items", "sercore.data.corpora")
    assert "sercore.data.items" in imported_modules("from . import items", "sercore.data", is_package=True)
    assert "sercore.spec.RunSpec" in imported_modules("from ..spec import RunSpec", "sercore.data.corpora")


@pytest.mark.parametrize(
    "changed",
    ["notebooks/a.py", "sercore/data/items.py", "sercore/data/cards/toy.yml", "book/results/a/counts.csv", "book/claims/claims.csv",
     "corpora/toy/one.wav"],
)  # fmt: skip
def test_a_stale_chapter_is_caught(tree, changed):
    before = key_of(tree)
    with (tree / changed).open("a") as file:
        file.write("# 2\n")
    assert key_of(tree) != before


@pytest.mark.parametrize("changed", ["sercore/unused.py", "book/results/b/counts.csv", "corpora/other/one.wav"])
def test_what_a_chapter_does_not_use_leaves_it_fresh(tree, changed):
    before = key_of(tree)
    with (tree / changed).open("a") as file:
        file.write("# 2\n")
    assert key_of(tree) == before


def test_parameters_and_shown_folders_count(tree):
    keys = {key_of(tree), key_of(tree, parameters={"corpora": "toy", "seeds": 3}), key_of(tree, shows=["*"]), key_of(tree, shows=[])}
    assert len(keys) == 4
