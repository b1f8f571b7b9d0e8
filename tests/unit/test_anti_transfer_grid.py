"""The grid of thesis chapter 5: what every method makes, orthogonal tasks once and first, the thesis' sizes and settings, nothing heard."""

import pytest
import torch

from sercore import anti_transfer_grid as grid
from sercore import grids, models, prepare, publication, tune
from sercore.anti_transfer_grid import METHODS, PROMISED_METHODS, features_of, specs, transfer_of, without_transfer
from sercore.anti_transfer_tasks import ORTHOGONAL, TARGETS, default_tasks
from sercore.data.corpora import CORPORA
from sercore.data.splits import base_scheme
from sercore.errors import SpecError
from sercore.experiment import BASELINES
from sercore.features.cache import frames_of, segments_of
from sercore.ledger.claims import load_settings
from sercore.pretraining import heard_before
from tests.anti_transfer_runs import few_recordings

TASKS = ("speaker_ravdess", "word_fsdd")
SPEAKERS, WORDS = ("ravdess", "speaker", "within_speakers_5"), ("fsdd", "word", "leave_one_speaker_out")


def made(*methods, fold=0, seed=0, **choices):
    """The runs of VGG16 on EmoDB with these methods, of one fold and seed, without the orthogonal tasks."""
    found = specs("emodb", "full", **{"systems": ["vgg16_pool"], "tasks": TASKS, "methods": methods, **choices})
    return [s for s in found if s.data.corpus == "emodb" and (s.split.fold, s.seed) == (fold, seed)]


def one(method, **choices):
    return made(method, **choices)[0]


def about(parents):
    return [(p.data.corpus, p.data.task, p.split.scheme) for p in parents]


def test_nothing_is_transferred_by_none():
    spec = one("none")
    assert (spec.parents, spec.anti_transfer, spec.model.initial_weights, spec.model.frozen_until) == ((), None, "random", "")
    assert (spec.model.name, spec.model.width, spec.model.dropout, spec.leaks, spec.data.task) == ("vgg16_pool", 1 / 8, 0.5, (), "emotion")


def test_weights_of_one_task_start_a_run_each_and_frozen_ones_stay_up_to_the_tap():
    free, frozen = made("wi"), made("wi_frozen", taps=("conv_3", "conv_9"))
    assert [about(s.parents) for s in free] == [[SPEAKERS], [WORDS]]
    assert {(s.model.initial_weights, s.model.frozen_until, s.anti_transfer) for s in free} == {("parent_features", "", None)}
    assert [(about(s.parents), s.model.frozen_until) for s in frozen] == [
        ([SPEAKERS], "conv_3"), ([WORDS], "conv_3"), ([SPEAKERS], "conv_9"), ([WORDS], "conv_9"),
    ]  # fmt: skip
    assert {(s.model.initial_weights, s.anti_transfer) for s in frozen} == {("parent_features", None)}


def test_anti_transfer_is_against_its_task_and_the_control_against_none():
    against, control = made("at"), made("at_random")
    assert [about(s.orthogonal) for s in against] == [[SPEAKERS], [WORDS]]
    assert {(s.anti_transfer.taps, s.anti_transfer.against, s.anti_transfer.beta) for s in against} == {(("conv_5",), "parents", 1)}
    assert {s.model.initial_weights for s in (*against, *control)} == {"random"}
    (only,) = control  # whatever the tasks
    assert (only.parents, only.anti_transfer) == ((), against[0].anti_transfer.model_copy(update={"against": "random"}))


@pytest.mark.parametrize("beta", [1.0, 20.0])
def test_inverse_is_the_same_loss_with_the_sign_of_beta_turned_once(beta):
    kept_alike, kept_unlike = one("at_inverse", betas=[beta]), one("at", betas=[beta])
    assert (kept_alike.anti_transfer.beta, kept_unlike.anti_transfer.beta) == (-beta, beta)
    assert kept_alike.anti_transfer.model_copy(update={"beta": beta}) == kept_unlike.anti_transfer
    assert kept_alike.parents == kept_unlike.parents


def test_weights_and_loss_of_one_task_name_it_twice():
    spec = one("at_wi")
    assert about(spec.parents) == [SPEAKERS, SPEAKERS]
    assert spec.parents[0] == spec.parents[1] == one("wi").parents[0]
    assert about(spec.orthogonal) == [SPEAKERS]
    assert (spec.model.initial_weights, spec.model.frozen_until, spec.anti_transfer) == ("parent_features", "", one("at").anti_transfer)


def test_dual_is_two_runs_and_the_first_has_the_fold_and_the_seed_of_the_second():
    for fold, seed in ((0, 0), (3, 2)):
        (spec,) = made("dual", fold=fold, seed=seed)  # the two tasks make one run, not two
        first, second = spec.parents
        assert (first.split.fold, first.seed) == (fold, seed)
        assert about(first.parents) == [SPEAKERS]
        assert first == one("at", fold=fold, seed=seed)
        assert about([second]) == [WORDS]
        assert (second.split.fold, second.seed) == (0, 0)
        assert (spec.model.initial_weights, spec.following, about(spec.orthogonal)) == ("parent_features", (0,), [WORDS])
        assert spec.anti_transfer == first.anti_transfer


@pytest.mark.parametrize("tap", ["conv_2", "conv_13"])
@pytest.mark.parametrize("method", METHODS)
def test_what_is_transferred_is_read_back_from_the_run(method, tap):
    """Through the form in which runs of a group are stored, too."""
    tasks = {"none": "", "at_random": "", "dual": "speaker of ravdess, then word of fsdd"}.get(method, "speaker of ravdess")
    beta = -1.0 if method == "at_inverse" else 1.0
    expected = grid.Transfer(method, "" if method in ("none", "wi") else tap, tasks, beta)
    spec = one(method, taps=(tap,), fold=2, seed=1)
    assert transfer_of(spec) == expected
    assert transfer_of(type(spec).of_group(spec.group_form(), 2, 1)) == expected
    assert without_transfer(spec) == one("none", fold=2, seed=1)


def test_sweeps_of_the_loss_are_runs_of_anti_transfer_alone():
    choices = {"betas": [0.1, 20.0], "aggregations": ["gram", "mean"], "measures": ["squared_cosine", "sigmoid_mse"]}
    found = made(*METHODS, tasks=TASKS, **choices)
    swept = [transfer_of(s) for s in found if transfer_of(s).method == "at"]
    assert {(t.tasks, t.beta, t.aggregation, t.measure) for t in swept} == {
        (task, beta, aggregation, measure)
        for task in ("speaker of ravdess", "word of fsdd")
        for beta in choices["betas"]
        for aggregation in choices["aggregations"]
        for measure in choices["measures"]
    }
    others = [transfer_of(s) for s in found if transfer_of(s).method not in ("at", "none", "wi", "wi_frozen")]
    assert {(abs(t.beta), t.aggregation, t.measure) for t in others} == {(0.1, "gram", "squared_cosine")}


@pytest.mark.parametrize(("folds", "seeds"), [(1, 1), (2, 3)])
def test_orthogonal_tasks_come_once_and_first(folds, seeds):
    found = specs("emodb", "full", methods=list(METHODS), tasks=TASKS, folds=folds, seeds=seeds)
    assert about(found[:2]) == [SPEAKERS, WORDS]
    assert {(s.split.fold, s.seed, s.parents, s.leaks) for s in found[:2]} == {(0, 0, (), ())}
    assert {s.data.corpus for s in found[2:]} == {"emodb"}
    assert len(set(found)) == len(found)
    assert [s.seed for s in found[2:]] == sorted(s.seed for s in found[2:])  # a slice from the front is balanced
    networks = [s for s in found[2:] if s.model.name not in BASELINES]
    # dual, control and none once; the other five methods once a task
    assert len(networks) == folds * seeds * (3 + 5 * 2)
    assert len([s for s in found if s.model.name in BASELINES]) == folds * len(BASELINES)


def test_a_group_is_named_once_and_holds_folds_and_seeds_alone():
    found = specs(
        "emodb", "full", systems=["vgg16_pool", "alexnet"], methods=list(METHODS), tasks=TASKS, taps=("conv_1", "conv_5"), folds=2, seeds=2,
        betas=[1.0, 20.0], measures=["squared_cosine", "sigmoid_mse"],
    )  # fmt: skip
    forms: dict[str, list] = {}
    for s in found:
        forms.setdefault(s.group, []).append(s.group_form())
    assert all(form == same[0] for same in forms.values() for form in same)
    assert len(forms) == len({str(form) for same in forms.values() for form in same})


def test_orthogonal_tasks_are_learned_long_enough_and_by_the_network_that_uses_them():
    quick = specs("synthetic", "quick", systems=["vgg16_pool"], methods=["at"])
    task, run = quick
    assert (task.training.epochs, run.training.epochs) == (grid.FEWEST_PRETRAINING_EPOCHS, grid.QUICK_TRAINING.epochs)
    assert run.training.epochs < task.training.epochs
    assert (task.model, task.features) == (run.model, run.features)
    longer = specs("synthetic", "quick", systems=["vgg16_pool"], methods=["at"], epochs=60)
    assert {s.training.epochs for s in longer} == {60}


@pytest.mark.parametrize(("size", "shape"), [("whole", (512, 128)), ("reduced", (256, 64)), ("small", (128, 32))])
def test_sizes_are_those_of_the_frames_themselves(size, shape):
    features = features_of("emodb", size)
    sounds = torch.rand(16000 * 5, generator=torch.Generator().manual_seed(0)).numpy() - 0.5
    segments = segments_of(frames_of(sounds, 16000, features), features)
    assert {segment.shape for segment in segments} == {shape}
    assert len(segments) == -(-5 // features.segment_s)
    assert shape[0] % 32 == shape[1] % 32 == 0


def test_segments_have_the_lengths_of_the_thesis():
    stated = load_settings("thesis").set_index("id")["value"]
    for corpus, setting in (("emodb", "ser"), ("fsdd", "word_recognition"), ("good_sounds", "sound_goodness")):
        assert features_of(corpus, "whole").segment_s == float(stated[f"thesis/at/segment_{setting}"])


@pytest.mark.parametrize(("name", "count"), [("vgg16", 165_733_060), ("vgg16_pool", 134_275_780), ("alexnet", 57_004_740)])
def test_whole_networks_have_the_published_numbers_of_parameters(name, count):
    (_, spec) = specs("iemocap_4", "full", systems=[name], methods=["at"], size="whole", folds=1, seeds=1)
    with torch.device("meta"):
        model = models.build_for(spec, 128, 4, spec.features.segment_frames)
    assert sum(p.numel() for p in model.parameters()) == count


def test_training_is_as_the_thesis_states_it():
    stated = load_settings("thesis").set_index("id")
    value = {name.removeprefix("thesis/at/"): stated["value"][name] for name in stated.index if name.startswith("thesis/at/")}
    spec = specs("emodb", "full", systems=["vgg16_pool"], methods=["at"], size="whole")[-1]
    training, features = spec.training, spec.features
    assert training.learning_rate == float(value["learning_rate"])
    assert training.batch_size == int(value["batch_size"])
    assert training.epochs == int(value["max_epochs"])
    assert training.patience_epochs == int(value["patience"])
    assert training.select_by == stated["note"]["thesis/at/patience"].replace(" ", "_") == "validation_loss"
    assert spec.model.dropout == float(value["dropout"]) / 100
    assert value["optimizer"] == "ADAM"  # sercore.train has no other
    assert (value["l1_l2_regularization"], training.weight_decay, training.cosine_period_epochs) == ("none", 0, 1)
    assert (features.sample_rate_hz, features.window_ms) == (1000 * int(value["sample_rate"]), float(value["stft_window"]))
    assert features.hop_ms == features.window_ms * (1 - float(value["stft_overlap"]) / 100)
    assert (features.kind, features.normaliser) == ("stft", "scalar")
    assert f"conv_{value['best_layer_ser']}" == grid.PROMISED_TAP
    assert spec.anti_transfer.beta == float(value["beta"])
    quick = specs("synthetic", "quick", systems=["vgg16_pool"], methods=["at"])[-1]
    assert (quick.training.patience_epochs, quick.training.batch_size, quick.model.dropout) == (5, 13, 0)


def test_no_search_is_asked_for_and_nothing_is_tuned(tmp_path, monkeypatch):
    monkeypatch.setenv("SERCORE_STORE", str(tmp_path))
    found = specs("emodb", "full", systems=["vgg16_pool", "resnet50"], methods=list(METHODS), tasks=TASKS, folds=2, seeds=2)
    assert {tune.search_of(s).trials for s in found} == {0}
    assert grids.tuned(found, "ch05_anti_transfer", search=False) == found


def test_the_promise_is_paired_and_no_parent_can_have_heard_the_test_side():
    assert publication.promised_corpora("ch05_anti_transfer") == ["emodb"]
    found = [s for group in publication.promised_specs("ch05_anti_transfer", ["emodb"]) for s in group]
    networks = [s for s in found if s.data.corpus == "emodb" and s.model.name in models.BACKBONES]
    cells: dict[str, list] = {}
    for s in networks:
        cells.setdefault(transfer_of(s).method, []).append((s.split.fold, s.seed))
    assert set(cells) == set(PROMISED_METHODS)
    assert all(sorted(of) == [(fold, seed) for fold in range(5) for seed in range(5)] for of in cells.values())
    assert {(s.model.name, s.model.width, s.split.scheme, s.protocol, s.seed < 5) for s in networks} == {
        ("vgg16_pool", 1 / 8, "pairs_5", "strict", True)
    }
    assert {transfer_of(s).tap for s in networks} == {"", grid.PROMISED_TAP}
    parents = {parent for s in networks for parent in s.parents}
    assert about(parents) == [SPEAKERS]
    assert parents <= set(found)


@pytest.mark.parametrize("corpus", TARGETS)
def test_the_task_that_nobody_asked_for_is_of_other_speakers(corpus):
    for name in default_tasks(corpus):
        assert CORPORA[ORTHOGONAL[name].corpus].home != CORPORA[corpus].home
        assert ORTHOGONAL[name].corpus != corpus


def test_a_strict_quick_run_has_heard_nobody(tmp_path):
    with few_recordings(tmp_path) as corpora:
        for spec in specs("synthetic", "quick", systems=["vgg16_pool"], methods=["wi", "at"], folds=4):
            tested = prepare.split_plan(corpora[spec.data.corpus].items, spec.split, spec.leaks, spec.data.task).test
            assert heard_before(spec, corpora[spec.data.corpus], tested) == []


def test_targets_and_tasks_are_of_corpora_and_splits_that_there_are():
    for corpus, target in TARGETS.items():
        assert corpus in CORPORA
        assert base_scheme(target.scheme) == target.scheme
    for name, task in ORTHOGONAL.items():
        assert name == f"{task.task}_{task.corpus}"
        assert task.corpus in CORPORA
        assert base_scheme(task.scheme) == task.scheme
        assert grid.orthogonal_run(name, one("at_wi")).data.task == task.task


def test_the_papers_protocol_has_its_split_and_its_leaks():
    found = made("none", "at", protocol="paper")
    assert {(s.protocol, s.split.scheme) for s in found} == {("paper", "positional_1")}
    assert {p.protocol for s in found for p in s.parents} == {"strict"}
    assert [about(s.parents) for s in found] == [[], [SPEAKERS], [WORDS]]
    whole = specs("emodb", "full", protocol="paper", methods=["none"], systems=["vgg16_pool"])
    assert [s.seed for s in whole] == [0, 1, 2, 3, 4]


def test_noise_and_division_are_crossed_and_named():
    found = made("none", noises=["none", "low", "high"], divisions=["speakers", "random"])
    assert [(s.data.noise and (s.data.noise.lowest_snr_db, s.data.noise.highest_snr_db), s.split.scheme) for s in found] == [
        (None, "pairs_5"), ((20, 40), "pairs_5"), ((0, 10), "pairs_5"), (None, "random_5"), ((20, 40), "random_5"), ((0, 10), "random_5"),
    ]  # fmt: skip
    assert {s.data.noise.corpus for s in found if s.data.noise} == {"ms_snsd"}
    assert [s.protocol for s in found] == ["strict"] * 3 + ["leaks: speaker_overlap"] * 3
    assert len({s.group for s in found}) == 6
    (embedded,) = [s for s in specs("synthetic", "quick", systems=["vgg16_pool"], methods=["none"], noises=["high"]) if s.data.noise]
    assert embedded.data.noise.corpus == "synthetic_noises"
    assert (made("none", noises=["low"], noise_corpus="esc10")[0].settings) == "w0.125-noise_esc10_20to40dB"


def test_a_division_by_instruments_is_of_sounds_alone():
    found = specs("good_sounds", "full", systems=["vgg16_pool"], methods=["none"], seeds=1, divisions=["speakers", "instruments", "random"])
    assert [(s.split.scheme, s.leaks) for s in found if s.split.fold == 0] == [
        ("speakers_4", ()), ("instruments_4", ("speaker_overlap",)), ("random_5", ("source_overlap", "speaker_overlap")),
    ]  # fmt: skip
    assert [sum(s.split.scheme == scheme for s in found) for scheme in ("speakers_4", "instruments_4", "random_5")] == [4, 4, 5]
    with pytest.raises(SpecError, match="emodb has no instruments"):
        made("none", divisions=["instruments"])


@pytest.mark.parametrize("protocol", ["strict", "paper"])
def test_an_orthogonal_task_of_the_targets_own_recordings_or_noises_is_declared(protocol):
    def leaks(corpus, *methods, **choices):
        found = specs(corpus, "full", protocol, ["vgg16_pool"], folds=1, seeds=1, methods=methods, **choices)
        return [(transfer_of(s).method, "pretraining_overlap" in s.leaks) for s in found if s.data.corpus == corpus]

    own = leaks("iemocap_4", "none", "at", "dual", tasks=["speaker_iemocap_4", "word_librispeech_words"])
    assert own[1:] == [("none", False), ("at", True), ("at", False), ("dual", True)]  # first: the speakers' own run
    whole = {"methods": ["at", "dual"], "tasks": ["speaker_iemocap_4", "word_librispeech_words"], "folds": 1, "seeds": 1}
    at, _, dual = [s for s in specs("iemocap_4", "full", protocol, ["vgg16_pool"], **whole) if s.anti_transfer]
    assert dual.parents[0] == at
    digits = {"tasks": ["noise_ms_snsd"]}
    assert leaks("speech_commands_digits", "none", "at", **digits) == [("none", False), ("at", False)]
    assert leaks("speech_commands_digits", "none", "at", noises=["low"], **digits) == [("none", False), ("at", True)]
    found = specs("iemocap_4", "full", protocol, ["vgg16_pool"], folds=1, seeds=1, methods=["none", "at"], tasks=["speaker_iemocap_4"])
    assert found[-1].protocol == ("paper" if protocol == "paper" else "leaks: pretraining_overlap")
    assert without_transfer(found[-1]) == found[-2]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"systems": ["vgg17"]}, "unknown system vgg17; known: vgg16, vgg16_pool, alexnet, resnet50, majority_class"),
        ({"methods": ["none", "ta"]}, "unknown method ta; known: none, wi, wi_frozen, at, at_random, at_inverse, at_wi, dual"),
        ({"tasks": ["speaker_emodb"]}, "unknown task speaker_emodb; known: speaker_synthetic_others"),
        ({"size": "large"}, "no size is called 'large'; known: whole, reduced, small"),
        ({"protocol": "loose"}, "protocol must be strict or paper, not 'loose'"),
        ({"profile": "half"}, "profile must be quick or full, not 'half'"),
        ({"corpus": "mnist"}, "mnist is no target of anti-transfer; known: synthetic, emodb"),
        ({"divisions": ["halves"]}, "unknown division halves; known: speakers, random, instruments"),
        ({"noises": ["loud"]}, "unknown level of noise loud; known: none, low, high"),
        ({"noise_corpus": "street"}, "unknown corpus of noises street; known: synthetic"),
        ({"methods": ["dual"], "tasks": ["word_fsdd"]}, "dual anti-transfer needs two tasks, got word_fsdd"),
    ],
)
def test_what_is_not_known_is_named_with_what_is(changes, says):
    with pytest.raises(SpecError, match=says):
        specs(**{"corpus": "emodb", "profile": "quick", **changes})


def test_a_loss_that_is_none_is_refused_before_anything_is_run():
    with pytest.raises(ValueError, match="aggregation"):
        specs("emodb", "quick", methods=["at"], aggregations=["median"])
    with pytest.raises(ValueError, match="finite number"):
        specs("emodb", "quick", methods=["at"], betas=[float("nan")])
