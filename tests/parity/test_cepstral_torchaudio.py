"""The MFCC of the study against torchaudio's: another implementation of the same definition."""

import numpy as np
import torch

from sercore.data import synthetic
from sercore.features.cepstral import mfcc_chroma
from sercore.features.torchaudio_import import import_torchaudio
from sercore.spec import FeatureSpec


def test_mfcc_equals_torchaudios():
    """Window 1024 and hop 512 (torchaudio takes even sizes); librosa's area-normalised Slaney mel bands and 80 dB floor are asked for."""
    torchaudio = import_torchaudio()
    samples, rate = synthetic.waveform(synthetic.read().iloc[3])
    ours = mfcc_chroma(samples, rate, FeatureSpec(window_ms=64, hop_ms=32))[:, :34]
    transform = torchaudio.transforms.MFCC(
        rate,
        n_mfcc=34,
        melkwargs={"n_fft": 1024, "hop_length": 512, "n_mels": 128, "norm": "slaney", "mel_scale": "slaney", "pad_mode": "constant"},
    )
    theirs = transform(torch.from_numpy(samples)).T.numpy()
    assert theirs.shape == ours.shape
    # decibels: single-precision spectra near the floor differ in the fourth digit
    np.testing.assert_allclose(ours, theirs, atol=0.02)


def test_import_gives_the_same_module_twice():
    assert import_torchaudio() is import_torchaudio()
