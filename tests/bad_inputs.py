"""Bad input, case by case: what is wrong, the command, and the one line that it prints.

    python -m tests.bad_inputs            prints the table
    python -m tests.bad_inputs --write    puts it into book/when_something_is_wrong.md

Every row is made by doing it: a tiny corpus folder with the names of a real release is damaged, and the real command line runs on it.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from typer.testing import CliRunner

from tests.corpus_trees import write_tree
from tests.toy_book import build, start_build, write_toy_book

PAGE = Path(__file__).resolve().parents[1] / "book" / "when_something_is_wrong.md"
BEGIN, END = "<!-- bad inputs: begin -->", "<!-- bad inputs: end -->"
BASELINE = "data: {corpus: emodb}\nsplit: {scheme: pairs_5, fold: 2}\nmodel: {name: majority_class}\n"
NETWORK = "data: {corpus: emodb}\nsplit: {scheme: pairs_5, fold: 2}\nmodel: {name: lstm_sa_h32}\ntraining: {epochs: 4}\n"
#: Runs the command line after a hook has been set by `hook`; arguments are those of `sercore`.
HOOKED = "import sys\nfrom sercore import experiment, train\nfrom sercore.__main__ import app\n{hook}\napp(sys.argv[1:])\n"
#: After the second epoch of a run something takes all the room that is left.
FILL = """
import os
original, saved = train._save, []
def save(*arguments):
    original(*arguments)
    saved.append(1)
    if len(saved) == 2:
        with open(os.path.join(os.environ["SERCORE_STORE"], "ballast"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(65536))
            except OSError:
                pass
train._save = save
"""


@dataclass(frozen=True)
class Outcome:
    """What a command did.

    Attributes:
        command: as a user types it.
        lines: on standard error.
        code: exit code.
        kept: the recordings and the runs that were finished before are byte for byte what they were.
    """

    command: str
    lines: tuple[str, ...]
    code: int
    kept: bool = True


class Bench:
    """A folder with a whole tiny copy of EmoDB, a specification, and a store that holds one finished run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        write_tree("emodb", folder / "whole", seconds=0.1)
        (folder / "run.yml").write_text(BASELINE)
        (folder / "network.yml").write_text(NETWORK)
        (folder / "ravdess.yml").write_text(BASELINE.replace("emodb", "ravdess").replace("pairs_5", "luna_jimenez_5"))
        done = self.sercore("run", "run.yml", "--root", "emodb=whole", "--quiet")
        assert done.code == 0, done.lines

    def damaged(self, name: str, damage: Callable[[Path], object]) -> Path:
        """A copy of the corpus that costs no disk, with one thing wrong. The damage replaces files, it never writes into one."""
        copy = self.folder / name
        if not copy.exists():
            shutil.copytree(self.folder / "whole", copy, copy_function=os.link)
            damage(copy)
        return copy

    def sercore(self, *arguments: str, store: str = "store") -> Outcome:
        """The command line in this process, started in the bench's folder."""
        from sercore.__main__ import app

        with self._here(store):
            before = self.state()
            done = CliRunner().invoke(app, list(arguments))
            kept = before.items() <= self.state().items()
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        shown = " ".join(a for a in ("sercore", *arguments) if a != "--quiet")
        return Outcome(shown, self._clean(done.stderr), done.exit_code, kept)

    def hooked(self, hook: str, *arguments: str, store: str) -> Outcome:
        """The command line in a process of its own, with something done to it first."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SERCORE_")}
        environment |= {"SERCORE_STORE": store, "PYTHONPATH": str(PAGE.parents[1])}
        before = self.state()
        command = [sys.executable, "-W", "ignore", "-c", HOOKED.format(hook=hook), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, timeout=900)
        shown = " ".join(a for a in ("sercore", *arguments) if a != "--quiet")
        return Outcome(shown, self._clean(done.stderr), done.returncode, before.items() <= self.state().items())

    def chapter(self, root: Path) -> Outcome:
        """A chapter on a folder of recordings, through the runner of notebooks."""
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SERCORE_")}
        environment["SERCORE_STORE"] = str(self.folder / "store")
        runner = PAGE.parents[1] / "notebooks" / "run.py"
        arguments = ["reslstm_sa", "-p", "corpora", "emodb", "-p", "corpora_root", str(root), "-o", "out.ipynb"]
        before = self.state()
        done = subprocess.run(
            [sys.executable, str(runner), *arguments], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=900
        )
        kept = before.items() <= self.state().items() and not (self.folder / "out.ipynb").exists()
        command = f"python notebooks/run.py reslstm_sa -p corpora emodb -p corpora_root {root.name}"
        return Outcome(command, self._clean(done.stderr), done.returncode, kept)

    def state(self) -> dict[str, bytes | tuple[int, int]]:
        """Every byte of the finished runs; size and time of every recording."""
        runs = {str(p): p.read_bytes() for p in self.folder.glob("*/runs/*/*") if ".partial" not in p.parent.name}
        recordings = {p: p.stat() for p in self.folder.glob("*/*.wav")}
        return {**runs, **{str(path): (stat.st_size, stat.st_mtime_ns) for path, stat in recordings.items()}}

    @contextmanager
    def _here(self, store: str) -> Iterator[None]:
        before = {key: os.environ.pop(key) for key in list(os.environ) if key.startswith("SERCORE_")}
        os.environ["SERCORE_STORE"] = store
        try:
            with chdir(self.folder):
                yield
        finally:
            del os.environ["SERCORE_STORE"]
            os.environ.update(before)

    def _clean(self, text: str) -> tuple[str, ...]:
        """Lines without the bench's own folder, and without run ids and numbers of cells, which change with the code."""
        lines = (re.sub(r"\b[0-9a-f]{16}\b", "<run id>", line.replace(f"{self.folder}/", "")) for line in text.splitlines())
        return tuple(re.sub(r"code cell \d+", "code cell <n>", line) for line in lines)


@dataclass(frozen=True)
class Case:
    """One row: what is wrong, how to do it, what the line must name and which words of it are the mend."""

    what: str
    do: Callable[[Bench], Outcome]
    names: str
    mend: str
    code: int = 1


def _run_on(name: str, damage: Callable[[Path], object]) -> Callable[[Bench], Outcome]:
    def do(bench: Bench) -> Outcome:
        return bench.sercore("run", "run.yml", "--root", f"emodb={bench.damaged(name, damage).name}", "--quiet")

    return do


def _empty(root: Path) -> None:
    for path in root.iterdir():
        path.unlink()


def _remove(root: Path) -> None:
    (root / "03a01Fa.wav").unlink()


def _cut(root: Path) -> None:
    path = root / "03a01Fa.wav"
    half = path.read_bytes()[: path.stat().st_size // 2]
    path.unlink()
    path.write_bytes(half)


def _zero(root: Path) -> None:
    (root / "03a01Fa.wav").unlink()
    (root / "03a01Fa.wav").touch()


def _text(root: Path) -> None:
    (root / "03a01Fa.wav").unlink()
    (root / "03a01Fa.wav").write_text("<html>404 not found</html>")


def _nan(root: Path) -> None:
    (root / "03a01Fa.wav").unlink()
    soundfile.write(root / "03a01Fa.wav", np.array([0.1, 0.2, np.nan] + [0.0] * 2000), 16000, subtype="FLOAT")


def _other_corpus(bench: Bench) -> Outcome:
    return bench.sercore("run", "ravdess.yml", "--root", "ravdess=whole", "--quiet")


def _newer(bench: Bench) -> Outcome:
    if not (bench.folder / "newer").exists():
        shutil.copytree(bench.folder / "store", bench.folder / "newer")
        (record,) = (bench.folder / "newer").glob("runs/*/record.json")
        record.write_text(json.dumps({**json.loads(record.read_text()), "store_version": 99}))
    return bench.sercore("run", "run.yml", "--root", "emodb=whole", "--quiet", store="newer")


def _same_run_twice(bench: Bench) -> Outcome:
    from sercore.store import RunStore

    (name,) = (path.name for path in (bench.folder / "store/runs").iterdir() if path.is_dir() and not path.name.endswith(".partial"))
    with RunStore(bench.folder / "other").writing(name):
        return bench.sercore("run", "run.yml", "--root", "emodb=whole", "--quiet", store="other")


@contextmanager
def small_disk(folder: Path, size: str = "8m") -> Iterator[bool]:
    """A disk of its own for a store, where this process may mount one; False where not."""
    folder.mkdir(exist_ok=True)
    mounted = shutil.which("mount") and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True
    ).returncode  # fmt: skip
    try:
        yield bool(mounted)
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(folder)], check=True)


def full_disk(bench: Bench) -> Outcome:
    """A disk that fills up while a run is in its third epoch; needs the right to mount one."""
    with small_disk(bench.folder / "disk") as mounted:
        if not mounted:
            raise PermissionError("no small disk can be mounted here")
        return bench.hooked(FILL, "run", "network.yml", "--root", "emodb=whole", "--quiet", store="disk")


RUN_CASES = {
    "empty_folder": Case("a folder without recordings", _run_on("empty", _empty), "empty", "--root emodb=DIR"),
    "missing": Case(
        "a missing recording", _run_on("incomplete", _remove), "incomplete (03a01Fa", "restore what is missing"
    ),
    "truncated": Case("a truncated file", _run_on("truncated", _cut), "truncated/03a01Fa.wav", "replace it"),
    "zero_length": Case("a zero-length file", _run_on("zero_length", _zero), "zero_length/03a01Fa.wav", "replace it"),
    "not_audio": Case("a file that is no audio", _run_on("no_audio", _text), "no_audio/03a01Fa.wav", "replace it"),
    "nan": Case("NaN samples", _run_on("nan", _nan), "nan/03a01Fa.wav", "replace it"),
    "label": Case(
        "a label outside the map", _run_on("label", lambda root: (root / "03a01Fa.wav").rename(root / "03a01Xa.wav")),
        "label/03a01Xa.wav", "give it its name",
    ),
    "other_corpus": Case("a corpus under another's name", _other_corpus, "whole", "give --root emodb=whole"),
    "newer_store": Case("a run store from a newer version", _newer, "newer/runs/", "update sercore"),
    "run_twice": Case("the same run twice at once", _same_run_twice, "run ", "wait for it"),
}  # fmt: skip
DISK_CASES = {"full_disk": Case("a full disk in mid-run", full_disk, "disk/runs/", "free some space")}


def _chapter_cut(bench: Bench) -> Outcome:
    return bench.chapter(bench.damaged("truncated", _cut))


CHAPTER_CASES = {"chapter": Case("a truncated file, in a chapter", _chapter_cut, "truncated/03a01Fa.wav", "replace it")}


def _two_builds(bench: Bench) -> Outcome:
    root = _book(bench)
    lock = root / "store/cache/book.lock"
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = build(root)
    return Outcome("jupyter-book build book", bench._clean(done.stderr), done.returncode)


def _killed_build(bench: Bench) -> Outcome:
    """`kill -9` while pages are written; the outcome is that of the next build."""
    root = _book(bench)
    first, marker = start_build(root), root / "_build/html/.unfinished"
    while first.poll() is None and not marker.exists():
        time.sleep(0.02)
    first.kill()
    first.wait()
    page = root / "_build/html/index.html"
    page.write_text("<html>half a pa")
    done = build(root)
    lines = [line for line in done.stdout.splitlines() if line.startswith("pages:")]
    kept = "numbers judged" in page.read_text() and not marker.exists()
    return Outcome("kill -9 of a build, then jupyter-book build book", tuple(lines), done.returncode, kept)


def _book(bench: Bench) -> Path:
    return bench.folder / "book" if (bench.folder / "book").exists() else write_toy_book(bench.folder / "book")


BOOK_CASES = {
    "two_builds": Case("two builds at once", _two_builds, "book.lock", "wait for it"),
    "killed_build": Case("kill -9 in a build: the next one goes through", _killed_build, "pages", "written again", code=0),
}
CASES = {**RUN_CASES, **DISK_CASES, **CHAPTER_CASES, **BOOK_CASES}


def faults(case: Case, outcome: Outcome) -> list[str]:
    """What is not as promised: one line that names the thing and the mend, the exit code, nothing lost."""
    line = outcome.lines[0] if outcome.lines else ""
    wrong = {
        f"{len(outcome.lines)} lines instead of one: {outcome.lines}": len(outcome.lines) != 1,
        f"exit code {outcome.code}": outcome.code != case.code,
        f"does not name {case.names!r}: {line}": case.names not in line,
        f"does not say {case.mend!r}: {line}": case.mend not in line,
        "something was lost or changed": not outcome.kept,
    }
    return [what for what, is_wrong in wrong.items() if is_wrong]


def row(case: Case, outcome: Outcome) -> str:
    """The row of the table."""
    line = " ".join(outcome.lines).replace("|", "\\|")
    return f"| {case.what} | `{outcome.command}` | {_code(line)} | {outcome.code} |"


def _code(text: str) -> str:
    """Inline code, also where the text has backticks."""
    return f"`` {text} ``" if "`" in text else f"`{text}`"


def table(rows: list[str]) -> str:
    """The whole table."""
    return "\n".join(["| what is wrong | command | line printed | exit code |", "|---|---|---|--:|", *rows])


def main(arguments: list[str]) -> int:
    """Do every case, print the table, and say what is not as promised."""
    rows, wrong = [], []
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder).resolve())
        for name, case in CASES.items():
            outcome = case.do(bench)
            rows.append(row(case, outcome))
            wrong += [f"{name}: {fault}" for fault in faults(case, outcome)]
    print(table(rows))
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    if "--write" in arguments:
        head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
        PAGE.write_text(f"{head}{BEGIN}\n\n{table(rows)}\n\n{END}{rest.partition(END)[2]}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
