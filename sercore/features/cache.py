"""Frame features of a whole corpus, kept on disk so that they are computed once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import joblib
import numpy as np
import torch

from sercore.data.audio import resample
from sercore.data.corpora import Corpus
from sercore.errors import CorpusError
from sercore.features import cepstral, stft
from sercore.features.segments import cut_forward
from sercore.progress import bar
from sercore.spec import FeatureSpec, digest, store_folder
from sercore.writing import beside

#: Items a shard: the most that an interrupted extraction computes again.
SHARD_ITEMS = 256
REVISIONS = {"mfcc_chroma": cepstral.REVISION, "stft": stft.REVISION, "hann_stft": stft.REVISION}


def frames_of(samples: np.ndarray, sample_rate_hz: int, spec: FeatureSpec) -> np.ndarray:
    """Features of one waveform, the same for a corpus and for a recording from elsewhere.

    Args:
        samples: mono, shape (N,), float32 in [-1, 1].
        sample_rate_hz: in hertz.
        spec: what to compute.

    Returns:
        Shape (T, d), float32; segments follow each other, `segment_frames` rows each (`segments_of` parts them).

    Raises:
        ValueError: the waveform is not mono, is empty, is longer than `pad_to_s`, or holds a value that is not finite.
    """
    if spec.sample_rate_hz and spec.sample_rate_hz != sample_rate_hz:
        samples, sample_rate_hz = resample(samples, sample_rate_hz, spec.sample_rate_hz), spec.sample_rate_hz
    if spec.pad_to_s:
        wanted = round(spec.pad_to_s * sample_rate_hz)
        if len(samples) > wanted:
            raise ValueError(
                f"lasts {len(samples) / sample_rate_hz:.2f} s, longer than pad_to_s {spec.pad_to_s:g}: raise it, or cut the recording"
            )
        samples = np.pad(samples, (0, wanted - len(samples)))
    if spec.kind == "hann_stft":
        return stft.hann_magnitude(torch.from_numpy(samples)[None], sample_rate_hz, spec.window_ms, spec.hop_ms, power=spec.power)[
            0
        ].numpy()
    if spec.segment_s:
        pieces = torch.from_numpy(cut_forward(samples, round(spec.segment_s * sample_rate_hz)))
        spectra = stft.stft_magnitude(pieces, sample_rate_hz, spec.window_ms, spec.hop_ms, frames=spec.segment_frames)
        return spectra.flatten(0, 1).numpy()
    if spec.kind == "stft":
        return stft.stft_magnitude(torch.from_numpy(samples)[None], sample_rate_hz, spec.window_ms, spec.hop_ms)[0].numpy()
    return cepstral.mfcc_chroma(samples, sample_rate_hz, spec)


def segments_of(frames: np.ndarray, spec: FeatureSpec) -> list[np.ndarray]:
    """The segments of a recording's features, or the recording as the only one.

    Args:
        frames: of `frames_of`, shape (T, d).
        spec: what they were computed with.

    Returns:
        Arrays of shape (segment_frames, d), views.
    """
    return [frames] if not spec.segment_frames else list(frames.reshape(-1, spec.segment_frames, frames.shape[1]))


def _frames(corpus: Corpus, item: Mapping, spec: FeatureSpec) -> np.ndarray:
    try:
        return frames_of(*corpus.waveform(item), spec)
    except ValueError as error:
        raise CorpusError(f"{corpus.name}: {item['path'] or item['item_id']}: {error}") from error


def corpus_features(corpus: Corpus, spec: FeatureSpec, jobs: int = 1) -> dict[str, np.ndarray]:
    """Features of every item, from the cache where it has them.

    The key is the corpus fingerprint, the feature settings and the feature REVISION; the cache is written in shards beside and moved
    into place, so an interrupted extraction goes on where it stopped.

    Args:
        corpus: with audio ids filled.
        spec: what to compute.
        jobs: worker processes; -1 takes every core.

    Returns:
        item_id -> frames, shape (T_i, d), float32.

    Raises:
        CorpusError: a recording cannot be decoded, or audio ids are not filled.
    """
    key = digest([corpus.fingerprint(), spec.model_dump(mode="json"), REVISIONS[spec.kind]])
    folder = store_folder() / "cache" / "features" / f"{corpus.name}-{spec.kind}-{key}"
    rows = corpus.items.to_dict("records")
    shards = [rows[i : i + SHARD_ITEMS] for i in range(0, len(rows), SHARD_ITEMS)]
    files = [folder / f"{i:05d}.npz" for i in range(len(shards))]
    missing = [i for i, file in enumerate(files) if not file.exists()]
    if missing:
        total = sum(len(shards[i]) for i in missing)
        with bar(total=total, label=f"features of {corpus.name}") as shown, joblib.Parallel(n_jobs=jobs, return_as="generator") as parallel:
            for i in missing:
                frames = []
                for value in parallel(joblib.delayed(_frames)(corpus, row, spec) for row in shards[i]):
                    frames.append(value)
                    shown.update()
                _write(files[i], frames)
    found: dict[str, np.ndarray] = {}
    for shard, file in zip(shards, files, strict=True):
        with np.load(file, allow_pickle=False) as arrays:
            parts = np.split(arrays["frames"], np.cumsum(arrays["lengths"])[:-1])
        found |= {row["item_id"]: part for row, part in zip(shard, parts, strict=True)}
    return found


def _write(path: Path, frames: list[np.ndarray]) -> None:
    with beside(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, frames=np.concatenate(frames), lengths=np.array([len(f) for f in frames]))
