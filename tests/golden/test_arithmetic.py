"""The sources' own arithmetic: an earlier recomputation (recomputed.csv) is met value by value, and planted faults are found."""

from __future__ import annotations

import pandas as pd
import pytest

from sercore.arithmetic import Audit
from sercore.arithmetic.accuracies import group, off_grid
from sercore.arithmetic.columns import best_exchange, exceptions_in_blocks
from sercore.arithmetic.findings import BASES, COLUMNS, KINDS, READING, beside_the_ledger, findings
from sercore.arithmetic.splits import speakers
from sercore.arithmetic.statements import FAILS, FOLLOWS, OFF, Reading
from sercore.ledger import claims
from sercore.ledger.claims import LedgerError

AUDIT = Audit()
FOUND = findings(AUDIT)
EARLIER = claims._table(claims.claims_folder(), "recomputed.csv")
COMPARED = EARLIER[EARLIER["claim"] != ""]
#: It has no printed number: its "stated" value was computed.
NOT_PRINTED = {"29.98 s as 79.77 %: real epoch, s; at WASPAA's 80.5 % it would be"}
LINES = COMPARED[~COMPARED["quantity"].isin(NOT_PRINTED)].to_dict("records")
#: Counts of networks that follow, or come nearer, with the batch normalisations that the text omits.
NEARER = {f"ResLSTM: ResLSTM-SA-{size} parameters, k" for size in ("h32", "h64", "h128")} | {
    f"ResLSTM: LSTM-SA-{size} parameters, k (LSTM two biases + attention vector + 8-class layer)" for size in ("h32", "h128")
}


def changed(claim_id: str, value: str, column: str = "value") -> Audit:
    """An audit of the numbers with one of them replaced."""
    table = claims.load_claims().copy()
    assert (table["claim_id"] == claim_id).sum() == 1
    table.loc[table["claim_id"] == claim_id, column] = value
    return Audit(table)


def about(table: pd.DataFrame, claim_id: str, kind: str) -> pd.DataFrame:
    return table[(table["kind"] == kind) & table["ids"].map(lambda ids: claim_id in ids)]


# --- every statement, against the earlier recomputation ---------------------------------------------------------------


def test_every_statement_is_computed_but_the_one_without_a_printed_number():
    assert len(COMPARED["claim"].unique()) == 143
    assert set(COMPARED["quantity"]) - set(AUDIT.readings["quantity"]) == NOT_PRINTED
    assert len(AUDIT.statements) == 142
    assert len(AUDIT.readings) == len(COMPARED) - 1 + 6  # six readings with batch normalisation are new


@pytest.mark.parametrize(
    "line", COMPARED[~COMPARED["quantity"].isin(NOT_PRINTED)].to_dict("records"), ids=lambda line: line["quantity"][:60]
)
def test_a_reading_has_the_value_and_the_verdict_of_the_earlier_one(line):
    ours = AUDIT.readings.set_index(["area", "quantity"]).loc[(line["area"], line["quantity"])]
    assert ours["recomputed"] == pytest.approx(float(line["recomputed"]), rel=1e-3, abs=6e-4)
    assert float(ours["stated"]) == float(line["stated"])
    assert ours["verdict"] == line["verdict"].lower()
    assert ours["claim"] == line["claim"]
    if line["claim"] in NEARER:
        rank = (FOLLOWS, OFF, FAILS).index
        assert rank(ours["claim_verdict"]) < rank(line["claim_verdict"].lower())
    else:
        assert ours["claim_verdict"] == line["claim_verdict"].lower()


def test_how_many_follow():
    counts = AUDIT.statements["claim_verdict"].value_counts().to_dict()
    assert counts == {FOLLOWS: 88, OFF: 9, FAILS: 45}


@pytest.mark.parametrize(("value", "verdict"), [(2.35, FOLLOWS), (2.345, FOLLOWS), (2.3449, OFF), (2.359, OFF), (2.361, FAILS)])
def test_the_rule_is_half_a_unit_and_one_unit(value, verdict):
    assert Reading("a", "b", value, "2.35").verdict == verdict


def test_a_value_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="no number"):
        _ = Reading("a", "b", 1.0, "3x3").verdict


# --- grids ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locator", "split", "rows", "size"),
    [
        ("Table 7.2", "random", "AT", 1120), ("Table 7.3", "random", "AT", 450), ("Table 7.4", "random", "AT", 120),
        ("Table 7.5", "random", "AT", 280), ("Table 7.3", "speaker", "AT", 480), ("Table 7.4", "speaker", "AT", 80),
        ("Table 7.5", "speaker", "AT", 700), ("Table 6.2", "random", "all", 660), ("Table 6.3", "random", "all", 100),
    ],
)  # fmt: skip
def test_the_known_sizes_are_found(locator, split, rows, size):
    grids = AUDIT.grids[(AUDIT.grids["source"] == "thesis") & (AUDIT.grids["subset"] == "test")]
    line = grids[(grids["locator"] == locator) & (grids["split"] == split) & (grids["rows"] == rows)].iloc[0]
    assert (line["size"], line["outcome"]) == (size, "consistent with one size")
    assert line["fit"].by_chance < 1e-6


def test_sizes_agree_with_the_earlier_search():
    lines = EARLIER[EARLIER["quantity"].str.contains("smallest test-set size") & EARLIER["recomputed"].ne("None")]
    assert len(lines) == 7
    for line in lines.to_dict("records"):
        corpus, split = line["quantity"].partition(":")[0].split()
        grids = AUDIT.grids[(AUDIT.grids["source"] == "thesis") & (AUDIT.grids["corpus"] == corpus) & (AUDIT.grids["rows"] == "AT")]
        assert float(grids.loc[grids["split"] == split, "size"].iloc[0]) == float(line["recomputed"])


def test_baselines_lie_off_the_grid_of_the_rows_they_are_compared_with():
    off = {}
    for corpus, size in (("IEMOCAP", 1120), ("RAVDESS", 450), ("EmoDb", 120), ("TESS", 280)):
        members = group(AUDIT.accuracies, source="thesis", corpus=corpus, split="random", rows="no AT")
        members = members[members["locator"].str.startswith("Table 7")]
        off[corpus] = len(off_grid(members, size))
    assert off == {"IEMOCAP": 6, "RAVDESS": 6, "EmoDb": 4, "TESS": 6}


def test_two_rows_of_the_actor_split_are_no_sixtieths():
    rows = group(AUDIT.accuracies, source="thesis", locator="Table 7.3", split="speaker")
    assert sorted(off_grid(rows, 60)["value"]) == ["40.62", "43.75"]


def test_the_best_of_ten_seeds_lies_on_the_grid_of_the_whole_corpus():
    line = AUDIT.grids[(AUDIT.grids["source"] == "reslstm2026") & (AUDIT.grids["rows"] == "maximum of seeds")].iloc[0]
    assert line["size"] == 1536  # eight classes of 96 or 192 recordings
    assert line["outcome"] == "consistent with one size"


def test_one_decimal_does_not_decide():
    assert set(AUDIT.grids.loc[AUDIT.grids["locator"].isin(["Table 5.4", "Table 5.5", "Table 5.6"]), "outcome"]) == {"does not decide"}


# --- columns, twins, places -------------------------------------------------------------------------------------------


def test_one_column_is_moved_by_one_architecture():
    exchange, as_printed, agreeing = best_exchange(AUDIT.parameters, "Table 7.4")
    assert exchange == {"VGG16": "AlexNet", "AlexNet": "ResNet-50", "ResNet-50": "VGG16"}
    assert (as_printed, agreeing) == (0, 6)
    assert all(best_exchange(AUDIT.parameters, table)[1:] == (6, 6) for table in ("Table 7.2", "Table 7.3", "Table 7.5"))
    assert len(exceptions_in_blocks(AUDIT.parameters)) == 8


def test_all_baselines_are_another_chapters_and_one_table_another_documents():
    assert AUDIT.twins["equal"].sum() == len(AUDIT.twins) == 24
    copied = FOUND[(FOUND["kind"] == "copied") & (FOUND["source"] == "qat_waspaa2023")].iloc[0]
    assert copied["ours"] == "90 of 90 are equal"


# --- the table of findings, and the ledger ----------------------------------------------------------------------------


def test_every_finding_says_where_and_on_what_it_rests():
    assert list(FOUND.columns) == COLUMNS
    assert set(FOUND["kind"]) == set(KINDS)
    assert set(FOUND["basis"]) == set(BASES)
    assert (FOUND[["source", "place", "what", "printed", "consequence"]] != "").all(axis=None)
    assert (FOUND.loc[FOUND["kind"] == "grid", "basis"] == "inference from printed decimals").all()
    known = set(claims.load_claims()["claim_id"]) | set(claims.load_settings()["id"])
    assert {i for ids in FOUND["ids"] for i in ids} <= known


def test_the_ledger_and_the_audit_agree():
    agreement = beside_the_ledger(AUDIT, FOUND)
    assert agreement["listed"] == len(claims.load_contradictions())
    assert (agreement["neither"], agreement["missing"]) == (0, 0)
    # exact: whatever is newly found by reading must be looked at here; eleven of those read are of one table of layers (thesis, Table 5.1)
    assert (agreement["computed"], agreement["read"]) == (111, 22)


def test_a_source_can_be_kept_alone():
    assert set(findings(AUDIT, "faca2022")["source"]) == {"faca2022"}
    assert set(findings(AUDIT, "faca2022")["basis"]) == {READING}  # its margins follow


# --- planted faults ---------------------------------------------------------------------------------------------------


def test_a_wrong_average_is_caught():
    claim = "faca.s4.2.margin.ravdess.wa"
    assert about(FOUND, claim, "does not follow").empty
    assert len(about(findings(changed(claim, "6.05")), claim, "does not follow")) == 1


def test_a_mended_average_is_no_finding():
    claim = "thesis.t3.1.story-avg.story-7"
    assert len(about(FOUND, claim, "does not follow")) == 1
    assert about(findings(changed(claim, "-0.02")), claim, "does not follow").empty


def test_a_changed_row_is_caught_in_every_average_over_it():
    audit = changed("faca.t2.mhsa-faca.ravdess.wa", "83.85")
    assert len(about(findings(audit), "faca.s4.2.margin.ravdess.wa", "does not follow")) == 1


def test_a_baseline_of_its_own_run_is_caught_as_no_twin():
    claim = "thesis.t7.3.vgg16.real.ravdess.rnd"
    audit = changed(claim, "42.22")  # 190 of 450: on the grid of the AT rows
    assert about(findings(audit), claim, "copied").empty
    assert len(about(FOUND, claim, "copied")) == 1
    grid = findings(audit).query("kind == 'grid' and what.str.contains('RAVDESS, random split: 5 of 6')")
    assert len(grid) == 1


def test_an_accuracy_off_the_grid_is_caught():
    claim = "thesis.t7.4.vgg16.real-at.single-s.emodb.rnd"
    grids = changed(claim, "59.23").grids
    line = grids[(grids["locator"] == "Table 7.4") & (grids["split"] == "random") & (grids["rows"] == "AT")].iloc[0]
    assert (line["outcome"], line["fit"].most) == ("no single size", 120)


def test_a_moved_count_is_caught():
    claim = "thesis.t7.2.vgg16.real.iemocap.params"
    assert about(FOUND, claim, "column").empty
    assert len(about(findings(changed(claim, "5.7e7")), claim, "column")) == 1


def test_a_third_speaker_makes_the_split_possible_and_two_are_caught():
    table = claims.load_claims().copy()
    table.loc[(table["metric"] == "n_speakers") & (table["corpus"] == "TESS"), "value"] = "3"
    three_sides = "corpus == 'TESS' and stated.str.contains('3 sides')"
    assert Audit(table).splits.query(three_sides)["possible"].all()
    assert list(AUDIT.splits.query(three_sides)["possible"]) == [False] * 3


def test_speakers_are_people():
    counts = {corpus: speakers(AUDIT.printed, corpus) for corpus in ("IEMOCAP", "RAVDESS", "EmoDb", "TESS", "SAVEE", "MESD")}
    assert counts == {"IEMOCAP": 10, "RAVDESS": 24, "EmoDb": 10, "TESS": 2, "SAVEE": 4, "MESD": 11}
    with pytest.raises(LedgerError, match="MELD"):
        speakers(AUDIT.printed, "MELD")


def test_a_second_value_of_one_number_is_caught():
    claim = "humpcat.t7.emodb.mfcc-prosody"
    assert about(FOUND, claim, "two places").empty
    assert len(about(findings(changed(claim, "88.96")), claim, "two places")) == 1


def test_a_missing_number_is_named():
    table = claims.load_claims()
    with pytest.raises(LedgerError, match=r"thesis\.s4\.3\.wilcoxon"):
        _ = Audit(table[table["claim_id"] != "thesis.s4.3.wilcoxon"]).readings


def test_a_number_that_stands_twice_is_caught():
    table = claims.load_claims()
    with pytest.raises(LedgerError, match="twice"):
        _ = Audit(pd.concat([table, table.iloc[:1]])).printed
