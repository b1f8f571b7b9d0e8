"""The generated part of the landing page: numbers judged, verdicts, stored runs, and what this build ran."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from freshness import chapter_key


def table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A Markdown table; vertical bars in cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def numbers_section(state: Mapping[str, Any]) -> str:
    """How many published numbers there are, and the verdicts on them by source."""
    total, by_verdict, by_source = state["total"], dict(state["by_verdict"]), state["by_source"]
    verdicts = [verdict for verdict in by_verdict if any(counts.get(verdict) for counts in by_source.values())]
    rows = [[source, sum(counts.values()), *(counts.get(verdict, 0) for verdict in verdicts)] for source, counts in by_source.items()]
    rows.append(["**all**", f"**{total}**", *(f"**{by_verdict[verdict]}**" for verdict in verdicts)])
    head = f"**{state['judged']} of {total} published numbers judged**; the others wait for a run."
    return head + "\n\n" + table(["source", "numbers", *verdicts], rows)


def runs_section(records: Sequence[Mapping[str, Any]]) -> str:
    """What is stored from full runs: one line a group."""
    if not records:
        return "No full run is stored yet."
    columns = list(records[0])
    return table([column.replace("_", " ") for column in columns], [[record[column] for column in columns] for record in records])


def build_section(root: Path, profile: str, titles: Mapping[str, str]) -> str:
    """What this build's pages were made from: each chapter with its parameters, date and duration, from the executed notebook."""
    rows = []
    for name, title in titles.items():
        made = json.loads((root / f"book/chapters/{name}.ipynb").read_text(encoding="utf-8"))["metadata"]["papermill"]
        corpora = made["parameters"].get("corpora", "")
        rows.append([f"[{title}](chapters/{name})", profile, corpora, f"{made['duration']:.0f}", made["end_time"][:16].replace("T", " ")])
    return table(["chapter", "profile", "corpora", "seconds", "ran at (UTC)"], rows)


def current_state(root: Path, cache: Path) -> Mapping[str, Any]:
    """`sercore.ledger.state()`, kept until its sources, the claims or the stored results change."""
    kept = cache / f"state-{chapter_key(Path(__file__), {}, ['*'], root)}.json"
    if not kept.is_file():
        from sercore.ledger import state

        text = json.dumps(state(), default=str)
        for old in cache.glob("state-*.json"):
            old.unlink(missing_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        beside = kept.with_suffix(".part")
        beside.write_text(text, encoding="utf-8")
        beside.replace(kept)
    return json.loads(kept.read_text(encoding="utf-8"))


def write_state(root: Path, cache: Path, profile: str, titles: Mapping[str, str]) -> None:
    """Write book/_generated/state.md, only when it changes (Sphinx then leaves the page alone)."""
    now = current_state(root, cache)
    text = "\n\n".join(
        [
            numbers_section(now),
            "**Stored from full runs**, in the repository:",
            runs_section(now["groups"]),
            "**Run by this build:**",
            build_section(root, profile, titles),
            "",
        ]
    )
    target = root / "book" / "_generated" / "state.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.is_file() or target.read_text(encoding="utf-8") != text:
        target.write_text(text, encoding="utf-8")
