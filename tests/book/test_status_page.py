"""The status page says of every chapter when, how long, on what and at which revision it ran; of stored runs, whether they are current."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import run_pages
import status_page

from sercore import publication
from sercore.results import load_all

PROJECT = Path(__file__).resolve().parents[2]


def chapter(name: str) -> SimpleNamespace:
    return SimpleNamespace(name=name, title=f"Title of {name}", seconds_quick=30)


def execute(root: Path, name: str, device: str = "cpu") -> Path:
    """An executed notebook as papermill and the build leave it."""
    group = {"chapter": name, "group": "g", "stored": False, "runs": [{"device": device}]}
    output = {"output_type": "display_data", "data": {run_pages.MIME: {"groups": [group], "inputs": []}}}
    made = {"duration": 12.4, "end_time": "2026-01-02T03:04:05", "parameters": {"corpora": "synthetic"}}
    path = root / "book" / "chapters" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": [{"outputs": [output]}], "metadata": {"papermill": made}}))
    return path


def test_every_chapter_is_listed_with_time_device_and_state(tmp_path):
    for name in ("one", "two"):
        status_page.annotate(execute(tmp_path, name), PROJECT)
    status_page.write_status(tmp_path, [chapter("one"), chapter("two")], {"two"}, "quick", {})
    text = (tmp_path / "book/_generated/status.md").read_text()
    rows = {name: next(line for line in text.splitlines() if f"chapters/{name}" in line) for name in ("one", "two")}
    assert "| 12 (30) | 2026-01-02 03:04 | synthetic | cpu |" in rows["one"]
    assert "kept: nothing it depends on has changed" in rows["one"]
    assert "ran in this build" in rows["two"]
    assert status_page.revision(PROJECT) in rows["two"]
    assert "| torch |" in text


def test_a_chapter_without_a_page_is_caught(tmp_path):
    execute(tmp_path, "one")
    with pytest.raises(FileNotFoundError, match="two"):
        status_page.write_status(tmp_path, [chapter("one"), chapter("two")], set(), "quick", {})


def test_a_chapter_made_with_other_versions_is_said(tmp_path):
    status_page.annotate(execute(tmp_path, "one"), PROJECT)
    row = status_page.chapters_run(tmp_path, [chapter("one")], set())[0]
    assert "made with others" not in status_page.versions_section([row])
    assert "Title of one: python 3.1" in status_page.versions_section([replace(row, python="3.1")])


def test_stored_runs_are_listed_and_stale_ones_named():
    folders = [p.parent.name for p in (PROJECT / "book/results").glob("*/groups.csv")]
    text = status_page.stored_section(PROJECT, {}, {}, "")
    assert all(f"(runs/{name}.md)" in text for name in folders)
    assert text.count("| current |") == len(folders)
    assert "3 by code that behaves otherwise: stale" in status_page.stored_section(PROJECT, {}, {folders[0]: 3}, "")


def test_stored_runs_of_older_behaviour_are_caught():
    """A run's name is computed again with the code as it is; another specification, or another behaviour, gives another name."""
    for chapter_name, results in load_all().items():
        assert publication.behind(results) == [], chapter_name
        group = results.groups["group"].iloc[-1]
        results.specs[group] = {**results.specs[group], "threads": 2}
        assert set(publication.behind(results)) == set(results.runs.loc[results.runs["group"] == group, "run_id"])
