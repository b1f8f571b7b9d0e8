"""Networks that read segments answer for recordings from anywhere as they were scored: pooled logits, windows, filling, parents."""

import dataclasses
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import soundfile
from scipy.special import log_softmax, softmax
from typer.testing import CliRunner

from sercore import experiment, prepare
from sercore.__main__ import app
from sercore.batching import predict_logits
from sercore.data import corpora
from sercore.errors import SpecError, StoreError
from sercore.features.cache import corpus_features, frames_of, segments_of
from sercore.predict import hearing, novelty, recording, scoring, sounds, trained
from sercore.spec import FeatureSpec, NoiseSpec, RunSpec
from sercore.store import RunStore
from tests import anti_transfer_runs as made

RATE_HZ, SEGMENT_S = 16000, made.FEATURES.segment_s
#: Enough for logits that differ from segment to segment, so that another way of pooling them would be seen.
LEARNING = made.TRAINING.model_copy(update={"epochs": 3, "learning_rate": 3e-3})
SPEAKERS = made.spec("synthetic_others", "speaker", "within_speakers_5", training=made.TRAINING.model_copy(update={"epochs": 1}))
ALONE = made.spec(training=LEARNING)
TRANSFERRED = made.spec(
    parents=(SPEAKERS, SPEAKERS), model={"initial_weights": "parent_features"}, anti_transfer=made.AT, training=LEARNING, fold=1
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A network of its own, one from the weights of a parent and against it, and that parent."""
    with made.few_recordings(tmp_path_factory.mktemp("store")) as found:
        parent, *records = [experiment.run_one(spec) for spec in (SPEAKERS, ALONE, TRANSFERRED)]
        rows = found["synthetic"].items.to_dict("records")
        waves = {row["item_id"]: found["synthetic"].waveform(row)[0] for row in rows}  # rendered once
        done = {"parent": parent, "alone": records[0], "transferred": records[1]}
        yield {"corpus": found["synthetic"], "waves": waves, "store": RunStore(), **done}


@pytest.fixture(scope="module")
def alone(world):
    return trained.find(world["alone"]["run_id"])


@pytest.fixture
def voice(world, tmp_path):
    """The longest recording of the corpus as a float file, of three segments."""
    return write(tmp_path / "voice.wav", max(world["waves"].values(), key=len))


def write(path, samples, rate_hz=RATE_HZ):
    soundfile.write(path, samples, rate_hz, subtype="FLOAT")
    return path


def joined(world, count):
    """Recordings of one speaker, one after the other."""
    return np.concatenate(list(world["waves"].values())[:count])


def segment_logits(one, samples, rate_hz=RATE_HZ):
    """Logits of every segment of a waveform, shape (S, K), by no function of `sercore.predict`."""
    network = one.networks[0]
    (frames,) = network.normaliser.apply([frames_of(samples, rate_hz, one.spec.features)])
    return predict_logits(network.model, segments_of(frames, one.spec.features)).astype(np.float64)


def sound_of(frames, features):
    return frames[novelty.rows_of_sound(frames, features)]


def scores_of(answer):
    return np.array(list(answer.scores.values()))


def checks(answer):
    return [finding.check for finding in answer.findings]


# --- the same way as training


@pytest.mark.parametrize("which", ["alone", "transferred"])
def test_a_recording_of_the_corpus_has_the_stored_scores_of_the_run(world, tmp_path, which):
    record = world[which]
    one, rows = trained.find(record["run_id"]), world["store"].predictions(record["run_id"])
    counts, elsewhere = set(), []
    for item, stored in zip(rows["item_id"], rows[[f"score_{label}" for label in record["labels"]]].to_numpy(), strict=True):
        samples = world["waves"][item]
        answer = hearing.predict(one, write(tmp_path / "item.wav", samples))
        assert np.allclose(scores_of(answer), softmax(stored), atol=1e-5)
        assert answer.heard == {"test": [one.spec.split.fold]}
        each = segment_logits(one, samples)
        assert answer.method == f"mean of {len(each)} segments of 1 s"
        counts.add(len(each))
        elsewhere += [np.abs(other - softmax(stored)).max() for other in (softmax(each, axis=1).mean(axis=0), softmax(each[0]))]
    assert counts == {2, 3}
    assert max(elsewhere[::2]) > 1e-4  # the mean of the segments' scores, and the first segment alone, are other answers
    assert max(elsewhere[1::2]) > 1e-3


def test_a_run_is_served_without_its_parents_and_refused_where_one_has_another_revision(world, voice, tmp_path, monkeypatch):
    name = world["transferred"]["run_id"]
    store = RunStore(tmp_path / "runs")
    shutil.copytree(world["store"].path(name), store.path(name))
    answers = [hearing.predict(trained.find(name, store=held), voice) for held in (store, world["store"])]
    assert answers[0] == answers[1]
    now = experiment.revisions(TRANSFERRED)
    monkeypatch.setattr(experiment, "revisions", lambda spec: {**now, "parent_1.model": 99})
    with pytest.raises(StoreError, match=r"other revisions of the code \(parent_1.model 1, now 99\)"):
        trained.find(name)


def test_a_run_on_recordings_with_noise_is_judged_by_them_and_knows_the_recordings(world, tmp_path):
    noise = NoiseSpec(corpus="synthetic_noises", lowest_snr_db=0, highest_snr_db=10)
    spec = ALONE.model_copy(update={"data": ALONE.data.model_copy(update={"noise": noise})})
    record = experiment.run_one(spec)
    one, rows = trained.find(record["run_id"]), world["store"].predictions(record["run_id"])
    mixed = prepare.corpus_of(spec)
    item, stored = rows["item_id"][0], rows[[f"score_{label}" for label in record["labels"]]].to_numpy()[0]
    noisy = mixed.waveform(mixed.items.set_index("item_id", drop=False).loc[item])[0]
    answer = hearing.predict(one, write(tmp_path / "noisy.wav", noisy))
    assert np.allclose(scores_of(answer), softmax(stored), atol=1e-5)
    assert checks(answer) == []
    clean = hearing.predict(one, write(tmp_path / "clean.wav", world["waves"][item]))
    assert clean.heard == {"test": [0]}
    assert one.networks[0].familiar.loudest_dbfs > trained.find(world["alone"]["run_id"]).networks[0].familiar.loudest_dbfs


def test_the_run_of_an_orthogonal_task_is_refused(world):
    with pytest.raises(StoreError, match="does not predict emotions \\(its task is speaker\\): name another run"):
        trained.find(world["parent"]["run_id"])


# --- recordings longer and shorter than a segment, and at other rates


def test_a_long_recording_is_the_mean_of_all_its_segments_whether_it_is_held_or_read_in_parts(world, alone, tmp_path, monkeypatch):
    samples = joined(world, 4)
    path, each = write(tmp_path / "long.wav", samples), segment_logits(alone, samples)
    assert len(samples) / RATE_HZ > alone.whole_up_to_s
    held = hearing.predict(alone, path)
    assert held.method == f"mean of {len(each)} segments of 1 s"
    assert np.allclose(scores_of(held), softmax(each.mean(axis=0)), atol=1e-5)
    assert "duration" in checks(held)
    assert held.ratio == pytest.approx(np.median([segment.ratio for segment in held.segments]))
    read = []

    def watched(path, start=0, count=-1, mend=""):
        read.append((start, count))
        return recording_decode(path, start, count, mend)

    recording_decode = recording.decode
    monkeypatch.setattr(recording, "HELD_S", 0.0)
    monkeypatch.setattr(recording, "decode", watched)
    monkeypatch.setattr(hearing, "_AT_ONCE", 2)
    parted = hearing.predict(alone, path)
    assert parted.method == held.method
    assert np.allclose(np.log(scores_of(parted)), log_softmax(each.mean(axis=0)), atol=0.02)  # resampled part by part
    assert max(count for _, count in read) == 2 * RATE_HZ
    assert [start for start, count in read if count == 2 * RATE_HZ] == list(range(0, len(samples) - 2 * RATE_HZ + 1, 2 * RATE_HZ))


def test_parts_of_a_long_recording_are_weighed_by_their_segments(world, alone, tmp_path, monkeypatch):
    path = write(tmp_path / "long.wav", joined(world, 3)[: 5 * RATE_HZ])
    expected = scores_of(hearing.predict(alone, path))
    monkeypatch.setattr(hearing, "_AT_ONCE", 4)  # four segments and one
    assert np.allclose(scores_of(hearing.predict(alone, path)), expected, atol=5e-3)


@pytest.mark.parametrize("rate_hz", [11025, 24414, 44100])
def test_a_window_is_one_segment_at_any_rate(world, alone, tmp_path, rate_hz):
    samples = recording.resampled(joined(world, 3), RATE_HZ, rate_hz)
    answer = hearing.predict(alone, write(tmp_path / "long.wav", samples, rate_hz))
    starts = np.array([segment.start_s for segment in answer.segments])
    assert np.allclose([segment.end_s for segment in answer.segments], starts + SEGMENT_S)
    assert np.allclose(np.diff(starts)[:-1], SEGMENT_S / 3)
    assert answer.segments[-1].end_s == pytest.approx(len(samples) / rate_hz)
    for start, end in hearing.windows(answer.duration_s, SEGMENT_S, SEGMENT_S / 3):
        part = samples[round(start * rate_hz) : round(end * rate_hz)]
        assert scoring.segments_in(scoring.frames_for(alone, part, rate_hz), alone.spec.features) == 1


def test_a_window_that_is_asked_for_is_heard_as_a_recording_of_its_own(world, alone, voice, tmp_path):
    samples = soundfile.read(voice, dtype="float32")[0]
    for window in (0.4, 1.8):
        answer = hearing.predict(alone, voice, window, 0.1)
        part = write(tmp_path / "part.wav", samples[: round(window * RATE_HZ)])
        assert np.allclose(answer.segments[0].scores, scores_of(hearing.predict(alone, part)), atol=1e-6)
        assert len(answer.segments) > 2
    with pytest.raises(SpecError, match="longer than any training recording"):
        hearing.predict(alone, voice, 9.0)


def test_other_rates_are_brought_to_the_corpus_and_then_to_the_features(world, alone, voice, tmp_path):
    samples, native = soundfile.read(voice, dtype="float32")[0], hearing.predict(alone, voice)
    as_trained = corpus_features(world["corpus"], alone.spec.features)
    found = scoring.frames_for(alone, samples, RATE_HZ)
    assert any(np.array_equal(found, frames) for frames in as_trained.values())
    for rate_hz in (8000, 48000):
        brought = recording.resampled(samples, RATE_HZ, rate_hz)
        over_corpus = frames_of(recording.resampled(brought, rate_hz, RATE_HZ), RATE_HZ, alone.spec.features)
        assert np.array_equal(scoring.frames_for(alone, brought, rate_hz), over_corpus)
        other = hearing.predict(alone, write(tmp_path / "other.wav", brought, rate_hz))
        assert (other.sample_rate_hz, other.method) == (rate_hz, native.method)
        assert np.allclose(scores_of(other), scores_of(native), atol=5e-3)
        assert "bandwidth" not in checks(other)  # 4 kHz are all that the network heard in training
    poor = hearing.predict(alone, write(tmp_path / "poor.wav", recording.resampled(samples, RATE_HZ, 3000), 3000))
    (said,) = [finding.says for finding in poor.findings if finding.check == "bandwidth"]
    assert said == "sampled at 3000 Hz: nothing above 1.5 kHz, in training there was sound up to 2 kHz"


def test_where_the_recordings_of_a_corpus_have_many_rates_each_is_heard_at_its_own(world, alone):
    card = world["corpus"].card.model_copy(update={"sample_rate_hz": 0})
    samples = joined(world, 1)
    assert np.array_equal(
        scoring.frames_for(dataclasses.replace(alone, own_card=card), samples, 8000), frames_of(samples, 8000, alone.spec.features)
    )


@pytest.mark.parametrize("n_samples", [1, 2, 40, 160])
def test_a_sound_shorter_than_a_frame_is_one_segment_and_flagged(alone, tmp_path, n_samples):
    answer = hearing.predict(alone, write(tmp_path / "blip.wav", np.full(n_samples, 0.1, dtype=np.float32)))
    assert answer.method == "one segment of 1 s"
    assert "duration" in checks(answer)
    assert np.isfinite(scores_of(answer)).all()


@pytest.mark.parametrize("seconds", [0.5, 1.5, 7.0])
def test_silence_is_answered_for_and_flagged(alone, tmp_path, seconds):
    answer = hearing.predict(alone, write(tmp_path / "silence.wav", np.zeros(round(seconds * RATE_HZ), dtype=np.float32)))
    assert "silence" in checks(answer)
    assert np.isfinite(scores_of(answer)).all()
    assert np.isfinite([segment.ratio for segment in answer.segments]).all()


@pytest.mark.parametrize("kind", ["noise", "music-like noise"])
def test_noise_and_music_are_unlike(alone, tmp_path, kind):
    for samples in sounds.made(kind, 3):
        answer = hearing.predict(alone, write(tmp_path / "sound.wav", samples[: 2 * sounds.RATE_HZ], sounds.RATE_HZ))
        assert checks(answer) == ["spectrum"]


def test_what_is_longer_than_recordings_were_padded_to_is_not_heard_whole(alone):
    padded = RunSpec.model_validate({**dict(alone.spec), "features": FeatureSpec(kind="hann_stft", window_ms=20, hop_ms=10, pad_to_s=1.5)})
    assert alone.whole_up_to_s > 1.5
    assert dataclasses.replace(alone, spec=padded).whole_up_to_s == 1.5


# --- novelty


def test_rows_that_fill_a_segment_do_not_count_and_the_others_do():
    features = FeatureSpec(kind="stft", window_ms=16, hop_ms=8, segment_s=1.0, segment_frames=160)
    samples = np.random.default_rng(0).normal(scale=0.1, size=RATE_HZ * 3 // 2).astype(np.float32)
    frames = frames_of(samples, RATE_HZ, features)
    kept = novelty.rows_of_sound(frames, features).reshape(-1, 160)
    assert kept.sum(axis=1).tolist() == [126, 64]  # 1 + 1 s / 8 ms; the last frame that a sample of the half second falls into
    assert kept[0, :126].all()
    assert kept[1, :64].all()
    roomier = features.model_copy(update={"segment_frames": 320})
    more = frames_of(samples, RATE_HZ, roomier)
    assert np.array_equal(more[novelty.rows_of_sound(more, roomier)], frames[kept.ravel()])
    assert novelty.rows_of_sound(frames, FeatureSpec()).all()
    assert novelty.rows_of_sound(np.zeros((320, 4)), features).sum() == 1


def test_a_pause_inside_a_segment_counts():
    features = FeatureSpec(kind="stft", segment_s=1.0, segment_frames=4)
    frames = np.array([[1.0], [0.0], [1.0], [0.0], [0.0], [1.0], [0.0], [0.0]])
    assert novelty.rows_of_sound(frames, features).tolist() == [True, True, True, False, True, True, False, False]


def test_training_recordings_and_their_windows_keep_the_limit(world, alone, tmp_path):
    """Both sides leave the filling out: were it counted on one of them, half of a recording's rows would make it unlike."""
    training = sorted(key for key, letter in alone.heard.items() if letter == "t")
    waves = dict(zip(world["corpus"].items["audio_id"], world["waves"].values(), strict=True))
    heard = [hearing.predict(alone, write(tmp_path / "item.wav", waves[key])) for key in training[::2]]
    assert np.mean([answer.ratio <= 1 for answer in heard]) >= 0.9
    assert np.mean([not checks(answer) for answer in heard]) >= 0.9
    assert np.mean([segment.ratio <= 1 for answer in heard for segment in answer.segments]) >= 0.8
    (network,), samples = alone.networks, waves[training[0]]
    frames = frames_of(samples, RATE_HZ, alone.spec.features)
    sounding = sound_of(frames, alone.spec.features)
    assert heard[0].ratio == pytest.approx(network.familiar.ratio(network.normaliser.apply([sounding])[0]), rel=1e-5)
    assert hearing.judge(alone, frames, novelty.facts(samples, RATE_HZ))[0] == pytest.approx(heard[0].ratio, rel=1e-5)
    items = world["corpus"].items.set_index("audio_id").loc[training]
    frames = [frames_of(waves[key], RATE_HZ, alone.spec.features) for key in training]
    facts = [novelty.facts(waves[key], RATE_HZ) for key in training]
    sounding = network.normaliser.apply([sound_of(one, alone.spec.features) for one in frames])
    expected = novelty.fit(sounding, items["speaker"].tolist(), facts)
    assert np.allclose(network.familiar.mean, expected.mean, atol=1e-4)
    assert network.familiar.limit == pytest.approx(expected.limit, rel=1e-4)


def test_the_training_side_is_the_one_that_the_run_had(world, alone):
    corpus, normaliser = world["corpus"], alone.networks[0].normaliser
    peaks = corpus.peaks().to_numpy()
    form = ALONE.canonical()
    form |= {"leaks": ["level_filter"], "data": form["data"] | {"level_filter_peak": float(np.median(peaks))}}
    _, heard = trained.training_side(corpus, RunSpec.model_validate(form), normaliser)
    assert set(heard) == set(corpus.items["audio_id"][peaks > np.median(peaks)])
    form = ALONE.canonical() | {"leaks": ["duplicate_audio", "speaker_overlap"]}
    form["split"]["scheme"] = "speakers_4_shuffled_copies"
    copying = RunSpec.model_validate(form)
    _, heard = trained.training_side(corpus, copying, normaliser)
    plan = prepare.split_plan(corpus.items, copying.split, copying.leaks)
    audio = corpus.items.set_index("item_id")["audio_id"]
    assert plan.copies
    assert {heard[audio[name]] for name in plan.copies} == {"t"}


def test_one_training_speaker_sets_no_limit_and_it_is_said(world, voice, monkeypatch):
    items = world["corpus"].items
    three = items[items["speaker"].isin(["s01", "s02", "s03"])].reset_index(drop=True)
    few = corpora.Corpus("synthetic", None, three, world["corpus"].card)
    spec = RunSpec.model_validate({**dict(ALONE), "split": {"scheme": "leave_one_speaker_out", "fold": 0}})
    familiar, heard = trained.training_side(few.with_audio_ids(), spec, trained.find(world["alone"]["run_id"]).networks[0].normaliser)
    assert familiar is None
    assert sorted(set(heard.values())) == ["e", "t", "v"]
    monkeypatch.setattr(trained, "training_side", lambda *given: (None, heard))
    told = CliRunner().invoke(app, ["predict", world["alone"]["run_id"], str(voice), "--quiet"])
    assert told.exit_code == 0
    assert "one speaker alone trained it, so novelty is not judged" in told.stdout


# --- the command


def test_the_command_says_how_the_network_reads_and_what_it_was_kept_unlike(world, voice, tmp_path):
    name, table = world["transferred"]["run_id"], tmp_path / "out.csv"
    told = CliRunner().invoke(app, ["predict", name[:10], str(voice), "--csv", str(table), "--quiet"])
    assert told.exit_code == 0
    head = " ".join(told.stdout.split("\n")[:2])
    for words in ("vgg16_pool", TRANSFERRED.settings, "reads segments of 1 s; the logits of a recording are the mean of theirs"):
        assert words in head
    assert "mean of 3 segments of 1 s" in told.stdout
    assert len(pd.read_csv(table)) == 1 + len(hearing.windows(2.3, 1.0, 1 / 3))
    found = json.loads(CliRunner().invoke(app, ["predict", name, str(voice), "--json"]).stdout)
    assert (found["model"]["segment_s"], found["model"]["settings"]) == (1.0, TRANSFERRED.settings)
    assert found["recordings"][0]["method"] == "mean of 3 segments of 1 s"
