"""Lets papermill read the chapters itself: `papermill notebooks/reslstm_sa.py out.ipynb -p seeds 2` (an entry point, see pyproject.toml).

papermill tells a reader nothing of the parameters and only warns of a misspelt one, so they are held twice: on the command line they
are checked here, before anything starts; a caller from Python meets a guard cell, which stands behind the parameters that papermill
injects and raises before the first cell of the chapter.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

from notebooks.run import ROOT, ParameterError, declared_parameters, read_notebook, validate


class PercentNotebooks:
    """A papermill.io handler for paths that start with `notebooks/`."""

    @classmethod
    def read(cls, path: str) -> str:
        import nbformat

        source = Path(path)
        if source.suffix != ".py":
            return source.read_text(encoding="utf-8")
        chapter, notebook = source.stem, read_notebook(source)
        declared = declared_parameters(notebook, chapter)
        try:
            validate(cls._from_command_line(), declared, chapter)
        except ParameterError as error:
            raise SystemExit(str(error)) from None
        position = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
        guard = f"from notebooks.percent_io import guard\n\nguard({str(path)!r}, get_ipython())"
        notebook.cells.insert(position + 1, nbformat.v4.new_code_cell(guard, metadata={"tags": ["remove-cell"]}))
        return nbformat.writes(notebook)

    @staticmethod
    def _from_command_line() -> dict[str, Any]:
        """The parameters of the papermill command that is running, read by its own parser; none in any other program."""
        if Path(sys.argv[0]).name not in ("papermill", "papermill.exe") and Path(sys.argv[0]).parent.name != "papermill":
            return {}
        from papermill.cli import _resolve_type
        from papermill.cli import papermill as command

        options = command.make_context("papermill", sys.argv[1:], resilient_parsing=True).params
        given: dict[str, Any] = {}
        for file in options.get("parameters_file") or ():
            given.update(yaml.safe_load(Path(file).read_text(encoding="utf-8")) or {})
        for text in options.get("parameters_yaml") or ():
            given.update(yaml.safe_load(text) or {})
        given.update({name: _resolve_type(value) for name, value in options.get("parameters") or ()})
        given.update(dict(options.get("parameters_raw") or ()))
        return given

    @staticmethod
    def listdir(path: str) -> list[str]:
        return [str(p) for p in Path(path).iterdir()]

    @staticmethod
    def write(buf: str, path: str) -> None:
        Path(path).write_text(buf, encoding="utf-8")

    @staticmethod
    def pretty_path(path: str) -> str:
        return path


def guard(path: str, shell: Any) -> None:
    """Called in the kernel, first of all: every name that exists by now is a parameter of the chapter, with the right type."""
    source = ROOT / path if (ROOT / path).is_file() else Path(path)
    declared = declared_parameters(read_notebook(source), source.stem)
    present = {name for name in shell.user_ns if not name.startswith("_") and name not in shell.user_ns_hidden} - {"guard", "papermill"}
    validate({name: shell.user_ns[name] for name in present}, declared, source.stem)
