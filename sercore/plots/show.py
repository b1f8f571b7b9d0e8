"""Figures as a page shows them: a picture with a text that says the finding, one style for all, readable at the width of a phone."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterable
from typing import Any

import matplotlib
from matplotlib.figure import Figure

from sercore.provenance import Origin, Shown

#: Inches and points are chosen together: at 360 px the picture shrinks to half and 10 pt are still readable.
WIDTH_IN, DPI, SHOWN_PX = 5.4, 160, 640
#: Okabe and Ito's colours, told apart by readers with any colour vision.
BLUE, ORANGE, GREEN, PINK, SKY, YELLOW, GREY, BLACK = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8a8a8a", "#1a1a1a"
COLOURS = (BLUE, ORANGE, GREEN, PINK, YELLOW, SKY, BLACK, GREY)
_STYLE: Any = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.fontsize": 9,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": False,
    "grid.color": "#dddddd",
    "figure.dpi": DPI,
    "svg.hashsalt": "sercore",
}


def canvas(height_in: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A figure of the book's width and its axes.

    Args:
        height_in: inches; the width is WIDTH_IN.
        rows, columns: of axes.
        options: for `Figure.subplots`.

    Returns:
        `(figure, axes)`; axes as `matplotlib.figure.Figure.subplots` gives them.
    """
    with matplotlib.rc_context(_STYLE):
        fig = Figure(figsize=(WIDTH_IN, height_in), dpi=DPI, layout="constrained")
        return fig, fig.subplots(rows, columns, **options)


def figure(fig: Figure, alt: str, caption: str = "", origin: Origin | None = None) -> Shown:
    """A figure for a page, with its alternative text.

    Args:
        fig: of `canvas`, or any figure.
        alt: what the figure shows, in words and numbers computed from the same rows.
        caption: shown below; empty takes nothing.
        origin: what it is drawn from (`sercore.provenance.of_runs`, `of_files`), shown as a line of links below. A page whose figure or
            table has none does not pass the gate.

    Returns:
        HTML for a page: the picture itself is inside, so the page needs no other file.

    Raises:
        ValueError: the alternative text says nothing (fewer than three words).
    """
    return Shown(_html(fig, alt, caption), origin or Origin())


def figures(made: Iterable[tuple[Figure, str, str, Origin]]) -> Shown:
    """Several figures as one output, each `(figure, alt, caption, origin)` with its own line below. Errors as `figure`."""
    each = [figure(*one) for one in made]
    together = Shown("", sum((one.origin for one in each), Origin()))
    together.data = "\n".join(one.data for one in each)
    return together


def note(text: str) -> Shown:
    """A sentence where a figure would stand, when there is nothing to draw."""
    return Shown(f"<p><em>{html.escape(text)}</em></p>", Origin())


def _html(fig: Figure, alt: str, caption: str = "") -> str:
    if len(alt.split()) < 3:
        raise ValueError(f"the alternative text {alt!r} says nothing: put the finding in words and numbers")
    buffer = io.BytesIO()
    with matplotlib.rc_context(_STYLE):
        fig.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    data = base64.b64encode(buffer.getvalue()).decode()
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    return (
        f'<figure style="margin:0 0 1.2rem"><img alt="{html.escape(alt, quote=True)}" src="data:image/png;base64,{data}" '
        f'style="width:{SHOWN_PX}px;max-width:100%;height:auto;background:#fff">{below}</figure>'
    )
