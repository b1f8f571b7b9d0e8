"""A stored run seen from inside: the weights give the stored scores again, or are refused."""

import json
import shutil

import numpy as np
import pytest

from sercore import experiment, prepare, signals
from sercore.data import corpora, synthetic
from sercore.data.card import load_card
from sercore.errors import StoreError
from sercore.spec import DataSpec, ModelSpec, RunSpec, SplitSpec, TrainingSpec
from sercore.store import RunStore, _sha256


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A store with a run of each network on a small synthetic corpus: (store, ResLSTM-SA run, LSTM-SA run, majority run)."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("store")
        patch.setenv("SERCORE_STORE", str(folder))
        corpus = corpora.Corpus("synthetic", None, synthetic.read(repetitions=2), load_card("synthetic")).with_audio_ids()
        patch.setattr(prepare, "load_corpus", lambda name, root="": corpus)
        specs = [
            RunSpec(
                data=DataSpec(corpus="synthetic"),
                split=SplitSpec(scheme="speakers_4"),
                model=ModelSpec(name=name),
                training=TrainingSpec(epochs=2, learning_rate=5e-3),
            )
            for name in ("reslstm_sa_h32", "lstm_sa_h32", "majority_class")
        ]
        yield RunStore(), *(experiment.run_one(spec)["run_id"] for spec in specs)


def test_the_weights_give_the_stored_scores(runs):
    store, residual, plain, _ = runs
    for run_id in (residual, plain):
        found = signals.replay(run_id, store=store)
        assert len(found.frames) == len(found.predictions)
        assert not found.model.training


def test_weights_of_another_run_are_caught(runs, tmp_path):
    store, residual, *_ = runs
    other = RunStore(tmp_path)
    shutil.copytree(store.path(residual), other.path(residual))
    from safetensors.torch import load_file, save_file

    file = other.path(residual) / "weights.safetensors"
    tensors = load_file(file)
    tensors["classifier.weight"] = tensors["classifier.weight"].flip(0).contiguous()
    save_file(tensors, file)
    record = json.loads((other.path(residual) / "record.json").read_text())
    with pytest.raises(StoreError, match="changed after the run"):
        signals.load_network(residual, other)
    record["files"]["weights.safetensors"] = _sha256(file)
    (other.path(residual) / "record.json").write_text(json.dumps(record))
    with pytest.raises(StoreError, match="do not give its stored scores"):
        signals.signal_flow(residual, store=other)


def test_weights_of_another_network_are_caught(runs, tmp_path):
    store, residual, plain, _ = runs
    other = RunStore(tmp_path)
    shutil.copytree(store.path(residual), other.path(residual))
    shutil.copy(store.path(plain) / "weights.safetensors", other.path(residual))
    record = json.loads((other.path(residual) / "record.json").read_text())
    record["files"]["weights.safetensors"] = _sha256(other.path(residual) / "weights.safetensors")
    (other.path(residual) / "record.json").write_text(json.dumps(record))
    with pytest.raises(StoreError, match="do not fit reslstm_sa_h32"):
        signals.load_network(residual, other)


def test_a_run_without_weights_and_an_unknown_run_are_refused(runs):
    store, _, _, majority = runs
    with pytest.raises(StoreError, match="has no weights"):
        signals.load_network(majority, store)
    with pytest.raises(StoreError, match="no finished run 0000"):
        signals.load_network("0000", store)


def test_signal_flow_is_of_the_first_test_item_and_attention_sums_to_one(runs):
    store, residual, plain, _ = runs
    rows = signals.signal_flow(residual, store=store)
    assert list(rows["stage"].drop_duplicates()) == list(signals.STAGES)
    assert set(rows["item_id"]) == {min(store.predictions(residual)["item_id"])}
    assert rows[rows["stage"] == "attention"]["value"].sum() == pytest.approx(1)
    assert rows[rows["stage"] == "input"]["dimension"].nunique() == 46
    per_stage = rows.groupby("stage")["frame"].nunique()
    assert per_stage.nunique() == 1
    assert rows["time_s"].max() == pytest.approx((per_stage.iloc[0] - 1) * 683 / 16000)
    assert list(signals.signal_flow(plain, store=store)["stage"].drop_duplicates()) == ["input", "attention"]
    with pytest.raises(StoreError, match="did not test 'nobody'"):
        signals.signal_flow(residual, "nobody", store=store)


def test_embeddings_have_two_spaces_and_centred_components(runs):
    store, residual, *_ = runs
    rows = signals.embeddings(residual, store=store)
    tested = store.predictions(residual)
    assert rows.groupby("space").size().to_dict() == {"embedding": len(tested), "averaged features": len(tested)}
    assert np.abs(rows.groupby("space")[["pc_1", "pc_2"]].mean().to_numpy()).max() < 1e-9
    assert (rows["explained_1"] >= rows["explained_2"]).all()
    assert rows["silhouette"].between(-1, 1).all()
    assert set(signals.tables(residual, store=store)) == {"signals", "embeddings"}


def test_the_signs_of_a_principal_plane_do_not_depend_on_the_points_order():
    points = np.random.default_rng(0).normal(size=(30, 5))
    plane, _ = signals.principal_plane(points)
    mirrored, _ = signals.principal_plane(points[::-1])
    assert np.allclose(plane[::-1], mirrored)
