"""The way through on a small synthetic corpus: leaks at their place, the sealed side, the store, resuming after a kill."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sercore import anti_transfer_grid, batching, experiment, metrics, prepare, results, schedulers, store, sweep
from sercore.data import corpora
from sercore.errors import LeakError, SpecError, StoreError
from sercore.evaluate import SealedEvaluator
from sercore.features.cache import corpus_features
from sercore.features.normaliser import Normaliser
from sercore.spec import RunSpec
from tests.anti_transfer_runs import planted


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """A store of its own with the synthetic corpus' features computed once."""
    folder = tmp_path_factory.mktemp("store")
    before = os.environ.get("SERCORE_STORE")
    os.environ["SERCORE_STORE"] = str(folder)
    yield folder
    os.environ.pop("SERCORE_STORE")
    if before:
        os.environ["SERCORE_STORE"] = before


@pytest.fixture(scope="module")
def corpus(home):
    whole = corpora.load("synthetic")
    part = replace(whole, items=whole.items.groupby(["speaker", "emotion"]).head(2).reset_index(drop=True)).with_audio_ids()
    prepare.load_corpus.cache_clear()
    original = experiment.corpora.load
    experiment.corpora.load = lambda *args, **kwargs: part
    yield part
    experiment.corpora.load = original
    prepare.load_corpus.cache_clear()


def spec(**changes):
    base = {
        "data": {"corpus": "synthetic"}, "split": {"scheme": "speakers_4"}, "model": {"name": "reslstm_sa_h32"},
        "training": {"epochs": 3, "learning_rate": 5e-3, "batch_size": 16},
    }  # fmt: skip
    return RunSpec.model_validate({**base, **changes})


def test_same_spec_twice_gives_the_same_predictions_bit_for_bit(corpus, tmp_path):
    one, two = store.RunStore(tmp_path / "one"), store.RunStore(tmp_path / "two")
    first, second = experiment.run_one(spec(), store=one), experiment.run_one(spec(), store=two)
    assert first["run_id"] == second["run_id"]
    pd.testing.assert_frame_equal(one.predictions(first["run_id"]), two.predictions(first["run_id"]), check_exact=True)
    other = experiment.run_one(spec(seed=1), store=one)
    scores = [t.filter(like="score_").to_numpy() for t in (one.predictions(first["run_id"]), one.predictions(other["run_id"]))]
    assert not np.array_equal(*scores)


def test_finished_run_is_found_and_a_damaged_one_refused(corpus, tmp_path):
    shop = store.RunStore(tmp_path)
    record = experiment.run_one(spec(), store=shop)
    stamp = (shop.path(record["run_id"]) / "record.json").stat().st_mtime_ns
    assert experiment.run_one(spec(), store=shop) == record
    assert (shop.path(record["run_id"]) / "record.json").stat().st_mtime_ns == stamp
    with open(shop.path(record["run_id"]) / "predictions.parquet", "ab") as file:
        file.write(b"x")
    with pytest.raises(StoreError, match=r"predictions\.parquet.*delete the folder"):
        experiment.run_one(spec(), store=shop)
    assert shop.records()["status"].tolist() == ["damaged"]


def test_store_of_a_newer_version_is_refused(corpus, tmp_path):
    shop = store.RunStore(tmp_path)
    record = experiment.run_one(spec(model={"name": "majority_class"}), store=shop)
    file = shop.path(record["run_id"]) / "record.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "store_version": 99}))
    with pytest.raises(StoreError, match="newer version"):
        shop.finished(record["run_id"])


def test_record_says_where_the_run_comes_from(corpus, tmp_path):
    record = experiment.run_one(spec(), store=store.RunStore(tmp_path))
    assert {"device", "torch", "python", "code_commit", "code_clean", "finished_at", "peak_host_mb", "peak_device_mb"} <= set(record)
    assert record["parameters"] == record["pipeline_parameters"] == record["trainable_parameters"] == 27_955  # seven classes
    assert record["frozen_parameters"] == 0
    assert record["macs"] == record["macs_frames"] * (4 * 46 * (46 + 46) + 4 * 32 * (46 + 32) + 2 * 32) + 32 * 7
    assert record["data_fingerprint"] == corpus.fingerprint()
    text = json.dumps(record)
    assert os.path.expanduser("~") not in text
    assert os.uname().nodename not in text


def test_pooled_uar_is_that_of_the_prediction_table(corpus, tmp_path):
    shop = store.RunStore(tmp_path)
    specs = [spec(model={"name": "functionals_svm"}, split={"scheme": "speakers_4", "fold": f}) for f in range(4)]
    done = sweep.run_all(specs, store=shop)
    found = results.collect("x", done.records, shop)
    pooled = pd.concat(shop.predictions(r["run_id"]) for r in done.records)
    group = found.groups["group"].item()
    counts = found.counts.groupby("truth")[found.labels(group)].sum().loc[found.labels(group)]
    assert metrics.uar_from_counts(counts.to_numpy()) == pytest.approx(metrics.uar(pooled["truth"], pooled["prediction"]))
    assert found.groups[["folds", "seeds", "n_items", "n_speakers"]].iloc[0].tolist() == [4, 1, len(corpus.items), 8]


def test_scaler_fitted_on_all_items_is_caught(corpus):
    """The planted fault is the leak itself: it must be declared to happen, and it moves the statistics."""
    features = corpus_features(corpus, spec().features)
    strict, leaky = prepare.prepare(spec(), corpus), prepare.prepare(spec(leaks="global_normaliser"), corpus)
    expected = Normaliser.fit([features[i] for i in strict.plan.train])
    np.testing.assert_array_equal(strict.normaliser.mean, expected.mean)
    assert np.abs(strict.normaliser.mean - leaky.normaliser.mean).max() > 1e-3
    np.testing.assert_array_equal(leaky.normaliser.mean, Normaliser.fit([features[i] for i in corpus.items["item_id"]]).mean)


def test_test_labels_are_sealed(corpus):
    prepared = prepare.prepare(spec(), corpus)
    assert prepared.test.labels is None
    for leak in ("validation_is_test", "tuned_on_test", "speaker_overlap"):
        with pytest.raises(LeakError, match="sealed"):
            prepared.evaluator.reveal(leak)
    scores = np.random.default_rng(0).normal(size=(len(prepared.test.frames), 7))
    prepared.evaluator.predictions(scores, "r", 0, 0)
    with pytest.raises(LeakError, match="second look"):
        prepared.evaluator.predictions(scores, "r", 0, 0)


def test_validation_is_test_only_where_declared(corpus):
    leaky = prepare.prepare(spec(leaks="validation_is_test"), corpus)
    assert len(leaky.validation.frames) == len(leaky.test.frames)
    assert np.array_equal(leaky.validation.labels, leaky.evaluator.reveal("validation_is_test"))


def test_scores_that_are_not_finite_or_misshapen_are_refused(corpus):
    items = corpus.items.head(4)
    evaluator = SealedEvaluator(items, "emotion", sorted(set(corpus.items["emotion"])))
    with pytest.raises(ValueError, match="shape"):
        evaluator.predictions(np.zeros((4, 2)), "r", 0, 0)
    bad = np.zeros((4, 7))
    bad[2, 1] = np.nan
    with pytest.raises(ValueError, match=items["item_id"].iloc[2]):
        evaluator.predictions(bad, "r", 0, 0)


def test_duplicate_audio_across_a_split_is_caught(corpus, tmp_path):
    items = corpus.items.copy()
    items.loc[items.index[-1], "audio_id"] = items["audio_id"].iloc[0]
    with pytest.raises(LeakError, match="duplicate audio"):
        prepare.prepare(spec(), replace(corpus, items=items))


def test_unknown_system_and_scheduler_are_refused(corpus, tmp_path):
    with pytest.raises(SpecError, match="known"):
        experiment.run_one(spec(model={"name": "resnet"}), store=store.RunStore(tmp_path))
    for wrong in ("dask", "local:x", "local:0"):
        with pytest.raises(SpecError, match="scheduler"):
            schedulers.workers(wrong)
    assert schedulers.workers("") == 1
    assert schedulers.workers("local:3") == 3


def test_two_processes_on_one_run_are_refused(corpus, tmp_path):
    shop = store.RunStore(tmp_path)
    with shop.writing("abc"), pytest.raises(StoreError, match="another process"), shop.writing("abc"):
        pass


KILLED = """
import sys
from dataclasses import replace
from sercore import experiment, prepare, train
from sercore.data import corpora
load = corpora.load
def small(*args):
    whole = load(*args)
    return replace(whole, items=whole.items.groupby(["speaker", "emotion"]).head(2).reset_index(drop=True))
corpora.load = small
from sercore.spec import RunSpec
original = train._save
def slow(*args):
    original(*args)
    print("epoch", flush=True)
    import time
    time.sleep(float(sys.argv[2]))
train._save = slow
spec = RunSpec.model_validate_json(sys.argv[1])
experiment.run_one(spec)
"""


def test_killed_run_resumes_and_ends_like_an_uninterrupted_one(corpus, home, tmp_path, monkeypatch):
    """`kill -9` from outside, in the middle of the second epoch."""
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path / "s"))
    (tmp_path / "s").mkdir()
    os.symlink(home / "cache", tmp_path / "s" / "cache")
    prepare.load_corpus.cache_clear()
    whole = spec(training={"epochs": 4, "learning_rate": 5e-3, "batch_size": 16})
    process = subprocess.Popen([sys.executable, "-c", KILLED, whole.model_dump_json(), "60"], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline().strip() == "epoch"
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=20)
    shop = store.RunStore()
    assert shop.records()["status"].tolist() == ["interrupted"]
    resumed = experiment.run_one(whole)
    fresh = store.RunStore(tmp_path / "fresh")
    expected = experiment.run_one(whole, store=fresh)
    pd.testing.assert_frame_equal(shop.predictions(resumed["run_id"]), fresh.predictions(expected["run_id"]), check_exact=True)
    assert shop.records()["status"].tolist() == ["finished"]


def test_runs_of_one_name_that_are_unlike_are_not_added_up(corpus, tmp_path):
    shop = store.RunStore(tmp_path)
    records = [experiment.run_one(one, store=shop) for one in (spec(), spec(training={**spec().training.model_dump(), "epochs": 1}))]
    with pytest.raises(StoreError, match="unlike in training"):
        results.collect("x", records, shop)


def test_published_rows_come_back_as_they_were(corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path / "published"))
    shop = store.RunStore(tmp_path)
    found = results.collect("x", [experiment.run_one(spec(), store=shop)], shop, "full")
    with pytest.raises(StoreError, match="synthetic"):
        results.publish("x", found)
    found.groups["corpus"] = "ravdess"
    found.runs["code_clean"] = False
    with pytest.raises(StoreError, match="not committed"):
        results.publish("x", found)
    found.runs["code_clean"] = True
    results.publish("x", found)
    loaded = results.load_results("x")
    group = found.groups["group"].item()
    key = ["speaker", "truth"]
    pd.testing.assert_frame_equal(
        loaded.counts.sort_values(key).reset_index(drop=True), found.counts.sort_values(key).reset_index(drop=True), check_dtype=False
    )
    assert loaded.labels(group) == found.labels(group)
    assert loaded.specs == found.specs
    assert loaded.groups[results.COST_COLUMNS].equals(found.groups[results.COST_COLUMNS])  # every digit, missing ones missing
    assert loaded.runs["peak_host_mb"].tolist() == found.runs["peak_host_mb"].tolist()
    results.publish("x", found)
    assert len(results.load_results("x").runs) == 1


def test_classes_that_are_named_by_digits_come_back_as_words(tmp_path, monkeypatch):
    """Speakers that are told apart: `01` is no number."""
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    rows = planted([anti_transfer_grid.orthogonal_run("speaker_ravdess", anti_transfer_grid.specs("emodb", "full")[-1])], {})
    numbers = {"calm": "01", "fear": "12"}
    counts = rows.counts.rename(columns=numbers).assign(truth=rows.counts["truth"].map(numbers))
    found = replace(rows, counts=counts)
    results.publish("x", found)
    loaded = results.load_results("x")
    assert set(loaded.counts["truth"]) == {"01", "12"} == set(loaded.labels(found.groups["group"].item()))


def test_every_fold_of_every_seed_starts_from_other_weights():
    """The released notebook's fault, planted: the seed set again inside the fold loop makes ten runs one."""
    seeds = {batching.derive_seed(batching.derive_seed(seed, fold), "initial weights") for seed in range(10) for fold in range(5)}
    assert len(seeds) == 50
    faulty = {batching.derive_seed(batching.derive_seed(42 + 100 * fold), "initial weights") for seed in range(10) for fold in range(5)}
    assert len(faulty) == 5
