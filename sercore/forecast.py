"""What a sweep would do: runs done, to do and failed, searches that come first, and an estimate of hours and disk with what it rests on."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sercore import tune
from sercore.errors import CorpusError, SpecError, StoreError
from sercore.experiment import BASELINES, identify
from sercore.grids import tuned
from sercore.prepare import corpus_of
from sercore.results import load_all
from sercore.spec import RunSpec
from sercore.store import RunStore

#: key of a slice -> what it is of a spec.
KEYS = {
    "corpus": lambda spec: spec.data.corpus,
    "protocol": lambda spec: spec.protocol,
    "system": lambda spec: spec.model.name,
    "variant": lambda spec: spec.model.variant,
    "settings": lambda spec: spec.settings,
    "task": lambda spec: spec.data.task,
    "split": lambda spec: spec.split.scheme,
    "fold": lambda spec: spec.split.fold,
    "seed": lambda spec: spec.seed,
}


def sliced(specs: Sequence[RunSpec], only: Iterable[str]) -> list[RunSpec]:
    """Those specs that a slice takes, in their order.

    Args:
        specs: of a grid.
        only: `KEY=VALUE[,VALUE...][,KEY=...]` with keys of KEYS; numbers may be ranges, `seed=0-2`.

    Raises:
        SpecError: a key is not known, or a value is none that the grid has.
    """
    wanted: dict[str, list[str]] = {}
    key = ""
    for word in (word.strip() for option in only for word in option.split(",") if word.strip()):
        name, equals, value = word.partition("=")
        key, value = (name, value) if equals else (key, word)
        if key not in KEYS:
            raise SpecError(f"a slice has no key {key or word!r}: write KEY=VALUE with one of {', '.join(KEYS)}")
        wanted.setdefault(key, []).extend(_counted(value))
    for key, values in wanted.items():
        there = list(dict.fromkeys(str(KEYS[key](spec)) for spec in specs))
        if unknown := [value for value in values if value not in there]:
            raise SpecError(f"no run of this grid has {key}={unknown[0]}; known: {', '.join(v or '(empty)' for v in there) or 'none'}")
        specs = [spec for spec in specs if str(KEYS[key](spec)) in values]
    return list(specs)


def _counted(value: str) -> list[str]:
    span = re.fullmatch(r"(\d+)-(\d+)", value)
    return [str(n) for n in range(int(span[1]), int(span[2]) + 1)] if span else [value]


@dataclass
class Forecast:
    """Numbers of a dry run.

    Attributes:
        runs: how many the grid has, those that others start from included.
        done, failed: of these, in the store.
        to_do: what is left, failed ones included.
        searches: names of the searches that come first; of the runs that wait for one it is not known whether they are done.
        elsewhere: corpus -> runs on recordings that are not on this machine; they are in none of the counts above.
        core_hours: estimate for `to_do`; None where nothing like them has been run.
        megabytes: the same for the disk.
        rests: what the estimate rests on -> how many runs.
        sizes: what the estimate of the disk rests on -> how many runs.
    """

    runs: int = 0
    done: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    to_do: int = 0
    searches: list[str] = field(default_factory=list)
    elsewhere: Counter[str] = field(default_factory=Counter)
    core_hours: float | None = None
    megabytes: float | None = None
    rests: Counter[str] = field(default_factory=Counter)
    sizes: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """Lines for the terminal."""
        failed = f" ({sum(self.failed.values())} failed before: {_listed(self.failed)}; tried again)" if self.failed else ""
        lines = [f"{self.runs} runs: {self.done} done, {self.to_do} to do{failed}"]
        if self.searches:
            lines.append(f"{len(self.searches)} searches first: {', '.join(self.searches[:4])}{' ...' if len(self.searches) > 4 else ''}")
        for corpus, runs in self.elsewhere.items():
            lines.append(f"{runs} runs more are on {corpus}, which is not on this machine: give --root {corpus}=DIR")
        if self.to_do:
            hours = "no estimate" if self.core_hours is None else f"{self.core_hours:.2f} core-hours"
            disk = "no estimate" if self.megabytes is None else f"{self.megabytes:.1f} MB"
            lines += [f"time: {hours}, {_rests(self.rests)}", f"disk: {disk}, {_rests(self.sizes)}"]
        return "\n".join(lines)


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{number} {name}" for name, number in counts.items())


def _rests(counts: Counter[str]) -> str:
    return "from " + "; ".join(f"{what}: {number} runs" for what, number in counts.items())


def forecast(
    chapter: str, grids: Sequence[Sequence[RunSpec]], roots: Mapping[str, str | Path] | None = None, store: RunStore | None = None
) -> Forecast:
    """What a sweep of these grids would find and do. Nothing is run; recordings are read, to name the runs.

    Args:
        chapter: whose searches a full grid without tuned values rests on; empty for specs that are as they are to be run.
        grids: lists of specs, one a group.
        roots: corpus name -> folder.
        store: None takes the default store.

    Returns:
        The numbers. Seconds are those of finished runs of the same group, else of the same system and corpus, in the store or published,
        by the epoch where the run has epochs: a run that stops early takes less.
    """
    store, found = store or RunStore(), Forecast()
    left, seen = list[RunSpec](), set[str]()
    for grid in grids:
        specs = list(grid)
        try:
            for spec in _with_parents(specs):
                corpus_of(spec, roots)
        except CorpusError:
            found.elsewhere.update(spec.data.corpus for spec in specs)
            continue
        try:
            specs = tuned(specs, chapter, roots, search=False) if chapter else specs
        except StoreError:
            found.searches += list(dict.fromkeys(tune.study_name(s) for s in specs if s.model.name not in BASELINES))
            left += specs
            found.runs += len(specs)
            continue
        for spec in _with_parents(specs):
            name = identify(spec, corpus_of(spec, roots), roots)
            if name in seen:
                continue
            seen.add(name)
            found.runs += 1
            if store.path(name).is_dir():
                found.done += 1
                continue
            left.append(spec)
            if failure := store.failure(name):
                found.failed[failure["kind"]] += 1
    found.searches = list(dict.fromkeys(found.searches))
    found.to_do = len(left)
    _estimate(found, left, store)
    return found


def _with_parents(specs: Iterable[RunSpec]) -> list[RunSpec]:
    return [each for spec in specs for each in [*_with_parents(spec.parents), spec]]


def _estimate(found: Forecast, left: Sequence[RunSpec], store: RunStore) -> None:
    """Median seconds and sizes of like runs, summed over what is left; runs without a like one are counted and said."""
    seconds, sizes = _measured(store)
    hours, megabytes = [], []
    for spec in left:
        like = [("finished runs of the same group", spec.group), ("finished runs of the same system and corpus", _like(spec))]
        words, cost = next(((w, seconds[key]) for w, key in like if seconds[key]), ("nothing like them, not in the sum", []))
        found.rests[words] += 1
        hours += [median(each(spec) for each in cost) * spec.threads / 3600] if cost else []
        words, size = next(((w, sizes[key]) for w, key in like if sizes[key]), ("nothing like them, not in the sum", []))
        found.sizes[words] += 1
        megabytes += [median(size) / 1e6] if size else []
    found.core_hours, found.megabytes = sum(hours) if hours else None, sum(megabytes) if megabytes else None


def _like(spec: RunSpec) -> str:
    return f"{spec.data.corpus} {spec.model.name}"


def _measured(store: RunStore) -> tuple[dict[str, list[Any]], dict[str, list[int]]]:
    """Group, or corpus and system -> a function of a spec that gives seconds, for each like run; and sizes in bytes."""
    seconds: dict[str, list[Any]] = defaultdict(list)
    sizes: dict[str, list[int]] = defaultdict(list)
    for record, size in store.kept():
        spec = RunSpec.model_validate(record["spec"])
        for key in (spec.group, _like(spec)):
            seconds[key].append(_cost(record.get("seconds_per_epoch"), record["seconds"]))
            sizes[key].append(size)
    for results in load_all().values():
        named = results.groups.set_index("group")[["corpus", "system"]].agg(" ".join, axis=1).to_dict()
        for run in results.runs.to_dict("records"):
            for key in (run["group"], named[run["group"]]):
                seconds[key].append(_cost(run["seconds_per_epoch"], run["seconds"]))
    return seconds, sizes


def _cost(per_epoch: float | None, whole: float) -> Any:
    known = per_epoch is not None and per_epoch == per_epoch and per_epoch > 0
    return lambda spec: per_epoch * spec.training.epochs if known else whole
