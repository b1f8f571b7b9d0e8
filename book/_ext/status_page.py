"""The generated part of the status page: when each chapter ran, on what and for how long; versions; and the stored full runs beside."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from git_facts import commit_link, revision
from pieces import table, write_if_changed
from run_pages import live_groups, stored_groups

#: What computes, draws or builds a page.
LIBRARIES = (
    "torch", "torchaudio", "numpy", "scipy", "pandas", "scikit-learn", "librosa", "optuna", "matplotlib", "jupyter-book", "sphinx",
)  # fmt: skip


def installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def machine() -> str:
    """System, processor kind and number of cores; no name of the machine."""
    return f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"


def annotate(notebook: Path, root: Path) -> None:
    """Write into a freshly executed notebook what papermill does not: revision of the code, versions, machine."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["metadata"]["sercore"] = {
        "revision": revision(root),
        "python": platform.python_version(),
        "libraries": {library: installed(library) for library in LIBRARIES},
        "machine": machine(),
    }
    beside = notebook.with_suffix(".part")
    beside.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    beside.replace(notebook)


@dataclass(frozen=True)
class Ran:
    """One executed chapter as the page shows it."""

    name: str
    title: str
    seconds: float
    budget_s: int
    ended: str
    corpora: str
    revision: str
    python: str
    torch: str
    machine: str
    devices: str
    fresh: bool


def chapters_run(root: Path, chapters: Iterable[Any], stale: Collection[str]) -> list[Ran]:
    """Every chapter of the register, from its executed notebook.

    Raises:
        FileNotFoundError: a chapter of the register has no executed notebook.
    """
    rows = []
    for chapter in chapters:
        path = root / f"book/chapters/{chapter.name}.ipynb"
        metadata = json.loads(path.read_text(encoding="utf-8"))["metadata"]
        made, noted = metadata["papermill"], metadata.get("sercore", {})
        groups = [group for by_group in live_groups([path]).values() for group in by_group.values()]
        devices = sorted({str(run.get("device")) for group in groups for run in group["runs"]})
        rows.append(
            Ran(
                chapter.name, chapter.title, float(made["duration"]), chapter.seconds_quick, made["end_time"][:16].replace("T", " "),
                made["parameters"].get("corpora", ""), noted.get("revision", ""), noted.get("python", ""),
                noted.get("libraries", {}).get("torch", ""), noted.get("machine", ""), ", ".join(devices), chapter.name in stale,
            )
        )  # fmt: skip
    return rows


def build_section(rows: Sequence[Ran], profile: str) -> str:
    """When and how each chapter ran."""
    head = ["chapter", "seconds (budget)", "ran at (UTC)", "corpora", "device of its runs", "code revision", "state"]
    budget = profile == "quick"
    lines = [
        [
            f"[{row.title}](chapters/{row.name})",
            f"{row.seconds:.0f}" + (f" ({row.budget_s})" if budget else ""),
            row.ended,
            row.corpora or "none",
            row.devices or "none trained",
            row.revision or "not recorded",
            "ran in this build" if row.fresh else "kept: nothing it depends on has changed",
        ]
        for row in rows
    ]
    seconds = sum(row.seconds for row in rows)
    return f"Profile **{profile}**; {len(rows)} chapters, {seconds:.0f} s in all.\n\n" + table(head, lines)


def versions_section(rows: Sequence[Ran]) -> str:
    """What is installed now, and chapters that were made with other versions."""
    names = " | ".join(LIBRARIES)
    now = " | ".join(installed(library) for library in LIBRARIES)
    lines = [["python", platform.python_version()], *zip(names.split(" | "), now.split(" | "), strict=True), ["machine", machine()]]
    current = (platform.python_version(), installed("torch"), machine())
    other = [row for row in rows if row.machine and (row.python, row.torch, row.machine) != current]
    text = "; ".join(f"{row.title}: python {row.python}, torch {row.torch}, {row.machine}" for row in other)
    return table(["what", "version"], lines) + (f"\n\nChapters made with others: {text}." if other else "")


def stored_section(root: Path, titles: Mapping[str, str], behind: Mapping[str, int], repository: str) -> str:
    """The full runs that lie in the repository, one line a chapter."""
    rows = []
    for folder in sorted(p.parent for p in (root / "book" / "results").glob("*/groups.csv")):
        groups = stored_groups(folder)
        runs = [run for group in groups.values() for run in group["runs"]]
        if not runs:
            continue
        ended = sorted(run["finished_at"][:16] for run in runs if run["finished_at"])
        commits = sorted({run["code_commit"] for run in runs if run["code_commit"]})
        versions = sorted({f"python {run['python']}, torch {run['torch']}" for run in runs})
        old = behind.get(folder.name, 0)
        rows.append(
            [
                f"[{titles.get(folder.name, folder.name)}](runs/{folder.name}.md)",
                f"{len(groups)}, {len(runs)}",
                f"{sum(float(run['seconds'] or 0) for run in runs) / 3600:.1f}",
                f"{ended[0]} to {ended[-1]}" if ended else "",
                ", ".join(sorted({run["device"] for run in runs})),
                "; ".join(versions),
                ", ".join(commit_link(commit, repository) for commit in commits),
                f"{old} by code that behaves otherwise: stale" if old else "current",
            ]
        )
    if not rows:
        return "No full run is stored yet."
    head = ["chapter", "groups, runs", "hours", "finished (UTC)", "device", "versions", "code revisions", "state"]
    return table(head, rows)


def write_status(
    root: Path, chapters: Iterable[Any], stale: Collection[str], profile: str, behind: Mapping[str, int], repository: str = ""
) -> None:
    """Write book/_generated/status.md.

    Args:
        root: of the project.
        chapters: of the register, in its order.
        stale: names of those that this build ran.
        profile: quick or full.
        behind: chapter -> stored runs whose name would be another one with the code as it is now.
        repository: address for links to commits; empty makes none.
    """
    chapters = list(chapters)
    rows = chapters_run(root, chapters, stale)
    titles = {chapter.name: chapter.title for chapter in chapters}
    text = "\n\n".join(
        [
            "## Chapters of this build",
            build_section(rows, profile),
            "## Stored full runs",
            stored_section(root, titles, behind, repository),
            "*Current*: with the code as it is now the run would have the same name, so it would be found and not repeated. The name is a "
            "hash of the specification, the recordings and the revision numbers of the code that it uses.",
            "## Versions",
            versions_section(rows),
            "",
        ]
    )
    write_if_changed(root / "book" / "_generated" / "status.md", text)
