"""What trained networks say of a recording: emotion, class scores, a curve over windows, and whether it is unlike their training side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sercore.data.audio import samples_id
from sercore.errors import SercoreError, SpecError
from sercore.predict import novelty
from sercore.predict.novelty import Facts, Finding
from sercore.predict.recording import Recording, opened, windows
from sercore.predict.scoring import class_logits, class_scores, frames_for, segments_in
from sercore.predict.trained import Trained
from sercore.progress import bar

#: Length of the windows of the curve, in seconds (a little less than a sentence of the training corpora; networks that read segments have
#: their own length), and their hop as a share of it.
WINDOW_S, HOP_SHARE = 3.0, 1 / 3
#: Windows, or segments, heard at once: bounds the memory that a long recording takes.
_AT_ONCE = 64


@dataclass(frozen=True)
class Segment:
    """One window: `scores` are class probabilities in the order of the labels; `ratio` its distance over the limit (None: not known)."""

    start_s: float
    end_s: float
    emotion: str
    scores: tuple[float, ...]
    ratio: float | None


@dataclass(frozen=True)
class Answer:
    """What is said of one recording.

    Attributes:
        file: as it was named.
        duration_s, sample_rate_hz, level_dbfs: of the file.
        emotion: label with the largest score.
        scores: label -> probability, adding up to 1: softmax of the logits, averaged over the networks.
        method: `whole recording`, or `mean of N windows` for one longer than those trained on; of networks that read segments, `one
            segment of S s`, or `mean of N segments of S s`.
        agreeing: how many of the networks have `emotion` as their own answer.
        ratio: distance to the training side over its limit, the median of the networks (of the windows, in a long recording); None
            where the training statistics are not at hand.
        findings: the novelty checks that fired; a check of an ensemble fires where most networks' checks do.
        heard: side of the split -> folds that had this very recording.
        segments: the curve.
    """

    file: str
    duration_s: float
    sample_rate_hz: int
    level_dbfs: float
    emotion: str
    scores: dict[str, float]
    method: str
    agreeing: int
    ratio: float | None
    findings: list[Finding]
    heard: dict[str, list[int]]
    segments: list[Segment]

    @property
    def unlike(self) -> bool | None:
        """Did a novelty check fire; None where none could be made."""
        return None if self.ratio is None else bool(self.findings)


@dataclass(frozen=True)
class _Heard:
    """Windows through all networks.

    Attributes:
        logits: shape (networks, windows, K).
        ratios: shape (networks, windows), or None.
        facts, counts: of each window: `novelty.Facts`; segments that it was cut into, 1 where networks read recordings whole.
    """

    logits: np.ndarray
    ratios: np.ndarray | None
    facts: list[Facts]
    counts: list[int]

    @property
    def probabilities(self) -> np.ndarray:
        """Shape (networks, windows, K)."""
        return class_scores(self.logits)


def predict(trained: Trained, path: Path, window_s: float | None = None, hop_s: float | None = None) -> Answer:
    """The answer for one recording.

    Up to `trained.whole_up_to_s` the networks hear the recording as a whole, exactly as in training. A longer one is unlike anything they
    were trained on, so its scores are the mean of those of its windows (all of one length), and its distance is the median of theirs.
    Each window is heard as a recording of its own. Memory does not grow with the duration.

    Networks that read segments cut every recording as in training: from its start, one segment after the other, zeros after the last
    sample. Their answer is the softmax of the mean of the segments' logits, for a long recording too, as the number of segments is no part
    of what they learnt; only its distance is that of its windows. A window is as long as a segment, so that it is one of them without
    filling; a longer one that is asked for is cut into segments, a shorter one is filled up with zeros, as recordings are.

    Args:
        trained: of `sercore.predict.trained.find`.
        path: a sound file; channels are averaged, other sampling rates brought to that of the training corpus.
        window_s, hop_s: of the curve, in seconds; None takes 3 s, or a segment (or the longest training recording, where that is less),
            and a third of it.

    Returns:
        The answer; with one segment where the recording is shorter than a window.

    Raises:
        SpecError: the window or hop is not positive, the hop is longer than the window, or the window than the longest training recording.
        CorpusError: the file cannot be read whole (names it).
    """
    window_s, hop_s = _window(trained, window_s, hop_s)
    recording = opened(path)
    spans = windows(recording.duration_s, window_s, hop_s)
    as_whole = recording.duration_s <= trained.whole_up_to_s
    whole = _hear(trained, [recording.samples()], recording.sample_rate_hz) if as_whole else None
    curve = whole if whole and len(spans) == 1 else _heard_in_parts(trained, recording, spans, _AT_ONCE)
    each, method = _each_network(trained, recording, whole, curve)
    return _answer(trained, recording, whole or curve, as_whole, each, method, _segments(trained, spans, curve))


def _window(trained: Trained, window_s: float | None, hop_s: float | None) -> tuple[float, float]:
    window = min(trained.segment_s or WINDOW_S, trained.whole_up_to_s) if window_s is None else window_s
    hop = window * HOP_SHARE if hop_s is None else hop_s
    if not 0 < hop <= window:
        raise SpecError(f"a window of {window:g} s with a hop of {hop:g} s: both must be above 0, and the hop at most the window")
    if window > trained.whole_up_to_s:
        raise SpecError(f"a window of {window:g} s is longer than any training recording: at most {trained.whole_up_to_s:.1f} s")
    return window, hop


def predict_files(
    trained: Trained, paths: Sequence[Path], window_s: float | None = None, hop_s: float | None = None, progress: bool = False
) -> Iterator[Answer | tuple[Path, str]]:
    """Answers for many recordings, one after the other; a bad file yields `(path, what is wrong)` and the rest are still done.

    Arguments and errors about the windows as `predict`; `progress` shows a bar.
    """
    for path in bar(paths, label="recordings", unit="recording") if progress else paths:
        try:
            yield predict(trained, path, window_s, hop_s)
        except SpecError:
            raise
        except SercoreError as error:
            yield path, str(error)


def _heard_in_parts(trained: Trained, recording: Recording, spans: Sequence[tuple[float, float]], at_once: int) -> _Heard:
    chunks = [spans[i : i + at_once] for i in range(0, len(spans), at_once)]
    parts = [_hear(trained, [recording.samples(start, end) for start, end in some], recording.sample_rate_hz) for some in chunks]
    ratios = None if parts[0].ratios is None else np.concatenate([p.ratios for p in parts if p.ratios is not None], axis=1)
    logits = np.concatenate([p.logits for p in parts], axis=1)
    return _Heard(logits, ratios, [f for p in parts for f in p.facts], [n for p in parts for n in p.counts])


def _each_network(trained: Trained, recording: Recording, whole: _Heard | None, curve: _Heard) -> tuple[np.ndarray, str]:
    """Class scores of each network, shape (networks, K), and how they came about."""
    if not trained.segment_s:
        words = "whole recording" if whole else f"mean of {len(curve.facts)} windows"
        return (whole or curve).probabilities.mean(axis=1), words
    heard = whole or _heard_in_parts(trained, recording, _stretches(trained, recording), 1)
    count = sum(heard.counts)
    words = f"mean of {count} segments" if count > 1 else "one segment"
    return class_scores(np.average(heard.logits, axis=1, weights=heard.counts)), f"{words} of {trained.segment_s:g} s"


def _stretches(trained: Trained, recording: Recording) -> list[tuple[float, float]]:
    """A long recording in parts of whole segments, one after the other, in seconds; no part is a sample longer than its segments."""
    rate, step = recording.sample_rate_hz, max(1, int(_AT_ONCE * trained.segment_s * recording.sample_rate_hz))
    return [(start / rate, min(start + step, recording.n_samples) / rate) for start in range(0, recording.n_samples, step)]


def judge(trained: Trained, frames: np.ndarray, facts: Facts) -> tuple[float | None, list[Finding]]:
    """The novelty check alone, without an answer.

    Args:
        trained: the networks, whose statistics are asked.
        frames: one recording's features, not normalised, shape (T, d).
        facts: of the recording.

    Returns:
        `(ratio, findings)` as in `Answer`.
    """
    sounding = frames[novelty.rows_of_sound(frames, trained.spec.features)]
    ratios = [n.familiar.ratio(n.normaliser.apply([sounding])[0]) for n in trained.networks if n.familiar]
    ratio = float(np.median(ratios)) if ratios else None
    return ratio, _findings(trained, facts, ratio)


def _hear(trained: Trained, waveforms: Sequence[np.ndarray], sample_rate_hz: int) -> _Heard:
    """Waveforms through the way of training: rate, features, normaliser, network."""
    features = trained.spec.features
    frames = [frames_for(trained, waveform, sample_rate_hz) for waveform in waveforms]
    sounding = [novelty.rows_of_sound(one, features) for one in frames]
    # one at a time where padding counts (variant `released`): an answer must not depend on its neighbours
    together = trained.spec.model.variant == "definition"
    logits, ratios = [], []
    for network in trained.networks:
        normalised = network.normaliser.apply(frames)
        logits.append(class_logits(network, normalised, features, together))
        if network.familiar:
            ratios.append([network.familiar.ratio(one[rows]) for one, rows in zip(normalised, sounding, strict=True)])
    facts = [novelty.facts(waveform, sample_rate_hz) for waveform in waveforms]
    return _Heard(np.stack(logits), np.array(ratios) if ratios else None, facts, [segments_in(one, features) for one in frames])


def _answer(
    trained: Trained, recording: Recording, heard: _Heard, as_whole: bool, each: np.ndarray, method: str, segments: list[Segment]
) -> Answer:
    scores = each.mean(axis=0)
    facts = heard.facts[0] if as_whole else novelty.merged(heard.facts, recording.duration_s)
    ratio = None if heard.ratios is None else float(np.median(np.median(heard.ratios, axis=1)))
    sides: dict[str, list[int]] = {}
    if as_whole and trained.heard:
        sides = trained.sides_of(samples_id(recording.samples(), recording.sample_rate_hz))
    return Answer(
        file=str(recording.path),
        duration_s=recording.duration_s,
        sample_rate_hz=recording.sample_rate_hz,
        level_dbfs=facts.level_dbfs,
        emotion=trained.labels[int(scores.argmax())],
        scores=dict(zip(trained.labels, scores.tolist(), strict=True)),
        method=method,
        agreeing=int((each.argmax(axis=1) == scores.argmax()).sum()),
        ratio=ratio,
        findings=_findings(trained, facts, ratio),
        heard=sides,
        segments=segments,
    )


def _findings(trained: Trained, facts: Facts, ratio: float | None) -> list[Finding]:
    """What most networks' checks find; the words are those of the first network that says so."""
    if ratio is None:
        return []
    said = [finding for network in trained.networks if network.familiar for finding in network.familiar.plain_findings(facts)]
    names = [finding.check for finding in said]
    most = [name for name in dict.fromkeys(names) if 2 * names.count(name) > len(trained.networks)]
    return [said[names.index(name)] for name in most] + novelty.spectrum_finding(ratio)


def _segments(trained: Trained, spans: Sequence[tuple[float, float]], curve: _Heard) -> list[Segment]:
    scores = curve.probabilities.mean(axis=0)  # windows x K
    ratios = [None] * len(spans) if curve.ratios is None else np.median(curve.ratios, axis=0).tolist()
    return [
        Segment(start, end, trained.labels[int(row.argmax())], tuple(row.tolist()), ratio)
        for (start, end), row, ratio in zip(spans, scores, ratios, strict=True)
    ]
