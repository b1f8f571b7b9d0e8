"""When is an executed chapter still true? A key over everything that its page depends on."""

from __future__ import annotations

import ast
import hashlib
import json
import platform
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

PACKAGE = "sercore"
LIBRARIES = ("numpy", "pandas", "torch", "scikit-learn", "matplotlib", "optuna")  # what computes or draws what a page shows


def imported_modules(text: str, module: str = "", is_package: bool = False) -> set[str]:
    """Dotted names that a source imports anywhere in it, functions included; `from a import b` counts as a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".") if is_package else module.split(".")[:-1]
                base = ".".join([*parts[: len(parts) - node.level + 1], *([base] if base else [])])
            found |= {base, *(f"{base}.{alias.name}" for alias in node.names)}
    return found


def _files_of(module: str, root: Path) -> Iterator[tuple[str, Path]]:
    """The file of a module of the package and those of the packages above it (importing it runs them all)."""
    parts = module.split(".")
    for end in range(1, len(parts) + 1):
        name, base = ".".join(parts[:end]), root.joinpath(*parts[:end])
        for file in (base.with_suffix(".py"), base / "__init__.py"):
            if file.is_file():
                yield name, file


def sources_of(notebook_text: str, root: Path) -> list[Path]:
    """The files of the package that a chapter imports, directly or through others, and the package's data files (cards, folds)."""
    todo, seen = [imported_modules(notebook_text)], {}
    while todo:
        for module in todo.pop():
            if module.split(".")[0] != PACKAGE:
                continue
            for name, file in _files_of(module, root):
                if file not in seen:
                    seen[file] = name
                    todo.append(imported_modules(file.read_text(encoding="utf-8"), name, file.name == "__init__.py"))
    data_files = (f for f in (root / PACKAGE).rglob("*") if f.suffix in (".yml", ".csv", ".json"))
    return sorted({*seen, *data_files})


def _stat_lines(folder: Path) -> Iterator[str]:
    """Name, size and time of every file below: cheap, and different after any change that matters."""
    for file in sorted(folder.rglob("*")):
        if file.is_file():
            stat = file.stat()
            yield f"{file.relative_to(folder).as_posix()} {stat.st_size} {stat.st_mtime_ns}"


def _contents(files: Iterable[Path], root: Path) -> Iterator[bytes]:
    for file in files:
        yield file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0"


def _installed(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "absent"


def chapter_key(
    notebook: Path,
    parameters: Mapping[str, Any],
    shows: Iterable[str],
    root: Path,
    corpora_folder: Path | None = None,
    runner: tuple[Path, ...] = (),
) -> str:
    """Hash of the text, the parameters, the sources imported, the data, the committed results shown, and the libraries.

    Args:
        notebook: the chapter's percent-format text.
        parameters: as passed to it, defaults excluded.
        shows: folders of book/results that its page shows; "*" is all of them. With any, book/claims counts too.
        root: the project's root.
        corpora_folder: where the corpora named in `parameters["corpora"]` lie; None for the embedded one.
        runner: files that decide how the chapter is executed.

    Returns:
        16 hexadecimal digits.
    """
    digest = hashlib.sha256()
    text = notebook.read_text(encoding="utf-8")
    libraries = {library: _installed(library) for library in LIBRARIES}
    digest.update(json.dumps([text, dict(parameters), platform.python_version(), libraries], sort_keys=True).encode())
    shows = list(shows)
    results = root / "book" / "results"
    folders = [results if name == "*" else results / name for name in shows] + ([root / "book" / "claims"] if shows else [])
    shown = sorted(file for folder in folders for file in folder.rglob("*") if file.is_file())
    for block in _contents([*sources_of(text, root), *runner, *shown], root):
        digest.update(block)
    if corpora_folder is not None:
        for corpus in filter(None, str(parameters.get("corpora", "")).split(",")):
            digest.update("\n".join([corpus, *_stat_lines(corpora_folder / corpus)]).encode())
    return digest.hexdigest()[:16]
