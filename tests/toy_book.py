"""A project small enough to build in seconds: the real configuration, extension and runner, one chapter, nothing to compute."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

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


def write_toy_book(root: Path) -> Path:
    """The project at `root`."""
    project = Path(__file__).resolve().parents[1]
    for name in ("_config.yml", "book/_ext", "book/_static", "book/references.bib", "notebooks/run.py"):
        source, target = project / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if source.is_dir() else shutil.copy)(source, target)
    texts = {
        "notebooks/toy.py": CHAPTER,
        "notebooks/register.yml": REGISTER,
        "sercore/__init__.py": "",
        "sercore/ledger.py": LEDGER,
        "sercore/publication.py": "def behind_by_chapter():\n    return {}\n",
        "book/_toc.yml": "format: jb-book\nroot: index\nchapters:\n  - file: chapters/toy\n",
        "book/index.md": "# Front\n\n```{include} _generated/state.md\n```\n",
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def build_command() -> list[str]:
    """`jupyter-book build book`, of the environment that runs the tests."""
    return [str(Path(sys.executable).with_name("jupyter-book")), "build", "-q", "-W", "--keep-going", "book"]


def plain_environment() -> dict[str, str]:
    """The environment without what would send a build elsewhere."""
    return {key: value for key, value in os.environ.items() if not key.startswith("SERCORE_")}


def build(root: Path) -> subprocess.CompletedProcess:
    """One build to its end."""
    return subprocess.run(build_command(), cwd=root, env=plain_environment(), capture_output=True, text=True, timeout=300)


def start_build(root: Path) -> subprocess.Popen:
    """One build, to be killed."""
    return subprocess.Popen(build_command(), cwd=root, env=plain_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
