"""The embedded corpus and its frames, made once for all tests that learn from them (about 12 s on one core)."""

from functools import cache

import numpy as np
import pandas as pd

from sercore.data import synthetic
from sercore.features.cepstral import mfcc_chroma


@cache
def table_and_frames() -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """Item table, and item_id -> frames (T, 46)."""
    table = synthetic.read()
    return table, {item["item_id"]: mfcc_chroma(*synthetic.waveform(item)) for _, item in table.iterrows()}
