"""Harder recordings and easier divisions: every network once, its noise and division named, orthogonal tasks left out."""

import re

import pytest

from sercore.anti_transfer_grid import specs
from sercore.errors import SpecError
from sercore.pages import anti_transfer as page
from sercore.pages.anti_transfer_conditions import asked, at_taps, conditions_table, level_of
from sercore.pages.overview import STORED, THIS_BUILD, Source
from tests.anti_transfer_runs import planted


def made(corpus="emodb", **choices):
    asked = {"systems": ["vgg16_pool"], "methods": ["none", "at"], "folds": 1, "seeds": 1} | choices
    return specs(corpus, "full", **asked)


def lines_of(*sources):
    table = conditions_table(sources)
    return [{key: re.sub(r"<[^>]+>", "", str(value)) for key, value in row.items()} for row in table.data.to_dict("records")]


def test_levels_and_divisions_stand_in_order_with_their_scores():
    found = made(noises=["high", "none", "low"], divisions=["speakers", "random"])
    (parent, *runs) = found
    right = {run: 8 + k for k, run in enumerate(run for run in runs if run.anti_transfer is None)} | {parent: 12}
    lines = lines_of(Source(STORED, planted(found, right)))
    assert len(lines) == 12
    assert [(line["division"], line["noise"]) for line in lines][::2] == [
        (division, noise)
        for division in ("random (random_5)", "speakers (pairs_5)")
        for noise in ("none", "low: ms_snsd at 20 to 40 dB", "high: ms_snsd at 0 to 10 dB")
    ]
    assert not any("ravdess" in line["corpus, label"] for line in lines)
    first = next(k for k, run in enumerate(runs) if run.data.noise and run.data.noise.lowest_snr_db == 0)
    loudest = runs[first]
    line = next(one for one in lines if one["noise"].startswith("high") and "speakers" in one["division"] and one["transfer"] == "nothing")
    expected = 100 * (right[loudest] + 0.4 + 0.2) / 20  # one more of the last speaker and of the first, of ten, and of two seeds in five
    assert abs(float(line["accuracy [95 %]"].split()[0]) - expected) < 0.06
    assert {line["protocol"] for line in lines} == {"strict", "leaks: speaker_overlap"}


def test_a_group_that_two_calls_hold_stands_once_and_stored_rows_stand_apart():
    found = made()
    here, kept = Source(THIS_BUILD, planted(found, {}, stored=False)), Source(STORED, planted(found, {}))
    lines = lines_of(here, kept, here)
    assert [line["from"] for line in lines].count("stored") == 2
    assert len(lines) == 4


def test_nothing_run_is_said():
    assert lines_of() == [{"transfer": "not run"}]


def test_a_level_that_no_table_has_is_called_the_callers_own():
    run = made(noises=["low"])[-1]
    noise = run.data.noise.model_copy(update={"lowest_snr_db": 5.0, "highest_snr_db": 5.0})
    assert level_of(run.model_copy(update={"data": run.data.model_copy(update={"noise": noise})})) == "own: ms_snsd at 5 to 5 dB"


def test_the_answer_is_of_recordings_without_noise_and_of_the_plain_division(monkeypatch):
    plain, noisy = made(), made(noises=["high"])
    both = planted([*plain, *(run for run in noisy if run not in plain)], {plain[-1]: 14, noisy[-1]: 17})
    assert page.answer([Source(STORED, both)]) == page.answer([Source(STORED, planted(plain, {plain[-1]: 14}))])
    cells = {row["corpus, protocol"] for row in page.pairs([Source(STORED, both)]).data.to_dict("records")}
    assert cells == {"emodb, strict", "emodb, strict, noise of ms_snsd at 0 to 10 dB"}


def test_a_condition_that_is_none_is_named_with_those_that_are():
    assert asked("") == (["none"], ["speakers"])
    assert asked("random, high, none") == (["none", "high"], ["speakers", "random"])
    with pytest.raises(SpecError, match="unknown condition loud; known: none, low, high, speakers, random, instruments"):
        asked("low, loud")


def test_other_taps_than_the_one_fixed_beforehand_are_left_to_the_chapter_on_layers():
    found = made(taps=["conv_1", "conv_5"], methods=["none", "wi", "wi_frozen", "at"], systems=["majority_class", "vgg16_pool"])
    shown = [Source(STORED, planted(found, {}))]
    (plain,), (asked,) = at_taps(shown), at_taps(shown, ["conv_1"])
    assert len(shown[0].results.groups) == len(found) == 8
    for source, gone in ((plain, "conv_1"), (asked, "conv_5")):
        kept = source.results.groups["settings"]
        assert not kept.str.contains(gone).any()
        assert len(kept) == 6
        assert source.origin == STORED
