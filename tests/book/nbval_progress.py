"""A plugin for nbval: progress bars and warnings, which go to stderr, are no output of a chapter and are not compared."""

from nbval.plugin import IPyNbFile

_compared_as_usual = IPyNbFile.setup_sanitize_files


def _leave_out_stderr(self: IPyNbFile) -> None:
    """Called when a notebook is opened, after nbval has made its own list of what it does not compare."""
    _compared_as_usual(self)
    self.skip_compare = (*self.skip_compare, "stderr")


IPyNbFile.setup_sanitize_files = _leave_out_stderr
