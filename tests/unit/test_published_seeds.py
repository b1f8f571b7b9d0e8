"""Seeds published one after the other become one group; what does not belong together is not put together."""

from dataclasses import replace

import pandas as pd
import pytest

from sercore import published_seeds
from sercore.errors import StoreError
from sercore.results import Results, empty_results

GROUP = "emodb.a1.definition.strict.pairs_5"


def rows(seeds, folds=2, level=0.5, revisions="model=1", group=GROUP, data="d"):
    runs = [
        {"group": group, "seed": seed, "fold": fold, "run_id": f"{seed}{fold}", "revisions": revisions, "data_fingerprint": data}
        for seed in seeds
        for fold in range(folds)
    ]
    counts = [{"group": group, "seed": r["seed"], "fold": r["fold"], "speaker": "03", "truth": "anger", "anger": 4} for r in runs]
    curve = {"group": group, "epoch": 1, "quantity": "validation_uar", "mean": level, "low": level, "high": level, "runs": len(runs)}
    groups = pd.DataFrame([{"group": group, "seeds": len(seeds), "folds": folds}])
    return Results(groups, pd.DataFrame(counts), pd.DataFrame(runs), pd.DataFrame([curve]), {group: {"epochs": 15}})


def join(monkeypatch, old, new):
    monkeypatch.setattr(published_seeds, "load_results", lambda chapter: old)
    return published_seeds.joined("chapter", new)


def test_a_new_seed_joins_those_that_are_published(monkeypatch):
    found = join(monkeypatch, rows([0, 1, 2], level=0.4), rows([3], level=0.8))
    assert sorted(found.runs["seed"].unique()) == [0, 1, 2, 3]
    assert len(found.counts) == len(found.runs) == 8
    assert found.groups["seeds"].tolist() == [4]
    (curve,) = found.history.to_dict("records")
    assert curve["mean"] == pytest.approx((3 * 0.4 + 0.8) / 4)
    assert (curve["low"], curve["high"], curve["runs"]) == (0.4, 0.8, 8)


def test_curves_without_a_number_of_runs_count_all(monkeypatch):
    old = rows([0, 1, 2], level=0.4)
    old.history = old.history.assign(runs=float("nan"))
    assert join(monkeypatch, old, rows([3], level=0.8)).history["mean"].tolist() == pytest.approx([0.5])


@pytest.mark.parametrize(
    ("old", "new"),
    [(rows([0]), rows([1], revisions="model=2")), (rows([0]), rows([1], data="other")), (rows([0, 1]), rows([0, 1, 2])),
     (rows([0], group="another"), rows([1])), (empty_results(), rows([1]))],
)  # fmt: skip
def test_runs_of_something_else_and_seeds_that_are_all_given_are_not_joined(monkeypatch, old, new):
    assert join(monkeypatch, old, new) is new


def test_another_specification_is_not_joined(monkeypatch):
    new = rows([1])
    assert join(monkeypatch, replace(rows([0]), specs={GROUP: {"epochs": 500}}), new) is new


def test_seeds_that_are_published_already_change_nothing(monkeypatch):
    found = join(monkeypatch, rows([0, 1, 2], level=0.4), rows([1], level=0.4))
    assert found.groups["seeds"].tolist() == [3]
    assert found.history["runs"].tolist() == [6]
    assert not found.runs.duplicated(["seed", "fold"]).any()


def test_curves_that_cannot_be_taken_apart_are_refused(monkeypatch):
    with pytest.raises(StoreError, match="seeds 2 are published already, seeds 0, 1 are not in this store"):
        join(monkeypatch, rows([0, 1, 2]), rows([2, 3]))
