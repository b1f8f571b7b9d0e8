"""Page and figures of multi-time-scale convolution: what they say is what the rows and the published numbers say."""

import numpy as np
import pandas as pd
import pytest

from sercore import scale_usage, tempo
from sercore.errors import SpecError
from sercore.layers.kernel_scales import SCALE_SETS
from sercore.ledger.claims import load_claims
from sercore.pages import multi_time_scale as page
from sercore.pages import published_scales
from sercore.pages.overview import STORED, THIS_BUILD, Source, sources
from sercore.plots import multi_time_scale as figures
from sercore.provenance import Origin
from sercore.results import GROUP_COLUMNS, HISTORY_COLUMNS, RUN_COLUMNS, Results, publish

CHAPTER, SCALES = "ch04_multi_time_scale", "0.7_1_1.428"
EXTENT = {"emodb": ("emotion", "", "pairs_5", 5, 10), "fsdd": ("word", "k5x5", "word.leave_one_speaker_out", 6, 6)}


def name_of(corpus: str, system: str, scales: str = SCALES) -> tuple[str, str]:
    """(group, settings) as specs write them."""
    _, kernel, split, *_ = EXTENT[corpus]
    settings = "-".join(p for p in (scales if system.startswith("mts_") else "", kernel) if p)
    return ".".join(p for p in (corpus, system, settings, "definition.strict", split) if p), settings


def made(corpora=("emodb", "fsdd"), gain=2, seeds=5, profile="full", scale_sets=(SCALES,), stored=True) -> Results:
    """A1 standard and multi-time-scale: the second gets `gain` of 20 more right of every speaker, one more of the last speaker."""
    groups, counts, runs, specs = [], [], [], {}
    for corpus in corpora:
        task, _, split, folds, speakers = EXTENT[corpus]
        for system, scales in (("a1", ""), *(("mts_a1", s) for s in scale_sets)):
            group, settings = name_of(corpus, system, scales)
            better = gain if system != "a1" else 0
            extent = {"folds": folds, "seeds": seeds, "n_items": 40 * speakers, "n_speakers": speakers, "profile": profile, "parameters": 9}
            about = {"group": group, "chapter": CHAPTER, "corpus": corpus, "task": task, "system": system, "settings": settings}
            about |= {"variant": "definition", "protocol": "strict", "leaks": "", "split": split.split(".")[-1]}
            groups.append(dict.fromkeys(GROUP_COLUMNS) | about | extent)
            specs[group] = {"training": {"epochs": 15}}
            for seed in range(seeds):
                run = {"run_id": f"{group}/{seed}", "group": group, "fold": 0, "seed": seed, "status": "finished", "device": "cpu"}
                run |= {"code_commit": "0123456789", "code_clean": True, "finished_at": "2026-11-20 12:00", "data_fingerprint": "1a"}
                run |= {"best_epoch": 6 if better else 5, "seconds_per_epoch": 2.6 if better else 2.0, "threads": 1}
                runs.append(dict.fromkeys(RUN_COLUMNS) | run)
                for speaker in range(speakers):
                    right = 8 + seed % 2 + better + (speaker == speakers - 1 and better > 0)
                    for truth, pair in (("calm", (right, 20 - right)), ("fear", (20 - right, right))):
                        row = {"group": group, "seed": seed, "fold": 0, "speaker": str(speaker), "truth": truth}
                        counts.append(row | dict(zip(("calm", "fear"), pair, strict=True)))
    history = pd.DataFrame(columns=HISTORY_COLUMNS)
    return Results(pd.DataFrame(groups), pd.DataFrame(counts), pd.DataFrame(runs), history, specs, stored=stored)


def tempo_rows(corpus: str, kinds=(tempo.TEMPO, tempo.ROUND_TRIP)) -> pd.DataFrame:
    rows = []
    for system in ("a1", "mts_a1"):
        group, settings = name_of(corpus, system)
        for speaker in range(6):
            for kind in kinds:
                for factor in (0.8, 1.0, 1.25):
                    lost = 0 if factor == 1 or kind == tempo.ROUND_TRIP else 4 - 2 * (system == "mts_a1")
                    row = {"group": group, "system": system, "settings": settings, "run_id": f"{group}/0", "fold": 0, "seed": 0}
                    row |= {"speaker": str(speaker), "kind": kind, "factor": factor, "n": 20, "correct": 12 - lost, "same": 20 - lost}
                    rows.append(row | {"cut": int(factor == 0.8), "change": lost / 20, "cosine": 1 - lost / 20})
    return pd.DataFrame(rows, columns=tempo.COLUMNS)


def usage_rows(corpus: str) -> pd.DataFrame:
    group, settings = name_of(corpus, "mts_a1")
    rows = []
    shares = {scale_usage.TRAINED: (0.46, 0.08, 0.46), scale_usage.UNTRAINED: (0.44, 0.1, 0.46), scale_usage.NOISE: (0.33, 0.33, 0.34)}
    for kernels, each in shares.items():
        for seed in range(3):
            for factor, share in zip((0.7, 1.0, 1.428), each, strict=True):
                row = {"group": group, "system": "mts_a1", "settings": settings, "run_id": f"{group}/{seed}", "fold": 0, "seed": seed}
                row |= {"layer": "conv_1", "kernels": kernels, "factor": factor, "share": share + 0.01 * (seed - 1) * (factor - 1)}
                rows.append(row | {"share_in_sound": 1 / 3})
    return pd.DataFrame(rows, columns=scale_usage.COLUMNS)


def kernel_rows(corpus: str) -> pd.DataFrame:
    group, rng, rows = name_of(corpus, "mts_a1")[0], np.random.default_rng(0), []
    first = rng.normal(size=(10, 5))
    for stage, factor_of_weights in (("before", 1.0), ("after", 1.5)):
        for factor, length in ((0.7, 7), (1.0, 10), (1.428, 14)):
            for frame in range(length):
                for k in range(5):
                    value = factor_of_weights * first[min(frame, 9), k]
                    rows.append([group, f"{group}/0", "conv_1", 0, stage, factor, frame, k, value])
    return pd.DataFrame(rows, columns=["group", "run_id", "layer", "map", "stage", "factor", "frame", "bin", "value"])


@pytest.fixture
def stored(tmp_path, monkeypatch) -> list[Source]:
    """Rows with their further tables, published and read again."""
    monkeypatch.setenv("SERCORE_RESULTS", str(tmp_path))
    results = made(stored=False)
    results.extras = {
        name: pd.concat([make(corpus) for corpus in ("emodb", "fsdd")])
        for name, make in (("tempo", tempo_rows), ("usage", usage_rows), ("kernels", kernel_rows))
    }
    publish(CHAPTER, results)
    return sources(CHAPTER)


def source(**changes) -> list[Source]:
    return [Source(STORED, made(**changes))]


def test_the_answer_says_the_planted_gain():
    said = page.answer(source())
    emodb, fsdd = said.split(" On fsdd")
    # 2 of 20 more for everybody, 3 of 20 for the last of ten speakers: 0.1 + 0.1 * 0.05 = 10.5 points
    assert (
        "On emodb (400 recordings, 10 speakers, 5 folds, 5 seeds, strict) A1 MTS (0.7, 1, 1.428) has accuracy 52.5 % against 42.0 %" in said
    )
    assert "+10.5 [" in emodb
    assert emodb.count("higher") == 2
    assert "(240 recordings, 6 speakers, 6 folds, 5 seeds, strict) A1 MTS (0.7, 1, 1.428; kernel 5x5)" in fsdd


def test_what_was_not_run_in_full_is_said():
    assert page.answer([]) == "Not run in full on emodb. Not run in full on fsdd."
    quick = [Source(THIS_BUILD, made(stored=False))]
    assert page.answer(quick) == "Not run in full on emodb. Not run in full on fsdd."
    assert page.answer(source(profile="quick")).count("Not run in full") == 2
    assert page.answer(source(corpora=("fsdd",))).startswith("Not run in full on emodb. On fsdd")
    assert page.answer(source(scale_sets=("0.5_1_2",))).count("Not run in full") == 2


def test_too_few_seeds_decide_nothing():
    assert page.answer(source(seeds=4)).count("not decidable (too few speakers or seeds)") == 4
    assert "no difference shown" in page.answer(source(gain=0))


def test_pairs_are_corrected_inside_their_corpus_and_promises_are_shown():
    table = page.pairs(source(corpora=("fsdd",), scale_sets=(SCALES, "0.5_1_2"))).data
    assert table["system"].tolist()[:2] == ["A1 MTS (0.7, 1, 1.428; kernel 5x5)", "A1 MTS (0.5, 1, 2; kernel 5x5)"]
    assert table["p accuracy (Holm)"].iloc[0] == "0.031 (0.062)"  # the smallest that six speakers allow, twice
    assert table["smallest p"].iloc[0] == "0.031"
    assert table["speakers x seeds"].iloc[0] == "6 x 5"
    last = table.iloc[-1]
    assert (last["from"], last["corpus, protocol"], last["accuracy [95 %]"]) == ("promised", "emodb, strict", "not run")
    assert page.pairs([]).data["accuracy [95 %]"].eq("not run").all()


def test_epochs_stand_beside_the_published_ones():
    table = page.epochs_table(source()).data
    first, last = table.iloc[0], table.iloc[-1]
    assert (first["best epoch, standard"], first["best epoch, MTS"], first["ratio of epochs"]) == ("5.0", "6.0", "1.20")
    assert (first["ratio of time"], first["epochs at most"]) == ("1.30", "15")
    claims = load_claims("thesis").set_index("claim_id")["value"]
    assert last["best epoch, standard"] == claims["thesis.s4.3.epochs.standard"]
    assert claims["thesis.s4.3.epoch-time.5"] in last["ratio of time"]
    assert len(page.epochs_table([]).data) == 1


def test_published_gains_and_shares_are_those_of_the_claims():
    claims = load_claims("thesis").set_index("claim_id")["value"].to_dict()
    gains = published_scales.gains()
    assert len(gains) == 4 * 4 + 4 + 2 * 3 + 2 * 3
    one = gains[gains["ours"].eq("emodb") & gains["network"].eq("A1")].iloc[0]
    assert one["gain"] == pytest.approx(float(claims["thesis.t4.1.emodb.a1.mts"]) - float(claims["thesis.t4.1.emodb.a1.standard"]))
    assert one["n"] == float(claims["thesis.t4.1.emodb.n"])
    shares = published_scales.usage()
    mine = shares[shares["ours"].eq("fsdd")].set_index("factor")
    assert mine["share"][0.7] == float(claims["thesis.t4.4.fsdd.usage.0.7"])
    assert mine["factors"].iloc[0] == (0.7, 1.0, 1.428)
    assert shares[shares["ours"].eq("tess") & shares["table"].eq("Table 4.2")]["factors"].map(len).eq(5).all()


def test_sets_that_leave_a_kernel_no_length_are_named():
    table = page.buildable_table(("emodb",)).data.set_index("time factors")
    assert len(table) == len(SCALE_SETS)
    wide = table.loc["0.25, 1, 4"]
    assert (wide["A1"], wide["A4"]) == ("yes", "yes")
    assert wide["ResNet18"].startswith("no: stage_1 (3x3), time factor 0.25 leaves a kernel of length 3 no tap")
    assert table.loc["0.7, 1, 1.428", "ResNet18"] == "yes"
    with pytest.raises(SpecError, match="not in the grid"):
        page.buildable_table(("mnist",))


def test_stored_tables_are_drawn_from_the_files(stored):
    seen = page.tempo_seen(stored)
    assert [one.corpus for one in seen] == ["emodb", "fsdd"]
    assert seen[0].rows["settings"].isna().sum() == 0
    drawn = figures.accuracy_by_tempo(seen).data
    assert "A1: 40.0 % at 0.8, 60.0 % at 1, 40.0 % at 1.25" in drawn
    assert "A1 MTS (0.7, 1, 1.428): 50.0 % at 0.8" in drawn
    assert "cut at the end: 6 of 120 at 0.8." in drawn
    assert "what is lost is the vocoder" in drawn
    moved = figures.tempo_invariance(seen).data
    assert "Dotted: stretched there and back" in moved
    assert "A1 80.0 %; A1 MTS (0.7, 1, 1.428) 90.0 %" in moved
    assert "A1 MTS (0.7, 1, 1.428) +10.0 [" in moved
    kernels = figures.kernels(page.inside(stored)).data
    assert "7 frames (factor 0.7), 14 frames (factor 1.428)" in kernels
    assert "changed it by 50 % of its norm" in kernels
    assert "Nothing to draw" in figures.branches(page.inside(stored)).data


def test_shares_are_drawn_beside_the_control_and_the_published_ones(stored):
    seen = page.usage_seen(stored)
    drawn = figures.usage(seen).data
    assert "all points: 0.7 0.46 (0.44), 1 0.08 (0.10), 1.428 0.46 (0.46)" in drawn
    assert "without padding: 0.7 0.33 (0.33)" in drawn
    own = published_scales.usage_of("fsdd", (0.7, 1.0, 1.428))
    assert own["name"].unique().tolist() == ["thesis: FSDD, table 4.4"]
    assert set(published_scales.usage_of("synthetic", (0.7, 1.0, 1.428))["corpus"]) == {"EmoDb", "FSDD", "GSC"}
    assert published_scales.usage_of("emodb", (0.9, 1.0, 1.111)).empty


def test_gain_by_size_shows_ours_only_where_they_are_stored():
    assert "Ours: not run." in figures.gain_by_size([]).data
    assert "Ours: not run." in figures.gain_by_size([Source(THIS_BUILD, made(stored=False))]).data
    drawn = figures.gain_by_size(source(corpora=("emodb",))).data
    assert "A1 MTS (0.7, 1, 1.428) on emodb +10.5 [" in drawn
    assert "emotion, A1 to A4 +3.8 on average, 15 of 16 above zero" in drawn


def test_a_recording_in_the_layer_is_drawn_with_the_shares_of_its_branches():
    winner = np.zeros((20, 8), dtype=np.int8)
    winner[:5] = 2
    maps = np.stack([np.full((20, 8), value) for value in (1.0, 0.5, 0.8)])
    view = scale_usage.BranchView(
        "r", "item_1", "calm", "fear", (0.7, 1.0, 1.428), 0.01, 50.0, np.ones((29, 12)), maps, maps[0], winner, (4.5, 2.0)
    )
    seen = [page.Inside(view, kernel_rows("emodb"), "stamp of the run", Origin())]
    drawn = figures.branches(seen).data
    assert "item_1 (true: calm, answered: fear)" in drawn
    assert "the branches win 0.7 75 %, 1 0 %, 1.428 25 %" in drawn
    assert "stamp of the run" in drawn


def test_a_network_with_a_stride_shows_its_kernels_and_no_recording(monkeypatch):
    monkeypatch.setattr(scale_usage, "kernels", lambda run_id: kernel_rows("emodb"))
    rows = made(corpora=("emodb",), stored=False)
    for table in (rows.groups, rows.runs, rows.counts):
        table["group"] = table["group"].str.replace("mts_a1", "mts_a4")
    rows.groups["system"] = rows.groups["system"].str.replace("mts_a1", "mts_a4")
    seen = page.inside([Source(THIS_BUILD, rows)])
    assert [one.view for one in seen] == [None]
    assert "A4 MTS (0.7, 1, 1.428), fold 0, seed 0" in figures.kernels(seen).data


def test_nothing_to_draw_is_said():
    for draw in (figures.branches, figures.kernels, figures.usage, figures.accuracy_by_tempo, figures.tempo_invariance):
        assert draw([]).data.startswith("<p><em>No")
