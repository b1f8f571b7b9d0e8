"""What a figure or a table was made from: one small line below it, with links to the specs, the runs and the revision of the code.

The line leads to pages that the book makes from the same data (`runs/<chapter>`, `runs/inputs`). The data travels beside the HTML in the
executed notebook, under a type of its own (MIME), so the book lists exactly the runs that the page shows, and nothing is looked up twice.
"""

from __future__ import annotations

import hashlib
import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.io.formats.style import Styler

from sercore.errors import StoreError
from sercore.results import Results

MIME = "application/vnd.sercore.origin+json"
#: Above so many groups the line is folded and can be opened.
_OPEN_GROUPS = 2
_ROOT = Path(__file__).resolve().parents[1]
_LEDGER_FILES = tuple(f"book/claims/{name}.csv" for name in ("claims", "map", "settings", "inconsistent"))


@dataclass(frozen=True)
class Origin:
    """What something that a page shows was made from.

    Attributes:
        groups: one dict a group of runs: `chapter, group, stored, n_runs, revisions`; those of this build also have `spec` and `runs`.
        inputs: one dict a file of the repository: `path, contents` (first eight hexadecimal digits of its SHA-256).
    """

    groups: tuple[dict[str, Any], ...] = ()
    inputs: tuple[dict[str, str], ...] = ()

    def __add__(self, other: Origin) -> Origin:
        """Both together, each group and each file once."""
        known = {_place(g) for g in self.groups}
        paths = {i["path"] for i in self.inputs}
        return Origin(
            self.groups + tuple(g for g in other.groups if _place(g) not in known),
            self.inputs + tuple(i for i in other.inputs if i["path"] not in paths),
        )

    def __bool__(self) -> bool:
        return bool(self.groups or self.inputs)

    def line(self) -> str:
        """The line as HTML; empty where nothing is named."""
        if not self:
            return ""
        lines = [_group_line(group) for group in self.groups]
        files = ", ".join(_file_link(file) for file in self.inputs)
        if len(lines) > _OPEN_GROUPS:
            listed = "".join(f"<li>{line}</li>" for line in lines) + (f"<li>{files}</li>" if files else "")
            return f'<details class="made-from"><summary>from: {_together(self.groups)}</summary><ul>{listed}</ul></details>\n'
        return f'<p class="made-from">from: {"; ".join([*lines, *([files] if files else [])])}</p>\n'

    def plain(self) -> dict[str, Any]:
        """The same as plain data, for the pages that list the runs."""
        return {"groups": list(self.groups), "inputs": list(self.inputs)}


def anchor(chapter: str, group: str, stored: bool) -> str:
    """Name of a group's place on the page of its chapter's runs; its spec and its list of runs lie at `-spec` and `-runs`."""
    return re.sub("[^a-z0-9]+", "-", f"{'stored' if stored else 'build'} {chapter} {group}".lower()).strip("-")


def _place(group: dict[str, Any]) -> str:
    return anchor(group["chapter"], group["group"], group["stored"])


def of_runs(results: Results, groups: Sequence[str] | None = None) -> Origin:
    """Groups of runs.

    Args:
        results: the rows that the figure or table is drawn from.
        groups: names, if not all.

    Raises:
        StoreError: a name is not among the rows.
    """
    rows = results.groups
    if groups is not None:
        if unknown := set(groups) - set(rows["group"]):
            raise StoreError(f"the results have no group {', '.join(sorted(unknown))}; there are: {', '.join(rows['group'])}")
        rows = rows[rows["group"].isin(set(groups))]
    return Origin(tuple(_group(results, row) for row in rows.to_dict("records")))


def _group(results: Results, row: dict[str, Any]) -> dict[str, Any]:
    runs = results.runs[results.runs["group"] == row["group"]]
    commits = runs["code_commit"].dropna().astype(str) if "code_commit" in runs else pd.Series(dtype=str)
    clean = bool(runs["code_clean"].fillna(False).astype(bool).all()) if "code_clean" in runs else False
    found = {"chapter": row.get("chapter", ""), "group": row["group"], "stored": results.stored, "n_runs": len(runs)}
    found |= {"revisions": sorted({c[:7] for c in commits if c}), "clean": clean}
    if not results.stored:  # stored runs are in the repository; those of this build are nowhere else
        found |= {"spec": results.specs.get(row["group"], {}), "about": {k: _plain(v) for k, v in row.items()}}
        found |= {"runs": [{k: _plain(v) for k, v in run.items() if k != "group"} for run in runs.to_dict("records")]}
    return found


def _plain(value: Any) -> Any:
    """A cell as JSON has it: no NaN, no numpy scalar."""
    if pd.isna(value):
        return None
    return value.item() if hasattr(value, "item") else value


def of_files(*paths: str | Path) -> Origin:
    """Files of the repository, by their path from its root: cards, claims, the code that draws what needs no run.

    Raises:
        StoreError: there is no such file.
    """
    return Origin(inputs=tuple({"path": Path(p).as_posix(), "contents": _contents(Path(p).as_posix())} for p in paths))


def of_cards(names: Iterable[str], *paths: str) -> Origin:
    """Cards of corpora, by name, and further files; with the embedded corpus also the code that makes it."""
    names = list(names)
    made = ("sercore/data/synthetic.py",) if "synthetic" in names else ()
    return of_files(*(f"sercore/data/cards/{name}.yml" for name in names), *made, *paths)


def of_printed() -> Origin:
    """What the publications print and what was found by reading them: claims, settings, contradictions, readings."""
    return of_files(*(f"book/claims/{name}.csv" for name in ("claims", "settings", "inconsistent", "read")))


def of_ledger(results: Results | None = None) -> Origin:
    """The claims with all that the verdicts on them follow from: the map, the settings, and the stored runs given."""
    return (of_runs(results) if results is not None else Origin()) + of_files(*_LEDGER_FILES)


@lru_cache(maxsize=256)
def _contents(path: str) -> str:
    try:
        return hashlib.sha256((_ROOT / path).read_bytes()).hexdigest()[:8]
    except OSError as error:
        raise StoreError(f"there is no file {path}: name one by its path from the root of the project") from error


def _group_line(group: dict[str, Any]) -> str:
    page, place = f"../runs/{group['chapter']}.html", _place(group)
    kind = "stored full runs" if group["stored"] else f"this build ({group['about']['profile']}, {group['about']['corpus']})"
    runs = f"{group['n_runs']} run{'s' if group['n_runs'] != 1 else ''}"
    return (
        f'{kind} <a href="{page}#{place}"><code>{html.escape(group["group"])}</code></a> · <a href="{page}#{place}-spec">spec</a> · '
        f'<a href="{page}#{place}-runs">{runs}</a> · code revision {_revisions([group])}'
    )


def _together(groups: Sequence[dict[str, Any]]) -> str:
    parts = []
    for stored, kind in ((False, "this build"), (True, "stored full runs")):
        mine = [g for g in groups if g["stored"] is stored]
        if mine:
            runs = sum(g["n_runs"] for g in mine)
            parts.append(f"{len(mine)} group{'s' if len(mine) > 1 else ''} of {kind} ({runs} runs, code revision {_revisions(mine)})")
    return " and ".join(parts)


def _revisions(groups: Sequence[dict[str, Any]]) -> str:
    names = sorted({name for group in groups for name in group["revisions"]})
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    unclean = "" if all(group["clean"] for group in groups) else " with uncommitted changes"
    return f"{shown}{unclean}" if names else "not known (outside git)"


def _file_link(file: dict[str, str]) -> str:
    place = re.sub("[^a-z0-9]+", "-", file["path"].lower())
    return f'<a href="../runs/inputs.html#{place}"><code>{html.escape(Path(file["path"]).name)}</code></a> ({file["contents"]})'


class Shown:
    """A piece of a page with its origin below, shown by any notebook.

    Attributes:
        data: the HTML, the line of the origin included.
    """

    def __init__(self, data: str, origin: Origin) -> None:
        self.data, self.origin = data + origin.line(), origin

    def _repr_html_(self) -> str:
        return self.data

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        del include, exclude
        return {"text/html": self.data, "text/plain": "", **({MIME: self.origin.plain()} if self.origin else {})}


class Table(Styler):
    """A styled table whose origin stands below it."""

    origin = Origin()

    def made_from(self, origin: Origin) -> Table:
        """The same table, with what it was made from."""
        self.origin = self.origin + origin
        return self

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        return Shown(self.to_html(), self.origin)._repr_mimebundle_(include, exclude)
