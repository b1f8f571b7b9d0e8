"""Harder recordings and easier divisions: every network of chapter 5 under noise and in every division, as in Tables 5.3 to 5.5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sercore.anti_transfer_grid import PROMISED_TAP
from sercore.anti_transfer_tasks import DIVISIONS, NOISE_LEVELS
from sercore.errors import SpecError
from sercore.ledger.measurements import Measurements
from sercore.pages.anti_transfer import Row, in_words, ordered, origin_of, rows_of
from sercore.pages.overview import STORED, Source
from sercore.pages.tables import compact
from sercore.provenance import Table
from sercore.spec import RunSpec

#: Split schemes that are no division by speakers -> their name in the chapter's parameter `divisions`.
_DIVISIONS = {"random_5": "random", "positional_files": "random", "instruments_4": "instruments"}


def asked(words: str) -> tuple[list[str], list[str]]:
    """Levels of noise and divisions from words between commas, the plain ones first.

    Raises:
        SpecError: a word is neither (names those there are).

    Example:
        >>> asked("low, random")
        (['none', 'low'], ['speakers', 'random'])
    """
    given = [word.strip() for word in words.split(",") if word.strip()]
    if unknown := [word for word in given if word not in (*NOISE_LEVELS, *DIVISIONS)]:
        raise SpecError(f"unknown condition {', '.join(unknown)}; known: {', '.join([*NOISE_LEVELS, *DIVISIONS])}")
    noises, divisions = ([word for word in given if word in known] for known in (NOISE_LEVELS, DIVISIONS))
    return list(dict.fromkeys(["none", *noises])), list(dict.fromkeys(["speakers", *divisions]))


def at_taps(shown: Sequence[Source], taps: Sequence[str] = ()) -> list[Source]:
    """The sources without networks that are kept unlike, or frozen, at other taps than these: the chapter on layers shows those.

    A table of many taps would correct what was fixed beforehand for what was tried besides.

    Args:
        shown: of `sercore.pages.overview.sources`.
        taps: empty takes the one that was fixed beforehand.
    """
    wanted, found = ("", *(taps or (PROMISED_TAP,))), []
    for source in shown:
        other = {row.group["group"] for row in rows_of(source.results) if row.transfer.tap not in wanted}
        found.append(
            replace(source, results=source.results.of(group=[name for name in source.results.groups["group"] if name not in other]))
        )
    return found


def conditions_table(shown: Sequence[Source]) -> Table:
    """Accuracy and UAR of every network, by division and level of noise.

    Networks that were trained for an orthogonal task are left out; a group that two sources of one origin hold stands once. The thesis'
    tables print accuracies.
    """
    lines: dict[tuple[str, str], dict[str, Any]] = {}
    for source in ordered(shown):
        data, rows = Measurements(source.results), rows_of(source.results)
        heard = {parent.group for row in rows for parent in _ancestors(row.spec)}
        origin = "stored" if source.origin == STORED else source.origin
        for row in (one for one in rows if one.group["group"] not in heard):
            lines.setdefault((origin, row.group["group"]), _line(origin, row, data))
    found = sorted(lines.values(), key=lambda line: [line[key] for key in ("from", "corpus, label", "division", "_level")])
    for line in found:
        del line["_level"]
    caption = "With and without transfer, by division and noise"
    return compact(
        found or [{"transfer": "not run"}],
        caption,
        "at-conditions",
        ("accuracy [95 %]", "UAR [95 %]"),
        origin_of(shown),
        ("noise", "transfer"),
    )


def _line(origin: str, row: Row, data: Measurements) -> dict[str, Any]:
    group, spec = row.group, row.spec
    level = level_of(spec)
    return {
        "from": origin,
        "corpus, label": f"{group['corpus']}, {group['task']}",
        "division": f"{_DIVISIONS.get(spec.split.scheme, 'speakers')} ({spec.split.scheme})",
        "noise": level,
        "transfer": in_words(row.transfer),
        "accuracy [95 %]": data.in_words(group["group"], "accuracy"),
        "UAR [95 %]": data.in_words(group["group"], "uar"),
        "protocol": group["protocol"],
        "folds x seeds": f"{int(group['folds'])} x {int(group['seeds'])}",
        "recordings": str(int(group["n_items"])),
        "_level": list(NOISE_LEVELS).index(level.partition(":")[0]) if level.partition(":")[0] in NOISE_LEVELS else len(NOISE_LEVELS),
    }


def level_of(spec: RunSpec) -> str:
    """The level of noise of a run, by its name in Table 5.3 where it has one, and what is mixed in.

    Example:
        >>> from sercore.anti_transfer_grid import specs
        >>> [level_of(specs("emodb", "quick", noises=[name])[-1]) for name in ("none", "low")]
        ['none', 'low: ms_snsd at 20 to 40 dB']
    """
    noise = spec.data.noise
    if noise is None:
        return "none"
    bounds = (noise.lowest_snr_db, noise.highest_snr_db)
    name = next((name for name, known in NOISE_LEVELS.items() if known == bounds), "own")
    return f"{name}: {noise.corpus} at {bounds[0]:g} to {bounds[1]:g} dB"


def _ancestors(spec: RunSpec) -> list[RunSpec]:
    """The orthogonal tasks of a run; the first run of dual anti-transfer is none."""
    return [
        one for k, parent in enumerate(spec.parents) for one in ((parent,) if k not in spec.following else ()) + tuple(_ancestors(parent))
    ]
