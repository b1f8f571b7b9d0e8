"""Sphinx extension: leaves out scripts that the pages do not use.

jupyter-book always loads sphinx-thebe, which runs cells on a remote service. No cell here is run from a page, and its script, put on each
page twice, stops with an error in the reader's browser.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

UNUSED, ITS_STYLE = "sphinx_thebe", "sphinx-thebe.css"


def leave_out(app: Sphinx, config: Any) -> None:
    """Disconnect the extension's handlers and forget its style sheet, so that no page links to a file that is not there."""
    for listeners in app.events.listeners.values():
        listeners[:] = [listener for listener in listeners if getattr(listener.handler, "__module__", "") != UNUSED]
    app.registry.css_files[:] = [entry for entry in app.registry.css_files if entry[0] != ITS_STYLE]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", leave_out, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
