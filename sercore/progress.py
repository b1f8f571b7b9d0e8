"""One progress bar for the whole package: silent for short work, a line every few seconds where there is no terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tqdm import tqdm

#: Seconds before a bar shows, and between lines where nobody watches a terminal.
DELAY_S, LINE_EVERY_S = 2.0, 5.0

_silent = False


@contextmanager
def silenced(wanted: bool = True) -> Iterator[None]:
    """No bar shows inside it.

    Args:
        wanted: False changes nothing.
    """
    global _silent
    before, _silent = _silent, _silent or wanted
    try:
        yield
    finally:
        _silent = before


def bar(iterable: Any = None, *, total: int | None = None, label: str, unit: str = "item") -> tqdm:
    """A bar on standard error.

    Args:
        iterable: what to count through; None for a bar that is moved by `update`.
        total: number of steps where the iterable does not know.
        label: what is being done.
        unit: what one step is.

    Returns:
        The bar; close it or use it as a context.
    """
    every = 0.1 if sys.stderr.isatty() else LINE_EVERY_S
    return tqdm(iterable, total=total, desc=label, unit=unit, delay=DELAY_S, mininterval=every, file=sys.stderr, disable=_silent)
