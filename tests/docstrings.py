"""What a docstring of a public name must say, read from the source: shapes, units, errors and, where numbers are computed, the source."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ARRAYS = re.compile(r"\b(ndarray|NDArray|ArrayLike|Tensor)\b")
TABLES = re.compile(r"\b(DataFrame|Series)\b")
SHAPE = re.compile(
    r"\bshapes?\b|\b[BNTFCHKQD](_\w+)? x [BNTFCHKQD]|\([A-Z]\w*(, ?[A-Z]\w*)*,?\)|\bscalar\b|1-D|2-D|one value|one number|one a \w+"
)
COLUMNS = re.compile(
    r"`\w+, \w+|\bitem tables?\b|\b(of|as|from) `\w|\bcolumns?\b|\b(one )?rows?\b|\bindex\b|\bcounts\b|`\w+\(|COLUMNS", re.IGNORECASE
)
UNIT = re.compile(
    r"\bin \[|\[-?\d|\bin \(|_hz\b|\bHz\b|\bms\b|\bseconds?\b|\bsamples\b|\bframes?\b|\bfractions?\b|per cent|\bpoints\b|\bcounts?\b"
    r"|\blabels?\b|\bclass(es)?\b|\blogits\b|\bscores?\b|float\d\d|int\d|\bbool\b|\bweights\b|\bindices\b|\bindex\b|probabilit"
    r"|\bunits?\b|\bdB\b|\bdBFS\b|full scale|\bpower\b|magnitude|deviation|\bfinite\b|\bzeros?\b|\bnumbers?\b",
    re.IGNORECASE,
)
SOURCE = re.compile(
    r"\b(19|20)\d\d\b|\bEq\.|\bSec\.|\bTable\b|\bFig\.|\bpapers?\b|\bthesis\b|\bliterature\b|scikit-learn|librosa|\bdefinition\b"
)
#: Rooms whose public names compute numbers that a publication defines: they say which.
SOURCED = ("models/", "layers/", "losses/", "metrics.py", "stats/", "features/cepstral.py", "features/stft.py")
#: Errors of a caller's making that are part of the language, not of an interface.
UNSPOKEN = {"NotImplementedError", "AssertionError", "StopIteration", "SystemExit", "Exit", "BadParameter", "TrialPruned"}


@dataclass(frozen=True)
class Public:
    """A public function, method or class of a file, with what stands above it."""

    place: str
    node: ast.FunctionDef | ast.ClassDef
    above: str

    @property
    def text(self) -> str:
        return ast.get_docstring(self.node) or ""


def public_names(source: str, file: str) -> Iterator[Public]:
    """Every public function and class of a module, and public methods of public classes; nothing inside a function."""
    tree = ast.parse(source)
    above = ast.get_docstring(tree) or ""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            yield Public(f"{file}:{node.lineno} {node.name}", node, above)
            for inner in node.body if isinstance(node, ast.ClassDef) else ():
                if isinstance(inner, ast.FunctionDef) and not inner.name.startswith("_"):
                    yield Public(f"{file}:{inner.lineno} {node.name}.{inner.name}", inner, f"{above}\n{ast.get_docstring(node) or ''}")


def faults(source: str, file: str) -> list[str]:
    """What the docstrings of a module do not say; one line a fault, with file, line and name.

    Args:
        source: text of the module.
        file: its path inside the package.
    """
    return [f"{public.place}: {fault}" for public in public_names(source, file) for fault in _of(public, file)]


def _of(public: Public, file: str) -> Iterator[str]:
    text, node = public.text, public.node
    if not text:
        yield "no docstring"
        return
    if file.startswith(SOURCED) and not SOURCE.search(f"{text}\n{public.above}"):
        yield "names no source (paper, equation, year, or the library it agrees with)"
    if isinstance(node, ast.ClassDef):
        return
    inherited = f"{text}\n{public.above}" if "." in public.place.split()[-1] else text  # a method may lean on its class
    said = ast.unparse(node.args) + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    if ARRAYS.search(said) and not SHAPE.search(inherited):
        yield "takes or gives arrays and states no shape"
    if ARRAYS.search(said) and not UNIT.search(inherited):
        yield "takes or gives arrays and states no unit, range or kind"
    for name in _bare_entries(node, text):
        yield f"states no shape of {name}"
    if TABLES.search(said) and not COLUMNS.search(inherited):
        yield "takes or gives a table and names no column or row"
    for error in sorted(_raised(node) - UNSPOKEN):
        if not re.search(rf"\b{error}\b|\b(Errors|errors|Raises)\b[^.]*\bas\b|Arguments and errors as", text):
            yield f"raises {error} and does not say when"


def _bare_entries(node: ast.FunctionDef, text: str) -> list[str]:
    """Array parameters that have an entry under Args, and no shape in it."""
    arguments = re.search(r"^Args:\n((?:[ ]+.*\n?|\n)*)", text, re.MULTILINE)
    entries = re.split(r"^ {4}(?=\S)", arguments[1], flags=re.MULTILINE) if arguments else []
    written = {name.strip(): said for names, _, said in (entry.partition(":") for entry in entries) for name in names.split(",")}
    given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    arrays = [a.arg for a in given if a.annotation and ARRAYS.search(ast.unparse(a.annotation))]
    return [name for name in arrays if name in written and not SHAPE.search(written[name]) and "matri" not in written[name]]


def _raised(node: ast.FunctionDef) -> set[str]:
    """Names of the errors raised in the body itself, not in functions inside it; a bare `raise` passes another's on."""
    found, waiting = set(), list(node.body)
    while waiting:
        one: ast.AST = waiting.pop()
        if isinstance(one, ast.FunctionDef | ast.ClassDef | ast.Lambda):
            continue
        if isinstance(one, ast.Raise) and one.exc is not None:
            called = one.exc.func if isinstance(one.exc, ast.Call) else one.exc
            name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if name[:1].isupper():
                found.add(name)
        waiting.extend(ast.iter_child_nodes(one))
    return found


def of_package(folder: Path) -> list[str]:
    """The faults of every module of a package."""
    files = sorted(folder.rglob("*.py"))
    return [fault for path in files for fault in faults(path.read_text(encoding="utf-8"), path.relative_to(folder).as_posix())]
