"""What git knows of this tree; empty answers outside git, so that a downloaded archive builds too."""

from __future__ import annotations

import subprocess
from pathlib import Path


def _ask(root: Path, *arguments: str) -> str:
    try:
        return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def revision(root: Path) -> str:
    """Commit of the package and the notebooks, with a word where they were changed since; empty outside git."""
    commit = _ask(root, "rev-parse", "HEAD")
    changed = _ask(root, "status", "--porcelain", "--", "sercore", "notebooks")
    return f"{commit[:7]}{' with uncommitted changes' if changed else ''}" if commit else ""


def last_change(root: Path, path: str) -> tuple[str, str]:
    """Commit and day of the last change of a file: `("", "")` outside git or where it is not committed."""
    commit, _, day = _ask(root, "log", "-1", "--format=%H %cs", "--", path).partition(" ")
    return commit[:7], day


def commit_link(commit: str, repository: str) -> str:
    """A commit as Markdown: a link where the address of the repository is configured, else the bare name."""
    return f"[{commit[:7]}]({repository.rstrip('/')}/commit/{commit})" if repository and commit else commit[:7]
