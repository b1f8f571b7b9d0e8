"""torchaudio, whichever torch is installed.

torchaudio's compiled extension fits one build of torch only; beside another (the CPU build, a newer release) its import fails with an
OSError. Spectrogram, MelSpectrogram, MFCC, resampling and the HuBERT and wav2vec 2.0 models are plain PyTorch and need no extension, so
where it cannot be loaded it is left out. Decoding is not among them: recordings are read by `sercore.data.audio`.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from types import ModuleType


def import_torchaudio() -> ModuleType:
    """The torchaudio module, without its compiled extension where that does not fit the torch that is installed.

    Returns:
        The imported module; the same one on every call, and what `import torchaudio` gives afterwards.

    Raises:
        ImportError: torchaudio is not installed.

    Example:
        >>> import_torchaudio().transforms.MFCC.__name__
        'MFCC'
    """
    try:
        return importlib.import_module("torchaudio")
    except OSError:
        for name in [n for n in sys.modules if n.split(".")[0] == "torchaudio"]:
            del sys.modules[name]
    # the package's own switch for "no extension": its loader answers False where no library file is there
    sys.modules["torchaudio._extension.utils"] = _without_extension()
    return importlib.import_module("torchaudio")


def _without_extension() -> ModuleType:
    """torchaudio._extension.utils with a loader that finds no library, loaded without importing its package."""
    spec = importlib.util.find_spec("torchaudio")
    assert spec is not None
    assert spec.submodule_search_locations is not None
    path = f"{spec.submodule_search_locations[0]}/_extension/utils.py"
    utils_spec = importlib.util.spec_from_file_location("torchaudio._extension.utils", path)
    assert utils_spec is not None
    assert utils_spec.loader is not None
    utils = importlib.util.module_from_spec(utils_spec)
    utils_spec.loader.exec_module(utils)
    utils._load_lib = lambda lib: False  # type: ignore[attr-defined]
    return utils
