"""LSTM-SA and ResLSTM-SA: sizes, padding, the two variants, and what every network must do."""

import numpy as np
import pytest
import torch

from sercore import models
from sercore.errors import SpecError
from sercore.layers.recurrent import FrameBatchNorm, SoftAttention, frame_mask, initialise_lstm
from sercore.models import reslstm_sa
from sercore.models.reslstm_sa import LSTMSA, PackedLSTMSA

PARAMETERS = {
    "lstm_sa_h32": 10_600, "lstm_sa_h64": 29_384, "lstm_sa_h128": 91_528,
    "reslstm_sa_h32": 27_988, "reslstm_sa_h64": 46_772, "reslstm_sa_h128": 108_916,
}  # fmt: skip


def batch(lengths=(9, 4, 6), n_features=46, seed=0):
    torch.manual_seed(seed)
    lengths = torch.tensor(lengths)
    x = torch.randn(len(lengths), int(lengths.max()), n_features)
    return x * frame_mask(lengths, x.shape[1])[:, :, None], lengths


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_count_is_the_authors(name):
    assert sum(p.numel() for p in models.build(name).parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("variant", ["definition", "released"])
@pytest.mark.parametrize("name", models.RECURRENT)
def test_every_model_learns_one_batch(name, variant):
    torch.manual_seed(1)
    model = models.build(name, variant=variant, dropout=0.0)
    x, lengths = batch((7, 5, 3, 6))
    labels = torch.arange(4)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    for _ in range(25):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x, lengths), labels)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in model.parameters())
    assert model.eval()(x[:1], lengths[:1]).shape == (1, 8)


def test_every_network_has_the_revision_of_its_module():
    """A name that no module numbers would keep its runs when its behaviour changes."""
    assert set(models.REVISIONS) == set(models.MODELS)
    assert models.REVISIONS["reslstm_sa_h64"] == reslstm_sa.REVISION
    with pytest.raises(AttributeError, match="REVISION"):
        models._revision(torch.nn.Linear)


def test_unknown_model_is_refused_with_the_list():
    with pytest.raises(SpecError, match="reslstm_sa_h64"):
        models.build("reslstm")


@pytest.mark.parametrize("name", models.RECURRENT)
def test_padding_does_not_change_a_prediction(name):
    model = models.build(name).eval()
    x, lengths = batch()
    together = model(x, lengths)
    alone = torch.cat([model(x[i : i + 1, : lengths[i]], lengths[i : i + 1]) for i in range(3)])
    more = model(torch.cat([x, torch.zeros(3, 20, 46)], dim=1), lengths)
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-6)
    torch.testing.assert_close(together, more, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["lstm_sa_h64", "reslstm_sa_h64"])
def test_padding_that_changes_a_prediction_is_caught(name):
    """The planted fault is the released code itself: attention that is not masked."""
    model = models.build(name, variant="released").eval()
    x, lengths = batch()
    assert (model(x, lengths)[1] - model(x[1:2, :4], lengths[1:2])[0]).abs().max() > 1e-4


def test_padding_does_not_reach_training_statistics():
    x, lengths = batch()
    mask = frame_mask(lengths, x.shape[1])
    norm, whole = FrameBatchNorm(46), FrameBatchNorm(46)
    whole(x[mask][None], torch.ones(1, int(mask.sum()), dtype=torch.bool))
    out = norm(x, mask)
    torch.testing.assert_close(norm.running_mean, whole.running_mean)
    assert out[~mask].abs().max() == 0
    leaky = FrameBatchNorm(46, masked=False)
    leaky(x, mask)
    assert (leaky.running_var - norm.running_var).abs().max() > 1e-3


@pytest.mark.parametrize("residual", [False, True])
def test_padded_form_equals_the_packed_one(residual):
    torch.manual_seed(3)
    padded = LSTMSA(46, 8, 64, residual, dropout=0.0).double()  # a norm over three items magnifies single-precision noise
    packed = PackedLSTMSA(46, 8, 64, residual, dropout=0.0).double()
    packed.load_state_dict(padded.state_dict())
    x, lengths = batch()
    x = x.double()
    for model in (padded, packed):
        model(x, lengths).square().sum().backward()
    for (name, one), two in zip(padded.named_parameters(), packed.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-8, atol=1e-8, msg=name)
    torch.testing.assert_close(padded.eval()(x, lengths), packed.eval()(x, lengths), rtol=1e-10, atol=1e-10)


def test_attention_equals_a_loop_over_frames():
    attention = SoftAttention(5)
    torch.nn.init.normal_(attention.vector)
    hidden, lengths = batch((4, 2), 5)
    context, weights = attention(hidden, frame_mask(lengths, 4))
    for b, n in enumerate(lengths.tolist()):
        e = np.array([float(hidden[b, t] @ attention.vector.detach()) for t in range(n)])
        alpha = np.exp(e) / np.exp(e).sum()
        np.testing.assert_allclose(weights[b, :n].detach(), alpha, rtol=1e-5)
        np.testing.assert_allclose(context[b].detach(), sum(a * hidden[b, t].numpy() for t, a in enumerate(alpha)), rtol=1e-4, atol=1e-6)
    assert weights[1, 2:].abs().max() == 0


@pytest.mark.parametrize(("recurrent", "bias"), [("xavier", 1.0), ("orthogonal", 2.0)])
def test_forget_bias_and_recurrent_weights(recurrent, bias):
    lstm = torch.nn.LSTM(46, 64)
    initialise_lstm(lstm, recurrent, bias)
    total = lstm.bias_ih_l0 + lstm.bias_hh_l0
    assert torch.equal(total, torch.cat([torch.zeros(64), torch.full((64,), bias), torch.zeros(128)]))
    product = lstm.weight_hh_l0.T @ lstm.weight_hh_l0
    assert torch.allclose(product, torch.eye(64), atol=1e-5) == (recurrent == "orthogonal")


def test_signals_name_every_stage():
    model = models.build("reslstm_sa_h32").eval()
    x, lengths = batch()
    signals = model.signals(x, lengths)
    assert {k: tuple(v.shape) for k, v in signals.items()} == {
        "input": (3, 9, 46), "lstm_1": (3, 9, 46), "sum": (3, 9, 46), "lstm_2": (3, 9, 32), "context": (3, 32),
        "attention": (3, 9), "embedding": (3, 32), "logits": (3, 8),
    }  # fmt: skip
    torch.testing.assert_close(signals["attention"].sum(dim=1), torch.ones(3))
