"""Seeds that were published before stand beside those that are published now: a grid may be done, and published, seed by seed."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd

from sercore.errors import StoreError
from sercore.results import HISTORY_COLUMNS, Results, load_results


def joined(chapter: str, results: Results) -> Results:
    """The rows to publish: those given, and of the same groups the seeds that were published before and are not among them.

    A group whose specification, code revisions or recordings differ from the published ones is taken as given: its old seeds are runs of
    something else.

    Args:
        chapter: name of the chapter.
        results: of `sercore.publication.finished_results`.

    Returns:
        Rows for `sercore.results.publish`; the mean of a learning curve is weighed by how many runs each part has at an epoch.

    Raises:
        StoreError: some of the published seeds are given again, others are not, and there are new ones beside.
    """
    old = load_results(chapter)
    kept = {group: seeds for group in results.groups["group"] if (seeds := _other_seeds(old, results, group))}
    if not kept:
        return results
    runs, counts = (_with(getattr(results, name), getattr(old, name), kept) for name in ("runs", "counts"))
    seeds = runs.groupby("group")["seed"].nunique()
    groups = results.groups.assign(seeds=[int(seeds[group]) for group in results.groups["group"]])
    curves = [_curves(old, results, group) for group in kept]
    curves.append(results.history[~results.history["group"].isin(kept)])
    history = pd.concat([part for part in curves if len(part)] or [results.history], ignore_index=True)
    return replace(results, groups=groups, runs=runs, counts=counts, history=history)


def _other_seeds(old: Results, new: Results, group: str) -> set[int]:
    """Published seeds of a group that are not given now, where both are runs of the same thing."""
    before, now = (part.runs[part.runs["group"].eq(group)] for part in (old, new))
    if before.empty or old.specs.get(group) != new.specs.get(group):
        return set()
    if any(set(before[column]) != set(now[column]) for column in ("revisions", "data_fingerprint")):
        return set()
    published, given = set(before["seed"]), set(now["seed"])
    if (again := published & given) and not (given <= published or published <= given):
        raise StoreError(
            f"{group}: seeds {_listed(again)} are published already, seeds {_listed(published - given)} are not in this store, and a curve "
            "cannot be taken apart: publish where all are, or only those that are new"
        )
    return published - given


def _listed(seeds: set[int]) -> str:
    return ", ".join(map(str, sorted(seeds)))


def _with(new: pd.DataFrame, old: pd.DataFrame, kept: dict[str, set[int]]) -> pd.DataFrame:
    mine = [seed in kept.get(group, ()) for group, seed in zip(old["group"], old["seed"], strict=True)]
    return pd.concat([new, old[mine]], ignore_index=True)


def _curves(old: Results, new: Results, group: str) -> pd.DataFrame:
    """Learning curves of the joined seeds of a group."""
    mine, before = (part.history[part.history["group"].eq(group)] for part in (new, old))
    given, published = (set(part.runs.loc[part.runs["group"].eq(group), "seed"]) for part in (new, old))
    if before.empty or given <= published:
        return before if len(before) else mine
    both = pd.concat([_counted(before, old, group), _counted(mine, new, group)])
    both = both.assign(mean=both["mean"] * both["runs"])
    pooled = {"mean": "sum", "low": "min", "high": "max", "runs": "sum"}
    found = both.groupby(["group", "epoch", "quantity"], sort=False, as_index=False).agg(pooled)
    return found.assign(mean=found["mean"] / found["runs"])[HISTORY_COLUMNS]


def _counted(history: pd.DataFrame, results: Results, group: str) -> pd.DataFrame:
    """With how many runs each mean is over; rows from before that was written are over all runs."""
    return history.assign(runs=history["runs"].fillna(results.runs["group"].eq(group).sum()))
