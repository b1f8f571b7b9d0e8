"""VGG16, AlexNet and ResNet-50: sizes, taps, published layer numbers, widths, sets of layer operations, inputs that do not fit."""

import json

import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from sercore import models
from sercore.__main__ import app
from sercore.errors import SpecError
from sercore.models import alexnet, resnet50, taps, vgg16
from sercore.models.ops import LayerOps, RealOps, operations
from sercore.spec import ModelSpec, RunSpec

#: 512 x 128 points, 4 classes; without adaptive pooling, AlexNet and ResNet-50 as the authors' configurations count them.
COUNTS = {"vgg16": 165_733_060, "vgg16_pool": 134_275_780, "alexnet": 57_004_740, "resnet50": 23_509_956}
SMALL = {"vgg16": (64, 32), "vgg16_pool": (40, 33), "alexnet": (70, 64), "resnet50": (40, 33)}
VGG16_TAPS = (
    "input conv_1 conv_2 pool_1 conv_3 conv_4 pool_2 conv_5 conv_6 conv_7 pool_3 conv_8 conv_9 conv_10 pool_4 "
    "conv_11 conv_12 conv_13 pool_5 hidden_1 embedding logits"
)
TAPS = {
    "vgg16": VGG16_TAPS,
    "vgg16_pool": VGG16_TAPS,
    "alexnet": "input conv_1 pool_1 conv_2 pool_2 conv_3 conv_4 conv_5 pool_5 hidden_1 embedding logits",
    "resnet50": "input conv_1 pool_1 stage_1_block_1 stage_1_block_2 stage_1 "
    "stage_2_block_1 stage_2_block_2 stage_2_block_3 stage_2 "
    "stage_3_block_1 stage_3_block_2 stage_3_block_3 stage_3_block_4 stage_3_block_5 stage_3 "
    "stage_4_block_1 stage_4_block_2 stage_4 embedding logits",
}


def build(name, *args, **settings):
    return {"alexnet": alexnet, "resnet50": resnet50}.get(name, vgg16).build(name, *args, **settings)


def small(name, **settings):
    torch.manual_seed(0)
    return build(name, *SMALL[name], 3, **{"width": 1 / 16, **settings})


def count(model):
    return sum(p.numel() for p in model.parameters())


# sizes


@pytest.mark.parametrize("name", COUNTS)
def test_sizes_are_the_published_ones(name):
    with torch.device("meta"):
        assert count(build(name, 512, 128, 4)) == COUNTS[name]
        per_class = 2049 if name == "resnet50" else 4097
        assert count(build(name, 512, 128, 8)) == COUNTS[name] + 4 * per_class


def test_the_command_line_counts_them():
    arguments = ["models", "--n-frames", "512", "--n-features", "128", "--n-classes", "4", "--json"]
    rows = {row["name"]: row for row in json.loads(CliRunner().invoke(app, arguments).stdout)}
    assert {name: rows[name]["total"] for name in COUNTS} == COUNTS
    assert {rows[name]["input"] for name in COUNTS} == {"512 x 128"}


def test_sizes_are_those_of_the_known_networks_for_images():
    """Three channels and a thousand classes: the counts under which the three networks are known."""
    known = {"vgg16_pool": 138_357_544, "alexnet": 61_100_840, "resnet50": 25_557_032}
    with torch.device("meta"):
        assert {name: count(build(name, 224, 224, 1000, in_channels=3)) for name in known} == known


@pytest.mark.parametrize(
    ("name", "last"), [("vgg16", (512, 2, 2)), ("vgg16_pool", (512, 2, 2)), ("alexnet", (256, 1, 1)), ("resnet50", (2048, 2, 2))]
)
def test_an_embedding_of_four_channels_is_read_by_real_layers_too(name, last):
    """The control of chapter 7: real layers on the 64 x 64 embedding; three input maps more, for VGG16 a sixteenth of the flat maps."""
    with torch.device("meta"):
        model = build(name, 64, 64, 4, in_channels=4)
        taken = model.signals(torch.zeros(2, 4, 64, 64))
    maps = [tap for tap, shape in model.taps.items() if len(shape) == 3]
    assert model.taps[maps[-1]] == tuple(taken[maps[-1]].shape[1:]) == last
    more = 3 * 64 * {"alexnet": 121, "resnet50": 49}.get(name, 9)
    assert count(model) == COUNTS[name] + more - (4096 * (32_768 - 2048) if name == "vgg16" else 0)


# taps


@pytest.mark.parametrize("name", TAPS)
def test_taps_come_in_order_with_the_shapes_that_are_announced(name):
    model = small(name).eval()
    x = torch.randn(2, *SMALL[name])
    found = model.signals(x, torch.tensor([9, 5]))
    assert " ".join(found) == " ".join(model.taps) == TAPS[name]
    assert {tap: tuple(value.shape[1:]) for tap, value in found.items()} == model.taps
    assert torch.equal(found["input"], x[:, None])
    assert torch.equal(found["logits"], model(x))
    rectified = [tap for tap in found if tap not in ("input", "logits")]
    assert all(found[tap].min() >= 0 for tap in rectified)
    assert all((found[tap] == 0).any() for tap in rectified if tap.startswith(("conv", "stage"))), "maps are taken after the ReLU"


def test_convolutions_are_tapped_before_their_pooling():
    for name, pairs in (("vgg16", {"conv_2": "pool_1", "conv_13": "pool_5"}), ("alexnet", {"conv_1": "pool_1", "conv_5": "pool_5"})):
        found = small(name).signals(torch.randn(2, *SMALL[name]))
        for before, after in pairs.items():
            window = 2 if name == "vgg16" else 3
            assert torch.equal(nn.functional.max_pool2d(found[before], window, 2), found[after])


@pytest.mark.parametrize("name", TAPS)
def test_a_forward_pass_stops_behind_the_tap(name):
    model = small(name).eval()
    x, ran = torch.randn(2, *SMALL[name]), []
    for layer, module in model.named_modules():
        if not list(module.children()) and list(module.parameters()):
            module.register_forward_hook(lambda *_, layer=layer: ran.append(layer))
    whole = model.signals(x)
    layers = list(ran)
    assert layers[-1] == "classifier"
    for stop in ("input", "conv_1", "pool_1", list(model.taps)[-4], "embedding", "logits"):
        ran.clear()
        found = model.signals(x, upto=stop)
        assert list(found) == list(model.taps)[: list(model.taps).index(stop) + 1]
        assert all(torch.equal(value, whole[tap]) for tap, value in found.items())
        assert ran == layers[: len(ran)]
        assert ("classifier" in ran) == (stop == "logits")
        ran_there = len(ran)
        ran.clear()
        assert torch.equal(model.tapped(x, stop), whole[stop])
        assert len(ran) == ran_there
    ran.clear()
    model.tapped(x, "conv_1")
    assert ran == (["conv_1", "norm_1"] if name == "resnet50" else ["conv_1"])


def test_a_tap_that_does_not_exist_names_those_there_are():
    model = small("alexnet")
    for ask in (lambda: model.signals(torch.zeros(2, 70, 64), upto="conv_6"), lambda: model.tapped(torch.zeros(2, 70, 64), "conv_6")):
        with pytest.raises(ValueError, match=r"alexnet has no tap 'conv_6'; there are: input, conv_1, pool_1, .*, embedding, logits"):
            ask()


def test_gradients_reach_every_weight_before_a_tap_and_none_behind():
    model = small("vgg16")
    model.tapped(torch.randn(2, 64, 32), "pool_2").square().sum().backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().sum() > 0}
    assert reached == {"conv_1", "conv_2", "conv_3", "conv_4"}


# published layer numbers


def test_released_layers_are_slices_of_the_list_of_modules():
    """The authors cut the list (convolution, ReLU, ..., pooling) before module k, so that the n-th convolution's input comes out."""
    names, starts, number = ["input"], [], 0
    for block, convolutions in enumerate((2, 2, 3, 3, 3), 1):
        for _ in range(convolutions):
            number += 1
            starts.append(len(names) - 1)
            names += [f"conv_{number} before ReLU", f"conv_{number}"]
        names.append(f"pool_{block}")
    assert starts == [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    for network in ("vgg16", "vgg16_pool"):
        assert [taps.tap_of(network, n, "released") for n in range(1, 14)] == [names[k] for k in starts]
    names = ["input", "", "conv_1", "pool_1", "", "conv_2", "pool_2", "", "conv_3", "", "conv_4", "", "conv_5", "pool_5"]
    assert [taps.tap_of("alexnet", n, "released") for n in range(1, 6)] == [names[k] for k in (0, 3, 6, 8, 10)]
    names = ["input", "", "", "", "pool_1", "stage_1", "stage_2", "stage_3", "stage_4"]  # after 0, 1, ... of the top-level modules
    assert [taps.tap_of("resnet50", n, "released") for n in range(1, 6)] == [names[k] for k in (0, 4, 5, 6, 7)]


def test_layers_of_the_text_are_convolutions_counted_from_one():
    assert [taps.tap_of("vgg16", n) for n in range(1, 14)] == [f"conv_{n}" for n in range(1, 14)]
    assert [taps.tap_of("alexnet", n) for n in range(1, 6)] == [f"conv_{n}" for n in range(1, 6)]
    behind, convolutions = [], 1  # tap behind each convolution of ResNet-50, shortcuts not counted
    for tap in TAPS["resnet50"].split():
        behind += ["conv_1"] * (tap == "conv_1") + [tap] * 3 * tap.startswith("stage")
        convolutions += 3 * tap.startswith("stage")
    assert convolutions == len(behind) == 49
    assert [taps.tap_of("resnet50", n) for n in range(1, 6)] == [behind[min(10 * n, 49) - 1] for n in range(1, 6)]


def test_every_published_layer_is_a_tap_of_its_network():
    assert set(taps.PUBLISHED) == set(models.BACKBONES)
    for name, variants in taps.PUBLISHED.items():
        for named in variants.values():
            assert set(named) <= set(TAPS[name].split())
            assert len(set(named)) == len(named) == (13 if name.startswith("vgg16") else 5)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (("vgg16", 14), "1 to 13, not 14"),
        (("alexnet", 0), "1 to 5, not 0"),
        (("a1", 1), "known: vgg16"),
        (("vgg16", 1, "paper"), "variant must be"),
    ],
)
def test_layers_that_were_never_published_are_refused(asked, said):
    with pytest.raises(ValueError, match=said):
        taps.tap_of(*asked)


# widths


def test_width_scales_maps_and_hidden_layers():
    with torch.device("meta"):
        eighth = {name: build(name, 256, 64, 7, width=1 / 8).taps for name in COUNTS}
        half = build("alexnet", 256, 64, 7, width=1 / 2).taps
    assert [eighth["vgg16"][f"conv_{n}"][0] for n in (1, 3, 5, 8, 13)] == [8, 16, 32, 64, 64]
    assert eighth["vgg16"]["hidden_1"] == eighth["vgg16_pool"]["embedding"] == (512,)
    assert [eighth["alexnet"][f"conv_{n}"][0] for n in range(1, 6)] == [8, 24, 48, 32, 32]
    assert [eighth["resnet50"][tap][0] for tap in ("conv_1", "stage_1", "stage_2", "stage_3", "stage_4")] == [8, 32, 64, 128, 256]
    assert (half["conv_2"][0], half["embedding"]) == (96, (2048,))


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("vgg16", {"width": 0}, "vgg16 cannot be built: width must be a finite number above 0"),
        ("alexnet", {"width": float("nan")}, "width must be a finite number above 0"),
        ("vgg16", {"width": 1 / 256}, r"width 0.00390625 leaves none of 64 channels .* take 0.0078125 or more"),
        ("resnet50", {"width": 1 / 256}, "resnet50 cannot be built: width .* leaves none of 64 channels"),
        ("resnet50", {"in_channels": 0}, "resnet50 cannot be built: real layers take input channels in multiples of 1, got 0"),
        ("vgg16", {"ops": "octonion"}, "no set of layer operations is called 'octonion'; known: real"),
    ],
)
def test_settings_that_make_no_network_are_refused(name, settings, said):
    with pytest.raises(ValueError, match=said), torch.device("meta"):
        build(name, 64, 64, 4, **settings)


def test_the_width_that_the_message_names_is_enough():
    assert operations("real").channels(64, 0.0078125) == 1
    with pytest.raises(ValueError, match="leaves none"):
        operations("real").channels(64, 0.0078)


# inputs


@pytest.mark.parametrize(("name", "least"), [("vgg16", 32), ("vgg16_pool", 32), ("alexnet", 63), ("resnet50", 1)])
def test_the_smallest_input_runs_and_one_point_less_is_refused(name, least):
    model = build(name, least, least, 3, width=1 / 16).eval()
    assert model(torch.randn(2, least, least)).shape == (2, 3)
    for size in ((least - 1, least), (least, least - 1)):
        with pytest.raises(ValueError, match=rf"{name} cannot be built"), torch.device("meta"):
            build(name, *size, 3)


def test_an_input_that_is_too_small_names_the_layer():
    with pytest.raises(ValueError, match=r"vgg16 cannot be built, its pool_5 \(2x2\) sees 1 frames x 2 bins"), torch.device("meta"):
        build("vgg16", 31, 32, 3)
    with pytest.raises(ValueError, match=r"alexnet cannot be built, its pool_5 \(3x3\) sees 2 frames x 3 bins"), torch.device("meta"):
        build("alexnet", 62, 63, 3)


@pytest.mark.parametrize(
    ("in_channels", "shape", "said"),
    [
        (1, (2, 40, 34), r"built for inputs of shape \(B, 40, 33\) or \(B, 1, 40, 33\), got \(2, 40, 34\)"),
        (1, (2, 4, 40, 33), r"got \(2, 4, 40, 33\)"),
        (4, (2, 40, 33), r"built for inputs of shape \(B, 4, 40, 33\), got \(2, 40, 33\)"),
        (4, (4, 40, 33), r"got \(4, 40, 33\)"),
        (1, (40, 33), r"got \(40, 33\)"),
    ],
)
def test_inputs_of_another_size_are_refused(in_channels, shape, said):
    model = build("resnet50", 40, 33, 3, width=1 / 16, in_channels=in_channels)
    with pytest.raises(ValueError, match=said):
        model(torch.zeros(shape))


# weights


def bounds(layer):
    """(is it within torch's default bound, is its bias zero, deviation of its weights)"""
    bound = layer.weight[0].numel() ** -0.5
    return layer.weight.abs().max() <= bound, layer.bias is None or not layer.bias.any(), layer.weight.std().item()


@pytest.mark.parametrize("name", ["vgg16", "vgg16_pool"])
def test_vgg16_draws_its_weights_as_the_variant_says(name):
    definition, released = small(name, width=1 / 4), small(name, width=1 / 4, variant="released")
    assert all(bounds(layer)[1] for layer in definition.modules() if hasattr(layer, "bias"))
    for number in range(1, 14):
        layer = definition.get_submodule(f"conv_{number}")
        assert bounds(layer)[2] == pytest.approx((2 / (layer.out_channels * 9)) ** 0.5, rel=0.1)
    for layer in ("hidden_1", "hidden_2", "classifier"):
        assert bounds(definition.get_submodule(layer))[2] == pytest.approx(0.01, rel=0.05)
    default = {layer for layer, module in released.named_modules() if hasattr(module, "bias") and not bounds(module)[1]}
    weighted = {layer for layer, module in released.named_modules() if hasattr(module, "bias")}
    assert default == ({"conv_1", "classifier"} if name == "vgg16_pool" else weighted)
    assert all(bounds(released.get_submodule(layer))[0] for layer in default)


def test_resnet50_and_alexnet_draw_theirs_as_torchvision():
    network = small("resnet50", width=1 / 4)
    convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
    assert len(convolutions) == 53
    for layer in convolutions:
        assert layer.bias is None
        area = layer.kernel_size[0] * layer.kernel_size[1]
        assert layer.weight.std().item() == pytest.approx((2 / (layer.out_channels * area)) ** 0.5, rel=0.1)
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all((norm.weight == 1).all() and not norm.bias.any() for norm in norms)
    assert all(bounds(layer)[0] and not bounds(layer)[1] for layer in small("alexnet").modules() if hasattr(layer, "bias"))


@pytest.mark.parametrize("name", TAPS)
def test_weights_follow_from_torchs_random_state(name):
    one, two = small(name), small(name)
    other = build(name, *SMALL[name], 3, width=1 / 16)
    assert all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), two.state_dict().values(), strict=True))
    assert not torch.equal(one.classifier.weight, other.classifier.weight)


@pytest.mark.parametrize("name", TAPS)
def test_every_network_learns_one_batch(name):
    model = small(name, dropout=0.0)
    x, labels = torch.randn(3, *SMALL[name]), torch.arange(3)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=2e-3), []
    for _ in range(40):
        optimizer.zero_grad()
        losses.append(torch.nn.functional.cross_entropy(model(x, torch.full((3,), 30)), labels))
        losses[-1].backward()
        optimizer.step()
        if losses[-1] < 0.3:
            break
    assert losses[-1] < 0.3 < losses[0]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


@pytest.mark.parametrize(
    ("name", "wanted"), [("vgg16", ["hidden_1", "embedding"]), ("alexnet", ["pool", "hidden_1"]), ("resnet50", ["embedding"])]
)
def test_dropout_stands_where_the_original_has_it(name, wanted):
    model, seen = small(name, dropout=0.0), []
    model.dropout.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    found = model.signals(torch.randn(2, *SMALL[name]))
    found["pool"] = torch.nn.functional.adaptive_avg_pool2d(found["pool_5"], 6).flatten(1) if name == "alexnet" else None
    assert len(seen) == len(wanted)
    assert all(torch.equal(value, found[tap]) for value, tap in zip(seen, wanted, strict=True))


# sets of layer operations


class Quadrupled(nn.Module):
    """A weight of four components, assembled into a real one by signs and places: no layer of torch, and its channels come in fours."""

    PLACES = ((0, 1, 2, 3), (1, 0, 3, 2), (2, 3, 0, 1), (3, 2, 1, 0))
    SIGNS = ((1, -1, -1, -1), (1, 1, -1, 1), (1, 1, 1, -1), (1, -1, 1, 1))

    def __init__(self, read, out, *kernel, stride=1, padding=0, bias=True):
        super().__init__()
        assert read % 4 == out % 4 == 0
        self.parts = nn.Parameter(torch.randn(4, out // 4, read // 4, *kernel) * (out * 3) ** -0.5)
        self.offset = nn.Parameter(torch.zeros(out)) if bias else None
        self.geometry = {"stride": stride, "padding": padding} if kernel else {}

    def forward(self, x):
        rows = [
            torch.cat([sign * self.parts[place] for sign, place in zip(signs, places, strict=True)], dim=1)
            for signs, places in zip(self.SIGNS, self.PLACES, strict=True)
        ]
        multiply = torch.nn.functional.conv2d if self.geometry else torch.nn.functional.linear
        return multiply(x, torch.cat(rows), self.offset, **self.geometry)


class OneDeviation(nn.Module):
    """One scale a group of four channels, one offset a channel."""

    def __init__(self, channels):
        super().__init__()
        self.scale, self.offset = nn.Parameter(torch.ones(channels // 4)), nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        x = (x - x.mean()) / (x.std() + 1e-5)
        return x * self.scale.repeat(4)[:, None, None] + self.offset[:, None, None]


class Fours(RealOps):
    name = "fours"
    multiple = 4

    def conv(self, read, out, kernel, stride=1, padding=0, bias=True):
        return Quadrupled(read, out, kernel, kernel, stride=stride, padding=padding, bias=bias)

    def linear(self, read, out, bias=True):
        return Quadrupled(read, out, bias=bias)

    def norm(self, channels):
        return OneDeviation(channels)

    def draw(self, layer, rule):
        return layer


@pytest.mark.parametrize(("name", "wanted"), [("vgg16", 9_998_020), ("alexnet", 14_276_292), ("resnet50", 5_905_908)])
def test_a_set_of_weights_in_fours_gives_the_published_quaternion_sizes(name, wanted):
    with torch.device("meta"):
        model = build(name, 64, 64, 4, in_channels=4, ops=Fours())
    assert count(model) == wanted
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    assert layers == [model.classifier], "a backbone made a layer of its own"


@pytest.mark.parametrize("name", TAPS)
def test_a_backbone_runs_on_another_set(name):
    model = small(name, in_channels=4, ops=Fours())
    found = model.signals(torch.randn(2, 4, *SMALL[name]))
    assert {tap: tuple(value.shape[1:]) for tap, value in found.items()} == model.taps
    found["logits"].square().sum().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_a_set_rounds_to_its_multiple_and_refuses_channels_between():
    assert [Fours().channels(192, width) for width in (1, 1 / 8, 1 / 64, 1 / 96)] == [192, 24, 4, 4]
    with pytest.raises(ValueError, match=r"leaves none of 192 channels \(fours layers take them in multiples of 4\)"):
        Fours().channels(192, 1 / 128)
    with pytest.raises(ValueError, match="alexnet cannot be built: fours layers take input channels in multiples of 4, got 1"):
        build("alexnet", 64, 64, 4, ops=Fours())


def test_real_operations_are_torchs():
    ops = operations("real")
    assert isinstance(ops, LayerOps)
    assert operations(ops) is ops
    assert ops.transposed_conv(4, 8, 3, (2, 1), 1, (1, 0))(torch.zeros(1, 4, 5, 6)).shape == (1, 8, 10, 6)
    assert ops.max_pool(3, 2, 1)(torch.zeros(1, 1, 9, 8)).shape == (1, 1, 5, 4)
    with pytest.raises(ValueError, match="no rule of drawing weights is called 'xavier'; known: kaiming_fan_out, normal"):
        ops.draw(ops.linear(2, 2), "xavier")


# registry and specs


def test_networks_are_registered_with_width_and_revision():
    assert {name: models.REVISIONS[name] for name in models.BACKBONES} == dict.fromkeys(COUNTS, 1)
    with torch.device("meta"):
        model = models.build("vgg16", 64, 7, n_frames=256, width=1 / 8)
    assert model.taps["pool_5"] == (64, 8, 2)
    assert model.taps["embedding"] == (512,)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("a1", {"width": 0.5}, "a1 has no width to set; networks that have one: vgg16, vgg16_pool, alexnet, resnet50"),
        ("lstm_sa_h32", {"width": 0.5}, "lstm_sa_h32 has no width"),
        ("vgg16", {"kernel": (3, 3)}, "vgg16 has no kernel"),
        ("vgg16", {"scales": models.ScaleSpec()}, "vgg16 has no time scales: leave them out$"),
        ("vgg16", {"n_frames": 0}, "^vgg16 cannot be built for 0 frames x 46 bins"),
        ("vgg16", {"n_frames": 20}, "^vgg16 cannot be built, its pool_5"),
    ],
)
def test_settings_that_a_network_would_not_look_at_are_refused(name, settings, said):
    with pytest.raises(SpecError, match=said), torch.device("meta"):
        models.build(name, **{"n_frames": 64, **settings})


def spec(**model):
    return RunSpec.model_validate({"data": {"corpus": "synthetic"}, "split": {"scheme": "speakers_4"}, "model": model})


def test_a_run_says_its_width():
    assert ModelSpec(name="vgg16", width=0.125).settings == "w0.125"
    assert ModelSpec(name="vgg16").settings == ""
    assert ".w0.125." in spec(name="vgg16", width=0.125).group
    assert "width" not in spec(name="vgg16").canonical()["model"]
    assert RunSpec.model_validate(spec(name="vgg16", width=0.125).canonical()).model.width == 0.125
    with torch.device("meta"):
        assert models.build_for(spec(name="vgg16", width=0.125), 64, 4, 256).taps["conv_1"] == (8, 256, 64)
    leaky = spec(name="lstm_sa_h32", width=0.5).model_copy(update={"leaks": ("unmasked_padding",)})
    with pytest.raises(SpecError, match="no width"):
        models.build_for(leaky, 46, 4)


@pytest.mark.parametrize("width", [0, -1, 4.5, float("nan")])
def test_widths_out_of_range_are_refused(width):
    with pytest.raises(ValueError, match="width"):
        ModelSpec(name="vgg16", width=width)
