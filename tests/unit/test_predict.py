"""Trained networks on recordings from anywhere: the stored scores again, odd input, planted faults, and what ships."""

import dataclasses
import json
import shutil
from functools import partial

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.special import softmax
from typer.testing import CliRunner

from sercore import experiment, prepare
from sercore.__main__ import app
from sercore.data import corpora, synthetic
from sercore.data.card import load_card
from sercore.errors import CorpusError, SpecError, StoreError
from sercore.predict import hearing, novelty, recording, shipping, sounds, trained
from sercore.results import collect
from sercore.spec import DataSpec, ModelSpec, RunSpec, SplitSpec, TrainingSpec
from sercore.store import RunStore

RATE_HZ = 16000


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Four folds of a network and a baseline on a small synthetic corpus, and a shipped model made of the folds."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("store")
        patch.setenv("SERCORE_STORE", str(folder))
        corpus = corpora.Corpus("synthetic", None, synthetic.read(repetitions=1), load_card("synthetic")).with_audio_ids()
        patch.setattr(prepare, "load_corpus", lambda name, root="": corpus)
        patch.setattr(experiment, "_code_state", lambda: ("c0ffee", True))
        specs = [
            RunSpec(
                data=DataSpec(corpus="synthetic"),
                split=SplitSpec(scheme="speakers_4", fold=fold),
                model=ModelSpec(name=name),
                training=TrainingSpec(epochs=1, learning_rate=5e-3),
            )
            for name, fold in [*(("reslstm_sa_h32", fold) for fold in range(4)), ("majority_class", 0)]
        ]
        records = [experiment.run_one(spec) for spec in specs]
        results = collect("reslstm_sa", records[:4], profile="full")
        patch.setattr(shipping, "load_results", lambda chapter: results)
        patch.setitem(shipping.RECIPES, "small", shipping.Recipe("reslstm_sa", specs[0].group))
        patch.setattr(sounds, "made", partial(sounds.made, number=3))
        shipped = tmp_path_factory.mktemp("shipped")
        shipping.ship("small", {}, folder=shipped)
        patch.setattr(trained, "SHIPPED", shipped)
        yield {"corpus": corpus, "records": records, "results": results, "shipped": shipped, "store": RunStore(), "patch": patch}


@pytest.fixture
def copied(world, tmp_path):
    """A copy of the shipped model that a test may spoil."""
    return shutil.copytree(world["shipped"], tmp_path / "shipped")


@pytest.fixture
def voice(world, tmp_path):
    """One synthetic recording as a float file: (path, samples)."""
    return write(tmp_path / "voice.wav", wave(world["corpus"], 0))


def wave(corpus, number):
    return corpus.waveform(corpus.items.to_dict("records")[number])[0]


def write(path, samples, rate_hz=RATE_HZ, subtype="FLOAT"):
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


def sercore(*arguments):
    return CliRunner().invoke(app, ["predict", *map(str, arguments)])


# --- the same way as training


def test_predict_gives_the_stored_scores_of_every_test_item(world, tmp_path):
    record = world["records"][1]
    one, rows = trained.find(record["run_id"]), world["store"].predictions(record["run_id"])
    items = world["corpus"].items.set_index("item_id", drop=False)
    stored = softmax(rows[[f"score_{label}" for label in record["labels"]]].to_numpy(), axis=1)
    for k in range(0, len(rows), 7):
        path = write(tmp_path / f"{k}.wav", world["corpus"].waveform(items.loc[rows["item_id"][k]])[0])
        answer = hearing.predict(one, path)
        assert list(answer.scores) == record["labels"]
        assert np.allclose(list(answer.scores.values()), stored[k], atol=1e-4)
        assert (answer.emotion, answer.method, answer.heard) == (rows["prediction"][k], "whole recording", {"test": [1]})


def test_a_shipped_fold_is_its_run_and_the_whole_is_the_mean_of_the_folds(world, voice):
    folds = [hearing.predict(trained.find(f"small.fold_{fold}"), voice) for fold in range(4)]
    run = hearing.predict(trained.find(world["records"][2]["run_id"]), voice)
    assert folds[2].scores == pytest.approx(run.scores)
    assert folds[2].ratio == pytest.approx(run.ratio, rel=1e-4)
    together = hearing.predict(trained.find("small"), voice)
    means = np.mean([list(answer.scores.values()) for answer in folds], axis=0)
    assert np.allclose(list(together.scores.values()), means)
    assert sum(together.scores.values()) == pytest.approx(1)
    assert sorted(fold for folds in together.heard.values() for fold in folds) == [0, 1, 2, 3]
    assert len(together.heard["test"]) == 1


# --- recordings as they come


def test_stereo_flac_other_rates_and_depths_are_heard_as_the_same_voice(world, voice, tmp_path):
    one, samples = trained.find("small.fold_0"), soundfile.read(voice, dtype="float32")[0]
    expected = list(hearing.predict(one, voice).scores.values())
    stereo = write(tmp_path / "stereo.wav", np.stack([samples * 1.5, samples * 0.5], axis=1))
    assert np.allclose(list(hearing.predict(one, stereo).scores.values()), expected, atol=1e-4)
    flac = write(tmp_path / "voice.flac", samples, subtype="PCM_24")
    assert np.allclose(list(hearing.predict(one, flac).scores.values()), expected, atol=0.02)
    doubled = recording.resampled(samples, RATE_HZ, 2 * RATE_HZ)
    assert hearing.predict(one, write(tmp_path / "32k.wav", doubled, 2 * RATE_HZ)).sample_rate_hz == 2 * RATE_HZ
    as_trained, brought, fault = (
        hearing.frames_for(one, *sound) for sound in ((samples, RATE_HZ), (doubled, 2 * RATE_HZ), (doubled, RATE_HZ))
    )
    assert np.corrcoef(as_trained.ravel(), brought.ravel())[0, 1] > 0.98
    assert fault.shape != as_trained.shape  # what leaving the rate alone would give


def test_windows_cover_a_recording_and_end_with_it():
    assert recording.windows(2.0, 3.0, 1.0) == [(0.0, 2.0)]
    assert recording.windows(3.0, 3.0, 1.0) == [(0.0, 3.0)]
    assert recording.windows(5.0, 3.0, 1.0) == [(0.0, 3.0), (1.0, 4.0), (2.0, 5.0)]
    assert recording.windows(600.5, 3.0, 1.0)[-1] == (597.5, 600.5)


def test_a_long_recording_is_the_mean_of_its_windows_and_is_read_window_by_window(world, tmp_path, monkeypatch):
    one = trained.find("small")
    long = np.concatenate([wave(world["corpus"], k) for k in range(12)])
    path = write(tmp_path / "long.wav", long)
    assert len(long) / RATE_HZ > one.whole_up_to_s
    held = hearing.predict(one, path)
    assert held.method == f"mean of {len(held.segments)} windows"
    assert np.allclose(list(held.scores.values()), np.mean([s.scores for s in held.segments], axis=0))
    assert "duration" in [finding.check for finding in held.findings]
    longest, read = [], recording.decode

    def watched(path, start=0, count=-1, mend=""):
        found = read(path, start, count, mend)
        longest.append(len(found[0]))
        return found

    monkeypatch.setattr(recording, "HELD_S", 0.0)
    monkeypatch.setattr(hearing, "_AT_ONCE", 4)
    monkeypatch.setattr(recording, "decode", watched)
    streamed = hearing.predict(one, path)
    assert np.allclose([s.scores for s in streamed.segments], [s.scores for s in held.segments], atol=1e-6)
    assert streamed.level_dbfs == pytest.approx(held.level_dbfs)
    assert max(longest) <= np.ceil((held.segments[0].end_s + 1e-3) * RATE_HZ)


def bad_files(folder, good):
    text, empty, nan, cut, nothing = (folder / f"{name}.wav" for name in ("text", "empty", "nan", "cut", "nothing"))
    text.write_text("this is no sound")
    empty.write_bytes(b"")
    samples = np.zeros(8000, dtype=np.float32)
    write(nothing, samples[:0])
    samples[77] = np.nan
    write(nan, samples)
    cut.write_bytes(good.read_bytes()[:9000])
    return {text: "not a sound file", empty: "empty file", nan: "sample 77 is not finite", cut: "cut short", nothing: "holds no sample"}


def test_bad_files_among_good_ones_are_named_and_the_rest_are_done_is_caught(world, voice, tmp_path):
    faults = bad_files(tmp_path, voice)
    last = write(tmp_path / "z.wav", wave(world["corpus"], 1))
    result = sercore("small", voice, *faults, tmp_path / "missing.wav", last, "--json", "--quiet")
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert [answer["file"] for answer in found["recordings"]] == [str(voice), str(last)]
    told = {fault["file"]: fault["error"] for fault in found["failed"]}
    for path, words in {**faults, tmp_path / "missing.wav": "is not there"}.items():
        assert words in told[str(path)]
        assert str(path) in told[str(path)]
    assert result.stderr.count("error: ") == len(faults) + 2


@pytest.mark.parametrize("samples", [1, 160, 1600])
def test_a_very_short_sound_is_answered_for_and_flagged(world, tmp_path, samples):
    answer = hearing.predict(trained.find("small"), write(tmp_path / "blip.wav", np.full(samples, 0.1, dtype=np.float32)))
    assert {"duration", "spectrum"} <= {finding.check for finding in answer.findings}
    assert np.isfinite(list(answer.scores.values())).all()


def test_a_folder_is_searched_once_and_an_empty_one_is_caught(tmp_path):
    inside = tmp_path / "deep" / "er"
    inside.mkdir(parents=True)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(CorpusError, match="holds no recording"):
        recording.gather([tmp_path])
    path = write(inside / "a.WAV", np.zeros(10, dtype=np.float32))
    assert recording.gather([tmp_path, path, tmp_path / "deep"]) == [path]


@pytest.mark.parametrize(("window", "hop"), [(0, 1), (1, 2), (1, 0), (-1, -1), (99, 1)])
def test_impossible_windows_are_caught(world, voice, window, hop):
    with pytest.raises(SpecError, match="window"):
        hearing.predict(trained.find("small"), voice, window, hop)


# --- novelty


def test_silence_noise_and_music_are_unlike_and_a_voice_of_the_corpus_is_not(world, tmp_path):
    one = trained.find("small")
    for kind in sounds.KINDS:
        for k, samples in enumerate(sounds.made(kind)):
            answer = hearing.predict(one, write(tmp_path / f"{k}.wav", samples, sounds.RATE_HZ))
            assert "spectrum" in [finding.check for finding in answer.findings], kind
            assert ("silence" in [finding.check for finding in answer.findings]) == (kind == "silence")
    known = [hearing.predict(one, write(tmp_path / f"v{k}.wav", wave(world["corpus"], k))) for k in range(0, 40, 4)]
    assert sum(bool(answer.unlike) for answer in known) <= 2


def test_the_limit_allows_for_an_unheard_speaker_and_catches_a_shifted_one():
    rng = np.random.default_rng(0)

    def voices(speakers, shift=0.0):
        offsets = rng.normal(size=(speakers, 4))
        return [(rng.normal(size=(30, 4)) + offsets[s] + shift, str(s)) for s in range(speakers) for _ in range(40)]

    frames, who = zip(*voices(10), strict=True)
    fact = novelty.Facts(2.0, RATE_HZ, -20.0, 0.0)
    familiar = novelty.fit(frames, who, [fact] * len(frames))
    alarms = np.mean([familiar.ratio(f) > 1 for f, _ in voices(40)])
    within = novelty.fit(frames, [str(k % 10) for k in range(len(frames))], [fact] * len(frames))  # the fault: speakers shuffled
    assert alarms < 0.2
    assert within.limit < familiar.limit
    assert np.mean([familiar.ratio(f) > 1 for f, _ in voices(20, shift=6.0)]) > 0.95
    with pytest.raises(ValueError, match="two speakers"):
        novelty.fit(frames, ["1"] * len(frames), [fact] * len(frames))


def test_each_plain_check_fires_on_its_fault_alone():
    familiar = novelty.Familiar(np.zeros(2), np.ones(2), np.eye(2), 1.0, 2.0, 4.0, -40.0, -20.0, 0.0, RATE_HZ)
    good = novelty.Facts(3.0, RATE_HZ, -30.0, 0.0)
    assert familiar.plain_findings(good) == []
    faults = {
        "silence": {"level_dbfs": -120.0},
        "level": {"level_dbfs": -50.0},
        "clipping": {"clipped": 0.1},
        "duration": {"duration_s": 9.0},
        "bandwidth": {"sample_rate_hz": 8000},
    }
    for check, fault in faults.items():
        assert [finding.check for finding in familiar.plain_findings(dataclasses.replace(good, **fault))] == [check]


def test_without_training_recordings_novelty_is_not_judged_and_it_is_said(world, voice, monkeypatch):
    def missing(name, root=""):
        raise CorpusError("no such folder")

    monkeypatch.setattr(prepare, "load_corpus", missing)
    run = world["records"][0]["run_id"]
    assert "novelty is not judged" in sercore(run, voice).stdout
    (answer,) = json.loads(sercore(run, voice, "--json").stdout)["recordings"]
    assert (answer["unlike"], answer["ratio"], answer["findings"]) == (None, None, [])


# --- names and weights


def test_names_that_mean_nothing_or_too_much_are_caught(world, tmp_path):
    store, run = RunStore(tmp_path), world["records"][0]["run_id"]
    for name in ("abc1", "abc2"):
        shutil.copytree(world["store"].path(run), store.path(name))
    store.path("dead.partial").mkdir()
    with pytest.raises(StoreError, match=r"2 runs begin with 'abc' \(abc1, abc2\)"):
        trained.find("abc", store=store)
    with pytest.raises(StoreError, match="dead is not finished"):
        trained.find("dead", store=store)
    for name in ("nobody", "../abc1", "0000", "ABC", "small.fold_7"):
        with pytest.raises(StoreError, match=r"no run or shipped model|has folds 0, 1, 2, 3"):
            trained.find(name, store=store)
    assert trained.find(run[:9]).networks[0].run_id == run
    with pytest.raises(StoreError, match="has no weights"):
        trained.find(world["records"][-1]["run_id"])


def test_damaged_weights_and_statistics_are_caught(copied, monkeypatch):
    monkeypatch.setattr(trained, "SHIPPED", copied)
    weights = next((copied / "small" / "runs").glob("*/weights.safetensors"))
    for path in (weights, copied / "small" / "novelty.safetensors", copied / "small" / "heard.csv"):
        whole = path.read_bytes()
        path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
        with pytest.raises(StoreError, match=r"(damaged|changed).*install sercore again"):
            trained.find("small")
        path.unlink()
        with pytest.raises(StoreError, match="install sercore again"):
            trained.find("small")
        path.write_bytes(whole)
    trained.find("small")
    (copied / "small" / "model.json").write_text("{")
    with pytest.raises(StoreError, match="cannot be read"):
        trained.find("small")


def test_weights_of_another_fold_under_this_name_are_caught(copied, monkeypatch):
    monkeypatch.setattr(trained, "SHIPPED", copied)
    one, other = sorted((copied / "small" / "runs").iterdir())[:2]
    shutil.copy(other / "weights.safetensors", one)
    record = json.loads((one / "record.json").read_text())
    record["files"] = json.loads((other / "record.json").read_text())["files"]
    (one / "record.json").write_text(json.dumps(record))
    with pytest.raises(StoreError, match="other weights than model.json names"):
        trained.find("small")


def test_a_raised_revision_is_caught(world, monkeypatch):
    monkeypatch.setattr(experiment, "revisions", lambda spec: {"features": 1, "model": 99, "trainer": 1})
    for name in ("small", world["records"][0]["run_id"]):
        with pytest.raises(StoreError, match=r"other revisions of the code \(model 1, now 99\)"):
            trained.find(name)


def test_a_label_outside_the_map_is_caught(copied, monkeypatch):
    monkeypatch.setattr(trained, "SHIPPED", copied)
    path = next((copied / "small" / "runs").glob("*/record.json"))
    record = json.loads(path.read_text())
    path.write_text(json.dumps(record | {"labels": ["joy", *record["labels"][1:]]}))
    with pytest.raises(StoreError, match="labels outside the map: joy"):
        trained.find("small")
    path.write_text(json.dumps(record | {"labels": record["labels"][::-1]}))
    with pytest.raises(StoreError, match="do not have the labels of its model.json"):
        trained.find("small")


# --- the command


def test_the_command_prints_answers_curve_and_file_and_json_alone(world, voice, tmp_path):
    table = tmp_path / "out.csv"
    result = sercore("small", voice, "--window", 1, "--hop", 0.5, "--csv", table)
    assert result.exit_code == 0
    assert "4 networks, scores averaged" in result.stdout
    assert "not for decisions about people" in result.stdout
    assert f"{voice}" in result.stdout
    rows = pd.read_csv(table)
    assert rows["part"].tolist() == ["whole", *["window"] * (len(rows) - 1)]
    assert len(rows) > 2
    assert np.allclose(rows.filter(like="score_").sum(axis=1), 1, atol=1e-4)
    data = json.loads(sercore("small", voice, "--json").stdout)
    assert data["recordings"][0]["emotion"] == rows["emotion"][0]
    assert set(data["recordings"][0]["segments"][0]["scores"]) == set(data["model"]["labels"])
    assert [row["name"] for row in json.loads(sercore("--list", "--json").stdout)] == ["small"]


def test_a_wrong_call_is_exit_2_and_an_unknown_run_one_line(world, voice, tmp_path):
    assert sercore("small").exit_code == 2
    assert sercore("small", voice, "--root", "emodb").exit_code == 2
    result = sercore("nobody", voice)
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (1, "", 1)
    assert sercore("small", voice, "--csv", tmp_path / "no" / "folder.csv").exit_code == 1


# --- what ships


def test_a_model_is_shipped_whole_with_its_measured_rates(world):
    home = world["shipped"] / "small"
    card = json.loads((home / "model.json").read_text())
    assert [network["fold"] for network in card["networks"]] == [0, 1, 2, 3]
    for network, record in zip(card["networks"], world["records"], strict=False):
        mine, theirs = (p / "weights.safetensors" for p in (home / "runs" / network["run_id"], world["store"].path(record["run_id"])))
        assert mine.read_bytes() == theirs.read_bytes()
    whole, *folds, silence, _, music = card["novelty"]["rates"]
    assert whole["recordings"] == sum(row["recordings"] for row in folds) == len(world["corpus"].items)
    assert (silence["sounds"], silence["any"], music["any"]) == ("silence", 3, 3)
    assert whole["any"] < 0.4 * whole["recordings"]
    assert not list(world["shipped"].glob(".*"))


def test_runs_that_must_not_ship_are_caught(world, tmp_path, monkeypatch):
    results, folder = world["results"], tmp_path / "shipped"
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path))
    with pytest.raises(StoreError, match="no recipe"):
        shipping.ship("nobody", {}, folder=folder)
    with pytest.raises(StoreError, match="is not in the store"):
        shipping.ship("small", {}, folder=folder)
    shutil.copytree(world["store"].folder, tmp_path / "runs")

    def refused(match, runs):
        monkeypatch.setattr(shipping, "load_results", lambda chapter: dataclasses.replace(results, runs=runs))
        with pytest.raises(StoreError, match=match):
            shipping.ship("small", {}, folder=folder)
        assert not list(folder.glob("*"))

    refused("not published in all 4 folds", results.runs.iloc[:3])
    refused("not committed", results.runs.assign(code_clean=False))
    refused("not the one that was published", results.runs.assign(finished_at="2020-01-01 00:00"))
    weights = tmp_path / "runs" / world["records"][2]["run_id"] / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"0000")
    refused("changed after the run", results.runs)
