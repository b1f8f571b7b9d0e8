"""Table and figure of what systems cost: they say what their rows say, also for old rows, for many systems and for none."""

import shutil

import numpy as np
import pandas as pd
import pytest

from sercore import results
from sercore.ledger.measurements import Measurements
from sercore.pages import resources as page
from sercore.pages.overview import STORED, THIS_BUILD, Source
from sercore.plots import resources as plot
from sercore.results import COST_COLUMNS, GROUP_COLUMNS, HISTORY_COLUMNS, RUN_COLUMNS, Results
from sercore.spec import RunSpec


def rows(n: int, corpus: str = "emodb", speakers: int = 3, **changes) -> Results:
    """n networks, each twice the size of the last and one recording of ten better, and one plain system."""
    groups, counts, runs = [], [], []
    for k in range(n + 1):
        system = f"net_{k}" if k < n else "functionals_svm"
        name = f"{corpus}.{system}"
        base = dict.fromkeys(GROUP_COLUMNS) | {"group": name, "corpus": corpus, "system": system, "protocol": "strict", "chapter": "x"}
        base |= {"variant": "definition", "split": "pairs_5", "folds": 5, "seeds": 2, "profile": "full", "task": "emotion"}
        size = 1_234_567 * 2**k
        cost = dict(zip(COST_COLUMNS, (size, size - 567, 567, size + 1_000, 7 * size, 90), strict=True)) if k < n else {}
        groups.append(base | cost | (changes if k < n else {}))
        for seed in range(2):
            for speaker in range(speakers):
                right = min(2 + k % 7 + speaker, 10)
                for truth, pair in (("calm", (right, 10 - right)), ("fear", (10 - right, right))):
                    keys = ("group", "seed", "fold", "speaker", "truth", "calm", "fear")
                    counts.append(dict(zip(keys, (name, seed, 0, str(speaker), truth, *pair), strict=True)))
            run = dict.fromkeys(RUN_COLUMNS) | {"group": name, "seed": seed, "device": "cpu", "threads": 1, "code_clean": True}
            timed = {"seconds_per_epoch": 0.5 * (k + 1) + seed, "peak_host_mb": 500.0 + 10 * seed + k} if k < n else {}
            runs.append(run | timed | {"code_commit": "abc", "finished_at": "2026-11-20 10:00"})
    parts = (pd.DataFrame(groups), pd.DataFrame(counts), pd.DataFrame(runs), pd.DataFrame(columns=HISTORY_COLUMNS))
    return Results(*parts)


def test_a_row_of_costs_is_that_of_its_group_and_runs():
    first = page.costs(Source(STORED, rows(2))).iloc[0]
    assert first[COST_COLUMNS].tolist() == [1_234_567, 1_234_000, 567, 1_235_567, 8_641_969, 90]
    assert first["seconds_per_epoch"] == 1.0  # median of 0.5 and 1.5
    assert first["peak_host_mb"] == 510
    assert np.isnan(first["peak_device_mb"])
    assert not first["counted_again"]
    assert first["uar"] == pytest.approx(0.3)
    assert first["low"] < 0.3 < first["high"]


def test_table_in_words():
    table = page.table([Source(STORED, rows(1))])
    line = table.data.to_dict("records")[0]
    assert line["parameters"] == "1.23 M / 567 / 1.24 M"
    assert line["MACs"] == "8.64 M (90 frames)"
    assert (line["s an epoch"], line["on"], line["host (MiB)"], line["GPU (MiB)"]) == ("1", "cpu, 1 thread", "510", "")
    assert table.data.to_dict("records")[1]["MACs"] == ""
    assert {i["path"] for i in table.origin.inputs} == {"sercore/resources.py"}
    assert len(table.origin.groups) == 2
    assert page.table([]).data["system"].tolist() == ["not run"]


def test_figure_says_its_numbers():
    given = rows(2)
    shown = plot.score_against_resources([Source(STORED, given)])
    said = f"net 0 {Measurements(given).in_words('emodb.net_0')} with 1.24 M parameters, 8.64 M MACs, 1 s an epoch"
    assert shown.data.count(said) == 2  # below and for those who do not see it
    assert "For scale: functionals svm 50.0 %" in shown.data
    assert "Not known" not in shown.data
    assert len(shown.origin.groups) == 3


@pytest.mark.parametrize("n", [1, 5, 20])
def test_one_to_twenty_systems(n):
    page_of = plot.score_against_resources([Source(STORED, rows(n))]).data
    assert f"on emodb, {n} systems" in page_of
    assert ("highest score: net 6" in page_of) == (n > 6)
    assert ("fewest parameters from waveform to answer" in page_of) == (n > 4)


def test_one_speaker_without_interval_and_rows_without_costs():
    small = rows(2, speakers=1, macs=None, macs_frames=None)
    shown = plot.score_against_resources([Source(THIS_BUILD, small.of(corpus="emodb"))]).data
    assert "net 0 20.0 % with" in shown
    assert "Not known for these rows: multiply-accumulates of one recording" in shown
    assert page.table([Source(THIS_BUILD, small)]).data["parameters"].tolist()[0] == "1.23 M"


def test_nothing_to_draw_is_said():
    assert "Not run" in plot.score_against_resources([]).data
    assert "Not run" in plot.score_against_resources([Source(STORED, rows(0))]).data
    assert "Not run" in plot.score_against_resources([Source(STORED, rows(1))], corpora=["ravdess"]).data


def test_points_of_equal_cost_are_set_apart_and_others_stay():
    places = plot._side_by_side(np.array([100.0, 100.0, 1e4, 100.0]))
    assert places[2] == pytest.approx(1e4)
    assert len(set(places.round(6))) == 4
    assert np.log10(places[[0, 1, 3]]).mean() == pytest.approx(2)
    crowd = np.log10(plot._side_by_side(np.full(20, 50.0)))
    assert np.ptp(crowd) < 0.1


@pytest.fixture
def old():
    """Rows as they were stored before operations were counted."""
    parts = {"data": {"corpus": "emodb"}, "split": {"scheme": "pairs_5"}, "model": {"name": "lstm_sa_h64"}}
    found = rows(1, system="lstm_sa_h64", **(dict.fromkeys(COST_COLUMNS) | {"parameters": 28_994}))
    found.specs = {"emodb.net_0": RunSpec.model_validate(parts).group_form()}
    return found


def test_old_rows_are_counted_again_from_their_specification(old):
    row = page.costs(Source(STORED, old)).iloc[0]
    assert row["counted_again"]
    assert row["macs_frames"] == 70  # three seconds of speech
    assert row["macs"] == 70 * (4 * 64 * (46 + 64) + 2 * 64) + 64 * 2  # two classes
    assert "1.98 M (70 frames*)" in page.table([Source(STORED, old)]).data["MACs"].tolist()


def test_old_rows_are_counted_for_the_length_of_newer_ones(old):
    newer = old.groups.iloc[0].to_dict() | {"group": "emodb.net_1", "macs": 5, "macs_frames": 33}
    old.groups = pd.concat([old.groups, pd.DataFrame([newer])], ignore_index=True)
    old.counts = pd.concat([old.counts, old.counts[old.counts["group"] == "emodb.net_0"].assign(group="emodb.net_1")], ignore_index=True)
    old.specs["emodb.net_1"] = old.specs["emodb.net_0"]
    assert page.costs(Source(STORED, old)).iloc[0]["macs_frames"] == 33


def test_a_network_that_is_no_longer_that_of_the_row_is_not_counted(old):
    old.groups.loc[0, "parameters"] = 28_995
    row = page.costs(Source(STORED, old)).iloc[0]
    assert np.isnan(row["macs"])
    assert not row["counted_again"]


def test_published_rows_from_before_load_with_the_columns_empty(tmp_path, monkeypatch):
    """The chapter's own rows, without the columns that came later."""
    shutil.copytree(results.results_folder("reslstm_sa"), tmp_path / "reslstm_sa")
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    found = results.load_results("reslstm_sa")
    assert list(found.groups.columns) == GROUP_COLUMNS
    assert list(found.runs.columns) == RUN_COLUMNS
    if "macs" not in (tmp_path / "reslstm_sa" / "groups.csv").read_text().splitlines()[0]:
        assert found.groups["macs"].isna().all()
        assert found.runs["peak_host_mb"].isna().all()


def test_long_counts_survive_a_round_through_files(tmp_path, monkeypatch):
    """More digits than the files keep of a measurement, beside rows that have none, and a second publication on top."""
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    made = rows(3)
    made.groups = made.groups.astype(results._WHOLE)
    made.runs["run_id"] = made.runs["group"] + made.runs["seed"].astype(str)
    made.runs["fold"] = 0
    for part in (made, made.of(system=["net_1"])):
        results.publish("x", part)
    found = results.load_results("x").groups.set_index("group")
    assert found.loc["emodb.net_0", "macs"] == 8_641_969
    assert found.loc["emodb.net_2", "pipeline_parameters"] == 4 * 1_234_567 + 1_000
    assert found.loc["emodb.functionals_svm", COST_COLUMNS].isna().all()
