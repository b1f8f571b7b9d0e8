"""Draws the picture of the README from the stored results and puts its text beside it. After new results are published:

python book/picture.py
"""

from __future__ import annotations

import base64
import html
import re
from pathlib import Path

from sercore.pages import overview
from sercore.plots import classifiers

ROOT = Path(__file__).resolve().parents[1]
PICTURE = "book/_static/published_and_ours.png"
SHOWN = re.compile(rf"!\[([^\]]*)\]\({re.escape(PICTURE)}\)")


def drawn() -> tuple[bytes, str]:
    """UAR against parameters, published and ours, as PNG, and what it shows in words."""
    page = classifiers.score_against_parameters(overview.sources("reslstm_sa")).data
    found = re.search(r'alt="([^"]*)" src="data:image/png;base64,([^"]*)"', page)
    if found is None:
        raise SystemExit("no stored results of ResLSTM-SA in book/results: nothing to draw")
    return base64.b64decode(found[2]), html.unescape(found[1]).replace("[", "(").replace("]", ")")  # brackets would end the text early


def main() -> None:
    """Write the picture, and its text into README.md."""
    picture, text = drawn()
    (ROOT / PICTURE).write_bytes(picture)
    readme = ROOT / "README.md"
    readme.write_text(SHOWN.sub(lambda _: f"![{text}]({PICTURE})", readme.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PICTURE} ({len(picture) / 1000:.0f} kB)\n{text}")


if __name__ == "__main__":
    main()
