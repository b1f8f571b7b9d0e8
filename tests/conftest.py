"""Fixtures shared by all tests."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def corpora_root() -> Path:
    """Folder with real recordings (ravdess/, emodb/, ...), from SERCORE_CORPORA."""
    folder = os.environ.get("SERCORE_CORPORA")
    if not folder:
        pytest.skip("SERCORE_CORPORA is not set: it names the folder of real recordings (ravdess/, emodb/, ...)")
    if not Path(folder).is_dir():
        pytest.skip(f"SERCORE_CORPORA={folder} is not a folder")
    return Path(folder)
