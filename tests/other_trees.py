"""Tiny folders in the layout of the releases of the corpora of other tasks: a few files of each kind, with short noise in them."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.corpus_trees import write_sound

GRID = """File type = "ooTextFile"
item [1]:
    class = "IntervalTier"
    name = "words"
    xmin = 0
    xmax = 0.1
    intervals: size = 3
    intervals [1]:
        xmin = 0
        xmax = 0.02
        text = ""
    intervals [2]:
        xmin = 0.02
        xmax = 0.05
        text = "GO"
    intervals [3]:
        xmin = 0.05
        xmax = 0.1
        text = "there"
item [2]:
    class = "IntervalTier"
    name = "phones"
    intervals: size = 1
    intervals [1]:
        xmin = 0.02
        xmax = 0.1
        text = "G"
"""


def _sounds(root: Path, paths: list[str], rate_hz: int = 16000) -> Path:
    for seed, path in enumerate(paths):
        write_sound(root / path, seed, rate_hz)
    return root


def fsdd(root: Path) -> Path:
    return _sounds(root, [f"recordings/{d}_{who}_{n}.wav" for d in (0, 7) for who in ("theo", "lucas") for n in (4, 5)], 8000)


def speech_commands(root: Path) -> Path:
    names = [f"{word}/{who}_nohash_{n}.wav" for word in ("cat", "six", "yes") for who in ("00176480", "004ae714") for n in (0, 1)]
    _sounds(root, [*names, "_background_noise_/pink_noise.wav"])
    (root / "validation_list.txt").write_text("cat/00176480_nohash_0.wav\n")
    (root / "testing_list.txt").write_text("six/004ae714_nohash_1.wav\n")
    return root


def esc50(root: Path) -> Path:
    return _sounds(root, ["audio/1-100032-A-0.wav", "audio/1-100032-B-0.wav", "audio/5-9032-A-49.wav"], 44100)


def esc10(root: Path) -> Path:
    paths = ["001 - Dog bark/1-100032-A.ogg", "010 - Fire crackling/2-4-A.ogg", "010 - Fire crackling/2-4-B.wav"]
    return _sounds(root, paths, 44100)


def ms_snsd(root: Path) -> Path:
    noises = ["noise_train/Babble_1.wav", "noise_test/Babble_1.wav", "noise_test/Neighbor_4.wav", "noise_train/AirConditioner_10.wav"]
    return _sounds(root, [*noises, "clean_train/p234_001.wav"])


def nsynth(root: Path) -> Path:
    notes = ["nsynth-test/audio/bass_electronic_018-022-100.wav", "nsynth-test/audio/synth_lead_synthetic_000-060-127.wav"]
    return _sounds(root, [*notes, "nsynth-train/audio/guitar_acoustic_001-082-050.wav"])


def good_sounds(root: Path) -> Path:
    classes = ["good-sound", "bad-richness", "bad-attack", "bad-pitch-stability-vibrato", "scale-good", None]
    sounds = {n: {"id": n, "klass": k, "instrument": "flute", "player": f"p{n % 2}", "pack_id": 1} for n, k in enumerate(classes, 1)}
    takes = {
        10 * n + m: {"id": 10 * n + m, "sound_id": n, "filename": f"sound_files/flute_p{n % 2}_x/{mic}/{n:04d}.wav", "microphone": mic}
        for n in sounds
        for m, mic in enumerate(("akg", "neumann"))
    }
    _sounds(root, [f"good-sounds/{take['filename']}" for take in takes.values()], 48000)
    (root / "sounds.json").write_text(json.dumps(sounds))
    (root / "takes.json").write_text(json.dumps(takes))
    return root


def omg_empathy(root: Path) -> Path:
    names = [
        "Training/Audio/Subject_1_Story_2.mp4.wav",
        "Training/Audio/Subject_2_Story_2.mp4.wav",
        "Validation/Audio/Subject_10_Story_1.wav",
    ]
    for n, name in enumerate(names):
        csv = root / name.replace("Audio", "Annotations").replace(".mp4.wav", ".csv").replace(".wav", ".csv")
        csv.parent.mkdir(parents=True, exist_ok=True)
        csv.write_text("valence\n" + "".join(f"{0.1 * n:.6f}\n" for _ in range(25)))
    return _sounds(root, names)


def omg_emotion(root: Path) -> Path:
    head = "link,start,end,video,utterance,arousal,valence,EmotionMaxVote\n"
    row = "https://www.youtube.com/watch?v={film},0.0,1.5,{video},utterance_{n}.mp4,{arousal},{valence},{code}\n"
    train = [
        ("WBTNlgEDKUs", "119334435_1", 22, 0.5, -0.1, 2),
        ("WBTNlgEDKUs", "119334435_2", 26, 0.2, -0.4, 5),
        ("x-_1", "a30_1", 7, 0.9, 0.3, 3),
    ]
    fields = ("film", "video", "n", "arousal", "valence", "code")
    root.mkdir(parents=True, exist_ok=True)
    (root / "omg_TrainVideos.csv").write_text(head + "".join(row.format(**dict(zip(fields, v, strict=True))) for v in train))
    gone = "https://www.youtube.com/watch?v=gone,0,1,b1_1,utterance_1.mp4,0.1,0.2,0\n"
    (root / "omg_ValidationVideos.csv").write_text(head.lower() + gone)
    return _sounds(root, ["train/119334435_1/utterance_22.wav", "train/119334435_2/utterance_26.mp4.wav", "train/a30_1/utterance_7.wav"])


def librispeech_words(root: Path) -> Path:
    """Two speakers, three utterances, aligned as SpeechVGG has it."""
    _sounds(root, [f"dev-clean/{s}/{c}/{s}-{c}-{n:04d}.flac" for s, c, n in ((84, 121123, 0), (84, 121123, 1), (174, 50561, 0))])
    (root / "word_labels").mkdir()
    lines = ["84-121123-0000 1 0.010 0.030 GO 1.000", "84-121123-0000 1 0.040 0.050 DO 1.000", "84-121123-0001 1 0.000 0.020 GO 1.000"]
    lines += ["174-50561-0000 1 0.020 0.050 YOU 1.000", "174-50561-0000 1 0.070 0.030 GO 0.900", "1-1-0000 1 0 1 ELSEWHERE 1.000"]
    (root / "word_labels/dev-clean-selected-1000.txt").write_text("\n".join(lines) + "\n")
    (root / "SPEAKERS.TXT").write_text("; comment\n84   | F | dev-clean | 8.0 | A B\n174  | M | dev-clean | 8.1 | C D\n")
    return root


def librispeech_grids(root: Path) -> Path:
    """The same, aligned by TextGrid files: one beside its recording, one in `alignments`."""
    _sounds(root, ["dev-clean/84/121123/84-121123-0000.flac", "dev-clean/174/50561/174-50561-0000.flac"])
    (root / "dev-clean/84/121123/84-121123-0000.TextGrid").write_text(GRID)
    (root / "alignments/dev-clean/174/50561").mkdir(parents=True)
    (root / "alignments/dev-clean/174/50561/174-50561-0000.TextGrid").write_text(GRID)
    return root


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes() + array.astype(np.uint8).tobytes()


def mnist(root: Path) -> Path:
    """Training files compressed, test files not: both are around."""
    root.mkdir(parents=True, exist_ok=True)
    pictures = np.random.default_rng(0).integers(0, 256, (5, 28, 28))
    for name, array in (("images-idx3", pictures[:3]), ("labels-idx1", np.array([5, 0, 4]))):
        (root / f"train-{name}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    for name, array in (("images-idx3", pictures[3:]), ("labels-idx1", np.array([7, 2]))):
        (root / f"t10k-{name}-ubyte").write_bytes(idx(array))
    return root


def cifar10(root: Path) -> Path:
    folder = root / "cifar-10-batches-bin"
    folder.mkdir(parents=True)
    records = np.random.default_rng(0).integers(0, 256, (3, 3073)).astype(np.uint8)
    records[:, 0] = (6, 9, 0)
    (folder / "data_batch_1.bin").write_bytes(records[:2].tobytes())
    (folder / "test_batch.bin").write_bytes(records[2:].tobytes())
    return root


#: Corpus -> what writes a tiny copy of it. `speech_commands_digits` reads the folder of `speech_commands`.
TREES: dict[str, Callable[[Path], Path]] = {
    "fsdd": fsdd, "speech_commands": speech_commands, "speech_commands_digits": speech_commands, "esc50": esc50, "esc10": esc10,
    "ms_snsd": ms_snsd, "nsynth": nsynth, "good_sounds": good_sounds, "omg_empathy": omg_empathy, "omg_emotion": omg_emotion,
    "librispeech_words": librispeech_words, "mnist": mnist, "cifar10": cifar10,
}  # fmt: skip
