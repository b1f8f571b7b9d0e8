"""This build beside the stored rows: stamped apart, what is missing is said, and nothing quick answers the question."""

import numpy as np
import pandas as pd
import pytest

from sercore.pages import overview, tables
from sercore.results import Results, load_results, publish


def rows(corpus: str, protocol: str, seeds: int, gain: float, size: str = "h64", profile: str = "full") -> Results:
    """Two networks on 24 (RAVDESS) or 8 speakers, the second better by `gain`."""
    rng = np.random.default_rng(0)
    labels, groups, counts, runs = ["neutral", "anger"], [], [], []
    speakers = [str(s) for s in range(1, 25 if corpus == "ravdess" else 9)]
    for k, system in enumerate((f"lstm_sa_{size}", f"reslstm_sa_{size}")):
        split = {"ravdess": "luna_jimenez_5", "synthetic": "speakers_4"}[corpus]
        name = f"{corpus}.{system}.definition.{protocol}.{split}"
        groups.append(
            {
                "group": name,
                "chapter": "reslstm_sa",
                "corpus": corpus,
                "task": "emotion",
                "system": system,
                "variant": "definition",
                "protocol": protocol,
            }
            | {
                "leaks": "",
                "split": split,
                "folds": 5,
                "seeds": seeds,
                "n_items": 480,
                "n_speakers": len(speakers),
                "profile": profile,
                "parameters": 100,
            }
        )
        for seed in range(seeds):
            for speaker in speakers:
                for i, truth in enumerate(labels):
                    right = int(rng.binomial(20, 0.5 + gain * k))
                    pair = [right, 20 - right] if i == 0 else [20 - right, right]
                    counts.append(
                        {"group": name, "seed": seed, "fold": 0, "speaker": speaker, "truth": truth, **dict(zip(labels, pair, strict=True))}
                    )
            run = {
                "run_id": f"{name}{seed}",
                "group": name,
                "fold": 0,
                "seed": seed,
                "status": "finished",
                "device": "cpu",
                "code_commit": "0123456789",
            }
            runs.append(run | {"code_clean": True, "finished_at": "2026-11-20 12:00"})
    history = pd.DataFrame(columns=["group", "epoch", "quantity", "mean", "low", "high"])
    return Results(pd.DataFrame(groups), pd.DataFrame(counts), pd.DataFrame(runs), history, {g["group"]: {} for g in groups})


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    publish("reslstm_sa", rows("ravdess", "strict", 10, 0.2))
    return tmp_path


def test_without_stored_rows_everything_promised_is_not_run(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    shown = overview.sources("reslstm_sa", rows("synthetic", "strict", 2, 0.3, "h32", "quick"))
    assert overview.answer(shown).startswith("Not run: ")
    table = tables.runs("reslstm_sa", shown).data
    assert (table[table["from"] == "promised"]["UAR [95 %]"] == "not run").all()
    assert len(table[table["from"] == "promised"]) == 12
    assert "never compared" in overview.not_comparable(shown)
    assert "not a result about speech" in overview.cases(shown)[0].stamp
    assert tables.pairs(shown).data.iloc[-1]["difference [95 %]"] == "not run"
    assert set(tables.searches("reslstm_sa").data["trials"]) == {"not run"}


def test_stored_rows_answer_and_are_stamped(stored):
    shown = overview.sources("reslstm_sa", rows("synthetic", "strict", 2, 0.3, "h32", "quick"))
    assert overview.answer(shown).startswith("Yes: on ravdess")
    assert "Not run: ResLSTM-SA-h64 and LSTM-SA-h64 on emodb" in overview.answer(shown)
    first, second = overview.cases(shown)
    assert first.stamp == "stored full runs: ravdess, 5 of 5 folds, 10 seeds; 2026-11-20 12:00 UTC, cpu, revision 0123456"
    assert second.corpus == "synthetic"
    missing = overview.missing("reslstm_sa")
    assert not ((missing["protocol"] == "strict") & missing["corpus"].eq("ravdess") & missing["system"].str.contains("lstm")).any()
    assert set(tables.pairs(shown).data["from"]) == {"this build", "stored"}


def test_a_quick_run_that_stands_in_for_a_full_one_is_caught(tmp_path, monkeypatch):
    """However good this build's own run on RAVDESS is, the answer stays that nothing full was run."""
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    shown = overview.sources("reslstm_sa", rows("ravdess", "strict", 10, 0.3, profile="quick"))
    assert overview.answer(shown).startswith("Not run: ")


def test_fewer_seeds_than_promised_are_counted(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    publish("reslstm_sa", rows("ravdess", "strict", 6, 0.2))
    table = tables.runs("reslstm_sa", overview.sources("reslstm_sa")).data
    assert (table["UAR [95 %]"] == "not run in full (6 of 10 seeds)").sum() == 2


def test_the_pair_is_the_largest_size_that_has_both():
    groups = pd.DataFrame({"group": list("abc"), "system": ["lstm_sa_h64", "lstm_sa_h32", "reslstm_sa_h32"]})
    assert overview._pair(groups, ("h64", "h32", "h128")) == ("b", "c")


def test_table_one_is_shown_with_verdicts_reasons_and_without_empty_columns(stored):
    page = tables.published(load_results("reslstm_sa"), "reslstm2026", "Table I").data
    assert "ours, strict" in page
    assert "ours, paper protocol" in page  # the numbers of parameters are there without a run
    assert "ours, paper protocol" not in tables.published(load_results("reslstm_sa"), "reslstm2026", "Sec. IV-A").data
    assert "<details>" in page
    assert "not run" in page
    assert "- stored full runs: ravdess" in tables.provenance(overview.sources("reslstm_sa"))
    counted = tables.verdict_counts(load_results("reslstm_sa"), "reslstm2026").data
    assert {"as stated", "not run"} <= set(counted["verdict"])


def test_stored_embeddings_are_shown_and_no_frames(stored):
    kept = load_results("reslstm_sa")
    run = kept.runs[kept.runs["group"].str.contains("reslstm")].iloc[0]
    kept.extras["embeddings"] = pd.DataFrame({"run_id": [run["run_id"]], "item_id": ["a"]})
    (inside,) = overview.inside([overview.Source(overview.STORED, kept)])
    assert inside.signals is None
    assert inside.stamp == "stored full runs: ResLSTM-SA-h64, ravdess, strict, fold 0, seed 0"


def test_a_tag_in_a_table_is_caught():
    assert "<b>" not in tables.compact([{"a": "<b>"}], "x", "y").to_html()


def test_systems_with_unequal_seeds_are_not_stamped_with_the_larger_number():
    both = rows("ravdess", "strict", 10, 0.0)
    both.groups.loc[both.groups["system"].eq("reslstm_sa_h64"), "seeds"] = 6
    assert "5 of 5 folds, 6 to 10 seeds;" in overview.Source(overview.STORED, both).stamp("ravdess")
