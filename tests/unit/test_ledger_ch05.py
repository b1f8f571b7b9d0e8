"""The ledger of thesis chapter 5: every number and setting has a selector, a check or a contradiction, and what each of them finds."""

from __future__ import annotations

import re
from functools import cache

import numpy as np
import pandas as pd
import pytest

from sercore import grids, ledger
from sercore.anti_transfer_grid import METHODS
from sercore.anti_transfer_tasks import NOISE_LEVELS, ORTHOGONAL
from sercore.ledger import at_checks, checks, claims
from sercore.ledger.claims import LedgerError
from sercore.ledger.facts import Fact, Missing
from sercore.ledger.measurements import Measurements, find_group
from sercore.ledger.paired import label
from sercore.results import empty_results
from tests.unit.test_ledger_ch04 import MAP, a_group, line_of, results_of

AT, NONE = "at_conv_5_word_librispeech_words", ""
WORDS = "thesis.t5.4.at.word-librispeech.iemocap.{}.test"


def chapter_ids() -> set[str]:
    numbers, settings = claims.load_claims("thesis"), claims.load_settings("thesis")
    return set(numbers.loc[numbers["chapter"].eq("5"), "claim_id"]) | set(settings.loc[settings["system"].eq("at"), "id"])


@pytest.fixture(scope="module")
def unrun() -> pd.DataFrame:
    """The chapter's numbers and settings with no run at all."""
    return ledger.verdicts(empty_results(), "thesis").set_index("id").loc[sorted(chapter_ids())]


def a_run(settings, recall=0.6, **columns):
    """A group of VGG16 on IEMOCAP as the grid makes it, under the strict protocol."""
    asked = {"corpus": "iemocap_4", "protocol": "strict", "split": "iemocap_sessions_5", "folds": 5, "epochs": 50}
    return a_group("vgg16_pool", settings, recall, **(asked | columns))


# --- completeness -------------------------------------------------------------------------------------------------------------------------


def test_every_number_and_setting_of_the_chapter_is_mapped():
    assert len(chapter_ids()) == 275 + 37
    assert chapter_ids() <= set(MAP)


def test_nothing_of_the_chapter_waits_for_a_check(unrun):
    assert "not checked yet" not in set(unrun["verdict"])
    assert (unrun["reason"].str.len() > 10).all()
    waiting = unrun[unrun["verdict"].eq("not run")]
    assert waiting["reason"].str.contains(r"(?:are|is) missing").all(), waiting["reason"].to_dict()


@pytest.mark.parametrize("claim_id", ["thesis.set.at.patience", "thesis/at/similarity", "thesis.t5.1.row8.convolution.kernel"])
def test_a_fact_that_loses_its_check_is_refused(monkeypatch, claim_id):
    monkeypatch.delitem(MAP, claim_id)
    with pytest.raises(LedgerError, match="finished chapter"):
        line_of(empty_results(), claim_id)


def test_the_published_schedule_is_that_of_the_settings():
    printed = claims.load_settings().set_index("id").loc["thesis/at/max_epochs", "value"]
    assert {MAP[i].published_epochs for i in chapter_ids() if MAP[i].statistic} == {printed}


def test_a_number_of_one_row_waits_for_all_corpora_of_that_row(unrun):
    """The target's recordings and those of every orthogonal task, whether a run or a measure is missing."""
    table = claims.load_claims("thesis").set_index("claim_id")
    rows = table[table["chapter"].eq("5") & table["note"].str.contains("pretrain_corpus") & table["kind"].eq("result")]
    assert len(rows) > 80
    for name, row in rows.iterrows():
        needed = {row["corpus"], *re.search(r"pretrain_corpus=([^;]+)", row["note"])[1].strip().split(">")}
        said = unrun.loc[name, "reason"].split("The source also")[0]
        assert all(corpus in said for corpus in needed), (name, said)


# --- rows that the grid can make ----------------------------------------------------------------------------------------------------------


def orthogonal_names(settings: str) -> list[str]:
    """The grid's names of the orthogonal tasks in settings, in the order in which they stand; a dual run's first stage is none of them."""
    known = "|".join(sorted(ORTHOGONAL, key=len, reverse=True))
    return re.findall(rf"{'at_conv_[0-9]+' if 'at_' in settings else 'wi'}_({known})", settings)


@cache
def made(corpus, protocol, names, tap) -> dict[tuple, object]:
    """What the grid makes of all methods, keyed as a selector names it."""
    asked = {"systems": ("vgg16_pool",), "methods": tuple(METHODS) if len(names) > 1 else tuple(m for m in METHODS if m != "dual")}
    choices = {"aggregations": ("gram", "mean", "sum", "compressed_product", "max"), "measures": ("squared_cosine", "sigmoid_mse")}
    asked |= {"tasks": names, "taps": (tap,), "size": "whole", "seeds": 1, "folds": 1} | choices
    asked["divisions"] = ("speakers", "random", *(("instruments",) if corpus == "good_sounds" else ()))
    asked["noises"] = tuple(NOISE_LEVELS) if corpus == "speech_commands_digits" else ()
    return {key(spec): spec for spec in grids.GRIDS[at_checks.CHAPTER](corpus, "full", protocol, **asked)}


def key(spec) -> tuple:
    data, model = spec.data, spec.model
    return data.corpus, data.task, model.name, spec.settings, model.variant, spec.protocol, spec.split.scheme


MEASURED = [MAP[i] for i in sorted(chapter_ids() & set(MAP)) if MAP[i].statistic]
#: Corpora of pre-training are reached through a target.
TARGET_OF = {"librispeech_words": "iemocap_4", "nsynth": "good_sounds", "ms_snsd": "speech_commands_digits"}
PARENTS = {f"{task.task}_{task.corpus}" for task in ORTHOGONAL.values()} - {"emotion_iemocap_4"}  # which is a target too


@pytest.mark.parametrize("selector", MEASURED, ids=lambda s: s.id)
def test_a_selector_names_a_row_that_the_grid_makes(selector):
    names = tuple(orthogonal_names(selector.settings))
    if (own := f"{selector.task}_{selector.corpus}") in PARENTS:
        names = (own,)
    tap = re.search(r"conv_\d+", selector.settings)
    target = TARGET_OF.get(selector.corpus, selector.corpus)
    rows = made(target, selector.protocol, names or ("speaker_fsdd",), tap[0] if tap else "conv_5")
    asked = (selector.corpus, selector.task, selector.system)
    rest = (selector.variant, selector.protocol, selector.split)
    assert (*asked, selector.settings, *rest) in rows
    if selector.reference:
        assert selector.reference == selector.system
        assert (*asked, selector.reference_settings, *rest) in rows


def test_only_whole_size_is_compared():
    """A network of an eighth of the width, as the study's own runs, has other settings and is taken for none of these."""
    small = grids.GRIDS[at_checks.CHAPTER]("iemocap_4", "full", systems=("vgg16_pool",), methods=("none",), seeds=1, folds=1)[-1]
    assert small.settings == "w0.125"
    assert not {s.settings for s in MEASURED} & {small.settings}
    results = results_of(a_run("w0.125"))
    assert find_group(results.groups, MAP["thesis.t5.4.none.iemocap.random.test"]) == (None, "")


def test_the_layers_are_those_of_the_text_where_it_names_them():
    """The published layer numbers are in the settings of the claims themselves."""
    from sercore.models.taps import tap_of

    printed = claims.load_settings().set_index("id")["value"]
    for claim_id, setting in (
        ("thesis.t5.3.at.noise-type.gsc.noise-none.test", "thesis/at/best_layer_wr"),
        (WORDS.format("random"), "thesis/at/best_layer_ser"),
        ("thesis.t5.5.at.instrument-nsynth.good-sounds.random.test", "thesis/at/best_layer_sge"),
    ):
        assert f"at_{tap_of('vgg16_pool', int(printed[setting]))}_" in MAP[claim_id].settings
        assert "layer is not named" not in MAP[claim_id].other
    named = re.compile(r"t5\.6|at_conv_5_noise_ms_snsd|word_librispeech|at_conv_6")
    others = [s for s in MEASURED if s.settings.startswith("at_") and not named.search(s.settings + s.id)]
    assert len(others) > 4
    assert all("layer is not named" in s.other for s in others)


# --- rows ---------------------------------------------------------------------------------------------------------------------------------


def test_a_random_division_is_compared_with_one_and_folds_by_session_are_shown_beside_it():
    only_strict = line_of(results_of(a_run(AT, 0.9), a_run(NONE, 0.6)), WORDS.format("random"))
    assert only_strict["verdict"] == "not run"
    assert only_strict["ours_strict"] > 60
    assert "ours" not in only_strict
    mixed = {"protocol": "paper", "split": "positional_files", "folds": 1}
    line = line_of(results_of(a_run(AT, 0.9, **mixed), a_run(NONE, 0.6, **mixed)), WORDS.format("random"))
    assert line["ours"] > 60
    assert line["verdict"] not in ("not run", "not comparable")
    by_speaker = {**mixed, "split": "positional_1"}
    assert line_of(results_of(a_run(AT, 0.9, **by_speaker)), WORDS.format("random"))["verdict"] == "not run"


def test_a_row_by_speaker_is_compared_where_its_layer_is_not_chosen():
    paper = {"protocol": "paper", "split": "positional_1", "folds": 1, "speakers": 2}
    baseline = line_of(results_of(a_run(NONE, 0.6, **paper)), "thesis.t5.4.none.iemocap.speaker.test")
    assert (baseline["verdict"], "2 test speakers" in baseline["reason"]) == ("not decidable", True)
    chosen = line_of(results_of(a_run(NONE, 0.6, **paper), a_run(AT, 0.6, **paper)), WORDS.format("speaker"))
    assert (chosen["verdict"], "best of thirteen" in chosen["reason"]) == ("not comparable", True)


def test_all_aggregations_of_the_table_have_settings_of_their_own():
    table = [s for s in MEASURED if s.id.startswith("thesis.t5.6.") and s.id.endswith(".test")]
    assert len({s.settings for s in table}) == len(table) == 10
    assert MAP["thesis.t5.6.gram-matrix.squared-cosine.test"].settings == MAP[WORDS.format("random")].settings


def test_the_accuracy_of_a_side_that_is_learned_from_is_that_of_the_runs(unrun):
    numbers = claims.load_claims("thesis")
    sides = numbers[numbers["chapter"].eq("5") & numbers["subset"].isin(["train", "val"])]["claim_id"]
    assert len(sides) == 69
    assert set(unrun.loc[sides, "verdict"]) == {"not run"}
    cells = [i for i in sides if MAP[i].statistic]
    assert len(cells) == 67
    assert {(MAP[i].statistic, i.rpartition(".")[2]) for i in cells} == {("train_accuracy", "train"), ("validation_accuracy", "val")}
    assert unrun.loc[cells, "reason"].str.contains("with the accuracy of its (?:training|validation) side").all()
    for i in cells:  # the row of the test side
        test = MAP[i.rpartition(".")[0] + ".test"]
        assert (test.corpus, test.system, test.settings, test.protocol, test.split) == (
            MAP[i].corpus, MAP[i].system, MAP[i].settings, MAP[i].protocol, MAP[i].split,
        )  # fmt: skip
    mixed = {"protocol": "paper", "split": "positional_files", "folds": 1}
    results = results_of(a_run(NONE, 0.6, **mixed))
    name = "thesis.t5.4.none.iemocap.random.train"
    assert line_of(results, name)["verdict"] == "not run"  # runs from before the accuracy was kept
    accuracies = [0.7, 0.72, 0.8, 0.71, 0.75]
    results.runs = pd.concat([results.runs.assign(seed=k, train_accuracy=a) for k, a in enumerate(accuracies)])
    line = line_of(results, name)
    assert line["ours"] == pytest.approx(100 * np.mean(accuracies), abs=0.05)
    assert line["verdict"] != "not run"


def test_words_in_noise_have_rows_of_their_own(unrun):
    """A run without noise is never taken for one with it, nor one level for another; every cell names the noises that it waits for."""
    cells = [i for i in chapter_ids() if i.startswith("thesis.t5.3.") and i.endswith(".test")]
    assert len(cells) == 21
    noisy = [i for i in cells if "noise-none" not in i]
    assert len(noisy) == 14
    assert unrun.loc[noisy, "reason"].str.contains("MS-SNSD").all()
    assert len({MAP[i].settings for i in cells}) == 21
    for level, levels in (("low", "20to40dB"), ("high", "0to10dB")):
        of_level = [MAP[i] for i in noisy if f"noise-{level}." in i]
        assert all(f"noise_ms_snsd_{levels}" in s.settings for s in of_level)
        assert {s.reference_settings for s in of_level if s.reference} == {f"noise_ms_snsd_{levels}"}
    there = {"corpus": "speech_commands_digits", "task": "word", "protocol": "paper", "split": "positional_files", "folds": 1}
    results = results_of(a_run(NONE, 0.9, **there), a_run("noise_ms_snsd_0to10dB", 0.5, **there))
    rows = {level: line_of(results, f"thesis.t5.3.none.gsc.noise-{level}.test") for level in ("none", "low", "high")}
    assert rows["low"]["verdict"] == "not run"
    assert rows["none"]["ours"] > rows["high"]["ours"] > 0


def test_the_mean_over_all_cells_waits_for_those_with_noise_too(unrun):
    mean = unrun.loc["thesis.s5.3.3.mean-test-improvement", "reason"]
    assert "0 of 20 cells" in mean
    assert "MS-SNSD" in mean
    assert "contradicts itself" in mean


# --- findings over many runs --------------------------------------------------------------------------------------------------------------


def layers(scores, tasks=("word_librispeech_words",)):
    return [a_run(f"at_conv_{n}_{task}", recall) for n, recall in enumerate(scores, 1) for task in tasks]


def test_the_best_layer_needs_all_thirteen():
    scores = np.full(13, 0.4)
    scores[[4, 6, 12, 8]] = 0.95, 0.8, 0.65, 0.1
    whole = results_of(*layers(scores))
    ranks = {rank: checks.compute(f"at_layer:{rank}:iemocap_4.word_librispeech_words", whole) for rank in (1, 2, 3, -1)}
    assert {rank: fact.value for rank, fact in ranks.items()} == {1: 5, 2: 7, 3: 13, -1: 9}
    assert not any(fact.comparable for fact in ranks.values())
    lacking = checks.compute("at_layer:1:iemocap_4.word_librispeech_words", results_of(*layers(scores[:12])))
    assert isinstance(lacking, Missing)
    assert "12 of 13 layers" in lacking.what
    assert line_of(whole, "thesis.s5.4.3.layer.best")["verdict"] == "not comparable"


def test_the_best_layer_of_two_tasks_is_best_in_their_mean():
    one, other = np.full(13, 0.4), np.full(13, 0.4)
    one[0], other[0], one[1], other[1] = 0.95, 0.05, 0.8, 0.8
    groups = layers(one) + layers(other, ("speaker_iemocap_4",))
    both = "at_layer:1:iemocap_4.word_librispeech_words+speaker_iemocap_4"
    assert checks.compute(both, results_of(*groups)).value == 2
    assert "12 of 13" in checks.compute(both, results_of(*groups[:-1])).what


def test_time_is_set_against_the_same_run_without_the_loss():
    plain, loss = a_run("w0.125", seconds=2.0), a_run(f"w0.125-{AT}", seconds=2.1)
    others = [a_run("w0.125-at_conv_5_random", seconds=9), a_run("", seconds=0.1), a_run(AT, seconds=9.0, corpus="emodb")]
    fact = checks.compute("at_cost:seconds_per_epoch", results_of(plain, loss, *others))
    assert fact.value == pytest.approx(1.05)
    assert "VGG16 (width 1/8) on IEMOCAP, cpu" in fact.where
    line = line_of(results_of(plain, loss), "thesis.s5.4.7.time-ratio")
    assert (line["verdict"], line["ours"]) == ("not comparable", "1.05")
    assert isinstance(checks.compute("at_cost:seconds_per_epoch", results_of(plain, *others)), Missing)


def test_a_gain_is_that_over_the_network_without_transfer():
    mixed = {"protocol": "paper", "split": "positional_files", "folds": 1}
    ours = Measurements(results_of(a_run(AT, 0.9, **mixed), a_run(NONE, 0.6, **mixed))).ours(MAP["thesis.s5.4.6.beta-gain"])
    assert 0.2 < ours.measured.estimate < 0.35
    assert Measurements(results_of(a_run(AT, 0.9), a_run(NONE, 0.6))).ours(MAP["thesis.s5.4.6.beta-gain"]) is None


def test_what_is_said_to_follow_does(unrun):
    """The audit of the sources' arithmetic finds the same."""
    from sercore.arithmetic import Audit

    statements = Audit().readings.explode("ids").groupby("ids")["verdict"].agg(set)
    said = [i for i in chapter_ids() if "follows from the printed cells" in MAP[i].remark]
    assert len(said) == 4
    for claim_id in said:
        assert statements[claim_id] == {"follows"}


# --- facts --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim_id", "expected", "ours"),
    [
        ("thesis.t5.1.row1.input.size", "inconsistent", "224x224"),
        ("thesis.t5.1.row3.max-pooling.size", "inconsistent", "112x112"),
        ("thesis.t5.1.row4.convolution.size", "inconsistent", "112x112"),
        ("thesis.t5.1.row6.convolution.repeats", "inconsistent", "3"),
        ("thesis.t5.1.row8.convolution.repeats", "as stated", "3"),
        ("thesis.t5.1.row11.max-pooling.kernel", "inconsistent", "2x2"),
        ("thesis.t5.1.row11.max-pooling.size", "as stated", "7x7"),
        ("thesis.t5.1.row12.fully-connected.size", "as stated", "25,088"),
        ("thesis.t5.1.caption.input", "inconsistent", "224x224x1"),
        ("thesis.s5.2.2.similarity-max", "as stated", "1"),
        ("thesis.s5.3.n-combinations", "as stated", "20"),
        ("thesis.s5.3.1.n-datasets", "as stated", "6"),
        ("thesis.s5.3.1.gsc.speakers", "as stated", "2618"),
        ("thesis.t5.2.iemocap-4-sec.speaker.classes", "inconsistent", "10"),
        ("thesis.s5.4.7.pair-factor", "as stated", "2"),
        ("thesis.s5.4.7.first-layer-memory", "inconsistent", "4.177"),
        ("thesis.s5.4.7.last-layer-memory", "inconsistent", "1.163"),
        ("thesis.s5.4.7.network-memory", "inconsistent", "537.2"),
        ("thesis.s5.4.7.last-layer-shape", "as stated", "1x512x7x8"),
        ("thesis.s5.4.7.input-shape", "differs", "1x1x128x128"),
        ("thesis.set.at.dropout", "as stated", "50"),
        ("thesis.set.at.stft-overlap", "as stated", "50"),
        ("thesis/at/stft_window_type", "as stated", "Hamming"),
        ("thesis/at/l1_l2_regularization", "as stated", "none"),
        ("thesis/at/layer_selection", "differs", "conv_5, fixed beforehand"),
        ("thesis/at/noise_low_min", "not comparable", "ratios of speech to noise of 20 to 40 dB"),
    ],
)
def test_facts_are_read_from_the_code(unrun, claim_id, expected, ours):
    assert (unrun.loc[claim_id, "verdict"], unrun.loc[claim_id, "ours"]) == (expected, ours)


def test_the_sizes_of_table_1_follow_from_224_and_from_no_other():
    """What the ledger calls a contradiction of the table: its pools give 27 of 56 points with windows of 3x3, and its rows need 224."""
    assert (56 - 3) // 2 + 1 == 27
    sizes = [at_checks._vgg16(side, side, 10).taps["pool_2"][1] for side in (224, 244)]
    assert sizes == [56, 61]
    repeats = claims.load_claims("thesis").set_index("claim_id")["value"].filter(regex=r"t5\.1\..*repeats").astype(int)
    assert repeats.sum() == 12


@pytest.mark.parametrize(
    ("setting", "part", "change"),
    [
        ("patience", "training", {"patience_epochs": 6}),
        ("patience", "training", {"select_by": "validation_uar"}),
        ("batch_size", "training", {"batch_size": 32}),
        ("l1_l2_regularization", "training", {"weight_decay": 0.01}),
        ("stft_overlap", "features", {"hop_ms": 16.0}),
        ("sample_rate", "features", {"sample_rate_hz": 8000}),
        ("beta", "anti_transfer", {"beta": 2.0}),
        ("similarity", "anti_transfer", {"measure": "sigmoid_mse"}),
        ("aggregation", "anti_transfer", {"variant": "released"}),
        ("normalization", "features", {"normaliser": "maximum"}),
    ],
)
def test_a_grid_that_drifts_is_caught(monkeypatch, setting, part, change):
    spec = at_checks._grid("iemocap_4")
    drifted = spec.model_copy(update={part: getattr(spec, part).model_copy(update=change)})
    assert line_of(empty_results(), f"thesis/at/{setting}")["verdict"] == "as stated"
    monkeypatch.setattr(at_checks, "_grid", lambda *_: drifted)
    assert line_of(empty_results(), f"thesis/at/{setting}")["verdict"] == "differs"


def test_a_wrong_network_or_window_is_caught(monkeypatch):
    """The planted faults: windows of another shape, a block short of a convolution, a loss without its square."""
    import torch

    from sercore.losses import similarities
    from sercore.models import vgg16

    hann = torch.hann_window
    monkeypatch.setattr(torch, "hamming_window", hann)
    assert line_of(empty_results(), "thesis/at/stft_window_type")["verdict"] == "differs"
    monkeypatch.setattr(similarities, "similarity", lambda a, b, **_: torch.cosine_similarity(a.flatten(1), b.flatten(1)).mean())
    assert line_of(empty_results(), "thesis/at/similarity")["verdict"] == "differs"
    monkeypatch.setattr(vgg16, "BLOCKS", ((64, 64), (128, 128), (256, 256, 256), (512, 512), (512, 512, 512)))
    at_checks._vgg16.cache_clear()
    assert line_of(empty_results(), "thesis.t5.1.row8.convolution.repeats")["verdict"] == "differs"
    at_checks._vgg16.cache_clear()


def test_an_unknown_layer_or_setting_is_refused():
    with pytest.raises(LedgerError, match="known of a layer: channels"):
        checks.compute("vgg16:conv_1.weight", empty_results())
    with pytest.raises(LedgerError, match="known of a run: sample_rate_khz"):
        checks.compute("at_run:emodb.colour", empty_results())
    assert isinstance(checks.compute("at_layers:", empty_results()), Fact)


# --- words --------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("none", "VGG16 (width 1/8)"),
        ("wi", "VGG16 (width 1/8; weights of speakers of ravdess)"),
        ("wi_frozen", "VGG16 (width 1/8; weights of speakers of ravdess, frozen up to conv 5)"),
        ("at", "VGG16 (width 1/8; anti-transfer at conv 5 against speakers of ravdess)"),
        ("at_random", "VGG16 (width 1/8; anti-transfer at conv 5 against a random network)"),
        ("at_inverse", "VGG16 (width 1/8; anti-transfer at conv 5 against speakers of ravdess, beta -1)"),
        ("at_wi", "VGG16 (width 1/8; weights of speakers of ravdess; anti-transfer at conv 5 against speakers of ravdess)"),
        (
            "dual",
            "VGG16 (width 1/8; weights of emotions of emodb with anti-transfer at conv 5 against speakers of ravdess; "
            "anti-transfer at conv 5 against words of fsdd)",
        ),
    ],
)
def test_settings_of_the_grid_are_said_in_words(method, expected):
    asked = {"systems": ("vgg16_pool",), "methods": (method,), "tasks": ("speaker_ravdess", "word_fsdd"), "seeds": 1, "folds": 1}
    specs = [s for s in grids.GRIDS[at_checks.CHAPTER]("emodb", "full", **asked) if s.data.corpus == "emodb"]
    assert label("vgg16_pool", specs[0].settings) == expected


def test_every_loss_of_the_grid_is_said_and_no_two_alike():
    names = {settings: label("vgg16_pool", settings) for settings in {s.settings for s in MEASURED}}
    assert len(set(names.values())) == len(names)
    assert not [name for name in names.values() if "at_" in name or "wi_" in name]
    released = label("resnet50", "w0.0625-at_stage_3_block_3+stage_4_speaker_iemocap_4_b0.5_compressed_product_mse_released")
    assert released == (
        "ResNet50 (width 1/16; anti-transfer at stage 3 block 3 and stage 4 against speakers of iemocap_4, beta 0.5, compressed product, "
        "sigmoid MSE, as released)"
    )
    assert [label(name) for name in ("vgg16", "vgg16_pool", "alexnet")] == ["VGG16 without pooling", "VGG16", "AlexNet"]
