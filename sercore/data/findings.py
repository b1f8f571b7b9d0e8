"""What an audit found, as plain data and as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

SHOWN = 12  # findings of one kind in the text form; the JSON form has all
LISTED = 100  # classes or speakers in the text form


@dataclass(frozen=True)
class Finding:
    """One thing found: `kind` in one word, `message` says what it is and the mend, `files` are relative paths or item ids."""

    kind: str
    message: str
    files: tuple[str, ...] = ()


@dataclass(frozen=True)
class Count:
    """Files found beside files expected."""

    found: int
    expected: int


@dataclass(frozen=True)
class CorpusReport:
    """What a corpus folder holds, beside its card. `notes` are known oddities of the official release, `problems` all else."""

    corpus: str
    root: str
    files: Count
    classes: dict[str, Count]
    speakers: dict[str, Count]
    problems: list[Finding] = field(default_factory=list)
    notes: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """No problem was found; notes do not count."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, with `ok`."""
        return {"ok": self.ok, **asdict(self)}

    def table(self) -> str:
        """The report as text: counts, then notes, then problems."""
        lines = [f"{self.corpus}: {self.files.found} files, the card says {self.files.expected}"]
        for title, counts in (("class", self.classes), ("speaker", self.speakers)):
            if len(counts) > LISTED:
                lines += ["", f"{title:<14}{len(counts)} of them, too many to list (the JSON form has all)"]
                continue
            lines += ["", f"{title:<14}{'found':>7}{'card':>7}"]
            stated = any(c.expected for c in counts.values())
            lines += [
                f"{key:<14}{c.found:>7}{c.expected:>7}{'  <-' if stated and c.found != c.expected else ''}" for key, c in counts.items()
            ]
        lines += [*_listed("note", self.notes), *_listed("problem", self.problems), ""]
        count = len(self.problems)
        return "\n".join([*lines, "ok" if self.ok else f"{count} problem{'s' if count > 1 else ''}"])


def _listed(title: str, findings: list[Finding]) -> list[str]:
    """A line a finding, the first few of each kind."""
    seen: Counter[str] = Counter()
    lines = [""] if findings else []
    for finding in findings:
        seen[finding.kind] += 1
        if seen[finding.kind] <= SHOWN:
            lines.append(f"{title}: {finding.kind}: {finding.message}")
    return lines + [f"{title}: {kind}: and {n - SHOWN} more (the JSON form lists all)" for kind, n in seen.items() if n > SHOWN]
