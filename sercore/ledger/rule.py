"""The verdict on a published number, by a rule fixed before the runs.

In this order, the first that applies:

    not run                    no run of ours measures it; the reason names the corpus or device that is missing
    inconsistent               the source contradicts itself there
    not comparable             other corpus, split or metric, or a value that the source only cites
    not decidable              fewer than six test speakers or five seeds, or a detectable difference above five points
    direction, reduced size    the most that a network, input or schedule smaller than the source's can earn
    reproduced                 the published value lies inside our 95 % prediction interval for the same protocol
    direction                  the paired interval of the difference excludes zero with the published sign
    not reproduced             neither

Facts and settings need no run: as stated, differs (on purpose, the switch is named), inconsistent, not comparable (the source states no
value, or cites one), not checked yet (only while the chapter of that system is not built).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from sercore.stats import Interval

NOT_RUN = "not run"
INCONSISTENT = "inconsistent"
NOT_COMPARABLE = "not comparable"
NOT_DECIDABLE = "not decidable"
REDUCED = "direction, reduced size"
REPRODUCED = "reproduced"
DIRECTION = "direction"
NOT_REPRODUCED = "not reproduced"
AS_STATED = "as stated"
DIFFERS = "differs"
NOT_CHECKED = "not checked yet"
#: Every verdict, in the order in which tables and figures show them.
VERDICTS = (
    REPRODUCED,
    DIRECTION,
    REDUCED,
    NOT_REPRODUCED,
    NOT_DECIDABLE,
    NOT_COMPARABLE,
    INCONSISTENT,
    AS_STATED,
    DIFFERS,
    NOT_RUN,
    NOT_CHECKED,
)
#: Verdicts that still wait for something; the others are judgements.
OPEN = (NOT_RUN, NOT_CHECKED)

MIN_SPEAKERS, MIN_SEEDS, MAX_DETECTABLE = 6, 5, 0.05


@dataclass(frozen=True)
class Verdict:
    """One verdict and why, in words."""

    name: str
    reason: str


@dataclass(frozen=True)
class Measured:
    """Ours for one published number, fractions.

    Attributes:
        estimate: mean over seeds (of a difference, a recall, ...).
        prediction: where a new measurement like the published one would lie.
        n_speakers, n_seeds: that ours rests on; of two groups the smaller.
        detectable: difference that would be found with 80 % power.
        difference: paired interval over speakers, for a published difference of two systems.
        reduced: ours has a smaller network, input or schedule.
        other: what is other than published (corpus, split, metric), empty where nothing is.
    """

    estimate: float
    prediction: Interval | None
    n_speakers: int
    n_seeds: int
    detectable: float
    difference: Interval | None = None
    reduced: bool = False
    other: str = ""


def judge(
    published: float | None, ours: Measured | None, missing: str = "", contradiction: str = "", published_difference: float | None = None
) -> Verdict:
    """The rule above for a number that has to be measured.

    Args:
        published: the printed value as a fraction; None where it is no number.
        ours: what we measured; None where nothing was run.
        missing: what a run would need, for `not run`.
        contradiction: how the source contradicts itself there, if it does.
        published_difference: the printed value minus that of its baseline, for a score that is compared to one; None where the printed
            value is the difference itself.

    Returns:
        Verdict and reason. A contradiction is added to the reason of a number that was not run.
    """
    if ours is None:
        also = f" The source also contradicts itself here: {contradiction}" if contradiction else ""
        return Verdict(NOT_RUN, (missing or "no run of ours measures it") + "." + also)
    if contradiction:
        return Verdict(INCONSISTENT, contradiction)
    if ours.other or published is None:
        return Verdict(NOT_COMPARABLE, f"ours has {ours.other}." if ours.other else "the printed value is no number.")
    if weakness := _undecidable(ours):
        return Verdict(NOT_DECIDABLE, weakness)
    found = _points(ours.difference, "difference over speakers") if ours.difference else ""
    same_sign = ours.difference is not None and _same_sign(
        published if published_difference is None else published_difference, ours.difference
    )
    if ours.reduced:
        if same_sign:
            return Verdict(REDUCED, f"a smaller run than published has the published sign: {found}.")
        return Verdict(NOT_REPRODUCED, f"a smaller run than published does not show it{f': {found}' if found else ''}.")
    assert ours.prediction is not None  # five seeds have a spread
    where = f"published {100 * published:.1f}, ours would give {_points(ours.prediction, ours.prediction.about)}"
    if published in ours.prediction:
        return Verdict(REPRODUCED, f"{where}.")
    side = "above" if published > ours.prediction.high else "below"
    if same_sign:
        return Verdict(DIRECTION, f"{where}: the published value lies {side}, but the sign holds: {found}.")
    return Verdict(NOT_REPRODUCED, f"{where}: the published value lies {side}{f'; {found}' if found else ''}.")


def judge_fact(
    agrees: bool | None,
    ours: str,
    where: str,
    *,
    contradiction: str = "",
    comparable: bool = True,
    remark: str = "",
    missing: str = "the check looks at stored runs, and there are none yet",
    why: str = "the source states no value",
) -> Verdict:
    """The rule for a fact or a setting.

    Args:
        agrees: whether ours is what was printed; None where the check needs a run that is not stored.
        ours: our value, in words.
        where: what holds it.
        contradiction: how the source contradicts itself there, if it does.
        comparable: False where the source states no value or only cites one, or ours cannot be set beside it.
        remark: why ours differs and which switch changes it; also said of what agrees.
        missing: what a check without a value waits for.
        why: what stands in the way of a comparison.
    """
    said = f" {remark}" if remark else ""
    if agrees is None and comparable:
        also = f" The source also contradicts itself here: {contradiction}" if contradiction else ""
        return Verdict(NOT_RUN, f"{missing}.{said}{also}")
    if contradiction:
        return Verdict(INCONSISTENT, f"{contradiction}{f' Ours: {ours} ({where}).' if ours else ''}")
    if not comparable:
        return Verdict(NOT_COMPARABLE, f"{why}; ours is {ours} ({where}).{said}" if ours else f"{where}.{said}")
    if agrees:
        return Verdict(AS_STATED, f"ours is {ours} ({where}).{said}")
    return Verdict(DIFFERS, f"ours is {ours} ({where}).{said}")


def _undecidable(ours: Measured) -> str:
    if not math.isfinite(ours.estimate):
        return "ours is NaN: a run gave no score."
    if ours.n_speakers < MIN_SPEAKERS:
        return f"{ours.n_speakers} test speakers, {MIN_SPEAKERS} are needed."
    if ours.n_seeds < MIN_SEEDS:
        return f"{ours.n_seeds} seeds, {MIN_SEEDS} are needed."
    if not ours.detectable <= MAX_DETECTABLE:
        return f"only a difference of {100 * ours.detectable:.1f} points or more would be found; {100 * MAX_DETECTABLE:.0f} are allowed."
    return ""


def _same_sign(published: float, difference: Interval) -> bool:
    return (difference.low > 0 and published > 0) or (difference.high < 0 and published < 0)


def _points(interval: Interval, about: str) -> str:
    return f"{100 * interval.estimate:.1f} [{100 * interval.low:.1f}, {100 * interval.high:.1f}] ({about})"
