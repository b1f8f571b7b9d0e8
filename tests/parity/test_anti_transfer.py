"""The anti-transfer loss against a float64 reference of loops: values, gradients by differences, both variants; planted faults seen red."""

import numpy as np
import pytest
import torch
from torch import nn

from sercore.losses import anti_transfer, similarities
from sercore.losses.anti_transfer import AntiTransferLoss
from sercore.losses.frozen import freeze
from sercore.losses.gram import squared_cosine, unit


def gram_of(rows):
    return np.array([[float(np.dot(a, b)) for b in rows] for a in rows])


def cosine(a, b):
    length = np.sqrt((a**2).sum()) * np.sqrt((b**2).sum())
    return float((a * b).sum() / length) if length else 0.0


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def aggregate(sample, how):
    """Sample (C, N) -> vector."""
    if how == "gram":
        return gram_of(sample).ravel() / (0.001 * sample.size)
    if how == "compressed_product":
        out = np.ones(sample.shape[1])
        for channel in sample:
            out = out * (channel + 1e-10) ** 0.001
        return out
    return {"mean": np.mean, "sum": np.sum, "max": np.max}[how](sample, axis=0)


def reference(trained, frozen, how, measure, variant):
    """Loops over samples; (B, C, T, F) float64."""
    trained, frozen = (x.reshape(*x.shape[:2], -1) for x in (trained, frozen))
    if how == "gram" and variant == "released":
        a, b = (gram_of(x.reshape(-1, x.shape[2])) / (0.001 * x.size) for x in (trained, frozen))
        if measure == "squared_cosine":
            return (sum(abs(cosine(p, q)) for p, q in zip(a, b, strict=True)) / len(a)) ** 2
        return -sigmoid(((a - b) ** 2).mean())
    pairs = [(aggregate(t, how), aggregate(f, how)) for t, f in zip(trained, frozen, strict=True)]
    if measure == "squared_cosine":
        each = [cosine(a, b) for a, b in pairs]
        return sum(s**2 for s in each) / len(each) if variant == "definition" else (sum(abs(s) for s in each) / len(each)) ** 2
    each = [((a - b) ** 2).mean() for a, b in pairs]
    return -sum(sigmoid(e) for e in each) / len(each) if variant == "definition" else -sigmoid(sum(each) / len(each))


def by_differences(value, x, step=1e-6):
    found = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        up, down = x.copy(), x.copy()
        up[place] += step
        down[place] -= step
        found[place] = (value(up) - value(down)) / (2 * step)
    return found


def features(batch=3, channels=4, frames=3, bins=2, seed=0, spread=1.0):
    """Two blocks as after a ReLU, no zero so that differences are defined."""
    drawn = np.random.default_rng(seed)
    return tuple(spread * (drawn.random((batch, channels, frames, bins)) + 0.05) for _ in range(2))


class Fixed(nn.Module):
    """A frozen network that gives what it was told."""

    def __init__(self, **taps):
        super().__init__()
        self.given = taps

    def signals(self, x, lengths=None):
        return self.given


def ours(trained, frozen, how="gram", measure="squared_cosine", variant="definition", beta=1.0):
    """Value and gradient of the loss as a trainer calls it."""
    x = torch.tensor(trained, requires_grad=True)
    network = freeze(Fixed(before=torch.rand(x.shape, dtype=x.dtype), conv_1=torch.tensor(frozen)))
    loss = AntiTransferLoss("conv_1", {"words": network}, beta=beta, aggregation=how, measure=measure, variant=variant)
    value = loss({"before": x.detach() + 1, "conv_1": x}, x.detach().float())
    (gradient,) = torch.autograd.grad(value, x)
    return value.item(), gradient.numpy()


def agrees(trained, frozen, how="gram", measure="squared_cosine", variant="definition", beta=1.0):
    value, gradient = ours(trained, frozen, how, measure, variant, beta)
    expected = beta * reference(trained, frozen, how, measure, variant)
    assert value == pytest.approx(expected, rel=1e-12, abs=1e-14)
    slopes = by_differences(lambda x: beta * reference(x, frozen, how, measure, variant), trained)
    assert np.abs(slopes).max() > 1e-7, "a gradient of nothing would agree with anything"
    np.testing.assert_allclose(gradient, slopes, atol=1e-5 * np.abs(slopes).max() + 1e-9, rtol=1e-5)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("variant", similarities.VARIANTS)
@pytest.mark.parametrize("how", similarities.AGGREGATIONS)
def test_squared_cosine_of_every_aggregation_is_the_reference(how, variant, batch):
    # a compressed product hardly varies: values of many sizes make its cosine leave 1
    trained, frozen = features(batch) if how != "compressed_product" else (10 ** (-3 * x) for x in features(batch, channels=9))
    agrees(trained, frozen, how, variant=variant)


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("variant", similarities.VARIANTS)
@pytest.mark.parametrize("how", similarities.AGGREGATIONS)
def test_sigmoid_of_the_squared_error_is_the_reference(how, variant, batch):
    spread = {"gram": 0.05, "compressed_product": 1.0}.get(how, 1.0)
    trained, frozen = (
        features(batch, spread=spread) if how != "compressed_product" else (10 ** (-3 * x) for x in features(batch, channels=9))
    )
    agrees(trained, frozen, how, "sigmoid_mse", variant)


@pytest.mark.parametrize("shape", [(8, 5, 4), (3, 7, 3), (12, 2, 2), (10, 5, 1), (6, 1, 1), (16, 2, 3)], ids=str)
def test_every_form_of_the_product_gives_the_reference(shape):
    """c x n on both sides of n < c/2, with unit Gram matrices and with unit features given."""
    trained, frozen = features(2, *shape)
    agrees(trained, frozen)
    x = torch.tensor(trained).flatten(2)
    for kind in ("gram", "features"):
        given = unit(torch.tensor(frozen).flatten(2), kind)
        assert given.kind == kind
        each = squared_cosine(x, given).numpy()
        alone = [reference(t[None], f[None], "gram", "squared_cosine", "definition") for t, f in zip(trained, frozen, strict=True)]
        np.testing.assert_allclose(each, alone, rtol=1e-12)
        assert torch.autograd.gradcheck(lambda x, given=given: squared_cosine(x, given), (x.clone().requires_grad_(),), fast_mode=False)


def test_released_and_defined_forms_are_other_functions_and_agree_where_they_must():
    trained, frozen = features(3)
    defined, released = (reference(trained, frozen, "gram", "squared_cosine", v) for v in ("definition", "released"))
    assert abs(defined - released) > 1e-3
    # one sample of one channel: a 1 x 1 Gram matrix, both are 1; equal features: both are 1
    one = features(1, channels=1)
    for variant in similarities.VARIANTS:
        assert ours(*one, variant=variant)[0] == pytest.approx(1)
        assert ours(trained, trained, variant=variant)[0] == pytest.approx(1)


# Faults that the public code has, or that would be easy to make


def _plant_mixed(monkeypatch):
    """One Gram matrix over the whole batch."""

    def joint(trained, frozen):
        a, b = (x.flatten(0, 1) @ x.flatten(0, 1).T for x in (trained, frozen))
        return torch.nn.functional.cosine_similarity(a.flatten(), b.flatten(), dim=0).square()

    monkeypatch.setattr(similarities, "_of_grams", lambda t, f, measure, variant: joint(t, f))


def _plant_rows(monkeypatch):
    """Cosines row by row in each sample's own Gram matrix, their mean, then squared."""

    def rows(trained, frozen):
        a, b = (x @ x.transpose(1, 2) for x in (trained, frozen))
        return torch.nn.functional.cosine_similarity(a, b, dim=2).abs().mean(1).square().mean()

    monkeypatch.setattr(similarities, "_of_grams", lambda t, f, measure, variant: rows(t, f))


def _plant_square_last(monkeypatch):
    """The mean over the batch before the square."""
    monkeypatch.setattr(similarities, "squared_cosine", lambda t, f: squared_cosine(t, f).sqrt().mean().square())


def _plant_no_sign(monkeypatch):
    made = anti_transfer._betas
    monkeypatch.setattr(anti_transfer, "_betas", lambda *given: {task: abs(beta) for task, beta in made(*given).items()})


def _plant_beta_twice(monkeypatch):
    made = anti_transfer._betas
    monkeypatch.setattr(anti_transfer, "_betas", lambda *given: {task: beta * beta for task, beta in made(*given).items()})


def _plant_wrong_tensor(monkeypatch):
    """What the layer reads instead of what it gives, in both networks."""
    monkeypatch.setattr(anti_transfer, "_at", lambda signals, tap: signals[tap] + 0 * signals["before"] - 1)


@pytest.mark.parametrize(
    ("plant", "beta"),
    [(_plant_mixed, 1), (_plant_rows, 1), (_plant_square_last, 1), (_plant_no_sign, -1), (_plant_beta_twice, -1), (_plant_beta_twice, 0.5),
     (_plant_wrong_tensor, 1)],
)  # fmt: skip
def test_a_planted_fault_is_seen(monkeypatch, plant, beta):
    trained, frozen = features(2, seed=3)
    agrees(trained, frozen, beta=beta)
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        agrees(trained, frozen, beta=beta)


def test_a_gradient_that_is_twice_too_large_is_seen(monkeypatch):
    right = similarities.squared_cosine

    def doubled(trained, frozen):
        return right(trained, frozen) * 2 - right(trained, frozen).detach()

    trained, frozen = features(2)
    monkeypatch.setattr(similarities, "squared_cosine", doubled)
    assert ours(trained, frozen)[0] == pytest.approx(reference(trained, frozen, "gram", "squared_cosine", "definition"))
    with pytest.raises(AssertionError):
        agrees(trained, frozen)
