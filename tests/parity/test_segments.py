"""Segments of ch. 5 to 7 and the input of ch. 4, on the embedded corpus' voice: against SciPy, librosa and policies written out by hand."""

import librosa
import numpy as np
import pytest
import torch
from scipy import signal

from sercore.data import synthetic
from sercore.features import segments
from sercore.features.normaliser import Normaliser
from sercore.features.segments import cut_forward, pad_to_longest, released_starts, segment_magnitudes
from sercore.features.stft import MTS_RELEASED, hann_magnitude

RATE = 16000


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """Nine seconds and a bit of different utterances, float32: no two stretches are alike."""
    table = synthetic.read()
    parts = [synthetic.waveform(table.iloc[i])[0] for i in (3, 60, 130, 250, 300, 350, 400, 440)]
    return np.concatenate([*parts, *parts[::-1]])[: int(9.3 * RATE)]


def by_scipy(samples):
    """Magnitudes without the Nyquist bin, (T, 128), float64."""
    return np.abs(signal.stft(samples.astype(np.float64), window="hamming", nperseg=256, noverlap=128)[2]).T[:, :-1]


def padded(matrix, rows=512):
    return np.pad(matrix, ((0, rows - len(matrix)), (0, 0)))


def definition_by_hand(samples, segment):
    pieces = [samples[i : i + segment] for i in range(0, len(samples), segment)]
    return np.stack([padded(by_scipy(np.pad(p, (0, segment - len(p))))) for p in pieces])


def released_by_hand(samples, seconds):
    """The sentence of the docstring in SciPy and slices: the whole, turned round, whole steps, and a tail beyond two segments."""
    rows, segment = 1 + round(seconds * 125), round(seconds * RATE)
    whole = np.rot90(by_scipy(np.pad(samples, (0, max(0, segment - len(samples))))).T)  # what the authors do: frequency ascends, time falls
    found = [whole[i : i + rows] for i in range(0, len(whole), rows) if i + rows <= len(whole)]
    if len(whole) > 2 * rows and len(whole) % rows:
        found.append(whole[-rows:])
    return np.stack([padded(m) for m in found])


# Tolerance: of the largest magnitude; float32 against float64, measured 3e-7.
@pytest.mark.parametrize("seconds", [0.7, 3.99, 4.0, 4.01, 7.9, 8.01, 8.1, 9.3])
@pytest.mark.parametrize("variant", ["definition", "released"])
def test_segments_equal_scipys(speech, seconds, variant):
    samples = speech[: round(seconds * RATE)]
    theirs = definition_by_hand(samples, 4 * RATE) if variant == "definition" else released_by_hand(samples, 4)
    ours = segment_magnitudes(samples, RATE, variant=variant)
    assert ours.dtype == np.float32
    assert ours.shape == theirs.shape == (len(theirs), 512, 128)
    assert np.abs(ours - theirs).max() <= 2e-6 * theirs.max()


@pytest.mark.parametrize("variant", ["definition", "released"])
def test_segments_of_one_second_have_126_frames(speech, variant):
    ours = segment_magnitudes(speech[: round(2.4 * RATE)], RATE, 1.0, frames=None, variant=variant)
    assert ours.shape == (3, 126, 128)
    theirs = (
        released_by_hand(speech[: round(2.4 * RATE)], 1) if variant == "released" else definition_by_hand(speech[: round(2.4 * RATE)], RATE)
    )
    assert np.abs(ours - theirs[:, :126]).max() <= 2e-6 * theirs.max()


@pytest.mark.parametrize("fault", ["start_kept", "time_forward", "tail_dropped", "frequency_turned", "definition_for_released"])
def test_another_part_or_direction_is_caught(speech, fault, monkeypatch):
    """Planted faults that give arrays of a like shape; the comparison above must not pass them."""
    samples = speech[: round(8.5 * RATE)]
    theirs = released_by_hand(samples, 4)
    if fault == "start_kept":
        monkeypatch.setattr(segments, "released_starts", lambda rows, segment: [rows - segment * (k + 1) for k in (0, 1)] + [0])
    if fault == "tail_dropped":
        monkeypatch.setattr(segments, "released_starts", lambda rows, segment: released_starts(rows, segment, tail_beyond=9))
    variant = "definition" if fault == "definition_for_released" else "released"
    wrong = segment_magnitudes(samples, RATE, variant=variant)
    if fault == "time_forward":
        wrong = np.stack([padded(m[:501][::-1]) for m in wrong])
    if fault == "frequency_turned":
        wrong = wrong[:, :, ::-1]
    assert wrong.shape != theirs.shape or np.abs(wrong - theirs).max() > 1e-2 * theirs.max()


def test_of_four_to_eight_seconds_the_released_policy_keeps_the_last_four(speech):
    """A sound in the first two seconds of six is not heard; in the last four it is; the definition hears both."""
    silence = np.zeros(6 * RATE, dtype=np.float32)
    early, late = silence.copy(), silence.copy()
    early[RATE : 2 * RATE] = late[4 * RATE : 5 * RATE] = speech[:RATE]
    heard = {v: [segment_magnitudes(x, RATE, variant=v).max() > 1e-3 for x in (early, late)] for v in ("definition", "released")}
    assert heard == {"definition": [True, True], "released": [False, True]}
    assert segment_magnitudes(late, RATE, variant="released")[0, :125].max() == 0  # the last second is silent, and comes first


def test_every_sample_is_in_a_forward_segment_and_padding_follows(speech):
    samples = speech[: round(6.5 * RATE)]
    cut = cut_forward(samples, 4 * RATE)
    np.testing.assert_array_equal(cut.ravel()[: len(samples)], samples)
    assert not cut.ravel()[len(samples) :].any()
    half = cut_forward(samples, 4 * RATE, 2 * RATE)  # IEMOCAP in ch. 4: 4 s every 2 s
    assert half.shape == (3, 4 * RATE)
    np.testing.assert_array_equal(half[1], samples[2 * RATE : 6 * RATE])


@pytest.mark.parametrize(
    ("cut", "starts"),
    [
        ((501, 501), [0]),
        ((1001, 501), [0]),  # 8 s: one frame short of two segments of 501
        ((1002, 501), [0, 501]),
        ((1003, 501), [0, 501, 502]),
        ((1503, 501), [0, 501, 1002]),
        ((126, 126, 63, 1.5), [0]),  # ch. 4, IEMOCAP: half a segment from one to the next
        ((188, 126, 63, 1.5), [0]),
        ((200, 126, 63, 1.5), [0, 63, 74]),
    ],
)
def test_where_the_released_code_cuts(cut, starts):
    assert released_starts(*cut) == starts


# Tolerance: of the largest value; float32 on both sides, measured 2e-7, with the power law (steep near 0) 4e-6.
@pytest.mark.parametrize(
    ("settings", "window", "hop", "power"), [({}, 320, 160, 1), (MTS_RELEASED, 1024, 512, 2 / 3), ({"power": 2}, 320, 160, 2)]
)
@pytest.mark.parametrize("n", [16000, 23456])
def test_input_of_chapter_4_equals_librosas(speech, settings, window, hop, power, n):
    ours = hann_magnitude(torch.from_numpy(speech[None, :n]), RATE, **settings)[0].numpy()
    theirs = np.abs(librosa.stft(speech[:n], n_fft=window, hop_length=hop)).T ** power
    assert ours.shape == theirs.shape == (1 + n // hop, window // 2 + 1)
    assert np.abs(ours - theirs).max() <= (2e-5 if power < 1 else 2e-6) * theirs.max()


@pytest.mark.parametrize("wrong", [{"window_ms": 64.0, "hop_ms": 32.0}, {**MTS_RELEASED, "power": 1 / 3}, {**MTS_RELEASED, "hop_ms": 31.0}])
def test_another_power_law_or_hop_of_chapter_4_is_caught(speech, wrong):
    theirs = np.abs(librosa.stft(speech, n_fft=1024, hop_length=512)).T ** (2 / 3)
    ours = hann_magnitude(torch.from_numpy(speech[None]), RATE, **wrong)[0].numpy()
    assert ours.shape != theirs.shape or np.abs(ours - theirs).max() > 1e-2 * theirs.max()


def test_four_seconds_have_the_released_networks_126_frames_of_513_bins():
    assert hann_magnitude(torch.zeros(1, 4 * RATE), RATE, **MTS_RELEASED).shape == (1, 126, 513)


@pytest.mark.parametrize("power", [1, 2 / 3])
def test_gradient_and_plain_form_of_chapter_4_agree(speech, power):
    x = torch.tensor(speech[None, :RATE], requires_grad=True)
    with_gradient = hann_magnitude(x, RATE, power=power)
    torch.testing.assert_close(with_gradient.detach(), hann_magnitude(x.detach(), RATE, power=power), rtol=1e-5, atol=1e-5)
    with_gradient.sum().backward()
    assert x.grad is not None


def test_padding_to_the_longest_and_the_released_reversal():
    a, b = np.arange(1, 7, dtype=np.float32).reshape(3, 2), np.full((1, 2), 9, dtype=np.float32)
    assert pad_to_longest([a, b])[:, :, 0].tolist() == [[1, 3, 5], [9, 0, 0]]
    assert pad_to_longest([a, b], "released")[:, :, 0].tolist() == [[5, 3, 1], [0, 0, 9]]
    assert pad_to_longest([b], length=4).shape == (1, 4, 2)
    for items, length in (([], None), ([a], 2)):
        with pytest.raises(ValueError, match="item"):
            pad_to_longest(items, length=length)


def test_one_number_for_all_bins_comes_from_the_items_given_alone():
    rng = np.random.default_rng(0)
    train = [rng.gamma(1.0, s, (n, 7)).astype(np.float32) for n, s in ((5, 1), (40, 3), (8, 2))]
    test = [np.full((2, 7), 100, dtype=np.float32)]
    values = np.concatenate([f.ravel() for f in train]).astype(np.float64)
    scalar, largest = Normaliser.fit_scalar(train), Normaliser.fit_maximum(train)
    np.testing.assert_allclose([scalar.mean, scalar.deviation], [[values.mean()], [values.std()]], rtol=1e-6)
    assert largest.mean == 0
    assert largest.deviation == values.max()
    assert max(f.max() for f in largest.apply(train)) == 1
    assert largest.apply(test)[0].min() > 1  # the test side is divided by the training side's maximum and not clipped
    leaky = Normaliser.fit_maximum([*train, *test])
    assert leaky.apply(test)[0].max() == 1  # the planted fault: fitted on the test side as well, nothing exceeds 1
    segmented = Normaliser.fit_scalar([np.stack([f, f]) for f in train])
    np.testing.assert_allclose(segmented.mean, scalar.mean, rtol=1e-6)


@pytest.mark.parametrize("items", [[], [np.zeros((3, 2), dtype=np.float32)]])
def test_nothing_to_divide_by_is_an_error(items):
    with pytest.raises(ValueError, match="above 0"):
        Normaliser.fit_maximum(items)
    with pytest.raises(ValueError, match="no item"):
        Normaliser.fit_scalar([])


@pytest.mark.parametrize(
    ("samples", "options", "says"),
    [
        (np.zeros((2, 9)), {}, "mono"),
        (np.zeros(0), {}, "mono"),
        (np.array([0.0, np.inf]), {}, "sample 1 is not finite"),
        (np.zeros(9), {"segment_s": 0}, "at least 1"),
        (np.zeros(9), {"segment_s": 5}, "do not fit into 512"),
        (np.zeros(9), {"segment_s": 5, "variant": "released"}, "do not fit into 512"),
    ],
)
def test_refuses(samples, options, says):
    with pytest.raises(ValueError, match=says):
        segment_magnitudes(samples, RATE, **options)
    with pytest.raises(ValueError, match="fewer than a segment"):
        released_starts(500, 501)
