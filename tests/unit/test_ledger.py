"""The ledger: the fixed rule and its order, the join, the checks, and the pages that are made from it."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from sercore import ledger
from sercore.ledger import checks, claims
from sercore.ledger import rule as verdicts
from sercore.ledger.claims import LedgerError, Selector, agrees, number
from sercore.ledger.corpus_checks import MEASURED_FACTS
from sercore.ledger.measurements import Measurements, find_group, seed_scores
from sercore.ledger.rule import Measured, judge, judge_fact
from sercore.plots import ledger as figures
from sercore.results import GROUP_COLUMNS, HISTORY_COLUMNS, RUN_COLUMNS, Results, empty_results
from sercore.stats.prediction import Interval

LABELS = ["neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"]


def a_group(system="reslstm_sa_h64", protocol="paper", corpus="ravdess", recall=0.6, seeds=10, speakers=24, **columns):
    """One group's row, counts and runs; every speaker has four recordings of each class."""
    name = f"{corpus}.{system}.definition.{protocol}"
    row = dict.fromkeys(GROUP_COLUMNS, "") | {"group": name, "chapter": "reslstm_sa", "corpus": corpus, "task": "emotion", "system": system}
    row |= {"variant": "definition", "protocol": protocol, "split": "luna_jimenez_5", "folds": 5, "seeds": seeds, "profile": "full"}
    row |= {"n_items": speakers * 32, "n_speakers": speakers} | columns
    rng = np.random.default_rng(seeds)  # the same speakers are good in every system
    rows = []
    skill = np.clip(recall + rng.normal(0, 0.04, speakers), 0, 1)
    for seed in range(seeds):
        for speaker in range(speakers):
            for k, label in enumerate(LABELS):
                right = rng.binomial(4, skill[speaker])
                line = {"group": row["group"], "seed": seed, "fold": speaker % 5, "speaker": str(speaker + 1), "truth": label}
                rows.append(line | dict.fromkeys(LABELS, 0) | {LABELS[(k + 1) % 8]: 4 - right} | {label: right})
    run = dict.fromkeys(RUN_COLUMNS) | {"group": row["group"], "device": "cpu", "finished_at": "2026-11-20T10:00:00+00:00"}
    return row, rows, run


def results_of(*groups):
    rows, counts, runs = zip(*groups, strict=True)
    return Results(
        pd.DataFrame(rows, columns=GROUP_COLUMNS),
        pd.DataFrame([line for part in counts for line in part]),
        pd.DataFrame(runs, columns=RUN_COLUMNS),
        pd.DataFrame(columns=HISTORY_COLUMNS),
    )


@pytest.fixture(scope="module")
def both():
    """Two systems under both protocols on RAVDESS-like rows: the residual one is 6 points better."""
    pairs = [("lstm_sa_h64", 0.54), ("reslstm_sa_h64", 0.60)]
    return results_of(*[a_group(s, p, recall=r, seeds=n) for s, r in pairs for p, n in (("paper", 5), ("strict", 10))])


@pytest.fixture(scope="module")
def unrun():
    """Every number and setting with no run at all."""
    return ledger.verdicts(empty_results())


_JUDGED: dict[int, tuple[Results, pd.DataFrame]] = {}


def verdict_of(results, claim_id):
    """One row of the ledger; each set of results is judged once."""
    if id(results) not in _JUDGED:
        _JUDGED[id(results)] = results, ledger.verdicts(results, "reslstm2026", settings=False).set_index("id")
    return _JUDGED[id(results)][1].loc[claim_id]


# --- the rule -----------------------------------------------------------------------------------------------------------------------------

INSIDE, OUTSIDE = Interval(0.60, 0.58, 0.62), Interval(0.50, 0.48, 0.52)
POSITIVE, ZERO, NEGATIVE = Interval(0.04, 0.01, 0.07), Interval(0.01, -0.02, 0.04), Interval(-0.04, -0.07, -0.01)


def measured(prediction=INSIDE, **changes):
    return Measured(**({"estimate": 0.6, "prediction": prediction, "n_speakers": 24, "n_seeds": 10, "detectable": 0.02} | changes))


@pytest.mark.parametrize(
    ("ours", "contradiction", "expected"),
    [
        (None, "", "not run"),
        (None, "wrong sum", "not run"),
        (measured(), "wrong sum", "inconsistent"),
        (measured(other="corpus x"), "", "not comparable"),
        (measured(other="corpus x"), "wrong sum", "inconsistent"),
        (measured(n_speakers=5), "", "not decidable"),
        (measured(n_seeds=4), "", "not decidable"),
        (measured(detectable=0.051), "", "not decidable"),
        (measured(detectable=float("nan")), "", "not decidable"),
        (measured(other="corpus x", n_seeds=2), "", "not comparable"),
        (measured(reduced=True, difference=POSITIVE), "", "direction, reduced size"),
        (measured(reduced=True), "", "not reproduced"),
        (measured(reduced=True, n_seeds=2), "", "not decidable"),
        (measured(), "", "reproduced"),
        (measured(difference=ZERO), "", "reproduced"),
        (measured(OUTSIDE, difference=POSITIVE), "", "direction"),
        (measured(OUTSIDE, difference=NEGATIVE), "", "not reproduced"),
        (measured(OUTSIDE, difference=ZERO), "", "not reproduced"),
        (measured(OUTSIDE), "", "not reproduced"),
    ],
)
def test_the_first_rule_that_applies_decides(ours, contradiction, expected):
    verdict = judge(0.6, ours, "the data of X are missing", contradiction)
    assert verdict.name == expected
    assert verdict.reason
    assert not contradiction or contradiction in verdict.reason


def test_a_negative_published_difference_keeps_its_sign():
    assert judge(-0.05, measured(OUTSIDE, difference=NEGATIVE)).name == "direction"
    assert judge(-0.05, measured(OUTSIDE, difference=POSITIVE)).name == "not reproduced"


def test_reasons_name_what_is_missing_and_what_would_be_found():
    assert "the data of X are missing" in judge(0.6, None, "the data of X are missing").reason
    assert "7.5 points" in judge(0.6, measured(detectable=0.075)).reason
    assert "5 test speakers" in judge(0.6, measured(n_speakers=5)).reason
    assert "60.0 [58.0, 62.0]" in judge(0.6, measured()).reason


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"agrees": True}, "as stated"),
        ({"agrees": False}, "differs"),
        ({"agrees": True, "contradiction": "two values"}, "inconsistent"),
        ({"agrees": None, "comparable": False}, "not comparable"),
        ({"agrees": None}, "not run"),
    ],
)
def test_facts_have_verdicts_too(given, expected):
    agrees_ = given.pop("agrees")
    assert judge_fact(agrees_, "34", "the spec", **given).name == expected


def test_every_verdict_of_the_rule_has_a_place_in_tables():
    names = {value for key, value in vars(verdicts).items() if key.isupper() and isinstance(value, str)}
    assert names == set(verdicts.VERDICTS)


# --- the join -----------------------------------------------------------------------------------------------------------------------------


def test_published_and_ours_meet(both):
    line = verdict_of(both, "reslstm.t1.reslstm-sa-h64.uar-mean")
    assert line["verdict"] == "reproduced" or "published value lies" in line["reason"]
    assert line["ours"] == pytest.approx(0.60, abs=0.03)
    assert line["low"] < line["ours"] < line["high"]
    assert line[["recordings", "speakers", "folds", "seeds"]].tolist() == [768, 24, 5, "5 / 10"]
    assert line["ours_strict"] == pytest.approx(0.60, abs=0.03)


def test_a_value_inside_the_prediction_interval_is_reproduced():
    exact = results_of(a_group(recall=0.6232, seeds=10))
    assert verdict_of(exact, "reslstm.t1.reslstm-sa-h64.uar-mean")["verdict"] in ("reproduced", "not reproduced")
    shifted = results_of(a_group(recall=0.40, seeds=10))
    line = verdict_of(shifted, "reslstm.t1.reslstm-sa-h64.uar-mean")
    assert line["verdict"] == "not reproduced"
    assert "lies above" in line["reason"]


def test_the_best_of_ten_is_compared_with_the_best_of_ten(both):
    mean, best = (verdict_of(both, f"reslstm.t1.reslstm-sa-h64.uar-{kind}") for kind in ("mean", "max"))
    assert best["ours"] > mean["ours"] + 0.005
    assert "best of 10" in best["reason"]


def test_a_difference_of_systems_needs_both(both):
    alone = both.of(system="reslstm_sa_h64")
    assert verdict_of(alone, "reslstm.s5.h64-vs-h128")["verdict"] == "not run"
    assert "LSTM-SA-h128" in verdict_of(both, "reslstm.s5.h64-vs-h128")["reason"]
    pair = results_of(a_group("reslstm_sa_h32", recall=0.61), a_group("lstm_sa_h32", recall=0.54))
    line = verdict_of(pair, "reslstm.s4d.max-gain")
    assert line["verdict"] in ("reproduced", "direction")
    assert line["low"] < line["ours"] < line["high"]


def test_recall_and_confusion_are_pooled_over_speakers(both):
    group = both.groups.loc[1, "group"]
    data = Measurements(both).cube(group)
    pooled = data.counts.sum(axis=1)[0]
    recall = seed_scores(data, Selector("x", statistic="recall", label="happiness"))[0]
    missed = seed_scores(data, Selector("x", statistic="confusion", label="neutral", predicted="calm"))[0]
    assert recall == pooled[2, 2] / pooled[2].sum()
    assert missed == pooled[0, 1] / pooled[0].sum()
    assert np.isnan(seed_scores(data, Selector("x", statistic="recall", label="boredom"))).all()


def test_strict_rows_alone_do_not_answer_a_claim_of_the_paper_protocol(both):
    line = verdict_of(both.of(protocol="strict"), "reslstm.t1.lstm-sa-h64.uar-mean")
    assert line["verdict"] == "not run"
    assert "protocol paper" in line["reason"]
    assert line["ours_strict"] == pytest.approx(0.54, abs=0.03)


def test_another_corpus_is_shown_and_not_comparable():
    line = verdict_of(results_of(a_group(corpus="synthetic", seeds=2)), "reslstm.t1.reslstm-sa-h64.uar-mean")
    assert line["verdict"] == "not comparable"
    assert "synthetic in place of ravdess" in line["reason"]


def test_some_folds_of_five_are_not_comparable():
    line = verdict_of(results_of(a_group(folds=2)), "reslstm.t1.reslstm-sa-h64.uar-mean")
    assert line["verdict"] == "not comparable"
    assert "2 of 5 folds" in line["reason"]


def test_a_selector_that_matches_two_kinds_of_row_is_refused():
    twice = results_of(a_group(), a_group(group="ravdess.reslstm_sa_h64.definition.paper.again"))
    wanted = claims.load_map()["reslstm.t1.reslstm-sa-h64.uar-mean"]
    with pytest.raises(LedgerError, match="two kinds of row"):
        find_group(twice.groups, wanted)
    with pytest.raises(LedgerError, match=r"reslstm\.t1.*two kinds of row"):
        ledger.verdicts(twice, "reslstm2026")


def test_a_full_run_is_preferred_to_a_quick_one():
    quick = a_group(group="quick", profile="quick", seeds=2)
    found, other = find_group(results_of(quick, a_group()).groups, claims.load_map()["reslstm.t1.reslstm-sa-h64.uar-mean"])
    assert (found["group"], other) == ("ravdess.reslstm_sa_h64.definition.paper", "")


@pytest.fixture(scope="module")
def stored_groups():
    return ledger.stored().groups


@pytest.mark.parametrize("selector", [s for s in claims.load_map().values() if s.statistic], ids=lambda s: s.id)
def test_every_selector_matches_at_most_one_stored_row(selector, stored_groups):
    for protocol in ("paper", "strict"):
        find_group(stored_groups, Selector(**(vars(selector) | {"protocol": protocol})))


# --- facts and settings -------------------------------------------------------------------------------------------------------------------


def test_nothing_of_a_finished_chapter_waits_for_a_check(both):
    table = ledger.verdicts(both, "reslstm2026")
    assert len(table) == 87 + 32
    assert "not checked yet" not in set(table["verdict"])
    assert (table["reason"].str.len() > 5).all()


def test_a_fact_that_differs_says_why_and_names_the_switch(unrun):
    differing = unrun[unrun["verdict"] == "differs"]
    assert len(differing) > 0
    assert differing["reason"].str.contains(r"SEARCH_SPACE|[Ss]witch").all(), differing[["id", "reason"]]


@pytest.mark.parametrize(
    ("claim_id", "expected", "ours"),
    [
        ("reslstm.t1.lstm-sa-h32.params", "as stated", "10,600"),
        ("reslstm.t1.lstm-sa-h64.params", "inconsistent", "29,384"),
        ("reslstm.t1.lstm-sa-h128.params", "inconsistent", "91,528"),
        ("reslstm.t1.reslstm-sa-h32.params", "as stated", "27,988"),
        ("reslstm.t1.reslstm-sa-h64.params", "as stated", "46,772"),
        ("reslstm.t1.reslstm-sa-h128.params", "as stated", "108,916"),
        ("reslstm.s4d.params-bound", "as stated", "46,772"),
        ("reslstm.s4d.h32-param-ratio", "inconsistent", "3.27"),
        ("reslstm.s4a.ravdess.files", "as stated", "1440"),
        ("reslstm.t2.cnn-lstm.uar", "not comparable", ""),
        ("reslstm.set.reslstm-sa.learning-rate-min", "differs", "1e-05"),
        ("reslstm2026/reslstm-sa/optimizer", "as stated", "Adam"),
        ("reslstm2026/reslstm-sa/batch_size_choices", "differs", "4, 8, 16, 32, 64"),
        ("reslstm2026/reslstm-sa/hop_size", "not comparable", "42.67 ms"),
        ("thesis.s4.3.ravdess.utterances", "inconsistent", "1440"),
        ("humpcat.s4a.emodb.male-sentences", "as stated", "233"),
    ],
)
def test_facts_are_computed_from_the_code(unrun, claim_id, expected, ours):
    line = unrun.set_index("id").loc[claim_id]
    assert (line["verdict"], line["ours"]) == (expected, ours)


def test_a_wrong_fact_is_caught(monkeypatch):
    """The planted fault: a default drifts from the paper's value; the setting no longer reads as stated."""
    fact = checks.Fact(120, "sercore.spec.TrainingSpec.epochs")
    monkeypatch.setitem(checks.CHECKS, "training", lambda *_: fact)
    table = ledger.verdicts(empty_results(), "reslstm2026").set_index("id")
    assert table.loc["reslstm.set.reslstm-sa.epochs", "verdict"] == "differs"


def test_a_check_that_does_not_exist_is_refused():
    with pytest.raises(LedgerError, match="known: parameters"):
        checks.compute("weight:heavy", empty_results())
    with pytest.raises(LedgerError, match="known of a card"):
        checks.compute("card:ravdess.weather", empty_results())


def test_checking_networks_leaves_the_random_state_alone():
    import torch

    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    checks._network.cache_clear()
    checks.count_parameters("lstm_sa_h32")
    assert torch.equal(torch.rand(2), expected)


@pytest.mark.parametrize(
    ("ours", "printed", "note", "same"),
    [
        (27988, "28.0e3", "", True),
        (29384, "28.3e3", "", False),
        (0.5, "1/2", "", True),
        (0.511, "1/2", "approximate", True),
        (46772, "50e3", "relation=lt", True),
        (50001, "50e3", "relation=lt", False),
        (2001, "2000", "relation=gt", True),
        (535, "0.5e3", "", True),
        (3, "many", "", False),
        (1e-5, "3e-5", "", False),
        (2e-5, "2e-5", "", True),
    ],
)
def test_ours_is_compared_to_the_printed_digits(ours, printed, note, same):
    assert agrees(ours, printed, note) is same


def test_printed_numbers_are_read():
    assert [number(p) for p in ("1.6e8", "-0.03", "1/4", "5:12", "128x128", "")] == [1.6e8, -0.03, 0.25, 312, None, None]


@pytest.mark.recordings
def test_recordings_of_ravdess_have_the_bits_that_the_ledger_states(corpora_root):
    import soundfile

    files = sorted(p for p in (corpora_root / "ravdess").rglob("03-*") if p.suffix in (".wav", ".flac"))
    assert files
    assert {soundfile.info(p).subtype for p in files} == {f"PCM_{MEASURED_FACTS['ravdess.bits']:.0f}"}


# --- pages --------------------------------------------------------------------------------------------------------------------------------


def test_the_table_sets_published_beside_both_protocols(both):
    style = ledger.table(both, "reslstm2026", "Table I")
    line = style.data[style.data["quantity"].str.contains("mean") & style.data["system"].eq("ResLSTM-SA-h64")].iloc[0]
    assert line["published"] == "62.32 ± 1.19 %"
    for column in ("ours, its protocol", "ours, strict"):
        assert re.fullmatch(r"\d\d\.\d \[\d\d\.\d, \d\d\.\d\] %", line[column])
    assert style.to_html() == ledger.table(both, "reslstm2026", "Table I").to_html()


def test_the_table_also_shows_the_plain_systems():
    results = results_of(a_group(), a_group("majority_class", "strict", recall=0.125), a_group("functionals_svm", "strict", recall=0.4))
    shown = ledger.table(results, "reslstm2026", "Table I").data
    assert shown["system"].tolist()[-2:] == ["majority class", "functionals svm"]


def test_a_locator_that_is_not_there_is_refused():
    with pytest.raises(LedgerError, match="there are: Table I"):
        ledger.table(empty_results(), "reslstm2026", "Table 9")
    with pytest.raises(LedgerError, match="known: thesis"):
        ledger.verdicts(empty_results(), "reslstm")


def test_the_answer_is_a_sentence_of_the_data(both):
    text = ledger.answer(both, "reslstm_sa_h64", "lstm_sa_h64", "ravdess")
    assert text.startswith("Yes: on ravdess (768 recordings, 24 speakers, 5 folds, 10 seeds, strict) ResLSTM-SA-h64 has a UAR of")
    assert "smallest possible with 24 speakers" in text
    assert ledger.answer(both, "lstm_sa_h64", "reslstm_sa_h64", "ravdess").startswith("No, it is lower")
    assert ledger.answer(both, "lstm_sa_h32", "reslstm_sa_h64", "ravdess").startswith("Not run")


def test_two_seeds_decide_nothing():
    few = results_of(
        *[a_group(s, "strict", corpus="synthetic", recall=r, seeds=2) for s, r in (("lstm_sa_h64", 0.4), ("reslstm_sa_h64", 0.8))]
    )
    assert ledger.answer(few, "reslstm_sa_h64", "lstm_sa_h64", "synthetic").startswith("Not decidable")


def test_comparisons_are_corrected_over_the_table(both):
    table = ledger.comparisons(both, [("reslstm_sa_h64", "lstm_sa_h64"), ("lstm_sa_h64", "reslstm_sa_h64"), ("x", "y")], "ravdess")
    assert len(table) == 2
    assert (table["p_holm"] >= table["p"]).all()
    assert table["difference"].sum() == pytest.approx(0)
    assert table["p_min"].tolist() == [2**-23] * 2 or (table["p_min"] < 1e-4).all()


def test_the_state_counts_every_number_once(both, monkeypatch):
    monkeypatch.setattr(ledger, "stored", lambda: both)
    state = ledger.state()
    assert state["total"] == sum(state["verdicts"].values()) == 1983
    assert sum(state["settings"].values()) == 424
    assert sum(sum(counts.values()) for counts in state["by_source"].values()) == 1983
    assert list(state["by_source"]) == list(claims.SOURCES)
    assert state["judged"] < 1983
    assert state["groups"][0]["last run (UTC)"] == "2026-11-20 10:00"
    assert json.loads(json.dumps(state)) == state
    assert ledger.state("reslstm2026")["total"] == 87


def test_every_number_that_was_not_run_names_what_is_missing(unrun):
    waiting = unrun[(unrun["verdict"] == "not run") & (unrun["row"] == "claim")]
    named = r"(?:are|is) missing|on (?:RAVDESS|EmoDb|FSDD|ravdess)|stored runs"
    assert waiting["reason"].str.contains(named).all(), waiting.loc[~waiting["reason"].str.contains(named), ["id", "reason"]]
    assert not unrun["verdict"].isna().any()


def test_the_searchable_table_is_whole_and_small(unrun):
    page = ledger.browse(unrun)._repr_html_()
    assert len(page) < 1_000_000
    assert not re.search(r"(src|href)=|https?://", page)
    found = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.S)[1])
    assert len(found["rows"]) == 1983 + 424
    read = [found["words"][i] for i in found["rows"][0]]
    assert read[:2] == unrun.loc[0, ["source", "id"]].tolist()


def test_text_from_a_file_cannot_break_out_of_the_page():
    hostile = [{"source": "thesis", "id": "x", "verdict": "not run", "why": "</script><script>alert(1)</script><!-- x"}]
    page = ledger.SearchableTable(hostile, ["not run"], ["thesis"])._repr_html_()
    assert page.count("</script>") == 2  # of the data and of the program, none from the text
    assert "<!--" not in page


def test_the_figure_is_described_in_numbers():
    counts = ledger.counts_by_source(ledger.verdicts(empty_results(), "reslstm2026"))
    shown = figures.verdicts_by_source(counts).data
    said = re.search(r'alt="([^"]+)"', shown)[1]
    assert f"of {counts.to_numpy().sum()} as stated" in said
    assert set(counts) <= set(figures.LOOKS) == set(verdicts.VERDICTS)
    with pytest.raises(ValueError, match="no numbers"):
        figures.verdicts_by_source(counts.iloc[:0])


def test_the_sentence_on_the_whole_is_computed(both, monkeypatch):
    monkeypatch.setattr(ledger, "stored", lambda: both)
    state = ledger.state("reslstm2026")
    assert ledger.in_a_sentence(state).startswith(f"Of 87 published numbers {state['judged']} are judged: ")
    assert len(ledger.runs_table(state).data) == 4
    assert "no full run" in ledger.runs_table(state | {"groups": []}).to_html()


def test_the_ledger_opens_without_torch():
    """Doors of the design: tables and verdict rules need no network; only the checks that build one import torch."""
    code = "import sys; import sercore.ledger; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
