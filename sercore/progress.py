"""One progress bar for the whole package: silent for short work, a line every few seconds where there is no terminal."""

from __future__ import annotations

import sys
from typing import Any

from tqdm import tqdm

#: Seconds before a bar shows, and between lines where nobody watches a terminal.
DELAY_S, LINE_EVERY_S = 2.0, 5.0


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
    watched = sys.stderr.isatty()
    return tqdm(iterable, total=total, desc=label, unit=unit, delay=DELAY_S, mininterval=0.1 if watched else LINE_EVERY_S, file=sys.stderr)
