"""Split plans: a partition, the published folds, and every leak refused unless it is declared."""

import numpy as np
import pytest

from sercore.data.items import item_table
from sercore.data.splits import EMODB_PAIRS, LUNA_JIMENEZ_TEST, LUNA_JIMENEZ_VALIDATION, make_plan, n_folds, split_plan
from sercore.errors import LeakError, SplitError
from sercore.spec import SplitSpec


def table(speakers, per_speaker=4, **extra):
    rows = [
        dict.fromkeys(("item_id", "source_id", "audio_id", "path"), f"{s}-{i}") | {"speaker": str(s), "emotion": "anger", **extra}
        for s in speakers
        for i in range(per_speaker)
    ]  # fmt: skip
    return item_table(rows)


RAVDESS = table(range(1, 25))
EMODB = table(["03", "08", "09", *range(10, 17)])


@pytest.mark.parametrize(
    ("scheme", "items"), [("luna_jimenez_5", RAVDESS), ("pairs_5", EMODB), ("leave_one_speaker_out", EMODB), ("speakers_4", RAVDESS)]
)
def test_folds_test_everybody_once_and_share_no_speaker(scheme, items):
    plans = [split_plan(items, SplitSpec(scheme=scheme, fold=f)) for f in range(n_folds(scheme, items))]
    tested = [i for p in plans for i in p.test]
    assert sorted(tested) == sorted(items["item_id"])
    speaker = items.set_index("item_id")["speaker"]
    for plan in plans:
        assert sorted((*plan.train, *plan.validation, *plan.test)) == sorted(items["item_id"])
        sides = [set(speaker[list(ids)]) for ids in plan.sides.values()]
        assert sum(map(len, sides)) == len(set().union(*sides))
        assert plan.found == ()


def test_published_folds_are_the_published_ones():
    assert sorted(int(s) for fold in LUNA_JIMENEZ_TEST for s in fold) == list(range(1, 25))
    assert [len(f) for f in LUNA_JIMENEZ_TEST] == [5, 5, 5, 5, 4]
    assert all(not set(t) & set(v) for t, v in zip(LUNA_JIMENEZ_TEST, LUNA_JIMENEZ_VALIDATION, strict=True))
    men = {"03", "10", "11", "12", "15"}
    assert all(len(set(pair) & men) == 1 for pair in EMODB_PAIRS)


def test_fingerprint_depends_on_the_sides_only():
    plan = split_plan(RAVDESS, SplitSpec(scheme="luna_jimenez_5", fold=2))
    shuffled = RAVDESS.sample(frac=1, random_state=1).reset_index(drop=True)
    assert split_plan(shuffled, SplitSpec(scheme="luna_jimenez_5", fold=2)).fingerprint == plan.fingerprint
    assert split_plan(RAVDESS, SplitSpec(scheme="luna_jimenez_5", fold=3)).fingerprint != plan.fingerprint


def sides(items, edges=(0.5, 0.75)):
    ids = items["item_id"].tolist()
    a, b = (int(e * len(ids)) for e in edges)
    return ids[:a], ids[a:b], ids[b:]


def plan_of(items, leaks=(), parts=None):
    return make_plan(items, *(parts or sides(items)), scheme="by_hand", fold=0, leaks=leaks)


def test_speaker_on_two_sides_is_caught():
    items = table(range(4))
    assert plan_of(items).found == ()
    leaky = sides(items, (0.5, 0.7))  # one recording of a validation speaker moves to the test side
    with pytest.raises(LeakError, match=r"speaker overlap '2'.*declare the leak 'speaker_overlap'"):
        plan_of(items, parts=leaky)
    assert plan_of(items, ("speaker_overlap",), leaky).found == ("speaker_overlap",)


def test_segment_of_a_test_recording_in_training_is_caught():
    items = table(range(4))
    items.loc[15, ["source_id", "start_s", "end_s"]] = ["0-0", 1.0, 2.0]
    items.loc[0, ["start_s", "end_s"]] = [0.0, 1.5]
    with pytest.raises(LeakError, match="source overlap '0-0'"):
        plan_of(items)
    assert plan_of(items, ("source_overlap",)).found == ("source_overlap",)


def test_same_audio_under_two_names_is_caught():
    items = table(range(4))
    items.loc[15, "audio_id"] = items.loc[0, "audio_id"]
    with pytest.raises(LeakError, match="duplicate audio"):
        plan_of(items)
    assert plan_of(items, ("duplicate_audio",)).found == ("duplicate_audio",)


def test_item_on_two_sides_is_never_permitted():
    items = table(range(4))
    train, validation, test = sides(items)
    with pytest.raises(LeakError, match="no declaration permits"):
        plan_of(items, ("speaker_overlap", "source_overlap", "duplicate_audio"), (train, validation, [*test, train[0]]))


def test_validation_speakers_permits_nothing_on_the_test_side():
    items = table(range(4))
    assert plan_of(items, ("validation_speakers",), sides(items, (0.6, 0.75))).found == ("validation_speakers",)
    with pytest.raises(LeakError):
        plan_of(items, ("validation_speakers",), sides(items, (0.5, 0.7)))


def test_random_split_needs_its_declaration():
    with pytest.raises(LeakError, match="speaker_overlap"):
        split_plan(RAVDESS, SplitSpec(scheme="random_5", fold=0))
    plans = [split_plan(RAVDESS, SplitSpec(scheme="random_5", fold=f), ("speaker_overlap",)) for f in range(5)]
    assert sorted(i for p in plans for i in p.test) == sorted(RAVDESS["item_id"])
    assert np.ptp([len(p.test) for p in plans]) <= 1


@pytest.mark.parametrize(
    ("scheme", "fold", "says"), [("luna", 0, "known: luna_jimenez_5"), ("pairs_5", 0, "speakers"), ("luna_jimenez_5", 5, "folds 0 to 4")]
)
def test_wrong_scheme_fold_or_corpus_is_refused(scheme, fold, says):
    with pytest.raises(SplitError, match=says):
        split_plan(RAVDESS, SplitSpec(scheme=scheme, fold=fold))
