"""Sphinx extension: the reference of the package, from its docstrings, one page a room in the order of its doors.

The pages hold nothing but `automodule` directives. Docstrings are Markdown in spirit (single backticks for code, stars for emphasis);
`to_rest` makes them reStructuredText before napoleon reads their sections.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pieces import write_if_changed
from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = "sercore"
#: Page -> title, what the room is for, and its modules and packages. Doors open from the last page to the first, never back.
ROOMS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "specification": (
        "Specification",
        "What a run is, and what can be wrong.",
        ("spec", "spec_parts", "errors", "failures", "progress", "writing"),
    ),
    "measures": ("Measures and statistics", "Pure functions of truth and prediction; no torch.", ("metrics", "stats")),
    "recordings": ("Recordings and splits", "Corpora, item tables, split plans, audits; no torch.", ("data",)),
    "networks": ("Networks", "Layers, losses and whole systems.", ("layers", "losses", "models", "baselines", "initial_weights")),
    "features": ("Features", "From waveforms to frames.", ("features",)),
    "training": (
        "Training and evaluation",
        "One loop, one sealed evaluator.",
        ("batching", "train", "evaluate", "prepare", "store", "orthogonal", "pretraining", "resources"),
    ),
    "runs": (
        "Runs and sweeps",
        "From a specification to a record, one or many.",
        (
            "experiment",
            "conditions",
            "tune",
            "run_graph",
            "sweep",
            "schedulers",
            "forecast",
            "grids",
            "multi_time_scale_grid",
            "anti_transfer_tasks",
            "anti_transfer_grid",
        ),
    ),
    "results": (
        "Results and ledger",
        "Tidy rows, their origin, and the verdicts.",
        ("manifest", "results", "provenance", "ledger", "arithmetic"),
    ),
    "inside": (
        "Inside networks",
        "What trained networks have learned, and whether its pictures can be believed.",
        ("signals", "scale_usage", "tempo", "tempo_curves", "explain", "faithfulness", "probes", "anti_transfer_inside"),
    ),
    "pages": ("Pages and figures", "What a chapter shows.", ("pages", "plots")),
    "rest": ("Publication and the rest", "What stands above the other rooms.", ()),  # with all that no page above names
}
_LEFT_OUT = {"__main__"}  # the command line is described in how_to_run


def modules(folder: Path) -> list[str]:
    """Dotted names of the public modules of the package, packages before what they hold."""
    found = []
    for file in sorted(folder.rglob("*.py"), key=lambda f: f.relative_to(folder).with_suffix("").as_posix().replace("/__init__", "")):
        parts = list(file.relative_to(folder.parent).with_suffix("").parts)
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if not any(part.startswith("_") for part in name.split(".")[1:]) and name != folder.name:
            found.append(name)
    return found


def room_of(module: str) -> str:
    """The page of a module; the last one where no room names its package."""
    unit = module.split(".")[1]
    return next((page for page, (_, _, units) in ROOMS.items() if unit in units), list(ROOMS)[-1])


def page(name: str, members: list[str]) -> str:
    """One room: its modules in the order of the room."""
    title, purpose, units = ROOMS[name]
    order = {unit: place for place, unit in enumerate(units)}
    members = sorted(members, key=lambda m: (order.get(m.split(".")[1], len(order)), m))
    blocks = [f"# {title}\n\n{purpose}"]
    for module in members:
        options = "   :members:\n   :member-order: bysource\n   :ignore-module-all:\n   :exclude-members: model_config"
        blocks.append(f"## `{module}`\n\n```{{eval-rst}}\n.. automodule:: {module}\n{options}\n```")
    return "\n\n".join(blocks) + "\n"


def write_api_pages(root: Path) -> None:
    """Write book/api/<room>.md for every room."""
    members: dict[str, list[str]] = {name: [] for name in ROOMS}
    for module in modules(root / PACKAGE):
        members[room_of(module)].append(module)
    for name, mine in members.items():
        write_if_changed(root / "book" / "api" / f"{name}.md", page(name, mine))


def to_rest(text: str) -> str:
    """A part of a docstring as reStructuredText: what has a meaning there and none here is escaped, outside of backticks.

    In backticks a dotted name stays (it becomes a link where the name has a page), anything else becomes a literal.

    Example:
        >>> to_rest("the score_ of |x| is `a_`, *not* 3 * 4")
        'the score\\\\_ of \\\\|x\\\\| is `a_`, *not* 3 \\\\* 4'
    """
    pieces = re.split(r"(?<!`)(``.*?``|`[^`]+`)(?!`)", text, flags=re.DOTALL)
    for k, piece in enumerate(pieces):
        if k % 2 == 0:
            piece = re.sub(r"([\\|])", r"\\\1", piece)
            piece = re.sub(r"(?<=\w)_(?=\W|$)", r"\\_", piece)
            pieces[k] = re.sub(r"(?<![\w*])(\*{1,2})(?=[^\s*])([^*]*[^\s*])\1(?![\w*])|\*", lambda m: m[0] if m[1] else r"\*", piece)
        elif not piece.startswith("``") and not re.fullmatch(r"`~?[A-Za-z][\w.]*`", piece):
            pieces[k] = f"`{piece}`"
    return "".join(pieces)


def process_docstring(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """Before napoleon: everything that is no doctest and no equation as reStructuredText; an equation is an indented paragraph."""
    del app, what, name, obj, options
    blocks: list[tuple[bool, list[str]]] = []
    as_it_is, before, last = False, "", ""
    for line in lines:
        equation = line.startswith("    ") and not before and bool(last) and not last.startswith(" ")
        as_it_is = equation or line.lstrip().startswith(">>>") or (as_it_is and bool(line.strip()))
        if not blocks or blocks[-1][0] != as_it_is:
            blocks.append((as_it_is, ["::", ""] if equation else []))
        blocks[-1][1].append(line)
        before, last = line.strip(), line or last
    lines[:] = [line for raw, block in blocks for line in (block if raw else to_rest("\n".join(block)).split("\n"))]


def prepare(app: Sphinx, config: Any) -> None:
    del app, config
    write_api_pages(ROOT)


def setup(app: Sphinx) -> dict[str, Any]:
    app.setup_extension("sphinx.ext.autodoc")
    app.setup_extension("sphinx.ext.napoleon")
    app.connect("config-inited", prepare, priority=90)
    app.connect("autodoc-process-docstring", process_docstring, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
