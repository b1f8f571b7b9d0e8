"""The price list says what the counts say, in words and in the figure."""

import numpy as np
import pandas as pd
import pytest

from sercore import stats
from sercore.conditions import CONDITIONS
from sercore.pages import prices
from sercore.pages.overview import STORED, THIS_BUILD, Source
from sercore.plots import prices as figures
from sercore.results import GROUP_COLUMNS, HISTORY_COLUMNS, Results

#: Recordings of 10 a class that each condition gets right more often than strict, for every speaker.
GAINS = {"strict": 0, "speaker_overlap": 3, "global_normaliser": 0, "level_filter": 1, "all_leaks": 4}


def made(gains=GAINS, seeds=5, speakers=8, kept=None) -> Results:
    """Two classes, `speakers` people; the level filter leaves out two recordings of fear."""
    groups, counts, runs = [], [], []
    base = dict.fromkeys(GROUP_COLUMNS, "") | {"corpus": "emodb", "task": "emotion", "variant": "definition", "system": "reslstm_sa_h32"}
    for name, gain in gains.items():
        condition = CONDITIONS[name]
        group = f"emodb.reslstm_sa_h32.definition.{name}.{condition.scheme('pairs_5')}"
        extent = {"folds": 5, "seeds": seeds, "profile": "full", "split": condition.scheme("pairs_5")}
        groups.append(base | extent | {"group": group, "leaks": "+".join(condition.leaks), "protocol": name})
        runs.append({"group": group, "finished_at": "2026-11-20 10:00", "device": "cpu", "code_commit": "abc", "code_clean": True})
        people = range(kept if kept is not None and name == "speaker_overlap" else speakers)
        for seed in range(seeds):
            for speaker in people:
                right = 4 + speaker % 3 + gain - (seed == 0)
                fear = 8 if name == "level_filter" else 10
                for truth, pair in (("calm", (right, 10 - right)), ("fear", (max(fear - right, 0), min(right, fear)))):
                    row = {"group": group, "seed": seed, "fold": 0, "speaker": str(speaker), "truth": truth}
                    counts.append(row | dict(zip(("calm", "fear"), pair, strict=True)))
    return Results(pd.DataFrame(groups), pd.DataFrame(counts), pd.DataFrame(runs), pd.DataFrame(columns=HISTORY_COLUMNS))


@pytest.fixture
def rows() -> pd.DataFrame:
    return prices.prices(made(), "emodb").set_index("condition")


def test_prices_are_the_planted_ones(rows):
    assert rows["price"]["speaker_overlap"] == pytest.approx(0.3)
    assert rows["price"]["global_normaliser"] == 0
    assert rows["uar"]["strict"] == pytest.approx(np.mean([[4 + s % 3 - (k == 0) for s in range(8)] for k in range(5)]) / 10)
    assert pd.isna(rows["price"]["strict"])
    assert list(rows.index) == ["strict", "speaker_overlap", "global_normaliser", "level_filter", "best_of_seeds", "all_leaks"]


def test_best_of_seeds_is_the_maximum_less_the_mean(rows):
    cube = stats.cube(made(gains={"strict": 0}).counts)
    assert rows["price"]["best_of_seeds"] == pytest.approx(cube.scores().max() - cube.scores().mean())
    assert pd.isna(rows["p"]["best_of_seeds"])
    assert prices.finding(rows.reset_index().set_index("condition", drop=False).loc["best_of_seeds"]) == "by construction"


def test_findings_follow_the_interval_and_the_extent():
    row = {"condition": "speaker_overlap", "speakers": 8, "seeds": 5, "price": 0.1, "low": 0.02, "high": 0.2}
    assert prices.finding(row) == "raises"
    assert prices.finding(row | {"low": -0.01}) == "not shown"
    assert prices.finding(row | {"low": -0.2, "high": -0.1}) == "lowers"
    assert prices.finding(row | {"seeds": 4}) == "not decidable"
    assert prices.finding(row | {"speakers": 5}) == "not decidable"


def test_a_condition_tested_on_other_speakers_is_caught():
    row = prices.prices(made(kept=6), "emodb").set_index("condition", drop=False).loc["speaker_overlap"]
    assert pd.isna(row["price"])
    assert prices.finding(row) == "not comparable: other speakers"


def test_left_out_recordings_are_counted_by_class():
    html = prices.filtered([Source(STORED, made())]).to_html()
    assert "16 of 160" in html
    assert "fear 16 of 80" in html
    assert "calm 0" not in html


def test_the_answer_is_of_stored_rows_only():
    live = Source(THIS_BUILD, made())
    assert prices.answer([live], ["emodb"]) == "Not run in full on emodb."
    whole = dict.fromkeys(CONDITIONS, 0) | GAINS
    said = prices.answer([live, Source(STORED, made(gains=whole))], ["emodb", "ravdess"])
    assert "all leaks together add +40.0 points" in said
    assert "speaker overlap is the dearest, +30.0 points" in said
    assert said.endswith("Not run in full on ravdess.")
    said = prices.answer([Source(STORED, made(gains=whole, seeds=4))], ["emodb"])
    assert said.startswith("Not run in full on emodb: 4 of 5 seeds. So far: On emodb (")


def test_an_answer_from_a_part_of_the_conditions_is_caught():
    assert prices.answer([Source(STORED, made())], ["emodb"]) == "Not run in full on emodb."


def test_missing_conditions_are_shown_as_not_run():
    html = prices.table([Source(STORED, made())], ["emodb"]).to_html()
    assert html.count("not run") == len(CONDITIONS) - len(GAINS)
    assert prices.table([], ["emodb"]).to_html().count("not run") == 1
    assert "+30.0 [" in html


def test_the_figure_says_its_numbers():
    html = figures.price_list({"emodb": prices.prices(made(), "emodb")}, "a stamp").data
    assert "speakers on both sides +30.0" in html
    assert "a stamp" in html
    assert "Nothing to draw" in figures.price_list({"emodb": pd.DataFrame(columns=prices.COLUMNS)}, "").data


def test_unlike_recordings_widen_the_interval():
    results = made(gains={"strict": 0, "speaker_overlap": 3})
    ours, other = (stats.cube(results.counts, group) for group in results.groups["group"])
    same, unlike = stats.bootstrap_difference(ours, other), stats.bootstrap_difference_of_unlike(ours, other)
    assert same.estimate == unlike.estimate
    assert unlike.high - unlike.low > same.high - same.low
    with pytest.raises(ValueError, match="same speakers"):
        stats.bootstrap_difference_of_unlike(ours, stats.cube(made(gains={"strict": 0}, speakers=6).counts))
