"""What the command line prints: any result as plain data for JSON, or as an aligned table."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any


def plain(value: Any) -> Any:
    """The value in what JSON can say.

    Models, dataclasses and mappings become dictionaries, sequences lists, NaN and infinities None; what JSON cannot say, its text.

    Example:
        >>> plain({"uar": float("nan"), "folds": (0, 1)})
        {'uar': None, 'folds': [0, 1]}
    """
    if hasattr(value, "model_dump"):
        value = value.model_dump(mode="json")
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, set)):
        return [plain(entry) for entry in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # a numpy number
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows as aligned text, numbers to the right, with the keys of the first row as the header; empty without rows.

    Example:
        >>> print(table([{"name": "a", "n": 7}, {"name": "bcd", "n": 10}]))
        name   n
        a      7
        bcd   10
    """
    if not rows:
        return ""
    cells = [list(rows[0]), *([_cell(row[key]) for key in rows[0]] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    right = [all(isinstance(row[key], (int, float, type(None))) for row in rows) for key in rows[0]]
    lines = ["  ".join(c.rjust(w) if r else c.ljust(w) for c, w, r in zip(row, widths, right, strict=True)) for row in cells]
    return "\n".join(line.rstrip() for line in lines)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
