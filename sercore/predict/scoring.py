"""From a waveform to class scores by the way of training: sampling rate, features, normaliser, network, segments answering together."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from scipy.special import softmax

from sercore.batching import by_recording, predict_logits
from sercore.features.cache import frames_of
from sercore.predict.recording import resampled
from sercore.predict.trained import Network, Trained
from sercore.prepare import examples
from sercore.spec import FeatureSpec
from sercore.threads import one_thread


def frames_for(trained: Trained, samples: np.ndarray, sample_rate_hz: int) -> np.ndarray:
    """Features of a waveform as in training; segments follow each other, as in `sercore.features.cache.frames_of`.

    The waveform is brought to the rate of the training corpus first, and from there to that of the features where they have one: a network
    that hears 4 kHz was trained on recordings that came the same way.

    Args:
        trained: the networks.
        samples: mono, shape (N,), N >= 1, float32 in [-1, 1].
        sample_rate_hz: in hertz, of the samples.

    Returns:
        Shape (T, d), float32, not normalised. A sound so short that resampling leaves no sample of it is one sample of silence.
    """
    spec = trained.spec.features
    rate_hz = trained.sample_rate_hz or sample_rate_hz  # a corpus of recordings with many rates was heard at each one's own
    samples = resampled(samples, sample_rate_hz, rate_hz)
    if spec.sample_rate_hz:
        samples, rate_hz = resampled(samples, rate_hz, spec.sample_rate_hz), spec.sample_rate_hz
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # librosa's, on silence and on very short sounds
        return frames_of(samples, rate_hz, spec)


def segments_in(frames: np.ndarray, features: FeatureSpec) -> int:
    """How many segments the frames of a recording, shape (T, d), are; 1 where the network reads recordings whole."""
    return len(frames) // features.segment_frames if features.segment_frames else 1


def class_logits(network: Network, normalised: Sequence[np.ndarray], features: FeatureSpec, together: bool) -> np.ndarray:
    """Logits of recordings; of those that are cut, the mean over their segments, as when the run was scored.

    Args:
        network: the network.
        normalised: frames of N recordings, shapes (T_i, d).
        features: what they were computed with.
        together: all in one batch, or one recording at a time.

    Returns:
        Shape (N, K), float32.
    """
    with one_thread():  # as in training
        batches = [list(normalised)] if together else [[one] for one in normalised]
        return np.concatenate([_pooled(network, batch, features) for batch in batches])


def _pooled(network: Network, normalised: list[np.ndarray], features: FeatureSpec) -> np.ndarray:
    items = examples([""] * len(normalised), normalised, None, features)
    return by_recording(predict_logits(network.model, items.frames), items.recordings)


def class_scores(logits: np.ndarray) -> np.ndarray:
    """Class probabilities: softmax of logits, shape (..., K), over the last axis; of the same shape, float64."""
    return softmax(logits.astype(np.float64), axis=-1)
