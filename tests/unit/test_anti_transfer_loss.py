"""The anti-transfer loss: what it compares, taps and tasks, the cache of unit Gram matrices, and what it refuses before training."""

import json
import math
import threading

import numpy as np
import pytest
import torch
from torch import nn

from sercore.losses import gram, gram_file
from sercore.losses.anti_transfer import AntiTransferLoss, added_bytes
from sercore.losses.frozen import drop_after, features_at, freeze, weights_hash
from sercore.losses.gram import Unit, by_channel, squared_cosine, unit
from sercore.losses.gram_cache import GramCache
from sercore.losses.gram_file import CacheKey, Layout, checksums
from sercore.losses.similarities import AGGREGATIONS, VARIANTS, similarity
from sercore.models.vgg16 import VGG16


class Network(nn.Module):
    """Two convolutions and a classifier over (B, T, F); taps as the study's networks give them."""

    def __init__(self, seed=0, channels=6, deep=4):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv_1, self.conv_2 = nn.Conv2d(1, channels, 3, padding=1), nn.Conv2d(channels, deep, 3, stride=4)
            self.classifier = nn.Linear(deep, 3)

    def signals(self, x, lengths=None):
        one = self.conv_1(x[:, None]).relu()
        two = self.conv_2(one).relu()
        return {"input": x[:, None], "conv_1": one, "conv_2": two, "logits": self.classifier(two.mean((2, 3)))}


class Cuttable(Network):
    """Stops at a tap when asked to; the classifier tells if it ran."""

    taps = ("input", "conv_1", "conv_2", "logits")

    def signals(self, x, lengths=None, upto="logits"):
        out = {"input": x[:, None]}
        for name, layer in (("conv_1", self.conv_1), ("conv_2", self.conv_2)):
            if list(out)[-1] == upto:
                return out
            out[name] = layer(list(out.values())[-1]).relu()
        return out | {"logits": self.classifier(out["conv_2"].mean((2, 3)))} if upto == "logits" else out


class Recurrent(nn.Module):
    """A recurrent layer over (B, T, d) whose padded frames are zero."""

    def __init__(self, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.lstm = nn.LSTM(5, 4, batch_first=True)

    def signals(self, x, lengths):
        keep = torch.arange(x.shape[1]) < lengths[:, None]
        return {"lstm_1": self.lstm(x)[0] * keep[:, :, None]}


@pytest.fixture
def x():
    return torch.rand(5, 12, 9, generator=torch.Generator().manual_seed(0))


def loss_of(tap="conv_1", network=None, **settings):
    return AntiTransferLoss(tap, {"words": freeze(network or Network(1))}, **settings)


def value(loss, x, network=None):
    return loss((network or Network()).signals(x), x).item()


# What is compared


def test_samples_do_not_know_each_other_by_definition_and_do_as_released(x):
    def moved(variant):
        trained = Network().signals(x)["conv_1"].detach()
        frozen = Network(1).signals(x)["conv_1"].detach()
        other = trained.clone()
        other[1] = other[1].flip(1)
        before, after = (
            torch.autograd.grad(similarity(t, frozen, variant=variant), t)[0][0] for t in (trained.requires_grad_(), other.requires_grad_())
        )
        return (before - after).abs().max() / before.abs().max()

    assert moved("definition") == 0
    assert moved("released") > 1e-3


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_batch_is_a_mean_by_definition_alone(x, variant):
    loss, network = loss_of(variant=variant), Network()
    together, alone = value(loss, x, network), [value(loss, one[None], network) for one in x]
    assert (abs(together - sum(alone) / 5) < 1e-6) == (variant == "definition")


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_permutation_of_one_networks_channels_changes_the_loss(x, variant):
    """The thesis says that the Gram matrix serves where channels are permuted; the same network permuted is not found to be the same."""
    trained = Network().signals(x)["conv_1"].detach()
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    same, permuted = similarity(trained, trained, variant=variant), similarity(trained, trained[:, order], variant=variant)
    assert same - permuted > 0.02
    both = similarity(trained[:, order], trained[:, order], variant=variant)
    torch.testing.assert_close(both, same)  # of both networks alike: nothing changes
    spectra = [torch.linalg.eigvalsh(by_channel(t) @ by_channel(t).mT) for t in (trained, trained[:, order])]
    torch.testing.assert_close(*spectra, rtol=1e-3, atol=1e-4)  # what would not change: the spectrum


def test_a_dead_channel_lowers_the_released_form_of_equal_features():
    x = torch.rand(1, 4, 3, 3)
    x[:, 2] = 0
    assert similarity(x, x).item() == pytest.approx(1)
    assert similarity(x, x, variant="released").item() == pytest.approx((3 / 4) ** 2)


def test_at_the_input_the_loss_is_one_and_teaches_nothing(x):
    for variant in VARIANTS:
        assert value(loss_of("input", variant=variant), x) == pytest.approx(1, abs=1e-5)


def test_mean_and_sum_are_one_and_the_same_under_the_cosine(x):
    for variant in VARIANTS:
        mean, sum_ = (value(loss_of(variant=variant, aggregation=how), x) for how in ("mean", "sum"))
        assert mean == pytest.approx(sum_, abs=1e-6)
    mean, sum_ = (value(loss_of(measure="sigmoid_mse", aggregation=how), x) for how in ("mean", "sum"))
    assert abs(mean - sum_) > 1e-3


@pytest.mark.parametrize("how", ["mean", "sum", "max", "compressed_product", "gram"])
def test_ranges(x, how):
    for variant in VARIANTS:
        assert 0 <= value(loss_of(aggregation=how, variant=variant), x) <= 1 + 1e-6
        assert -1 <= value(loss_of(aggregation=how, variant=variant, measure="sigmoid_mse"), x) <= -0.5


def test_size_of_the_features_does_not_bear_and_half_precision_is_computed_in_full():
    a, b = torch.rand(2, 6, 50), torch.rand(2, 6, 50)
    expected = squared_cosine(a, unit(b))
    for scale in (1e-15, 1e12):
        torch.testing.assert_close(squared_cosine(a * scale, unit(b * scale)), expected, rtol=1e-5, atol=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        torch.testing.assert_close(squared_cosine(a, unit(b)), expected)
    half = (a * 200).half().requires_grad_()
    found = squared_cosine(half, unit((b * 200).half()))
    found.sum().backward()
    torch.testing.assert_close(found.float(), expected, rtol=2e-3, atol=0)
    assert half.grad.isfinite().all()
    assert half.grad.any()


def test_silent_samples_count_for_nothing_and_have_no_gradient():
    for shape in ((3, 4, 20), (3, 20, 4)):
        a, b = torch.rand(shape), torch.rand(shape)
        a[0], b[1] = 0, 0
        for kind in ("gram", "features"):
            x = a.clone().requires_grad_()
            found = squared_cosine(x, unit(b, kind))
            found.sum().backward()
            assert found[:2].tolist() == [0, 0]
            assert found[2] > 0
            assert not x.grad[:2].any()
            assert x.grad[2].any()
            assert x.grad.isfinite().all()


def test_the_form_is_chosen_by_size(monkeypatch):
    taken, forms = [], {name: getattr(gram, name) for name in ("_primal", "_dual")}
    for name, form in forms.items():
        monkeypatch.setattr(gram, name, lambda *given, name=name, form=form: (taken.append(name), form(*given))[1])
    for channels, positions in ((8, 4), (9, 4), (512, 64), (128, 1024)):
        squared_cosine(torch.rand(1, channels, positions), unit(torch.rand(1, channels, positions)))
    assert taken == ["_primal", "_dual", "_dual", "_primal"]


# Beta, taps, tasks


def gradient(loss, x):
    network = Network()
    loss(network.signals(x), x).backward()
    return network.conv_1.weight.grad


def test_beta_multiplies_once_with_its_sign(x):
    for variant in VARIANTS:
        plain, tripled, inverse = (gradient(loss_of(beta=beta, variant=variant), x) for beta in (1, 3, -1))
        torch.testing.assert_close(tripled, 3 * plain)
        torch.testing.assert_close(inverse, -plain)
        assert plain.any()


def test_descent_makes_features_unlike_and_inverse_beta_alike(x):
    for beta in (1.0, -1.0):
        network, loss = Network(), loss_of(beta=beta)
        before, optimizer = value(loss, x, network), torch.optim.Adam(network.parameters(), 1e-2)
        for _ in range(20):
            optimizer.zero_grad()
            loss(network.signals(x), x).backward()
            optimizer.step()
        assert value(loss, x, network) < before - 0.01  # of a negative beta: the similarity has risen


def test_taps_add_up_or_are_weighed(x):
    one, two = (value(loss_of(tap), x) for tap in ("conv_1", "conv_2"))
    assert value(loss_of(["conv_1", "conv_2"]), x) == pytest.approx(one + two)
    assert value(loss_of(["conv_1", "conv_2"], over_taps="mean"), x) == pytest.approx((one + two) / 2)
    assert value(loss_of({"conv_1": 0.25, "conv_2": 2}), x) == pytest.approx(one / 4 + 2 * two)


def test_several_tasks_at_once(x):
    words, speakers = freeze(Network(1)), freeze(Network(2))
    one, two = (AntiTransferLoss("conv_1", {"task": network}) for network in (words, speakers))
    both = AntiTransferLoss("conv_1", {"words": words, "speakers": speakers}, beta={"words": 1, "speakers": -0.5})
    assert value(both, x) == pytest.approx(value(one, x) - 0.5 * value(two, x))
    assert list(both.similarities(Network().signals(x), x)) == [("words", "conv_1"), ("speakers", "conv_1")]


def test_recurrent_layers_and_padding():
    x, lengths = torch.rand(3, 7, 5), torch.tensor([7, 4, 2])
    loss = AntiTransferLoss("lstm_1", {"words": freeze(Recurrent(1))})
    together = loss(Recurrent().signals(x, lengths), x, lengths).item()
    alone = [loss(Recurrent().signals(one[None, :n], n[None]), one[None, :n], n[None]).item() for one, n in zip(x, lengths, strict=True)]
    assert together == pytest.approx(sum(alone) / 3, rel=1e-5)


def test_no_gradient_reaches_the_frozen_network_and_its_forward_keeps_nothing(x):
    frozen = freeze(Network(1))
    encoded = x.clone().requires_grad_()  # by an encoder that learns: it hears of the loss through the trained network alone
    assert not features_at(frozen, ["conv_1"], encoded)["conv_1"].requires_grad
    for how in AGGREGATIONS:
        for variant in VARIANTS:
            trained, fixed = torch.rand(2, 2, 3, 4, 4).requires_grad_().unbind()
            of_trained, of_fixed = torch.autograd.grad(
                similarity(trained, fixed, aggregation=how, variant=variant), (trained, fixed), allow_unused=True
            )
            assert of_trained.any()
            assert of_fixed is None
    AntiTransferLoss("conv_1", {"words": frozen})(Network().signals(x), x).backward()
    assert all(p.grad is None for p in frozen.parameters())


def test_nothing_after_the_last_tap_is_computed_or_kept(x):
    whole, cut = freeze(Network(1)), freeze(Cuttable(1))
    cut.classifier.register_forward_hook(lambda *_: pytest.fail("the classifier ran"))
    for taps in (["conv_1"], ["conv_2", "conv_1"]):
        for tap, found in features_at(cut, taps, x).items():
            torch.testing.assert_close(found, features_at(whole, taps, x)[tap])
    assert drop_after(cut, ["conv_1"], x) == 4 * sum(p.numel() for m in (whole.conv_2, whole.classifier) for p in m.parameters())
    cut.to("cpu", torch.float32)
    torch.testing.assert_close(features_at(cut, ["conv_1"], x)["conv_1"], features_at(whole, ["conv_1"], x)["conv_1"])


def test_the_studys_own_networks_stop_at_the_tap():
    x = torch.rand(2, 64, 32)
    network = freeze(VGG16(64, 32, 4, width=1 / 16))
    network.hidden_1.register_forward_hook(lambda *_: pytest.fail("a hidden layer ran"))
    every = network.signals(x, upto="pool_4")
    for taps in (["conv_5"], ["pool_4", "conv_5"]):
        for tap, found in features_at(network, taps, x).items():
            torch.testing.assert_close(found, every[tap])
    assert drop_after(network, ["conv_5"], x) > 4 * sum(p.numel() for p in network.parameters())
    torch.testing.assert_close(features_at(network, ["conv_5"], x)["conv_5"], every["conv_5"])
    with pytest.raises(ValueError, match="no tap of VGG16 is called conv_14; taps: input, conv_1"):
        features_at(network, ["conv_14"], x)


# Bad input


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"beta": math.nan}, "beta of words must be a finite number, got nan"),
        ({"beta": math.inf}, "finite"),
        ({"beta": {"speakers": 1.0}}, "beta names speakers"),
        ({"tap": {"conv_1": math.nan}}, "weight of conv_1"),
        ({"tap": []}, "at least one tap"),
        ({"tap": ["conv_1", "conv_1"]}, "named once"),
        ({"aggregation": "median"}, "aggregation must be one of"),
        ({"measure": "cosine"}, "measure must be one of"),
        ({"variant": "paper"}, "variant must be one of"),
        ({"over_taps": "max"}, "over_taps must be one of"),
    ],
)
def test_settings_that_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        loss_of(**settings)


def test_no_task_is_refused():
    with pytest.raises(ValueError, match="at least one orthogonal task"):
        AntiTransferLoss("conv_1", {})


def test_check_gives_the_similarities_at_the_start(x):
    found = loss_of(["conv_1", "conv_2"]).check(Network().signals(x), x)
    assert found == {("words", tap): pytest.approx(value(loss_of(tap), x)) for tap in ("conv_1", "conv_2")}


def _nan_features(network, x):
    network.conv_1.weight.data[0] = math.nan
    return network, x


def _dead(network, x):
    nn.init.constant_(network.conv_1.bias, -100)
    return network, x


def _unlike(network, x):
    return Network(channels=8), x


def _nan_input(network, x):
    x[0, 0, 0] = math.nan
    return network, x


@pytest.mark.parametrize(
    ("fault", "said"),
    [(_nan_features, "conv_1 of {} holds numbers that are not finite"), (_dead, "conv_1 of {} is zero for every item"),
     (_unlike, r"same\s+shape"), (_nan_input, "input holds numbers that are not finite")],
)  # fmt: skip
@pytest.mark.parametrize("side", ["trained", "frozen"])
def test_a_batch_that_is_refused_before_training(x, fault, said, side):
    networks = {"trained": Network(), "frozen": Network(1)}
    networks[side], x = fault(networks[side], x)
    whose = "the trained network" if side == "trained" else "the frozen network of words"
    with pytest.raises(ValueError, match=said.format(whose)):
        loss_of(network=networks["frozen"]).check(networks["trained"].signals(x), x)


def test_taps_that_are_refused(x):
    with pytest.raises(ValueError, match=r"no tap of the trained network is called conv_9; taps: input, conv_1, conv_2, logits"):
        loss_of("conv_9").check(Network().signals(x), x)
    for network in (Network(1), Cuttable(1)):
        with pytest.raises(ValueError, match=f"no tap of {type(network).__name__} is called conv_9; taps: input, conv_1"):
            loss_of("conv_9", network).check({"conv_9": torch.ones(5, 1, 2, 2, requires_grad=True)}, x)
    with pytest.raises(ValueError, match="no gradient reaches input"):
        loss_of("input").check(Network().signals(x), x)
    loss_of("input", variant="released").check(Network().signals(x), x)  # the first layer of the released code is the input


def test_a_compressed_product_of_negative_features_is_refused(x):
    with pytest.raises(ValueError, match="negative numbers"):
        loss_of("logits", aggregation="compressed_product").check(Network().signals(x), x)


def test_a_network_that_is_not_frozen_or_not_loaded_is_refused(x):
    with pytest.raises(ValueError, match="is not frozen"):
        AntiTransferLoss("conv_1", {"words": Network(1).eval()}).check(Network().signals(x), x)
    network = Network(1)
    before = weights_hash(network)
    network.load_state_dict({f"features.{name}": value for name, value in Network(2).state_dict().items()}, strict=False)
    with pytest.raises(ValueError, match="nothing was loaded"):
        freeze(network, before)
    network.load_state_dict(Network(2).state_dict())
    assert not freeze(network, before).training


# The cache


ITEMS = [f"item_{i}" for i in range(7)]
STILL = {"augmentation": False, "trainable_encoder": False}


class Inputs:
    """Seven items; counts what it is asked for."""

    def __init__(self):
        self.x, self.asked = torch.rand(7, 12, 9, generator=torch.Generator().manual_seed(1)), []

    def __call__(self, items):
        self.asked += items
        return self.x[[ITEMS.index(item) for item in items]], None


def key_of(network, tap="conv_1", features="stft"):
    return CacheKey(weights_hash(network), tap, features)


def built(folder, network, tap="conv_1", inputs=None, said=None, **settings):
    say = (said if said is not None else []).append
    return GramCache.build(
        folder, key_of(network, tap), network, ITEMS, inputs or Inputs(), **{**STILL, "batch_size": 3, "say": say, **settings}
    )


@pytest.fixture
def network():
    return freeze(Network(1, deep=40))


@pytest.mark.parametrize(("tap", "kind"), [("conv_1", "gram"), ("conv_2", "features")])
def test_the_cache_gives_what_the_network_gives(tmp_path, network, tap, kind):
    inputs, trained, said = Inputs(), Network(deep=40), []
    cache = built(tmp_path, network, tap, inputs, said)
    assert cache.layout.kind == kind
    assert len(cache) == 7
    assert cache.path.stat().st_size == cache.layout.size_bytes(7)
    assert f"{cache.layout.size_bytes(7) / 2**20:.1f} MiB" in said[0]
    assert sorted(path.suffix for path in tmp_path.iterdir() if path.suffix != ".lock") == [".json", ".npy"]
    assert np.load(cache.path, allow_pickle=False).dtype == np.float32
    chosen = [4, 0, 6]
    x, items = inputs.x[chosen], [ITEMS[i] for i in chosen]
    cached, fresh = AntiTransferLoss(tap, {"words": cache}), AntiTransferLoss(tap, {"words": network})
    gradients = []
    for loss, given in ((cached, items), (fresh, None)):
        trained.zero_grad()
        loss(trained.signals(x), x, items=given).backward()
        gradients.append([p.grad.clone() for p in trained.conv_1.parameters()])
    torch.testing.assert_close(*gradients, rtol=1e-4, atol=1e-7)
    assert cached.check(trained.signals(x), x, items=items) == pytest.approx(fresh.check(trained.signals(x), x), rel=1e-5)


def test_a_finished_cache_is_found_without_the_network(tmp_path, network):
    built(tmp_path, network)
    inputs = Inputs()
    built(tmp_path, network, inputs=inputs)
    assert inputs.asked == []
    GramCache.open(tmp_path, key_of(network), ITEMS, **STILL)


@pytest.mark.parametrize("state", ["augmentation", "trainable_encoder"])
def test_moving_inputs_are_refused_at_once(tmp_path, network, state):
    with pytest.raises(ValueError, match="the frozen network must run at every step"):
        built(tmp_path, network, **{state: True})
    with pytest.raises(ValueError, match="the frozen network must run at every step"):
        GramCache.open(tmp_path, key_of(network), ITEMS, **{**STILL, state: True})


def test_inputs_that_moved_all_the_same_are_seen(tmp_path, network):
    inputs = Inputs()
    cache = built(tmp_path, network, inputs=inputs)
    cache.unit(ITEMS[:2], inputs.x[:2])
    for moved in (inputs.x[:2] * 1.0001, inputs.x[:2].roll(1, 1), inputs.x[:2].flip(0)):
        with pytest.raises(ValueError, match="is not what it was"):
            cache.unit(ITEMS[:2], moved)
    with pytest.raises(ValueError, match="it has no item_9"):
        cache.unit(["item_9"], inputs.x[:1])
    with pytest.raises(ValueError, match="2 items were named for 3 inputs"):
        cache.unit(ITEMS[:2], inputs.x[:3])


def test_other_weights_tap_features_or_items_are_not_found(tmp_path, network):
    built(tmp_path, network)
    for key, items, said in (
        (key_of(freeze(Network(2))), ITEMS, "there is one of weights"),
        (key_of(network, "conv_2"), ITEMS, "there is one of tap conv_1"),
        (key_of(network, features="mel"), ITEMS, "there is one of features stft"),
        (key_of(network), ITEMS[:5], "there is one of other items"),
    ):
        with pytest.raises(ValueError, match=said):
            GramCache.open(tmp_path, key, items, **STILL)
    with pytest.raises(ValueError, match="the frozen network has the weights"):
        GramCache.build(tmp_path, key_of(network, features="mel"), freeze(Network(2)), ITEMS, Inputs(), **STILL)


def test_a_loss_that_the_cache_does_not_serve_is_refused(tmp_path, network):
    cache = built(tmp_path, network)
    for settings in ({"variant": "released"}, {"aggregation": "max"}, {"measure": "sigmoid_mse"}):
        with pytest.raises(ValueError, match="only squared cosines of Gram matrices by definition"):
            AntiTransferLoss("conv_1", {"words": cache}, **settings)
    for taps in ("conv_2", ["conv_1", "conv_2"]):
        with pytest.raises(ValueError, match="words is cached at conv_1"):
            AntiTransferLoss(taps, {"words": cache})
    with pytest.raises(ValueError, match="give the ids"):
        AntiTransferLoss("conv_1", {"words": cache})(Network().signals(Inputs().x), Inputs().x)


class Stopped(Exception):
    pass


class Interrupted(Inputs):
    """Stops when the sixth item is asked for."""

    def __call__(self, items):
        if "item_5" in items:
            raise Stopped
        return super().__call__(items)


@pytest.mark.parametrize("tap", ["conv_1", "conv_2"])
@pytest.mark.parametrize("damage", ["none", "half a row", "zeroed row", "no sums", "short sums"])
def test_an_interrupted_cache_goes_on_with_what_is_whole(tmp_path, network, tap, damage):
    whole = np.load(built(tmp_path / "whole", network, tap).path, allow_pickle=False)
    folder = tmp_path / "cut"
    with pytest.raises(Stopped):
        built(folder, network, tap, Interrupted())
    with pytest.raises(ValueError, match="holds no unit Gram matrices"):
        GramCache.open(folder, key_of(network, tap), ITEMS, **STILL)
    (values,), (sums,) = folder.glob("*.npy.part"), folder.glob("*.sums.part")
    if damage == "half a row":
        values.write_bytes(values.read_bytes()[:-10])
    if damage == "zeroed row":
        values.write_bytes(values.read_bytes()[: -4 * whole.shape[1]] + bytes(4 * whole.shape[1]))
    if damage == "no sums":
        sums.unlink()
    if damage == "short sums":
        sums.write_bytes(sums.read_bytes()[:-8])
    said = []
    cache = built(folder, network, tap, said=said)
    kept = {"none": 3, "no sums": 0}.get(damage, 2)
    assert said[1:] == ([f"{kept} of 7 items are there already"] if kept else [])
    np.testing.assert_allclose(np.load(cache.path, allow_pickle=False), whole, atol=1e-6)


def test_an_interrupted_cache_of_inputs_that_moved_begins_anew(tmp_path, network):
    with pytest.raises(Stopped):
        built(tmp_path, network, inputs=Interrupted())
    other, said = Inputs(), []
    other.x = other.x.flip(1)
    built(tmp_path, network, inputs=other, said=said)
    assert len(said) == 1


def test_a_damaged_file_is_refused(tmp_path, network):
    cache = built(tmp_path, network)
    cache.path.write_bytes(cache.path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="remove it and its .json"):
        GramCache.open(tmp_path, key_of(network), ITEMS, **STILL)


def test_a_page_that_cannot_be_read_is_refused(tmp_path, network):
    page = built(tmp_path, network).path.with_suffix(".json")
    page.write_text(page.read_text()[:50])
    with pytest.raises(ValueError, match="cannot be read"):
        GramCache.open(tmp_path, key_of(network), ITEMS, **STILL)


def test_two_builders_make_one_file_and_the_order_of_items_does_not_bear(tmp_path, network):
    inputs, key = Inputs(), key_of(network)
    made = []

    def build(items):
        made.append(GramCache.build(tmp_path, key, network, items, inputs, say=lambda _: None, **STILL))

    threads = [threading.Thread(target=build, args=(items,)) for items in (ITEMS, ITEMS[::-1])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert inputs.asked == ["item_0", *ITEMS]
    assert made[0].path == made[1].path
    torch.testing.assert_close(*(cache.unit(ITEMS[2:4], inputs.x[2:4]).values for cache in made))


def test_features_that_a_cache_refuses(tmp_path, network):
    dead, nan = freeze(Network(1)), Inputs()
    nn.init.constant_(dead.conv_1.bias, -100)
    with pytest.raises(ValueError, match="the layer is dead"):
        built(tmp_path, dead)
    nan.x[3, 0, 0] = math.nan
    with pytest.raises(ValueError, match="not finite for item_3"):
        built(tmp_path, network, inputs=nan)
    with pytest.raises(ValueError, match="each named once"):
        GramCache.build(tmp_path, key_of(network), network, ["a", "a"], Inputs(), **STILL)


def test_a_silent_item_is_named_and_passed_by(tmp_path):
    network, inputs = freeze(Network(1)), Inputs()
    network.conv_1.bias.zero_()
    inputs.x[2] = 0
    cache = built(tmp_path, network, inputs=inputs)
    assert cache.silent == ["item_2"]
    loss, trained = AntiTransferLoss("conv_1", {"words": cache}), Network()
    with pytest.raises(ValueError, match="gives zeros for every item"):
        loss.check(trained.signals(inputs.x[2:3]), inputs.x[2:3], items=["item_2"])
    assert loss.check(trained.signals(inputs.x[2:4]), inputs.x[2:4], items=ITEMS[2:4])["words", "conv_1"] > 0


def test_a_disk_without_room_is_said_before_anything_is_computed(tmp_path, network, monkeypatch):
    monkeypatch.setattr(gram_file.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 100}))
    inputs = Inputs()
    with pytest.raises(OSError, match="free some"):
        built(tmp_path, network, inputs=inputs)
    assert inputs.asked == ITEMS[:1]


def test_padding_is_no_part_of_an_input(tmp_path):
    x, lengths = torch.rand(2, 7, 5), torch.tensor([7, 4])
    x[1, 4:] = 0
    longer = torch.cat([x, torch.ones(2, 3, 5)], 1)
    assert checksums(x, lengths) == checksums(longer, lengths)
    assert checksums(x[:, :4], torch.tensor([4, 4]))[1] == checksums(x, lengths)[1]
    network, items = freeze(Recurrent(1)), ["a", "b"]
    cache = GramCache.build(
        tmp_path, CacheKey(weights_hash(network), "lstm_1", "mfcc"), network, items, lambda chosen: (x, lengths) if len(chosen) == 2 else
        (x[:1], lengths[:1]), say=lambda _: None, **STILL,
    )  # fmt: skip
    fresh = unit(by_channel(network.signals(x, lengths)["lstm_1"]), "gram").values
    torch.testing.assert_close(cache.unit(["b"], x[1:, :4], lengths[1:]).values, fresh[1:])


def test_sizes(tmp_path):
    assert Layout("gram", 512, 512).numbers == 512 * 513 // 2
    assert Layout("features", 512, 32).numbers == 512 * 32
    assert Layout.of(torch.zeros(1, 512, 8, 4)).kind == "features"
    assert Layout.of(torch.zeros(1, 4, 512)).kind == "gram"  # frames may differ from item to item
    full = 4 * 2 * 13 * (64 * 64 + 64 * 126 * 129)
    assert added_bytes(1000, {"conv_1": (13, 64, 126, 129)}) == 1000 + full
    assert added_bytes(1000, {"conv_1": (13, 64, 126, 129)}, cached=True) == 4 * 2 * 13 * 64 * 64


def test_shapes_that_cannot_be_compared_are_refused():
    with pytest.raises(ValueError, match="must have the same shape up to the tap"):
        squared_cosine(torch.rand(2, 3, 8), Unit("gram", torch.rand(2, 4, 4)))
    with pytest.raises(ValueError, match="must have the same shape up to the tap"):
        squared_cosine(torch.rand(2, 8, 3), Unit("features", torch.rand(2, 8, 4)))
    with pytest.raises(ValueError, match=r"features must have shape"):
        by_channel(torch.rand(3))


def test_what_a_cache_says_of_itself_is_plain_text(tmp_path, network):
    cache = built(tmp_path, network)
    about = json.loads(cache.path.with_suffix(".json").read_text())
    assert (about["weights"], about["tap"], about["items"]) == (weights_hash(network), "conv_1", ITEMS)
