"""Random numbers that are the same on every machine and for every version of NumPy.

Only the raw stream of a NumPy bit generator is promised to stay the same between versions (the methods of `numpy.random.Generator` are
not), so everything is drawn from raw Philox output, keyed by a hash of words and numbers.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray


def uniform(*key: object, size: int) -> NDArray[np.float64]:
    """Numbers in [0, 1) that depend on the key alone: equal on every machine and for every version of NumPy.

    The key (words and integers) is hashed with SHA-256 into the 128 bits that start a Philox generator; 53 bits of each raw draw are used.

    Args:
        key: what the numbers are for, e.g. ("seed", 0, "s01", "breath"). Another key gives an independent stream.
        size: how many. A longer draw begins with the shorter one.

    Returns:
        float64, shape (size,), in [0, 1).

    Example:
        >>> bool((uniform("a", 1, size=3) == uniform("a", 1, size=3)).all()), len(uniform("b", size=2))
        (True, 2)
    """
    digest = hashlib.sha256("\x1f".join(map(str, key)).encode()).digest()
    raw = np.random.Philox(key=int.from_bytes(digest[:16], "little")).random_raw(size)
    return (raw >> np.uint64(11)).astype(np.float64) * 2.0**-53


def bell(*key: object, size: int) -> NDArray[np.float64]:
    """Bell-shaped numbers with mean 0 and standard deviation 1: twelve uniform draws each, summed (never beyond 6).

    Additions only, so that no mathematics library of a machine has a say in the draw. A longer
    draw begins with the shorter one. Args and Returns as for `uniform`, shape (size,), range [-6, 6].
    """
    draws = uniform(*key, size=12 * size)
    total = np.zeros(size)
    for part in range(12):
        total += draws[part::12]
    return total - 6.0
