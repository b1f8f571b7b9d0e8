"""Readers and cards of the emotional corpora on folders in the layout of their releases, with the releases' own oddities."""

import json
import shutil
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from sercore.__main__ import app
from sercore.data import names
from sercore.data.audio import decode, samples_id
from sercore.data.audit import check_corpus
from sercore.data.card import load_card
from sercore.data.corpora import CORPORA, find_corpora, load
from sercore.errors import CorpusError
from tests.corpus_trees import write_sound
from tests.emotion_trees import NAMES, stand_up

IEMOCAPS = ("iemocap", "iemocap_4", "iemocap_4_excited")
#: Corpora that stand up whole; ESD has 35,000 files, of which some do.
WHOLE = [name for name in NAMES if name != "esd"]


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder, made = tmp_path_factory.mktemp("trees"), {}

    def tree(name):
        home = CORPORA[name].home
        if home not in made:
            made[home] = stand_up(name, folder / home, every=50 if name == "esd" else 1)
        return made[home]

    return tree


@pytest.fixture(scope="module")
def whole(trees):
    return lru_cache(lambda name: load(name, trees(name), check_counts=name != "esd").items)


@pytest.mark.parametrize("name", WHOLE)
def test_the_reader_finds_what_the_card_counts(trees, whole, name):
    card, items = load_card(name), whole(name)
    assert items["emotion"].value_counts().to_dict() == card.classes
    assert len(items) == card.files
    speakers = items["speaker"].value_counts().to_dict()
    assert set(speakers) == set(card.speakers)
    assert not any(card.speakers.values()) or speakers == card.speakers
    assert items.groupby("speaker")["gender"].unique().map(list).to_dict() == {s: [g] for s, g in card.genders.items()}
    assert set(items["language"]) <= set(card.languages)
    assert all((trees(name) / path).is_file() for path in items["path"])


@pytest.mark.parametrize("name", [n for n in NAMES if n not in IEMOCAPS])
def test_card_and_reader_say_the_same_of_every_name(whole, name):
    card = load_card(name)
    keys = list(NAMES[name]())
    stated = [names.label_of(card, key) for key in keys]
    assert Counter(emotion for emotion, _ in stated) == card.classes
    if any(card.speakers.values()):
        assert Counter(speaker for _, speaker in stated) == card.speakers
    items = whole(name)
    read = dict(zip(items["path"].str.removesuffix(".wav"), zip(items["emotion"], items["speaker"], strict=True), strict=True))
    assert read == {key: label for key, label in zip(keys, stated, strict=True) if key in read}


@pytest.mark.parametrize("name", NAMES)
def test_no_layout_is_called_verified_before_a_real_copy_was_seen(name):
    assert not load_card(name).layout_verified
    assert load_card(name).layout_source


@pytest.mark.parametrize("name", [n for n in NAMES if not CORPORA[n].folder])
def test_the_folder_of_one_corpus_given_for_another_is_named(trees, name):
    with pytest.raises(CorpusError, match=rf"ravdess: .* holds recordings of {name}, none of ravdess: give --root {name}="):
        load("ravdess", trees(name))


def test_four_class_counts_are_those_of_the_literature():
    """Neutral, happiness, sadness and anger, as counted for the seven corpora of the HuMP-CAT comparison."""
    counts = {
        "iemocap_4_excited": 5531, "ravdess": 672, "tess": 1600, "emodb": 339, "emovo": 336, "mesd": 576, "savee": 300,
    }  # fmt: skip
    four = ("neutral", "happiness", "sadness", "anger")
    assert {name: sum(load_card(name).classes[emotion] for emotion in four) for name in counts} == counts


def test_a_missing_recording_is_caught(tmp_path):
    root = stand_up("savee", tmp_path)
    (root / "AudioData/JE/su07.wav").unlink()
    with pytest.raises(CorpusError, match=r"1 recordings? .*missing.*emotion surprise has 59 of 60"):
        load("savee", root)


def test_missing_speakers_are_caught_where_their_counts_are_not_stated(tmp_path):
    root = stand_up("cremad", tmp_path, every=40)
    with pytest.raises(CorpusError, match="recordings are missing"):
        load("cremad", root)


# IEMOCAP


def test_four_classes_are_those_of_the_literature(whole):
    merged = whole("iemocap_4_excited")["emotion"].value_counts()
    assert merged.to_dict() == {"neutral": 1708, "happiness": 1636, "anger": 1103, "sadness": 1084}
    assert merged.sum() == 5531
    assert len(whole("iemocap_4")) == 4490


def test_a_turn_keeps_its_label_scores_text_and_dialogue(whole):
    turns = whole("iemocap_4_excited").set_index("item_id")
    excited = turns[turns["label"] == "exc"]
    assert len(excited) == 1041
    assert set(excited["emotion"]) == {"happiness"}
    first = turns.loc["iemocap/Ses01F_impro01_F000"]
    ninth = turns.loc["iemocap/Ses04M_impro01_F000"]
    assert (ninth["valence"], ninth["arousal"], ninth["dominance"]) == (5.0, 1.0, 1.5)
    assert (first["text"], first["session"], first["scenario"]) == ("Line 0.", "Session1", "improvised")
    assert first["source_id"] == "Ses01F_impro01"
    assert np.isnan(first["start_s"]), "the file is cut already: times of the dialogue must not cut it again"
    everything = whole("iemocap")
    assert everything[["valence", "arousal", "dominance"]].apply(lambda c: c.between(1, 5).all()).all()
    assert set(everything.loc[everything["emotion"] == "undecided", "label"]) == {"xxx"}
    assert set(everything["scenario"]) == {"improvised", "scripted"}


def test_the_last_letter_says_who_speaks_not_the_first(whole):
    turns = whole("iemocap").set_index("item_id")
    assert turns.loc["iemocap/Ses01F_impro01_M000", "speaker"] == "Ses01M"
    assert turns.loc["iemocap/Ses01M_impro01_F000", "gender"] == "female"


def test_files_of_a_mac_and_whole_dialogues_are_no_turns(tmp_path):
    root = stand_up("iemocap", tmp_path, every=500)
    before = load("iemocap", root, check_counts=False).items
    turn = next(root.rglob("*.wav"))
    (turn.parent / f"._{turn.name}").write_bytes(b"\0\5\26\7")
    (root / "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt").write_bytes(b"\0\5\26\7")
    write_sound(root / "Session1/dialog/wav/Ses01F_impro01.wav", channels=2)
    assert load("iemocap", root, check_counts=False).items.equals(before)
    assert not [finding for finding in check_corpus("iemocap", root, progress=False).problems if "._" in str(finding.files)]


def test_turns_of_a_lost_label_file_are_caught(tmp_path):
    root = stand_up("iemocap_4", tmp_path)
    lost = root / "Session3/dialog/EmoEvaluation/Ses03F_impro01.txt"
    labelled = lost.read_text()
    lost.write_text(labelled.replace("\tneu\t", " neu "))
    with pytest.raises(CorpusError, match=r"recordings are missing \(emotion neutral"):
        load("iemocap_4", root)
    lost.unlink()
    with pytest.raises(CorpusError, match="recordings are missing"):
        load("iemocap_4", root)


def test_a_turn_without_a_label_is_named(tmp_path):
    root = stand_up("iemocap", tmp_path, every=1000)
    turn = "Ses01F_impro01_F000"
    labels = root / "Session1/dialog/EmoEvaluation/Ses01F_impro01.txt"
    labels.write_text(labels.read_text().replace(turn, "Ses01F_impro01_F999"))
    unlabelled = [f.files for f in check_corpus("iemocap", root, progress=False).problems if f.kind == "unlabelled"]
    assert unlabelled == [(f"Session1/sentences/wav/Ses01F_impro01/{turn}.wav",)]


def test_a_folder_without_any_label_file_says_so(tmp_path):
    root = stand_up("iemocap", tmp_path, every=1000)
    for labels in root.rglob("EmoEvaluation"):
        shutil.rmtree(labels)
    with pytest.raises(CorpusError, match=r"none of the 11 turns in .* has a label: restore SessionN/dialog/EmoEvaluation"):
        load("iemocap_4", root)


def test_thousands_of_other_files_of_the_release_do_not_hide_the_turns(tmp_path):
    root = stand_up("iemocap", tmp_path, every=1000)
    write_sound(root / "Session1/dialog/wav/Ses01F_impro01.wav", channels=2)
    for n in range(2100):
        (root / f"Session1/dialog/EmoEvaluation/other{n}.txt").touch()
    assert len(load("iemocap", root, check_counts=False).items) == 11


def test_one_folder_serves_the_three_label_maps(tmp_path):
    stand_up("iemocap", tmp_path / "iemocap", every=500)
    assert find_corpora(tmp_path) == dict.fromkeys(IEMOCAPS, tmp_path / "iemocap")


# Known oddities of the releases: notes that name the file


def notes_and_problems(name, root):
    report = check_corpus(name, root, progress=False)
    shown = [f for f in report.problems if f.kind not in ("count", "missing")]
    return {(f.kind, f.files) for f in report.notes}, [(f.kind, f.files) for f in shown]


def test_tess_oddities_are_notes_that_name_the_file(tmp_path):
    for n, key in enumerate(("OAF_neutral/OA_bite_neutral", "OAF_Fear/OAF_bar_fear", "YAF_sad/YAF_bar_sad")):
        write_sound(tmp_path / f"{key}.wav", seed=n, rate_hz=24414)
    write_sound(tmp_path / "YAF_happy/YAF_bar_happy.wav", seed=7, rate_hz=96000)
    for n, key in enumerate(("YAF_angry/YAF_germ_angry", "YAF_fear/YAF_neat_fear")):
        aiff = write_sound(tmp_path / f"{key}.aiff", seed=20 + n, rate_hz=24414)
        aiff.rename(aiff.with_suffix(".wav"))
    items = load("tess", tmp_path, check_counts=False).items.set_index("item_id")
    assert items.loc["tess/OA_bite_neutral", "speaker"] == "OAF"
    assert items.loc["tess/OA_bite_neutral", "text"] == "Say the word bite"
    assert all(decode(tmp_path / path)[1] in (24414, 96000) for path in items["path"])
    notes, problems = notes_and_problems("tess", tmp_path)
    assert problems == []
    assert notes == {
        ("misnamed", ("OAF_neutral/OA_bite_neutral.wav",)),
        ("other_container", ("YAF_angry/YAF_germ_angry.wav",)),
        ("other_container", ("YAF_fear/YAF_neat_fear.wav",)),
        ("sampling_rate", ("YAF_happy/YAF_bar_happy.wav",)),
    }


def test_a_second_odd_rate_and_another_aiff_are_caught(tmp_path):
    for n, key in enumerate(("OAF_bar_fear", "OAF_bar_sad", "YAF_bar_ps")):
        write_sound(tmp_path / f"{key}.wav", seed=n, rate_hz=96000 if n else 24414)
    aiff = write_sound(tmp_path / "OAF_bar_happy.aiff", seed=9, rate_hz=24414)
    aiff.rename(aiff.with_suffix(".wav"))
    notes, problems = notes_and_problems("tess", tmp_path)
    assert notes == {("sampling_rate", ("OAF_bar_sad.wav",))}
    assert problems == [("other_container", ("OAF_bar_happy.wav",)), ("sampling_rate", ("YAF_bar_ps.wav",))]


def test_emovo_gives_one_microphone_and_not_the_mean(tmp_path):
    left, right = (np.random.default_rng(n).uniform(-0.5, 0.5, 480).astype(np.float32) for n in (1, 2))
    path = tmp_path / "f1/dis-f1-b1.wav"
    path.parent.mkdir()
    soundfile.write(path, np.stack([left, right], axis=1), 48000, subtype="PCM_24")
    corpus = load("emovo", tmp_path, check_counts=False)
    samples, rate = corpus.waveform(corpus.items.iloc[0])
    assert rate == 48000
    np.testing.assert_allclose(samples, left, atol=2**-22)
    assert corpus.with_audio_ids().items["audio_id"].tolist() == [samples_id(samples, rate)]
    notes, problems = notes_and_problems("emovo", tmp_path)
    assert notes == {("stereo", ("f1/dis-f1-b1.wav",))}
    assert problems == []


def test_savee_reads_alike_from_folders_and_from_one_folder(tmp_path):
    stand_up("savee", tmp_path / "folders")
    for name in NAMES["savee"]():
        flat = tmp_path / "ALL" / (name.removeprefix("AudioData/").replace("/", "_") + ".wav")
        flat.parent.mkdir(exist_ok=True)
        flat.touch()
    folders, flat = (load("savee", tmp_path / which).items for which in ("folders", "ALL"))
    assert folders.drop(columns="path").equals(flat.drop(columns="path"))
    with pytest.raises(CorpusError, match=r"not unique: savee/DC_a01"):
        load("savee", tmp_path)


def test_mesd_has_voice_groups_where_nobody_is_named(whole):
    items = whole("mesd")
    assert items.groupby("speaker")["gender"].first().to_dict() == {"C": "not stated", "F": "female", "M": "male"}
    assert "basta ya" in set(items["word"])


def test_mesd_may_lack_two_recordings_but_not_three(tmp_path):
    paths = sorted(stand_up("mesd", tmp_path).rglob("Anger_F_B*"))
    paths[0].unlink()
    paths[1].unlink()
    assert len(load("mesd", tmp_path).items) == 862
    paths[2].unlink()
    with pytest.raises(CorpusError, match="3 recordings are missing"):
        load("mesd", tmp_path)


def test_esd_transcripts_are_read_in_any_of_their_encodings(whole):
    items = whole("esd").set_index("item_id")
    assert items.groupby("language")["speaker"].nunique().to_dict() == {"en": 10, "zh": 10}
    said = items[items["text"] != ""].groupby("language")["text"].unique().map(list).to_dict()
    assert said == {"en": ["The nine the eggs, I keep."], "zh": ["打远一看，"]}
    assert items[items["text"] != ""]["speaker"].nunique() == 20


def test_esd_parts_inside_an_emotion_are_read_too(tmp_path):
    for part in ("train", "test", "evaluation"):
        path = tmp_path / f"0011/Angry/{part}/0011_{len(part):06d}.wav"
        path.parent.mkdir(parents=True)
        path.touch()
    items = load("esd", tmp_path, check_counts=False).items
    assert items["emotion"].tolist() == ["anger"] * 3
    assert items["text"].tolist() == [""] * 3


def test_cremad_oddities_are_notes_and_levels_are_read(tmp_path):
    for n, key in enumerate(("1040_ITH_SAD_X", "1001_IEO_ANG_LO", "1001_DFA_NEU_XX")):
        write_sound(tmp_path / f"AudioWAV/{key}.wav", seed=n)
    soundfile.write(tmp_path / "AudioWAV/1076_MTI_SAD_XX.wav", np.zeros(160), 16000)
    items = load("cremad", tmp_path, check_counts=False).items.set_index("item_id")
    assert items["intensity"].to_dict() == {
        "cremad/1001_DFA_NEU_XX": "", "cremad/1001_IEO_ANG_LO": "low", "cremad/1040_ITH_SAD_X": "", "cremad/1076_MTI_SAD_XX": "",
    }  # fmt: skip
    notes, problems = notes_and_problems("cremad", tmp_path)
    assert problems == []
    assert notes == {("misnamed", ("AudioWAV/1040_ITH_SAD_X.wav",)), ("silent", ("AudioWAV/1076_MTI_SAD_XX.wav",))}


def test_another_silent_file_is_caught(tmp_path):
    write_sound(tmp_path / "AudioWAV/1001_IEO_ANG_LO.wav")
    soundfile.write(tmp_path / "AudioWAV/1002_IEO_ANG_LO.wav", np.zeros(160), 16000)
    assert notes_and_problems("cremad", tmp_path)[1] == [("silent", ("AudioWAV/1002_IEO_ANG_LO.wav",))]


# Reading and the command line


@pytest.mark.parametrize("name", [*NAMES, "ravdess", "emodb"])
def test_reading_writes_nothing_into_the_folder(name, tmp_path):
    if name in NAMES:
        root = stand_up(name, tmp_path / "corpus", every=200)
    else:
        root = tmp_path / "corpus"
        for key in load_card(name).expected_names()[::50]:
            write_sound(root / f"{key}.wav")

    def state():
        return {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}

    before = state()
    load(name, root, check_counts=False)
    check_corpus(name, root, progress=False)
    assert state() == before


def test_the_command_line_lists_and_checks_them(tmp_path):
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(app, ["corpora", "list", "--json"]).stdout)}
    assert set(NAMES) <= set(rows)
    assert not any(rows[name]["layout_verified"] for name in NAMES)
    for name in NAMES:
        key = next(NAMES[name]())
        root = stand_up(name, tmp_path / name, every=10**6)
        write_sound(Path(root / f"{key}.wav"), rate_hz=load_card(name).sample_rate_hz)
        answer = CliRunner().invoke(app, ["corpora", "check", name, "--root", str(root), "--json", "--quiet"])
        assert answer.exit_code == 1, answer.output
        report = json.loads(answer.stdout)
        assert report["files"] == {"found": 1, "expected": load_card(name).files}
        assert {finding["kind"] for finding in report["problems"]} <= {"count", "missing"}
