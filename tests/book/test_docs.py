"""Every command that a newcomer is told to type exists."""

import re
from pathlib import Path

import pytest
import typer

from sercore.__main__ import app

PROJECT = Path(__file__).resolve().parents[2]
DOCUMENTS = ["README.md", "book/how_to_run.md"]


def commands(text: str) -> set[str]:
    """What stands in code blocks and in inline code."""
    blocks = re.findall(r"```\w*\n(.*?)```", text, flags=re.S)
    return {line.strip() for block in blocks for line in block.splitlines()} | set(re.findall(r"`([^`\n]+)`", text))


def unknown(text: str) -> list[str]:
    """`make` targets and `sercore` commands in a text that do not exist."""
    targets = set(re.findall(r"^([a-z]+):", (PROJECT / "Makefile").read_text(), flags=re.M))
    known = set(typer.main.get_command(app).commands)
    wrong = []
    for command in commands(text):
        if (made := re.match(r"make ([a-z]+)", command)) and made[1] not in targets:
            wrong.append(command)
        if (called := re.match(r"sercore ([a-z]+)", command)) and called[1] not in known:
            wrong.append(command)
    return sorted(wrong)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_documented_commands_exist(document):
    text = (PROJECT / document).read_text()
    assert "make book" in commands(text)
    assert unknown(text) == []


def test_a_command_that_does_not_exist_is_caught():
    assert unknown("```\nmake bok\nsercore corpus list\n```\n") == ["make bok", "sercore corpus list"]
