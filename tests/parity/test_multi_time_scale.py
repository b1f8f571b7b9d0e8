"""Multi-time-scale convolution against a float64 reference of loops, values and gradients, in both variants; and on real recordings."""

import math

import numpy as np
import pytest
import torch

from sercore.data.audio import decode, resample
from sercore.features.stft import hann_magnitude
from sercore.layers.multi_time_scale import MultiTimeScaleConv2d, untrained_usage


def interpolation(length, new):
    """(new, length): linear interpolation at half-sample positions, the ends held."""
    at = (np.arange(new) + 0.5) * length / new - 0.5
    return np.stack([np.interp(at, np.arange(length), unit) for unit in np.eye(length)], axis=1)


def correlate(x, kernel, bias, stride, before, size):
    """Map of `size` of one item, `before` zeros standing before x on each axis: loops over output points, windows cut at the edges."""
    out = np.zeros((len(kernel), *size))
    for t in range(size[0]):
        for f in range(size[1]):
            for k in range(kernel.shape[2]):
                for j in range(kernel.shape[3]):
                    row, column = t * stride[0] - before[0] + k, f * stride[1] - before[1] + j
                    if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                        out[:, t, f] += kernel[:, :, k, j] @ x[:, row, column]
    return out + bias[:, None, None]


def spread(x, kernel, gradient, stride, before):
    """Gradients of (kernel, x) from that of the map; mirror of `correlate`."""
    of_kernel, of_x = np.zeros_like(kernel), np.zeros_like(x)
    for t in range(gradient.shape[1]):
        for f in range(gradient.shape[2]):
            for k in range(kernel.shape[2]):
                for j in range(kernel.shape[3]):
                    row, column = t * stride[0] - before[0] + k, f * stride[1] - before[1] + j
                    if 0 <= row < x.shape[1] and 0 <= column < x.shape[2]:
                        of_kernel[:, :, k, j] += np.outer(gradient[:, t, f], x[:, row, column])
                        of_x[:, row, column] += gradient[:, t, f] @ kernel[:, :, k, j]
    return of_kernel, of_x


class Reference:
    """One item at a time: `values(x)` and `gradients(x, upstream)`."""

    def __init__(self, weight, bias, factors, stride, padding, centred, gain, penalty):
        self.bias, self.stride, self.padding, self.centred = bias, stride, padding, centred
        self.time = [interpolation(weight.shape[2], math.floor(weight.shape[2] * t)) for t, _ in factors]
        self.frequency = [interpolation(weight.shape[3], math.floor(weight.shape[3] * f)) for _, f in factors]
        self.gains = [weight[0, 0].size / (len(t) * len(f)) if gain else 1.0 for t, f in zip(self.time, self.frequency, strict=True)]
        self.weights = [1 - penalty * (abs(math.log(t)) + abs(math.log(f))) for t, f in factors]
        self.unscaled = factors.index((1.0, 1.0))
        self.size_of_kernel = weight.shape[2:]
        self.kernels = [
            g * np.einsum("kt,octf,jf->ockj", t, weight, f) for g, t, f in zip(self.gains, self.time, self.frequency, strict=True)
        ]

    def geometry(self, x, i):
        """(zeros before, size of the branch's own map, matrices that stretch it)."""
        plain = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[1:], self.padding, self.size_of_kernel, self.stride, strict=True)]
        kernel = self.kernels[i].shape[2:]
        if self.centred:
            before = [p + math.floor((n - k) / 2) for p, n, k in zip(self.padding, kernel, self.size_of_kernel, strict=True)]
            return before, plain, [np.eye(n) for n in plain]
        own = [(n + 2 * p - k) // s + 1 for n, p, k, s in zip(x.shape[1:], self.padding, kernel, self.stride, strict=True)]
        return self.padding, own, [interpolation(a, b) for a, b in zip(own, plain, strict=True)]

    def maps(self, x):
        maps = []
        for i, kernel in enumerate(self.kernels):
            before, own, (time, frequency) = self.geometry(x, i)
            raw = correlate(x, kernel, self.bias, self.stride, before, own)
            maps.append(self.weights[i] * np.einsum("at,otf,bf->oab", time, raw, frequency))
        return np.stack(maps)

    def gradients(self, x, upstream):
        """(weight summed over all branches, weight from the unscaled branch only, bias of each branch, x)."""
        winner = self.maps(x).argmax(axis=0)
        of_weight, of_bias, of_x = [], [], np.zeros_like(x)
        for i, kernel in enumerate(self.kernels):
            before, _, (time, frequency) = self.geometry(x, i)
            won = self.weights[i] * np.where(winner == i, upstream, 0)
            raw = np.einsum("at,oab,bf->otf", time, won, frequency)
            of_kernel, of_input = spread(x, kernel, raw, self.stride, before)
            of_weight.append(self.gains[i] * np.einsum("kt,ockj,jf->octf", self.time[i], of_kernel, self.frequency[i]))
            of_bias.append(raw.sum(axis=(1, 2)))
            of_x += of_input
        return sum(of_weight), of_weight[self.unscaled], of_bias, of_x


CASES = {
    "three": {"kernel_size": (10, 5), "time_factors": (0.7, 1.0, 1.428)},
    "five_channels": {"kernel_size": (5, 3), "time_factors": (0.5, 0.7, 1, 1.428, 2), "in_channels": 3},
    "padded_stride": {"kernel_size": (4, 3), "time_factors": (0.5, 1, 2), "stride": (3, 2), "padding": (2, 1), "in_channels": 2},
    "both_axes": {"kernel_size": (4, 4), "time_factors": (1, 0.5, 1, 2), "frequency_factors": (1, 1, 0.5, 1.5)},
    "gain_penalty": {"kernel_size": (6, 3), "time_factors": (0.5, 1, 2), "normalise_gain": True, "scale_penalty": 0.4},
    "odd": {"kernel_size": (7, 1), "time_factors": (0.9, 1, 1.111, 1.3)},
}
FORMS = {"definition": {}, "resampled": {"alignment": "resampled"}, "released": {"variant": "released"}}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("case", CASES)
def test_values_and_gradients_are_the_reference(case, form):
    settings = {"in_channels": 1, **CASES[case]}
    torch.manual_seed(1)
    layer = MultiTimeScaleConv2d(out_channels=3, **settings, **FORMS[form]).double()
    x = torch.randn(2, settings["in_channels"], 22, 11, dtype=torch.float64, requires_grad=True)
    y = layer(x)
    upstream = torch.randn_like(y)
    y.backward(upstream)
    reference = Reference(
        layer.weight.detach().numpy(), layer.bias.detach().numpy(), list(layer.factors), layer.stride, layer.padding,
        form == "definition", settings.get("normalise_gain", False), settings.get("scale_penalty", 0),
    )  # fmt: skip
    items = [item.detach().numpy() for item in x]
    maps = np.stack([reference.maps(item) for item in items], axis=1)
    np.testing.assert_allclose(layer.branches(x).detach().numpy(), maps, atol=1e-12)
    np.testing.assert_allclose(y.detach().numpy(), maps.max(axis=0), atol=1e-12)
    whole, unscaled_only, biases, of_x = map(sum_or_stack, zip(*map(reference.gradients, items, upstream.numpy()), strict=True))
    np.testing.assert_allclose(x.grad.numpy(), of_x, atol=1e-11)
    if form == "released":
        np.testing.assert_allclose(layer.weight.grad.numpy(), unscaled_only, atol=1e-11)
        found = [layer.bias.grad if i == layer.unscaled else getattr(layer, f"bias_{i}").grad for i in range(len(layer.factors))]
        np.testing.assert_allclose(np.stack(found), biases, atol=1e-11)
    else:
        np.testing.assert_allclose(layer.weight.grad.numpy(), whole, atol=1e-11)
        np.testing.assert_allclose(layer.bias.grad.numpy(), biases.sum(axis=0), atol=1e-11)


def sum_or_stack(parts):
    """Gradients of the items: those of weights and biases add up, those of the inputs stand side by side."""
    shapes = {np.shape(part) for part in parts}
    assert len(shapes) == 1
    return np.stack(parts) if len(shapes.pop()) == 3 else np.sum(parts, axis=0)


def test_the_reference_knows_the_forms_apart():
    """A reference that gave the same for every form would hold nothing."""
    rng = np.random.default_rng(0)
    weight, x, upstream = rng.normal(size=(2, 1, 4, 3)), rng.normal(size=(1, 12, 8)), rng.normal(size=(2, 9, 6))
    factors = [(0.5, 1.0), (1.0, 1.0), (2.0, 1.0)]
    plain, slid, gain, weighed = (
        Reference(weight, np.zeros(2), factors, (1, 1), (0, 0), *how)
        for how in ((True, False, 0), (False, False, 0), (True, True, 0), (True, False, 0.3))
    )
    assert all(np.abs(plain.maps(x) - other.maps(x)).max() > 0.1 for other in (slid, gain, weighed))
    whole, cut, _, _ = plain.gradients(x, upstream)
    assert np.abs(whole - cut).max() > 0.1


# Branch shares of random kernels on 24 recordings of digits, found once with the authors' form of the layer.
UNTRAINED = {
    (0.7, 1.0, 1.428): (0.476, 0.079, 0.444),
    (0.5, 1.0, 2.0): (0.52, 0.04, 0.44),
    (0.5, 0.7, 1.0, 1.428, 2.0): (0.32, 0.13, 0.03, 0.07, 0.45),
}


@pytest.fixture(scope="module")
def digits(corpora_root):
    """24 spectrograms (T, F) of digits at 16 kHz, padded to 1 s, standardised."""
    folder = corpora_root / "fsdd"
    files = sorted(folder.glob("*.flac")) + sorted(folder.glob("*.wav"))
    if not files:
        pytest.skip("fsdd is not in the folder of real recordings")
    found = []
    for i in np.linspace(0, len(files) - 1, 24).astype(int):
        samples = resample(*decode(files[i]), 16000)[:16000]
        x = hann_magnitude(torch.from_numpy(np.pad(samples, (0, 16000 - len(samples))))[None].float(), 16000)[0]
        found.append((x - x.mean()) / x.std())
    return found


@pytest.mark.recordings
@pytest.mark.parametrize("alignment", ["centred", "resampled"])
@pytest.mark.parametrize("factors", UNTRAINED)
def test_the_extreme_branches_win_before_anything_is_learned(digits, factors, alignment):
    shares = untrained_usage(digits, (10, 5), factors, n_kernels=64, alignment=alignment)
    np.testing.assert_allclose(shares, UNTRAINED[factors], atol=0.1)  # those came from a few kernels, so the two ends differ by chance
    assert shares[0] + shares[-1] > 0.7
    assert shares[shares.argmin()] < 0.15


@pytest.mark.recordings
def test_length_normalisation_brings_the_unscaled_branch_back(digits):
    np.testing.assert_allclose(untrained_usage(digits, n_kernels=64, normalise_gain=True), (0.43, 0.22, 0.35), atol=0.06)


def test_on_white_noise_every_branch_wins_about_a_third():
    torch.manual_seed(0)
    shares = untrained_usage([torch.randn(100, 60) for _ in range(4)], n_kernels=64)
    np.testing.assert_allclose(shares, [1 / 3] * 3, atol=0.05)
