"""What the pages of anti-transfer say is what hand-made rows with known differences hold, and only like is compared with like."""

from dataclasses import replace

import numpy as np
import pytest

from sercore import stats
from sercore.anti_transfer_grid import METHODS, PROMISED_METHODS, Transfer, specs, transfer_of
from sercore.anti_transfer_tasks import TARGETS
from sercore.ledger.measurements import Measurements, merge
from sercore.pages import anti_transfer as page
from sercore.pages import anti_transfer_costs as costs
from sercore.pages.overview import STORED, THIS_BUILD, Source
from tests.anti_transfer_runs import planted

TASKS = ("speaker_ravdess", "word_fsdd")


def made(*methods, corpus="emodb", **choices):
    """One run a group of VGG16, the orthogonal tasks first."""
    return specs(corpus, "full", **{"systems": ["vgg16_pool"], "methods": methods, "folds": 1, "seeds": 1, **choices})


def of(found, method, tap="conv_5"):
    """The first run of a method."""
    return next(s for s in found if s.data.corpus == "emodb" and transfer_of(s).method == method and transfer_of(s).tap in ("", tap))


#: UAR 42.5 % without transfer, 53.0 % with anti-transfer, 48.0 % with its control; with weights as without transfer.
RIGHT = {"at": 10, "at_random": 9}


def rows(found=None, right=RIGHT, **extent):
    found = made(*PROMISED_METHODS) if found is None else found
    return planted(found, {of(found, method): number for method, number in right.items()}, **extent)


def stored(*args, **kwargs):
    return [Source(STORED, rows(*args, **kwargs))]


def pairs_of(results, monkeypatch, **choices):
    """(row, reference) of every comparison, without its costly intervals."""
    monkeypatch.setattr(Measurements, "compare", lambda *args: None)
    return [(a.row.transfer, a.reference.transfer) for a in page.compared(results, **choices)]


# what is paired


def test_every_method_is_paired_with_nothing_and_anti_transfer_with_its_control(monkeypatch):
    results = planted(made(*METHODS, tasks=TASKS), {})
    found = [(row.method, other.method) for row, other in pairs_of(results, monkeypatch)]
    twice = {"wi", "wi_frozen", "at", "at_inverse", "at_wi"}  # two tasks, one run each
    expected = [(name, "none") for name in METHODS if name != "none" for _ in range(2 if name in twice else 1)]
    expected += [("at", "at_random")] * 2 + [("at_inverse", "at_random")] * 2 + [("dual", "at")] * 2
    assert sorted(found) == sorted(expected)
    without = pairs_of(results, monkeypatch, with_control=False)
    assert {other.method for _, other in without} == {"none"}


def test_controls_are_those_of_the_same_tap_task_and_loss(monkeypatch):
    found = made("none", "at", "at_random", "dual", taps=("conv_5", "conv_9"), tasks=(*TASKS, "word_speech_commands"), betas=[1.0, 20.0])
    controlled = [pair for pair in pairs_of(planted(found, {}), monkeypatch) if pair[1].method != "none"]
    assert all(row.tap == other.tap and row.beta == other.beta for row, other in controlled)
    assert {(row.method, other.method) for row, other in controlled} == {("at", "at_random"), ("dual", "at")}
    assert len([row for row, _ in controlled if row.method == "at"]) == 2 * 3  # taps x tasks, of beta 1 alone
    assert {other.tasks for row, other in controlled if row.method == "dual"} == {"speaker of ravdess", "word of fsdd"}


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"epochs": 24}},
        {"training": {"patience_epochs": 0}},
        {"features": {"segment_frames": 288}},
        {"features": {"normaliser": "maximum"}},
        {"model": {"width": 0.25}},
        {"model": {"name": "alexnet"}},
        {"model": {"dropout": 0.0}},
        {"model": {"variant": "released"}},
        {"data": {"task": "word"}},
        {"split": {"scheme": "random_5"}},
        {"leaks": ("level_filter", "speaker_overlap"), "source": "thesis"},
        {"leaks": ("unmasked_padding",)},
    ],
)  # fmt: skip
def test_runs_of_another_kind_are_never_paired(changes, monkeypatch):
    found = made("none", "at")
    none, against = of(found, "none"), of(found, "at")
    assert len(pairs_of(planted([none, against], {}), monkeypatch)) == 1
    parts = {name: getattr(none, name).model_copy(update=value) if isinstance(value, dict) else value for name, value in changes.items()}
    other = none.model_copy(update=parts)
    assert pairs_of(planted([other, against], {}), monkeypatch) == []
    assert pairs_of(planted([against], {}), monkeypatch) == []


def test_groups_of_other_recordings_are_never_paired():
    found = made("none", "at")
    none, against = of(found, "none"), of(found, "at")
    fewer_speakers = merge([planted([none], {}), planted([against], {}, speakers=8)])
    assert page.compared(fewer_speakers) == []
    fewer = planted([none, against], {})
    mine = fewer.counts["group"].eq(against.group) & fewer.counts["speaker"].eq("3") & fewer.counts["truth"].eq("calm")
    fewer.counts.loc[mine, "calm"] -= 1
    assert page.compared(fewer) == []
    assert page.compared(planted([none, against], {}, speakers=1)) == []
    assert len(page.compared(planted([none, against], {}, speakers=2))) == 1


def test_baselines_and_groups_without_a_specification_are_no_networks():
    found = made("none", "at", systems=["majority_class", "vgg16_pool"])
    results = planted(found, {})
    assert [row.group["system"] for row in page.rows_of(results)] == ["vgg16_pool"] * 3
    results.specs.pop(of(found, "at").group)
    assert [row.transfer.method for row in page.rows_of(results)] == ["none", "none"]  # the orthogonal task is one of them


# what is said


def test_differences_are_the_planted_ones():
    found = [a for a in page.compared(rows()) if a.row.transfer.method != "wi"]
    against_nothing, against_control, control = found
    for a, expected in ((against_nothing, 0.105), (against_control, 0.05), (control, 0.055)):
        c = a.by_metric["uar"]
        assert c.difference.estimate == pytest.approx(expected)
        assert (c.n_speakers, c.n_seeds) == (10, 5)
        assert a.by_metric["accuracy"].difference.estimate == pytest.approx(expected)
        assert page.points(c).startswith(f"{100 * expected:+.1f} [+")
        assert page.finding(c) == "higher"
    assert (against_nothing.reference.transfer.method, against_control.reference.transfer.method) == ("none", "at_random")


def test_the_answer_says_the_planted_gain_and_that_over_the_control():
    said = page.answer(stored())
    assert said.startswith(
        "On emodb (400 recordings, 10 speakers, 5 folds, 5 seeds, strict; reduced size: 256 x 64 inputs, width 0.125) "
        "anti-transfer at conv_5 against speaker of ravdess has a UAR of 53.0 %; against one without transfer (42.5 %) +10.5 [+"
    )
    assert "a network that is kept unlike a random one (48.0 %) +5.0 [+" in said
    assert said.count("points: higher") == 2
    assert "lower" in page.answer(stored(right={"at": 6}))
    assert "no difference shown" in page.answer(stored(right={"at": 8, "at_random": 8}))


def test_other_taps_tasks_losses_and_networks_are_no_answer():
    """They would be a choice made afterwards."""
    found = made("none", "at", "at_random", taps=("conv_9", "conv_5"), tasks=("word_fsdd", "speaker_ravdess"), betas=[20.0, 1.0])
    wanted = next(s for s in found if transfer_of(s)[:4] == ("at", "conv_5", "speaker of ravdess", 1))
    said = page.answer([Source(STORED, planted(found, {wanted: 10}))])
    assert said.count(" has a UAR of ") == 1
    assert "anti-transfer at conv_5 against speaker of ravdess has a UAR of 53.0 %" in said
    for other in ({"taps": ["conv_9"]}, {"tasks": ["word_fsdd"]}, {"betas": [20.0]}, {"systems": ["alexnet"]}, {"variant": "released"}):
        assert page.answer([Source(STORED, planted(made("none", "at", **other), {}))]) == "Not run in full on emodb."
    both = [*made(*PROMISED_METHODS), *made(*PROMISED_METHODS, size="whole")[1:]]
    said = page.answer([Source(STORED, planted(both, {}))])
    assert said.count(" has a UAR of ") == 2
    assert "strict; 512 x 128 inputs, width 1)" in said


def test_what_was_not_run_in_full_is_said():
    assert page.answer([]) == "Not run in full on emodb."
    assert page.answer([Source(THIS_BUILD, rows(stored=False))]) == "Not run in full on emodb."
    assert page.answer(stored(profile="quick")) == "Not run in full on emodb."
    paper = made(*PROMISED_METHODS, protocol="paper")
    assert page.answer([Source(STORED, planted(paper, {}))]) == "Not run in full on emodb."
    assert page.answer(stored(), ["ravdess", "emodb"]).startswith("Not run in full on ravdess. On emodb (")
    live = Source(THIS_BUILD, rows(right={"at": 16}, stored=False))
    assert page.answer([live, *stored()]) == page.answer(stored())


@pytest.mark.parametrize("extent", [{"seeds": 4}, {"speakers": 5}])
def test_too_few_seeds_or_speakers_decide_nothing(extent):
    assert page.answer(stored(**extent)).count("not decidable (too few speakers or seeds)") == 2


def test_a_spread_that_hides_five_points_decides_nothing():
    found = made("none", "at")
    wild = [2, 14, 2, 14, 2, 14, 2, 14, 2, 14]
    said = page.answer([Source(STORED, planted(found, {of(found, "at"): wild}))])
    assert "points or more would be found)" in said
    assert "higher" not in said


def test_p_values_are_corrected_in_families_of_one_network_and_promises_are_shown():
    both = [*made(*PROMISED_METHODS), *made(*PROMISED_METHODS, size="whole")[1:]]
    table = page.pairs(stored(both, right={"at": 10, "at_random": 9, "wi": 8})).data
    assert len(table) == 4 * 2
    small = table[table["network"].eq("VGG16, reduced size: 256 x 64 inputs, width 0.125")].set_index(["transfer", "against"])
    smallest = 2 / 2**10  # all ten speakers are better
    against = "anti-transfer at conv_5 against speaker of ravdess"
    row = small.loc[(against, "nothing")]
    assert row["p UAR (Holm)"] == f"{smallest:.2g} ({4 * smallest:.2g})" == "0.002 (0.0078)"
    assert row["smallest p"] == "0.002"
    assert row["UAR [95 %]"].startswith("+10.5 [+")
    assert row["finding (UAR)"] == "higher"
    assert row["speakers x seeds"] == "10 x 5"
    # one speaker of ten is better: the weakest of the family stays as it is
    assert small.loc[("weights of speaker of ravdess", "nothing")]["p UAR (Holm)"] == "1 (1)"
    assert set(table["from"]) == {"stored"}
    quick = page.pairs([Source(THIS_BUILD, rows(stored=False))]).data
    assert set(quick["from"].iloc[:-1]) == {THIS_BUILD}
    assert quick.iloc[-1][["from", "corpus, protocol", "UAR [95 %]"]].tolist() == ["promised", "emodb, strict", "not run"]
    assert page.pairs([]).data["UAR [95 %]"].tolist() == ["not run"]


def test_stored_pairs_stand_first_and_released_ones_say_so():
    released = planted(made("none", "at", variant="released"), {})
    table = page.pairs([Source(THIS_BUILD, rows(stored=False)), Source(STORED, released)]).data
    assert table["from"].tolist() == ["stored", *[THIS_BUILD] * 4]
    assert table["network"].iloc[0].endswith("width 0.125, released")


def test_methods_and_transfers_are_said_in_words():
    table = page.methods_table().data
    assert table["method"].tolist() == list(METHODS)
    assert table["what is transferred"].tolist() == list(METHODS.values())
    words = {page.in_words(Transfer(method, "conv_5", "speaker of ravdess")) for method in METHODS}
    assert len(words) == len(METHODS)
    assert page.in_words(Transfer("at", "conv_5", "t", 20.0, "compressed_product", "sigmoid_mse")) == (
        "anti-transfer at conv_5 against t (beta 20, compressed product, sigmoid MSE)"
    )
    assert page.in_words(Transfer("at_inverse", "conv_5", "t", -1.0)) == "inverse beta at conv_5: kept like t"


@pytest.mark.parametrize("corpus", TARGETS)
def test_only_the_size_of_the_thesis_is_not_called_reduced(corpus):
    for size in ("whole", "reduced", "small"):
        said = page.size_of(made("none", corpus=corpus, size=size)[-1])
        assert said.startswith("reduced size: ") == (size != "whole")
    whole, reduced = (made("none", corpus=corpus, size=size)[-1] for size in ("whole", "reduced"))
    assert page.size_of(whole.model_copy(update={"model": reduced.model})).startswith("reduced size: ")
    assert page.size_of(reduced.model_copy(update={"model": whole.model})).startswith("reduced size: ")


# gains


def swept(**extent):
    """Three taps: better for all, for all but one, for nobody; validation would choose the second."""
    found = made("none", "wi", "at", taps=("conv_1", "conv_5", "conv_9"))
    right = {of(found, "at", "conv_1"): [8] * 10, of(found, "at", "conv_5"): [10, 4, *[8, 9, 10, 11] * 2]}
    right[of(found, "at", "conv_9")] = [9, 10, 11, 12, 13] * 2
    return found, planted(found, right, validation={of(found, "at"): 0.7}, **extent)


def test_gains_are_of_all_taps_and_their_intervals_hold_together():
    found, results = swept()
    (gain,) = page.gains([Source(STORED, results)])
    assert gain.corpus == "emodb"
    assert gain.stamp.endswith("VGG16, reduced size: 256 x 64 inputs, width 0.125, strict")
    assert "stored full runs: emodb, 5 of 5 folds, 5 seeds" in gain.stamp
    assert {group["group"] for group in gain.origin.groups} == {s.group for s in found if s.data.corpus == "emodb"}
    taps = gain.rows[gain.rows["method"].eq("at")].set_index("tap")
    assert taps["gain"].round(6).to_dict() == {"conv_1": 0, "conv_5": pytest.approx(5), "conv_9": pytest.approx(15)}
    assert taps["validation"].to_dict() == {"conv_1": 0.5, "conv_5": 0.7, "conv_9": 0.5}
    right = [[8] * 10, [10, 4, *[8, 9, 10, 11] * 2], [9, 10, 11, 12, 13] * 2]
    per_speaker = (np.array(right).T - 8) / 20  # of the two classes alike
    expected = 100 * stats.max_t_intervals(per_speaker)
    assert taps[["max_t_low", "max_t_high"]].to_numpy() == pytest.approx(expected)
    assert (taps["max_t_low"] <= taps["low"]).all()
    assert (taps["max_t_high"] >= taps["high"]).all()
    assert gain.rows.loc[gain.rows["method"].eq("wi"), ["max_t_low", "max_t_high"]].isna().all(axis=None)


def test_one_tap_is_no_family_and_two_speakers_have_no_intervals_together():
    found = made("none", "at")
    (gain,) = page.gains([Source(STORED, planted(found, {}))])
    assert gain.rows["max_t_low"].isna().all()
    few = made("none", "at", taps=("conv_1", "conv_5"))
    (gain,) = page.gains([Source(STORED, planted(few, {}, speakers=2))])
    assert gain.rows["max_t_low"].isna().all()


def test_gains_of_other_settings_and_tasks_are_kept_apart():
    """Folds by position test other speakers than pairs of speakers: no family, and no table of differences."""
    strict = made("none", "at", taps=("conv_1", "conv_5"), tasks=TASKS)
    paper = made("none", "at", taps=("conv_1", "conv_5"), protocol="paper")[1:]
    wild = np.random.default_rng(0).integers(4, 14, (4, 10)).tolist()
    right = dict(zip([s for s in strict if s.anti_transfer], wild, strict=True))
    results = merge([planted(strict, right), planted(paper, {}, speakers=4)])
    results.runs = results.runs.astype({"validation_uar": float})
    first, second = page.gains([Source(STORED, results)])
    assert (len(first.rows), len(second.rows)) == (2 * 2, 2)
    assert (first.stamp.rpartition(", ")[2], second.stamp.rpartition(", ")[2]) == ("strict", "paper")
    speakers, words = (first.rows[first.rows["tasks"].eq(task)] for task in ("speaker of ravdess", "word of fsdd"))
    alone = page.gains([Source(STORED, planted(made("none", "at", taps=("conv_1", "conv_5")), right))])[0].rows
    assert speakers[["max_t_low", "max_t_high"]].to_numpy() == pytest.approx(alone[["max_t_low", "max_t_high"]].to_numpy())
    assert (speakers["max_t_high"] > speakers["max_t_low"]).all()
    assert words["max_t_low"].notna().all()


def test_no_gain_is_made_where_nothing_is_transferred():
    assert page.gains([]) == []
    assert page.gains([Source(STORED, planted(made("none"), {}))]) == []


# orthogonal tasks


def test_orthogonal_tasks_stand_with_their_score_and_chance():
    found = made("none", "at", tasks=TASKS)
    speakers, words = found[:2]
    results = planted(found, {speakers: 16, words: 10})
    table = page.orthogonal_table([Source(STORED, results)]).data.set_index("corpus")
    assert table.index.tolist() == ["ravdess", "fsdd"]
    assert table.loc["ravdess", ["from", "task", "classes", "chance", "split"]].tolist() == [
        "stored", "speaker", "2", "50.0", "within_speakers_5",
    ]  # fmt: skip
    assert table.loc["ravdess", "accuracy [95 %]"].startswith("83.0 [")
    assert table.loc["fsdd", "accuracy [95 %]"].startswith("53.0 [")
    assert table.loc["fsdd", "recordings"] == "400"


def test_the_first_of_two_anti_transfers_is_no_orthogonal_task():
    found = made("none", "at", "dual", tasks=TASKS)
    assert any(parent.group == of(found, "at").group for parent in of(found, "dual").parents)
    table = page.orthogonal_table([Source(STORED, planted(found, {}))]).data
    assert table["corpus"].tolist() == ["ravdess", "fsdd"]


def test_an_orthogonal_task_that_is_promised_and_not_stored_is_named():
    live = [Source(THIS_BUILD, planted(made("none", "at"), {}, stored=False))]
    for shown, others in (([], 0), (live, 1)):
        table = page.orthogonal_table(shown).data
        assert len(table) == others + 1
        assert table.iloc[-1][["from", "corpus", "task", "accuracy [95 %]"]].tolist() == ["promised", "ravdess", "speaker", "not run"]


# all layers


def whole_sweep(better=(), worse=(), taps=13, seeds=5):
    """Thirteen layers, ten speakers; a gain or a loss of 15 points on average at some, nothing at the others."""
    found = made("none", "at", taps=[f"conv_{n}" for n in range(1, taps + 1)])
    plain = dict.fromkeys((of(found, "at", f"conv_{n}") for n in range(1, taps + 1)), [8] * 10)
    plain |= {of(found, "at", tap): [10, 11, 12, 10, 11] * 2 for tap in better} | {
        of(found, "at", tap): [5, 6, 4, 5, 6] * 2 for tap in worse
    }
    return [Source(STORED, planted(found, plain, validation={of(found, "at", "conv_2"): 0.7}, seeds=seeds))]


def test_the_head_on_layers_names_those_off_zero_and_the_one_that_validation_would_choose():
    said = costs.layers_answer(whole_sweep(better=["conv_3"], worse=["conv_9"]))
    assert "a gain at conv_3 and a loss at conv_9" in said
    assert "+14.0 [" in said.partition("The largest difference is ")[2]
    assert "validation would have chosen, conv_2, has +0.0 [+0.0, +0.0] [stored full runs: emodb, 5 of 5 folds, 5 seeds" in said
    nothing = costs.layers_answer(whole_sweep())
    assert "there is no layer with a gain or a loss. " in nothing
    assert "no layer with a gain or a loss, which is not decidable with 1 seed at a layer" in costs.layers_answer(whole_sweep(seeds=1))


def test_layers_stand_in_the_order_of_the_network():
    """Stored groups are sorted as words, where the tenth comes before the second."""
    (source,) = whole_sweep()
    by_word = source.results.groups.sort_values("group", ignore_index=True)
    (gain,) = page.gains([Source(STORED, replace(source.results, groups=by_word))])
    assert gain.rows["tap"].tolist() == [f"conv_{n}" for n in range(1, 14)]


def test_the_head_on_layers_is_of_all_thirteen_stored_in_full_or_says_not_run():
    for shown in ([], whole_sweep(taps=12), [Source(THIS_BUILD, whole_sweep()[0].results)]):
        assert costs.layers_answer(shown) == "All thirteen layers: not run on emodb."
