"""Reads the worked examples of CONTRIBUTING.md: new files, lines to add and remove, commands to try."""

from __future__ import annotations

import re
from pathlib import Path


def sections(text: str) -> dict[str, str]:
    """Heading of the second level -> what stands below it."""
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def blocks(section: str) -> list[tuple[str, str, str]]:
    """`(file named last before it, language, content)` of every fenced block, in order."""
    found, name = [], ""
    for before, language, content in re.findall(r"(.*?)^```(\w*)\n(.*?)^```$", section, flags=re.S | re.M):
        if named := re.findall(r"`([\w./]+\.(?:py|yml))`(?: \(new\))?:$", before, flags=re.M):
            name = named[-1]
        found.append((name, language, content))
    return found


def insert(text: str, change: str, name: str = "the file") -> str:
    """`text` with a block of ` `, `+` and `-` lines carried out; the lines that are there already must be found once, together.

    `...` is whatever stands there: the same, in the same order, in the lines before and after the change.

    Raises:
        ValueError: they are not.
    """
    lines = change.splitlines()
    old = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("+"))
    new = "".join(f"{line[1:]}\n" for line in lines if not line.startswith("-"))
    found = list(re.finditer("^" + re.escape(old).replace(re.escape("..."), "(.*?)"), text, flags=re.M))
    if len(found) != 1:
        raise ValueError(f"{name} has {len(found)} times the lines\n{old}")
    for kept in found[0].groups():
        new = new.replace("...", kept.replace("...", "\0"), 1)
    return text[: found[0].start()] + new.replace("\0", "...") + text[found[0].end() :]


def carry_out(section: str, root: Path) -> None:
    """Write the new files and make the changes of a section in a copy of the project."""
    for name, language, content in blocks(section):
        path = root / name
        if language == "diff":
            path.write_text(insert(path.read_text(encoding="utf-8"), content, name), encoding="utf-8")
        elif f"`{name}` (new):\n\n```{language}\n{content}" in section:
            if path.exists():
                raise ValueError(f"{name} is called new and is there already")
            path.write_text(content, encoding="utf-8")


def commands(section: str) -> list[str]:
    """Lines of the `sh` blocks: what the example asks to be tried."""
    return [line for _, language, content in blocks(section) if language == "sh" for line in content.splitlines()]
