"""The generated part of the page of all corpora."""

from __future__ import annotations

from pathlib import Path

from pieces import write_if_changed


def write_cards(root: Path) -> None:
    """Write book/_generated/corpora.md from the corpus cards and fold tables."""
    from sercore.pages.corpora_page import corpora_page

    write_if_changed(root / "book" / "_generated" / "corpora.md", corpora_page())
