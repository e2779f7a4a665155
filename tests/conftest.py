"""Fixtures that every test may use."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import settings

settings.register_profile("reprise", deadline=None)  # no test depends on the clock
settings.load_profile("reprise")

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def _quiet_log() -> Iterator[None]:
    """What a command line run within a test sets up for its terminal ends with the test."""
    yield
    root = logging.getLogger("toolkit")
    root.handlers = []
    root.setLevel(logging.NOTSET)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real recordings beside the repository; tests marked `real` are skipped where it is missing."""
    folder = Path(os.environ.get("REPRISE_REAL_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real recordings are not here: {folder}")
    return folder
