"""Why a run did not finish: the kinds, told from the error, and the words that are kept of it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

from sercore.errors import CorpusError, DivergedError, SplitError, StoreError

Kind = Literal["data", "code", "memory", "diverged", "lost", "not run"]

#: kind -> what it means and what to do.
KINDS: dict[str, str] = {
    "data": "the recordings, the split or the store are not as they should be: mend them and sweep again",
    "code": "the program raised: mend it, or the specification, and sweep again",
    "memory": "there was not enough memory (host or GPU): give it more, or fewer workers, and sweep again",
    "diverged": "the loss was no finite number any more: lower the learning rate, or beta, and sweep again",
    "lost": "its worker ended in mid-run each time that it was tried: sweep again, it goes on from its last epoch",
    "not run": "a run that it starts from failed",
}
#: What torch, CUDA and C++ say in words where Python would raise a MemoryError.
_NO_MEMORY = re.compile(r"can't allocate memory|not enough memory|out of memory|bad_alloc|cannot allocate memory", re.IGNORECASE)
_ABSOLUTE = re.compile(r"(?<![\w.~/:])/(?:[^\s/:'\"`]+/)+")


def kind_of(error: BaseException) -> Kind:
    """The kind of an error that a run raised.

    Example:
        >>> kind_of(MemoryError()), kind_of(CorpusError("a file is missing")), kind_of(ZeroDivisionError())
        ('memory', 'data', 'code')
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError" or _NO_MEMORY.search(str(error)):
        return "memory"
    if isinstance(error, DivergedError):
        return "diverged"
    return "data" if isinstance(error, (CorpusError, SplitError, StoreError)) else "code"


def in_words(error: BaseException) -> str:
    """The error in one line: its message, after its name where the name is not this package's own; folders left out.

    Example:
        >>> in_words(ValueError("a loss in /data/store/runs/1f.partial is nan"))
        'ValueError: a loss in 1f.partial is nan'
    """
    text = without_folders(" ".join(str(error).split()))
    if type(error).__module__.startswith("sercore."):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def without_folders(text: str) -> str:
    """A text with the folders of every absolute path taken out, so that it says nothing of a machine; names of files stay.

    Example:
        >>> without_folders("/data/emodb/wav/03a01Fa.wav cannot be decoded; 3/4 are there")
        '03a01Fa.wav cannot be decoded; 3/4 are there'
    """
    return _ABSOLUTE.sub("", text.replace(f"{Path.home()}/", "/~/"))


def memory_kills() -> int:
    """How many processes the kernel of this machine has killed for lack of memory since it started; 0 where it does not say."""
    try:
        counts = Path("/proc/vmstat").read_text(encoding="ascii")
    except OSError:
        return 0
    found = re.search(r"^oom_kill (\d+)$", counts, re.MULTILINE)
    return int(found[1]) if found else 0


def machine() -> str:
    """Which start of which machine this is, without its name; empty where the system does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
