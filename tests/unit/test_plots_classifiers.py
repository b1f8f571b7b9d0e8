"""Figures of the chapters: the text beside a figure says what its rows say, and nothing to draw is said in words."""

import numpy as np
import pandas as pd
import pytest

from sercore.pages.overview import STORED, Case, Source
from sercore.plots import classifiers, reslstm
from sercore.results import GROUP_COLUMNS, HISTORY_COLUMNS, Results

GROUPS = tuple(
    f"ravdess.{kind}_sa_h64.definition.{protocol}.luna_jimenez_5" for protocol in ("strict", "paper") for kind in ("lstm", "reslstm")
)


@pytest.fixture
def rows() -> Results:
    """Two networks, two protocols, three actors: actor k gets 2 + k of 10 right, ResLSTM-SA one more, protocol paper one more."""
    base = dict.fromkeys(GROUP_COLUMNS, "") | {"corpus": "ravdess", "task": "emotion", "variant": "definition", "split": "luna_jimenez_5"}
    groups, counts = [], []
    for name in GROUPS:
        _, system, _, protocol, _ = name.split(".")
        extent = {"folds": 5, "seeds": 2, "profile": "full", "parameters": 46772 if system.startswith("res") else 29384}
        groups.append(base | extent | {"group": name, "system": system, "protocol": protocol})
        for seed in range(2):
            for actor in (1, 2, 3):
                right = 2 + actor + system.startswith("res") + (protocol == "paper")
                for truth, pair in (("calm", (right, 10 - right)), ("fear", (10 - right, right))):
                    counts.append(
                        dict(
                            zip(
                                ["group", "seed", "fold", "speaker", "truth", "calm", "fear"],
                                [name, seed, 0, str(actor), truth, *pair],
                                strict=True,
                            )
                        )
                    )
    epochs = [(g, e, q, e / 10, e / 20, e / 5, 1) for g in GROUPS for q in ("train_loss", "validation_uar") for e in (1, 2, 3)]
    runs = pd.DataFrame(
        [{"group": g, "finished_at": "2026-11-20 10:00", "device": "cpu", "code_commit": "abc", "code_clean": True} for g in GROUPS]
    )
    return Results(pd.DataFrame(groups), pd.DataFrame(counts), runs, pd.DataFrame(epochs, columns=HISTORY_COLUMNS))


@pytest.fixture
def case(rows) -> Case:
    return Case("stamp of the rows", "ravdess", "strict", rows.of(protocol="strict"), GROUPS[:2])


def test_per_speaker_names_the_best_and_the_worst_actor(case):
    page = classifiers.per_speaker([case]).data
    assert "from 40 % (actor 1) to 60 % (actor 3); above LSTM-SA-h64 for 3 of 3" in page
    assert "stamp of the rows" in page


def test_confusion_names_recalls(case):
    assert "best recall calm 50 %, worst calm 50 %" in classifiers.confusion([case]).data


def test_learning_curves_name_the_best_epoch(case):
    assert "ResLSTM-SA-h64 reaches a mean validation UAR of 30 % in epoch 3 of 3" in classifiers.learning_curves([case]).data


def test_price_is_paper_minus_strict(rows):
    page = classifiers.price_of_protocol([Source(STORED, rows)]).data
    assert "LSTM-SA-h64 +10.0 [" in page
    assert "Not run" in classifiers.price_of_protocol([]).data


def test_ours_lie_beside_the_published_points_only_if_they_were_run(rows):
    assert "Ours: LSTM-SA-h64 strict 40.0" in classifiers.score_against_parameters([Source(STORED, rows)]).data
    assert "Ours: not run" in classifiers.score_against_parameters([]).data


def test_nothing_to_draw_is_said():
    for draw in (classifiers.confusion, classifiers.per_speaker, classifiers.learning_curves):
        assert "Nothing to draw yet" in draw([]).data
    assert "Not run" in reslstm.trials(pd.DataFrame()).data


def test_signal_flow_says_where_the_attention_peaks():
    weights = [0.1, 0.6, 0.3]
    table = [("attention", f, 0.5 * f, 0, w) for f, w in enumerate(weights)] + [
        ("input", f, 0.5 * f, d, f - d) for f in range(3) for d in range(4)
    ]
    frame = pd.DataFrame(table, columns=["stage", "frame", "time_s", "dimension", "value"]).assign(
        item_id="x", truth="calm", prediction="fear"
    )
    assert "peaks at 0.50 s (frame 1) with weight 0.60, and half of it lies on 1 frames" in reslstm.signal_flow(frame, "stamp").data


def test_embeddings_and_trials_say_their_numbers():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(
        {"truth": ["calm", "fear"] * 4, "speaker": list("aabb") * 2, "space": ["embedding"] * 4 + ["averaged features"] * 4}
    )
    table = table.assign(pc_1=rng.normal(size=8), pc_2=rng.normal(size=8), explained_1=0.4, explained_2=0.2, silhouette=0.25)
    assert "4 test recordings of 2 speakers" in reslstm.embeddings(table, "stamp").data
    study = {"study": "ravdess.lstm_sa_h64.definition.luna_jimenez_5.validation", "trial": [0, 1], "state": ["complete", "pruned"]}
    said = reslstm.trials(pd.DataFrame(study | {"value": [0.5, 0.2], "learning_rate": [1e-3, 1e-4]})).data
    assert "Search on ravdess, scored on validation speakers: LSTM-SA-h64 2 trials, best 50.0 %." in said
