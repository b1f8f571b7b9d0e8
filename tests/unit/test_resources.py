"""Resources of a run: counts held to sums made by hand, and memory that belongs to the run and not to what the process did before."""

import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn

from sercore import models, resources
from sercore.resources import PeakMemory, count, of_frames, silence

#: In a process of its own: allocates much, gives it back, then measures a block that needs less.
ALLOCATING = """
import sys
import numpy as np
from sercore import resources

def fill(mib):
    return np.ones(mib * 2**17)

before = resources._host_memory("VmRSS")
big = fill(400)
del big
if sys.argv[1] == "planted":
    resources._reset_host_peak = lambda: True
with resources.PeakMemory() as peak:
    part = fill(150)
    del part
    print(peak.row()["peak_host_mb"] - before if peak.row()["peak_host_mb"] else "none")
"""

linux = pytest.mark.skipif(not resources._reset_host_peak(), reason="this system does not let a process set its memory's mark back")


def test_convolution_and_linear_by_hand():
    """As A1 of the thesis: one 10 x 5 convolution, 200 hidden units, classes. Biases are parameters and no MACs."""
    network = nn.Sequential(nn.Conv2d(1, 1, (10, 5)), nn.ReLU(), nn.Flatten(), nn.Linear(31 * 12, 200), nn.ReLU(), nn.Linear(200, 7))
    found = count(network, [torch.zeros(1, 1, 40, 16)])
    assert found.macs == 31 * 12 * 50 + 31 * 12 * 200 + 200 * 7
    assert found.trainable == found.pipeline == 51 + (31 * 12 + 1) * 200 + 201 * 7


def test_groups_strides_and_padding_of_a_convolution():
    network = nn.Conv1d(8, 16, 3, stride=2, padding=1, groups=4, bias=False)
    assert count(network, [torch.zeros(1, 8, 20)]).macs == 10 * 16 * (8 // 4) * 3


def test_lstm_with_attention_by_hand():
    """LSTM-SA-h64, 70 frames of 46 values: four gates, two products of attention, the classifier."""
    found = count(models.build("lstm_sa_h64"), silence(70, 46))
    assert found.macs == 70 * 4 * 64 * (46 + 64) + 2 * 70 * 64 + 64 * 8
    assert found.trainable == 29_384
    assert found.buffers == 2 * 64 + 1


def test_resnet_18_by_its_published_count():
    """1.8 billion at 224 x 224 (He et al. 2016, Table 1); 1,814,073,344 is what its layers give when multiplied out."""
    convolutions = [(64, 3, 7, 112)] + [(64, 64, 3, 56)] * 4
    for wide, side in ((128, 28), (256, 14), (512, 7)):
        convolutions += [(wide, wide // 2, 3, side), (wide, wide // 2, 1, side)] + [(wide, wide, 3, side)] * 3
    expected = sum(out * into * k * k * side * side for out, into, k, side in convolutions) + 512 * 1000
    assert expected == 1_814_073_344
    torchvision_like = nn.Sequential(_Stem(), *_stages(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
    found = count(torchvision_like, [torch.zeros(1, 3, 224, 224)])
    assert found.macs == expected
    assert found.trainable == 11_689_512


class _Stem(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(3, 2, 1))


class _Block(nn.Module):
    def __init__(self, into, out, stride):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(into, out, 3, stride, 1, bias=False), nn.BatchNorm2d(out), nn.ReLU(),
            nn.Conv2d(out, out, 3, 1, 1, bias=False), nn.BatchNorm2d(out),
        )  # fmt: skip
        short = [nn.Conv2d(into, out, 1, stride, bias=False), nn.BatchNorm2d(out)] if stride > 1 else []
        self.short = nn.Sequential(*short)

    def forward(self, x):
        return torch.relu(self.body(x) + self.short(x))


def _stages():
    for into, out, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2)):
        yield nn.Sequential(_Block(into, out, stride), _Block(out, out, 1))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
@pytest.mark.parametrize("gradient", [True, False])
def test_recurrent_layers_of_any_kind(kind, gradient):
    gates = {nn.LSTM: 4, nn.GRU: 3, nn.RNN: 1}[kind]
    layer = kind(6, 5, num_layers=2, bidirectional=True, batch_first=True).requires_grad_(gradient)
    expected = 9 * 2 * gates * 5 * ((6 + 5) + (10 + 5))
    assert count(layer, [torch.zeros(1, 9, 6)]).macs == expected


def test_packed_projected_and_called_by_name():
    class Packed(nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = nn.LSTM(6, 5, proj_size=2, batch_first=True)

        def forward(self, x):
            packed = nn.utils.rnn.pack_padded_sequence(x, torch.tensor([4]), batch_first=True)
            return self.lstm(input=packed)[0].data

    assert count(Packed(), [torch.zeros(1, 9, 6)]).macs == 4 * (4 * 5 * (6 + 2) + 2 * 5)


def test_a_layer_that_is_used_twice_works_twice_and_weighs_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.one = nn.LSTM(6, 6, batch_first=True)
            self.again = self.one

        def forward(self, x):
            return self.again(self.one(x)[0])[0]

    found = count(Twice(), [torch.zeros(1, 3, 6)])
    assert found.macs == 2 * 3 * 4 * 6 * 12
    assert found.trainable == 4 * 6 * 12 + 2 * 24


def test_attention_in_its_fused_forms():
    """In evaluation mode torch takes a path that its counter does not see: four projections, two products of attention, two layers."""
    layer = nn.TransformerEncoderLayer(16, 4, 32, batch_first=True)
    assert count(layer, [torch.zeros(1, 10, 16)]).macs == 10 * 16 * 16 * 4 + 2 * 10 * 10 * 16 + 2 * 10 * 16 * 32
    assert torch.backends.mha.get_fastpath_enabled()


def test_frozen_encoder_inside_and_before():
    encoder, head = nn.Linear(10, 20, bias=False).requires_grad_(False), nn.Linear(20, 3, bias=False)
    inside = count(nn.Sequential(encoder, head), [torch.zeros(1, 10)])
    before = count(head, [torch.zeros(1, 20)], before=[(encoder, [torch.zeros(1, 10)])])
    assert (inside.trainable, inside.frozen, inside.pipeline, inside.macs) == (60, 200, 260, 260)
    assert (before.trainable, before.frozen, before.pipeline, before.macs) == (60, 0, 260, 260)
    assert inside.row()["parameters"] == 260
    assert before.row()["parameters"] == 60


def test_parameters_shared_across_networks_count_once():
    one, other = nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
    other.weight = one.weight
    found = count(one, [torch.zeros(1, 4)], before=[(other, [torch.zeros(1, 4)])])
    assert (found.trainable, found.pipeline, found.macs) == (16, 16, 32)


def test_counting_leaves_no_trace():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)
            self.drop = nn.Dropout(0.5)
            self.register_buffer("calls", torch.zeros(()))

        def forward(self, x):
            self.calls += 1
            return self.norm(self.drop(x)) + torch.rand(1)

    network, state = Noisy(), torch.get_rng_state()
    network.drop.eval()
    count(network, [torch.zeros(1, 4)])
    assert network.training
    assert not network.drop.training
    assert network.calls.item() == 0
    assert torch.equal(torch.get_rng_state(), state)
    assert not network._forward_hooks
    assert not any(m._forward_pre_hooks for m in models.build("lstm_sa_h32").modules())


def test_more_than_one_item_is_refused():
    with pytest.raises(ValueError, match=r"one item.*got \(2, 4\)"):
        count(nn.Linear(4, 4), [torch.zeros(2, 4)])


def test_the_reference_is_the_median_recording():
    frames = [np.zeros((length, 46), dtype=np.float32) for length in (10, 90, 30, 40)]
    found = of_frames(models.build("lstm_sa_h32"), frames)
    assert found["macs_frames"] == 30
    assert found["macs"] == 30 * 4 * 32 * (46 + 32) + 2 * 30 * 32 + 32 * 8
    assert found["parameters"] == found["trainable_parameters"] == found["pipeline_parameters"] == 10_600
    assert found["frozen_parameters"] == 0


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator here")
@pytest.mark.parametrize("name", ["lstm_sa_h64", "reslstm_sa_h32"])
def test_an_accelerator_counts_the_same(name):
    network = models.build(name)
    assert count(network.to("cuda"), silence(70, 46, "cuda")).macs == count(network.to("cpu"), silence(70, 46)).macs
    with PeakMemory("cuda") as peak:
        torch.zeros(2**20, device="cuda")
        assert peak.row()["peak_device_mb"] >= 4


def _run(argument):
    done = subprocess.run([sys.executable, "-c", ALLOCATING, argument], capture_output=True, text=True, timeout=120, check=True)
    return float(done.stdout)


@linux
def test_peak_is_of_the_block_and_not_of_the_process():
    assert 130 < _run("measured") < 300


@linux
def test_a_mark_that_was_not_set_back_is_of_the_process():
    assert _run("planted") > 350


def test_no_proc_is_no_error(monkeypatch, tmp_path):
    monkeypatch.setattr(resources, "_PROC", tmp_path / "nowhere")
    with PeakMemory() as peak:
        assert peak.row() == {"peak_host_mb": None, "peak_device_mb": None}
    assert not any(tmp_path.iterdir())


def test_a_mark_that_stays_is_noticed(monkeypatch, tmp_path):
    """A system that takes the write and does nothing: the high-water mark lies far above what is resident."""
    (tmp_path / "clear_refs").write_text("")
    (tmp_path / "status").write_text("VmHWM:\t 900000 kB\nVmRSS:\t 400000 kB\n")
    monkeypatch.setattr(resources, "_PROC", tmp_path)
    with PeakMemory() as peak:
        assert peak.row()["peak_host_mb"] is None
    (tmp_path / "status").write_text("VmHWM:\t 409600 kB\nVmRSS:\t 400000 kB\n")
    with PeakMemory() as peak:
        assert peak.row()["peak_host_mb"] == 400.0


@linux
def test_runs_that_overlap_have_no_peak_of_their_own():
    entered, leave, found = threading.Event(), threading.Event(), []

    def other():
        with PeakMemory() as peak:
            entered.set()
            leave.wait(30)
            found.append(peak.row()["peak_host_mb"])

    with PeakMemory() as alone:
        assert alone.row()["peak_host_mb"] > 10
    thread = threading.Thread(target=other)
    with PeakMemory() as first:
        thread.start()
        entered.wait(30)
        assert first.row()["peak_host_mb"] is None
        leave.set()
        thread.join()
    assert found == [None]
    with PeakMemory() as after:
        assert after.row()["peak_host_mb"] is not None


def test_branches_of_a_compiled_layer_are_counted():
    """The compiled pass does its products out of torch's sight: uncounted, three branches would cost less than one."""
    plain, scaled = (models.build(name, 161, 7, n_frames=251) for name in ("a1", "mts_a1"))
    inputs = resources.silence(251, 161)
    ours, other = resources.count(scaled, inputs).macs, resources.count(plain, inputs).macs
    extra = sum((251 + 2 * 13) * 157 * length * 5 for length in (7, 14))  # at most: centred maps see padding
    assert 0.8 * extra < ours - other < extra
