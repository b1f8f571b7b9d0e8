"""Sphinx extension: stale chapters run before a build, so that `jupyter-book build book` alone makes the whole book.

For every chapter of notebooks/register.yml a key is built (freshness.py). An executed notebook of that key is taken from
store/cache/chapters; otherwise notebooks/run.py runs it, two at a time. Executed notebooks are copied to book/chapters, where the
table of contents expects them. A chapter that fails fails the build: Sphinx would publish a page with a traceback and exit 0.

SERCORE_PROFILE chooses quick (default) or full; SERCORE_CORPORA the folder of real corpora.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import IO, Any

from cards_page import write_cards
from checklist_page import write_checklist
from freshness import chapter_key
from run_pages import write_run_pages
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from state_page import current_state, write_state
from status_page import annotate, write_status

ROOT = Path(__file__).resolve().parents[2]
UNFINISHED = ".unfinished"  # lies among the pages while they are being written
_lock: list[IO[str]] = []  # held open, and so locked, until this process ends
KEPT_VERSIONS = 4  # executed notebooks kept a chapter, so that going back to an earlier text costs nothing


def say(text: str) -> None:
    print(text, flush=True)


def _runner() -> Any:
    """notebooks/run.py, which is no part of the package."""
    sys.path.insert(0, str(ROOT))
    from notebooks import run

    return run


def store_folder() -> Path:
    return Path(os.environ.get("SERCORE_STORE") or ROOT / "store").resolve()


def lock_build() -> None:
    """One build at a time: a second one stops with a clear line. The lock goes with the process, however it ends."""
    if _lock:
        return
    path = store_folder() / "cache" / "book.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise ExtensionError(f"another build of this book is running ({path} is locked): wait for it to end, or stop it") from None
    _lock.append(file)


def drop_half_pages(app: Sphinx) -> None:
    """Start from no page where the last build was killed among them: Sphinx takes a half-written page, newer than its source, for done."""
    pages, doctrees = Path(app.outdir), Path(app.doctreedir)
    if (pages / UNFINISHED).exists():
        say("pages: the last build was killed while it wrote them; all are written again")
        for folder in (doctrees, pages):
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True, exist_ok=True)
    pages.mkdir(parents=True, exist_ok=True)
    (pages / UNFINISHED).touch()


def mark_finished(app: Sphinx, error: Exception | None) -> None:
    """After a build: its pages are whole."""
    if error is None:
        (Path(app.outdir) / UNFINISHED).unlink(missing_ok=True)


def cached_path(chapter: Any, profile: str) -> Path:
    """Where the executed notebook of the chapter, as everything stands now, lies or will lie."""
    parameters = chapter.parameters_for(profile)
    folder = os.environ.get("SERCORE_CORPORA", "")
    runner = (ROOT / "notebooks" / "run.py",)
    key = chapter_key(chapter.notebook, parameters, chapter.shows, ROOT, Path(folder) if folder else None, runner)
    return store_folder() / "cache" / "chapters" / f"{chapter.name}-{profile}-{key}.ipynb"


def run_chapter(chapter: Any, profile: str, target: Path) -> None:
    """Execute one chapter in its own process. Raises ExtensionError with the runner's last words."""
    command = [sys.executable, str(ROOT / "notebooks" / "run.py"), chapter.name, "--profile", profile, "-o", str(target)]
    environment = {**os.environ, "PYTHONWARNINGS": os.environ.get("PYTHONWARNINGS", "ignore"), "SERCORE_BUILD_PID": str(os.getpid())}
    done = subprocess.run(command, cwd=ROOT, env=environment, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise ExtensionError(f"chapter failed, nothing is published: {done.stderr.strip() or f'exit code {done.returncode}'}")
    annotate(target, ROOT)


def run_all(stale: dict[str, tuple[Any, Path]], profile: str, workers: int) -> None:
    """Run the stale chapters, `workers` at a time, each after those that its `after` names. The first failure ends it."""
    waiting: dict[str, tuple[Any, Path]] = dict(stale)
    running: dict[Future, str] = {}
    with ThreadPoolExecutor(workers) as pool:
        while waiting or running:
            busy = {*waiting, *running.values()}
            for name in [n for n, (chapter, _) in waiting.items() if not busy & set(chapter.after)]:
                if len(running) < workers:
                    chapter, target = waiting.pop(name)
                    running[pool.submit(run_chapter, chapter, profile, target)] = name
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                del running[future]
                _raise_failure(future, waiting)


def _raise_failure(future: Future, waiting: dict) -> None:
    if error := future.exception():
        waiting.clear()
        raise error


def place(cached: Path, name: str) -> None:
    """Copy into book/chapters, only where it differs: an untouched file is not read again by Sphinx."""
    target = ROOT / "book" / "chapters" / f"{name}.ipynb"
    content = cached.read_bytes()
    if not target.is_file() or target.read_bytes() != content:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside = target.with_suffix(".part")
        beside.write_bytes(content)
        os.replace(beside, target)


def forget_old(name: str, profile: str, keep: Path) -> None:
    """Remove what a killed or failed build left behind, and all but the newest executed versions of the chapter."""
    for pattern in ("part", "failed"):
        for half in keep.parent.glob(f"{name}-{profile}-*.{pattern}.ipynb"):
            half.unlink(missing_ok=True)
    versions = sorted(keep.parent.glob(f"{name}-{profile}-*.ipynb"), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in [v for v in versions if v != keep][KEPT_VERSIONS - 1 :]:
        old.unlink(missing_ok=True)


def prepare(app: Sphinx, config: Any) -> None:
    """Before Sphinx reads a page: bring every chapter and the generated pages up to date."""
    run = _runner()
    profile = os.environ.get("SERCORE_PROFILE", "quick")
    if profile not in run.PROFILES:
        raise ExtensionError(f"SERCORE_PROFILE is {profile!r}; it is one of {', '.join(run.PROFILES)}")
    started = time.monotonic()
    lock_build()
    chapters = run.register()
    try:
        paths = {name: cached_path(chapter, profile) for name, chapter in chapters.items()}
    except FileNotFoundError as error:
        raise ExtensionError(f"notebooks/register.yml names a chapter that is not there: {Path(error.filename).name}") from None
    stale = {name: (chapters[name], path) for name, path in paths.items() if not path.is_file()}
    fresh = [name for name in chapters if name not in stale]
    say(f"chapters ({profile}): {len(fresh)} up to date, {len(stale)} to run{': ' + ', '.join(stale) if stale else ''}")
    run_all(stale, profile, workers=min(2, os.cpu_count() or 1))
    for name, path in paths.items():
        place(path, name)
        forget_old(name, profile, path)
    for orphan in set((ROOT / "book" / "chapters").iterdir()) - {ROOT / f"book/chapters/{name}.ipynb" for name in chapters}:
        orphan.unlink()
    titles = {name: chapter.title for name, chapter in chapters.items()}
    now = current_state(ROOT, store_folder() / "cache")
    write_state(ROOT, now, profile, titles)
    write_run_pages(ROOT, titles, config.repository_address)
    write_status(ROOT, chapters.values(), stale, profile, now["behind"], config.repository_address)
    write_checklist(ROOT)
    write_cards(ROOT)
    drop_half_pages(app)
    if stale:
        say(f"chapters: ran {len(stale)} in {time.monotonic() - started:.0f} s")


def prepare_or_stop(app: Sphinx, config: Any) -> None:
    """`prepare`, whose refusals end the program with one clear message; Sphinx would bury it in a traceback of its own."""
    try:
        prepare(app, config)
    except ExtensionError as error:
        raise SystemExit(error.message) from None
    except OSError as error:
        if error.errno not in _runner().DISK_FULL:
            raise
        what = f"{error.filename or store_folder()} cannot be written ({error.strerror})"
        raise SystemExit(f"{what}: free some space and build again; the pages of the last good build stay") from None


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_config_value("repository_address", "", "env")
    app.connect("config-inited", prepare_or_stop, priority=100)  # before the table of contents is read
    app.connect("build-finished", mark_finished)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
