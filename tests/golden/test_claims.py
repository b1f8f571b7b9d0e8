"""The published numbers: all there, well formed, and the sources' own averages computed again from their own rows."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest

from sercore import stats
from sercore.ledger import claims
from sercore.ledger.checks import CHECKS
from sercore.ledger.claims import LedgerError, number

KINDS = {"result", "statistic", "resource", "architecture_fact", "hyperparameter", "dataset_fact"}
SPLITS = {"", "random", "speaker", "instrument", "kfold", "topic", "fine-tune"}
COUNTS = {"thesis": 1497, "qat_waspaa2023": 129, "faca2022": 63, "reslstm2026": 87, "humpcat2025": 207}
SETTINGS = {"thesis": 281, "qat_waspaa2023": 24, "faca2022": 40, "reslstm2026": 32, "humpcat2025": 47}

CLAIMS = claims.load_claims()
VALUES = {row["claim_id"]: number(row["value"]) for row in CLAIMS.to_dict("records")}


def test_every_published_number_and_setting_is_there_once():
    settings = claims.load_settings()
    assert (len(CLAIMS), len(settings)) == (1983, 424)
    assert CLAIMS["source"].value_counts().to_dict() == COUNTS
    assert settings["source"].value_counts().to_dict() == SETTINGS
    assert CLAIMS["claim_id"].is_unique
    assert settings["id"].is_unique
    assert set(CLAIMS["source"]) == set(claims.SOURCES)


def test_numbers_are_well_formed():
    assert set(CLAIMS["kind"]) == KINDS == set(claims.MEASURED_KINDS) | set(claims.FACT_KINDS)
    assert set(CLAIMS["split"]) == SPLITS
    assert set(CLAIMS["subset"]) == {"", "train", "val", "test"}
    assert (CLAIMS[["claim_id", "source", "locator", "metric", "value"]] != "").all(axis=None)
    unreadable = {i for i, value in VALUES.items() if value is None}
    shapes = CLAIMS.set_index("claim_id").loc[sorted(unreadable), "value"]
    assert shapes.str.fullmatch(r"\d+(x\d+)+").all(), shapes[~shapes.str.fullmatch(r"\d+(x\d+)+")]
    prefixes = {"thesis": "thesis", "qat_waspaa2023": "qat", "faca2022": "faca", "reslstm2026": "reslstm", "humpcat2025": "humpcat"}
    assert (CLAIMS["claim_id"].str.partition(".")[0] == CLAIMS["source"].map(prefixes)).all()
    assert CLAIMS["claim_id"].str.fullmatch(r"[a-zA-Z0-9.\-]+").all()


def test_scores_lie_where_scores_can_lie():
    scores = CLAIMS[CLAIMS["metric"].isin(["accuracy", "uar", "ua", "wa", "recall"])]
    top = scores["unit"].map({"percent": 100.0, "fraction": 1.0})
    found = scores["value"].map(number).astype(float)
    assert ((found > 0) & (found <= top)).all()


def test_a_baseline_is_a_number_of_the_table_or_words():
    named = CLAIMS.loc[CLAIMS["compared_to"].str.match(r"^(thesis|qat|faca|reslstm|humpcat)\."), "compared_to"]
    assert len(named) > 350
    assert set(named) <= set(CLAIMS["claim_id"])


def test_no_file_carries_a_path_or_an_address():
    for name in ("claims", "settings", "recomputed", "map", "inconsistent"):
        text = (claims.claims_folder() / f"{name}.csv").read_text(encoding="utf-8")
        assert not re.search(r"https?://|/home/|/root/|/work/|[A-Z]:\\\\", text)


def test_map_and_contradictions_speak_of_numbers_that_exist():
    known = set(CLAIMS["claim_id"]) | set(claims.load_settings()["id"])
    assert set(claims.load_map()) <= known
    assert set(claims.load_contradictions()) <= known
    assert {s.check.partition(":")[0] for s in claims.load_map().values() if s.check} <= set(CHECKS)
    assert all(len(reason) > 15 and reason.endswith(".") for reason in claims.load_contradictions().values())


def test_every_number_and_setting_of_reslstm_is_mapped():
    wanted = set(claims.load_claims("reslstm2026")["claim_id"]) | set(claims.load_settings("reslstm2026")["id"])
    assert wanted <= set(claims.load_map())


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("a,,,,,,,,,,,,,,,,,,", "either a statistic or a check"),
        ("a,,,,,,,,,,uar,mean,,,10,,,feature:n_mfcc,", "either a statistic or a check"),
        ("a,,,,,,,,,,uar,median,,,10,,,,", "known: mean"),
        ("a,,,,,,,,,,acuracy,mean,,,10,,,,", "known: uar, accuracy"),
        ("a,,,,,,,,,,,,,,,,,cited,\na,,,,,,,,,,,,,,,,,cited,", "twice"),
    ],
)
def test_a_faulty_map_is_caught(tmp_path, monkeypatch, line, says):
    head = (claims.claims_folder() / "map.csv").read_text(encoding="utf-8").splitlines()[0]
    (tmp_path / "map.csv").write_text(f"{head}\n{line}\n", encoding="utf-8")
    (tmp_path / "claims.csv").write_text("claim_id\n", encoding="utf-8")
    monkeypatch.setenv("SERCORE_CLAIMS", str(tmp_path))
    with pytest.raises(LedgerError, match=says):
        claims.load_map()


def test_a_missing_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_CLAIMS", str(tmp_path))
    with pytest.raises(LedgerError, match="SERCORE_CLAIMS"):
        claims.load_claims()


# --- averages, computed again from the printed rows ---------------------------------------------------------------------------------------


def rows(**columns) -> pd.DataFrame:
    """Numbers whose columns have these values, with `x` their value and `gain` over the number they are compared to."""
    chosen = CLAIMS
    for column, value in columns.items():
        chosen = chosen[chosen[column].isin(value if isinstance(value, list) else [value])]
    x = chosen["claim_id"].map(VALUES).astype(float)
    return chosen.assign(x=x, gain=x - chosen["compared_to"].map(VALUES).astype(float))


def best_minus_best(table: pd.DataFrame, ours: pd.Series) -> float:
    return table.loc[ours, "x"].max() - table.loc[~ours, "x"].max()


Found = dict[tuple[str, str], float]  # (area, quantity) of recomputed.csv -> the same from the rows, by code of our own


def chapter_3() -> Found:
    found: Found = {}
    for subject in range(1, 11):
        cells = [VALUES[f"thesis.t3.1.subject-{subject}.story-{story}"] for story in (3, 6, 7)]
        found["T3.1", f"subject {subject} mean"] = float(np.mean(cells))
    for story in (3, 6, 7):
        found["T3.1", f"story {story} mean"] = float(np.mean([VALUES[f"thesis.t3.1.subject-{s}.story-{story}"] for s in range(1, 11)]))
    return found


def chapter_4() -> Found:
    found: Found = {}
    mts = rows(locator="Table 4.1", method="MTS", metric="accuracy")
    found["Sec. 4.3", "mean MTS gain over 16 cells"] = mts["gain"].mean()
    found["Sec. 4.3", "sd of the gain (sample)"] = mts["gain"].std(ddof=1)
    found["Sec. 4.3", "sd of the gain (population)"] = mts["gain"].std(ddof=0)
    found["Sec. 4.3", "largest cell gain (tess a4)"] = mts["gain"].max()
    found["Sec. 4.3", "largest RAVDESS cell gain (a3)"] = mts.loc[mts["corpus"] == "RAVDESS", "gain"].max()
    found["Sec. 4.3", "Wilcoxon p over 16 pairs (stated below 0.001)"] = stats.wilcoxon(mts["gain"]).p
    for corpus in ("EmoDb", "RAVDESS", "TESS", "IEMOCAP"):
        found["Sec. 4.3", f"mean gain {corpus.lower()}"] = mts.loc[mts["corpus"] == corpus, "gain"].mean()
        resnet = rows(locator="Table 4.3", corpus=corpus, architecture="ResNet18", metric="accuracy").set_index("method")["x"]
        found["Sec. 4.4", f"ResNet18 standard minus MTS, {corpus.lower()}"] = resnet["standard"] - resnet["MTS"]
    found["Sec. 4.4", "ResNet18 mean difference (table)"] = float(
        np.mean([v for (_, q), v in found.items() if q.startswith("ResNet18 standard")])
    )
    for name, corpus in (("gsc", "GSC"), ("fsdd", "FSDD")):
        speech = rows(locator="Table 4.4", corpus=corpus, metric="accuracy")
        found["Sec. 4.4", f"speech: {name} best minus best"] = best_minus_best(speech, speech["method"] == "standard")
    return found


def chapters_5_and_6() -> Found:
    found: Found = {}
    transfer = rows(locator=["Table 5.3", "Table 5.4", "Table 5.5"], subset="test", metric="accuracy")
    transfer = transfer[transfer["method"].str.contains("AT")]
    found["Sec. 5.3.3", "mean test gain, every AT row (20 rows)"] = transfer["gain"].mean()
    found["Sec. 5.3.3", "largest test gain"] = transfer["gain"].max()
    found["Sec. 5.3.3", "Wilcoxon p over 20 pairs (stated below 0.001)"] = stats.wilcoxon(transfer["gain"]).p

    tables = ["Table 6.1", "Table 6.2", "Table 6.3", "Table 6.4"]
    quaternion = rows(locator=tables, subset="test", domain="quaternion")
    for corpus, cells in quaternion.groupby("corpus"):
        pretrained = cells["method"].str.endswith("-Pre")
        name = str(corpus).lower()
        found["T6.5", f"{name} without CNN pretraining"] = cells.loc[~pretrained, "gain"].mean()
        if pretrained.any():
            found["T6.5", f"{name} with CNN pretraining"] = cells.loc[pretrained, "gain"].mean()
            found["T6.5", f"{name} overall"] = cells["gain"].mean()
        table = rows(
            locator=["Table 6.1", "Table 6.2", "Table 6.3", "Table 6.4"], subset="test", corpus=corpus, domain=["real", "quaternion"]
        )
        found["T6.5", f"{name} best minus best"] = best_minus_best(table, table["domain"] == "quaternion")
    memory = rows(locator="Sec. 6.5.1", metric="memory_ratio")["x"].iloc[1:]  # the first is the printed mean
    found["Sec. 6.5.1", "mean memory share of the three architectures"] = memory.mean()
    return found


def chapter_7_and_waspaa() -> Found:
    found: Found = {}
    chapter = rows(source="thesis", locator=["Table 7.2", "Table 7.3", "Table 7.4", "Table 7.5"], subset="test")
    paper = rows(source="qat_waspaa2023", locator="Table 1", subset="test")
    for area, table in (("T7.6 / Sec. 7.3.3", chapter), ("WASPAA Sec. 3.2.1", paper)):
        table = table[table["at_type"] != ""]
        single = table["at_type"].str.startswith("single")
        groups = {
            "real": table["domain"] == "real", "quaternion": table["domain"] == "quaternion", "single": single, "dual": ~single,
            "random": table["split"] == "random", "speaker split": table["split"] == "speaker",
            "speaker task (single rows)": table["at_type"] == "single-s", "word task (single rows)": table["at_type"] == "single-w",
        }  # fmt: skip
        groups |= {name: table["corpus"] == name for name in table["corpus"].unique()}
        groups |= {name: table["architecture"] == name for name in table["architecture"].unique() if area.startswith("T7.6")}
        for name, chosen in groups.items():
            found[area, f"mean AT gain, {name}"] = table.loc[chosen, "gain"].mean()
    return found


def the_other_papers() -> Found:
    found: Found = {}
    for corpus, table_name, locator in (("IEMOCAP", "t1", "Table 1"), ("RAVDESS", "t2", "Table 2")):
        for metric in ("wa", "ua"):
            table = rows(source="faca2022", locator=locator, metric=metric)
            margin = best_minus_best(table, table["system"] == "mhsa-faca")
            found["FACA", f"{corpus} {metric.upper()} margin"] = margin
            assert table["claim_id"].str.startswith(f"faca.{table_name}").all()

    uar = rows(locator="Table I", source="reslstm2026", metric="uar").set_index("claim_id")["x"]
    gain = {f"{kind} {h}": uar[f"reslstm.t1.reslstm-sa-{h}.uar-{kind}"] - uar[f"reslstm.t1.lstm-sa-{h}.uar-{kind}"]
            for kind in ("mean", "max") for h in ("h32", "h64", "h128")}  # fmt: skip
    for kind in ("mean", "max"):
        found["ResLSTM", f"largest gain over hidden sizes, {kind} UAR"] = 100 * max(v for k, v in gain.items() if k.startswith(kind))
    small, middle, large = (uar[f"reslstm.t1.{name}.uar-mean"] for name in ("reslstm-sa-h32", "reslstm-sa-h64", "lstm-sa-h128"))
    found["ResLSTM", "Res-h32 over LSTM-h128, percentage points"] = 100 * (small - large)
    found["ResLSTM", "Res-h32 over LSTM-h128, relative percent"] = 100 * (small / large - 1)
    found["ResLSTM", "Res-h64 over LSTM-h128, percentage points"] = 100 * (middle - large)
    found["ResLSTM", "happy recall as k of 192"] = 100 * round(0.448 * 192) / 192
    found["HuMP-CAT", "mean UA over the seven targets (Table VI)"] = rows(locator="Table VI", system="hump-cat")["x"].mean()
    return found


RECOMPUTED = chapter_3() | chapter_4() | chapters_5_and_6() | chapter_7_and_waspaa() | the_other_papers()
STATED = claims._table(claims.claims_folder(), "recomputed.csv").set_index(["area", "quantity"])


def test_a_good_part_of_the_averages_is_computed_again():
    assert len(RECOMPUTED) > 75


@pytest.mark.parametrize("key", RECOMPUTED, ids=" | ".join)
def test_the_average_follows_from_the_rows_as_recomputed_says(key):
    theirs = STATED.loc[key]
    ours = RECOMPUTED[key]
    assert ours == pytest.approx(float(theirs["recomputed"]), rel=6e-4, abs=6e-4)
    if (printed := number(theirs["stated"])) is None or "below" in key[1]:
        return
    decimals = len(theirs["stated"].partition(".")[2])
    follows = abs(ours - printed) <= 0.5 * 10**-decimals + 1e-9
    assert follows == (theirs["verdict"] == "follows") or abs(ours - printed) <= 1.01 * 10**-decimals


def test_what_does_not_follow_is_marked_inconsistent():
    """Averages whose every reading fails, and whose number is known, stand in inconsistent.csv."""
    marked = set(claims.load_contradictions())
    for area, prefix in (("T7.6 / Sec. 7.3.3", "thesis.t7.6."), ("WASPAA Sec. 3.2.1", "qat.s3.2.1.improvement.")):
        for name in ("real", "quaternion", "single", "dual", "random"):
            assert (f"{prefix}{name}" in marked) == (STATED.loc[(area, f"mean AT gain, {name}"), "claim_verdict"] == "DOES NOT FOLLOW")
    assert {"thesis.t3.1.story-avg.story-7", "thesis.s4.3.max-improvement", "humpcat.abstract.mean-accuracy"} <= marked


def test_a_lost_minus_sign_is_caught():
    """The planted fault is the thesis' own: with the sign back, the mean of story 7 follows from its ten cells."""
    assert RECOMPUTED["T3.1", "story 7 mean"] == pytest.approx(-VALUES["thesis.t3.1.story-avg.story-7"], abs=1e-3 + 0.005)
    assert abs(RECOMPUTED["T3.1", "story 7 mean"] - VALUES["thesis.t3.1.story-avg.story-7"]) > 0.03
