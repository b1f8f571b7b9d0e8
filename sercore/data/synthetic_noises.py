"""Embedded noises, to be told apart and to be mixed into the embedded voices: white, pink and hum, made on the fly.

A test instrument, as the voices are: it says nothing about noises of the world.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sercore.data.items import item_table
from sercore.data.source_filter import SAMPLE_RATE_HZ, background

REVISION = 1  # raised by hand when a rendered sample changes
KINDS = ("white", "pink", "hum")
SOURCES = 8
DURATION_S = 3.0
LEVEL_DB = -36.0  # root mean square against full scale


def read() -> pd.DataFrame:
    """The item table: three kinds of noise, eight sources of each, one recording of 3 s a source (24 rows). Nothing is rendered.

    Returns:
        Item table; `speaker` is the source, extra column `noise` (one of KINDS).

    Example:
        >>> table = read()
        >>> len(table), table["noise"].nunique(), table["speaker"].nunique(), table.item_id[0]
        (24, 3, 24, 'synthetic_noises/hum_1')
    """
    names = [(kind, f"{kind}_{number + 1}") for kind in KINDS for number in range(SOURCES)]
    return item_table(
        [
            {"item_id": f"synthetic_noises/{name}", "source_id": name, "path": f"{name}.wav", "speaker": name, "noise": kind}
            for kind, name in names
        ]
    )


def waveform(item: Mapping[str, Any] | pd.Series) -> tuple[NDArray[np.float32], int]:
    """Renders one row of the item table: a pure function of its `noise` and `item_id`.

    Returns:
        float32, shape (48000,), mono, in [-1, 1], whole multiples of 1/32768; and 16000.
    """
    sound = background(item["noise"], round(DURATION_S * SAMPLE_RATE_HZ), ("noises", item["item_id"])) * 10 ** (LEVEL_DB / 20)
    samples = np.clip(np.rint(sound * 32768), -32768, 32767)
    return (samples / 32768).astype(np.float32), SAMPLE_RATE_HZ
