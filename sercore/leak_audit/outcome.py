"""What a check says: found, not found, or could not be checked and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

FOUND, NOT_FOUND, UNCHECKED = "found", "not found", "could not be checked"


@dataclass(frozen=True)
class Found:
    """One thing found.

    Attributes:
        message: what.
        items: ids of the items that take part.
        permitted_by: the declared leak that covers it; empty where none does.
    """

    message: str
    items: tuple[str, ...] = ()
    permitted_by: str = ""


@dataclass(frozen=True)
class Outcome:
    """The answer of one check.

    Attributes:
        state: FOUND, NOT_FOUND or UNCHECKED.
        why: why it could not be checked, or what the answer rests on.
        found: what was found.
    """

    state: str
    why: str = ""
    found: tuple[Found, ...] = ()

    @classmethod
    def of(cls, found: Sequence[Found], why: str = "") -> Outcome:
        """FOUND with what was found, NOT_FOUND without."""
        return cls(FOUND if found else NOT_FOUND, why, tuple(found))


def unchecked(why: str) -> Outcome:
    """Could not be checked, and why."""
    return Outcome(UNCHECKED, why)
