"""Names files above 250 kB and exits 1: a recording, a weight file or an output that is not meant for git.

python tests/large_files.py FILE...
"""

import sys
from pathlib import Path

LIMIT_KB = 250


def too_large(names: list[str]) -> list[str]:
    """Those of the files that are above the limit."""
    return [name for name in names if Path(name).is_file() and Path(name).stat().st_size > LIMIT_KB * 1000]


if __name__ == "__main__":
    if wrong := too_large(sys.argv[1:]):
        print("\n".join(f"{name} is above {LIMIT_KB} kB: keep it out of git" for name in wrong))
        sys.exit(1)
