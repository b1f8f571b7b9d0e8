"""What two sides of a split share, against a slow pair-by-pair search, and each planted leak."""

import time

import numpy as np
import pandas as pd
import pytest

from sercore.data.overlaps import KINDS, overlaps
from sercore.errors import SplitError


def table(**columns):
    """Eight recordings by four speakers, all apart; columns are replaced by those given."""
    items = pd.DataFrame(
        {
            "item_id": [f"toy/{i}" for i in range(8)],
            "source_id": [f"s{i}" for i in range(8)],
            "audio_id": [f"h{i}" for i in range(8)],
            "start_s": np.nan,
            "end_s": np.nan,
            "speaker": ["1", "1", "1", "1", "2", "2", "3", "3"],
            "text": None,
        }
    )
    return items.assign(**columns)


SIDES = {"train": [f"toy/{i}" for i in range(4)], "validation": ["toy/4", "toy/5"], "test": ["toy/6", "toy/7"]}


def kinds_of(items, sides=SIDES):
    return {o.kind for o in overlaps(items, sides)}


def brute_force(items, sides):
    """The same findings as a set of (kind, pair, item, item): every pair of rows compared, sharing no line with the code under test."""
    found = set()
    rows = {side: [r for r in items.to_dict("records") if r["item_id"] in set(ids)] for side, ids in sides.items()}
    names = list(sides)
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            for x in rows[a]:
                for y in rows[b]:
                    for kind, column in (("speaker_overlap", "speaker"), ("source_overlap", "source_id"), ("duplicate_audio", "audio_id")):
                        if x[column] and x[column] == y[column]:
                            found |= {(kind, a, b, x["item_id"]), (kind, a, b, y["item_id"])}
                    if x["source_id"] == y["source_id"] and x["start_s"] < y["end_s"] and y["start_s"] < x["end_s"]:
                        found |= {("segment_overlap", a, b, x["item_id"]), ("segment_overlap", a, b, y["item_id"])}
    return found


@pytest.mark.parametrize("seed", range(20))
def test_overlaps_equal_a_pairwise_search(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 60))
    start = rng.integers(0, 12, n) / 2
    items = pd.DataFrame(
        {
            "item_id": [f"i{k}" for k in range(n)],
            "source_id": rng.choice(list("abcdefgh"), n),
            "audio_id": rng.choice(["", "h1", "h2", "h3"], n),
            "start_s": start,
            "end_s": start + rng.integers(1, 5, n) / 2,
            "speaker": rng.choice(list("123456"), n),
        }
    )
    side = rng.integers(0, 4, n)  # the fourth is on no side
    sides = {name: list(items["item_id"][side == k]) for k, name in enumerate(["train", "validation", "test"])}
    ours = {(o.kind, o.side_a, o.side_b, item) for o in overlaps(items, sides) for item in o.item_ids}
    assert ours == brute_force(items, sides)


def test_a_clean_split_shares_nothing():
    assert overlaps(table(), SIDES) == []


def test_a_speaker_on_two_sides_is_caught():
    (found,) = overlaps(table(speaker=["1", "1", "1", "1", "2", "2", "3", "1"]), SIDES)
    assert (found.kind, found.side_a, found.side_b, found.what) == ("speaker_overlap", "train", "test", "1")
    assert found.item_ids == ("toy/0", "toy/1", "toy/2", "toy/3", "toy/7")


def test_a_speaker_shared_by_validation_and_test_is_caught():
    assert [(o.side_a, o.side_b) for o in overlaps(table(speaker=list("11112322")), SIDES)] == [("validation", "test")]


def test_a_segment_of_a_test_recording_in_training_is_caught():
    items = table(source_id=["s0", "s1", "s2", "cut", "s4", "s5", "cut", "s7"], start_s=0.0, end_s=1.0)
    items.loc[3, ["start_s", "end_s"]] = 2.0, 3.0
    assert kinds_of(items) == {"source_overlap"}
    items.loc[3, ["start_s", "end_s"]] = 0.9, 1.9
    assert kinds_of(items) == {"source_overlap", "segment_overlap"}


def test_segments_that_only_touch_share_no_time():
    items = table(source_id=["cut", "s1", "s2", "s3", "s4", "s5", "cut", "s7"], start_s=0.0, end_s=1.0)
    items.loc[6, ["start_s", "end_s"]] = 1.0, 2.0
    assert "segment_overlap" not in kinds_of(items)


def test_a_whole_recording_beside_a_piece_of_it_is_caught():
    items = table(source_id=["cut", "s1", "s2", "s3", "s4", "s5", "cut", "s7"])
    items.loc[6, ["start_s", "end_s"]] = 5.0, 6.0
    assert "segment_overlap" in kinds_of(items)


def test_the_same_audio_under_two_names_is_caught():
    (found,) = overlaps(table(audio_id=["x", "h1", "h2", "h3", "h4", "h5", "h6", "x"]), SIDES)
    assert found.kind == "duplicate_audio"
    assert found.item_ids == ("toy/0", "toy/7")


def test_the_same_text_on_two_sides_is_reported():
    assert kinds_of(table(text=["kids", None, None, None, None, None, None, "kids"])) == {"text_overlap"}


def test_the_same_item_on_two_sides_is_caught():
    assert {"speaker_overlap", "source_overlap", "segment_overlap"} <= kinds_of(table(), {"train": ["toy/0"], "test": ["toy/0"]})


def test_unknown_values_match_nothing():
    assert overlaps(table(audio_id="", text="", speaker=None), SIDES) == []


def test_only_the_kinds_asked_for():
    items = table(speaker="1", audio_id="x")
    assert {o.kind for o in overlaps(items, SIDES, kinds=["duplicate_audio"])} == {"duplicate_audio"}


def test_refuses_an_item_that_is_not_in_the_table():
    with pytest.raises(SplitError, match="test names 1 items.*toy/99"):
        overlaps(table(), {"train": ["toy/0"], "test": ["toy/99"]})


def test_refuses_an_item_id_that_stands_twice():
    with pytest.raises(SplitError, match="twice"):
        overlaps(table(item_id="toy/0"), SIDES)


def test_refuses_an_unknown_kind():
    with pytest.raises(SplitError, match="unknown kind"):
        overlaps(table(), SIDES, kinds=["speakr"])


def test_ten_thousand_items_within_a_second():
    rng = np.random.default_rng(0)
    n = 10_000
    start = rng.uniform(0, 100, n)
    ids = [f"big/{i}" for i in range(n)]
    items = pd.DataFrame(
        {
            "item_id": ids,
            "source_id": rng.integers(0, 2000, n).astype(str),
            "audio_id": rng.integers(0, 9000, n).astype(str),
            "start_s": start,
            "end_s": start + 1,
            "speaker": rng.integers(0, 50, n).astype(str),
            "text": rng.integers(0, 100, n).astype(str),
        }
    )
    began = time.process_time()
    found = overlaps(items, {"train": ids[:6000], "validation": ids[6000:8000], "test": ids[8000:]})
    assert time.process_time() - began < 1.0
    assert {o.kind for o in found} == set(KINDS)
