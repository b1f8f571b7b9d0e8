"""Randomised weights, deletion and insertion: closed forms, a network that has learned a pattern, and what is refused."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats
from torch import nn
from torch.nn import functional

from sercore.explain import grad_cam, resized
from sercore.faithfulness import CURVES, TRAINED, areas, deletion_and_insertion, randomised_weights
from sercore.losses.frozen import weights_hash

T, F = 24, 16


class Network(nn.Module):
    """Two convolutions, a normalisation, the mean and a classifier, over (B, T, F)."""

    def __init__(self):
        super().__init__()
        self.conv_1, self.norm, self.conv_2 = nn.Conv2d(1, 6, 3, padding=1), nn.BatchNorm2d(6), nn.Conv2d(6, 6, 3, padding=1, stride=2)
        self.classifier = nn.Linear(6, 2)

    def signals(self, x, lengths=None):
        one = self.norm(self.conv_1(x[:, None])).relu()
        two = self.conv_2(one).relu()
        return {"conv_1": one, "conv_2": two, "logits": self.classifier(two.mean((2, 3)))}

    def forward(self, x, lengths=None):
        return self.signals(x, lengths)["logits"]


class Weighted(nn.Module):
    """One logit: the weighted sum of all cells and channels, which curves follow in closed form."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)

    def forward(self, x, lengths=None):
        return (x * self.weight).flatten(1).sum(1, keepdim=True)


def noise(*shape, seed=0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def planted(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise; in half of it a loud patch of 5 x 5 somewhere: class 1."""
    x, y = 0.5 * noise(n, T, F, seed=seed), torch.arange(n) % 2
    places = np.random.default_rng(seed)
    for item in range(1, n, 2):
        t, f = places.integers(T - 5), places.integers(F - 5)
        x[item, t : t + 5, f : f + 5] += 2
    return x, y


@pytest.fixture(scope="module")
def learned() -> nn.Module:
    """A network that finds the patch."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = Network()
    moves = torch.optim.Adam(network.parameters(), 0.01)
    for step in range(60):
        x, y = planted(32, step)
        moves.zero_grad()
        functional.cross_entropy(network(x), y).backward()
        moves.step()
    network.eval()
    x, y = planted(200, 1000)
    assert (network(x).argmax(1) == y).float().mean() > 0.95
    return network


@pytest.fixture(scope="module")
def found() -> torch.Tensor:
    """Twelve recordings with the patch."""
    return planted(24, 2000)[0][1::2]


def direction(x):
    return x[:, 0]


def test_the_map_of_a_network_that_has_learned_lies_on_the_pattern(learned, found):
    maps = resized(grad_cam(learned, found, "conv_2", 1), (T, F))
    loud = functional.max_pool2d(functional.avg_pool2d(found[:, None], 5, 1) * 1.0, (T - 4, F - 4), return_indices=True)[1].flatten()
    inside = torch.zeros_like(maps)
    for item, at in enumerate(loud.tolist()):
        t, f = divmod(at, F - 4)
        inside[item, max(t - 2, 0) : t + 7, max(f - 2, 0) : f + 7] = 1
    chance = inside.mean()
    assert (maps * inside).sum() / maps.sum() > 2 * chance
    assert (maps * inside).sum() / maps.sum() > 0.6


def test_layers_are_drawn_from_the_classifier_down(learned, found):
    drawn = []

    def draw():
        drawn.append(Network())
        return drawn[-1]

    before, modes, chance = weights_hash(learned), [m.training for m in learned.modules()], torch.random.get_rng_state()
    rows = randomised_weights(learned, found[:3], "conv_2", 1, draw, seed=5, n_draws=2)
    assert weights_hash(learned) == before
    assert [m.training for m in learned.modules()] == modes
    assert torch.equal(torch.random.get_rng_state(), chance)
    assert rows.columns.tolist() == ["draw", "depth", "layer", "tap", "item", "correlation"]
    assert rows.drop_duplicates("depth")["layer"].tolist() == [TRAINED, "classifier", "conv_2", "norm", "conv_1"]
    assert rows.loc[rows["depth"].eq(0), "correlation"].to_numpy() == pytest.approx(1)
    assert len(rows) == 2 * 5 * 3

    # every step against a network put together here
    trained = grad_cam(learned, found[:3], "conv_2", 1, rectified=False)
    for number, fresh in enumerate(drawn):
        mixed = learned.state_dict()
        for depth, layer in enumerate(("classifier", "conv_2", "norm", "conv_1"), 1):
            mixed |= {name: value for name, value in fresh.state_dict().items() if name.startswith(layer)}
            network = Network()
            network.load_state_dict(mixed)
            maps = grad_cam(network, found[:3], "conv_2", 1, rectified=False)
            expected = [stats.spearmanr(a.flatten(), b.flatten()).statistic for a, b in zip(trained, maps, strict=True)]
            mine = rows[rows["draw"].eq(number) & rows["depth"].eq(depth)].sort_values("item")["correlation"]
            assert mine.tolist() == pytest.approx(expected, abs=1e-6)
        assert weights_hash(network) == weights_hash(fresh)


def test_the_map_of_a_network_that_has_learned_depends_on_its_weights(learned, found):
    rows = randomised_weights(learned, found, "conv_2", 1, Network, n_draws=6)
    assert abs(rows.loc[rows["depth"].eq(4), "correlation"].mean()) < 0.5


def test_draws_depend_on_the_seed_alone(learned, found):
    def run(seed):
        torch.manual_seed(run.calls)  # what torch would draw by itself is another each time
        run.calls += 1
        return randomised_weights(learned, found[:2], "conv_1", 1, Network, seed=seed, n_draws=2)

    run.calls = 0
    with torch.random.fork_rng():
        one, same, other = run(0), run(0), run(1)
    pd.testing.assert_frame_equal(one, same)
    last = one["depth"].eq(4)
    assert not np.allclose(one.loc[last, "correlation"], other.loc[last, "correlation"])
    draws = one[last].pivot_table(index="item", columns="draw", values="correlation")
    assert not np.allclose(draws[0], draws[1])


def test_layers_may_be_named_and_drawn_together(learned, found):
    class Nested(nn.Module):
        def __init__(self):
            super().__init__()
            self.body = Network()

        def signals(self, x, lengths=None):
            return self.body.signals(x, lengths)

    network = Nested().eval()
    network.body.load_state_dict(learned.state_dict())
    rows = randomised_weights(network, found[:1], "conv_2", 1, Nested, n_draws=1, layers=["body.classifier", "body"])
    assert rows["layer"].tolist() == [TRAINED, "body.classifier", "body"]
    whole = randomised_weights(network, found[:1], "conv_2", 1, Nested, n_draws=1)
    assert rows["correlation"].iloc[-1] == pytest.approx(whole["correlation"].iloc[-1])


def test_a_map_that_is_the_same_everywhere_has_no_rank_correlation(found):
    silent = Network().eval()
    with torch.no_grad():
        silent.classifier.weight.zero_()
    rows = randomised_weights(silent, found[:1], "conv_2", 1, Network, n_draws=1)
    assert rows["correlation"].isna().all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layers": ["conv_9"]}, "Network has no layer conv_9; there are: conv_1, norm, conv_2, classifier"),
        ({"n_draws": 0}, "drawn once at least"),
        ({"draw": lambda: nn.Linear(2, 2)}, "another network than the Network"),
        ({"tap": "conv_7"}, "no tap of Network is called 'conv_7'"),
    ],
)
def test_what_cannot_be_drawn_is_named(learned, found, options, message):
    given = {"tap": "conv_2", "target": 1, "draw": Network} | options
    with pytest.raises(ValueError, match=message):
        randomised_weights(learned, found[:1], **given)


def test_the_network_itself_is_no_draw(learned, found):
    with pytest.raises(ValueError, match="the weights of the network itself"):
        randomised_weights(learned, found[:1], "conv_2", 1, lambda: learned)


@pytest.mark.parametrize("shape", [(2, 10, 6), (2, 3, 10, 6)])
def test_curves_of_a_weighted_sum_are_partial_sums(shape):
    """Cells in the order of what they add: the score is the sum of those that are left, or of those that are there."""
    x, network = noise(*shape), Weighted(noise(*shape[1:], seed=1))
    adds = (x * network.weight).detach()
    adds = adds.sum(1) if len(shape) == 4 else adds  # a cell is taken from all channels at once
    rows = deletion_and_insertion(network, x, adds, direction, steps=12, n_shuffled=2)
    for item in range(2):
        falling = torch.sort(adds[item].flatten(), descending=True)[0].double()
        there = torch.cat([torch.zeros(1, dtype=torch.float64), falling.cumsum(0)])[::5].numpy()
        for curve, expected in (("deletion", there[-1] - there), ("insertion", there)):
            mine = rows[rows["item"].eq(item) & rows["curve"].eq(curve) & rows["order"].eq("explanation")]
            assert mine["fraction"].to_numpy() == pytest.approx(np.arange(13) / 12)
            assert mine["score"].to_numpy() == pytest.approx(expected, abs=1e-4)
    control = rows[rows["order"].eq("shuffled")]
    assert control["draw"].unique().tolist() == [0, 1]
    for curve, fraction in (("deletion", 1), ("insertion", 0)):  # nothing is left, nothing is there yet
        assert control.loc[control["curve"].eq(curve) & control["fraction"].eq(fraction), "score"].to_numpy() == pytest.approx(0)
    for curve, fraction in (("deletion", 0), ("insertion", 1)):
        ends = control[control["curve"].eq(curve) & control["fraction"].eq(fraction)].groupby("item")["score"]
        assert ends.mean().to_numpy() == pytest.approx(adds.flatten(1).sum(1).numpy(), abs=1e-4)
        assert ends.std().max() < 1e-5


def test_padding_is_neither_ranked_nor_touched():
    x, maps, lengths = noise(2, 10, 6), noise(2, 10, 6, seed=1), torch.tensor([10, 4])
    maps[1, 4:] += 100  # a map that points at the padding
    behind = torch.zeros(10, 6)
    behind[4:] = 1
    rows = deletion_and_insertion(Weighted(behind), x, maps, direction, lengths=lengths, steps=8)
    untouched = rows[rows["item"].eq(1)]
    assert untouched["score"].to_numpy() == pytest.approx(float(x[1, 4:].sum()), abs=1e-5)
    assert rows[rows["item"].eq(0)]["score"].std() > 0.1
    sound = deletion_and_insertion(Weighted(1 - behind), x, maps, direction, lengths=lengths, steps=8)
    one = sound[sound["item"].eq(1) & sound["curve"].eq("insertion") & sound["order"].eq("explanation")]
    order = maps[1, :4].flatten().argsort(descending=True)
    assert one["score"].to_numpy() == pytest.approx(np.r_[0, x[1, :4].flatten()[order].numpy().cumsum()][::3], abs=1e-4)


def test_the_control_is_the_map_itself_with_its_cells_shuffled():
    """At the resolution of the map: patches of the control are as large as those of the map."""
    x = torch.ones(1, 8, 8)
    maps = torch.arange(4.0).reshape(1, 2, 2)

    class Seen(Weighted):
        def forward(self, x, lengths=None):
            seen.append(x.clone())
            return super().forward(x)

    seen = []
    deletion_and_insertion(Seen(torch.ones(8, 8)), x, maps, direction, steps=4, n_shuffled=6)
    quarter = [one[0] for one in seen[2::10]]  # the deletion at 1/4 of each order
    assert all(int(one.sum()) == 48 for one in quarter)
    for gone in (1 - one for one in quarter):
        assert (gone[1:] * gone[:-1]).sum() > 0.6 * gone.sum()  # patches, not dust: most cells that are away have a neighbour that is
        assert (gone[:, 1:] * gone[:, :-1]).sum() > 0.6 * gone.sum()
    assert len({tuple(one.flatten().tolist()) for one in quarter}) > 2


def test_curves_depend_on_the_seed_alone(learned, found):
    maps = grad_cam(learned, found[:2], "conv_2", 1, rectified=False)
    one, same, other = (deletion_and_insertion(learned, found[:2], maps, 1, seed=seed, steps=5) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, same)
    shuffled = one["order"].eq("shuffled")
    assert one.loc[~shuffled, "score"].tolist() == other.loc[~shuffled, "score"].tolist()
    assert one.loc[shuffled, "score"].tolist() != other.loc[shuffled, "score"].tolist()


def test_the_map_of_a_network_that_has_learned_beats_its_control(learned, found):
    maps = grad_cam(learned, found, "conv_2", 1, rectified=False)
    learned.train()
    rows = deletion_and_insertion(learned, found, maps, 1)
    assert all(module.training for module in learned.modules())
    learned.eval()
    start = rows[rows["curve"].eq("deletion") & rows["fraction"].eq(0)].groupby("item")["score"].first()
    assert start.to_numpy() == pytest.approx(learned(found).softmax(1)[:, 1].detach().numpy(), abs=1e-5)
    area = areas(rows).groupby(["curve", "order"])["area"].mean()
    assert area["deletion", "explanation"] < area["deletion", "shuffled"] - 0.05
    assert area["insertion", "explanation"] > area["insertion", "shuffled"] + 0.05


def test_areas_are_those_of_trapezia_and_keep_networks_apart():
    fraction = np.array([1.0, 0.0, 0.5])  # in any order
    rows = pd.DataFrame({"item": 0, "curve": CURVES[0], "order": "explanation", "draw": 0, "fraction": fraction, "score": 1 - fraction})
    both = pd.concat([rows.assign(network="a"), rows.assign(network="b", score=[0.0, 1.0, 0.0])])
    found = areas(both).set_index("network")["area"]
    assert found.to_dict() == {"a": 0.5, "b": 0.25}


@pytest.mark.parametrize(
    ("maps", "options", "message"),
    [
        (noise(1, 4, 4), {}, "do not fit an input"),
        (noise(2), {}, "do not fit an input"),
        (noise(2, 4, 4, 4, 4), {}, "do not fit an input"),
        (torch.stack([noise(4, 4), torch.ones(4, 4)]), {}, "the map of item 1 is the same everywhere"),
        (noise(2, 4, 4) / 0, {}, "the map of item 0 is not finite"),
        (noise(2, 4, 4), {"target": 2}, "class 2 is out of range"),
        (noise(2, 4, 4), {"target": lambda logits: logits}, "one score an item"),
        (noise(2, 4, 4), {"steps": 0}, "at least one step"),
        (noise(2, 4, 4), {"n_shuffled": 0}, "one shuffled control"),
    ],
)
def test_what_has_no_curve_is_named(learned, found, maps, options, message):
    with pytest.raises(ValueError, match=message):
        deletion_and_insertion(learned, found[:2], maps, **({"target": 1} | options))
