"""Figures of anti-transfer: their texts hold the numbers of the rows, and where there are none a sentence says so."""

import html
import re

import pandas as pd
import pytest

from sercore.anti_transfer_grid import specs, transfer_of
from sercore.ledger.measurements import merge
from sercore.pages import anti_transfer as page
from sercore.pages.overview import STORED, THIS_BUILD, Source
from sercore.plots import anti_transfer as figures
from sercore.provenance import Origin
from tests.anti_transfer_runs import planted

TASK = "speaker of ravdess"


def made(*methods, **choices):
    """One run a group of VGG16 on EmoDB, the orthogonal tasks first."""
    return specs("emodb", "full", **{"systems": ["vgg16_pool"], "methods": methods, "folds": 1, "seeds": 1, **choices})


def of(found, **wanted):
    """The first run on EmoDB with this transfer."""
    return next(s for s in found if s.data.corpus == "emodb" and transfer_of(s)._asdict().items() >= wanted.items())


def alts(shown):
    return [html.unescape(text) for text in re.findall(r'alt="([^"]*)"', shown.data)]


def gain(rows, stamp="a stamp"):
    """Gains made by hand: (changes of the plain row) each."""
    plain = {"method": "at", "tap": "conv_5", "tasks": TASK, "beta": 1.0, "aggregation": "gram", "measure": "squared_cosine"}
    plain |= {"gain": 1.0, "low": 0.5, "high": 1.5, "max_t_low": float("nan"), "max_t_high": float("nan"), "validation": 0.5}
    table = pd.DataFrame([plain | row for row in rows])
    return page.Gain(table.assign(words=table["method"] + " at " + table["tap"]), "emodb", stamp, Origin())


# both losses


def test_losses_are_said_from_the_first_epoch_to_the_last():
    found = made("none", "at", "at_random")
    results = planted(found, {})
    mine = results.history["group"].eq(of(found, method="at").group) & results.history["quantity"].eq("added_loss")
    results.history.loc[mine, "mean"] = [0.031, 0.0042]
    (alt,) = alts(figures.losses([Source(STORED, results)]))
    assert alt == (
        f"Losses over epochs. The anti-transfer loss goes anti-transfer at conv_5 against {TASK} from 0.031 to 0.0042; "
        "anti-transfer at conv_5 against a random network from 0.5 to 0.25."
    )
    shown = figures.losses([Source(STORED, results)])
    assert "[stored full runs: emodb, 5 of 5 folds, 5 seeds" in shown.data
    assert {group["group"] for group in shown.origin.groups} == {s.group for s in found if s.data.corpus == "emodb"}


def test_losses_of_other_settings_are_other_figures_and_stored_ones_stand_first():
    """A network of another size has another loss, and the orthogonal task none of this."""
    small, whole = made("none", "at"), made("none", "at", size="whole")
    live = Source(THIS_BUILD, planted([*small, *whole[1:]], {}, stored=False))
    shown = figures.losses([live, Source(STORED, planted(small, {}))])
    assert len(alts(shown)) == 3
    assert shown.data.index("stored full runs:") < shown.data.index("[this build:")
    swept = made("none", "at", taps=[f"conv_{k}" for k in range(1, 14)])
    (alt,) = alts(figures.losses([Source(STORED, planted(swept, {}))]))
    assert alt.count("anti-transfer at conv_") == 5  # beside no transfer, six lines in all


def test_losses_need_anti_transfer():
    for shown in ([], [Source(STORED, planted(made("none", "wi"), {}))]):
        drawn = figures.losses(shown).data
        assert drawn == "<p><em>Not run: no pair of runs with and without anti-transfer is at hand.</em></p>"


# gain at each tap


def test_gain_by_tap_says_extremes_the_choice_of_validation_and_what_is_clear():
    found = made("none", "at", "wi", taps=("conv_1", "conv_5", "conv_9"))
    one, five, nine = (of(found, method="at", tap=tap) for tap in ("conv_1", "conv_5", "conv_9"))
    right = {one: [6, 9] * 5, five: [10, 11] * 5, nine: [13, 14] * 5}
    results = planted(found, right, validation={five: 0.7})
    shown = figures.gain_by_tap(page.gains([Source(STORED, results)]))
    (alt,) = alts(shown)
    assert alt == ("Gain in UAR at 3 taps of emodb: from -2.5 (conv_1) to +27.5 points (conv_9); validation chooses conv_5 (+12.5).")
    assert "Clear of zero when all taps are looked at together: conv_5, conv_9." in shown.data
    assert "[stored full runs: emodb" in shown.data


def test_a_tap_is_clear_only_when_all_are_looked_at_together():
    together = {"max_t_low": -0.2, "max_t_high": 2.2}
    shown = figures.gain_by_tap([gain([{"tap": "conv_1"} | together, together, {"tap": "conv_9", "max_t_low": -3.0, "max_t_high": -1.0}])])
    assert "Clear of zero when all taps are looked at together: conv_9." in shown.data
    assert "together: none." in figures.gain_by_tap([gain([{"tap": "conv_1"} | together, together])]).data
    assert "Too few speakers for intervals of all taps together." in figures.gain_by_tap([gain([{"tap": "conv_1"}, {}])]).data


def test_taps_against_other_tasks_with_other_losses_or_weights_are_not_in_one_figure():
    rows = [{"tap": tap, "tasks": task} for task in (TASK, "word of fsdd") for tap in ("conv_1", "conv_5")]
    rows += [{"beta": 20.0, "gain": 50.0}, {"aggregation": "mean", "gain": 50.0}, {"measure": "sigmoid_mse", "gain": 50.0}]
    rows += [{"method": "at_inverse", "beta": -1.0, "gain": 50.0}, {"method": "at_wi", "gain": 50.0}]
    found = alts(figures.gain_by_tap([gain(rows)]))
    assert len(found) == 2
    assert all(alt.startswith("Gain in UAR at 2 taps of emodb: from +1.0 (conv_1) to +1.0 points (conv_1)") for alt in found)


def test_one_tap_is_no_figure():
    for found in ([], [gain([{}])], [gain([{}, {"tasks": "word of fsdd"}])]):
        assert figures.gain_by_tap(found).data == "<p><em>Not run at more than one tap.</em></p>"


# gain against beta, and likeness


def test_gain_by_beta_says_each_similarity_by_itself_in_order():
    measures = [(20.0, "squared_cosine", 3.0), (0.1, "squared_cosine", 1.0), (1.0, "squared_cosine", 2.0), (1.0, "sigmoid_mse", 5.0)]
    rows = [{"beta": beta, "measure": measure, "gain": value} for beta, measure, value in measures]
    rows += [{"method": "at_inverse", "beta": -1.0, "gain": -4.0}, {"aggregation": "mean", "beta": 7.0}]
    (alt,) = alts(figures.gain_by_beta([gain(rows)]))
    assert alt == (
        "Gain in UAR against beta at conv_5 on emodb. "
        "squared cosine: -4.0 at -1, +1.0 at 0.1, +2.0 at 1, +3.0 at 20; sigmoid mse: +5.0 at 1."
    )


def test_gain_by_beta_is_drawn_from_the_runs_of_a_sweep():
    found = made("none", "at", betas=[0.1, 1.0, 20.0])
    results = planted(found, {of(found, method="at", beta=20.0): 10})
    (alt,) = alts(figures.gain_by_beta(page.gains([Source(STORED, results)])))
    assert alt == "Gain in UAR against beta at conv_5 on emodb. squared cosine: +0.0 at 0.1, +0.0 at 1, +10.5 at 20."


def test_an_interval_that_leaves_its_mean_out_is_drawn():
    """Few speakers have few resamples, and a percentile interval need not hold the estimate."""
    rows = [{"beta": beta, "gain": 1.0, "low": 1.2, "high": 1.5} for beta in (0.1, 1.0, 20.0)]
    assert alts(figures.gain_by_beta([gain(rows)]))


def test_two_betas_or_taps_or_tasks_beside_each_other_are_no_sweep():
    two = [{"beta": 1.0}, {"beta": 20.0}]
    apart = [*two, {"beta": 0.1, "tap": "conv_9"}, {"beta": 0.1, "tasks": "word of fsdd"}]
    for found in ([], [gain(two)], [gain(apart)]):
        assert figures.gain_by_beta(found).data == "<p><em>Not run with more than two values of beta.</em></p>"


def test_likeness_says_every_way_at_the_taps_that_have_several():
    rows = [{"method": "wi", "tap": "", "gain": -1.0}, {"tap": "conv_1", "gain": 9.0}, {"gain": 3.0}]
    rows += [{"method": "at_inverse", "beta": -1.0, "gain": -2.0}, {"beta": 20.0, "gain": 8.0}]
    shown = figures.likeness([gain(rows)])
    assert alts(shown) == ["Gain in UAR on emodb: wi at  -1.0; at at conv_5 +3.0; at_inverse at conv_5 -2.0."]
    assert "[a stamp]" in shown.data


def test_likeness_of_weights_and_anti_transfer_alone_is_drawn():
    assert alts(figures.likeness([gain([{"method": "wi", "tap": ""}, {"gain": 3.0}])])) == [
        "Gain in UAR on emodb: wi at  +1.0; at at conv_5 +3.0."
    ]


@pytest.mark.parametrize("rows", [None, [{}], [{"method": "wi", "tap": ""}]])
def test_one_way_alone_is_like_nothing(rows):
    found = [] if rows is None else [gain(rows)]
    assert figures.likeness(found).data.startswith("<p><em>Not run: no pair of runs")


def test_a_corpus_split_in_two_ways_has_a_figure_each():
    strict, paper = made("none", "at", "at_random"), made("none", "at", "at_random", protocol="paper")
    gains = page.gains([Source(STORED, merge([planted(strict, {}), planted(paper[1:], {}, speakers=4)]))])
    assert len(alts(figures.likeness(gains))) == 2
