"""The only runner of chapters: validate the parameters, convert the text, execute beside, move into place.

    python notebooks/run.py reslstm_sa -p seeds 2 --profile quick -o out.ipynb

A chapter is percent-format text without outputs. papermill alone would accept a misspelt parameter with a warning and exit 0, and
would leave a half-executed file where a finished one belongs; here a wrong name or type is refused before a kernel starts, and the
output appears only when every cell has run. A failed chapter is kept beside as `<name>.failed.ipynb`, to be read.

`percent_io.py` gives the same to papermill itself.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import errno
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = ROOT / "notebooks"
TOOLS = ("run", "percent_io")  # files of this folder that are no chapters
PROFILES = ("quick", "full")
HEARTBEAT_S = 5
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
TYPE_NAMES = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}


class ParameterError(ValueError):
    """A parameter that the chapter does not have, or a value of another type; the message lists the known ones."""


class ChapterError(RuntimeError):
    """A chapter that did not run to its end; the message has the last line of the traceback and where to read the rest."""


@dataclass(frozen=True)
class Parameter:
    """One line of a `parameters` cell: `name = default  # meaning`, with `a | b | c` at the head of the meaning for closed choices."""

    name: str
    default: bool | int | float | str
    meaning: str

    @property
    def choices(self) -> tuple[str, ...]:
        listed = re.match(r"\w+(?: \| \w+)+", self.meaning)
        words = tuple(listed.group().split(" | ")) if listed else ()
        return words if self.default in words else ()

    def check(self, value: Any, chapter: str) -> Any:
        """The value, if its type is the default's (a whole number serves as a number)."""
        wanted = type(self.default)
        fits = type(value) is wanted or (wanted is float and type(value) is int)
        if not fits:
            raise ParameterError(f"{chapter}: {self.name} is {TYPE_NAMES[wanted]} (default {self.default!r}), got {value!r}")
        if self.choices and value not in self.choices:
            raise ParameterError(f"{chapter}: {self.name} is one of {', '.join(self.choices)}; got {value!r}")
        return value

    def parse(self, text: str, chapter: str) -> Any:
        """A value from the command line, read as the default's type; text stays text."""
        if isinstance(self.default, str):
            return self.check(text, chapter)
        try:
            value = ast.literal_eval(text.capitalize() if isinstance(self.default, bool) else text)
        except (ValueError, SyntaxError):
            value = text
        return self.check(value, chapter)


@dataclass(frozen=True)
class Chapter:
    """One entry of register.yml."""

    name: str
    title: str
    notebook: Path
    seconds_quick: int
    hours_full: float
    corpora: tuple[str, ...] = ()
    shows: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    parameters: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def parameters_for(self, profile: str) -> dict[str, Any]:
        """The register's parameters of a profile; corpora found under SERCORE_CORPORA replace the synthetic one.

        The folder itself is not passed: an empty `corpora_root` means SERCORE_CORPORA, so that no page carries a path of the
        machine that built it.
        """
        chosen = dict(self.parameters[profile])
        folder = os.environ.get("SERCORE_CORPORA", "")
        if folder and self.corpora:
            from sercore.data.corpora import find_corpora

            found = find_corpora(Path(folder))
            present = [name for name in self.corpora if name in found]
            if present:
                chosen["corpora"] = ",".join(present)
        return chosen


def register(path: Path = NOTEBOOKS / "register.yml") -> dict[str, Chapter]:
    """The chapters in their order, by name."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8"))["chapters"]
    return {
        entry["name"]: Chapter(
            name=entry["name"],
            title=entry["title"],
            notebook=path.parent / f"{entry['name']}.py",
            seconds_quick=entry["seconds_quick"],
            hours_full=entry["hours_full"],
            corpora=tuple(entry.get("corpora", ())),
            shows=tuple(entry.get("shows", ())),
            after=tuple(entry.get("after", ())),
            parameters={profile: dict(entry.get(profile) or {}) for profile in PROFILES},
        )
        for entry in entries
    }


def read_notebook(path: Path) -> Any:
    """A percent-format chapter as a notebook that the running interpreter's kernel executes."""
    import jupytext

    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.py") if p.stem not in TOOLS))
        raise ChapterError(f"no chapter {path.stem} in {path.parent.name}/; there are: {known}")
    notebook = jupytext.read(path, fmt="py:percent")
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook.metadata["language_info"] = {"name": "python"}
    notebook.metadata.pop("jupytext", None)
    return notebook


def declared_parameters(notebook: Any, chapter: str) -> dict[str, Parameter]:
    """What the cell tagged `parameters` declares; it holds `name = value  # meaning` lines and nothing else."""
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise ChapterError(f"{chapter}: needs exactly one cell tagged `parameters`, has {len(cells)}")
    lines = cells[0].source.splitlines()
    declared = {}
    for statement in ast.parse(cells[0].source).body:
        try:
            (target,) = statement.targets
            name, default = target.id, ast.literal_eval(statement.value)
        except (AttributeError, ValueError):
            default = None
        if not isinstance(default, (bool, int, float, str)):
            raise ChapterError(f"{chapter}: line {statement.lineno} of the parameters cell is not `name = scalar  # meaning`")
        rest = lines[(statement.end_lineno or 1) - 1][statement.end_col_offset or 0 :]
        declared[name] = Parameter(name, default, rest.strip().removeprefix("#").strip())
    return declared


def refuse_unknown(names: set[str], declared: Mapping[str, Any], chapter: str) -> None:
    """Raise ParameterError for the first name that is not declared, with the nearest known one."""
    for name in sorted(names - set(declared)):
        near = difflib.get_close_matches(name, declared, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ParameterError(f"{chapter}: no parameter {name!r}{hint}; it has: {', '.join(declared)}")


def validate(given: Mapping[str, Any], declared: Mapping[str, Parameter], chapter: str) -> dict[str, Any]:
    """The given values, every name declared and every type right."""
    refuse_unknown(set(given), declared, chapter)
    return {name: declared[name].check(value, chapter) for name, value in given.items()}


@contextmanager
def heartbeat(name: str, budget_s: float) -> Iterator[None]:
    """A progress line at the start and then every few seconds."""
    started, done = time.monotonic(), threading.Event()

    def tell() -> None:
        while not done.wait(HEARTBEAT_S):
            print(f"  {name}: {time.monotonic() - started:.0f} s of about {budget_s:.0f} s", flush=True)

    print(f"  {name}: running, about {budget_s:.0f} s", flush=True)
    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def end_with_the_build() -> None:
    """A chapter that a build runs ends with it, also by `kill -9`: left alone it would hold its runs, and the next build would wait."""
    build = int(os.environ.get("SERCORE_BUILD_PID") or 0)

    def watch() -> None:
        while os.getppid() == build:
            time.sleep(0.5)
        os._exit(1)  # the kernel watches this process in the same way

    if build:
        threading.Thread(target=watch, daemon=True).start()


def _last_cell_error(notebook_path: Path, fallback: Exception) -> str:
    import nbformat

    if notebook_path.is_file():
        cells = [cell for cell in nbformat.read(notebook_path, as_version=4).cells if cell.cell_type == "code"]
        for number, cell in enumerate(cells, start=1):
            for output in cell.get("outputs", []):
                if output.output_type == "error" and output.ename:
                    lines = output.evalue.strip().splitlines() or [""]
                    return f"code cell {number}: {output.ename}: {lines[-1]}"
    return f"{type(fallback).__name__}: {str(fallback).strip().splitlines()[-1]}"


def execute(path: Path, output: Path, given: Mapping[str, Any], budget_s: float = 60) -> Path:
    """Run one chapter with validated parameters from the project root and put the executed notebook at `output`.

    Raises:
        ParameterError: a name is unknown or a type is wrong; nothing has run.
        ChapterError: a cell raised; `output` is untouched and `<name>.failed.ipynb` beside it has the cells up to the error.
    """
    os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")
    os.environ.setdefault("JUPYTER_PREFER_ENV_PATH", "1")  # the kernel of this environment, not one of the same name in the user's home
    import nbformat
    import papermill

    chapter, notebook = path.stem, read_notebook(path)
    parameters = validate(given, declared_parameters(notebook, path.stem), chapter)
    output.parent.mkdir(parents=True, exist_ok=True)
    beside, failed = output.with_suffix(f".{os.getpid()}.part.ipynb"), output.with_suffix(".failed.ipynb")
    try:
        with heartbeat(chapter, budget_s):
            papermill.execute_notebook(
                notebook,
                str(beside),
                parameters=parameters,
                kernel_name="python3",
                cwd=str(ROOT),
                progress_bar=False,
                extra_arguments=["--IPKernelApp.log_level=40"],  # errors only: the kernel talks to this process alone
            )
        executed = nbformat.read(beside, as_version=4)
        executed.metadata.get("papermill", {}).update(input_path=f"notebooks/{path.name}", output_path=output.name)
        nbformat.write(executed, beside)
        os.replace(beside, output)
        failed.unlink(missing_ok=True)
    except (papermill.exceptions.PapermillExecutionError, RuntimeError, TimeoutError) as error:
        reason = _last_cell_error(beside, error)
        if beside.is_file():
            os.replace(beside, failed)
        raise ChapterError(f"{chapter}: {reason} (the notebook up to there: {os.path.relpath(failed)})") from error
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        reason = f"{error.filename or output} cannot be written ({error.strerror})"
        raise ChapterError(f"{chapter}: {reason}: free some space and run again; {output.name} is as it was") from error
    finally:
        beside.unlink(missing_ok=True)
    return output


def main(arguments: list[str] | None = None) -> int:
    """The command line: 0 and the path of the executed notebook, or 1 and one clear line."""
    parser = argparse.ArgumentParser(prog="notebooks/run.py", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("chapter", help="name of a chapter (notebooks/register.yml), or the path of a percent-format notebook")
    parser.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a parameter; may be repeated")
    parser.add_argument("--profile", choices=PROFILES, default="quick", help="the register's parameters to start from")
    parser.add_argument("-o", "--output", type=Path, help="the executed notebook (default store/notebooks/<chapter>-<profile>.ipynb)")
    options = parser.parse_args(arguments)
    end_with_the_build()
    known = register().get(options.chapter)
    path = known.notebook if known else NOTEBOOKS / f"{options.chapter}.py"
    if options.chapter.endswith(".py"):
        path = Path(options.chapter).resolve()
    output = options.output or Path(os.environ.get("SERCORE_STORE") or ROOT / "store") / f"notebooks/{path.stem}-{options.profile}.ipynb"
    try:
        given = known.parameters_for(options.profile) if known else {}
        declared = declared_parameters(read_notebook(path), path.stem)
        refuse_unknown({name for name, _ in options.p}, declared, path.stem)
        given |= {name: declared[name].parse(text, path.stem) for name, text in options.p}
        full_s = known.hours_full * 3600 if known else 60.0
        budget_s = known.seconds_quick if known and options.profile == "quick" else full_s
        started = time.monotonic()
        execute(path, output.resolve(), given, budget_s)
    except (ParameterError, ChapterError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"  {path.stem}: done in {time.monotonic() - started:.0f} s -> {os.path.relpath(output)}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
