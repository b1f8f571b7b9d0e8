"""The networks on the embedded corpus: above chance for new speakers, better where speakers are mixed, at chance with shuffled labels."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from sercore import experiment, prepare
from sercore.data import corpora
from sercore.metrics import uar
from sercore.spec import RunSpec
from sercore.store import RunStore
from tests.synthetic_frames import table_and_frames

CHANCE = 1 / 7
TRAINING = {"epochs": 12, "learning_rate": 5e-3, "batch_size": 16}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """The whole corpus, and a store of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SERCORE_STORE", str(tmp_path_factory.mktemp("store")))
        table, features = table_and_frames()
        # identical audio is no question here, so the ids need not be those of the samples
        loaded = replace(corpora.load("synthetic"), items=table.assign(audio_id=table["item_id"]))
        patch.setattr(prepare, "corpus_features", lambda *_: features)  # the same sounds, whatever the labels say
        yield loaded


def pooled_uar(corpus, system, folds, scheme="speakers_4", leaks=()):
    """UAR of the pooled test predictions of some folds, one seed."""
    shop, tables = RunStore(), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(prepare, "load_corpus", lambda *_: corpus)
        for fold in folds:
            part = {"data": {"corpus": "synthetic"}, "split": {"scheme": scheme, "fold": fold}, "leaks": leaks}
            spec = RunSpec.model_validate({**part, "model": {"name": system}, "training": TRAINING})
            tables.append(shop.predictions(experiment.run_one(spec, store=shop)["run_id"]))
    pooled = pd.concat(tables)
    return uar(pooled["truth"], pooled["prediction"])


@pytest.mark.parametrize("system", ["lstm_sa_h32", "lstm_sa_h64", "lstm_sa_h128", "reslstm_sa_h32", "reslstm_sa_h64", "reslstm_sa_h128"])
def test_every_network_beats_chance_for_new_speakers(corpus, system):
    assert pooled_uar(corpus, system, [0, 1]) > CHANCE + 0.1  # four standard errors of 224 answers at chance


def test_mixed_speakers_flatter_a_network(corpus):
    apart = pooled_uar(corpus, "reslstm_sa_h64", range(4))
    assert pooled_uar(corpus, "reslstm_sa_h64", range(4), "random_5", ("speaker_overlap",)) > apart + 0.05


def test_a_network_that_learns_from_shuffled_labels_is_caught(corpus):
    shuffled = corpus.items.assign(emotion=np.random.default_rng(0).permutation(corpus.items["emotion"]))
    found = pooled_uar(replace(corpus, items=shuffled), "reslstm_sa_h64", range(4))
    assert found == pytest.approx(CHANCE, abs=0.06)  # three and a half standard errors of 448 answers
