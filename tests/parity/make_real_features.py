"""Writes real_features.json: what SciPy and librosa say of four real recordings, as averages from which no sound can be made again.

    python tests/parity/make_real_features.py FOLDER

FOLDER holds ravdess/ and emodb/. Nothing of sercore is imported here: decoding is soundfile's, resampling soxr's, spectra SciPy's and
librosa's own one-call functions. Of each recording are stored a hash of its samples, the number of frames, and the mean over time of a
bin or coefficient (every fourth of the long ones), rounded to 7 digits; averages over seconds hold neither words nor phase.
"""

import hashlib
import json
import sys
from pathlib import Path

import librosa
import numpy as np
import soundfile
import soxr
from scipy import signal

PATH = Path(__file__).with_name("real_features.json")
RECORDINGS = (
    "ravdess/Actor_01/03-01-05-02-01-01-01",
    "ravdess/Actor_24/03-01-04-01-02-02-24",
    "emodb/03a01Wa",
    "emodb/16b10Wb",
)


def read(folder: Path, name: str) -> tuple[np.ndarray, int]:
    """Samples, shape (N,), float32, from the WAV of the release or its FLAC copy."""
    path = next(p for p in (folder / f"{name}{ending}" for ending in (".wav", ".flac")) if p.exists())
    samples, rate = soundfile.read(path, dtype="float32")
    return samples, rate


def averages(samples: np.ndarray, rate: int) -> dict[str, dict]:
    """Frames and means over time of each kind of feature."""
    low = soxr.resample(samples, rate, 16000) if rate != 16000 else samples
    segment = np.pad(low[:64000], (0, max(0, 64000 - len(low))))
    spectra = np.abs(signal.stft(segment.astype(np.float64), window="hamming", nperseg=256, noverlap=128)[2]).T[:, :-1]
    mts = np.abs(librosa.stft(low, n_fft=320, hop_length=160)).T
    released = np.abs(librosa.stft(low, n_fft=1024, hop_length=512)).T ** (2 / 3)
    window, hop = round(rate * 4096 / 48000), round(rate * 2048 / 48000)
    mfcc = librosa.feature.mfcc(y=samples, sr=rate, n_mfcc=34, n_fft=window, hop_length=hop)
    chroma = librosa.feature.chroma_stft(y=samples, sr=rate, n_fft=window, hop_length=hop)
    arrays = {
        "at_first_4_s": (spectra, 4),
        "mts": (mts, 4),
        "mts_released": (released, 16),
        "mfcc_chroma": (np.concatenate([mfcc, chroma]).T, 1),
    }
    return {
        kind: {"frames": len(x), "every": every, "mean": [float(f"{v:.7g}") for v in x.mean(axis=0, dtype=np.float64)[::every]]}
        for kind, (x, every) in arrays.items()
    }


if __name__ == "__main__":
    found = {}
    for name in RECORDINGS:
        samples, rate = read(Path(sys.argv[1]), name)
        whole = np.rint(samples.astype(np.float64) * 2**15).astype("<i2")
        found[name] = {"rate_hz": rate, "sha256": hashlib.sha256(whole.tobytes()).hexdigest(), **averages(samples, rate)}
    PATH.write_text(json.dumps(found, indent=1).replace(",\n    ", ", ").replace("[\n    ", "[").replace("\n   ]", "]") + "\n")
