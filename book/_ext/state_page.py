"""The generated part of the landing page: numbers judged, verdicts, stored runs, and what this build ran."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from freshness import chapter_key
from pieces import table, write_if_changed

#: Column heads of the landing page; anything else is shown by its name.
SHORT = {
    "qat_waspaa2023": "QAT 2023",
    "faca2022": "FACA 2022",
    "reslstm2026": "ResLSTM 2026",
    "humpcat2025": "HuMP-CAT 2025",
}


def numbers_section(state: Mapping[str, Any]) -> str:
    """How many published numbers there are, and the verdicts on them by source."""
    by_source, overall = state["by_source"], state["by_verdict"]
    head = ["verdict", *(SHORT.get(source, source) for source in by_source), "all"]
    rows = [[verdict, *(counts.get(verdict, 0) for counts in by_source.values()), f"**{count}**"] for verdict, count in overall.items()]
    rows.append(["**numbers**", *(f"**{sum(counts.values())}**" for counts in by_source.values()), f"**{state['total']}**"])
    return f"**{state['judged']} of {state['total']} published numbers judged**; the others wait.\n\n" + table(head, rows)


def runs_section(groups: Sequence[Mapping[str, Any]]) -> str:
    """What is stored from full runs: one line a group."""
    if not groups:
        return "No full run is stored yet."
    rows = [
        [g["system"], g["corpus"], f"{g['protocol']}, {g['variant']}"]
        + [f"{g['folds']} x {g['seeds']}", g["uar"], g["last run (UTC)"], g["device"]]
        for g in groups
    ]
    shown = table(["system", "corpus", "rules", "folds x seeds", "UAR", "last run (UTC)", "device"], rows)
    made_from = "[published numbers and settings](runs/inputs.md) and [the stored runs](runs.md), with their specifications and revisions"
    return f"{shown}\n\n{{.made-from}}\nfrom: {made_from}"


def build_section(root: Path, profile: str, titles: Mapping[str, str]) -> str:
    """What this build's pages were made from: each chapter with its parameters, date and duration, from the executed notebook."""
    rows = []
    for name, title in titles.items():
        made = json.loads((root / f"book/chapters/{name}.ipynb").read_text(encoding="utf-8"))["metadata"]["papermill"]
        corpora = made["parameters"].get("corpora", "")
        rows.append([f"[{title}](chapters/{name})", profile, corpora, f"{made['duration']:.0f}", made["end_time"][:16].replace("T", " ")])
    return table(["chapter", "profile", "corpora", "seconds", "ran at (UTC)"], rows)


def current_state(root: Path, cache: Path) -> Mapping[str, Any]:
    """`sercore.ledger.state()` and stored runs behind the code, kept until its sources, the claims or the results change."""
    kept = cache / f"state-{chapter_key(Path(__file__), {}, ['*'], root)}.json"
    if not kept.is_file():
        from sercore.ledger import state
        from sercore.publication import behind_by_chapter

        text = json.dumps({**state(), "behind": behind_by_chapter()}, default=str)
        for old in cache.glob("state-*.json"):
            old.unlink(missing_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        beside = kept.with_suffix(".part")
        beside.write_text(text, encoding="utf-8")
        beside.replace(kept)
    return json.loads(kept.read_text(encoding="utf-8"))


def write_state(root: Path, now: Mapping[str, Any], profile: str, titles: Mapping[str, str]) -> None:
    """Write book/_generated/state.md from `current_state`, only when it changes (Sphinx then leaves the page alone)."""
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
    write_if_changed(root / "book" / "_generated" / "state.md", text)
