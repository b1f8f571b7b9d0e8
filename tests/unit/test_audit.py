"""The corpus check on generated folders with every planted fault, on real recordings, and the audit of split plans."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from sercore.data.audit import audit_plan, check_corpus
from sercore.data.splits import SplitPlan
from sercore.errors import CorpusError
from tests.corpus_trees import write_sound, write_tree


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trees")
    return {name: write_tree(name, folder / name) for name in ("ravdess", "emodb")}


@pytest.fixture
def emodb(trees, tmp_path):
    return linked(trees["emodb"], tmp_path / "emodb")


@pytest.fixture
def ravdess(trees, tmp_path):
    return linked(trees["ravdess"], tmp_path / "ravdess")


def linked(tree, to):
    """A copy that costs no disk; a test replaces files in it (never writes into one)."""
    return Path(shutil.copytree(tree, to, copy_function=os.link))


def replace(path, **sound):
    path.unlink(missing_ok=True)
    return write_sound(path, **sound)


def found(corpus, root):
    report = check_corpus(corpus, root, progress=False)
    return report, [(finding.kind, finding.files) for finding in report.problems]


@pytest.mark.parametrize(("corpus", "files"), [("ravdess", 1440), ("emodb", 535)])
def test_a_whole_tree_passes(trees, corpus, files):
    report, problems = found(corpus, trees[corpus])
    assert problems == []
    assert report.ok
    assert report.files.found == report.files.expected == files
    assert all(c.found == c.expected for c in [*report.classes.values(), *report.speakers.values()])
    assert json.loads(json.dumps(report.to_json()))["ok"] is True
    assert report.table().endswith("\nok")


def test_the_counts_are_those_of_the_reader(trees):
    from sercore.data.readers import emodb, ravdess

    for reader, name in ((ravdess, "ravdess"), (emodb, "emodb")):
        items, report = reader.read(trees[name]), check_corpus(name, trees[name], progress=False)
        assert items["emotion"].value_counts().to_dict() == {label: c.found for label, c in report.classes.items()}
        assert items["speaker"].value_counts().to_dict() == {speaker: c.found for speaker, c in report.speakers.items()}


def test_flac_and_a_wav_folder_pass_too(tmp_path):
    assert check_corpus("emodb", write_tree("emodb", tmp_path / "wav", ".flac").parent, progress=False).ok


def test_a_removed_file_is_caught(ravdess):
    (ravdess / "Actor_05/03-01-04-02-01-02-05.wav").unlink()
    report, problems = found("ravdess", ravdess)
    assert problems == [("missing", ("Actor_05/03-01-04-02-01-02-05",))]
    assert (report.files.found, report.classes["sadness"].found, report.speakers["5"].found) == (1439, 191, 59)
    assert "restore it" in report.problems[0].message
    assert "1 problem" in report.table()


def test_an_extra_file_is_caught(emodb):
    replace(emodb / "03a01Fz.wav", seed=9999)
    assert found("emodb", emodb)[1] == [("extra", ("03a01Fz.wav",))]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Actor_01/03-01-09-01-01-01-01.wav", "class code 09"),
        ("Actor_01/03-01-05-01-01-01-25.wav", "speaker 25"),
        ("Actor_01/03-02-05-01-01-01-01.wav", "naming scheme"),
        ("Actor_01/copy of angry.wav", "naming scheme"),
    ],
)
def test_a_misnamed_file_is_caught(ravdess, name, says):
    replace(ravdess / name, seed=9999, rate_hz=48000)
    report, problems = found("ravdess", ravdess)
    assert problems == [("misnamed", (name,))]
    assert says in report.problems[0].message


def test_a_file_in_another_actors_folder_is_caught(ravdess):
    (ravdess / "Actor_05/03-01-04-02-01-02-05.wav").rename(ravdess / "Actor_06/03-01-04-02-01-02-05.wav")
    report, problems = found("ravdess", ravdess)
    assert [kind for kind, _ in problems] == ["misplaced", "missing"]
    assert "Actor_05" in report.problems[0].message


def test_a_second_copy_in_another_folder_is_caught(ravdess):
    (ravdess / "Actor_06/03-01-04-02-01-02-05.wav").hardlink_to(ravdess / "Actor_05/03-01-04-02-01-02-05.wav")
    assert [kind for kind, _ in found("ravdess", ravdess)[1]] == ["twice", "duplicate_audio"]


def test_the_same_recording_as_wav_and_flac_is_caught(emodb):
    samples, rate = soundfile.read(emodb / "03a01Fa.wav")
    soundfile.write(emodb / "03a01Fa.flac", samples, rate)
    assert found("emodb", emodb)[1] == [("twice", ("03a01Fa.wav",))]


def test_the_same_audio_under_another_name_and_format_is_caught(emodb):
    samples, rate = soundfile.read(emodb / "03a01Fa.wav")
    (emodb / "16b10Wb.wav").unlink()
    soundfile.write(emodb / "16b10Wb.flac", samples, rate)
    assert found("emodb", emodb)[1] == [("duplicate_audio", ("03a01Fa.wav", "16b10Wb.flac"))]


def test_the_known_pair_is_a_note_but_a_third_copy_is_caught(ravdess):
    first, second = (ravdess / f"Actor_07/03-01-03-01-02-0{n}-07.wav" for n in (1, 2))
    shutil.copy(first, second.with_suffix(".new"))
    second.with_suffix(".new").replace(second)
    report, problems = found("ravdess", ravdess)
    assert problems == []
    assert [note.kind for note in report.notes] == ["duplicate_audio"]
    assert "Actor_07" in report.table()
    shutil.copy(first, second.with_suffix(".new"))
    second.with_suffix(".new").replace(ravdess / "Actor_08/03-01-03-01-02-01-08.wav")
    report, problems = found("ravdess", ravdess)
    assert [(kind, len(files)) for kind, files in problems] == [("duplicate_audio", 3)]
    assert not report.notes


@pytest.mark.parametrize("keep", [0.0, 0.03, 0.6])
@pytest.mark.parametrize("ending", [".wav", ".flac"])
def test_a_truncated_file_is_caught(emodb, keep, ending):
    path = emodb / "03a01Fa.wav"
    path.unlink()
    path = write_sound(path.with_suffix(ending), seconds=1)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * keep)])
    assert found("emodb", emodb)[1] == [("undecodable", (f"03a01Fa{ending}",))]


def test_a_file_without_samples_or_sound_is_caught(emodb):
    replace(emodb / "03a01Fa.wav", seconds=0)
    (emodb / "03a01Nc.wav").unlink()
    soundfile.write(emodb / "03a01Nc.wav", np.zeros(800), 16000)
    assert found("emodb", emodb)[1] == [("undecodable", ("03a01Fa.wav",)), ("silent", ("03a01Nc.wav",))]


def test_a_sample_that_is_not_a_number_is_caught(emodb):
    (emodb / "03a01Fa.wav").unlink()
    soundfile.write(emodb / "03a01Fa.wav", np.array([0.1, np.nan, 0.2], dtype=np.float32), 16000, subtype="FLOAT")
    report, problems = found("emodb", emodb)
    assert problems == [("undecodable", ("03a01Fa.wav",))]
    assert "not finite" in report.problems[0].message


def test_text_and_another_container_under_a_wav_name_are_caught(emodb):
    (emodb / "03a01Fa.wav").unlink()
    (emodb / "03a01Fa.wav").write_text("<html>not found</html>")
    (emodb / "03a01Nc.wav").unlink()
    soundfile.write(emodb / "03a01Nc.wav", np.linspace(-0.1, 0.1, 800), 16000, format="AIFF")
    assert [kind for kind, _ in found("emodb", emodb)[1]] == ["undecodable", "other_container"]


def test_another_sampling_rate_is_caught(emodb):
    replace(emodb / "03a01Fa.wav", rate_hz=22050)
    report, problems = found("emodb", emodb)
    assert problems == [("sampling_rate", ("03a01Fa.wav",))]
    assert "22050 Hz" in report.problems[0].message


def test_equal_channels_are_a_note_where_the_release_has_them_and_a_problem_elsewhere(ravdess, emodb):
    replace(ravdess / "Actor_01/03-01-02-01-01-01-01.wav", seed=9999, rate_hz=48000, channels=2)
    report, problems = found("ravdess", ravdess)
    assert problems == []
    assert [note.kind for note in report.notes] == ["dual_mono"]
    replace(emodb / "03a01Fa.wav", channels=2)
    assert found("emodb", emodb)[1] == [("dual_mono", ("03a01Fa.wav",))]


def test_different_channels_are_caught(ravdess):
    path = ravdess / "Actor_01/03-01-02-01-01-01-01.wav"
    path.unlink()
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, (480, 2)), 48000)
    assert [kind for kind, _ in found("ravdess", ravdess)[1]] == ["stereo"]


def test_links_loops_and_hostile_names_do_no_harm(trees, tmp_path):
    root = tmp_path / "emodb"
    root.mkdir()
    for path in trees["emodb"].iterdir():
        (root / path.name).symlink_to(path)
    (root / "again").symlink_to(root)
    (root / "03a01Fa.wav").unlink()
    (root / "03a01Fa.wav").symlink_to("nowhere")
    os.mkfifo(root / "pipe.wav")
    os.close(os.open(os.fsencode(root) + b"/\xff\n.wav", os.O_CREAT))
    (root / "notes.txt").write_text("not audio")
    report, problems = found("emodb", root)
    assert ("undecodable", ("03a01Fa.wav",)) in problems
    assert ("misnamed", ("pipe.wav",)) in problems
    assert len(problems) == 5
    assert report.files.found == 537
    json.dumps(report.to_json()).encode("utf-8"), report.table().encode("utf-8")


def test_a_folder_is_only_read_and_reported_in_a_fixed_order(emodb):
    (emodb / "03a01Fa.wav").unlink()
    replace(emodb / "zz.wav", seed=1)
    replace(emodb / "aa.wav", seed=2)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(emodb.rglob("*"))}
    for path in [*emodb.iterdir(), emodb]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    first, second = check_corpus("emodb", emodb, progress=False), check_corpus("emodb", emodb, progress=False)
    emodb.chmod(0o755)
    assert first == second
    assert before == {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(emodb.rglob("*"))}


def test_a_wrong_folder_says_which_one_is_meant(trees, tmp_path):
    with pytest.raises(CorpusError, match="did you mean .*/ravdess"):
        check_corpus("ravdess", trees["ravdess"].parent, progress=False)
    with pytest.raises(CorpusError, match="none of the 0 audio files"):
        check_corpus("ravdess", tmp_path, progress=False)
    with pytest.raises(CorpusError, match="nowhere is not a folder.*Zenodo"):
        check_corpus("ravdess", tmp_path / "nowhere", progress=False)
    with pytest.raises(CorpusError, match="no corpus 'x'"):
        check_corpus("x", tmp_path)


def test_the_embedded_corpus_is_what_its_card_says():
    assert check_corpus("synthetic").ok


def test_a_wrong_count_of_the_embedded_corpus_is_caught(monkeypatch):
    from sercore.data import synthetic

    short = synthetic.read().iloc[1:]
    monkeypatch.setattr(synthetic, "read", lambda: short)
    assert {finding.kind for finding in check_corpus("synthetic").problems} == {"count"}


@pytest.mark.recordings
def test_real_emodb_is_whole(corpora_root):
    report, problems = found("emodb", corpora_root / "emodb")
    assert problems == []
    assert report.notes == []
    assert report.files.found == 535


PLAN_ITEMS = pd.DataFrame(
    {
        "item_id": list("abcd"),
        "source_id": ["r1", "r1", "r3", "r4"],
        "audio_id": ["x", "y", "x", "z"],
        "start_s": [0.0, 0.5, 0.0, 0.0],
        "end_s": [1.0, 1.5, 1.0, 1.0],
        "speaker": ["1", "1", "2", "3"],
        "text": ["hello", "", "hello", "other"],
    }
)


def test_every_overlap_of_a_plan_is_reported_with_its_declaration():
    """Built past the check of `make_plan`, as a plan from elsewhere could be."""
    plan = SplitPlan("planted", 0, ("a",), ("b",), ("c", "d"), leaks=("validation_speakers", "duplicate_audio"))
    findings = {finding.kind: finding for finding in audit_plan(plan, PLAN_ITEMS)}
    assert list(findings) == ["speaker_overlap", "source_overlap", "segment_overlap", "duplicate_audio", "text_overlap"]
    assert "declared as validation_speakers" in findings["speaker_overlap"].message
    assert "NOT declared" in findings["source_overlap"].message
    assert findings["source_overlap"].files == ("a", "b")
    assert "declared as duplicate_audio" in findings["duplicate_audio"].message
    assert "reported only" in findings["text_overlap"].message


def test_validation_speakers_does_not_cover_a_test_speaker_that_trains_is_caught():
    plan = SplitPlan("planted", 0, ("a",), ("c",), ("b",), leaks=("validation_speakers",))
    (finding,) = (finding for finding in audit_plan(plan, PLAN_ITEMS) if finding.kind == "speaker_overlap")
    assert "NOT declared" in finding.message
