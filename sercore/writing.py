"""One way to write a file: beside, then moved into place; a full disk leaves the old file, no half one, and one clear line."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sercore.errors import UnwritableError

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
#: Libraries that write for us may pass the system's error on in words only.
_IN_WORDS = re.compile(r"\b(?:os error|errno) (\d+)\b", re.IGNORECASE)


@contextmanager
def refusals_named(path: Path) -> Iterator[None]:
    """Inside it, a disk that takes no more is one error that names the file and the mend.

    Args:
        path: what is being written.

    Raises:
        UnwritableError: the disk is full, a quota or size limit is reached, or the folder may not be written.
    """
    try:
        yield
    except Exception as error:
        code = _code(error)
        if code in _FULL:
            raise UnwritableError(
                f"{path} cannot be written ({os.strerror(code)}): free some space, or set SERCORE_STORE to a folder that has it, and run "
                f"again; finished runs are kept, and an interrupted one goes on from its last epoch"
            ) from error
        if code in _FORBIDDEN:
            raise UnwritableError(
                f"{path} cannot be written ({os.strerror(code)}): make its folder writable, or set SERCORE_STORE to another one"
            ) from error
        raise


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A file to write to, moved to `path` when the block ends well; otherwise it is removed and `path` stays as it was.

    Args:
        path: where the file belongs; its folder is made.

    Raises:
        UnwritableError: as `refusals_named`.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp()) / "a.txt"
        >>> with beside(target) as file:
        ...     _ = file.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with refusals_named(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def _code(error: Exception) -> int:
    """The system's number of an error, 0 where it is none of the system's."""
    if isinstance(error, OSError) and error.errno:
        return error.errno
    named = _IN_WORDS.search(str(error)) if type(error).__name__ == "SafetensorError" else None
    return int(named[1]) if named else 0
