"""Which scales win: shares are those of the layer, the control is an untrained network on the same inputs, sound and padding are apart."""

import numpy as np
import pandas as pd
import pytest
import torch

from sercore import experiment, models, scale_usage, signals
from sercore.batching import padded
from sercore.errors import StoreError
from sercore.ledger.claims import load_map
from sercore.ledger.measurements import Measurements
from sercore.results import Results
from tests.mts_runs import tiny_runs

FACTORS = (0.7, 1.0, 1.428)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    with tiny_runs(tmp_path_factory.mktemp("store"), ("mts_a1",)) as runs:
        yield runs


@pytest.fixture(scope="module")
def rows(tiny):
    return scale_usage.usage_rows(tiny.results, store=tiny.store, draws=2)


def test_trained_shares_are_those_of_the_network(tiny, rows):
    found = signals.replay(tiny.scaled, store=tiny.store)
    expected = found.model.usage(padded(found.frames)[0])["conv_1"]
    mine = rows[rows["kernels"] == scale_usage.TRAINED]
    assert mine["factor"].tolist() == list(FACTORS)
    assert mine["share"].to_numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    assert rows.groupby(["kernels", "seed"])[["share", "share_in_sound"]].sum().to_numpy() == pytest.approx(1, abs=1e-4)


def test_the_control_is_a_fresh_network_on_the_same_recordings(tiny, rows):
    found = signals.replay(tiny.scaled, store=tiny.store)
    torch.manual_seed(1)
    fresh = models.build_for(tiny.store.spec(tiny.scaled), 161, 7, len(found.frames[0]))
    expected = fresh.usage(padded(found.frames)[0])["conv_1"]
    control = rows[rows["kernels"] == scale_usage.UNTRAINED]
    assert control[control["seed"] == 1]["share"].to_numpy() == pytest.approx(expected.numpy(), abs=1e-5)
    draws = [part["share"].tolist() for _, part in control.groupby("seed")]
    assert len(draws) == 2
    assert draws[0] != draws[1]


def test_on_white_noise_no_branch_is_left_out(rows):
    noise = rows[rows["kernels"] == scale_usage.NOISE]
    assert noise.groupby("seed").size().eq(3).all()
    assert noise["share"].between(0.05, 0.75).all()
    assert noise["share"].to_numpy() == pytest.approx(noise["share_in_sound"].to_numpy())  # noise has no padding


def test_sound_and_padding_are_counted_apart():
    winners = torch.zeros(1, 2, 10, 3, dtype=torch.int8)
    winners[:, :, 4:] = 2  # in the padding another branch wins everything
    everywhere, inside = scale_usage._count(winners, [0.4], 3)
    assert everywhere.tolist() == [24, 0, 36]
    assert inside.tolist() == [24, 0, 0]
    frames = np.full((9, 4), -1.5, dtype=np.float32)
    frames[2, 3] = 0.1
    assert scale_usage._sound_frames(frames, -1.5) == 3


def test_the_padding_of_a_recording_is_found(tiny):
    found = signals.replay(tiny.scaled, store=tiny.store)
    silence, rate = scale_usage._silence(found), 16000
    items = tiny.corpus.items.set_index("item_id", drop=False)
    for item, frames in zip(found.predictions["item_id"], found.frames, strict=True):
        seconds = len(tiny.corpus.waveform(items.loc[item].to_dict())[0]) / rate
        assert scale_usage._sound_frames(frames, silence) * found.hop_s == pytest.approx(seconds, abs=2 * found.hop_s)


def test_the_table_sets_trained_beside_untrained(rows):
    table = scale_usage.usage_table(rows).set_index("factor")
    assert set(table.reset_index().columns) == set(scale_usage.TABLE_COLUMNS)
    assert table["trained"].sum() == pytest.approx(1, abs=1e-4)
    control = rows[rows["kernels"] == scale_usage.UNTRAINED]
    for factor, row in table.iterrows():
        shares = control[control["factor"] == factor]["share"]
        assert (row["untrained_low"], row["untrained"], row["untrained_high"]) == (shares.min(), shares.mean(), shares.max())
    assert table["draws"].eq(2).all()


def test_the_ledger_reads_the_trained_shares(tiny, rows):
    group = tiny.results.groups.iloc[0].copy()
    results = Results(tiny.results.groups, tiny.results.counts, tiny.results.runs, tiny.results.history, extras={"usage": rows})
    selector = next(s for s in load_map().values() if s.statistic == "usage" and s.label == "0.7")
    ours = Measurements(results)._usage(group, selector, "")
    trained = rows[(rows["kernels"] == "trained") & (rows["factor"] == 0.7)]["share"].mean()
    assert ours.measured.estimate == pytest.approx(trained)


def test_a_recording_seen_in_the_layer_is_what_the_network_sees(tiny):
    view = scale_usage.branch_view(tiny.scaled, store=tiny.store)
    found = signals.replay(tiny.scaled, store=tiny.store)
    at = found.predictions["item_id"].tolist().index(view.item_id)
    assert view.item_id == min(found.predictions["item_id"])
    with torch.inference_mode():
        through = found.model.signals(*padded([found.frames[at]]))["conv_1"][0, 0].numpy()
    kept = len(view.pooled)
    assert np.maximum(view.pooled, 0) == pytest.approx(through[:kept], abs=1e-5)
    assert np.take_along_axis(view.maps, view.winner[None].astype(int), 0)[0] == pytest.approx(view.pooled)
    assert view.factors == FACTORS
    assert kept == len(view.spectrogram) - 9 < len(through)
    assert view.offset == (4.5, 2.0)
    assert view.bin_hz == 50
    with pytest.raises(StoreError, match="did not test"):
        scale_usage.branch_view(tiny.scaled, item_id="nobody", store=tiny.store)


def test_kernels_before_are_those_that_training_began_with(tiny):
    spec = tiny.store.spec(tiny.scaled)
    still = spec.model_copy(update={"training": spec.training.model_copy(update={"epochs": 1, "learning_rate": 1e-12})})
    table = scale_usage.kernels(experiment.run_one(still)["run_id"], store=tiny.store)
    before, after = (table[table["stage"] == stage]["value"].to_numpy() for stage in ("before", "after"))
    assert before == pytest.approx(after, abs=2e-6)
    assert len(before) == 5 * (7 + 10 + 14)
    moved = scale_usage.kernels(tiny.scaled, store=tiny.store)
    first = moved[moved["stage"] == "before"]["value"].to_numpy()
    assert first == pytest.approx(before)  # the same seed
    assert np.abs(first - moved[moved["stage"] == "after"]["value"].to_numpy()).max() > 1e-4


def test_kernels_of_the_unscaled_branch_are_the_weights(tiny):
    model, _, _ = signals.load_network(tiny.scaled, tiny.store)
    table = scale_usage.kernels(tiny.scaled, store=tiny.store)
    mine = table[(table["stage"] == "after") & (table["factor"] == 1)].pivot_table(index="frame", columns="bin", values="value")
    assert mine.to_numpy() == pytest.approx(model.conv_1.weight[0, 0].detach().numpy(), abs=1e-6)


def test_the_kernels_of_a_chapter_are_those_of_its_first_run(tiny):
    table = scale_usage.kernel_table(tiny.results, tiny.store)
    pd.testing.assert_frame_equal(table, scale_usage.kernels(tiny.scaled, store=tiny.store))
    later = Results(tiny.results.groups, tiny.results.counts, tiny.results.runs.assign(seed=1), tiny.results.history)
    assert scale_usage.kernel_table(later, tiny.store).empty


def test_a_standard_network_has_no_shares(tiny):
    spec = tiny.store.spec(tiny.scaled)
    plain = spec.model_copy(update={"model": spec.model.model_copy(update={"name": "a1", "scales": None})})
    run_id = experiment.run_one(plain)["run_id"]
    with pytest.raises(StoreError, match="no multi-time-scale layer"):
        scale_usage.kernels(run_id, store=tiny.store)
    with pytest.raises(StoreError, match="no multi-time-scale layer"):
        scale_usage.branch_view(run_id, store=tiny.store)
    groups = tiny.results.groups.assign(system="a1")
    none = Results(groups, tiny.results.counts, tiny.results.runs, tiny.results.history)
    assert scale_usage.usage_rows(none, store=tiny.store).empty
    assert scale_usage.usage_table(pd.DataFrame(columns=scale_usage.COLUMNS)).empty
