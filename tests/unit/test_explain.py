"""Grad-CAM: the closed form, agreement with captum, a planted pattern, and a network that is left as it was."""

import gc
import weakref

import pytest
import torch
from captum.attr import LayerGradCam
from torch import nn

from sercore.explain import grad_cam, logit_of, probability_of, resized, scaled
from sercore.models.mts_cnn import MTSCNN
from sercore.models.reslstm_sa import LSTMSA
from sercore.models.resnet50 import ResNet50
from sercore.models.vgg16 import VGG16

CONVOLUTIONS = {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}
SIZES = {1: (9,), 2: (6, 5), 3: (4, 5, 3)}


class Averaged(nn.Module):
    """Convolution, ReLU, mean over all cells, linear layer: where Grad-CAM has a closed form."""

    def __init__(self, axes=2, channels=6, classes=4, seed=0):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.conv = nn.Sequential(CONVOLUTIONS[axes](1, channels, 3, padding=1), nn.ReLU())
            self.classifier = nn.Linear(channels, classes)

    def signals(self, x, lengths=None):
        maps = self.conv(x[:, None])
        return {"input": x, "conv_1": maps, "logits": self.classifier(maps.flatten(2).mean(2))}

    def forward(self, x, lengths=None):
        return self.signals(x, lengths)["logits"]


class Fragile(Averaged):
    """Dropout and batch normalisation between the maps and the classes; fails when told to; has taps off the way to the logits."""

    def __init__(self):
        super().__init__()
        self.norm, self.dropout, self.fails = nn.BatchNorm2d(6), nn.Dropout(0.5), False
        self.kept = None

    def signals(self, x, lengths=None):
        maps = self.conv(x[:, None])
        self.kept = weakref.ref(maps)
        if self.fails:
            raise RuntimeError("out of memory")
        logits = self.classifier(self.dropout(self.norm(maps)).mean((2, 3)))
        return {"conv_1": maps, "aside": maps * 2, "detached": maps.detach(), "logits": logits}


def noise(*shape, seed=0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def small(network, *args, seed=0, **options) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return network(*args, **options).eval()


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_before_a_global_average_it_is_the_class_activation_map(axes):
    """Zhou et al. 2016: sum of the maps, weighted as the classifier weights their means; Grad-CAM has the mean's 1 / cells beside it."""
    network, x, classes = Averaged(axes), noise(4, *SIZES[axes]), [0, 3, 1, 1]
    with torch.no_grad():
        maps = network.conv(x[:, None])
        expected = torch.einsum("bk,bk...->b...", network.classifier.weight[classes], maps) / maps[0, 0].numel()
    assert expected.min() < 0 < expected.max()
    found = grad_cam(network, x, "conv_1", classes, rectified=False)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(grad_cam(network, x, "conv_1", classes), expected.clamp(min=0))
    torch.testing.assert_close(grad_cam(network, x[1:2], "conv_1", 3, rectified=False), expected[1:2])  # an item does not see the others


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_it_agrees_with_captum_on_every_number_of_axes(axes):
    network, x = Averaged(axes), noise(3, *SIZES[axes])
    theirs = LayerGradCam(network, network.conv).attribute(x, [2, 0, 1], relu_attributions=True).detach()
    torch.testing.assert_close(grad_cam(network, x, "conv_1", [2, 0, 1]), theirs[:, 0])
    assert theirs.max() > 0


#: tap -> the module in which captum finds the same maps, and whether they are what it reads
SEEN_BY_CAPTUM = {
    "vgg16": {"conv_3": ("conv_4", True), "conv_13": ("pool_5", True), "pool_4": ("pool_4", False), "pool_5": ("pool_5", False)},
    "resnet50": {"conv_1": ("pool_1", True), "stage_2": ("blocks.stage_2", False), "stage_4": ("blocks.stage_4", False)},
}


@pytest.mark.parametrize(("name", "tap"), [(name, tap) for name, taps in SEEN_BY_CAPTUM.items() for tap in taps])
def test_it_agrees_with_captum_in_the_networks_of_the_study(name, tap):
    network = small({"vgg16": VGG16, "resnet50": ResNet50}[name], 64, 48, 4, width=1 / 16)
    x, (module, reads) = noise(2, 64, 48, seed=1), SEEN_BY_CAPTUM[name][tap]
    captum = LayerGradCam(network, network.get_submodule(module))
    theirs = captum.attribute(x, [3, 1], attribute_to_layer_input=reads).detach()
    mine = grad_cam(network, x, tap, [3, 1], rectified=False)
    assert mine.shape == (2, *network.taps[tap][1:])
    assert theirs.abs().max() > 0
    torch.testing.assert_close(mine / theirs.abs().max(), theirs[:, 0] / theirs.abs().max())


def test_any_function_of_the_logits_is_a_target():
    network, x = Averaged(), noise(2, 6, 5)

    def contrast(logits):
        return logits[:, 1] - logits[:, 2]

    class Contrast(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network

        def forward(self, x):
            return contrast(self.inner(x))

    theirs = LayerGradCam(Contrast(), network.conv).attribute(x).detach()[:, 0]
    torch.testing.assert_close(grad_cam(network, x, "conv_1", contrast, rectified=False), theirs)
    of_one = [grad_cam(network, x, "conv_1", k, rectified=False) for k in (1, 2)]
    torch.testing.assert_close(of_one[0] - of_one[1], theirs)
    share = probability_of(1)(network(x))
    torch.testing.assert_close(share, network(x).softmax(1)[:, 1])
    assert not torch.allclose(grad_cam(network, x, "conv_1", probability_of(1)), grad_cam(network, x, "conv_1", logit_of(1)))


def test_the_map_lies_where_the_planted_pattern_is():
    """Weights set by hand: one kernel answers to a loud 3 x 3 patch and class 1 listens to it; class 0 listens to its opposite."""
    network = Averaged(channels=1, classes=2)
    with torch.no_grad():
        network.conv[0].weight.fill_(1 / 9)
        network.conv[0].bias.fill_(-1.0)
        network.classifier.weight.copy_(torch.tensor([[-1.0], [1.0]]))
    x = 0.1 * noise(2, 24, 16)
    x[0, 3:7, 10:14] += 4
    x[1, 15:19, 2:6] += 4
    maps = grad_cam(network, x, "conv_1", 1)
    inside = torch.zeros_like(maps)
    inside[0, 2:8, 9:15] = inside[1, 14:20, 1:7] = 1
    assert (maps * inside).sum() > 0.999 * maps.sum() > 0
    against = grad_cam(network, x, "conv_1", 0)
    assert against.abs().max() == 0  # all of it speaks against the class, so nothing is left by the cut ...
    torch.testing.assert_close(grad_cam(network, x, "conv_1", 0, rectified=False), -maps)  # ... and this says so


def test_raw_maps_keep_their_scale_and_scaled_ones_lose_it():
    network, x = Averaged(), noise(2, 6, 5)
    raw = grad_cam(network, x, "conv_1", 1)
    with torch.no_grad():
        network.classifier.weight.mul_(3)
    torch.testing.assert_close(grad_cam(network, x, "conv_1", 1), 3 * raw)
    torch.testing.assert_close(scaled(3 * raw), scaled(raw))
    assert raw.max() < 1
    assert scaled(raw).amax((1, 2)).tolist() == [1.0, 1.0]
    assert scaled(torch.stack([raw[0], torch.full((6, 5), 0.3)]))[1].abs().max() == 0  # the same everywhere: no division by nothing


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_resizing_keeps_place_and_range(axes):
    size = SIZES[axes]
    maps = torch.zeros(2, *size)
    maps[(0, *[1] * axes)] = maps[(1, *[n - 1 for n in size])] = 5.0
    large = resized(maps, [4 * n for n in size])
    assert large.shape == (2, *[4 * n for n in size])
    for one, at in zip(large, ([1] * axes, [n - 1 for n in size]), strict=True):
        peak = torch.unravel_index(one.argmax(), one.shape)
        assert [int(p) // 4 for p in peak] == at
        assert 0 <= one.min() < one.max() <= 5
    torch.testing.assert_close(resized(maps, size), maps)
    with pytest.raises(ValueError, match="cannot be resized"):
        resized(maps, (*size, 2))


def test_frames_of_a_recurrent_network_are_cells():
    class Frames(nn.Module):
        def signals(self, x, lengths=None):
            frames = x * 1
            return {"lstm": frames, "logits": frames.mean(1)}

    x = noise(2, 7, 3)
    torch.testing.assert_close(grad_cam(Frames(), x, "lstm", 2, rectified=False, channel_axis=-1), x[:, :, 2] / 7)
    network, lengths = small(LSTMSA, 3, 4, 5, residual=True), torch.tensor([7, 4])
    maps = grad_cam(network, x, "lstm_2", 1, lengths, rectified=False, channel_axis=-1)
    assert maps.shape == (2, 7)
    assert maps[1, 4:].abs().max() == 0 < maps[1, :4].abs().max()  # frames that are padding are no part of an answer


def test_networks_that_cannot_stop_at_a_tap_are_explained_too():
    network = small(MTSCNN, "a3", 40, 16, 3)
    maps = grad_cam(network, noise(1, 40, 16), "conv_2", 0, rectified=False)
    assert maps.shape == network.signals(noise(1, 40, 16))["conv_2"][:, 0].shape
    assert maps.abs().max() > 0


def state(network) -> tuple:
    modules = list(network.modules())
    hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) + len(m._backward_hooks) + len(m._backward_pre_hooks) for m in modules)
    weights = [(p.requires_grad, p.grad is None) for p in network.parameters()]
    return [m.training for m in modules], hooks, weights, {name: value.clone() for name, value in network.state_dict().items()}


def assert_unchanged(network, before):
    after = state(network)
    assert after[:3] == before[:3]
    assert all(torch.equal(after[3][name], value) for name, value in before[3].items())


@pytest.fixture
def fragile():
    """In training, but for the normalisation, which is frozen; one weight of the convolution is frozen too."""
    network = Fragile().train()
    network.norm.eval()
    network.conv[0].weight.requires_grad_(False)
    return network


def test_the_network_is_as_it_was(fragile):
    before, x = state(fragile), noise(2, 6, 5)
    assert True in before[0]
    assert False in before[0]
    first = grad_cam(fragile, x, "conv_1", 1)
    assert_unchanged(fragile, before)
    assert torch.equal(grad_cam(fragile, x, "conv_1", 1), first)  # no dropout was at work
    assert not x.requires_grad
    assert x.grad is None


@pytest.mark.parametrize(("tap", "target"), [("conv_9", 1), ("conv_1", 9), ("aside", 1), ("conv_1", lambda logits: logits), ("fails", 1)])
def test_the_network_is_as_it_was_after_an_error(fragile, tap, target):
    fragile.fails = tap == "fails"
    before, mode = state(fragile), torch.is_grad_enabled()
    with pytest.raises((ValueError, RuntimeError)):
        grad_cam(fragile, noise(2, 6, 5), tap, target)
    assert_unchanged(fragile, before)
    assert torch.is_grad_enabled() is mode


def test_nothing_of_the_graph_is_kept(fragile):
    maps = grad_cam(fragile, noise(2, 6, 5), "conv_1", 1)
    assert maps.grad_fn is None
    assert not maps.requires_grad
    gc.collect()
    assert fragile.kept() is None


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_it_works_where_the_caller_wants_no_gradient_and_with_frozen_weights(mode):
    network, x = Averaged(), noise(2, 6, 5)
    expected = grad_cam(network, x, "conv_1", 1)
    network.requires_grad_(False)
    with mode():
        torch.testing.assert_close(grad_cam(network, x * 1, "conv_1", 1), expected)


@pytest.mark.parametrize(
    ("tap", "target", "message"),
    [
        ("conv_2", 1, "no tap of Fragile is called 'conv_2'; taps: conv_1, aside, detached, logits"),
        ("logits", 1, "items, channels and 1 to 3 axes of cells"),
        ("aside", 1, "no gradient of the score reaches tap 'aside'"),
        ("detached", 1, "no gradient of the score reaches tap 'detached'"),
        ("conv_1", lambda logits: logits[:, 0].detach(), "no gradient of the score reaches tap 'conv_1'"),
        ("conv_1", 4, "class 4 is out of range: the network knows 0 to 3"),
        ("conv_1", -1, "class -1 is out of range"),
        ("conv_1", [0, 1, 2], "one for each of 2 items"),
        ("conv_1", 1.0, "must be a whole number"),
        ("conv_1", lambda logits: logits.sum(), r"one score an item, shape \(2,\), got \(\)"),
    ],
)
def test_bad_input_is_named(fragile, tap, target, message):
    with pytest.raises(ValueError, match=message):
        grad_cam(fragile, noise(2, 6, 5), tap, target)


def test_what_is_not_finite_is_refused(fragile):
    x = noise(3, 6, 5)
    x[1, 2, 2] = torch.nan
    with pytest.raises(ValueError, match="the input of item 1 is not finite"):
        grad_cam(fragile, x, "conv_1", 1)
    with torch.no_grad():
        fragile.classifier.weight.fill_(torch.inf)
    with pytest.raises(ValueError, match="vector of logits of item 0 is not finite"):
        grad_cam(fragile, noise(3, 6, 5), "conv_1", 1)
