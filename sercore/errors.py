"""The errors that a user can mend: each names the thing that is wrong and what to do about it.

Anything else that is raised is a fault of the package. The command line prints these as one line and exits 1.
"""


class SercoreError(Exception):
    """Something that the caller can mend; the message is one clear sentence that names it."""


class CorpusError(SercoreError):
    """A corpus folder is not what its card says: files missing, extra, misnamed or undecodable, or no such corpus."""


class SpecError(SercoreError):
    """A run spec contradicts itself, or names something that does not exist."""


class SplitError(SercoreError):
    """A split plan cannot be made as asked: an unknown scheme or fold, an item that is not in the table, an empty side."""


class StoreError(SercoreError):
    """The run store or a published table lacks something, or holds something unreadable."""


class UnwritableError(StoreError):
    """The disk takes no more, or the store's folder may not be written: nothing that comes after can be kept either."""


class DivergedError(SercoreError, ValueError):
    """A loss of training is no finite number any more: nothing that comes after would mean anything."""


class BusyError(StoreError):
    """Another process is doing the same run."""


class SchedulerError(SercoreError):
    """The scheduler of a sweep does not answer, has gone, or needs a package that is not installed."""


class LeakError(SplitError):
    """Something of a test item would reach training (or validation), and the spec does not declare that leak."""
