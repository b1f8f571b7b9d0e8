"""Anti-transfer from specs to runs: parents, caches, controls, segments; what cannot work is refused before training."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from sercore import batching, initial_weights, models, orthogonal, prepare, signals
from sercore.errors import LeakError, SpecError, StoreError
from sercore.experiment import _accuracy, run_one
from sercore.features.cache import frames_of, segments_of
from sercore.pretraining import heard_before
from sercore.spec import AntiTransferSpec, FeatureSpec, RunSpec, SplitSpec
from sercore.store import RunStore
from sercore.sweep import run_all
from tests.anti_transfer_runs import AT, FEATURES, SPEAKERS, TRAINING, few_recordings, spec


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Few recordings of both synthetic corpora, and a store in which the speaker run is finished."""
    with few_recordings(tmp_path_factory.mktemp("store")) as corpora:
        store = RunStore()
        yield {"store": store, "speakers": run_one(SPEAKERS, store=store), "corpora": corpora}


def term(run, world):
    """Term, similarities and model of a run, as the run would make them."""
    prepared = prepare.prepare(run, world["corpora"]["synthetic"])
    torch.manual_seed(0)
    model = models.build_for(run, 32, len(prepared.labels), 64)
    made, similar = orthogonal.term_of(run, prepared, model, [world["speakers"]["run_id"]], world["store"], torch.device("cpu"))
    return made, similar, model, prepared


def test_recordings_are_cut_into_segments_that_answer_together(world):
    run = spec()
    prepared = prepare.prepare(run, world["corpora"]["synthetic"])
    counts = np.bincount(prepared.train.recordings)
    assert counts.min() >= 1
    assert counts.max() > 1
    assert len(prepared.train.frames) == counts.sum() == len(prepared.train.labels) == len(set(prepared.train.ids))
    assert {frames.shape for frames in prepared.train.frames} == {(64, 32)}
    item = world["corpora"]["synthetic"].items.set_index("item_id", drop=False).loc[prepared.plan.train[0]]
    samples, rate = world["corpora"]["synthetic"].waveform(item)
    whole = frames_of(samples, rate, FEATURES)
    assert len(segments_of(whole, FEATURES)) == counts[0] == -(-len(samples) // rate)
    mine = prepared.normaliser.apply(segments_of(whole, FEATURES))
    assert np.array_equal(mine[1], prepared.train.frames[1])
    logits = np.arange(2.0 * len(prepared.test.frames)).reshape(-1, 2)
    pooled = batching.by_recording(logits, prepared.test.recordings)
    assert len(pooled) == len(prepared.plan.test)
    assert pooled[-1] == pytest.approx(logits[prepared.test.recordings == len(pooled) - 1].mean(axis=0))


@pytest.mark.parametrize("whole", [False, True])
def test_the_accuracy_of_the_sides_that_are_learned_from_is_of_recordings_at_the_chosen_epoch(world, whole):
    """Of recordings that are cut, and of whole ones by a network for those; the record is set against answers one by one."""
    frames = {"features": FeatureSpec(), "model": {"name": "lstm_sa_h32", "width": 1.0, "dropout": 0.3}} if whole else {}
    run = spec(**frames)
    record = run_one(run, store=world["store"])
    prepared = prepare.prepare(run, world["corpora"]["synthetic"])
    model, _, _ = signals.load_network(record["run_id"], world["store"])
    for name, side in (("train", prepared.train), ("validation", prepared.validation)):
        of = np.arange(len(side.frames)) if side.recordings is None else side.recordings
        right = []
        for recording in range(of.max() + 1):
            parts = [torch.from_numpy(side.frames[k])[None] for k in np.flatnonzero(of == recording)]
            with torch.no_grad():
                answer = torch.stack([model(part, torch.tensor([part.shape[1]]))[0] for part in parts]).mean(0).argmax()
            right.append(int(answer) == side.labels[of == recording][0])
        assert record[f"{name}_accuracy"] == pytest.approx(np.mean(right))
    assert record["items"]["train"] == 24


def test_a_recording_of_many_segments_counts_once_with_its_own_label():
    """Recordings of 2, 1 and 3 segments; the network answers with the first value of a frame, and is right where logits are pooled."""

    class First(torch.nn.Module):
        def forward(self, x, lengths):
            return torch.stack([1 - x[:, 0, 0], x[:, 0, 0]], dim=1)

    frames = [np.full((2, 1), value, np.float32) for value in (0.0, 0.2, 1.0, 1.0, 0.0, 0.1)]
    side = batching.Examples(frames, np.array([0, 0, 1, 0, 0, 0]), np.array([0, 0, 1, 2, 2, 2]))
    assert _accuracy(First(), side, torch.device("cpu"), 0) == 1


def test_a_run_with_segments_scores_recordings_and_is_seen_again(world):
    record = run_one(spec(), store=world["store"])
    predictions = world["store"].predictions(record["run_id"])
    assert len(predictions) == record["items"]["test"] == predictions["item_id"].nunique()
    seen = signals.replay(record["run_id"], store=world["store"])
    assert seen.recordings.max() + 1 == len(predictions)


def test_anti_transfer_lowers_the_similarity_and_beta_minus_one_raises_it(world):
    """Same seed, same batches: only the sign differs, and the tapped features go apart or together."""
    training = TRAINING.model_copy(update={"epochs": 6, "learning_rate": 3e-3})
    found = {}
    for beta in (20.0, -20.0):
        run = spec(training=training, parents=(SPEAKERS,), anti_transfer=AT.model_copy(update={"beta": beta}))
        record = run_one(run, store=world["store"])
        made, _, model, prepared = term(run, world)
        model.load_state_dict(
            {k: v for k, v in load_file(world["store"].path(record["run_id"]) / "weights.safetensors").items() if "normaliser" not in k}
        )
        x, lengths = batching.padded(prepared.train.frames)
        with torch.no_grad():
            ((_, found[beta]),) = made.loss.similarities(model.eval().signals(x, lengths), x, lengths, prepared.train.ids).items()
        history = world["store"].history(record["run_id"])
        assert {"train_loss", "added_loss", "validation_loss"} <= set(history.columns)
        assert history["added_loss"].iloc[-1] < history["added_loss"].iloc[0]
    assert float(found[20.0]) < float(found[-20.0]) - 0.2


def test_the_term_is_the_loss_of_the_frozen_parent_and_its_cache_is_the_same(world):
    run = spec(parents=(SPEAKERS,), anti_transfer=AT)
    made, similar, model, prepared = term(run, world)
    assert list(similar) == ["speaker of synthetic_others@conv_3"]
    chosen = np.array([3, 1, 8])
    x, lengths = batching.padded([prepared.train.frames[i] for i in chosen])
    cached = made(model.signals(x, lengths), x, lengths, chosen)
    frozen, _, _ = signals.load_network(world["speakers"]["run_id"], world["store"])
    mine, theirs = (net.signals(x, lengths)["conv_3"].flatten(2).double() for net in (model, frozen))
    grams = [(f @ f.transpose(1, 2)).flatten(1) for f in (mine, theirs)]
    assert float(cached) == pytest.approx(float(torch.cosine_similarity(*grams).square().mean()), rel=1e-4)
    uncached = spec(parents=(SPEAKERS,), anti_transfer=AT.model_copy(update={"taps": ("conv_3", "conv_5")}))
    both = term(uncached, world)[0].loss.similarities(model.signals(x, lengths), x, lengths)
    assert float(both["speaker of synthetic_others", "conv_3"]) == pytest.approx(float(cached), rel=1e-4)


def test_against_random_needs_no_parent_and_draws_anew_for_each_seed(world):
    control = AT.model_copy(update={"against": "random"})
    values = []
    for seed in (0, 0, 1):
        made, similar, *_ = term(spec(seed=seed, anti_transfer=control), world)
        values.append(similar["random@conv_3"])
    assert values[0] == values[1] != values[2]
    assert run_one(spec(anti_transfer=control), store=world["store"])["similarity_before"]


def test_weights_of_the_parent_start_a_run_and_frozen_ones_stay(world):
    run = spec(parents=(SPEAKERS,), model={"initial_weights": "parent_features", "frozen_until": "conv_3"})
    record = run_one(run, store=world["store"])
    theirs, mine = (
        initial_weights.read(world["store"].path(name) / "weights.safetensors") for name in (world["speakers"]["run_id"], record["run_id"])
    )
    for name in ("conv_1.weight", "conv_3.bias"):
        assert torch.equal(theirs[name], mine[name])
    assert not torch.equal(theirs["conv_4.weight"], mine["conv_4.weight"])
    assert record["frozen_parameters"] == sum(mine[f"conv_{k}.{part}"].numel() for k in (1, 2, 3) for part in ("weight", "bias"))
    free = run_one(spec(parents=(SPEAKERS,), model={"initial_weights": "parent_features"}), store=world["store"])
    assert not torch.equal(
        theirs["conv_1.weight"], initial_weights.read(world["store"].path(free["run_id"]) / "weights.safetensors")["conv_1.weight"]
    )


def test_dual_anti_transfer_is_two_runs_and_the_second_follows_the_first(world):
    first = spec(seed=1, fold=2, parents=(SPEAKERS,), anti_transfer=AT)
    words = spec("synthetic_others", "word", "speakers_4")
    dual = spec(seed=1, fold=2, model={"initial_weights": "parent_features"}, parents=(first, words), following=(0,), anti_transfer=AT)
    assert dual.settings == "w0.03125-wi_emotion_synthetic_at_conv_3_speaker_synthetic_others-at_conv_3_word_synthetic_others"
    done = run_all([dual], store=world["store"], progress=False)
    assert (done.ran + done.found, len(done.failed)) == (3 + 1, 0)
    other = RunSpec.of_group(dual.group_form(), fold=3, seed=7)
    assert (other.parents[0].split.fold, other.parents[0].seed) == (3, 7)
    assert (other.parents[0].parents[0], other.parents[1]) == (SPEAKERS, words)
    assert other.group_form() == dual.group_form()
    assert RunSpec.of_group(dual.group_form(), fold=2, seed=1) == dual
    with pytest.raises(ValueError, match="following names parent 0"):
        spec(seed=2, fold=2, model={"initial_weights": "parent_features"}, parents=(first, words), following=(0,), anti_transfer=AT)


def test_a_parent_that_has_heard_the_test_side_is_refused_unless_declared(world):
    within = spec("synthetic", "speaker", "within_speakers_5")
    run = spec(parents=(within,), anti_transfer=AT)
    run_one(within, store=world["store"])
    with pytest.raises(LeakError, match=r"has heard 12 of 12 test recordings; speakers s01, s05"):
        run_one(run, store=world["store"])
    declared = spec(parents=(within,), anti_transfer=AT, leaks=("pretraining_overlap",))
    assert ".leaks-pretraining_overlap." in declared.group
    record = run_one(declared, store=world["store"])
    assert "pretraining_overlap" in record["overlaps_found"]
    corpus = world["corpora"]["synthetic"]
    tested = prepare.prepare(run, corpus).plan.test
    assert heard_before(spec(parents=(SPEAKERS,), anti_transfer=AT), corpus, tested) == []
    same_fold = spec("synthetic", "word", "speakers_4")
    assert heard_before(spec(parents=(same_fold,), anti_transfer=AT), corpus, tested) == []
    nested = spec(parents=(spec("synthetic_others", model={"initial_weights": "parent"}, parents=(within,)),), anti_transfer=AT)
    assert [len(heard.item_ids) for heard in heard_before(nested, corpus, tested)] == [12]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"anti_transfer": AntiTransferSpec(taps=("conv_99",))}, "no tap of VGG16 is called conv_99; taps: input, conv_1"),
        ({"anti_transfer": AntiTransferSpec(taps=("input",))}, "no gradient reaches input"),
        ({"anti_transfer": AT, "model": {"width": 1 / 16}}, "unlike|shape|channels"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_refused_before_training(world, change, says):
    run = spec(parents=(SPEAKERS,), **change)
    with pytest.raises(SpecError, match=says):
        run_one(run, store=world["store"])


def test_maps_fit_networks_of_another_input_size_and_hidden_layers_do_not(world):
    unpooled, larger = {"name": "vgg16"}, FEATURES.model_copy(update={"segment_s": 2.0, "segment_frames": 128})
    parent = spec("synthetic_others", "speaker", "within_speakers_5", model=unpooled)
    run_one(parent, store=world["store"])
    run = {"parents": (parent,), "model": unpooled, "features": larger}
    assert run_one(spec(anti_transfer=AT, **run), store=world["store"])["similarity_before"]
    with pytest.raises(SpecError, match=r"hidden_1.weight is \(128, 32\) in the orthogonal task's run and \(128, 64\) here"):
        run_one(spec(anti_transfer=AntiTransferSpec(taps=("hidden_1",)), **run), store=world["store"])


def test_a_parent_that_is_no_network_or_cannot_be_read_is_refused(world, tmp_path):
    majority = spec(
        "synthetic_others", "speaker", "within_speakers_5", model={"name": "majority_class", "width": 1.0}, features=FeatureSpec()
    )
    run_one(majority, store=world["store"])
    with pytest.raises(StoreError, match="majority_class"):
        run_one(spec(parents=(majority,), anti_transfer=AT), store=world["store"])


def test_specs_that_say_nothing_whole_are_refused():
    with pytest.raises(ValueError, match="needs the run of an orthogonal task"):
        spec(anti_transfer=AT)
    with pytest.raises(ValueError, match="used for nothing"):
        spec(parents=(SPEAKERS,))
    with pytest.raises(ValueError, match="finite number"):
        AntiTransferSpec(taps=("conv_1",), beta=float("nan"))
    with pytest.raises(ValueError, match="named once"):
        AntiTransferSpec(taps=("conv_1", "conv_1"))
    with pytest.raises(ValueError, match="frozen_until keeps"):
        spec(model={"frozen_until": "conv_1"})
    with pytest.raises(ValueError, match="go together"):
        FeatureSpec(kind="stft", segment_s=4)


def test_training_that_diverges_stops_with_a_typed_record(world):
    huge = AntiTransferSpec(taps=("conv_3", "conv_4", "conv_5"), beta=3e38, against="random", measure="sigmoid_mse")
    done = run_all([spec(anti_transfer=huge)], store=world["store"], progress=False)
    assert [failure["kind"] for failure in done.failed] == ["diverged"]
    assert "epoch" in done.failed[0]["message"]


def test_speakers_are_on_every_side_and_equal_audio_on_one(world):
    corpus = world["corpora"]["synthetic_others"]
    items = corpus.items.copy()
    items.loc[1, "audio_id"] = items.loc[0, "audio_id"]
    plans = [prepare.split_plan(items, SplitSpec(scheme="within_speakers_5", fold=fold), (), "speaker") for fold in range(5)]
    assert sorted(item for plan in plans for item in plan.test) == sorted(items["item_id"])
    for plan in plans:
        assert set(items[items["item_id"].isin(plan.train)]["speaker"]) == set(items["speaker"])
        sides = [set(plan.train), set(plan.validation), set(plan.test)]
        assert any({items["item_id"][0], items["item_id"][1]} <= side for side in sides)
    with pytest.raises(LeakError, match="speaker"):
        prepare.split_plan(items, SplitSpec(scheme="within_speakers_5"), (), "emotion")


def test_a_recurrent_network_is_kept_unlike_one_too(world):
    model = {"name": "reslstm_sa_h32", "width": 1.0}
    plain = {"model": model, "features": FeatureSpec()}
    parent = spec("synthetic_others", "speaker", "within_speakers_5", **plain)
    run = spec(parents=(parent,), anti_transfer=AntiTransferSpec(taps=("lstm_2",)), **plain)
    done = run_all([run], store=world["store"], progress=False)
    assert not done.failed
    assert 0 < done.records[0]["similarity_before"]["speaker of synthetic_others@lstm_2"] <= 1


def test_weights_of_a_network_that_fits_in_part_only_are_refused(world, tmp_path):
    file = tmp_path / "weights.safetensors"
    model = models.build_for(spec(), 32, 3, 64)
    theirs = initial_weights.read(world["store"].path(world["speakers"]["run_id"]) / "weights.safetensors")
    assert len(initial_weights.take_over(model, world["store"].path(world["speakers"]["run_id"]) / "weights.safetensors", True)) == 26
    save_file({name: value for name, value in theirs.items() if name != "conv_7.bias"}, file)
    with pytest.raises(SpecError, match=r"conv_7.bias is not in the parent"):
        initial_weights.take_over(models.build_for(spec(), 32, 3, 64), file, features_only=True)
    with pytest.raises(SpecError, match="no tap 'conv_77'"):
        initial_weights.freeze_until(model, "conv_77", *batching.padded([np.zeros((64, 32), np.float32)]))
