"""What networks with and without anti-transfer know: which networks and recordings are looked at, and what is said of them."""

import html
import re
from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

from sercore import anti_transfer_inside as inside
from sercore import experiment, explain, initial_weights, prepare, probes
from sercore.anti_transfer_grid import specs, transfer_of
from sercore.anti_transfer_inside import ORTHOGONAL, UNTRAINED
from sercore.data.splits import split_plan
from sercore.errors import StoreError
from sercore.losses.permutation import BOTH, NEITHER, ONE
from sercore.pages.overview import STORED, THIS_BUILD, Source
from sercore.plots import anti_transfer_inside as figures
from sercore.results import Results, empty_results
from sercore.spec import RunSpec
from sercore.store import RunStore
from tests.anti_transfer_runs import planted, tiny_runs

LAST = "conv_13"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Corpora and rows of the speaker run and of four methods, and their networks."""
    with tiny_runs(tmp_path_factory.mktemp("store")) as (corpora, results), pytest.MonkeyPatch.context() as patch:
        patch.setattr(inside, "MOST_EXPLAINED", 2)
        yield corpora, results, inside.networks_of(results, "synthetic")


@pytest.fixture(scope="module")
def networks(tiny):
    return tiny[2]


def runs(results, corpus="synthetic"):
    """Method -> (run id, specification), read without the module."""
    rows = results.of(corpus=corpus).runs.to_dict("records")
    found = [(run["run_id"], RunSpec.of_group(results.specs[run["group"]], run["fold"], run["seed"])) for run in rows]
    return {transfer_of(spec).method: (run_id, spec) for run_id, spec in found}


def saved(run_id):
    return initial_weights.read(RunStore().path(run_id) / "weights.safetensors")


def alts(shown):
    return [html.unescape(text) for text in re.findall(r'alt="([^"]*)"', shown.data)]


# networks and recordings


def test_recordings_are_of_speakers_from_which_no_network_has_learned(tiny):
    corpora, results, networks = tiny
    heard = set()
    for corpus, each in (("synthetic", runs(results)), ("synthetic_others", runs(results, "synthetic_others"))):
        for _, spec in each.values():
            items = corpora[corpus].items.set_index("item_id", drop=False)
            plan = split_plan(corpora[corpus].items, spec.split, spec.leaks, spec.data.task)
            heard |= set(items.loc[list(plan.train), "speaker"])
    assert len(heard) == 4 + 8
    assert heard.isdisjoint(networks.items["speaker"])
    assert networks.items["speaker"].nunique() == 4
    plan = split_plan(corpora["synthetic"].items, networks.spec.split, (), "emotion")
    assert sorted(networks.items["item_id"]) == sorted([*plan.validation, *plan.test])


def test_frames_are_the_first_segments_of_those_recordings_without_their_padding(tiny):
    corpora, _, networks = tiny
    prepared = prepare.prepare(networks.spec, corpora["synthetic"])
    sides = (prepared.validation, prepared.test)
    by_name = {name: frames for side in sides for name, frames in zip(side.ids, side.frames, strict=True)}
    assert any(name.endswith("#1") for name in by_name)
    for item, frames, length in zip(networks.items["item_id"], networks.frames, networks.lengths, strict=True):
        assert np.array_equal(frames, by_name[f"{item}#0"])
        assert length <= 63  # 1 s every 16 ms
        assert np.ptp(frames[length:]) == 0
        assert np.ptp(frames[length - 1]) > 0
    assert max(networks.lengths) == 63
    assert (networks.hop_s, networks.bin_hz) == (0.016, 62.5)
    assert networks.labels == prepared.labels


def test_more_recordings_than_are_looked_at_are_thinned_evenly(tiny, monkeypatch):
    _, results, networks = tiny
    monkeypatch.setattr(inside, "MOST_PROBED", 10)
    fewer = inside.networks_of(results, "synthetic")
    assert fewer.items["item_id"].tolist() == networks.items["item_id"].tolist()[::3]
    assert len(fewer.frames) == len(fewer.lengths) == 8


def test_networks_are_those_of_their_runs_and_the_task_that_of_anti_transfer(tiny):
    _, results, networks = tiny
    assert list(networks.by_name) == [UNTRAINED, "none", "wi", "at", "at_random", ORTHOGONAL]
    (speakers,) = (run_id for run_id, _ in runs(results, "synthetic_others").values())
    wanted = {name: run_id for name, (run_id, _) in runs(results).items()} | {ORTHOGONAL: speakers}
    for name, run_id in wanted.items():
        theirs, mine = saved(run_id), networks.by_name[name].state_dict()
        assert all(torch.equal(theirs[key], value) for key, value in mine.items())
        assert not networks.by_name[name].training
    assert networks.tap == "conv_3"
    assert set(networks.groups) == {spec.group for _, spec in runs(results).values()}


def test_the_untrained_network_is_the_one_that_the_run_without_transfer_began_with(tiny, tmp_path, monkeypatch):
    _, results, networks = tiny

    class StartedError(Exception):
        pass

    def started(model, *args, **kwargs):
        raise StartedError({name: value.clone() for name, value in model.state_dict().items()})

    monkeypatch.setattr(experiment.train, "fit", started)
    spec = runs(results)["none"][1]
    with pytest.raises(StartedError) as stopped:
        experiment.run_one(spec, store=RunStore(tmp_path))
    first, mine = stopped.value.args[0], networks.by_name[UNTRAINED].state_dict()
    assert list(first) == list(mine)
    assert all(torch.equal(first[name], mine[name]) for name in mine)
    assert not torch.equal(mine["conv_1.weight"], networks.by_name["none"].state_dict()["conv_1.weight"])


def test_looking_leaves_the_random_state_alone(tiny):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    inside.networks_of(tiny[1], "synthetic")
    assert torch.equal(torch.get_rng_state(), before)


def test_runs_of_other_tasks_sizes_taps_and_protocols_are_not_mixed_in():
    """RAVDESS is a target, and its speakers are the task of EmoDB: in that run its test speakers are heard."""
    kept = {"systems": ["vgg16_pool"], "folds": 2, "seeds": 2}
    words = specs("emodb", "full", methods=["none", "at"], **kept)
    whole = specs("ravdess", "full", methods=["none", "wi", "at"], size="whole", **kept)
    wanted = specs("ravdess", "full", methods=["none", "at", "at_random"], taps=["conv_5", "conv_2"], **kept)
    paper = specs("ravdess", "full", methods=["none", "at"], protocol="paper", **kept)
    every = [*words, *paper, *wanted, *whole]
    each = list({s.group: s for s in every if (s.split.fold, s.seed) == (0, 0)}.values())
    assert each[0].data.corpus == "ravdess"
    found = inside.runs_of(planted(each, {}), "ravdess")
    assert list(found) == ["none", "at", "at_random"]
    assert {(spec.data.task, spec.model.width, spec.protocol) for _, spec in found.values()} == {("emotion", 1 / 8, "strict")}
    assert {transfer_of(spec).tap for _, spec in found.values()} == {"", "conv_5"}
    assert {run_id.rpartition("/")[2] for run_id, _ in found.values()} == {"0"}
    assert inside.runs_of(planted([s for s in each if s.anti_transfer is None], {}), "ravdess") == {}
    assert inside.runs_of(planted(each, {}), "mnist") == {}


def test_a_method_that_is_missing_is_named(tiny):
    results = tiny[1]
    found = runs(results)
    for method, missing in (("at", "none"), ("none", "at")):
        only = results.of(group=[found[method][1].group])
        with pytest.raises(StoreError, match=f"no strict run of synthetic with method {missing}, fold 0 and seed 0 is at hand"):
            inside.networks_of(only, "synthetic")


# read-outs and renumbered channels


def test_read_outs_are_of_every_network_at_the_tap_and_at_the_last_convolution(networks):
    rows = inside.probe_rows(networks, permutations=2)
    assert rows.columns.tolist() == probes.COLUMNS
    inner = rows[rows["network"].ne(probes.NO_NETWORK)]
    assert list(dict.fromkeys(inner["network"])) == list(inside.READ_OUT)
    assert list(dict.fromkeys(inner["tap"])) == ["conv_3", LAST]
    assert {"speaker", "emotion"} <= set(rows["factor"])
    assert rows["n_items"].eq(len(networks.frames)).all()
    speaker = inner[inner["factor"].eq("speaker") & inner["tap"].eq("conv_3")].set_index("network")
    summaries = probes.summaries(networks.by_name["at"], ["conv_3"], networks.frames)["conv_3"]
    alone = probes.read_out(summaries, networks.items, "speaker", "text", permutations=2)
    assert speaker.loc["at", "score"] == alone["score"]
    gram = inside.probe_rows(networks, "gram", permutations=1)
    assert set(gram["tap"]) == {probes.INPUT, "conv_3"}


def test_a_factor_that_cannot_be_told_from_its_groups_is_left_out(networks):
    items = networks.items.copy()
    factors = {"speaker": "text", "text": "speaker", "emotion": "speaker"}
    assert all(inside._told_apart(items.assign(text=["a", "b"] * 12), *pair) for pair in factors.items())
    one_each = items.assign(text=items["speaker"])
    assert not inside._told_apart(one_each, "speaker", "text")
    alone = items.assign(emotion=["fear", *items["emotion"][1:]])
    assert not inside._told_apart(alone, "emotion", "speaker")
    assert not inside._told_apart(items.assign(emotion=""), "emotion", "speaker")
    assert not inside._told_apart(items.assign(speaker="s01"), "emotion", "speaker")
    bare = inside.Networks(**{**vars(networks), "items": items.assign(text="one", emotion="")})
    assert inside.probe_rows(bare, permutations=1).empty


def test_renumbering_changes_the_loss_and_nothing_changes_when_both_are_renumbered(networks):
    found = {words: pd.DataFrame(rows) for words, rows in inside.permutation_rows(networks, permutations=3).items()}
    assert list(found) == ["network without transfer and orthogonal task", "orthogonal task and itself"]
    for table in found.values():
        for _, part in table.groupby("variant"):
            value = {kind: rows["value"].to_numpy() for kind, rows in part.groupby("permuted")}
            assert len(value[ONE]) == 3
            assert value[BOTH] == pytest.approx(value[NEITHER][0])
            assert np.abs(value[ONE] - value[NEITHER][0]).max() > 1e-3
    itself = found["orthogonal task and itself"]
    assert itself.loc[itself["permuted"].eq(NEITHER), "value"].tolist() == pytest.approx([1, 1])
    x = torch.from_numpy(np.stack(networks.frames[:8]))
    with torch.no_grad():
        grams = [
            (f @ f.transpose(1, 2)).flatten(1)
            for f in (networks.by_name[name].signals(x)["conv_3"].flatten(2).double() for name in ("none", ORTHOGONAL))
        ]
    table = found["network without transfer and orthogonal task"]
    before = table.loc[table["permuted"].eq(NEITHER) & table["variant"].eq("definition"), "value"].item()
    assert before == pytest.approx(float(torch.cosine_similarity(*grams).square().mean()))
    without = inside.Networks(**{**vars(networks), "by_name": {k: v for k, v in networks.by_name.items() if k != ORTHOGONAL}})
    assert inside.permutation_rows(without, permutations=1) == {}


# explanations


def test_maps_are_of_the_class_that_each_network_answers(networks):
    found = inside.explained(networks)
    first = int(networks.items["item_id"].to_numpy().argmin())
    assert found.item_id == min(networks.items["item_id"])
    assert np.array_equal(found.spectrogram, networks.frames[first])
    assert (found.n_frames, found.tap) == (networks.lengths[first], LAST)
    assert list(found.maps) == ["none", "wi", "at", "at_random", ORTHOGONAL]
    x = torch.from_numpy(found.spectrogram)[None]
    for name, (raw, label, chance) in found.maps.items():
        with torch.no_grad():
            chances = networks.by_name[name](x).softmax(1)[0]
        best = int(chances.argmax())
        assert chance == pytest.approx(float(chances.max()))
        assert label == (f"class {best + 1} of 8" if name == ORTHOGONAL else networks.labels[best])
        assert np.allclose(raw, explain.grad_cam(networks.by_name[name], x, LAST, best)[0])
        assert raw.min() >= 0


def test_sanity_and_curves_are_of_both_networks_and_the_true_classes(networks):
    randomised = inside.randomised(networks)
    assert list(dict.fromkeys(randomised["network"])) == ["none", "at"]
    assert randomised["item"].nunique() == 2
    trained = randomised.loc[randomised["layer"].eq("trained"), "correlation"].dropna()
    assert trained.to_numpy() == pytest.approx(np.ones(len(trained)))
    curves = inside.curves(networks)
    assert set(curves["curve"]) == {"deletion", "insertion"}
    spread = [0, len(networks.frames) // 2]
    for name, part in curves.groupby("network"):
        x = torch.from_numpy(np.stack([networks.frames[k] for k in spread]))
        with torch.no_grad():
            chances = networks.by_name[name](x).softmax(1)
        truth = [networks.labels.index(networks.items["emotion"].iloc[k]) for k in spread]
        whole = part[part["curve"].eq("deletion") & part["fraction"].eq(0) & part["order"].eq("explanation")].set_index("item")["score"]
        if len(whole) == 2:  # no map is flat
            assert whole.to_numpy() == pytest.approx([float(chances[k, label]) for k, label in enumerate(truth)], rel=1e-5)


# figures


def test_figures_say_what_the_networks_hold(tiny, monkeypatch):
    _, results, networks = tiny
    rows = inside.probe_rows(networks, permutations=1)
    monkeypatch.setattr(inside, "probe_rows", lambda *args: rows)
    (one,) = figures.seen([Source(THIS_BUILD, results), Source(STORED, results)])
    assert one.stamp.endswith("; fold 0, seed 0, 24 recordings of unseen speakers")
    assert {group["group"] for group in one.origin.groups} == set(networks.groups)
    score = rows[rows["network"].eq("at") & rows["factor"].eq("speaker")].set_index("tap")["score"]
    said = alts(figures.read_outs([], [one]))
    assert len(said) == 2
    assert f"speaker, anti-transfer: conv_3 {100 * score['conv_3']:.0f} %, {LAST} {100 * score[LAST]:.0f} %" in said[0]
    assert "speaker, no transfer: " in said[0]
    (renumbered,) = alts(figures.renumbered([one]))
    assert "orthogonal task and itself, definition: 1.000 before" in renumbered
    found = inside.explained(networks)
    (maps,) = alts(figures.grad_cam([one]))
    assert maps.startswith(f"Where networks look in {found.item_id}. no transfer (for {found.maps['none'][1]}): ")
    assert f"orthogonal task (for {found.maps[ORTHOGONAL][1]}): " in maps


def test_curves_and_areas_are_of_the_same_rows(networks, monkeypatch):
    one = figures.Seen(networks, "a stamp", figures.Origin())
    ends = {"deletion": (0.8, 0.2), "insertion": (0.2, 0.8)}
    rows = []
    for name, curve, order in product(("none", "at"), ends, ("explanation", "shuffled")):
        for fraction, score in zip((0.0, 1.0), ends[curve], strict=True):
            row = {"item": 0, "curve": curve, "order": order, "draw": 0, "fraction": fraction, "network": name}
            rows.append(row | {"score": score + 0.1 * (order == "shuffled")})
    monkeypatch.setattr(inside, "curves", lambda *args: pd.DataFrame(rows))
    (alt,) = alts(figures.deleted([one]))
    assert "anti-transfer: deletion 0.50 (shuffled 0.60), insertion 0.50 (shuffled 0.60)" in alt
    table = figures.areas_table([one]).data
    assert table["network"].unique().tolist() == ["no transfer", "anti-transfer"]
    assert table["mean area"].tolist() == ["0.500", "0.600"] * 4
    monkeypatch.setattr(inside, "curves", lambda *args: pd.DataFrame())
    assert figures.areas_table([one]).data.startswith("<p><em>Not run: no map ranks anything.")
    assert figures.deleted([one]).data.startswith("<p><em>Not run")
    drawn = pd.DataFrame({"draw": 0, "depth": [0, 1, 0, 1], "layer": ["trained", "logits"] * 2, "tap": LAST, "item": 0})
    drawn = drawn.assign(correlation=[1.0, 0.25, 1.0, -0.5], network=["none", "none", "at", "at"])
    monkeypatch.setattr(inside, "randomised", lambda *args: drawn)
    (alt,) = alts(figures.sanity([one]))
    assert "no transfer: 0.25 with logits drawn" in alt
    assert "anti-transfer: -0.50 with logits drawn" in alt


def test_published_read_outs_are_drawn_without_the_networks():
    found = specs("emodb", "full", systems=["vgg16_pool"], methods=["none", "at"], folds=1, seeds=1)
    results: Results = planted(found, {})
    row = dict.fromkeys(probes.COLUMNS, 0.5) | {"network": "at", "tap": "conv_5", "summary": "gram", "factor": "speaker"}
    row |= {"grouped_by": "text", "n_items": 9, "n_groups": 5, "n_classes": 4, "score": 0.625, "low": 0.5, "high": 0.75}
    results.extras["probes"] = pd.DataFrame([row | {"corpus": "emodb"}])
    shown = figures.read_outs([Source(STORED, results)], [])
    assert "speaker, anti-transfer: conv_5 62 %" in alts(shown)[0]
    assert {group["group"] for group in shown.origin.groups} == {s.group for s in found if s.data.corpus == "emodb"}
    assert "stored full runs: emodb" in shown.data


def test_nothing_at_hand_is_said():
    draw = (figures.renumbered, figures.grad_cam, figures.sanity, figures.deleted)
    for shown in (*(one([]) for one in draw), figures.read_outs([], []), figures.areas_table([])):
        assert shown.data.startswith("<p><em>Not run: no ")
    none = specs("emodb", "full", systems=["vgg16_pool"], methods=["none", "wi"], folds=1, seeds=1)
    assert figures.seen([Source(THIS_BUILD, planted(none, {}, stored=False))]) == []
    assert figures.seen([Source(STORED, planted(none, {}))]) == []


# the verdict


@pytest.mark.parametrize(("score", "says"), [(0.5, "the intervals overlap"), (0.2, "the intervals are apart")])
def test_one_network_of_each_decides_nothing_and_its_intervals_are_told(score, says):
    about = {"tap": "conv_5", "summary": "gram", "factor": "speaker", "corpus": "emodb"}
    rows = [about | {"network": name, "score": at, "low": at - 0.1, "high": at + 0.1} for name, at in (("none", 0.55), ("at", score))]
    said = figures.answer([Source(STORED, replace(empty_results(), extras={"probes": pd.DataFrame(rows)}))])
    assert f"anti-transfer {100 * score:.0f} [{100 * (score - 0.1):.0f}, {100 * (score + 0.1):.0f}] %" in said
    assert says in said
    assert said.endswith("is not decidable.")
    assert figures.answer([]) == "Read-outs on emodb: not run."
