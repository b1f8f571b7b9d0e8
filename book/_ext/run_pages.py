"""Generated pages `runs/<chapter>` and `runs/inputs`: every group of runs and every file that a figure or a table was made from.

Stored groups come from `book/results`, those of this build from the executed notebooks, where each output carries its origin
(`sercore.provenance`). The links below figures lead here, so a group that is on no page here is a broken link there.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml
from git_facts import commit_link, last_change
from pieces import table, write_if_changed

MIME = "application/vnd.sercore.origin+json"  # as in sercore.provenance, which the toy books of the tests do not have
#: Columns of a run that are listed when they differ within a group, and said once when they do not.
RUN_COLUMNS = {
    "run_id": "run", "fold": "fold", "seed": "seed", "best_epoch": "best epoch", "validation_uar": "validation UAR", "seconds": "seconds",
    "peak_host_mb": "memory (MiB)", "peak_device_mb": "GPU memory (MiB)", "peak_memory_mb": "memory of the process (MB)",
    "device": "device", "threads": "threads", "torch": "torch", "python": "python",
    "code_commit": "code revision", "data_fingerprint": "recordings", "split_fingerprint": "split", "finished_at": "finished (UTC)",
}  # fmt: skip
#: How a group is described, in this order.
_ABOUT = {
    "corpus": "corpus", "task": "task", "system": "system", "variant": "variant", "protocol": "protocol", "leaks": "leaks declared",
    "split": "split", "folds": "folds", "seeds": "seeds", "n_items": "test recordings", "n_speakers": "test speakers",
    "parameters": "parameters", "profile": "profile",
}  # fmt: skip


def anchor(chapter: str, group: str, stored: bool) -> str:
    """As `sercore.provenance.anchor`; a test holds them equal."""
    return re.sub("[^a-z0-9]+", "-", f"{'stored' if stored else 'build'} {chapter} {group}".lower()).strip("-")


def origins(notebook: Path) -> Iterator[Mapping[str, Any]]:
    """The origin of every output of an executed notebook that carries one."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", ()):
            if MIME in output.get("data", {}):
                yield output["data"][MIME]


def live_groups(notebooks: Iterable[Path]) -> dict[str, dict[str, dict[str, Any]]]:
    """chapter -> group -> what this build ran of it, from the outputs of all executed notebooks."""
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for notebook in notebooks:
        for group in (g for origin in origins(notebook) for g in origin["groups"] if not g["stored"]):
            found.setdefault(group["chapter"], {})[group["group"]] = group
    return found


def stored_groups(folder: Path) -> dict[str, dict[str, Any]]:
    """group -> what is stored of it in a folder of book/results, in the form of `live_groups`."""
    if not (folder / "groups.csv").is_file():
        return {}
    rows, runs = (_read_csv(folder / f"{name}.csv") for name in ("groups", "runs"))
    specs = json.loads((folder / "specs.json").read_text(encoding="utf-8"))
    return {
        row["group"]: {"group": row["group"], "about": row, "spec": specs.get(row["group"], {}), "stored": True, "chapter": folder.name}
        | {"runs": [run for run in runs if run["group"] == row["group"]]}
        for row in rows
    }


def _read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def runs_page(title: str, chapter: str, live: Mapping[str, Any], stored: Mapping[str, Any], repository: str) -> str:
    """The page of one chapter's runs."""
    has_page = f"[{title}](../chapters/{chapter})" if chapter else title
    parts = [
        f"# Runs: {title}",
        f"What the figures and tables of {has_page} were made from: each group of runs with its specification, its runs, and the "
        "revision of the code that made them. A group holds all runs that differ in fold and seed alone. Any of them can be repeated: the "
        "specification with a `fold` below `split` and a `seed`, saved as a file, goes to `sercore run`.",
        "## Stored from full runs",
        "\n\n".join(_group(group, repository) for group in stored.values()) or "None is stored yet.",
        "## Run by this build",
        "\n\n".join(_group(group, repository) for group in live.values()) or "This build ran none.",
    ]
    if any(group["about"].get("corpus") == "synthetic" for group in live.values()):
        parts.insert(6, "**On the embedded synthetic corpus: a demonstration that everything works, not a result about speech.**")
    return "\n\n".join(parts) + "\n"


def _group(group: Mapping[str, Any], repository: str) -> str:
    kind, place = "stored" if group["stored"] else "this build", anchor(group["chapter"], group["group"], bool(group["stored"]))
    about = "; ".join(f"{name} {_cell(group['about'].get(key))}" for key, name in _ABOUT.items() if _cell(group["about"].get(key)))
    spec = yaml.safe_dump(dict(group["spec"]), sort_keys=False, width=100).strip() or "# not kept"
    constant, rows = _runs(group["runs"], repository)
    return "\n\n".join(
        [
            f"({place})=\n### {_heading(group)}",
            f"{{.group}}\n`{group['group']}`",
            f"*{kind}*: {about}.",
            f"({place}-spec)=\n:::{{dropdown}} Specification, without fold and seed\n```yaml\n{spec}\n```\n:::",
            f"({place}-runs)=\n{len(group['runs'])} runs; the same in all: {constant}.",
            f":::{{dropdown}} The runs\n{rows}\n:::",
        ]
    )


def _heading(group: Mapping[str, Any]) -> str:
    """A group in words that fit a phone; the rest of its name only where it is not the usual."""
    about = {key: _cell(value) for key, value in group["about"].items()}
    words = [about["corpus"], about["system"].replace("_", " "), about["protocol"].replace("_", " ")]
    words += [about["variant"]] if about.get("variant") not in ("", None, "definition") else []
    words += ["shuffled labels"] if ".shuffled" in group["group"] else []
    return ", ".join(word for word in words if word)


def _runs(runs: Sequence[Mapping[str, Any]], repository: str) -> tuple[str, str]:
    """What all runs share, in words, and a table of what differs."""
    there = [c for c in RUN_COLUMNS if any(_cell(run.get(c)) for run in runs)]
    same = [c for c in there if c not in ("run_id", "fold", "seed") and len({_cell(run.get(c)) for run in runs}) == 1]
    constant = ", ".join(f"{RUN_COLUMNS[c]} {_shown(c, runs[0].get(c), repository)}" for c in same) or "nothing"
    clean = all(str(run.get("code_clean")) == "True" for run in runs)
    differs = [c for c in there if c not in same]
    rows = [[_shown(c, run.get(c), repository) for c in differs] for run in runs]
    return constant + ("" if clean else "; the code had uncommitted changes"), table([RUN_COLUMNS[c] for c in differs], rows)


def _shown(column: str, value: Any, repository: str) -> str:
    text = _cell(value)
    if column == "code_commit":
        return commit_link(text, repository)
    if column in ("validation_uar", "seconds", "peak_memory_mb") and text:
        return f"{float(text):.3g}" if column == "seconds" else f"{float(text):.0f}" if column == "peak_memory_mb" else f"{float(text):.3f}"
    return f"`{text}`" if column == "run_id" else text


def _cell(value: Any) -> str:
    return "" if value is None else str(value)


def inputs_page(notebooks: Iterable[Path], root: Path, repository: str) -> str:
    """The page of files: what is shown that is made of no run, with the fingerprint of each file as it stands."""
    paths = sorted({file["path"] for notebook in notebooks for origin in origins(notebook) for file in origin["inputs"]})
    parts = [
        "# Files: claims, cards and code",
        "Tables and figures that are not made of runs name the files that they are made of, each with the first eight digits of the "
        "SHA-256 of its contents. The same digits here and there mean the same file.",
    ]
    for path in paths:
        commit, day = last_change(root, path)
        changed = f"last changed {day} in revision {commit_link(commit, repository)}" if commit else "revision not known"
        contents = sha256((root / path).read_bytes()).hexdigest()[:8]
        parts.append(f"({re.sub('[^a-z0-9]+', '-', path.lower())})=\n## `{path}`\n\ncontents `{contents}`; {changed}.")
    return "\n\n".join(parts) + "\n"


def write_run_pages(root: Path, titles: Mapping[str, str], repository: str = "") -> list[str]:
    """Write book/runs/<chapter>.md for every chapter that has runs, and book/runs/inputs.md; remove pages of chapters that have none.

    Args:
        root: of the project; the executed notebooks are in book/chapters.
        titles: chapter -> title, in the order of the book.
        repository: address of the repository, for links to commits; empty makes none.

    Returns:
        The names of the pages.
    """
    folder = root / "book" / "runs"
    notebooks = [root / f"book/chapters/{name}.ipynb" for name in titles]
    live, results = live_groups(notebooks), root / "book" / "results"
    names = {*live, *(p.parent.name for p in results.glob("*/groups.csv"))}
    pages = {}
    for name in [*(n for n in titles if n in names), *sorted(names - set(titles))]:
        title = titles.get(name, name)
        pages[name] = runs_page(title, name if name in titles else "", live.get(name, {}), stored_groups(results / name), repository)
    pages["inputs"] = inputs_page(notebooks, root, repository)
    for name, text in pages.items():
        write_if_changed(folder / f"{name}.md", text)
    for gone in (p for p in folder.glob("*.md") if p.stem not in pages):
        gone.unlink()
    return list(pages)
