"""The page of gates names tests that exist, and each fault of the list has one."""

import ast
import re
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
PAGE = PROJECT / "book" / "gates.md"


def rows(text: str) -> list[list[str]]:
    """Cells of the table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def stale(text: str) -> list[str]:
    """Tests named by the page that are not there, and rows that name none or no fault."""
    wrong = []
    for gate, _, fault, test in rows(text):
        file, _, name = test.strip("`").partition("::")
        source = (PROJECT / file).read_text(encoding="utf-8") if file and (PROJECT / file).is_file() else ""
        functions = [node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)]
        if not fault or name not in functions:
            wrong.append(f"{gate or 'a row'}: {test}")
    return wrong


def test_every_gate_of_the_page_has_its_test():
    text = PAGE.read_text(encoding="utf-8")
    assert len(rows(text)) > 20
    assert stale(text) == []


def test_a_page_of_gates_that_names_a_test_that_is_gone_is_caught():
    text = PAGE.read_text(encoding="utf-8")
    renamed = re.sub(r"::test_ink_on_ink_is_caught", "::test_ink_is_fine", text)
    assert stale(renamed) == ["The dark: `tests/book/test_browser.py::test_ink_is_fine`"]
