"""Fixtures shared by all tests, and the list of what was skipped."""

import os
from collections import Counter
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def project() -> Path:
    """The project's root."""
    return PROJECT


@pytest.fixture(scope="session")
def corpora_root() -> Path:
    """Folder with real recordings (ravdess/, emodb/, ...), from SERCORE_CORPORA."""
    folder = os.environ.get("SERCORE_CORPORA")
    if not folder:
        pytest.skip("SERCORE_CORPORA is not set: it names the folder of real recordings (ravdess/, emodb/, ...)")
    if not Path(folder).is_dir():
        pytest.skip(f"SERCORE_CORPORA={folder} is not a folder")
    return Path(folder)


def reason_of(report: pytest.TestReport) -> str:
    """Why a test was skipped, without file and line."""
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    return reason.removeprefix("Skipped: ")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with the number of tests that did not run, and why: a silent skip looks like a pass."""
    reasons = Counter(reason_of(report) for report in terminalreporter.stats.get("skipped", []))
    left_out = len(terminalreporter.stats.get("deselected", []))
    terminalreporter.section(f"not run: {sum(reasons.values())} skipped, {left_out} left out by marker or name")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:4d}  {reason}")
    if left_out:
        terminalreporter.write_line(f"{left_out:4d}  marked slow (python -m pytest -m slow), or not among the names asked for")
