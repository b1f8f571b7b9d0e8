"""Readers, the check and split plans on anything: random trees, hostile names, links that lead nowhere or round, other capitals."""

import json
import os
import shutil
import tempfile
from itertools import chain, islice
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sercore.data.audit import check_corpus
from sercore.data.card import load_card
from sercore.data.corpora import CORPORA
from sercore.data.folds import positional_cut
from sercore.data.items import check_items, item_table
from sercore.data.splits import n_folds, split_plan
from sercore.errors import CorpusError, SplitError
from sercore.spec import SplitSpec
from tests.emotion_trees import NAMES, stand_up

READERS = [*(name for name, entry in CORPORA.items() if name in NAMES and not entry.folder), "ravdess", "emodb"]
FEW = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])

#: Bytes of a file name: any text, any bytes that are no text, and what shells and archives trip over.
HOSTILE = st.one_of(
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).map(str.encode),
    st.binary(min_size=1, max_size=8).filter(lambda b: b"/" not in b and b"\0" not in b),
    st.sampled_from(
        [b"-rf", b" ", b"a\nb", b"..wav", b"~", b"CON", "Ａctor_01".encode(), "e\u0301".encode(), b"\xff\xfe", b"._OAF_back_angry"]
    ),
).filter(lambda name: name not in (b".", b".."))
ENDINGS = st.sampled_from([b"", b".wav", b".WAV", b".flac", b".txt", b".wav.part"])


def real_names(corpus, count=8):
    """Some names of the release, from all over it, without ending."""
    names = list(NAMES[corpus]()) if corpus in NAMES else load_card(corpus).expected_names()
    return names[:: max(1, len(names) // count)]


def put(root: bytes, parts: list[bytes]) -> bytes:
    path = os.path.join(root, *parts)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if not os.path.lexists(path):
        with open(path, "wb") as file:
            file.write(b"RIFF")
    return path


@pytest.fixture
def folder(tmp_path):
    """A new empty folder at every call: hypothesis runs many examples in one test."""
    return lambda: Path(tempfile.mkdtemp(dir=tmp_path))


def read(corpus, root):
    table = CORPORA[corpus].read(root)
    check_items(table)
    assert all((root / path).exists() for path in table["path"])
    return table


def clean_tree(corpus, root):
    if corpus.startswith("iemocap"):
        return stand_up(corpus, root, every=1000)
    for name in real_names(corpus):
        put(os.fsencode(root), [os.fsencode(f"{name}.wav")])
    return root


@pytest.mark.parametrize("corpus", READERS)
@given(strangers=st.lists(st.tuples(st.lists(HOSTILE, max_size=2), HOSTILE, ENDINGS), max_size=8), links=st.booleans())
@FEW
def test_strangers_in_a_folder_change_nothing_and_stop_nothing(corpus, folder, strangers, links):
    root = clean_tree(corpus, folder())
    before = read(corpus, root)
    for folders, name, ending in strangers:
        try:
            put(os.fsencode(root), [*folders, name + ending])
        except (NotADirectoryError, FileExistsError, IsADirectoryError):
            continue  # one stranger's file is another's folder
    if links:
        (root / "round").symlink_to(root)
        (root / "nowhere.wav").symlink_to(root / "not there")
    assert read(corpus, root).equals(before)


@pytest.mark.parametrize("corpus", READERS)
@given(strangers=st.lists(st.tuples(HOSTILE, ENDINGS), min_size=1, max_size=4))
@FEW
def test_the_check_answers_whatever_lies_there_and_writes_nothing(corpus, folder, strangers):
    root = folder()
    for name in real_names(corpus, 2)[:2]:
        put(os.fsencode(root), [os.fsencode(f"{name}.wav")])
    for name, ending in strangers:
        put(os.fsencode(root), [name + ending])
    before = {path: path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]}
    refused = ""
    try:
        report = check_corpus(corpus, root, progress=False)
        assert not report.ok
        json.dumps(report.to_json(), ensure_ascii=False).encode()
    except CorpusError as error:
        refused = str(error)
    assert not refused or str(root) in refused or "no recording was found" in refused
    assert {path: path.lstat().st_mtime_ns for path in [root, *root.rglob("*")]} == before


@pytest.mark.parametrize("corpus", READERS)
def test_a_recording_in_a_folder_whose_name_is_no_text_is_left_to_the_check(corpus, tmp_path):
    root = clean_tree(corpus, tmp_path)
    before = read(corpus, root)
    name = os.fsencode(real_names(corpus, 3)[1] + ".wav")
    top = b"Actor_\xff" if corpus == "ravdess" else b"\xff"
    put(os.fsencode(root), [top, *name.split(b"/")[1 if corpus == "ravdess" else 0 :]])
    assert read(corpus, root).equals(before)


@pytest.mark.parametrize("corpus", READERS)
def test_endings_in_capitals_are_read_and_names_in_other_capitals_are_not(corpus, tmp_path):
    root = clean_tree(corpus, tmp_path)
    before = read(corpus, root)
    for path in list(root.rglob("*.wav")):
        path.rename(path.with_suffix(".WAV"))
    assert read(corpus, root)["item_id"].tolist() == before["item_id"].tolist()
    for path in list(root.rglob("*.WAV")):
        path.rename(path.with_name(path.stem.swapcase() + ".wav"))
    if not any(letter.isalpha() for letter in Path(before["path"].iloc[0]).stem):
        return  # names of digits have no capitals
    with pytest.raises(CorpusError, match="no recording was found"):
        read(corpus, root)


@pytest.mark.parametrize("corpus", READERS)
def test_recordings_behind_links_are_read(corpus, tmp_path):
    root = clean_tree(corpus, tmp_path / "kept")
    for folder in sorted(path for path in root.iterdir() if path.is_dir()):
        shutil.move(folder, tmp_path / f"elsewhere_{folder.name}")
        folder.symlink_to(tmp_path / f"elsewhere_{folder.name}")
    assert read(corpus, root).equals(read(corpus, clean_tree(corpus, tmp_path / "plain")))


@pytest.mark.parametrize("corpus", READERS)
@pytest.mark.parametrize("there", ["nothing", "a file", "no folder"])
def test_a_folder_without_recordings_is_one_clear_error(corpus, there, tmp_path):
    root = tmp_path / "corpus"
    if there != "no folder":
        root.mkdir()
    if there == "a file":
        (root / "readme.txt").touch()
    with pytest.raises(CorpusError, match="no recording was found"):
        CORPORA[corpus].read(root)


def test_ten_thousand_items_are_read_in_less_than_two_seconds(tmp_path):
    root = stand_up("iemocap", tmp_path)
    CORPORA["savee"].read(stand_up("savee", tmp_path / "warm"))
    started = process_time()
    items = CORPORA["iemocap"].read(root)
    spent = process_time() - started
    assert len(items) == 10039
    assert spent < 2, f"{spent:.2f} s of computing for {len(items)} items with labels and text"


# Plans


@st.composite
def item_tables(draw):
    counts = draw(st.lists(st.integers(1, 5), min_size=3, max_size=9))
    voices = [f"{draw(st.text(max_size=3))}{number}" for number in range(len(counts))]
    rows = [
        {
            "item_id": f"c/{voice}/{i}",
            "source_id": f"{voice}/{i}",
            "path": f"{voice}.{i}",
            "speaker": voice,
            "emotion": "anger",
            "word": str(i),
        }
        for voice, count in zip(voices, counts, strict=True)
        for i in range(count)
    ]
    return item_table(rows)


@given(
    items=item_tables(),
    scheme=st.sampled_from(["leave_one_speaker_out", "speakers_4"]),
    ending=st.sampled_from(["", "_shuffled", "_copies"]),
)
@settings(max_examples=60, deadline=None)
def test_plans_of_any_speakers_part_the_items_and_do_not_depend_on_their_order(items, scheme, ending):
    leaks = {"": (), "_shuffled": ("speaker_overlap",), "_copies": ("duplicate_audio",)}[ending]
    if scheme == "speakers_4" and items["speaker"].nunique() < 4:
        with pytest.raises(SplitError, match="4 speaker folds need 4 speakers, there are 3"):
            split_plan(items, SplitSpec(scheme=scheme + ending), leaks)
        return
    plans = [split_plan(items, SplitSpec(scheme=scheme + ending, fold=k), leaks) for k in range(n_folds(scheme, items))]
    assert sorted(chain.from_iterable(plan.test for plan in plans)) == items["item_id"].tolist()
    speaker = items.set_index("item_id")["speaker"]
    for plan in plans:
        assert sorted((*plan.train, *plan.validation, *plan.test)) == items["item_id"].tolist()
        if ending != "_shuffled":
            assert not set(speaker[list(plan.test)]) & set(speaker[[*plan.train, *plan.validation]])
    if ending != "_shuffled":  # whose draw goes by the order of the table, which readers fix
        again = items.sample(frac=1, random_state=1).reset_index(drop=True)
        assert split_plan(again, SplitSpec(scheme=scheme + ending, fold=0), leaks).fingerprint == plans[0].fingerprint


@given(n=st.integers(3, 400), folds=st.integers(1, 10), data=st.data())
@settings(max_examples=100, deadline=None)
def test_the_positional_cut_parts_any_list(n, folds, data):
    fold = data.draw(st.integers(0, folds - 1))
    train, validation, test = positional_cut(n, folds, fold)
    assert sorted([*train, *validation, *test]) == list(range(n))
    assert all((train, validation, test))
    assert train[0] == int(fold * n / folds) % n
    assert np.allclose(np.diff([*train, *validation, *test]) % n, 1)


def test_names_stand_for_all_of_a_release():
    assert all(len(list(islice(NAMES[name](), 5))) == 5 for name in NAMES)
