"""Read-outs find what is planted and nothing else, and the anti-transfer loss is shown to depend on the numbering of channels."""

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from sercore import probes
from sercore.data import synthetic
from sercore.losses.gram import squared_cosine, unit
from sercore.losses.permutation import BOTH, NEITHER, ONE, channel_permutations
from sercore.losses.similarities import VARIANTS
from sercore.models.reslstm_sa import LSTMSA
from sercore.models.vgg16 import VGG16
from sercore.probes import GROUPED_BY, INPUT, NO_NETWORK, probe_table, read_out, summaries, summarised


@pytest.fixture(scope="module")
def items() -> pd.DataFrame:
    """The embedded corpus' own table: 8 speakers, 7 emotions, 10 texts, crossed."""
    return synthetic.read()


def planted(items, *factors, width=60, noise=1.0, seed=0) -> np.ndarray:
    """Noise, with a random direction for each value of each factor added."""
    rng = np.random.default_rng(seed)
    x = noise * rng.normal(size=(len(items), width))
    for factor in factors:
        codes, names = pd.factorize(items[factor], sort=True)
        x += 3 * rng.normal(size=(len(names), width))[codes]
    return x


@pytest.mark.parametrize("factor", GROUPED_BY)
def test_a_planted_factor_is_found_and_an_absent_one_is_at_chance(items, factor):
    others = [name for name in GROUPED_BY if name != factor]
    found = read_out(planted(items, factor, *others), items, factor, GROUPED_BY[factor], permutations=10)
    classes = items[factor].nunique()
    assert found["score"] > 0.99
    assert found["p"] == 1 / 11
    assert found["chance"] == pytest.approx(1 / classes, abs=0.03)
    assert (found["n_items"], found["n_groups"], found["n_classes"]) == (448, items[GROUPED_BY[factor]].nunique(), classes)
    absent = read_out(planted(items, *others), items, factor, GROUPED_BY[factor], permutations=10)
    assert absent["score"] == pytest.approx(1 / classes, abs=0.06)
    assert absent["low"] < 1 / classes < absent["high"]
    assert absent["score"] < absent["chance_high"] + 0.05


def test_a_score_that_the_groups_alone_explain_is_refuted(items):
    """Each speaker says five of the ten texts, and features tell the speaker and nothing of the text."""
    half = pd.factorize(items["speaker"])[0] % 2
    texts = pd.factorize(items["text"], sort=True)[0]
    own = items[(texts % 2 == half)].reset_index(drop=True)
    x = planted(own, "speaker")
    grouped = read_out(x, own, "text", "speaker", permutations=20)
    # speakers of either half stand on both sides of every fold, but a new speaker's half cannot be told from those heard
    assert grouped["score"] < 0.15
    leaking = own.assign(anyone=[str(k % 40) for k in range(len(own))])  # groups that do not keep a speaker on one side
    ungrouped = read_out(x, leaking, "text", "anyone", permutations=20)
    assert ungrouped["score"] > grouped["score"] + 0.05


def test_what_is_learned_of_one_group_is_not_asked_of_the_same(items):
    """Each speaker has directions of texts of his or her own: nothing holds for another speaker, everything for the same one."""
    own = items.assign(mine=items["speaker"] + items["text"], anyone=[str(k % 8) for k in range(len(items))])
    x = planted(own, "mine", width=120, noise=0.1)
    assert read_out(x, own, "text", "speaker", permutations=1)["score"] < 0.2
    assert read_out(x, own, "text", "anyone", permutations=1)["score"] > 0.8


def test_no_group_is_on_both_sides_and_every_item_is_asked_once(items, monkeypatch):
    asked, splits = [], []

    class Watched(probes.GroupKFold):
        def split(self, *args, **named):
            for train, test in super().split(*args, **named):
                splits.append((train, test))
                yield train, test

    monkeypatch.setattr(probes, "GroupKFold", Watched)
    read_out(planted(items, "text"), items, "text", "speaker", permutations=1)
    for train, test in splits:
        assert not set(items["speaker"].iloc[train]) & set(items["speaker"].iloc[test])
        asked += test.tolist()
    assert sorted(asked) == list(range(len(items)))
    assert len(splits) == 5


@pytest.mark.parametrize("summary", probes.SUMMARIES)
def test_scaling_and_components_come_from_the_training_side_alone(items, summary, monkeypatch):
    fitted = []
    for name in ("StandardScaler", "PCA"):
        made = getattr(probes, name)

        class Watched(made):
            def fit(self, x, *args, **named):
                fitted.append(len(x))
                return super().fit(x, *args, **named)

        monkeypatch.setattr(probes, name, Watched)
    read_out(planted(items, "text", width=500), items, "text", "speaker", summary=summary, permutations=1)
    sides = sorted([7 * 8 * n for n in (6, 6, 6, 7, 7)])  # of 8 speakers with 56 items, two or one are asked
    assert sorted(fitted) == sorted(sides * (1 + (summary == "gram")))


def test_labels_are_permuted_inside_their_groups(items):
    groups = items["speaker"].to_numpy(dtype=str)
    orders = [probes._permuted(groups, (0, "text", number)) for number in range(3)]
    for order in orders:
        assert sorted(order) == list(range(len(items)))
        assert (groups[order] == groups).all()
        assert (order != np.arange(len(items))).mean() > 0.9
    assert (orders[0] != orders[1]).any()
    assert (orders[0] == probes._permuted(groups, (0, "text", 0))).all()


def test_what_a_group_alone_tells_is_chance(items):
    """Half of the speakers are mostly angry, the features tell which half and nothing of the utterance: no permutation takes that away."""
    rng, angry = np.random.default_rng(0), items["speaker"].isin(["s01", "s04", "s05", "s08"])
    skewed = items.assign(emotion=np.where(rng.random(len(items)) < np.where(angry, 0.85, 0.15), "anger", "fear"))
    x = rng.normal(size=(len(items), 10)) + 10 * angry.to_numpy()[:, None]
    found = read_out(x, skewed, "emotion", "speaker", permutations=20)
    assert found["score"] > 0.8
    assert found["chance"] == pytest.approx(found["score"], abs=0.02)
    assert found["p"] > 0.1


def test_p_of_nothing_is_spread_over_its_range(items):
    found = [read_out(planted(items, width=5, seed=k), items, "text", "speaker", permutations=9, seed=k)["p"] for k in range(12)]
    assert 0.3 < np.mean(found) < 0.8
    assert len(set(found)) > 4


@pytest.mark.parametrize("width", [60, 700])
def test_answers_are_scikit_learns_own(items, width):
    """Rotations that save time change no answer."""
    from sklearn.linear_model import RidgeClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x = planted(items, "text", width=width, noise=25)
    plain = make_pipeline(StandardScaler(), RidgeClassifier(alpha=probes.PENALTY * width, class_weight="balanced"))
    answers = cross_val_predict(plain, x, items["text"], groups=items["speaker"], cv=GroupKFold(5))
    found = read_out(x, items, "text", "speaker", permutations=1)
    assert found["score"] == pytest.approx(balanced_accuracy_score(items["text"], answers), abs=1e-12)
    assert 0.12 < found["score"] < 0.95


def test_the_interval_is_over_groups(items):
    """One speaker of eight is never understood: the interval must reach as far as leaving that one out or drawing it twice."""
    x = planted(items, "text")
    x[items["speaker"] == "s03"] = 0
    found = read_out(x, items, "text", "speaker", permutations=1)
    assert 0.86 < found["score"] < 0.92
    assert found["low"] < 0.75
    assert found["high"] > 0.98


def test_equal_arguments_give_equal_rows_and_another_seed_another_chance(items):
    x = planted(items, "text", noise=8)
    one, again, other = (read_out(x, items, "text", "speaker", permutations=5, seed=seed) for seed in (0, 0, 1))
    assert one == again
    assert one["score"] == other["score"]
    assert one["chance"] != other["chance"]


def test_components_of_gram_matrices_do_not_depend_on_how_they_are_stored(items, monkeypatch):
    x = planted(items, "text", width=900, noise=20)
    short = read_out(x, items, "text", "speaker", summary="gram", permutations=1)
    monkeypatch.setattr(probes, "_isometric", lambda x: x)
    assert read_out(x, items, "text", "speaker", summary="gram", permutations=1) == short
    assert 0.2 < short["score"] < 0.95
    assert short["n_features"] == 64


def test_rounding_is_not_scaled_up_to_a_component(items):
    x = planted(items, "text", width=3) @ np.random.default_rng(1).normal(size=(3, 40))
    assert read_out(x, items, "text", "speaker", summary="gram", permutations=1)["n_features"] == 3
    dead = read_out(np.zeros((len(items), 40)), items, "text", "speaker", summary="gram", permutations=1)
    assert dead["score"] == pytest.approx(0.1, abs=0.02)


def test_padding_counts_for_convolutions_and_not_for_recurrent_layers():
    lengths = torch.tensor([2, 4])
    recurrent = torch.randn(2, 4, 3)
    recurrent[0, 2:] = 99
    mean, deviation = summarised(recurrent, lengths)[0].reshape(2, 3)
    assert mean == pytest.approx(recurrent[0, :2].mean(0).numpy(), abs=1e-6)
    assert deviation == pytest.approx(recurrent[0, :2].std(0, correction=0).numpy(), abs=1e-6)
    own = summarised(recurrent[:1, :2], lengths[:1], "gram")[0]
    assert summarised(recurrent, lengths, "gram")[0] == pytest.approx(own, abs=1e-6)
    maps = torch.randn(2, 3, 4, 5)
    mean, deviation = summarised(maps, lengths)[0].reshape(2, 3)
    assert mean == pytest.approx(maps[0].mean((1, 2)).numpy(), abs=1e-6)
    assert deviation == pytest.approx(maps[0].flatten(1).std(1, correction=0).numpy(), abs=1e-6)
    assert summarised(maps[:, :, 0, 0], lengths).tolist() == maps[:, :, 0, 0].tolist()


@pytest.mark.parametrize("scale", [1e-15, 1.0, 1e15])
def test_the_gram_summary_is_what_the_loss_compares(scale):
    maps = torch.randn(2, 6, 4, 5)
    ours = summarised(scale * maps, torch.tensor([4, 4]), "gram")
    assert ours.shape == (2, 21)
    a, b = nn.functional.normalize(torch.einsum("bcn,bdn->bcd", maps.flatten(2), maps.flatten(2)).flatten(1))
    assert float(ours[0] @ ours[1]) == pytest.approx(float(a @ b), abs=1e-6)
    loss = squared_cosine(maps[:1].flatten(2), unit(maps[1:].flatten(2)))
    assert float(ours[0] @ ours[1]) ** 2 == pytest.approx(float(loss), abs=1e-6)
    assert np.linalg.norm(ours, axis=1) == pytest.approx([1, 1], abs=1e-6)
    assert not summarised(0 * maps, torch.tensor([4, 4]), "gram").any()


class Coding(nn.Module):
    """A network whose second tap keeps the first bins, and whose first keeps all."""

    def __init__(self, keep):
        super().__init__()
        self.keep, self.weight = keep, nn.Parameter(torch.ones(()))

    def signals(self, x, lengths=None):
        return {
            "all": x[:, None] * self.weight,
            "some": (x * self.weight)[:, :, : self.keep],
            "dropped": nn.functional.dropout(x, 0.5, self.training),
        }


def spoken(items):
    """Frames of unlike length whose first twelve bins tell the speaker and whose last twelve the text."""
    chosen = items[items["emotion"].isin(["anger", "fear"])].reset_index(drop=True)
    rng = np.random.default_rng(3)
    codes = [pd.factorize(chosen[name], sort=True) for name in ("speaker", "text")]
    bins = np.concatenate([3 * rng.normal(size=(len(names), 12))[k] for k, names in codes], axis=1)
    return chosen, [(row + rng.normal(size=(8 + k % 5, 24))).astype(np.float32) for k, row in enumerate(bins)]


def test_the_table_holds_every_network_tap_and_factor_and_the_input(items):
    chosen, frames = spoken(items)
    factors = {"speaker": "text", "text": "speaker"}
    network = Coding(12).train()
    table = probe_table({"keeps": network, "keeps all": Coding(24)}, ["some"], frames, chosen, factors=factors, permutations=3, batch=7)
    assert network.training
    assert network.weight.requires_grad
    assert list(table.columns) == probes.COLUMNS
    score = table.set_index(["network", "tap", "factor"])["score"]
    assert list(score.index) == [
        (network, tap, factor) for network, tap in ((NO_NETWORK, INPUT), ("keeps", "some"), ("keeps all", "some")) for factor in factors
    ]
    assert score[NO_NETWORK, INPUT, "speaker"] > 0.95
    assert score[NO_NETWORK, INPUT, "text"] > 0.95
    assert score["keeps", "some", "speaker"] > 0.95
    assert score["keeps", "some", "text"] < 0.25
    assert score["keeps all", "some", "text"] == score[NO_NETWORK, INPUT, "text"]
    grams = probe_table({"keeps": network}, ["some"], frames, chosen, factors=factors, summary="gram", permutations=3)
    score = grams.set_index(["network", "factor"])["score"]
    assert score["keeps", "speaker"] > 0.9
    assert score["keeps", "text"] < 0.25


def test_features_are_those_of_evaluation_and_do_not_depend_on_the_batch(items):
    _, frames = spoken(items)
    network = Coding(12).train()
    found = summaries(network, ["some", "dropped"], frames, batch=5)
    assert found["dropped"] == pytest.approx(summaries(network, ["dropped"], frames, batch=50)["dropped"], abs=1e-6)
    assert found["dropped"][0, :24] == pytest.approx(frames[0].mean(0), abs=1e-6)
    torch.manual_seed(0)
    recurrent = LSTMSA(24, 4, 6, residual=True)
    one, other = (summaries(recurrent, ["lstm_2", "context"], frames[:9], batch=batch) for batch in (1, 9))
    assert one["lstm_2"].shape == (9, 12)
    assert one["context"].shape == (9, 6)
    for tap in one:
        assert one[tap] == pytest.approx(other[tap], abs=1e-5)


def test_taps_of_a_backbone_are_read():
    frames = [np.random.default_rng(k).normal(size=(32, 32)).astype(np.float32) for k in range(3)]
    torch.manual_seed(0)
    network = VGG16(32, 32, 4, width=1 / 16)
    found = summaries(network, ["conv_2", "pool_5", "embedding"], frames, batch=2)
    assert {tap: x.shape for tap, x in found.items()} == {"conv_2": (3, 8), "pool_5": (3, 64), "embedding": (3, 256)}
    assert summaries(network, ["conv_2"], frames, "gram")["conv_2"].shape == (3, 10)
    with pytest.raises(ValueError, match="no tap of VGG16 is called conv_99"):
        summaries(network, ["conv_99"], frames)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="speaker"), "no column 'speaker', which keeps items on one side while text is read out"),
        (lambda t: t.drop(columns="text"), "no column 'text', which is to be read out"),
        (lambda t: t.assign(text=["", *t["text"][1:]]), "1 of 448 items have no text"),
        (lambda t: t.assign(speaker="s01"), r"all items have one speaker \(s01\), which keeps"),
        (lambda t: t.assign(text="mala"), r"all items have one text \(mala\), which is to be read out"),
        (lambda t: t.assign(text=["odd", *t["text"][1:]]), "text odd occurs with one speaker alone"),
        (lambda t: t.assign(text=t["speaker"].isin(["s01", "s02", "s03", "s04"]).astype(str)), "each speaker goes with one text"),
        (lambda t: t.iloc[1:], "448 recordings and 447 rows|448 summaries of 447 items"),
    ],
)
def test_a_table_that_cannot_be_read_out_is_refused_by_name(items, change, message):
    with pytest.raises(ValueError, match=message):
        read_out(planted(items, "text"), change(items), "text", "speaker", permutations=1)
    frames = [np.zeros((4, 3), np.float32)] * len(items)
    with pytest.raises(ValueError, match=message):
        probe_table({"a": Coding(2)}, ["some"], frames, change(items), factors={"text": "speaker"})


def test_what_cannot_be_summarised_is_refused_with_network_and_tap(items):
    chosen, frames = spoken(items)
    broken = Coding(12)
    broken.weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match="broken, some: the features hold numbers that are not finite"):
        probe_table({"broken": broken}, ["some"], frames, chosen, factors={"text": "speaker"})
    with pytest.raises(ValueError, match="summary must be one of mean_deviation, gram"):
        probe_table({"a": Coding(12)}, ["some"], frames, chosen, factors={"text": "speaker"}, summary="max")
    with pytest.raises(ValueError, match="at least"):
        probe_table({}, ["some"], frames, chosen)
    with pytest.raises(ValueError, match="Gram matrices of 4096 channels for 500 items take 15.6 GiB"):
        summarised(torch.ones(1, 4096), torch.tensor([1]), "gram", 500)
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="attention: another number of channels in each batch"):
        summaries(LSTMSA(24, 4, 6, residual=False), ["attention"], frames, batch=1)
    with pytest.raises(ValueError, match="permutations"):
        read_out(planted(items, "text"), items, "text", "speaker", permutations=0)


def test_a_class_that_folds_leave_without_training_is_named(items):
    two = items[~(items["text"].eq(items["text"].iloc[0]) & ~items["speaker"].isin(["s01", "s02"]))].reset_index(drop=True)
    with pytest.raises(ValueError, match="is in no training part when folds are made by speaker"):
        for _ in probes._folded(np.array(["a", "a", "b", "b"]), np.array(["1", "1", "2", "2"]), "text", "speaker", 2):
            pass
    assert read_out(planted(two, "text"), two, "text", "speaker", permutations=1)["score"] > 0.99


def features(seed, shape=(3, 8, 5, 4)) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).relu()


@pytest.mark.parametrize("shape", [(3, 8, 5, 4), (3, 7, 8), (3, 8)])
def test_renumbering_one_networks_channels_changes_the_loss_and_no_eigenvalue(shape):
    rows = pd.DataFrame(channel_permutations(features(0, shape), features(1, shape), permutations=12))
    assert len(rows) == 2 * (1 + 2 * 12)
    for variant in VARIANTS:
        of = {kind: part["value"].to_numpy() for kind, part in rows[rows["variant"].eq(variant)].groupby("permuted")}
        (before,) = of[NEITHER]
        assert of[BOTH] == pytest.approx(before, rel=1e-10)
        assert np.abs(of[ONE] - before).max() > 0.01
        assert len(np.unique(of[ONE].round(9))) > 6
    assert rows["spectrum"].max() < 1e-12


def test_a_network_is_unlike_itself_once_its_channels_are_renumbered():
    rows = pd.DataFrame(channel_permutations(features(0), features(0), permutations=12))
    exact = rows[rows["variant"].eq("definition")].groupby("permuted")["value"]
    assert exact.min()[NEITHER] == pytest.approx(1)
    assert exact.min()[BOTH] == pytest.approx(1)
    assert exact.max()[ONE] < 0.99


def test_values_are_those_of_the_loss_for_the_permuted_features():
    trained, frozen = features(0), features(1)
    order = torch.randperm(8, generator=torch.Generator().manual_seed(5))
    a, b = (torch.einsum("bcn,bdn->bcd", f.double().flatten(2), f.double().flatten(2)) for f in (trained, frozen))
    moved = a[:, order][:, :, order]
    expected = ((moved * b).sum((1, 2)) / moved.norm(dim=(1, 2)) / b.norm(dim=(1, 2))).square().mean().item()
    rows = channel_permutations(trained, frozen, permutations=1, seed=5)
    assert [row["value"] for row in rows if (row["variant"], row["permuted"]) == ("definition", ONE)] == [pytest.approx(expected)]


def test_equal_channels_may_be_renumbered_freely():
    alike = features(0)[:, :1].expand(3, 8, 5, 4)
    rows = pd.DataFrame(channel_permutations(alike, features(1), permutations=5))
    for _, part in rows.groupby("variant"):
        assert part["value"].to_numpy() == pytest.approx(part["value"].iloc[0], rel=1e-10)


@pytest.mark.parametrize(
    ("trained", "message"),
    [
        (features(0)[:, :1], "two channels"),
        (features(0) * float("nan"), "trained network hold numbers that are not finite"),
        (features(0) * 0, "trained network are all zero"),
        (features(0)[..., :2], "same shape"),
    ],
)
def test_features_that_cannot_be_renumbered_are_refused(trained, message):
    with pytest.raises(ValueError, match=message):
        channel_permutations(trained, features(1), permutations=1)
