"""Segments of one length from recordings of any: forward in time, or as the authors' code of the thesis cuts them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch.nn.functional import pad

from sercore.features.stft import stft_magnitude
from sercore.spec import Variant


def cut_forward(samples: np.ndarray, segment: int, step: int | None = None) -> np.ndarray:
    """Segments from the start to the end of a waveform; every sample is in one, and zeros follow the last sample.

    Args:
        samples: mono waveform, shape (N,), in [-1, 1].
        segment: length in samples.
        step: from segment to segment, in samples, at most `segment`; None takes `segment` (no overlap).

    Returns:
        Shape (S, segment), of the type given; S = 1 + ceil(max(N - segment, 0) / step).

    Raises:
        ValueError: not (N,) with a sample in it, or a segment or step that does not fit.

    Example:
        >>> cut_forward(np.arange(1, 6), 2).tolist()
        [[1, 2], [3, 4], [5, 0]]
    """
    step = segment if step is None else step
    if samples.ndim != 1 or samples.size == 0:
        raise ValueError(f"need a mono waveform of shape (N,), got {samples.shape}")
    if not 1 <= step <= segment:
        raise ValueError(f"segments of {segment} samples every {step}: both must be at least 1, and the step at most the segment")
    count = 1 + -(-max(len(samples) - segment, 0) // step)
    whole = np.pad(samples, (0, (count - 1) * step + segment - len(samples)))
    return np.lib.stride_tricks.sliding_window_view(whole, segment)[::step].copy()


def released_starts(rows: int, segment: int, step: int | None = None, tail_beyond: float = 2.0) -> list[int]:
    """Where the authors' code of the thesis cuts a time-reversed matrix.

    From row 0, the end of the recording, in whole steps; what is left over is the beginning of the recording. It is dropped, unless the
    recording is longer than `tail_beyond` segments: then its first rows in time make one more segment, which overlaps.

    Args:
        rows: frames of the recording, at least `segment`.
        segment: frames of a segment.
        step: frames from segment to segment; None takes `segment`. Half of it for IEMOCAP in ch. 4.
        tail_beyond: in segments: 2 in ch. 5 to 7; 1.5 in ch. 4.

    Returns:
        First rows, ascending; an exact fit adds no tail.

    Raises:
        ValueError: fewer rows than a segment has.

    Example:
        >>> released_starts(999, 501), released_starts(1100, 501)
        ([0], [0, 501, 599])
    """
    if rows < segment:
        raise ValueError(f"{rows} frames are fewer than a segment of {segment}: pad the recording first")
    starts = list(range(0, rows - segment + 1, segment if step is None else step))
    if rows > tail_beyond * segment and starts[-1] < rows - segment:
        starts.append(rows - segment)
    return starts


def segment_magnitudes(
    samples: np.ndarray, sample_rate_hz: int, segment_s: float = 4.0, *, frames: int | None = 512, variant: Variant = "definition"
) -> np.ndarray:
    """STFT magnitudes of a recording in segments: what anti-transfer, RH-emo and the quaternion networks see (thesis ch. 5 to 7).

    Each segment is `stft_magnitude` with the papers' 16 / 8 ms, without the Nyquist bin, zero rows added at the end up to `frames`.
    `definition`: the waveform is cut forward in time, zeros after its last sample, and each segment is transformed by itself.
    `released`: a recording that is shorter than a segment is padded with zeros at its end; a longer one is transformed whole; the matrix is
    time-reversed (row 0 is the last frame) and cut by `released_starts`, so that of 4 to 8 s only the last 4 s are kept.

    Args:
        samples: mono waveform, shape (N,), float in [-1, 1].
        sample_rate_hz: in hertz; the papers take 16000.
        segment_s: in seconds; 4 in the papers, 1 for one-second words.
        frames: rows of each result; None leaves those of the segment (501 for 4 s at 16 kHz, 126 for 1 s).
        variant: `definition` or `released`.

    Returns:
        Shape (S, frames, F), float32, >= 0; (S, 512, 128) with the defaults at 16 kHz.

    Raises:
        ValueError: not (N,) with a finite sample in it, a segment below one sample, or more frames in a segment than `frames`.

    Differs from the paper: `definition` in nothing that it states; the papers say 4-s segments and not which part of a recording is kept.
    `released` follows the authors' code. The steps are counted in frames of a whole segment (501 for 4 s).

    Example:
        >>> segment_magnitudes(np.ones(16000 * 7, dtype="float32"), 16000).shape
        (2, 512, 128)
        >>> segment_magnitudes(np.ones(16000 * 7, dtype="float32"), 16000, variant="released").shape
        (1, 512, 128)
    """
    samples = np.asarray(samples, dtype=np.float32)
    if samples.ndim == 1 and not np.isfinite(samples).all():
        raise ValueError(f"sample {int(np.argmin(np.isfinite(samples)))} is not finite")
    segment = round(segment_s * sample_rate_hz)
    cut = cut_forward(samples, segment)
    if variant == "definition":
        return stft_magnitude(torch.from_numpy(cut), sample_rate_hz, frames=frames).numpy()
    rows = stft_magnitude(torch.zeros(1, segment), sample_rate_hz).shape[1]
    whole = cut if len(cut) == 1 else samples[None]
    backward = stft_magnitude(torch.from_numpy(whole), sample_rate_hz)[0].flip(0)
    pieces = torch.stack([backward[i : i + rows] for i in released_starts(len(backward), rows)])
    if frames is None:
        return pieces.numpy()
    if rows > frames:
        raise ValueError(f"{rows} frames of a segment do not fit into {frames}: take shorter segments")
    return pad(pieces, (0, 0, 0, frames - rows)).numpy()


def pad_to_longest(frames: Sequence[np.ndarray], variant: Variant = "definition", length: int | None = None) -> np.ndarray:
    """Recordings of one corpus as one array, zeros after the last frame of each (thesis ch. 4: padded to the longest).

    Args:
        frames: one array an item, shape (T_i, F), float32.
        variant: `released` reverses time after padding, as the authors' code does: zeros first, then the last frame.
        length: T in frames; None takes the longest item given. The longest of a whole corpus is known without a label and may be given
            for every side alike.

    Returns:
        Shape (B, T, F), of the type given.

    Raises:
        ValueError: no item is given, or one is longer than `length`.
    """
    if not frames:
        raise ValueError("no item to pad")
    longest = max(len(f) for f in frames)
    length = longest if length is None else length
    if longest > length:
        raise ValueError(f"an item of {longest} frames does not fit into {length}")
    batch = np.stack([np.pad(f, ((0, length - len(f)), (0, 0))) for f in frames])
    return batch[:, ::-1].copy() if variant == "released" else batch
