"""The multi-time-scale layer: in place of Conv2d, its variants and switches, its compiled path, and what it refuses."""

import copy
import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from sercore.layers import multi_time_scale_fused as fused
from sercore.layers.kernel_scales import SCALE_SETS, buildable, obstacle, resampled, resampling_matrix, scaled_length
from sercore.layers.multi_time_scale import MultiTimeScaleConv2d, untrained_usage

FIVE = (0.5, 0.7, 1.0, 1.428, 2.0)


def made(*args, seed=0, **settings):
    torch.manual_seed(seed)
    return MultiTimeScaleConv2d(*(args or (1, 3, (6, 3))), **settings)


def trained(layer, x, steps=1, **optimiser):
    optimizer = torch.optim.Adam(layer.parameters(), **{"lr": 1e-2, **optimiser})
    for _ in range(steps):
        optimizer.zero_grad()
        layer(x).square().sum().backward()
        optimizer.step()
    return layer


# Kernels


def test_kernel_lengths_are_the_released_ones():
    lengths = {0.25: 2, 0.5: 5, 0.7: 7, 0.8: 8, 0.9: 9, 0.95: 9, 1.053: 10, 1.111: 11, 1.25: 12, 1.428: 14, 2: 20, 4: 40}
    assert {s: scaled_length(10, s) for s in lengths} == lengths
    assert [scaled_length(5, s) for s in (0.7, 1.428, 0.5, 2)] == [3, 7, 2, 10]
    assert [scaled_length(3, s) for s in (0.7, 1.428)] == [2, 4]
    assert scaled_length(100, 0.29) == 29


@pytest.mark.parametrize(("length", "new"), [(10, 7), (10, 14), (5, 2), (3, 1), (1, 4), (10, 40), (6, 6)])
def test_resampling_is_torchs_linear_interpolation_to_an_explicit_size(length, new):
    x = torch.randn(2, 3, length, dtype=torch.float64)
    expected = functional.interpolate(x, new, mode="linear", align_corners=False)
    torch.testing.assert_close(x @ resampling_matrix(length, new).T, expected, atol=1e-14, rtol=0)


def test_resampling_stays_exact_under_autocast_and_serves_training_after_inference():
    kernel = torch.randn(2, 1, 6, 4)
    with torch.inference_mode():
        resampled(kernel, (9, 6))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = resampled(kernel.requires_grad_(), (9, 6))
    expected = functional.interpolate(kernel, (9, 6), mode="bilinear", align_corners=False)
    torch.testing.assert_close(found, expected)
    found.sum().backward()


def test_there_are_eleven_scale_sets_symmetric_in_ratio():
    assert len(SCALE_SETS) == 11
    for name, factors in SCALE_SETS.items():
        assert name == "_".join(f"{s:g}" for s in factors)
        assert all(abs(math.log(a) + math.log(b)) < 1e-2 for a, b in zip(factors, factors[::-1], strict=True))


def test_what_can_be_built_is_what_runs():
    """Every set on kernels and inputs around the limits: `buildable` says no exactly where the layer does."""
    for factors in SCALE_SETS.values():
        for kernel in ((3, 3), (4, 3), (10, 5)):
            for frames in (3, 12, 14, 39, 40):
                try:
                    MultiTimeScaleConv2d(1, 1, kernel, factors)(torch.zeros(1, 1, frames, 5))
                    runs = True
                except ValueError:
                    runs = False
                assert buildable(kernel, (frames, 5), factors) == runs, (factors, kernel, frames)
                assert (obstacle(kernel, (frames, 5), factors) is None) == runs


# In place of Conv2d


@pytest.mark.parametrize("settings", [{}, {"stride": (2, 1), "padding": (1, 2)}, {"bias": False}])
@pytest.mark.parametrize("variant", ["definition", "released"])
def test_with_the_unscaled_branch_alone_it_is_conv2d(settings, variant):
    layer = made(2, 4, (5, 3), (1.0,), variant=variant, **settings)
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(2, 4, (5, 3), **settings)
    assert list(layer.state_dict()) == list(plain.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(layer.parameters(), plain.parameters(), strict=True)), "initial weights differ"
    x = torch.randn(2, 2, 20, 12)
    y, z = layer(x), plain(x)
    assert torch.equal(y, z)
    y.square().sum().backward()
    z.square().sum().backward()
    assert torch.equal(layer.weight.grad, plain.weight.grad)


@pytest.mark.parametrize(
    "settings", [{}, {"stride": (2, 3)}, {"padding": 2}, {"alignment": "resampled", "stride": 2}, {"variant": "released"}]
)
def test_output_size_and_parameters_are_those_of_the_plain_convolution(settings):
    layer = made(2, 4, (6, 3), (0.5, 1, 2), **settings)
    plain = torch.nn.Conv2d(2, 4, (6, 3), settings.get("stride", 1), settings.get("padding", 0))
    x = torch.randn(2, 2, 25, 13)
    assert layer(x).shape == plain(x).shape
    assert {k: v.shape for k, v in layer.state_dict().items()} == {k: v.shape for k, v in plain.state_dict().items()}


@pytest.mark.parametrize("settings", [{}, {"alignment": "resampled"}, {"normalise_gain": True, "scale_penalty": 0.3, "stride": 2}])
def test_gradients_hold_numerically(settings):
    layer = made(1, 2, (4, 3), (0.5, 1, 2), **settings).double()
    x = torch.randn(1, 1, 12, 6, dtype=torch.float64, requires_grad=True)

    def run(weight, bias, given):
        return torch.func.functional_call(layer, {"weight": weight, "bias": bias}, (given,))

    assert torch.autograd.gradcheck(run, (layer.weight, layer.bias, x))


def test_centred_branches_see_one_place():
    """An impulse, and kernels of one sign: every branch answers around the same frame; slid branches drift apart towards the edge."""
    layer = made(1, 1, (8, 1), (0.5, 1, 2)).double()
    slid = made(1, 1, (8, 1), (0.5, 1, 2), alignment="resampled").double()
    x = torch.zeros(1, 1, 80, 1, dtype=torch.float64)
    x[0, 0, 66] = 1
    for one in (layer, slid):
        torch.nn.init.ones_(one.weight)
        torch.nn.init.zeros_(one.bias)

    def centres(one):
        maps = one.branches(x)[:, 0, 0, :, 0]
        return ((maps * torch.arange(maps.shape[1])).sum(1) / maps.sum(1)).tolist()

    assert max(centres(layer)) - min(centres(layer)) == 0
    assert max(centres(slid)) - min(centres(slid)) > 3


def test_two_calls_and_any_order_of_the_batch_give_the_same_bits():
    for work in (0, 10**12):
        layer, x = made(1, 4, (10, 5), FIVE), torch.randn(5, 1, 60, 40)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(fused, "LEAST_WORK", work)
            first, order = layer(x), torch.tensor([3, 1, 4, 0, 2])
            assert torch.equal(first, layer(x))
            assert torch.equal(first[order], layer(x[order]))
            grads = []
            for _ in range(2):
                layer.zero_grad()
                layer(x).square().sum().backward()
                grads.append(layer.weight.grad.clone())
            assert torch.equal(*grads)


# Switches


def test_gain_normalisation_makes_a_constant_input_give_equal_maps():
    x = torch.ones(1, 1, 40, 10)
    flat = made(1, 2, (6, 3), (0.5, 1, 2), normalise_gain=True, bias=False).branches(x)[..., 10:20, :]
    torch.testing.assert_close(flat[0], flat[1])
    torch.testing.assert_close(flat[2], flat[1])
    grown = made(1, 2, (6, 3), (0.5, 1, 2), bias=False).branches(x)[..., 10:20, :]
    torch.testing.assert_close(grown[2], 2 * grown[1])


def test_penalty_weighs_each_map():
    x = torch.randn(2, 1, 30, 10)
    plain, weighed = (made(1, 2, (6, 3), (0.5, 1, 2), scale_penalty=p).branches(x) for p in (0, 0.5))
    for one, other, share in zip(plain, weighed, (1 - 0.5 * math.log(2), 1, 1 - 0.5 * math.log(2)), strict=True):
        torch.testing.assert_close(one * share, other)


@pytest.mark.parametrize("variant", ["definition", "released"])
@pytest.mark.parametrize("active", ["train", "evaluate"])
def test_active_in_one_mode_only(active, variant):
    x = torch.randn(2, 1, 30, 10)
    layer, always = made(active=active, variant=variant), made(variant=variant)
    plain = functional.conv2d(x, layer.weight, layer.bias)
    for mode in ("train", "evaluate"):
        layer.train(mode == "train")
        assert torch.equal(layer(x), always(x) if mode == active else plain)
    assert not torch.equal(plain, always(x))
    assert torch.equal(layer.branch_usage(x), always.branch_usage(x))


def test_scale_map_names_the_winner_of_each_point():
    x = torch.randn(2, 1, 30, 10)
    layer = made(scale_map=True, time_factors=(0.5, 1, 2), active="evaluate")
    assert torch.equal(layer(x)[:, 3:], torch.zeros(2, 3, 25, 8))
    out = layer.eval()(x)
    winner = layer.branches(x).argmax(0)
    torch.testing.assert_close(out[:, 3:], torch.tensor([math.log(0.5), 0, math.log(2)])[winner])
    torch.testing.assert_close(out[:, :3], layer.branches(x).amax(0))
    assert layer.maps == out.shape[1] == 6


def test_usage_is_the_share_of_points_won():
    layer, x = made(1, 4, (10, 5), FIVE), torch.randn(2, 1, 60, 20)
    shares = np.bincount(layer.branches(x).argmax(0).flatten(), minlength=5) / (2 * 4 * 51 * 16)
    np.testing.assert_allclose(layer.branch_usage(x), shares, atol=1e-12)


def test_a_tie_counts_once_and_stays_with_the_unscaled_branch():
    """1.053 leaves a kernel of 10 as it is: every point ties. The authors' count gives both branches every point."""
    layer = made(1, 2, (10, 5), (1.053, 1.0))
    assert layer.branch_usage(torch.randn(1, 1, 30, 10)).tolist() == [0, 1]
    y = made(1, 2, (10, 5), (0.95, 0.9, 1.0))  # both have 9 taps
    x = torch.randn(1, 1, 30, 10)
    assert y.branch_usage(x)[1] == 0
    assert y.branch_usage(x)[0] > 0
    doubled = made(1, 2, (10, 5), (1.053, 1.0)).double()
    doubled(x.double()).sum().backward()
    alone = made(1, 2, (10, 5), (1.0,)).double()
    alone(x.double()).sum().backward()
    torch.testing.assert_close(doubled.weight.grad, alone.weight.grad)  # not split, not doubled


def test_untrained_usage_leaves_the_random_state_alone_and_repeats():
    inputs = [torch.randn(40, 20), torch.randn(55, 20)]
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    first = untrained_usage(inputs, n_kernels=4)
    assert torch.rand(1) == expected
    assert torch.equal(first, untrained_usage(inputs, n_kernels=4))
    assert not torch.equal(first, untrained_usage(inputs, n_kernels=4, seed=1))
    with pytest.raises(ValueError, match="no spectrogram"):
        untrained_usage([])


# The released variant


def test_released_kernel_learns_from_points_of_the_unscaled_branch_only():
    x = torch.randn(2, 1, 30, 10)
    layer, whole = made(variant="released"), made(alignment="resampled")
    upstream = torch.randn(2, 3, 25, 8)
    layer(x).backward(upstream)
    whole(x).backward(upstream)
    plain = functional.conv2d(x, weight := layer.weight.detach().clone().requires_grad_())
    plain.backward(torch.where(layer.winners(x) == layer.unscaled, upstream, 0))
    torch.testing.assert_close(layer.weight.grad, weight.grad)
    assert not torch.allclose(layer.weight.grad, whole.weight.grad, rtol=0.1)


def test_released_smoothing_halves_a_fresh_kernel_in_eleven_epochs():
    """Figures found once with the authors' form: one call changes a kernel by about 31 % in norm, eleven halve its norm."""
    layer = made(1, 400, (10, 5), variant="released")
    fresh = layer.weight.detach().clone()
    layer.after_epoch()
    assert abs((layer.weight - fresh).norm() / fresh.norm() - 0.31) < 0.03
    for _ in range(10):
        layer.after_epoch()
    assert abs(layer.weight.norm() / fresh.norm() - 0.5) < 0.02


def test_released_smoothing_is_the_mean_over_branches_and_back():
    layer = made(2, 3, (6, 4), (0.5, 1, 2), (1, 1, 1.5), variant="released", normalise_gain=True)
    weight = layer.weight.detach()
    there_and_back = [
        functional.interpolate(functional.interpolate(weight, size, mode="bilinear"), (6, 4), mode="bilinear") for size in layer.sizes
    ]
    expected = torch.stack(there_and_back).mean(0)
    layer.after_epoch()
    torch.testing.assert_close(layer.weight.detach(), expected)
    ours = made()
    before = ours.weight.detach().clone()
    ours.after_epoch()
    assert torch.equal(ours.weight, before)


@pytest.mark.parametrize("fused_adam", [True, False])
def test_released_bias_moves_once_a_branch(fused_adam):
    """Adam's first step is the learning rate whatever the gradient's size: three branches that all win points make three of them."""
    x = torch.randn(2, 1, 40, 12) + 3
    for variant, times in (("definition", 1), ("released", 3)):
        layer = made(variant=variant)
        assert layer.branch_usage(x).min() > 0
        before = layer.bias.detach().clone()
        optimizer = torch.optim.Adam(layer.parameters(), lr=1e-3, fused=fused_adam)
        layer(x).sum().backward()
        optimizer.step()
        torch.testing.assert_close(layer.bias.detach(), before - times * 1e-3, atol=1e-6, rtol=0)


def shared(layer):
    return {getattr(layer, name).data_ptr() for name in layer._branch_biases.values()} == {layer.bias.data_ptr()}


def test_released_biases_share_memory_after_every_move():
    layer = made(variant="released")
    assert len(layer._branch_biases) == 2
    assert shared(layer)
    assert shared(layer.double())
    assert shared(layer.float())
    twin = copy.deepcopy(layer)
    assert shared(twin)
    assert twin.bias.data_ptr() != layer.bias.data_ptr()
    twin.load_state_dict(layer.state_dict())
    assert shared(twin)
    twin.load_state_dict({k: v.clone() for k, v in layer.state_dict().items()}, assign=True)
    assert shared(twin)
    assert shared(torch.nn.Sequential(layer).to(torch.float64)[0])


def test_released_state_is_that_of_a_plain_convolution_and_safe_to_store(tmp_path):
    layer = trained(made(variant="released"), torch.randn(2, 1, 30, 10), 3)
    assert list(layer.state_dict()) == ["weight", "bias"]
    save_file(layer.state_dict(), tmp_path / "layer.safetensors")
    other = made(variant="released", seed=9)
    other.load_state_dict(load_file(tmp_path / "layer.safetensors"))
    x = torch.randn(1, 1, 30, 10)
    assert torch.equal(other(x), layer(x))
    with pytest.raises(RuntimeError, match="Missing key"):
        other.load_state_dict({"weight": layer.weight.detach()})


@pytest.mark.parametrize("variant", ["definition", "released"])
def test_an_interrupted_training_goes_on_as_the_whole(variant):
    """Model and optimiser stored and read in the middle, as a run that resumes does."""
    x = torch.randn(2, 1, 30, 10)
    whole, parts = made(variant=variant), made(variant=variant)
    trained(whole, x, 4)
    optimizer = torch.optim.Adam(parts.parameters(), lr=1e-2)
    for step in range(4):
        if step == 2:
            state, memory = copy.deepcopy(parts.state_dict()), copy.deepcopy(optimizer.state_dict())
            parts = made(variant=variant, seed=5)
            parts.load_state_dict(state)
            optimizer = torch.optim.Adam(parts.parameters(), lr=1e-2)
            optimizer.load_state_dict(memory)
        optimizer.zero_grad()
        parts(x).square().sum().backward()
        optimizer.step()
    assert torch.equal(whole.bias, parts.bias)
    assert torch.equal(whole.weight, parts.weight)


# The compiled path


@pytest.mark.parametrize(
    ("channels", "maps", "kernel", "settings"),
    [
        (1, 10, (10, 5), {}),
        (1, 1, (10, 5), {"time_factors": FIVE}),
        (3, 5, (5, 5), {"time_factors": FIVE, "normalise_gain": True, "scale_penalty": 0.3}),
        (2, 4, (4, 10), {"padding": (3, 2), "bias": False}),
        (1, 2, (10, 5), {"time_factors": (1.053, 1.0, 0.9), "scale_map": True}),
    ],
)
def test_compiled_path_equals_the_plain_one(monkeypatch, channels, maps, kernel, settings):
    """Values and gradients, held to float64: the compiled path is no further from it than a few roundings."""
    monkeypatch.setattr(fused, "LEAST_WORK", 0)
    layer, x = made(channels, maps, kernel, **settings), torch.randn(3, channels, 75, 33)
    assert fused.pays(layer, x)
    exact = copy.deepcopy(layer).double()
    upstream = torch.randn(layer(x).shape)
    found = layer(x)
    found.backward(upstream)
    assert not fused.pays(exact, x.double())
    expected = exact(x.double())
    expected.backward(upstream.double())
    torch.testing.assert_close(found.double(), expected, atol=2e-5, rtol=0)
    for one, other in zip(layer.parameters(), exact.parameters(), strict=True):
        torch.testing.assert_close(one.grad.double(), other.grad, atol=1e-4, rtol=1e-4)
    with fused.switched_off():
        assert not fused.pays(layer, x)
        torch.testing.assert_close(layer(x), found, atol=1e-5, rtol=0)
        winners = layer.winners(x)
    assert torch.equal(winners, layer.winners(x))


def test_compiled_path_is_chosen_by_kind_and_size_and_not_by_the_batch(monkeypatch):
    layer, x = made(1, 10, (10, 5)), torch.randn(2, 1, 100, 80)
    assert fused.pays(layer, x)
    assert fused.pays(layer, x[:1])
    assert not fused.pays(layer, x[:, :, :20, :20])
    assert not fused.pays(layer, x.clone().requires_grad_())
    assert not fused.pays(layer, x.double())
    assert not fused.pays(made(1, 10, (10, 5), stride=2), x)
    assert not fused.pays(made(1, 10, (10, 3)), x)
    assert not fused.pays(made(4, 10, (10, 5)), torch.randn(1, 4, 100, 80))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fused.pays(layer, x)
    monkeypatch.setattr(fused, "find_spec", lambda name: None)
    assert not fused.pays(layer, x)


def test_compiled_path_passes_on_what_is_not_a_number(monkeypatch):
    monkeypatch.setattr(fused, "LEAST_WORK", 0)
    layer, x = made(1, 2, (10, 5)), torch.randn(1, 1, 60, 30)
    x[0, 0, 30, 15] = math.nan
    found = layer(x).isnan()
    with fused.switched_off():
        assert torch.equal(found, layer(x).isnan())
    assert found.any()


def test_a_layer_that_ran_compiled_can_be_copied(monkeypatch):
    monkeypatch.setattr(fused, "LEAST_WORK", 0)
    layer, x = made(1, 2, (10, 5)), torch.randn(1, 1, 60, 30)
    y = layer(x)
    assert torch.equal(copy.deepcopy(layer)(x), y)


# What is refused


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"time_factors": (0.25, 1, 4)}, "time factor 0.25 leaves a kernel of length 3 no tap"),
        ({"time_factors": (1, 2), "frequency_factors": (1, 0.3)}, "frequency factor 0.3 leaves a kernel of length 3 no tap"),
        ({"time_factors": (0, 1)}, "time factors must be finite and above 0, got 0"),
        ({"time_factors": (-0.7, 1)}, "above 0, got -0.7"),
        ({"time_factors": (math.nan, 1)}, "above 0, got nan"),
        ({"time_factors": (math.inf, 1)}, "above 0, got inf"),
        ({"time_factors": (0.7, 1, 0.7)}, "factor 0.7 and frequency factor 1 is there twice"),
        ({"time_factors": (0.7, 1.428)}, r"unscaled branch .* must be among the factors, got 0.7, 1.428"),
        ({"time_factors": ()}, "got none"),
        ({"time_factors": (0.7, 1), "frequency_factors": (1,)}, "2 time factors but 1 frequency factors"),
        ({"frequency_factors": (1, 2, 1)}, "unscaled branch"),
        ({"kernel_size": (0, 3)}, "kernel_size must be"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size must be"),
        ({"stride": 0}, "stride must be"),
        ({"padding": -1}, "padding must be"),
        ({"padding": "same"}, "padding must be"),
        ({"scale_penalty": -0.1}, "scale_penalty"),
        ({"scale_penalty": 3.0}, "positive weight, got 3"),
        ({"variant": "paper"}, "variant must be one of 'definition', 'released', got 'paper'"),
        ({"active": "never"}, "active must be"),
        ({"alignment": "left"}, "alignment must be"),
        ({"variant": "released", "alignment": "centred"}, "belongs to variant='definition'"),
    ],
)
def test_settings_that_make_no_layer_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        MultiTimeScaleConv2d(1, 2, **{"kernel_size": (3, 3), **settings})


@pytest.mark.parametrize("variant", ["definition", "released"])
@pytest.mark.parametrize(
    ("x", "said"),
    [
        (torch.zeros(1, 1, 11, 5), "11 frames, is shorter than the largest kernel, 12 frames"),
        (torch.zeros(1, 1, 12, 2), "2 bins, is shorter than the largest kernel, 3 bins"),
        (torch.zeros(1, 1, 20, 5, dtype=torch.int64), "must be floating, got torch.int64"),
        (torch.zeros(1, 1, 20, 5, dtype=torch.complex64), "must be floating, got torch.complex64"),
        (torch.zeros(1, 20, 5), r"must have shape \(B, 1, T, F\), got \(1, 20, 5\)"),
        (torch.zeros(1, 2, 20, 5), r"got \(1, 2, 20, 5\)"),
    ],
)
def test_inputs_that_do_not_fit_are_refused(x, said, variant):
    layer = MultiTimeScaleConv2d(1, 2, (6, 3), (0.5, 1, 2), variant=variant)
    for call in (layer, layer.branches, layer.winners, layer.branch_usage):
        with pytest.raises(ValueError, match=said):
            call(x)


def test_padding_counts_towards_the_shortest_input():
    layer = MultiTimeScaleConv2d(1, 2, (6, 3), (0.5, 1, 2), padding=(1, 0))
    assert layer(torch.zeros(1, 1, 10, 3)).shape == (1, 2, 7, 1)
    with pytest.raises(ValueError, match="11 frames"):
        layer(torch.zeros(1, 1, 9, 3))
