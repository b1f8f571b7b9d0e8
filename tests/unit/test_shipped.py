"""The networks that ship: whole, published, and the same on real recordings as when they were tested."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from sercore.data import corpora
from sercore.predict import hearing, shipping, trained
from sercore.results import load_results
from sercore.store import RunStore


def test_the_shipped_models_of_the_project_load_and_are_published(project):
    folder = project / "sercore" / "shipped"
    names = trained.shipped_names(folder)
    assert names == ["emodb", "ravdess"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} == {".json", ".safetensors", ".csv", ".md"}
    assert sum(path.stat().st_size for path in files) < 3e6
    for name in names:
        model, recipe = trained.load_shipped(name, folder), shipping.RECIPES[name]
        runs = load_results(recipe.chapter).runs
        rows = runs[runs["group"].eq(recipe.group) & runs["seed"].eq(recipe.seed)].sort_values("fold")
        assert [network.run_id for network in model.networks] == rows["run_id"].tolist()
        assert len(model.heard) > 500
        assert all(len(sides) == len(model.networks) for sides in model.heard.values())


@pytest.mark.recordings
def test_shipped_networks_give_the_published_counts_on_real_recordings(corpora_root):
    """Fold 1 of EmoDB: every test recording through the command's way, counted, is the published row of each speaker and class."""
    one = trained.find("emodb.fold_1")
    published = load_results("reslstm_sa")
    group = published.counts[published.counts["group"].eq("emodb.reslstm_sa_h64.definition.strict.pairs_5")]
    group = group[group["fold"].eq(1) & group["seed"].eq(0)]
    corpus = corpora.load("emodb", corpora_root / "emodb")
    tested = corpus.items[corpus.items["speaker"].isin(group["speaker"])]
    answers = [hearing.predict(one, corpus.root / path, one.whole_up_to_s, 1.0) for path in tested["path"]]
    assert {tuple(answer.heard) for answer in answers} == {("test",)}
    found = pd.crosstab([tested["speaker"], tested["emotion"]], np.array([answer.emotion for answer in answers]))
    stored = group.set_index(["speaker", "truth"])[list(one.labels)].astype(int)
    assert found.reindex(index=stored.index, columns=list(one.labels), fill_value=0).to_numpy().tolist() == stored.to_numpy().tolist()


@pytest.mark.recordings
def test_a_real_run_of_the_store_gives_its_stored_rows(corpora_root):
    store, one = RunStore(), trained.find("ravdess.fold_0")
    if store.finished(one.networks[0].run_id) is None:
        pytest.skip("the store (SERCORE_STORE) does not hold the runs of the shipped models")
    run = trained.find(one.networks[0].run_id, {"ravdess": corpora_root / "ravdess"}, store)
    rows = store.predictions(run.networks[0].run_id).iloc[::29]
    stored = softmax(rows[[f"score_{label}" for label in run.labels]].to_numpy(), axis=1)
    for item, expected in zip(rows["item_id"], stored, strict=True):
        (path,) = corpora_root.glob(f"{item}.*")
        for networks in (run, one):
            assert np.allclose(list(hearing.predict(networks, path).scores.values()), expected, atol=1e-4)
