"""The worked example of the page on one's own corpus, done as it is written: its files, its recordings, its commands, its errors."""

import csv
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sercore.__main__ import app
from sercore.data.corpora import load
from sercore.errors import CorpusError
from tests.corpus_trees import write_sound

PAGE = (Path(__file__).resolve().parents[2] / "book/your_own_corpus.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"^`([\w/]+\.(?:yml|csv))`:\n\n```\w*\n(.*?)^```$", PAGE, flags=re.S | re.M))
COMMANDS = [line for block in re.findall(r"^```sh\n(.*?)^```$", PAGE, flags=re.S | re.M) for line in block.splitlines()]


@pytest.fixture
def example(tmp_path, monkeypatch):
    """The files of the page, and the recordings that they name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "store"))
    for name, content in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(content, encoding="utf-8")
    for seed, row in enumerate(csv.DictReader(FILES["kitchen/recordings.csv"].splitlines())):
        write_sound(tmp_path / "kitchen" / row["path"], seed, seconds=0.2)
    for seed, path in enumerate(f"{label}/{who}_{n}" for label in ("happy", "angry") for who in ("ada", "ben", "cleo") for n in (1, 2)):
        write_sound(tmp_path / f"pantry/{path}.wav", 100 + seed)
    return tmp_path


def test_the_page_has_its_files_and_commands():
    assert set(FILES) == {"kitchen/corpus.yml", "kitchen/recordings.csv", "spec.yml", "pantry/corpus.yml"}
    assert [command.split()[1:3] for command in COMMANDS] == [["corpora", "check"], ["run", "spec.yml"], ["corpora", "check"]]


def test_every_command_of_the_page_works_as_it_stands_there(example):
    for command in COMMANDS:
        done = CliRunner().invoke(app, shlex.split(command)[1:])
        assert done.exit_code == 0, f"{command}\n{done.output}"


def test_the_example_is_read_as_the_page_says(example):
    items = load("kitchen", example / "kitchen").items
    assert items.loc[items["path"] == "take_06.wav", ["speaker", "emotion", "gender", "text", "language"]].iloc[0].tolist() == [
        "ben",
        "anger",
        "male",
        "Das Essen ist fertig",
        "de",
    ]
    pantry = load("pantry", example / "pantry").items.set_index("path")
    assert pantry.loc["happy/ada_1.wav", ["speaker", "emotion"]].tolist() == ["ada", "happiness"]


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("kitchen/recordings.csv", (",speaker,", ",who,"), "lacks the column speaker"),
        ("kitchen/recordings.csv", ("take_06", "take_60"), "there is no file ...: correct the path"),
        ("kitchen/recordings.csv", ("ben,wütend", "ben,sad"), "the label 'sad' is not among the labels of corpus.yml"),
        ("kitchen/recordings.csv", ("ben,wütend", ",wütend"), "it is not said who speaks"),
        ("kitchen/recordings.csv", ("take_02", "take_01"), "stands in line 2 already"),
        ("pantry/corpus.yml", ("{speaker}_", ""), "does not say the speaker: put {speaker} into it"),
        ("pantry/corpus.yml", ("}_{", "}-{"), "does not fit the layout"),
        ("pantry/corpus.yml", ("name: pantry", "name: kitchen"), "is of the corpus 'kitchen', not 'pantry'"),
    ],
)
def test_every_error_of_the_page_is_said_in_these_words(name, change, says, example):
    assert f"| `{says}` |" in PAGE
    assert change[0] in FILES[name]
    (example / name).write_text(FILES[name].replace(*change, 1), encoding="utf-8")
    with pytest.raises(CorpusError, match=re.escape(says).replace(re.escape("..."), ".*")):
        load(name.partition("/")[0], example / name.partition("/")[0])


def test_every_error_of_the_page_is_tried():
    said = re.findall(r"^\| `(.+?)` \|", PAGE, flags=re.M)
    tried = [mark.args[1] for mark in test_every_error_of_the_page_is_said_in_these_words.pytestmark][0]
    assert sorted(said) == sorted(case[2] for case in tried)
