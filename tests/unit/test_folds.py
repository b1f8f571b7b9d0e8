"""Fold tables and positional folds: golden fingerprints, who is tested, and the leaks that they need."""

from itertools import chain

import pytest

from sercore.data.card import load_card
from sercore.data.corpora import CORPORA
from sercore.data.folds import FOLD_TABLES, POSITIONAL, positional_cut, positional_leaks
from sercore.data.items import item_table
from sercore.data.splits import DEFAULT_SCHEME, n_folds, split_plan
from sercore.errors import LeakError, SplitError
from sercore.spec import LEAKS, PAPER_LEAKS, DataSpec, ModelSpec, RunSpec, SplitSpec, digest
from tests.emotion_trees import NAMES

#: Scheme -> corpus it is for, fingerprint of the table, and of the plans on four recordings a speaker. A change of either changes what
#: published rows mean: it is a new scheme, under a new name.
GOLDEN = {
    "luna_jimenez_5": ("ravdess", "20eebe15b3928ac9", "f073a33afeaff238"),
    "ravdess_6x4": ("ravdess", "1524a0db10619696", "52528c28c73c0d8f"),
    "pairs_5": ("emodb", "09b368d077b6ff9a", "20b3bfe1f1006e4c"),
    "iemocap_sessions_5": ("iemocap", "2ec4ef34e5bf3262", "329363aa8e78abd3"),
    "iemocap_speakers_10": ("iemocap", "c848643e78e91d54", "8aa565d0fc72ca78"),
    "savee_4": ("savee", "a8e125e1dcd99fe2", "ec7a8b611bafa836"),
    "emovo_6": ("emovo", "635f9f1574f83229", "ea4a70e41ef30615"),
    "tess_two_way": ("tess", "c1080caae2935a83", "8abd82a7a0ab0085"),
    "mesd_voices_3": ("mesd", "ada928e2d74b9396", "94831ead3b579778"),
    "esd_5": ("esd", "f8388e2948542717", "be4436f63c751f86"),
    "cremad_5": ("cremad", "d723ca3a1c579ef0", "9b2f5831d9676e7d"),
}

#: Plans that were made by code before the tables were data.
BEFORE = {
    ("ravdess", "luna_jimenez_5"): "f073a33afeaff238",
    ("emodb", "pairs_5"): "20b3bfe1f1006e4c",
    ("emodb", "leave_one_speaker_out"): "a98c6f6da0745ea5",
    ("ravdess", "luna_jimenez_5_shuffled"): "30725f5a1cdce6a3",
    ("emodb", "pairs_5_shuffled_copies"): "000b95b9e6e9e741",
    ("emodb", "random_5"): "c701e5975a0b891c",
    ("ravdess", "speakers_4"): "3d21759c8cdccba9",
}


def recordings(corpus, per_speaker=4):
    """Four recordings of each speaker of a corpus; in IEMOCAP the two of a session share their dialogues."""
    rows = []
    for speaker in load_card(corpus).speakers:
        for i in range(per_speaker):
            name = f"{speaker}-{i}"
            source = f"{speaker[:5]}-{i}" if corpus.startswith("iemocap") else name
            rows.append(
                {"item_id": f"{CORPORA[corpus].home}/{name}", "source_id": source, "path": f"{name}.wav", "speaker": speaker}
                | {"emotion": "anger", "word": f"w{i:02d}"}
            )
    return item_table(rows)


def plans(corpus, scheme, leaks=(), per_speaker=4):
    items = recordings(corpus, per_speaker)
    return [split_plan(items, SplitSpec(scheme=scheme, fold=fold), leaks) for fold in range(n_folds(scheme, items))]


def speakers(ids):
    return {item.partition("/")[2].rpartition("-")[0] for item in ids}


@pytest.mark.parametrize(("corpus", "scheme"), BEFORE)
def test_plans_are_those_of_before(corpus, scheme):
    made = plans(corpus, scheme, ("speaker_overlap", "duplicate_audio"))
    assert digest([plan.fingerprint for plan in made]) == BEFORE[corpus, scheme]


@pytest.mark.parametrize("scheme", FOLD_TABLES)
def test_a_fold_table_is_as_it_was_published(scheme):
    corpus, table, plan = GOLDEN[scheme]
    made = plans(corpus, scheme, FOLD_TABLES[scheme].leaks)
    assert (FOLD_TABLES[scheme].fingerprint, digest([p.fingerprint for p in made])) == (table, plan)


def test_two_speakers_exchanged_are_caught():
    table = FOLD_TABLES["savee_4"]
    folds = [fold.model_copy(update={"test": fold.validation, "validation": fold.test}) for fold in table.folds]
    assert table.model_copy(update={"folds": tuple(folds)}).fingerprint != table.fingerprint


@pytest.mark.parametrize("scheme", FOLD_TABLES)
def test_a_table_tests_every_speaker_of_its_corpus_once_and_declares_what_it_leaks(scheme):
    corpus, table = GOLDEN[scheme][0], FOLD_TABLES[scheme]
    assert sorted(chain.from_iterable(fold.test for fold in table.folds)) == sorted(load_card(corpus).speakers)
    assert table.source
    assert set(table.leaks) <= set(LEAKS)
    for plan in plans(corpus, scheme, table.leaks):
        assert plan.found == table.leaks
        assert all(plan.sides.values())
    if table.leaks:
        with pytest.raises(LeakError, match="declare the leak"):
            plans(corpus, scheme)


def test_every_corpus_is_split_by_a_scheme_of_its_own_by_default():
    for corpus in NAMES:
        assert DEFAULT_SCHEME[corpus] == load_card(corpus).default_split in FOLD_TABLES


def test_tess_validates_on_words_of_the_one_who_trains():
    for plan, tested in zip(plans("tess", "tess_two_way", ("validation_speakers",), per_speaker=10), ("YAF", "OAF"), strict=True):
        assert speakers(plan.test) == {tested}
        assert speakers(plan.train) == speakers(plan.validation) != {tested}
        assert sorted(item[-1] for item in plan.validation) == ["0", "5"]


def test_iemocap_speakers_share_their_dialogues_with_the_partner_who_validates():
    plan = plans("iemocap_4", "iemocap_speakers_10", ("source_overlap",))[3]
    assert (speakers(plan.test), speakers(plan.validation)) == ({"Ses02M"}, {"Ses02F"})
    assert len(speakers(plan.train)) == 8


def test_a_scheme_of_another_corpus_is_refused():
    with pytest.raises(SplitError, match="names speakers"):
        plans("savee", "emovo_6")


# The positional generator of the released code


#: corpus, folds -> who is tested, from the released code (25 is RAVDESS' actor who does not exist).
TESTED = {
    ("ravdess", 1): [{"24"}],
    ("ravdess", 4): [{"24"}, {"5", "6"}, {"11", "12"}, {"17", "18"}],
    ("emodb", 1): [{"16"}],
    ("emodb", 4): [{"16"}, {"08"}, {"11"}, {"13"}],
    ("iemocap", 1): [{"Ses05F", "Ses05M"}],
    ("iemocap", 4): [{f"Ses0{s}F", f"Ses0{s}M"} for s in (5, 1, 2, 3)],
    ("tess", 1): [{"YAF"}],
    ("tess", 2): [{"YAF"}, {"OAF"}],
    ("tess", 4): [{"YAF"}, {"OAF"}, {"OAF"}, {"YAF"}],
}


@pytest.mark.parametrize(("corpus", "folds"), TESTED)
def test_positional_folds_test_whom_the_released_code_tested(corpus, folds):
    made = plans(corpus, f"positional_{folds}", positional_leaks(corpus), per_speaker=10)
    assert [speakers(plan.test) for plan in made] == TESTED[corpus, folds]
    assert all(len(plan.train) + len(plan.validation) + len(plan.test) == len(recordings(corpus, 10)) for plan in made)


#: The same plans, whole: also who is in which half of TESS, and the drawn files.
POSITIONAL_PLANS = {
    ("ravdess", "positional_1"): "b1a00860049fdf72",
    ("ravdess", "positional_4"): "238eda2d6503dcdb",
    ("emodb", "positional_1"): "4c7dac80786efdcb",
    ("emodb", "positional_4"): "a1b177ecc054c449",
    ("iemocap", "positional_1"): "6437bb40b026a255",
    ("iemocap", "positional_4"): "258c5c4086eddaf2",
    ("tess", "positional_1"): "986f05a10ddeb35c",
    ("tess", "positional_2"): "41ee3be9f7796c9e",
    ("tess", "positional_4"): "8dbfa354d146b25d",
    ("ravdess", "positional_files"): "5459b7ba7ab129d3",
}


@pytest.mark.parametrize(("corpus", "scheme"), [*((c, f"positional_{k}") for c, k in TESTED), ("ravdess", "positional_files")])
def test_positional_plans_stay_as_they_are(corpus, scheme):
    made = plans(corpus, scheme, ("speaker_overlap",), per_speaker=10)
    assert digest([plan.fingerprint for plan in made]) == POSITIONAL_PLANS[corpus, scheme]


def test_the_one_fold_of_ravdess_has_sixty_test_files():
    (plan,) = plans("ravdess", "positional_1", per_speaker=60)
    assert len(plan.test) == 60
    assert speakers(plan.train) == {str(n) for n in range(1, 19)}
    assert speakers(plan.validation) == {"19", "20", "21", "22", "23"}
    second = plans("ravdess", "positional_4")[1]
    assert speakers(second.validation) == {"1", "2", "3", "4"}, "and the empty 25"
    seven = set().union(*(speakers(plan.test) for plan in plans("ravdess", "positional_4")))
    assert len(seven) == 7


def test_positional_sides_of_emodb_and_iemocap():
    (plan,) = plans("emodb", "positional_1")
    assert speakers(plan.train) == {"03", "08", "09", "10", "11", "12", "13"}
    assert speakers(plan.validation) == {"14", "15"}
    (plan,) = plans("iemocap_4", "positional_1")
    assert {s[:5] for s in speakers(plan.train)} == {"Ses01", "Ses02", "Ses03"}
    assert {s[:5] for s in speakers(plan.validation)} == {"Ses04"}
    assert plan.found == ()


def test_positional_folds_of_tess_cut_a_person_in_two():
    (one,) = plans("tess", "positional_1", ("speaker_overlap",), per_speaker=10)
    assert (speakers(one.train), speakers(one.validation), speakers(one.test)) == ({"OAF"}, {"YAF"}, {"YAF"})
    assert (len(one.validation), len(one.test)) == (5, 5)
    train_too = [bool(speakers(p.train) & speakers(p.test)) for p in plans("tess", "positional_4", ("speaker_overlap",), per_speaker=10)]
    assert train_too == [False, True, False, True], "folds 2 and 4 train on the person they test"
    assert [speakers(p.train) for p in plans("tess", "positional_2", ("speaker_overlap",))] == [{"OAF"}, {"YAF"}]


def test_positional_folds_of_tess_undeclared_are_caught():
    with pytest.raises(LeakError, match="speaker overlap 'YAF'.*declare the leak 'speaker_overlap'"):
        plans("tess", "positional_1")


def test_positional_files_mix_everybody_and_need_the_declaration():
    (plan,) = plans("ravdess", "positional_files", ("speaker_overlap",), per_speaker=60)
    assert [len(side) for side in (plan.train, plan.validation, plan.test)] == [1008, 288, 144]
    shuffled = recordings("ravdess", 60).sample(frac=1, random_state=3)
    again = split_plan(shuffled, SplitSpec(scheme="positional_files"), ("speaker_overlap",))
    assert again.fingerprint == plan.fingerprint, "and do not go by the order of the table"
    with pytest.raises(LeakError, match="speaker_overlap"):
        plans("ravdess", "positional_files")


@pytest.mark.parametrize("source", ["thesis", "qat_waspaa2023"])
@pytest.mark.parametrize("corpus", POSITIONAL)
def test_positional_folds_are_the_protocol_paper_of_the_thesis(source, corpus):
    leaks = PAPER_LEAKS[source]
    split = SplitSpec(scheme="positional_1")
    spec = RunSpec(data=DataSpec(corpus=corpus), split=split, model=ModelSpec(name="any"), leaks=leaks, source=source)
    assert spec.protocol == "paper"
    assert split_plan(recordings(corpus), split, leaks).found == positional_leaks(corpus)


def test_positional_folds_of_another_corpus_are_refused():
    with pytest.raises(SplitError, match="laid down for ravdess, emodb, tess, iemocap; these items are of 'savee'"):
        plans("savee", "positional_1")


@pytest.mark.parametrize(
    ("n", "sides"),
    [(25, (18, 5, 2)), (10, (7, 2, 1)), (5, (3, 1, 1)), (4, (2, 1, 1)), (24, (17, 5, 2)), (3, (1, 1, 1)), (100, (70, 20, 10))],
)
def test_the_cut_rounds_half_to_even_and_leaves_no_side_empty(n, sides):
    cut = positional_cut(n, 1, 0)
    assert tuple(map(len, cut)) == sides
    assert sorted(chain.from_iterable(cut)) == list(range(n))


def test_positional_keys_name_every_speaker_of_their_corpus():
    for corpus, entry in POSITIONAL.items():
        named = {name.partition("/")[0] for key in entry["keys"] for name in key}
        assert named - {"25"} == set(load_card(corpus).speakers)
