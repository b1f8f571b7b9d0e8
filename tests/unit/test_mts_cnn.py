"""Networks A1 to A4 and ResNet-18: sizes, taps, slips of the released code, inputs that do not fit."""

import copy

import pytest
import torch

from sercore.layers.kernel_scales import SCALE_SETS
from sercore.models import mts_cnn, mts_resnet

SCALES = {"time_factors": (0.7, 1.0, 1.428)}


def build(architecture, *args, **settings):
    return (mts_resnet if architecture == "resnet18" else mts_cnn).build(architecture, *args, **settings)


def count(model):
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("scales", [None, SCALES])
@pytest.mark.parametrize(
    ("architecture", "channels", "convolutions"), [("a1", 1, 51), ("a2", 10, 510), ("a3", 10, 510 + 10 * 10 * 50 + 10)]
)
@pytest.mark.parametrize(("frames", "classes"), [(165, 8), (94, 7), (281, 7), (126, 4)])
def test_sizes_on_the_four_corpora(architecture, channels, convolutions, frames, classes, scales):
    """Frames x 513 bins of RAVDESS, TESS, EmoDB and IEMOCAP as the authors' code cuts them; scales add no parameter."""
    rows, columns = frames - 9, 513 - 4
    if architecture == "a3":
        rows, columns = rows // 2 - 9, columns // 2 - 4
    flat = channels * rows * columns
    with torch.device("meta"):
        model = build(architecture, frames, 513, classes, scales=scales)
    assert model.hidden.in_features == flat
    assert count(model) == convolutions + (flat + 1) * 200 + 201 * classes


@pytest.mark.parametrize("scales", [None, SCALES])
def test_alexnet_and_resnet_have_the_known_sizes(scales):
    with torch.device("meta"):
        assert count(build("a4", 165, 513, 4, scales=scales)) == 57_004_740
        assert count(mts_cnn.MTSAlexNet(224, 224, 1000, in_channels=3, scales=scales)) == 61_100_840
        assert count(build("resnet18", 281, 513, 1000, scales=scales)) == 11_689_512


@pytest.mark.parametrize("variant", ["definition", "released"])
@pytest.mark.parametrize(("architecture", "rate", "steps"), [("a1", 3e-3, 60), ("a2", 1e-3, 60), ("a3", 1e-3, 60)])
def test_every_network_learns_one_batch(architecture, rate, steps, variant):
    torch.manual_seed(0)
    model = build(architecture, 50, 64, 4, scales=SCALES, variant=variant)
    x, labels = torch.randn(4, 50, 64), torch.arange(4)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x, torch.full((4,), 50)), labels)
        loss.backward()
        optimizer.step()
        if loss < 0.2:
            break
    assert loss.item() < 0.2
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_a4_passes_a_gradient_to_every_parameter():
    """Once in each variant: 57 million parameters are too many to learn in a unit test."""
    for variant in ("definition", "released"):
        torch.manual_seed(0)
        model = build("a4", 70, 66, 4, scales=SCALES, variant=variant)
        torch.nn.functional.cross_entropy(model(torch.randn(2, 70, 66)), torch.tensor([0, 3])).backward()
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())


def test_taps_come_in_order_and_end_in_logits():
    x = torch.randn(2, 90, 70)
    expected = {
        "a1": "input conv_1 embedding logits",
        "a3": "input conv_1 pool_1 conv_2 embedding logits",
        "a4": "input conv_1 pool_1 conv_2 pool_2 conv_3 conv_4 conv_5 pool_5 hidden_1 embedding logits",
        "resnet18": "input conv_1 pool_1 stage_1 stage_2 stage_3 stage_4 embedding logits",
    }
    for architecture, names in expected.items():
        model = build(architecture, 90, 70, 3, scales=SCALES).eval()
        taps = model.signals(x, torch.tensor([90, 4]))
        assert " ".join(taps) == names
        assert torch.equal(taps["logits"], model(x))
        assert taps["logits"].shape == (2, 3)
        assert taps["conv_1"].min() == 0, "conv_1 is taken after the ReLU"


def test_standard_and_multi_time_scale_network_are_one_definition():
    torch.manual_seed(0)
    standard = build("a3", 60, 40, 5)
    same = build("a3", 60, 40, 5, scales={"time_factors": (1.0,)})
    same.load_state_dict(standard.state_dict())
    x = torch.randn(3, 60, 40)
    assert torch.equal(standard(x), same(x))
    assert standard.usage(x) == {}
    assert standard.multi_time_scale_layers() == {}


def test_weights_of_a_standard_network_serve_with_scales_at_the_test_only():
    torch.manual_seed(0)
    standard = build("a2", 60, 40, 5)
    later = build("a2", 60, 40, 5, scales={**SCALES, "active": "evaluate"})
    later.load_state_dict(standard.state_dict())
    x = torch.randn(3, 60, 40)
    assert torch.equal(standard(x), later(x))
    assert not torch.allclose(standard(x), later.eval()(x))


def test_usage_per_layer_sums_to_one():
    torch.manual_seed(0)
    model = build("a3", 60, 40, 5, scales=SCALES)
    usage = model.usage(torch.randn(3, 60, 40))
    assert list(usage) == ["conv_1", "conv_2"]
    assert all(shares.shape == (3,) and abs(shares.sum() - 1) < 1e-12 for shares in usage.values())
    assert not model.conv_1._forward_pre_hooks


def test_a4_released_has_stride_1_only_where_the_scales_are():
    with torch.device("meta"):
        strides = {
            (variant, scales is None): build("a4", 165, 513, 4, scales=scales, variant=variant).conv_1.stride
            for variant in ("definition", "released")
            for scales in (None, SCALES)
        }
    assert strides.pop(("released", False)) == (1, 1)
    assert set(strides.values()) == {(4, 4)}


def test_resnet_released_has_its_slips():
    asked = {"time_factors": (0.5, 1.0, 2.0)}
    with torch.device("meta"):
        ours = build("resnet18", 281, 513, 7, scales=asked)
        theirs = build("resnet18", 281, 513, 7, scales=asked, variant="released")
        standard = build("resnet18", 281, 513, 7, variant="released")
    factors = {name: tuple(t for t, _ in layer.factors) for name, layer in theirs.multi_time_scale_layers().items()}
    assert factors.pop("conv_1") == (0.5, 1, 2)
    assert len(factors) == 16
    assert set(factors.values()) == {(0.7, 1.0, 1.428)}
    assert {tuple(t for t, _ in layer.factors) for layer in ours.multi_time_scale_layers().values()} == {(0.5, 1, 2)}
    assert (ours.side, theirs.side, standard.side) == (256, 224, 224)
    assert ours.conv_1.bias is None
    assert theirs.conv_1.bias is not None
    assert standard.conv_1.bias is None
    plain = [m for m in theirs.modules() if isinstance(m, torch.nn.Conv2d)]
    assert {m.kernel_size for m in plain} == {(1, 1)}


def test_scale_map_doubles_the_maps_and_keeps_their_sign():
    torch.manual_seed(0)
    model = build("a3", 60, 40, 5, scales={**SCALES, "scale_map": True})
    taps = model.signals(torch.randn(2, 60, 40))
    assert taps["conv_1"].shape[1] == 20
    assert taps["conv_1"][:, :10].min() == 0
    assert taps["conv_1"][:, 10:].min() < -0.3
    assert model.conv_2.in_channels == 20


def test_after_epoch_reaches_every_released_layer_and_no_other():
    for variant, moved in (("definition", False), ("released", True)):
        model = build("a3", 60, 40, 5, scales=SCALES, variant=variant)
        before = copy.deepcopy(model.state_dict())
        model.after_epoch()
        changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
        assert changed == ({"conv_1.weight", "conv_2.weight"} if moved else set())
    standard = build("a1", 60, 40, 5, variant="released")
    standard.after_epoch()


@pytest.mark.parametrize(
    ("architecture", "frames", "features", "settings", "said"),
    [
        ("a1", 8, 40, {}, r"a1 cannot be built, its conv_1 \(10x5\) sees 8 frames x 40 bins"),
        ("a1", 39, 40, {"scales": {"time_factors": (0.25, 1, 4)}}, "39 frames is shorter than the largest kernel, 40 frames"),
        ("a3", 40, 40, {"scales": {"time_factors": (0.5, 1, 2)}}, r"a3 cannot be built, its conv_2 .* sees 15 frames"),
        ("a2", 40, 40, {"kernel": (3, 3), "scales": {"time_factors": (0.25, 1, 4)}}, "time factor 0.25 leaves a kernel of length 3 no tap"),
        ("a4", 40, 30, {}, "a4 cannot be built, its pool_2"),
        ("resnet18", 90, 70, {"scales": {"time_factors": (0.25, 1, 4)}}, "resnet18 cannot be built, its stage_1"),
        ("a9", 90, 70, {}, "no network is called 'a9'"),
    ],
)
def test_a_network_that_does_not_fit_is_refused_by_name(architecture, frames, features, settings, said):
    with pytest.raises(ValueError, match=said), torch.device("meta"):
        build(architecture, frames, features, 4, **settings)


def test_what_is_refused_and_what_is_built_agree_with_what_runs():
    """At the smallest input that is accepted the network runs; one frame or bin less is refused."""
    for architecture, frames, features in (("a1", 14, 5), ("a3", 37, 14)):
        assert build(architecture, frames, features, 2, scales=SCALES)(torch.randn(2, frames, features)).shape == (2, 2)
        for less in ((frames - 1, features), (frames, features - 1)):
            with pytest.raises(ValueError, match="cannot be built"):
                build(architecture, *less, 2, scales=SCALES)


def test_a4_runs_at_the_smallest_input_that_is_accepted():
    frames = next(n for n in range(11, 200) if accepted(n))
    model = build("a4", frames, frames, 2)
    assert model(torch.randn(1, frames, frames)).shape == (1, 2)


def accepted(n):
    try:
        with torch.device("meta"):
            build("a4", n, n, 2)
    except ValueError:
        return False
    return True


def test_an_input_of_another_length_is_refused():
    model = build("a1", 30, 20, 2)
    for shape in ((2, 29, 20), (2, 30, 21), (30, 20)):
        with pytest.raises(ValueError, match=r"built for inputs of shape \(B, 30, 20\)"):
            model(torch.randn(shape))


def fitting(architecture, frames):
    found = set()
    for name, factors in SCALE_SETS.items():
        try:
            with torch.device("meta"):
                build(architecture, frames, 513, 7, scales={"time_factors": factors})
        except ValueError:
            continue
        found.add(name)
    return found


def test_which_of_the_eleven_sets_fit_which_network():
    quarter = {name for name, factors in SCALE_SETS.items() if 0.25 in factors}
    assert fitting("a1", 94) == fitting("a4", 281) == set(SCALE_SETS)
    assert set(SCALE_SETS) - fitting("a4", 94) == quarter  # the second convolution sees 10 frames and 4 of padding, and needs 20
    assert fitting("a3", 94) == set(SCALE_SETS)  # 42 frames after the pooling hold the kernel of 40
    assert set(SCALE_SETS) - fitting("a3", 80) == quarter
    assert set(SCALE_SETS) - fitting("resnet18", 94) == quarter
