"""The published rows are those of their runs: edited, swapped or badly merged rows turn this red before a page shows them."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from sercore import manifest, results
from sercore.data.card import load_card
from sercore.errors import StoreError
from sercore.pages.protocols import from_card

CHAPTERS = sorted(p.parent.name for p in results.results_folder("x").parent.glob("*/groups.csv"))
CHAPTER = "reslstm_sa"
KEYS = ["group", "seed", "fold", "speaker", "truth"]


def contradictions(chapter: str) -> list[str]:
    found = results.load_results(chapter)
    return manifest.contradictions(found.groups, found.runs, found.counts, found.specs)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_rows_are_those_of_their_manifest_and_do_not_contradict_each_other(chapter):
    assert contradictions(chapter) == []


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_recordings_tested_are_those_of_the_corpus_card(chapter):
    found = results.load_results(chapter)
    for group in found.groups.to_dict("records"):
        mine = found.counts[(found.counts["group"] == group["group"]) & (found.counts["seed"] == found.counts["seed"].min())]
        tested = mine.assign(n=mine.drop(columns=KEYS).sum(axis=1)).pivot_table(index="speaker", columns="truth", values="n", aggfunc="sum")
        tested = tested.fillna(0).astype(int)
        if group["task"] != "emotion":  # the card has the numbers of each class and of each speaker, not of both together
            card = load_card(group["corpus"])
            by_class = card.classes if group["task"] == card.task else {}
            assert not by_class or tested.sum().to_dict() == by_class
            assert tested.sum(axis=1).to_dict() == card.speakers or group["folds"] == 1
            assert tested.to_numpy().sum() == group["n_items"]
            continue
        items = from_card(group["corpus"]).items
        expected = pd.crosstab(items["speaker"], items["emotion"])
        expected = expected.loc[tested.index, tested.columns]
        if "level_filter" in group["leaks"]:  # leaves quiet recordings out, which is its leak
            assert (tested <= expected).all().all()
        else:
            pd.testing.assert_frame_equal(tested, expected, check_names=False, check_dtype=False)
        assert tested.to_numpy().sum() == group["n_items"]


@pytest.fixture
def copy(tmp_path, monkeypatch) -> Path:
    """The published rows of the chapter, to be spoilt."""
    source = results.results_folder(CHAPTER)
    shutil.copytree(source, tmp_path / CHAPTER)
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    results.load_results(CHAPTER)
    return tmp_path / CHAPTER


def table(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def swap(path: Path, chosen: Callable[[pd.DataFrame], list[int]], columns: list[str] | None = None) -> None:
    """Two rows of a file change places, or change the values of some columns."""
    rows = table(path)
    columns = columns or list(rows.columns)
    first, second = chosen(rows)
    rows.loc[[first, second], columns] = rows.loc[[second, first], columns].to_numpy()
    rows.to_csv(path, index=False, lineterminator="\n")


def first_and_last(rows: pd.DataFrame) -> list[int]:
    return [0, len(rows) - 1]


def one_system_two_protocols(rows: pd.DataFrame) -> list[int]:
    mine = rows[rows["system"].eq("reslstm_sa_h64") & rows["corpus"].eq("ravdess")]
    return [mine.index[0], mine.index[1]]


COUNTS = "counts/ravdess.reslstm_sa_h64.definition.{}.luna_jimenez_5.csv"
VALUES = ["neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"]
FAULTS: dict[str, Callable[[Path], None]] = {
    "two rows of counts, truth and speaker kept": lambda at: swap(at / COUNTS.format("strict"), first_and_last, VALUES),
    "two runs' scores": lambda at: swap(at / "runs.csv", first_and_last, ["validation_uar"]),
    "two runs' seeds": lambda at: swap(at / "runs.csv", lambda rows: [rows.index[-1], rows.index[-6]], ["seed"]),
    "two groups' protocols": lambda at: swap(at / "groups.csv", one_system_two_protocols, ["protocol"]),
    "two systems' counts": lambda at: exchange(at, COUNTS, COUNTS.replace("reslstm", "lstm")),
    "a better run": lambda at: edit(at / COUNTS.format("strict"), "0,0,14,anger,0,0,0,0,5,", "0,0,14,anger,0,0,0,0,6,"),
}


def exchange(at: Path, one: str, other: str) -> None:
    a, b = at / one.format("strict"), at / other.format("strict")
    first, second = a.read_bytes(), b.read_bytes()
    a.write_bytes(second)
    b.write_bytes(first)


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize("fault", FAULTS)
def test_swapped_or_edited_rows_are_caught(copy, fault):
    FAULTS[fault](copy)
    with pytest.raises(StoreError, match="not those of their runs.*restore them from git"):
        results.load_results(CHAPTER)


SEALED_AGAIN = [
    "two runs' seeds",
    "two groups' protocols",
    "two systems' counts",
    "two rows of counts, truth and speaker kept",
    "a better run",
]


@pytest.mark.parametrize("fault", SEALED_AGAIN)
def test_swapped_rows_under_new_checksums_are_caught(copy, fault):
    """Someone swaps rows and brings the files' checksums up to date: the runs' own ones, and the run ids, still know."""
    FAULTS[fault](copy)
    manifest.write(copy, manifest.read(copy)["runs"])
    try:
        wrong = contradictions(CHAPTER)
    except StoreError as error:
        wrong = [str(error)]
    assert wrong != []


@pytest.mark.parametrize("fault", ["two runs' seeds", "two groups' protocols"])
def test_swapped_rows_under_a_new_manifest_are_caught(copy, fault, monkeypatch):
    """Even with a manifest made anew: a run id is a hash of fold, seed and specification."""
    FAULTS[fault](copy)
    monkeypatch.setattr(results, "_refuse_changed", lambda *given: None)
    found = results.load_results(CHAPTER)
    manifest.write(copy, manifest.run_digests(found.runs, found.counts))
    monkeypatch.undo()
    monkeypatch.setenv("SERCORE_RESULTS", str(copy.parent))
    assert contradictions(CHAPTER) != []


def test_a_missing_manifest_and_a_stray_file_are_caught(copy):
    (copy / "more.csv").write_text("a\n1\n")
    with pytest.raises(StoreError, match=r"more\.csv is not in manifest\.json"):
        results.load_results(CHAPTER)
    (copy / "more.csv").unlink()
    (copy / "manifest.json").unlink()
    with pytest.raises(StoreError, match="no readable manifest"):
        results.load_results(CHAPTER)


def test_rows_of_a_spoilt_folder_are_not_published_over(copy):
    """`publish` reads what is there before it adds: a spoilt row is not sealed as good."""
    found = results.load_results(CHAPTER).of(system="majority_class")
    FAULTS["two systems' counts"](copy)
    with pytest.raises(StoreError, match="restore them from git"):
        results.publish(CHAPTER, found)


def test_publishing_keeps_what_the_manifest_says_of_other_groups(copy):
    before = manifest.read(copy)["runs"]
    results.publish(CHAPTER, results.load_results(CHAPTER).of(system="reslstm_sa_h64"))
    assert manifest.read(copy)["runs"] == before


def faults_of(rows: list[tuple[str, int, int]], leaks: str = "") -> list[str]:
    """Contradictions of runs on one split; rows are (group, fold, recordings) of one speaker and class."""
    groups = pd.DataFrame({"group": sorted({row[0] for row in rows}), "corpus": "emodb", "split": "pairs_5", "leaks": leaks})
    whose = {"seed": 0, "speaker": "03", "truth": "anger"}
    counts = pd.DataFrame([{"group": group, "fold": fold, "anger": n, **whose} for group, fold, n in rows])
    return manifest._unequal_tests(groups, counts)


def test_a_speaker_in_two_folds_is_a_contradiction_unless_mixed_speakers_are_declared():
    assert faults_of([("a", 0, 4), ("a", 1, 3)]) == ["speaker 03 of emodb (pairs_5) is tested in 2 folds"]
    assert faults_of([("a", 0, 4), ("a", 1, 3)], "speaker_overlap") == []


def test_runs_of_one_kind_that_test_other_numbers_of_recordings_are_a_contradiction():
    for leaks in ("", "speaker_overlap", "level_filter"):
        found = faults_of([("a", 0, 4), ("b", 0, 3)], leaks)
        assert found == ["runs on emodb (pairs_5) disagree on the number of recordings of 03, anger"]
        assert faults_of([("a", 0, 4), ("b", 0, 4)], leaks) == []
