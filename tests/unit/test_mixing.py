"""Speech and noise at a given ratio: the ratio is measured, clipping is handled and said, the seed decides."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sercore.data.mixing import mix, snr_db
from sercore.errors import CorpusError

NOISE = np.random.default_rng(1).normal(0, 0.1, 9000).astype(np.float32)
SPEECH = (0.3 * np.sin(np.arange(4000) / 9) * np.linspace(0, 1, 4000)).astype(np.float32)


def measured(mixture):
    """The ratio, computed here from the parts, without the module's own formula."""
    s, n = mixture.speech.astype(float), mixture.noise.astype(float)
    return 20 * np.log10(np.linalg.norm(s) / np.linalg.norm(n))


@settings(deadline=None, max_examples=60)
@given(
    snr=st.floats(-30, 60),
    level=st.floats(1e-3, 1),
    samples=st.integers(50, 20000),
    seed=st.integers(0, 2**31),
)
def test_the_ratio_is_the_one_that_was_asked_for(snr, level, samples, seed):
    speech = level * np.resize(SPEECH, samples).astype(np.float32)
    mixture = mix(speech, NOISE, snr, seed)
    assert abs(measured(mixture) - snr) < 0.01
    assert mixture.snr_db == pytest.approx(measured(mixture), abs=1e-6)
    assert mixture.samples.shape == speech.shape
    assert mixture.samples.dtype == np.float32
    assert np.abs(mixture.samples).max() <= 1
    np.testing.assert_allclose(mixture.samples, mixture.speech + mixture.noise, atol=2e-7)


def test_the_speech_keeps_its_level_where_nothing_clips():
    mixture = mix(SPEECH, NOISE, 20)
    assert (mixture.clipped, mixture.scale) == (False, 1.0)
    np.testing.assert_array_equal(mixture.speech, SPEECH)


def test_a_sum_that_would_clip_is_made_quieter_and_says_so():
    mixture = mix(3 * SPEECH, NOISE, 0)
    assert mixture.clipped
    assert mixture.scale < 1
    assert np.abs(mixture.samples).max() == pytest.approx(1)
    assert abs(measured(mixture)) < 0.01
    np.testing.assert_allclose(mixture.speech, mixture.scale * 3 * SPEECH, rtol=1e-5, atol=1e-8)


def test_the_seed_decides_where_the_noise_is_cut():
    first, again, other = (mix(SPEECH, NOISE, 5, seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first.samples, again.samples)
    assert first.noise_start != other.noise_start
    assert 0 <= first.noise_start <= len(NOISE) - len(SPEECH)
    piece = NOISE[first.noise_start : first.noise_start + len(SPEECH)]
    assert np.corrcoef(first.noise, piece)[0, 1] == pytest.approx(1)


def test_short_noise_is_repeated():
    mixture = mix(SPEECH, NOISE[:1000], 5)
    np.testing.assert_allclose(mixture.noise[:1000], mixture.noise[1000:2000])


def test_a_gain_without_the_root_is_caught():
    """The fault that is easily made: 10^(-SNR/10) on samples instead of on powers."""
    mixture = mix(SPEECH, NOISE, 10)
    wrong = mixture.noise * 10 ** (-10 / 20)
    assert abs(snr_db(mixture.speech, wrong) - 10) > 5


@pytest.mark.parametrize(
    ("speech", "noise", "ratio", "says"),
    [
        (np.zeros(100), NOISE, 0, "speech .* silent"),
        (SPEECH, np.zeros(9000), 0, "noise .* silent"),
        (SPEECH, np.concatenate([np.zeros(100000), [0.1]]), 0, "piece of noise"),
        (np.zeros(0), NOISE, 0, "speech .* empty"),
        (np.zeros((2, 100)), NOISE, 0, "one channel"),
        (np.array([np.nan]), NOISE, 0, "not finite"),
        (SPEECH, NOISE, float("inf"), "finite number"),
    ],
)
def test_what_cannot_be_mixed_is_an_error(speech, noise, ratio, says):
    with pytest.raises(CorpusError, match=says):
        mix(speech, noise, ratio)
