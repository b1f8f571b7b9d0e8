"""The ledger of thesis chapter 4: every number and setting has a selector, a check or a contradiction, and what each of them finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from sercore import grids, ledger, stats
from sercore.ledger import checks, claims, corpus_checks, mts_checks
from sercore.ledger.claims import LedgerError, Selector
from sercore.ledger.facts import Fact, Missing
from sercore.ledger.judgements import FINISHED_SYSTEMS, judged
from sercore.ledger.measurements import Measurements, cells, find_group, merge, strict_split
from sercore.ledger.rule import judge
from sercore.results import GROUP_COLUMNS, HISTORY_COLUMNS, RUN_COLUMNS, Results, empty_results
from sercore.spec import ModelSpec, ScaleSpec
from tests.unit.test_ledger import NEGATIVE, OUTSIDE, POSITIVE, measured

MAP = claims.load_map()
SET = "0.7_1_1.428"
BUILT = [name for name in FINISHED_SYSTEMS if name.startswith("mts")]
#: Twelve recordings of joy and four of fear a speaker, so that accuracy and UAR differ.
ITEMS = {"joy": 12, "fear": 4}


def chapter_ids() -> set[str]:
    numbers, settings = claims.load_claims("thesis"), claims.load_settings("thesis")
    return set(numbers.loc[numbers["chapter"].eq("4"), "claim_id"]) | set(settings.loc[settings["system"].isin(BUILT), "id"])


def line_of(results: Results, claim_id: str) -> dict:
    """One row of the ledger."""
    table = claims.load_claims("thesis").rename(columns={"claim_id": "id"}).assign(row="claim")
    if claim_id not in set(table["id"]):
        table = claims.load_settings("thesis").assign(row="setting", kind="hyperparameter")
    row = table[table["id"].eq(claim_id)].to_dict("records")[0]
    return judged(row, MAP.get(claim_id), claims.load_contradictions().get(claim_id, ""), Measurements(results))


def a_group(system, settings="", recall=0.6, *, epochs=500, seeds=5, speakers=10, validation=0.5, seconds=1.0, **columns):
    """One group's row, counts, runs and spec; recall of joy is `recall`, that of fear half of it."""
    row = dict.fromkeys(GROUP_COLUMNS, "") | {"corpus": "emodb", "task": "emotion", "system": system, "settings": settings}
    row |= {"variant": "definition", "protocol": "paper", "split": "positional_4", "folds": 4, "seeds": seeds, "profile": "full"}
    row |= {"n_items": speakers * 16, "n_speakers": speakers} | columns
    row["group"] = ".".join(str(row[c]) for c in ("corpus", "system", "settings", "protocol", "split", "epochs") if c in row)
    rng, counts = np.random.default_rng(7), []
    for seed in range(seeds):
        for speaker in range(speakers):
            for k, (truth, n) in enumerate(ITEMS.items()):
                right = rng.binomial(n, recall / (k + 1))
                line = {"group": row["group"], "seed": seed, "fold": speaker % 4, "speaker": str(speaker), "truth": truth}
                counts.append(line | dict.fromkeys(ITEMS, n - right) | {truth: right})
    run = dict.fromkeys(RUN_COLUMNS) | {"group": row["group"], "device": "cpu", "validation_uar": validation, "seconds_per_epoch": seconds}
    return row, counts, run | {"best_epoch": 12}, {row["group"]: {"training": {"epochs": epochs}}}


def results_of(*groups, **extras) -> Results:
    rows, counts, runs, specs = zip(*groups, strict=True)
    return Results(
        pd.DataFrame(rows, columns=GROUP_COLUMNS),
        pd.DataFrame([line for part in counts for line in part]),
        pd.DataFrame(runs, columns=RUN_COLUMNS),
        pd.DataFrame(columns=HISTORY_COLUMNS),
        {name: spec for part in specs for name, spec in part.items()},
        extras,
    )


A2 = "thesis.t4.1.emodb.a2.mts"


def a_pair(ours=0.85, reference=0.6, **columns) -> Results:
    return results_of(a_group("mts_a2", SET, ours, **columns), a_group("a2", "", reference, **columns))


# --- completeness -------------------------------------------------------------------------------------------------------------------------


def test_every_number_and_setting_of_the_chapter_is_mapped():
    assert len(chapter_ids()) == 302 + 62
    assert chapter_ids() <= set(MAP)


def test_nothing_of_the_chapter_waits_for_a_check():
    table = ledger.verdicts(empty_results(), "thesis").set_index("id").loc[sorted(chapter_ids())]
    assert "not checked yet" not in set(table["verdict"])
    assert (table["reason"].str.len() > 10).all()
    waiting = table[table["verdict"].eq("not run")]
    named = r"(?:are|is) missing|on (?:RAVDESS|EmoDb|FSDD)|stored runs"
    assert waiting["reason"].str.contains(named).all(), waiting.loc[~waiting["reason"].str.contains(named), "reason"]


@pytest.mark.parametrize("claim_id", ["thesis.set.mts.patience", "thesis/mts/loss", "thesis.t4.2.emodb.best-factor.1"])
def test_a_fact_that_loses_its_check_is_refused(monkeypatch, claim_id):
    monkeypatch.delitem(MAP, claim_id)
    with pytest.raises(LedgerError, match="finished chapter"):
        line_of(empty_results(), claim_id)


def test_the_published_schedules_are_those_of_the_settings():
    """The planted fault: a schedule in the map that the source does not state."""
    reslstm = {name for name in MAP if name.startswith("reslstm.")}
    for ids, setting in ((chapter_ids(), "thesis/mts/max_epochs"), (reslstm, "reslstm2026/reslstm-sa/epochs")):
        printed = claims.load_settings().set_index("id").loc[setting, "value"]
        assert {MAP[name].published_epochs for name in ids if MAP[name].statistic} == {printed}


def test_settings_of_the_map_are_written_as_specs_write_them():
    for selector in (MAP[name] for name in chapter_ids()):
        for system, settings in ((selector.system, selector.settings), (selector.reference, selector.reference_settings)):
            factors, _, kernel = settings.removeprefix("k5x5").rpartition("-") if settings.endswith("-k5x5") else (settings, "", "")
            scales = ScaleSpec(time_factors=tuple(float(f) for f in factors.split("_"))) if "_" in factors else None
            size = (5, 5) if settings.endswith("k5x5") else None
            assert ModelSpec(name=system or "x", scales=scales, kernel=size).settings == settings
            assert system.startswith("mts_") == bool(scales)


@pytest.mark.parametrize(
    ("corpus", "protocol", "system", "claim_id"),
    [
        ("emodb", "paper", "a1", "thesis.t4.1.emodb.a1.standard"),
        ("emodb", "paper", "mts_a1", "thesis.t4.1.emodb.a1.mts"),
        ("emodb", "paper", "mts_resnet18", "thesis.t4.3.emodb.resnet18.mts"),
        ("tess", "paper", "a3", "thesis.t4.1.tess.a3.standard"),
        ("emodb", "strict", "mts_a1", "thesis.t4.1.emodb.a1.mts"),
        ("fsdd", "strict", "a1", "thesis.t4.4.fsdd.a1.standard"),
        ("fsdd", "strict", "mts_a1", "thesis.t4.4.fsdd.a1.mts"),
        ("speech_commands", "strict", "mts_a2", "thesis.t4.4.gsc.a2.mts"),
    ],
)
def test_selectors_meet_the_rows_of_the_grid(corpus, protocol, system, claim_id):
    spec = grids.GRIDS[mts_checks.CHAPTER](corpus, "full", protocol, systems=(system,))[0]
    wanted = MAP[claim_id]
    made = (spec.data.corpus, spec.data.task, spec.model.name, spec.model.settings, spec.model.variant, spec.protocol, spec.split.scheme)
    split = strict_split(wanted.corpus) if protocol == "strict" else wanted.split
    assert made == (wanted.corpus, wanted.task, wanted.system, wanted.settings, wanted.variant, protocol, split)
    assert protocol == "strict" or wanted.protocol == "paper"


# --- rows ---------------------------------------------------------------------------------------------------------------------------------


def test_settings_tell_two_groups_of_one_system_apart():
    results = results_of(a_group("mts_a2", SET), a_group("mts_a2", "0.5_1_2"))
    assert find_group(results.groups, MAP[A2])[0]["settings"] == SET
    assert find_group(results.of(settings="0.5_1_2").groups, MAP[A2])[0] is None
    twice = results.groups.assign(settings=SET)
    with pytest.raises(LedgerError, match="two kinds of row"):
        find_group(twice, MAP[A2])


def test_accuracy_is_compared_with_accuracy():
    results = a_pair()
    line, data = line_of(results, A2), Measurements(results).cube(results.groups["group"][0])
    assert line["ours"] == pytest.approx(100 * data.scores("accuracy").mean())
    assert abs(data.scores("accuracy").mean() - data.scores("uar").mean()) > 0.05
    assert line["low"] < line["ours"] < line["high"]


def test_the_accuracy_of_speakers_is_over_all_their_recordings():
    data = stats.Cube(np.array([[[[9, 3], [3, 1]]]]), (0,), ("1",), ("joy", "fear"))
    assert stats.per_speaker(data, "accuracy")["accuracy"].tolist() == [10 / 16]
    assert stats.per_speaker(data)["uar"].tolist() == [0.5]
    with pytest.raises(ValueError, match="know uar and accuracy"):
        stats.per_speaker(data, "recall")


@pytest.mark.parametrize(
    ("epochs", "reference", "expected"),
    [(15, 0.6, "direction, reduced size"), (15, 0.85, "not reproduced"), (499, 0.6, "direction, reduced size"), (500, 0.6, "direction")],
)
def test_a_shorter_schedule_earns_a_direction_at_most(epochs, reference, expected):
    results = a_pair(0.85, reference, epochs=epochs, speakers=40, seeds=10)
    assert line_of(results, A2)["verdict"] == expected


def test_a_quick_run_is_of_reduced_size_whatever_its_schedule():
    data = Measurements(a_pair(profile="quick"))
    assert data.ours(MAP[A2]).measured.reduced
    assert not Measurements(a_pair()).ours(MAP[A2]).measured.reduced


def test_the_sign_of_a_score_is_that_of_its_difference_to_the_baseline():
    """ResNet18 with the layer is published 16.8 points below the one without: less is the published direction."""
    assert judge(0.525, measured(OUTSIDE, difference=NEGATIVE), published_difference=-0.1676).name == "direction"
    assert judge(0.525, measured(OUTSIDE, difference=POSITIVE), published_difference=-0.1676).name == "not reproduced"
    worse = results_of(a_group("mts_resnet18", SET, 0.5, epochs=15, speakers=40), a_group("resnet18", "", 0.9, epochs=15, speakers=40))
    assert line_of(worse, "thesis.t4.3.emodb.resnet18.mts")["verdict"] == "direction, reduced size"
    assert line_of(worse, "thesis.s4.4.resnet18.improvement.max")["ours"] > 0


def test_a_cell_whose_set_of_scales_is_not_printed_is_not_comparable():
    results = results_of(a_group("mts_a1", SET, 0.9), a_group("a1", "", 0.6))
    line = line_of(results, "thesis.t4.1.emodb.a1.mts")
    assert line["verdict"] == "not comparable"
    assert "its set is not named" in line["reason"]
    assert line["ours"] > 50


def test_other_folds_stand_beside_and_are_not_compared():
    strict = {"protocol": "strict", "split": "pairs_5", "folds": 5}
    line = line_of(results_of(a_group("mts_a1", SET, **strict), a_group("a1", **strict)), "thesis.t4.1.emodb.a1.mts")
    assert line["verdict"] == "not run"
    assert "other folds (pairs_5)" in line["reason"]
    assert "protocol paper" in line["reason"]
    assert "ours" not in line
    assert line["strict_low"] < line["ours_strict"] < line["strict_high"]


def test_the_grown_release_of_fsdd_is_shown_once_and_not_comparable():
    columns = {"corpus": "fsdd", "task": "word", "protocol": "strict", "split": "leave_one_speaker_out", "folds": 6, "speakers": 6}
    results = results_of(a_group("mts_a1", f"{SET}-k5x5", **columns), a_group("a1", "k5x5", **columns))
    for claim_id in ("thesis.t4.4.fsdd.a1.standard", "thesis.t4.4.fsdd.a1.mts"):
        line = line_of(results, claim_id)
        assert line["verdict"] == "not comparable"
        assert "six speakers" in line["reason"]
        assert "ours" not in line
        assert line["ours_strict"] > 0
    columns["folds"] = 3
    part = line_of(results_of(a_group("a1", "k5x5", **columns)), "thesis.t4.4.fsdd.a1.standard")
    assert "3 of 6 folds" in part["reason"]


def test_shares_of_branches_are_those_of_trained_networks():
    group = a_group("mts_a2", SET)
    rows = [
        {"group": group[0]["group"], "seed": seed, "fold": 0, "kernels": kernels, "factor": factor, "share": share + 0.002 * seed}
        for seed in range(5)
        for kernels, shares in (("trained", (0.466, 0.066, 0.456)), ("untrained", (0.3, 0.4, 0.3)))
        for factor, share in zip((0.7, 1, 1.428), shares, strict=True)
    ]
    results = merge([results_of(group, usage=pd.DataFrame(rows))])  # as stored rows of several chapters come
    line = line_of(results, "thesis.t4.2.emodb.usage.0.7")
    assert (line["verdict"], round(line["ours"], 4)) == ("reproduced", 0.47)
    assert line_of(results, "thesis.t4.2.emodb.usage.1")["ours"] == pytest.approx(0.07)
    assert line_of(results_of(group), "thesis.t4.2.emodb.usage.1")["verdict"] == "not run"


# --- findings over many runs --------------------------------------------------------------------------------------------------------------


def fsdd_cells(*gains):
    columns = {"corpus": "fsdd", "task": "word", "protocol": "strict", "split": "leave_one_speaker_out", "folds": 6, "speakers": 6}
    pairs = [(n, a_group(f"a{n}", "k5x5", 0.5, **columns), gain) for n, gain in enumerate(gains, 1)]
    return [g for n, standard, gain in pairs for g in (standard, a_group(f"mts_a{n}", f"{SET}-k5x5", 0.5 + gain, **columns))]


def test_a_mean_over_cells_needs_every_cell():
    whole = results_of(*fsdd_cells(0.2, -0.2, -0.3))
    wanted = MAP["thesis.s4.4.speech.improvement.fsdd"]
    data = Measurements(whole)
    gains = [data.compare(whole.groups.iloc[2 * n + 1], whole.groups.iloc[2 * n], "accuracy").difference.estimate for n in range(3)]
    assert data.ours(wanted).measured.estimate == pytest.approx(-np.mean(gains))
    assert Measurements(results_of(*fsdd_cells(0.2, -0.2))).ours(wanted) is None
    assert len(cells("thesis.t4.1.")) == 16
    assert len(cells("thesis.t4.5.cifar10.a2. thesis.t4.5.mnist.a2.")) == 2


def test_cells_are_counted_when_all_are_there():
    results = results_of(*fsdd_cells(0.2, -0.2, -0.3))
    found = {what: checks.compute(f"cells:{what}:thesis.t4.4.fsdd.", results) for what in ("losses", "gains", "largest", "p")}
    assert (found["losses"].value, found["gains"].value) == (2, 1)
    assert 10 < found["largest"].value < 30
    assert found["p"].value > 0.2
    assert not any(fact.comparable for fact in found.values())
    lacking = checks.compute("cells:losses:thesis.t4.4.", results)
    assert isinstance(lacking, Missing)
    assert "3 of 6 cells" in lacking.what
    assert "recordings of GSC are missing" in lacking.what


def test_the_best_set_is_chosen_on_validation_and_among_all_sets():
    from sercore.layers.kernel_scales import SCALE_SETS

    groups = [a_group("mts_a2", name, validation=0.9 if name == "0.5_1_2" else 0.4) for name in SCALE_SETS]
    best = checks.compute("best_scales:emodb.mts_a2", results_of(*groups))
    assert best.value == (0.5, 1.0, 2.0)
    assert checks.holds(best, "2")
    assert not checks.holds(best, "1.428")
    assert "10 of 11 sets" in checks.compute("best_scales:emodb.mts_a2", results_of(*groups[1:])).what
    kept = [a_group("mts_resnet18", name) for name in SCALE_SETS if "0.25" not in name]
    assert isinstance(checks.compute("best_scales:emodb.mts_resnet18", results_of(*kept)), Fact)
    line = line_of(results_of(*groups), "thesis.t4.2.emodb.best-factor.1.428")
    assert line["verdict"] == "not comparable"
    assert "0.5, 1, 2" in line["ours"]


def test_the_time_of_an_epoch_is_set_against_the_same_device():
    results = results_of(a_group("mts_a2", SET, seconds=2.6), a_group("a2", seconds=2.0))
    line = line_of(results, "thesis.s4.3.epoch-time.3")
    assert (line["verdict"], line["ours"]) == ("not comparable", "1.3")
    assert "stored runs on cpu" in line["reason"]
    assert line_of(results, "thesis.s4.3.epoch-time.5")["verdict"] == "not run"


def test_epochs_to_converge_need_the_published_schedule():
    assert isinstance(checks.compute("epochs:mts", results_of(a_group("mts_a2", SET, epochs=15))), Missing)
    assert checks.compute("epochs:mts", results_of(a_group("mts_a2", SET, epochs=500))).value == 12


# --- facts --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim_id", "expected", "ours"),
    [
        ("thesis/mts/scale_factor_set_11", "as stated", "0.7, 0.8, 0.9, 1, 1.111, 1.25, 1.428"),
        ("thesis/mts/n_branches", "as stated", "3 5 7"),
        ("thesis/mts/n_scale_sets", "as stated", "11"),
        ("thesis.set.mts.scale-factor-set-06.3", "as stated", "0.95, 1, 1.053"),
        ("thesis.set.mts.a1-conv-channels", "as stated", "1"),
        ("thesis.set.mts.a2-kernel", "as stated", "10x5"),
        ("thesis.set.mts.a3-pool", "as stated", "2x2"),
        ("thesis.set.mts.a3-fc-units", "as stated", "200"),
        ("thesis.set.mts.a4-mts-layers", "as stated", "2"),
        ("thesis.set.mts.a4-fc-layers", "as stated", "2"),
        ("thesis.set.mts-resnet18.input-size", "as stated", "256x256"),
        ("thesis.set.mts-resnet18.kernel-b", "differs", "3x3, 1x1, 7x7"),
        ("thesis/mts-resnet18/mts_layers", "differs", "all but the 1x1"),
        ("thesis.set.mts-speech.kernel", "as stated", "5x5"),
        ("thesis/mts-speech/architectures", "as stated", "A1, A2, A3"),
        ("thesis.set.mts.stft-window", "as stated", "20"),
        ("thesis.set.mts.max-epochs", "differs", "15"),
        ("thesis.set.mts.patience", "as stated", "10"),
        ("thesis/mts/regularization", "as stated", "L2, weight by grid search"),
        ("thesis/mts/activation", "as stated", "ReLU hidden, softmax output"),
        ("thesis/mts/branch_merge", "as stated", "3D max pooling over scales"),
        ("thesis/mts/weight_sharing", "differs", "one kernel, which every branch updates"),
        ("thesis/mts/learning_rate", "not comparable", "0.001"),
        ("thesis/mts/batch_size", "not comparable", "100"),
        ("thesis.set.mts.split-train", "as stated", "70"),
        ("thesis.t4.1.iemocap.n", "as stated", "5531"),
        ("thesis.t4.4.gsc.n", "inconsistent", "105,829"),
        ("thesis.t4.4.fsdd.n", "differs", "3000"),
        ("thesis.s4.3.iemocap.utterances", "as stated", "7529"),
        ("thesis.s4.3.emodb.sentences", "as stated", "10"),
        ("thesis.s4.3.emodb.duration", "as stated", "24.79"),
        ("thesis.s4.3.tess.words", "as stated", "200"),
        ("thesis.s4.4.cifar10.size", "as stated", "32x32"),
    ],
)
def test_facts_are_read_from_the_code(claim_id, expected, ours):
    line = line_of(empty_results(), claim_id)
    assert (line["verdict"], line["ours"]) == (expected, ours)


@pytest.mark.parametrize(
    ("claim_id", "change"),
    [
        ("thesis.set.mts.patience", {"patience_epochs": 5}),
        ("thesis.set.mts.max-epochs", {"epochs": 400}),
    ],
)
def test_a_grid_that_drifts_is_caught(monkeypatch, claim_id, change):
    spec = mts_checks._grid("emodb")
    monkeypatch.setattr(mts_checks, "_grid", lambda *_, **__: spec.model_copy(update={"training": spec.training.model_copy(update=change)}))
    line = line_of(empty_results(), claim_id)
    assert (line["verdict"], line["ours"]) == ("differs", str(next(iter(change.values()))))


def test_a_wrong_layer_is_caught(monkeypatch):
    """The planted faults: a mean instead of the maximum over branches, and a factor that the thesis does not have."""
    import torch

    from sercore.layers import kernel_scales
    from sercore.layers.multi_time_scale import MultiTimeScaleConv2d

    def averaged(self, x):
        return torch.stack([m for _, m in self._maps(x)]).mean(0)

    monkeypatch.setattr(MultiTimeScaleConv2d, "forward", averaged)
    assert line_of(empty_results(), "thesis/mts/branch_merge")["verdict"] == "differs"
    monkeypatch.setitem(kernel_scales.SCALE_SETS, SET, (0.7, 1.0, 1.43))
    assert line_of(empty_results(), "thesis/mts/scale_factor_set_03")["verdict"] == "differs"
    assert line_of(empty_results(), "thesis.set.mts.scale-factor-set-03.3")["verdict"] == "differs"


@pytest.mark.recordings
def test_lengths_of_releases_are_those_that_the_ledger_states(corpora_root):
    import soundfile

    for corpus in ("emodb", "ravdess", "fsdd"):
        files = [p for p in (corpora_root / corpus).rglob("*") if p.suffix in (".wav", ".flac")]
        seconds = [soundfile.info(p).duration for p in files]
        stated = corpus_checks.MEASURED_FACTS
        if corpus == "fsdd":
            assert np.mean(seconds) == pytest.approx(stated["fsdd.seconds"], abs=5e-4)
            assert (round(min(seconds), 2), round(max(seconds), 2)) == (0.14, 2.28)
        else:
            assert sum(seconds) / 60 == pytest.approx(stated[f"{corpus}.minutes"], abs=5e-3)


# --- pages --------------------------------------------------------------------------------------------------------------------------------


def test_pairs_name_their_settings_and_their_metric():
    results = results_of(a_group("a2", "", 0.6), a_group("mts_a2", SET, 0.9), a_group("mts_a2", "0.5_1_2", 0.7))
    asked = {"corpus": "emodb", "protocol": "paper", "metric": "accuracy"}
    table = ledger.comparisons(results, [(f"mts_a2/{SET}", "a2"), ("mts_a2/0.5_1_2", "a2")], **asked)
    assert table["system"].tolist() == ["A2 MTS (0.7, 1, 1.428)", "A2 MTS (0.5, 1, 2)"]
    data = Measurements(results)
    accuracy = data.cube(results.groups["group"][1]).scores("accuracy").mean()
    assert table["score"][0] == pytest.approx(accuracy)
    assert "has an accuracy of" in ledger.answer(results, f"mts_a2/{SET}", "a2", **asked)
    with pytest.raises(LedgerError, match="two groups"):
        ledger.comparisons(results, [("mts_a2", "a2")], **asked)


def test_a_table_of_accuracies_shows_plain_systems_in_accuracy():
    plain = a_group("functionals_svm", "", 0.7, protocol="strict", split="pairs_5")
    results = results_of(*[a_group(s, n, r) for s, n, r in (("mts_a2", SET, 0.9), ("a2", "", 0.6))], plain)
    shown = ledger.table(results, "thesis", "Table 4.1").data
    last = shown.iloc[-1]
    assert last["quantity"] == "emodb, accuracy"
    assert last["ours, strict"] == Measurements(results).in_words(plain[0]["group"], "accuracy")


def test_a_selector_of_an_unknown_metric_is_not_taken_for_recall():
    assert {s.metric for s in MAP.values() if s.statistic} == set(claims.METRICS)
    assert Selector("x", metric="accuracy").settings == ""
