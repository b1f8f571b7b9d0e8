"""Readers of the corpora of other tasks: on tiny folders in the layout of the releases, and on real copies where they are at hand."""

import gzip
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sercore.data import names
from sercore.data.audit import check_corpus
from sercore.data.card import load_card
from sercore.data.corpora import CORPORA, find_corpora, load
from sercore.data.items import class_labels
from sercore.data.readers import good_sounds, librispeech_words, omg_empathy
from sercore.errors import CorpusError
from tests import other_trees
from tests.corpus_trees import write_sound
from tests.other_trees import TREES

#: Corpus -> number of items, classes, speakers (or what stands for them) of its tiny copy.
HOLDS = {
    "fsdd": (8, {"zero", "seven"}, {"theo", "lucas"}),
    "speech_commands": (12, {"cat", "six", "yes"}, {"00176480", "004ae714"}),
    "speech_commands_digits": (4, {"six"}, {"00176480", "004ae714"}),
    "esc50": (3, {"dog", "hand_saw"}, {"100032", "9032"}),
    "esc10": (3, {"dog", "crackling_fire"}, {"100032", "4"}),
    "ms_snsd": (4, {"babble", "neighbor_speaking", "air_conditioner"}, {"Babble_1", "Neighbor_4", "AirConditioner_10"}),
    "nsynth": (3, {"bass", "synth_lead", "guitar"}, {"bass_electronic_018", "synth_lead_synthetic_000", "guitar_acoustic_001"}),
    "good_sounds": (8, {"good", "bad_timbre", "bad_attack", "bad_pitch"}, {"p0", "p1"}),
    "omg_empathy": (3, None, {"1", "2", "10"}),
    "omg_emotion": (3, {"fear", "sadness", "happiness"}, {"WBTNlgEDKUs", "x-_1"}),
    "librispeech_words": (5, {"go", "do", "you"}, {"84", "174"}),
    "mnist": (5, {"5", "0", "4", "7", "2"}, None),
    "cifar10": (3, {"frog", "truck", "airplane"}, None),
}


def tiny(name, root):
    return load(name, TREES[name](root), check_counts=False)


def item(corpus, name):
    rows = corpus.items[corpus.items["item_id"] == f"{corpus.name}/{name}"]
    assert len(rows) == 1, corpus.items["item_id"].tolist()
    return rows.iloc[0]


def test_every_corpus_of_another_task_is_tested_here():
    others = {name: entry for name, entry in CORPORA.items() if load_card(name).task != "emotion"}
    read = {name for name, entry in others.items() if entry.render is None} | {"omg_emotion"}
    assert read == set(TREES) == set(HOLDS)
    assert set(others) - read == {"synthetic_noises"}  # rendered: test_synthetic_noises


@pytest.mark.parametrize("name", TREES)
def test_a_reader_finds_what_the_folder_holds(name, tmp_path):
    corpus, (items, classes, speakers) = tiny(name, tmp_path / "c"), HOLDS[name]
    assert len(corpus.items) == items
    if classes:
        assert set(corpus.items[corpus.card.task]) == classes
    if len(classes or ()) > 1:
        assert set(class_labels(corpus.items, corpus.card.task)) == classes
    assert set(corpus.items["speaker"]) == speakers if speakers else corpus.items["speaker"].is_unique
    assert corpus.items["item_id"].str.startswith(f"{name}/").all()
    assert set(corpus.items["language"]) <= {"", *corpus.card.languages}
    assert all((corpus.root / path).is_file() for path in corpus.items["path"])
    assert set(corpus.card.classes) >= (classes or set()) or not corpus.card.classes


@pytest.mark.parametrize("name", TREES)
def test_reading_and_checking_write_nothing_into_the_folder(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    root = TREES[name](tmp_path / "c")
    state = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [root, *root.rglob("*")]}
    for path in state:
        path.chmod(0o555 if path.is_dir() else 0o444)  # where the tests run as root this stops nobody, the times below still tell
    try:
        corpus = load(name, root, check_counts=False).with_audio_ids()
        assert len(corpus.fingerprint()) == 16
        check_corpus(name, root, progress=False, subset=True)
        assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [root, *root.rglob("*")]} == state
    finally:
        for path in state:
            path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("name", TREES)
def test_a_sample_is_read_only_where_that_is_said(name, tmp_path):
    root, card = TREES[name](tmp_path / "c"), load_card(name)
    if card.files == 0:
        pytest.skip(f"{name}: no release fixes a count")  # MS-SNSD grows, Good-Sounds states none
    with pytest.raises(CorpusError, match=f"{name}: .* missing"):
        load(name, root)
    whole = check_corpus(name, root, progress=False)
    assert {problem.kind for problem in whole.problems} & {"count", "missing"}
    sample = check_corpus(name, root, progress=False, subset=True)
    assert sample.problems == []
    assert "subset" in [note.kind for note in sample.notes]


def fitting(name, root):
    """The card of a release that is exactly what lies in the folder."""
    card, items = load_card(name), load(name, root, check_counts=False).items
    parts = names.part_counts(card, root)
    stated = {
        "files": sum(parts.values()) or len(items),
        "classes": dict(Counter(items[card.task])) if card.classes else {},
        "speakers": dict(Counter(items["speaker"])) if card.speakers else {},
        "n_speakers": items["speaker"].nunique() if card.n_speakers else 0,
        "parts": parts,
        "expected": (),
    }
    return card.model_copy(update=stated)


@pytest.mark.parametrize("name", [name for name in TREES if load_card(name).files])
def test_a_whole_release_passes_and_one_file_less_is_caught(name, tmp_path, monkeypatch):
    root = TREES[name](tmp_path / "c")
    card = fitting(name, root)
    for module in ("corpora", "audit"):
        monkeypatch.setattr(f"sercore.data.{module}.load_card", lambda _: card)
    items = load(name, root).items
    report = check_corpus(name, root, progress=False)
    assert (report.problems, report.files.found) == ([], card.files)
    if CORPORA[name].images is None:
        (root / items["path"].iloc[0]).unlink()
        with pytest.raises(CorpusError, match="1 recording|counts differ"):
            load(name, root)
        assert {problem.kind for problem in check_corpus(name, root, progress=False).problems} == {"count"}


@pytest.mark.parametrize("name", TREES)
def test_an_empty_folder_is_one_clear_error(name, tmp_path):
    with pytest.raises(CorpusError, match="recording|label file|cannot be read"):
        load(name, tmp_path, check_counts=False)


@pytest.mark.parametrize("name", [name for name, entry in CORPORA.items() if name in TREES and entry.images is None])
def test_what_is_heard_is_the_file_and_the_fingerprint_tells_labels_apart(name, tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    corpus = tiny(name, tmp_path / "c").with_audio_ids()
    row = corpus.items.iloc[-1]
    samples, rate_hz = corpus.waveform(row)
    length = (row["end_s"] - row["start_s"]) if not np.isnan(row["start_s"]) else 0.1
    assert (samples.dtype, rate_hz) == (np.float32, corpus.card.sample_rate_hz or 16000)
    assert len(samples) == pytest.approx(length * rate_hz, abs=2)
    if corpus.card.task != "valence":
        swapped = corpus.items.assign(**{corpus.card.task: corpus.items[corpus.card.task].iloc[::-1].to_numpy()})
        other = type(corpus)(corpus.name, corpus.root, swapped, corpus.card)
        assert (other.fingerprint() == corpus.fingerprint()) == swapped.equals(corpus.items)


def test_one_name_of_each_corpus_is_read_as_it_is_meant(tmp_path):
    row = item(tiny("fsdd", tmp_path / "f"), "7_lucas_4")
    assert (row["word"], row["speaker"], row["session"], row["path"]) == ("seven", "lucas", "test", "recordings/7_lucas_4.wav")
    assert item(load("fsdd", tmp_path / "f", check_counts=False), "7_lucas_5")["session"] == "train"
    commands = tiny("speech_commands", tmp_path / "s")
    sides = {row["item_id"].removeprefix("speech_commands/"): row["session"] for _, row in commands.items.iterrows()}
    assert sides["cat/00176480_nohash_0"] == "validation"
    assert sides["six/004ae714_nohash_1"] == "test"
    assert sides["yes/004ae714_nohash_1"] == "train"
    row = item(tiny("esc50", tmp_path / "e"), "1-100032-B-0")
    assert (row["noise"], row["session"], row["source_id"]) == ("dog", "1", "100032")
    row = item(tiny("nsynth", tmp_path / "n"), "test/bass_electronic_018-022-100")
    assert (row["instrument"], row["kind"], row["pitch_midi"], row["velocity"]) == ("bass", "electronic", 22, 100)
    row = item(tiny("omg_emotion", tmp_path / "o"), "train/119334435_2/utterance_26")
    assert (row["emotion"], row["arousal"], row["valence"], row["session"]) == ("sadness", 0.2, -0.4, "train")


def test_the_ten_numbers_and_folders_of_esc_agree_with_the_cards():
    from sercore.data.readers import esc

    assert load_card("esc50").label_map == {str(n): noise for n, noise in enumerate(esc.NOISES)}
    assert load_card("esc10").label_map == esc.FOLDERS
    assert set(esc.FOLDERS.values()) < set(esc.NOISES)


@pytest.mark.parametrize(
    ("klass", "quality"),
    [
        ("good-sound", "good"), ("bad-timbre", "bad_timbre"), ("bad-stability-timbre", "bad_timbre"), ("bad-richness-pato", "bad_timbre"),
        ("bad-dynamics-stability-tremolo", "bad_dynamics"), ("bad-attack-air", "bad_attack"), ("bad-pitch-stability-errors", "bad_pitch"),
        ("bad-attack bad-pitch", "bad_pitch"), ("bad-attack bad-richness", ""), ("scale-bad-timbre-staccato", ""),
        ("crescendo", ""), ("", ""),
    ],
)  # fmt: skip
def test_tags_of_good_sounds(klass, quality):
    assert good_sounds.quality_of(klass) == quality


def test_takes_of_one_sound_share_their_source(tmp_path):
    items = tiny("good_sounds", tmp_path / "c").items
    assert items.groupby("source_id").size().eq(2).all()


class TestLibriSpeech:
    def test_words_have_the_times_of_the_alignment(self, tmp_path):
        corpus = tiny("librispeech_words", tmp_path / "c")
        row = item(corpus, "84-121123-0000/002")
        assert (row["word"], row["start_s"], row["end_s"], row["gender"]) == ("do", 0.04, pytest.approx(0.09), "female")
        assert (row["source_id"], row["session"]) == ("84-121123-0000", "dev-clean")
        whole, rate_hz = corpus.waveform({**row, "start_s": np.nan})
        np.testing.assert_array_equal(corpus.waveform(row)[0], whole[round(0.04 * rate_hz) : round(0.09 * rate_hz)])

    def test_the_most_frequent_words_are_kept_and_ties_go_by_the_alphabet(self, tmp_path):
        root = other_trees.librispeech_words(tmp_path / "c")
        assert set(librispeech_words.read(root, frequent=1)["word"]) == {"go"}
        assert set(librispeech_words.read(root, frequent=2)["word"]) == {"go", "do"}

    def test_text_grids_give_the_same(self, tmp_path):
        items = librispeech_words.read(other_trees.librispeech_grids(tmp_path / "c"))
        assert items.groupby("source_id")["word"].apply(list).to_dict() == {
            "174-50561-0000": ["go", "there"],
            "84-121123-0000": ["go", "there"],
        }
        assert items["start_s"].tolist() == [0.02, 0.05, 0.02, 0.05]

    def test_recordings_without_an_alignment_are_an_error(self, tmp_path):
        root = other_trees.librispeech_words(tmp_path / "c")
        shutil.rmtree(root / "word_labels")
        with pytest.raises(CorpusError, match="no alignment"):
            librispeech_words.read(root)

    @pytest.mark.parametrize("line", ["84-121123-0000 1 0.1 GO 1.0", "84-121123-0000 1 zero 0.1 GO 1.0"])
    def test_a_faulty_line_is_named(self, line, tmp_path):
        root = other_trees.librispeech_words(tmp_path / "c")
        (root / "word_labels/dev-clean-selected-1000.txt").write_text(f"84-121123-0000 1 0 1 GO 1\n{line}\n")
        with pytest.raises(CorpusError, match="dev-clean-selected-1000.txt, line 2"):
            librispeech_words.read(root)

    def test_a_part_that_is_not_whole_is_named_and_absent_parts_are_not(self, tmp_path):
        with pytest.raises(CorpusError, match=r"2700 recordings are missing \(dev-clean has 3 of 2703\)"):
            load("librispeech_words", other_trees.librispeech_words(tmp_path / "c"))


class TestEmpathy:
    def test_the_annotation_is_read_whole(self, tmp_path):
        corpus = tiny("omg_empathy", tmp_path / "c")
        row = item(corpus, "Subject_2_Story_2")
        assert (row["session"], row["frames"], row["valence"]) == ("story_2", 25, pytest.approx(0.1))
        assert omg_empathy.valence(corpus.root / row["annotation"]).shape == (25,)

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("valence\n0.1\n1.2\n", "line 3.*'1.2'"),
            ("valence\n0.1\nnan\n", "line 3"),
            ("arousal\n0.1\n", "no column"),
            ("", "no column"),
            ("valence\n0.1\nx\n", "line 3.*'x'"),
        ],
    )
    def test_a_faulty_annotation_is_named(self, text, says, tmp_path):
        path = tmp_path / "Subject_1_Story_1.csv"
        path.write_text(text)
        with pytest.raises(CorpusError, match=f"Subject_1_Story_1.csv.*{says}"):
            omg_empathy.valence(path)

    def test_a_recording_without_annotation_is_an_error(self, tmp_path):
        root = other_trees.omg_empathy(tmp_path / "c")
        (root / "Validation/Annotations/Subject_10_Story_1.csv").unlink()
        with pytest.raises(CorpusError, match="Subject_10_Story_1.wav has no annotation"):
            omg_empathy.read(root)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("EmotionMaxVote", "Vote"), "omg_TrainVideos.csv lacks the columns emotionmaxvote"),
        ((",5\n", ",8\n"), "omg_TrainVideos.csv, line 3: emotion '8'"),
    ],
)
def test_a_faulty_label_file_of_omg_emotion_is_named(change, says, tmp_path):
    labels = other_trees.omg_emotion(tmp_path / "c") / "omg_TrainVideos.csv"
    labels.write_text(labels.read_text().replace(*change))
    with pytest.raises(CorpusError, match=says):
        load("omg_emotion", tmp_path / "c", check_counts=False)


class TestPictures:
    def test_pictures_come_in_the_order_of_the_items(self, tmp_path):
        corpus = tiny("mnist", tmp_path / "m")
        expected = np.random.default_rng(0).integers(0, 256, (5, 28, 28)).astype(np.uint8)
        assert corpus.items["item_id"].tolist() == [
            f"mnist/{n}" for n in ("test-00000", "test-00001", "train-00000", "train-00001", "train-00002")
        ]
        np.testing.assert_array_equal(corpus.images(), expected[[3, 4, 0, 1, 2]])
        assert corpus.items["digit"].tolist() == ["7", "2", "5", "0", "4"]

    def test_channels_of_cifar_are_planes(self, tmp_path):
        corpus = tiny("cifar10", tmp_path / "c")
        record = np.random.default_rng(0).integers(0, 256, (3, 3073)).astype(np.uint8)[1]
        row = item(corpus, "data_batch_1-00001")
        assert (row["object"], row["session"]) == ("truck", "train")
        picture = corpus.images()[corpus.items.index[corpus.items["item_id"] == row["item_id"]][0]]
        np.testing.assert_array_equal(picture[0].ravel(), record[1:1025])
        np.testing.assert_array_equal(picture[2].ravel(), record[2049:])

    def test_pictures_are_not_heard_and_sounds_not_seen(self, tmp_path):
        with pytest.raises(CorpusError, match="mnist holds pictures"):
            tiny("mnist", tmp_path / "m").waveform({})
        with pytest.raises(CorpusError, match="fsdd holds sound"):
            tiny("fsdd", tmp_path / "f").images()

    @pytest.mark.parametrize(
        ("spoil", "says"),
        [
            (lambda data: data[:-1], "holds 1567 bytes, its head says 1568"),
            (lambda data: b"\x00\x00\x0d\x03" + data[4:], "no idx file"),
            (lambda data: b"", "no idx file"),
        ],
    )
    def test_a_broken_idx_file_is_caught(self, spoil, says, tmp_path):
        path = other_trees.mnist(tmp_path) / "t10k-images-idx3-ubyte"
        path.write_bytes(spoil(path.read_bytes()))
        with pytest.raises(CorpusError, match=f"t10k-images-idx3-ubyte .*{says}"):
            load("mnist", tmp_path, check_counts=False).images()

    def test_a_cut_gzip_file_is_caught(self, tmp_path):
        path = other_trees.mnist(tmp_path) / "train-labels-idx1-ubyte.gz"
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(CorpusError, match="train-labels-idx1-ubyte.gz cannot be unpacked"):
            load("mnist", tmp_path, check_counts=False)

    def test_fewer_pictures_than_labels_is_caught(self, tmp_path):
        path = other_trees.mnist(tmp_path) / "train-images-idx3-ubyte.gz"
        path.write_bytes(gzip.compress(other_trees.idx(np.zeros((2, 28, 28)))))
        with pytest.raises(CorpusError, match="holds 2 pictures, its labels are 3"):
            load("mnist", tmp_path, check_counts=False).images()

    @pytest.mark.parametrize(("spoil", "says"), [(lambda d: d[:-5], "no whole records"), (lambda d: b"\x0a" + d[1:], "label 10")])
    def test_a_broken_batch_is_caught(self, spoil, says, tmp_path):
        path = other_trees.cifar10(tmp_path) / "cifar-10-batches-bin/test_batch.bin"
        path.write_bytes(spoil(path.read_bytes()))
        with pytest.raises(CorpusError, match=f"test_batch.bin .*{says}"):
            load("cifar10", tmp_path, check_counts=False)

    def test_the_pickled_version_is_refused_unopened(self, tmp_path):
        (tmp_path / "data_batch_1").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
        with pytest.raises(CorpusError, match="pickled and not read"):
            load("cifar10", tmp_path, check_counts=False)


def test_a_file_of_no_word_is_caught(tmp_path):
    root = other_trees.speech_commands(tmp_path / "c")
    write_sound(root / "banana/00176480_nohash_0.wav", 99)
    report = check_corpus("speech_commands", root, progress=False, subset=True)
    assert [(p.kind, p.files) for p in report.problems] == [("misnamed", ("banana/00176480_nohash_0.wav",))]
    assert "class code banana" in report.problems[0].message


def test_one_resampled_file_in_a_sample_is_caught_but_a_resampled_sample_is_a_note(tmp_path):
    root = other_trees.fsdd(tmp_path / "c")
    path = root / "recordings/0_theo_4.wav"
    path.unlink()
    write_sound(path, 77, 16000)
    assert [p.kind for p in check_corpus("fsdd", root, progress=False, subset=True).problems] == ["sampling_rate"]
    for n, path in enumerate((root / "recordings").iterdir()):
        path.unlink()
        write_sound(path, n, 16000)
    report = check_corpus("fsdd", root, progress=False, subset=True)
    assert (report.ok, [note.kind for note in report.notes]) == (True, ["resampled", "subset"])


def test_corpora_of_other_tasks_do_not_take_part_in_chapters_on_emotion(tmp_path):
    for name in ("fsdd", "mnist", "ravdess"):
        (tmp_path / name).mkdir()
    assert list(find_corpora(tmp_path)) == ["ravdess"]
    assert list(find_corpora(tmp_path, "word")) == ["fsdd"]


def test_ten_thousand_items_are_read_in_two_seconds(tmp_path):
    import time

    for word in ("bed", "cat"):
        (tmp_path / word).mkdir()
        for n in range(5000):
            os.close(os.open(tmp_path / word / f"{n:08x}_nohash_0.wav", os.O_CREAT))
    start = time.process_time()
    assert len(load("speech_commands", tmp_path, check_counts=False).items) == 10000
    assert time.process_time() - start < 2


@pytest.mark.recordings
@pytest.mark.parametrize(("name", "items", "classes"), [("fsdd", 3000, 10), ("speech_commands", 750, 3), ("esc10", 120, 10)])
def test_real_copies_and_samples_pass(name, items, classes, corpora_root):
    root: Path = corpora_root / name
    if not root.is_dir():
        pytest.skip(f"no folder {name} in SERCORE_CORPORA")
    sample = name != "fsdd"
    report = check_corpus(name, root, progress=False, subset=sample)
    assert report.problems == []
    assert report.files.found == items
    assert sum(count.found > 0 for count in report.classes.values()) == classes
    if sample:
        with pytest.raises(CorpusError, match="missing"):
            load(name, root)
