"""The report of an audit: one line a check, then what was found."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sercore.leak_audit.cases import Case
from sercore.leak_audit.checks import CHECKS, Check
from sercore.leak_audit.outcome import FOUND, NOT_FOUND, UNCHECKED, Outcome

SHOWN = 6  # findings of one kind, and items of one finding, in the text form; the JSON form has all


@dataclass(frozen=True)
class AuditLine:
    """One check and its outcome."""

    check: Check
    outcome: Outcome

    @property
    def undeclared(self) -> bool:
        """Something was found that needs a declaration and has none."""
        return not self.check.reported and any(not found.permitted_by for found in self.outcome.found)

    @property
    def declared(self) -> str:
        """`reported only`, the leaks that permit what was found, or `NOT declared`; empty where nothing was found."""
        if self.outcome.state != FOUND:
            return ""
        if self.check.reported:
            return "reported only"
        return "NOT declared" if self.undeclared else ", ".join(sorted({found.permitted_by for found in self.outcome.found}))


@dataclass(frozen=True)
class AuditReport:
    """Every check on one case."""

    what: str
    declared: tuple[str, ...]
    record: str
    lines: tuple[AuditLine, ...]

    @property
    def ok(self) -> bool:
        """No undeclared leak was found; what could not be checked does not count, and is named."""
        return not any(line.undeclared for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        """The report as plain data, with `ok`."""
        checks = [
            {
                "kind": line.check.kind,
                "question": line.check.question,
                "state": line.outcome.state,
                "declared": line.declared,
                "why": line.outcome.why,
                "found": [asdict(found) for found in line.outcome.found],
            }
            for line in self.lines
        ]
        return {"ok": self.ok, "what": self.what, "declared": list(self.declared), "record": self.record, "checks": checks}

    def text(self) -> str:
        """The report as text."""
        head = [self.what, f"declared leaks: {', '.join(self.declared) or 'none'}", *([self.record] if self.record else []), ""]
        wide = max(len(line.check.kind) for line in self.lines)
        rows = [f"{line.check.kind:<{wide}}  {line.outcome.state:<{len(UNCHECKED)}}  {_note(line)}".rstrip() for line in self.lines]
        found = [text for line in self.lines if line.outcome.found for text in ("", *_findings(line))]
        return "\n".join([*head, *rows, *found, "", self.verdict()])

    def verdict(self) -> str:
        """The last line: what was found undeclared, or that nothing was, and how much could not be checked."""
        blind = [line.check.kind for line in self.lines if line.outcome.state == UNCHECKED]
        unseen = f"; {len(blind)} of {len(self.lines)} kinds could not be checked" if blind else ""
        bad = [line.check.kind for line in self.lines if line.undeclared]
        if bad:
            return f"{len(bad)} kind{'s' * (len(bad) > 1)} of undeclared leak: {', '.join(bad)}: split it apart, or declare it{unseen}"
        return f"no undeclared leak was found{unseen}"


def _note(line: AuditLine) -> str:
    return "; ".join(part for part in (line.declared, line.outcome.why) if part) or ("" if line.outcome.found else line.check.question)


def _findings(line: AuditLine) -> list[str]:
    shown = []
    for found in line.outcome.found[:SHOWN]:
        state = "" if line.check.reported else f"; {'declared as ' + found.permitted_by if found.permitted_by else 'NOT declared'}"
        more = f" and {len(found.items) - SHOWN} more" if len(found.items) > SHOWN else ""
        items = f": {', '.join(found.items[:SHOWN])}{more}" if found.items else ""
        shown.append(f"{line.check.kind}: {found.message}{state}{items}")
    rest = len(line.outcome.found) - SHOWN
    return shown + ([f"{line.check.kind}: and {rest} more (--json lists all)"] if rest > 0 else [])


def audit(case: Case, checks: Sequence[Check] = CHECKS) -> AuditReport:
    """Look for every kind of leak.

    Args:
        case: of `case_of`.
        checks: what to look for.

    Returns:
        The report, one line a check.
    """
    lines = tuple(AuditLine(check, check.look(case)) for check in checks)
    assert all(line.outcome.state in (FOUND, NOT_FOUND, UNCHECKED) for line in lines)
    return AuditReport(case.what, case.declared, _from_record(case), lines)


def _from_record(case: Case) -> str:
    """What the run itself wrote down when its sides were made."""
    if not case.record or "overlaps_found" not in case.record:
        return ""
    found = ", ".join(case.record["overlaps_found"]) or "none"
    looked = case.record.get("overlaps_checked")
    return f"the run's own record: overlaps found: {found}; looked for: {', '.join(looked) if looked else 'not written down'}"
