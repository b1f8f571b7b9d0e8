"""Sphinx extension: leaves out scripts that the pages do not use.

jupyter-book always loads sphinx-thebe, which runs cells on a remote service. No cell here is run from a page, and its script, put on each
page twice, stops with an error in the reader's browser.
"""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

UNUSED = "sphinx_thebe"


def leave_out(app: Sphinx, config: Any) -> None:
    """Disconnect the extension's handlers, so that it adds nothing to a page."""
    for listeners in app.events.listeners.values():
        listeners[:] = [listener for listener in listeners if getattr(listener.handler, "__module__", "") != UNUSED]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("config-inited", leave_out, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
