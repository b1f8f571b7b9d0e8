"""The training loop: resumable bit for bit, best epoch by validation, every item once an epoch."""

import numpy as np
import pytest
import torch

from sercore import batching, models, train
from sercore.spec import TrainingSpec


def examples(n=40, seed=0, classes=4):
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % classes
    frames = [(rng.normal(size=(int(rng.integers(5, 30)), 46)) + labels[i] * 0.3).astype(np.float32) for i in range(n)]
    return batching.Examples(frames, labels)


TRAINING = TrainingSpec(epochs=6, learning_rate=1e-2, batch_size=8, cosine_period_epochs=3)


def run(checkpoint=None, on_epoch=None, training=TRAINING):
    torch.manual_seed(5)
    model = models.build("reslstm_sa_h32", n_classes=4)
    return model, train.fit(model, examples(), examples(16, 1), training, 7, checkpoint, on_epoch=on_epoch)


class Killed(Exception):
    pass


@pytest.mark.parametrize("epoch", [1, 3, 5])
def test_interrupted_run_ends_like_an_uninterrupted_one(tmp_path, epoch):
    def kill(row):
        if row["epoch"] == epoch:
            raise Killed

    whole, expected = run()
    with pytest.raises(Killed):
        run(tmp_path / "c.safetensors", kill)
    torch.manual_seed(99)  # whatever state the next process starts in
    resumed, found = run(tmp_path / "c.safetensors")
    assert [{k: v for k, v in row.items() if k != "seconds"} for row in found.history] == [
        {k: v for k, v in row.items() if k != "seconds"} for row in expected.history
    ]
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_the_weights_are_those_of_the_best_epoch():
    model, result = run()
    best = max(result.history, key=lambda row: (row["validation_uar"], -row["epoch"]))
    assert result.best_epoch == best["epoch"]
    validation = examples(16, 1)
    found = (batching.predict_logits(model, validation.frames).argmax(axis=1) == validation.labels).mean()
    assert found == pytest.approx(best["validation_uar"])  # classes are balanced


def test_patience_stops_after_epochs_without_a_better_score():
    _, result = run(training=TRAINING.model_copy(update={"epochs": 60, "patience_epochs": 4}))
    assert len(result.history) == result.best_epoch + 4 < 60


@pytest.mark.parametrize(("n", "size"), [(40, 8), (41, 8), (9, 4), (1020, 64), (5, 32)])
def test_batches_hold_every_item_once_and_never_one_alone(n, size):
    lengths = np.random.default_rng(0).integers(60, 130, n)
    plan = batching.batches(lengths, size, 3)
    assert sorted(np.concatenate(plan).tolist()) == list(range(n))
    assert min(map(len, plan)) >= 2
    assert max(map(len, plan)) <= size + 1


@pytest.mark.parametrize(("n", "size"), [(300, 32), (1020, 64)])
def test_batches_differ_between_epochs(n, size):
    """The planted fault, buckets of 16 batches, would hold the whole corpus: only the order of the same batches would change."""
    lengths = np.random.default_rng(0).integers(60, 130, n)
    first, second = ({frozenset(b.tolist()) for b in batching.batches(lengths, size, seed)} for seed in (3, 4))
    assert not first & second


def test_buckets_pad_less_than_plain_shuffling():
    lengths = np.random.default_rng(0).integers(60, 130, 1020)
    waste = sum(lengths[b].max() * len(b) for b in batching.batches(lengths, 32, 0)) / lengths.sum()
    plain = np.array_split(np.random.default_rng(1).permutation(1020), 32)
    assert waste < 1.1 < 1.2 < sum(lengths[b].max() * len(b) for b in plain) / lengths.sum()


def test_learning_rate_restarts_each_period():
    rates = [train.learning_rate(TrainingSpec(learning_rate=1.0, cosine_period_epochs=4), e) for e in range(9)]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, 4, eta_min=0.01)
    expected = []
    for _ in range(9):
        expected.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(rates, expected, rtol=1e-12)
    assert {train.learning_rate(TrainingSpec(learning_rate=0.5, cosine_period_epochs=1), e) for e in range(4)} == {0.5}


def test_loss_is_a_mean_over_items_not_over_batches(monkeypatch):
    """The planted fault would weigh a batch of two like a batch of eight."""
    seen = []
    original = torch.nn.functional.cross_entropy

    def watched(logits, labels, *args, **kwargs):
        loss = original(logits, labels, *args, **kwargs)
        seen.append((loss.item(), len(labels)))
        return loss

    monkeypatch.setattr(train.functional, "cross_entropy", watched)
    torch.manual_seed(0)
    model = models.build("lstm_sa_h32", n_classes=4)
    result = train.fit(model, examples(42), examples(16, 1), TRAINING.model_copy(update={"epochs": 1}), 0)
    losses, sizes = np.array(seen[:-1]).T
    assert len(set(sizes)) > 1
    assert result.history[0]["train_loss"] == pytest.approx((losses * sizes).sum() / 42)
    assert result.history[0]["train_loss"] != pytest.approx(losses.mean(), abs=1e-6)


def test_loss_that_is_not_finite_stops_the_run():
    bad = examples()
    bad.frames[0][0, 0] = np.inf
    with pytest.raises(ValueError, match="epoch 1"):
        train.fit(models.build("lstm_sa_h32", n_classes=4), bad, examples(16, 1), TRAINING, 0)


def test_predictions_come_in_the_order_given():
    model = models.build("lstm_sa_h32", n_classes=4)
    data = examples(20)
    together = batching.predict_logits(model, data.frames)
    alone = np.concatenate([batching.predict_logits(model, [f]) for f in data.frames])
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert model.training


def test_a_large_checkpoint_is_not_written_after_every_epoch(tmp_path, monkeypatch):
    """Writing one that takes long would take longer than training; and what is written serves to resume."""
    written = []
    original = train._save

    def slow(path, *rest):
        original(path, *rest)
        written.append(len(rest[-1].history))
        clock[0] += 1.0

    clock = [0.0]
    monkeypatch.setattr(train, "_save", slow)
    monkeypatch.setattr(train.time, "perf_counter", lambda: clock[0])
    model = models.build("lstm_sa_h32", n_classes=4)
    epochs = TRAINING.model_copy(update={"epochs": 24})
    train.fit(model, examples(8), examples(8, 1), epochs, 0, tmp_path / "c", on_epoch=lambda row: clock.__setitem__(0, clock[0] + 1.0))
    assert written == [1, 11, 21]
