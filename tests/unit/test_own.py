"""A corpus of one's own without code: a table or names, one clear error a kind of mistake, and a run through to its record."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from sercore.__main__ import app
from sercore.data import own
from sercore.data.audit import check_corpus
from sercore.data.corpora import default_scheme, load
from sercore.data.splits import n_folds, split_plan
from sercore.errors import CorpusError
from sercore.spec import SplitSpec
from tests.corpus_trees import write_sound

LABELS = {"happy": "happiness", "angry": "anger"}
SPEAKERS = ("ada", "ben", "cleo", "dan")
ROWS = [(f"{who}/{label}_{n}.wav", who, label) for who in SPEAKERS for label in LABELS for n in (1, 2)]
CARD = {"name": "office", "labels": LABELS, "languages": ["en"]}


def table(root, rows=ROWS, head="path,speaker,emotion", delimiter=",", **card):
    """A folder with a table."""
    for seed, (path, *_) in enumerate(ROWS):
        write_sound(root / path, seed)
    text = "\n".join([head, *(delimiter.join(row) for row in rows)]) + "\n"
    (root / "recordings.csv").write_text(text.replace(",", delimiter), encoding="utf-8")
    return carded(root, **{"table": "recordings.csv", **card})


def folders(root, layout="{emotion}/{speaker}_{take}", **card):
    """A folder with a folder a class."""
    for seed, (_, who, label) in enumerate(ROWS):
        write_sound(root / label / f"{who}_{seed}.wav", seed)
    return carded(root, layout=layout, **card)


def carded(root, **card):
    (root / own.CARD).write_text(yaml.safe_dump({**CARD, **card}))
    return root


@pytest.mark.parametrize("make", [table, folders])
def test_a_table_and_folders_a_class_give_the_same(make, tmp_path):
    corpus = load("office", make(tmp_path))
    assert corpus.items["emotion"].value_counts().to_dict() == {"happiness": 8, "anger": 8} == corpus.card.classes
    assert set(corpus.items["speaker"]) == set(SPEAKERS)
    assert corpus.items["item_id"].str.startswith("office/").all()
    assert corpus.items["language"].eq("en").all()
    assert corpus.waveform(corpus.items.iloc[0])[1] == 16000 == corpus.card.sample_rate_hz


def test_one_speaker_is_left_out_by_default_and_groups_where_there_are_many(tmp_path):
    corpus = load("office", table(tmp_path))
    scheme = default_scheme(corpus)
    assert (scheme, n_folds(scheme, corpus.items)) == ("leave_one_speaker_out", 4)
    plans = [split_plan(corpus.items, SplitSpec(scheme=scheme, fold=fold)) for fold in range(4)]
    assert all(plan.found == () for plan in plans)
    crowd = corpus.items.assign(speaker=[f"s{n}" for n in range(16)])
    assert default_scheme(type(corpus)("office", tmp_path, crowd, corpus.card)) == "speakers_4"


def test_it_is_found_in_the_folder_of_all_corpora(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_CORPORA", str(tmp_path))
    table(tmp_path / "office")
    assert len(load("office").items) == 16


def test_the_fingerprint_does_not_depend_on_where_the_folder_is_but_on_its_labels(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    here = table(tmp_path / "here")
    there = shutil.copytree(here, tmp_path / "there")
    first, second = (load("office", root).with_audio_ids().fingerprint() for root in (here, there))
    assert first == second
    text = (there / "recordings.csv").read_text()
    (there / "recordings.csv").write_text(text.replace("ada/happy_1.wav,ada,happy", "ada/happy_1.wav,ada,angry"))
    assert load("office", there).with_audio_ids().fingerprint() != first


def test_columns_that_are_known_are_read_and_others_kept(tmp_path):
    rows = [(*row, "f", "1.5", "0.25", "kitchen") for row in ROWS]
    corpus = load("office", table(tmp_path, rows, "path,speaker,emotion,text,valence,arousal,room"))
    row = corpus.items.iloc[0]
    assert (row["text"], row["valence"], row["arousal"], row["room"]) == ("f", 1.5, 0.25, "kitchen")


def test_parts_of_one_recording_are_items(tmp_path):
    rows = [("ada/happy_1.wav", "ada", "happy", "0", "0.04"), ("ada/happy_1.wav", "ada", "angry", "0.05", "0.09")]
    corpus = load("office", table(tmp_path, rows, "path,speaker,emotion,start_s,end_s"))
    assert corpus.items["item_id"].tolist() == ["office/ada/happy_1@0", "office/ada/happy_1@0.05"]
    assert corpus.items["source_id"].nunique() == 1
    assert len(corpus.waveform(corpus.items.iloc[1])[0]) == 640


def test_semicolons_and_a_byte_order_mark_are_read(tmp_path):
    root = table(tmp_path, delimiter=";")
    path = root / "recordings.csv"
    path.write_text("\ufeff" + path.read_text(), encoding="utf-8")
    assert len(load("office", root).items) == 16


def test_another_task_is_read_too(tmp_path):
    corpus = load("office", folders(tmp_path, "{word}/{speaker}_{take}", task="word", labels={"happy": "happy", "angry": "angry"}))
    assert corpus.items["word"].value_counts().to_dict() == {"happy": 8, "angry": 8}
    assert corpus.card.task == "word"


def row_changed(n, column, value):
    rows = [list(row) for row in ROWS]
    rows[n][column] = value
    return rows


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"head": "path,who,emotion"}, r"recordings.csv lacks the column speaker; it has path, who, emotion"),
        ({"head": "file,who,feeling"}, r"lacks the columns path, speaker, emotion"),
        ({"rows": row_changed(1, 0, "ada/happy_9.wav")}, r"recordings.csv, line 3: there is no file .*happy_9.wav: correct the path"),
        (
            {"rows": row_changed(1, 2, "sad")},
            r"recordings.csv, line 3: the label 'sad' is not among the labels of corpus.yml: angry, happy",
        ),
        ({"rows": row_changed(1, 1, "")}, r"recordings.csv, line 3: it is not said who speaks"),
        ({"rows": row_changed(1, 0, "../outside.wav")}, r"line 3: '../outside.wav' is no path inside"),
        ({"rows": row_changed(1, 0, "/etc/passwd")}, r"line 3: '/etc/passwd' is no path inside"),
        ({"rows": row_changed(1, 0, "")}, r"line 3: '' is no path inside"),
        ({"rows": row_changed(1, 0, ROWS[0][0])}, r"line 3: ada/happy_1.wav stands in line 2 already"),
        ({"rows": []}, "no recording"),
        ({"table": "others.csv"}, r"others.csv cannot be read"),
        ({"labels": {"happy": "joy", "angry": "anger"}}, r"corpus.yml: .*labels lead to joy; emotions are neutral"),
        ({"labels": {"happy": "happiness"}}, r"corpus.yml: labels: .*at least 2"),
        ({"layout": "{emotion}/{speaker}"}, r"corpus.yml: .*either table .* or layout"),
        ({"table": ""}, r"corpus.yml: .*either table .* or layout"),
        ({"name": "ravdess"}, r"corpus.yml: .*a corpus is called ravdess already"),
        ({"name": "My Office"}, r"corpus.yml: name"),
        ({"name": "another"}, r"corpus.yml is of the corpus 'another', not 'office'"),
        ({"speakers": 4}, r"corpus.yml: speakers: Extra inputs"),
    ],
)
def test_each_mistake_in_a_table_is_one_clear_error(arguments, says, tmp_path):
    with pytest.raises(CorpusError, match=says) as caught:
        load("office", table(tmp_path, **arguments))
    assert "\n" not in str(caught.value)


LETTERS = st.characters(exclude_categories=("Cs", "Cc"), exclude_characters='/\\"')
NAMES = st.text(LETTERS, min_size=1, max_size=20).filter(lambda name: name.strip() == name and not name.startswith("."))


@settings(deadline=None, max_examples=25)
@given(names=st.lists(NAMES, min_size=1, max_size=5, unique_by=str.casefold), who=NAMES)
def test_names_of_any_script_are_read_back_or_refused_in_one_line(names, who):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for seed, name in enumerate(names):
            write_sound(root / f"{name}.wav", seed, seconds=0.01)
        rows = [f'"{name}.wav","{who}",{label}' for name, label in zip(names, ["happy", "angry"] * 3, strict=False)]
        (root / "recordings.csv").write_text("\n".join(["path,speaker,emotion", *rows]), encoding="utf-8")
        items = load("office", carded(root, table="recordings.csv")).items
        assert sorted(items["path"]) == sorted(f"{name}.wav" for name in names)
        assert set(items["speaker"]) == {who}


def test_a_number_that_is_none_is_an_error(tmp_path):
    with pytest.raises(CorpusError, match="line 2: valence 'high' is no number"):
        load("office", table(tmp_path, [(*row, "high") for row in ROWS], "path,speaker,emotion,valence"))


def test_each_mistake_in_a_layout_is_one_clear_error(tmp_path):
    with pytest.raises(CorpusError, match=r"layout '\{emotion\}/\{take\}' does not say the speaker: put \{speaker\} into it"):
        load("office", folders(tmp_path / "a", "{emotion}/{take}"))
    root = folders(tmp_path / "b")
    write_sound(root / "happy/ada-9.wav", 99)
    with pytest.raises(CorpusError, match="ada-9.wav does not fit the layout"):
        load("office", root)
    (tmp_path / "c").mkdir()
    with pytest.raises(CorpusError, match="holds no recording"):
        load("office", carded(tmp_path / "c", layout="{emotion}/{speaker}_{take}"))


def test_a_folder_without_a_card_says_what_to_add(tmp_path):
    with pytest.raises(
        CorpusError, match=r"no corpus is called 'office'; known: .*; one of your own has its folder given, with corpus.yml"
    ):
        load("office", tmp_path)


def test_a_card_that_is_no_yaml_is_named(tmp_path):
    (tmp_path / own.CARD).write_text("name: [")
    with pytest.raises(CorpusError, match="corpus.yml cannot be read as YAML"):
        load("office", tmp_path)


def test_the_check_hears_every_recording(tmp_path):
    root = table(tmp_path)
    report = check_corpus("office", root, progress=False)
    assert (report.ok, report.files.found) == (True, 16)
    assert [note.message for note in report.notes] == ["take leave_one_speaker_out (4 folds) where nothing else is asked for"]
    write_sound(root / "ada/not_listed.wav", 99)
    assert [note.kind for note in check_corpus("office", root, progress=False).notes] == ["extra", "split"]
    (root / "ben/angry_1.wav").write_bytes((root / "ben/angry_1.wav").read_bytes()[:500])
    shutil.copy(root / "ben/happy_1.wav", root / "dan/happy_1.wav")
    kinds = sorted(problem.kind for problem in check_corpus("office", root, progress=False).problems)
    assert kinds == ["duplicate_audio", "undecodable"]


def test_reading_writes_nothing_into_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    root = table(tmp_path / "office")
    state = {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}
    load("office", root).with_audio_ids()
    check_corpus("office", root, progress=False)
    assert {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]} == state


def test_a_run_goes_through_to_its_record(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    root = folders(tmp_path / "office")
    spec = {"data": {"corpus": "office"}, "split": {"scheme": "leave_one_speaker_out"}, "model": {"name": "functionals_svm"}}
    (tmp_path / "spec.yml").write_text(yaml.safe_dump(spec))
    done = CliRunner().invoke(app, ["run", str(tmp_path / "spec.yml"), "--root", f"office={root}", "--json"])
    assert done.exit_code == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["spec"]["data"]["corpus"] == "office"
    assert 0 <= record["uar"] <= 1
    again = CliRunner().invoke(app, ["run", str(tmp_path / "spec.yml"), "--root", f"office={root}", "--json"])
    assert json.loads(again.stdout)["run_id"] == record["run_id"]


def test_a_network_trained_on_it_answers_for_other_recordings(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    root = folders(tmp_path / "office")
    spec = {"data": {"corpus": "office"}, "split": {"scheme": "leave_one_speaker_out"}, "model": {"name": "lstm_sa_h32"}}
    (tmp_path / "spec.yml").write_text(yaml.safe_dump({**spec, "training": {"epochs": 1, "batch_size": 4}}))
    mine = ["--root", f"office={root}", "--json"]
    done = CliRunner().invoke(app, ["run", str(tmp_path / "spec.yml"), "--quiet", *mine])
    assert done.exit_code == 0, done.stderr
    run, heard = json.loads(done.stdout)["run_id"], str(write_sound(tmp_path / "other.wav", 7, 8000, seconds=1))
    said = CliRunner().invoke(app, ["predict", run, heard, "--quiet", *mine])
    assert said.exit_code == 0, said.stderr
    assert json.loads(said.stdout)["model"]["sample_rate_hz"] == 16000
    alone = CliRunner().invoke(app, ["predict", run, heard])
    assert alone.exit_code == 1
    assert "was trained on 'office', a corpus of one's own: give --root office=DIR" in alone.stderr


def test_the_check_is_asked_for_by_name(tmp_path):
    root = table(tmp_path)
    done = CliRunner().invoke(app, ["corpora", "check", "office", "--root", str(root), "--json", "--quiet"])
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["classes"]["anger"] == {"found": 8, "expected": 8}
    wrong = CliRunner().invoke(app, ["corpora", "check", "office"])
    assert wrong.exit_code == 2
    assert "corpus.yml" in wrong.stderr
