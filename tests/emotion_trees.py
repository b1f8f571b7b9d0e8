"""Folders in the layout of the releases of the emotional corpora: every name of the release, or some of each kind, and the label files.

The names are made by rule. Where a release has real words or takes of its own (TESS, MESD, IEMOCAP), others stand for them; counts, codes
and folders are the release's. Files are empty unless a test writes sound into them.
"""

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from sercore.data.card import load_card

#: Label of the release -> turns, and so the label files of `iemocap`.
IEMOCAP = {
    "neu": 1708, "fru": 1849, "ang": 1103, "sad": 1084, "exc": 1041, "hap": 595, "sur": 107, "fea": 40, "oth": 3, "dis": 2, "xxx": 2507,
}  # fmt: skip
FOLDER_OF = {
    "angry": "angry", "disgust": "disgust", "fear": "Fear", "happy": "happy", "neutral": "neutral", "ps": "Pleasant_surprise", "sad": "Sad",
}  # fmt: skip


def tess() -> Iterator[str]:
    words = [a + b + c for a, b, c in product("bdfgklmnrs", "aeio", "dgklt")]
    for speaker, emotion, word in product(("OAF", "YAF"), load_card("tess").label_map, words):
        slip = (speaker, emotion, word) == ("OAF", "neutral", "bad")
        yield f"{speaker}_{FOLDER_OF[emotion]}/" + ("OA_bite_neutral" if slip else f"{speaker}_{word}_{emotion}")


def savee() -> Iterator[str]:
    for speaker, emotion in product(("DC", "JE", "JK", "KL"), load_card("savee").label_map):
        yield from (f"AudioData/{speaker}/{emotion}{n:02d}" for n in range(1, 31 if emotion == "n" else 16))


def emovo() -> Iterator[str]:
    yield from load_card("emovo").expected_names()


def mesd() -> Iterator[str]:
    for emotion, voice in product(load_card("mesd").label_map, "FMC"):
        yield from (f"{emotion}_{voice}_A_{word}" for word in ("basta_ya", *(f"palabra{c}" for c in "abcdefghijklmnopqrstuvw")))
        yield from (f"{emotion}_{voice}_B_{emotion.lower()}{c}" for c in "abcdefghijklmnopqrstuvwx")


def esd() -> Iterator[str]:
    for speaker, (start, emotion) in product(load_card("esd").speakers, enumerate(("Neutral", "Angry", "Happy", "Sad", "Surprise"))):
        yield from (f"{speaker}/{emotion}/{speaker}_{350 * start + n:06d}" for n in range(1, 351))


def cremad() -> Iterator[str]:
    """The 91 full sets less twenty clips: five neutral, three of each other emotion. Which ones the release lacks is not known."""
    sentences = ("IEO", "TIE", "IOM", "IWW", "TAI", "MTI", "IWL", "ITH", "DFA", "ITS", "TSI", "WSI")
    lacking = {f"AudioWAV/10{n}_TIE_NEU_XX" for n in range(11, 16)}
    lacking |= {f"AudioWAV/10{n}_TIE_{e}_XX" for n in range(11, 14) for e in ("HAP", "SAD", "ANG", "FEA", "DIS")}
    for actor, sentence, emotion in product(load_card("cremad").speakers, sentences, load_card("cremad").label_map):
        for level in ("LO", "MD", "HI") if sentence == "IEO" and emotion != "NEU" else ("XX",):
            name = f"AudioWAV/{actor}_{sentence}_{emotion}_{level}"
            if name not in lacking:
                yield name.replace("1040_ITH_SAD_XX", "1040_ITH_SAD_X")


def iemocap_turns() -> Iterator[tuple[str, str, str]]:
    """Session, turn and label; turns go round sessions, dialogues and speakers."""
    labels = [label for label, count in IEMOCAP.items() for _ in range(count)]
    for n, label in enumerate(labels):
        session, marked, kind, who = n % 5 + 1, "FM"[n // 5 % 2], ("impro0", "script0")[n // 10 % 2], "FM"[n // 20 % 2]
        yield f"Session{session}", f"Ses0{session}{marked}_{kind}{n // 40 % 8 + 1}_{who}{n // 320:03d}", label


def iemocap() -> Iterator[str]:
    for session, turn, _ in iemocap_turns():
        yield f"{session}/sentences/wav/{turn.rpartition('_')[0]}/{turn}"


NAMES: dict[str, Callable[[], Iterator[str]]] = {
    "tess": tess, "savee": savee, "emovo": emovo, "mesd": mesd, "esd": esd, "cremad": cremad,
    "iemocap": iemocap, "iemocap_4": iemocap, "iemocap_4_excited": iemocap,
}  # fmt: skip


def label_files(root: Path) -> None:
    """IEMOCAP's label files and transcripts, with lines of single listeners in between, as in the release."""
    labels: dict[Path, list[str]] = {}
    said: dict[Path, list[str]] = {}
    for n, (session, turn, label) in enumerate(iemocap_turns()):
        dialog = f"{turn.rpartition('_')[0]}.txt"
        scores = f"[{1 + n % 9 / 2:.4f}, {1 + n % 8 / 2:.4f}, {1 + n % 7 / 2:.4f}]"
        lines = labels.setdefault(
            root / session / "dialog/EmoEvaluation" / dialog, ["% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]", ""]
        )
        lines += [f"[{n}.2901 - {n + 1}.2357]\t{turn}\t{label}\t{scores}", "C-E2:\tNeutral;\t()", "A-E3:\tval 3; act 2; dom  2;\t()", ""]
        said.setdefault(root / session / "dialog/transcriptions" / dialog, []).append(f"{turn} [{n:03d}.2901-{n + 1:03d}.2357]: Line {n}.")
    for path, lines in (labels | said).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join(lines) + "\n", encoding="latin-1")


def transcripts(root: Path, encodings: tuple[str, ...] = ("utf-8", "utf-16", "gb18030")) -> None:
    """ESD's transcripts, each speaker's in another encoding."""
    for n, speaker in enumerate(load_card("esd").speakers):
        said = "打远一看，" if n < 10 else "The nine the eggs, I keep."
        text = "".join(f"{speaker}_{k:06d}\t{said}\t中立\n" for k in (1, 351, 701))
        (root / speaker).mkdir(parents=True, exist_ok=True)
        (root / speaker / f"{speaker}.txt").write_bytes(text.encode(encodings[n % len(encodings)]))


def stand_up(corpus: str, root: Path, every: int = 1, ending: str = ".wav") -> Path:
    """A folder with every file of the release, or every so-manieth, all empty, and its label files."""
    for name in list(NAMES[corpus]())[::every]:
        path = root / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    if corpus.startswith("iemocap"):
        label_files(root)
    if corpus == "esd":
        transcripts(root)
    return root
