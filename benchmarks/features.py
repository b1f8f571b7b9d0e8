"""Spectra and MFCC + chroma of recordings: batched torch against librosa, one thread each.

Every form computes the same numbers (tests/parity holds it; the largest difference is measured here again and printed), so only the ratio
matters; `torch_tuning_0` has other chroma, because librosa estimates the tuning of each recording. The forms take turns in random order
inside each round; the ratio to librosa is taken in each round and its median printed with the quartiles. The processor's time is
counted, not the wall's. What librosa and torch prepare once (compiled code, filter banks) is prepared before the first round.

    python -m benchmarks.features [--corpus FOLDER] [--clips 48] [--rounds 15] [--json]

Without --corpus the recordings are those of the embedded corpus, said to be at the rate asked for; with it, the .wav or .flac files
found below FOLDER, evenly spread. For the spectra they are cut or repeated to 4 s and taken as 16 kHz.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import librosa
import numpy as np
import torch

from sercore.data import synthetic
from sercore.data.audio import AUDIO_ENDINGS, decode
from sercore.features.cepstral import mfcc_chroma
from sercore.features.cepstral_batch import mfcc_chroma_batch
from sercore.features.stft import hann_magnitude, stft_magnitude

Forms = dict[str, Callable[[], Sequence[np.ndarray]]]
#: Recordings whose chroma differ by more have another tuning: it was fixed, or hangs by a rounding (sercore/features/cepstral_batch.py).
AGREE = 1e-2
SPECTRA_HZ, SPECTRA_SAMPLES = 16000, 64000


def recordings(folder: Path | None, clips: int) -> tuple[list[np.ndarray], int]:
    """Waveforms of shape (N_i,), in [-1, 1], and their rate in hertz.

    Raises:
        SystemExit: the folder holds no recording, or recordings of several rates.
    """
    if folder is None:
        table = synthetic.read()
        return [synthetic.waveform(table.iloc[i])[0] for i in np.linspace(0, len(table) - 1, clips).astype(int)], 16000
    files = sorted(p for p in folder.rglob("*") if p.suffix in AUDIO_ENDINGS)
    if not files:
        raise SystemExit(f"{folder} holds no .wav or .flac file: name the folder of a corpus")
    decoded = [decode(files[i]) for i in np.linspace(0, len(files) - 1, clips).astype(int)]
    if len({rate for _, rate in decoded}) > 1:
        raise SystemExit(f"{folder} holds recordings of several sampling rates: name the folder of one corpus")
    return [samples for samples, _ in decoded], decoded[0][1]


def in_batches(batch: np.ndarray, size: int, compute: Callable[[torch.Tensor], torch.Tensor]) -> list[np.ndarray]:
    """The frames of each waveform, shape (T, F): `batch` (B, N) goes through `compute` some at a time."""
    return [frames for part in torch.from_numpy(batch).split(size) for frames in compute(part).numpy()]


def spectrum_forms(waveforms: list[np.ndarray], batch: int) -> dict[str, Forms]:
    """Case -> forms; the first is the one that the others are compared with."""
    stacked = np.stack([np.resize(w, SPECTRA_SAMPLES) for w in waveforms])
    scale = np.float32(1 / librosa.filters.get_window("hamming", 256).sum())

    def of_librosa(window: int, hop: int, shape: str, bins: int, factor: np.float32, power: float) -> list[np.ndarray]:
        spectra = [np.abs(librosa.stft(w, n_fft=window, hop_length=hop, window=shape)[:bins]).T * factor for w in stacked]
        return spectra if power == 1 else [s**power for s in spectra]

    def hann(part: torch.Tensor) -> torch.Tensor:
        return hann_magnitude(part, SPECTRA_HZ)

    def hann_power(part: torch.Tensor) -> torch.Tensor:
        return hann_magnitude(part, SPECTRA_HZ, 64.0, 32.0, power=2 / 3)

    return {
        "stft_16_8_ms_hamming": {
            "librosa": lambda: of_librosa(256, 128, "hamming", 128, scale, 1),
            "torch": lambda: in_batches(stacked, batch, lambda part: stft_magnitude(part, SPECTRA_HZ)),
        },
        "stft_20_10_ms_hann": {
            "librosa": lambda: of_librosa(320, 160, "hann", 161, np.float32(1), 1),
            "torch": lambda: in_batches(stacked, batch, hann),
        },
        "stft_64_32_ms_hann_power_2_3": {
            "librosa": lambda: of_librosa(1024, 512, "hann", 513, np.float32(1), 2 / 3),
            "torch": lambda: in_batches(stacked, batch, hann_power),
        },
    }


def cepstral_forms(waveforms: list[np.ndarray], rate: int) -> Forms:
    """Tuning estimated from each recording in the first two, 0 for all in the last (other chroma values)."""
    return {
        "librosa": lambda: [mfcc_chroma(w, rate) for w in waveforms],
        "torch": lambda: mfcc_chroma_batch(waveforms, rate),
        "torch_tuning_0": lambda: mfcc_chroma_batch(waveforms, rate, tuning=0.0),
    }


def measure(case: str, forms: Forms, rounds: int) -> list[dict]:
    """One row a form beside librosa: recordings a second of both, the ratio's median and quartiles, the largest difference.

    Args:
        case: name of what is computed.
        forms: the first is librosa's.
        rounds: how often every form is timed.

    Returns:
        Rows `case, form, librosa_per_s, form_per_s, ratio, ratio_low, ratio_high, agree, largest_difference`: recordings within AGREE of
        librosa's, and the largest difference among these, as a share of the largest value of its bin or coefficient.
    """
    first, *others = forms
    results = {name: form() for name, form in forms.items()}  # also prepares what is prepared once
    seconds: dict[str, list[float]] = {name: [] for name in forms}
    for number in range(rounds):
        for name in random.Random(number).sample(list(forms), len(forms)):
            started = time.process_time()
            forms[name]()
            seconds[name].append(time.process_time() - started)
    rows = []
    for name in others:
        low, middle, high = np.percentile(np.array(seconds[first]) / np.array(seconds[name]), [25, 50, 75])
        largest = np.max([np.abs(a).max(axis=0) for a in results[first]], axis=0)
        gaps = np.array([(np.abs(a - b) / largest).max() for a, b in zip(results[name], results[first], strict=True)])
        agree = gaps <= AGREE
        rows.append(
            {
                "case": case,
                "form": name,
                "librosa_per_s": round(len(results[first]) / float(np.median(seconds[first])), 1),
                "form_per_s": round(len(results[first]) / float(np.median(seconds[name])), 1),
                "ratio": round(middle, 2),
                "ratio_low": round(low, 2),
                "ratio_high": round(high, 2),
                "agree": int(agree.sum()),
                "largest_difference": float(f"{gaps[agree].max(initial=0):.1e}"),
            }
        )
    return rows


def main() -> None:
    """Print a table, or one JSON line a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, help="folder with real recordings of one rate; without it, the embedded corpus")
    parser.add_argument("--clips", type=int, default=48, help="recordings")
    parser.add_argument("--batch", type=int, default=4, help="4-s clips a batch of the spectra")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", action="store_true", help="one JSON line a row")
    options = parser.parse_args()
    torch.set_num_threads(1)
    waveforms, rate = recordings(options.corpus, options.clips)
    cases = {**spectrum_forms(waveforms, options.batch), f"mfcc_chroma_{rate}_hz": cepstral_forms(waveforms, rate)}
    if not options.json:
        print(f"{len(waveforms)} recordings, {options.rounds} rounds, torch {torch.__version__}, load {os.getloadavg()[0]:.1f}")
        print(f"{'case':30}{'form':16}{'librosa/s':>10}{'form/s':>9}{'ratio':>7}  quartiles    agree  largest difference")
    for case, forms in cases.items():
        for row in measure(case, forms, options.rounds):
            if options.json:
                print(json.dumps(row), flush=True)
                continue
            gap = f"{row['agree']:5d}  {row['largest_difference']:.0e}"
            speeds = f"{row['librosa_per_s']:10.0f}{row['form_per_s']:9.0f}{row['ratio']:7.2f}"
            print(f"{case:30}{row['form']:16}{speeds}  {row['ratio_low']:.2f} - {row['ratio_high']:.2f}  {gap}", flush=True)


if __name__ == "__main__":
    main()
