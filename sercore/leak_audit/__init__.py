"""The leak audit: every kind of leak that is looked for in a split plan or a run, what was found, and what could not be checked."""

from sercore.leak_audit.cases import Case, case_of
from sercore.leak_audit.checks import CHECKS, Check
from sercore.leak_audit.report import AuditLine, AuditReport, audit

__all__ = ["CHECKS", "AuditLine", "AuditReport", "Case", "Check", "audit", "case_of"]
