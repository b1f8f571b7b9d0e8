"""The sources' own averages, gains, ratios and p values, computed again from the rows they print.

A *statement* is one thing that a source says; where its words leave open how it was computed, each way is a *reading*. A statement
follows if one of its readings does. How near is near enough was fixed beforehand:

    follows                          within half a unit of the last printed digit (10 % where the source says "about"; below a bound)
    off by rounding or truncation    within twice that
    does not follow                  neither
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import pandas as pd

from sercore.arithmetic.rows import Printed
from sercore.ledger.claims import number

FOLLOWS, OFF, FAILS = "follows", "off by rounding or truncation", "does not follow"
_ORDER = (FOLLOWS, OFF, FAILS)
ABOUT = 0.1


@dataclass(frozen=True)
class Reading:
    """One way to compute what a source states.

    Attributes:
        area: table or section, as book/claims/recomputed.csv abbreviates it.
        quantity: what is computed.
        value: ours, in the unit of the printed number.
        printed: as printed.
        statement: what it is a reading of; empty: the only reading.
        ids: the printed number (or numbers, where two must agree) in claims.csv.
        rule: digits | about | below.
        slack: added to half a unit, where the printed number is itself a difference of rounded ones.
        decimals: of the printed number, where its text does not show them (1e7 stands in a column of two digits: 1.0).
    """

    area: str
    quantity: str
    value: float
    printed: str
    statement: str = ""
    ids: tuple[str, ...] = field(default=())
    rule: str = "digits"
    slack: float = 0.0
    decimals: int | None = None

    @property
    def claim(self) -> str:
        """Where the statement stands, and what it says."""
        return f"{self.area}: {self.statement or self.quantity}"

    @property
    def unit(self) -> float:
        """One unit of the last printed digit."""
        places = len(self.printed.partition(".")[2]) if self.decimals is None else self.decimals
        return 10.0**-places

    @property
    def verdict(self) -> str:
        """Whether the statement follows from the printed rows, in words.

        Raises:
            ValueError: the printed value is no number.
        """
        stated = number(self.printed)
        if stated is None:
            raise ValueError(f"{self.claim}: {self.printed!r} is no number to compare with")
        if self.rule == "below":
            return FOLLOWS if self.value < stated else FAILS
        near = (ABOUT * abs(stated) if self.rule == "about" else self.unit / 2) + self.slack
        distance = abs(self.value - stated) - 1e-9 * max(1.0, abs(stated))
        return FOLLOWS if distance <= near else OFF if distance <= 2 * near else FAILS


def stated(p: Printed, area: str, quantity: str, value: float, claim: str, statement: str = "", rule: str = "digits") -> Reading:
    """A reading of one printed number, as it stands in claims.csv."""
    return Reading(area, quantity, float(value), p.text(claim), statement, (claim,), rule)


def table(readings: Iterable[Reading]) -> pd.DataFrame:
    """One row a reading: its fields, `verdict`, and `claim_verdict`, the best verdict among the readings of the same statement.

    Raises:
        ValueError: two readings have the same area and quantity.
    """
    rows = [
        {"area": r.area, "quantity": r.quantity, "stated": r.printed, "recomputed": r.value, "verdict": r.verdict, "claim": r.claim}
        | {"ids": r.ids, "unit": r.unit, "rule": "difference" if r.slack else r.rule}
        for r in readings
    ]
    frame = pd.DataFrame(rows)
    if frame.duplicated(["area", "quantity"]).any():
        raise ValueError(f"computed twice: {frame.loc[frame.duplicated(['area', 'quantity']), 'quantity'].iloc[0]}")
    rank = frame["verdict"].map(_ORDER.index)
    return frame.assign(claim_verdict=rank.groupby(frame["claim"]).transform("min").map(dict(enumerate(_ORDER))))


def by_statement(readings: pd.DataFrame) -> pd.DataFrame:
    """One row a statement: `claim, area, stated, claim_verdict`, its nearest reading, how many `readings`, and `ids, unit, rule`."""
    rank = readings["verdict"].map(_ORDER.index)
    distance = (readings["recomputed"] - readings["stated"].map(number)).abs()
    nearest = readings.assign(rank=rank, distance=distance).sort_values(["rank", "distance"], kind="stable").groupby("claim", sort=False)
    rows = nearest.first().assign(readings=nearest.size(), ids=nearest["ids"].agg(lambda all_ids: tuple(dict.fromkeys(sum(all_ids, ())))))
    order = list(dict.fromkeys(readings["claim"]))
    columns = ["claim", "area", "stated", "claim_verdict", "quantity", "recomputed", "readings", "ids", "unit", "rule"]
    return rows.loc[order].reset_index()[columns]
