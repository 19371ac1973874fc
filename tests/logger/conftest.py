"""A pretend keeper for every test of the logger."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.logger.forks import Forks
from tests.logger.pretend_keeper import PretendKeeper


@pytest.fixture(scope="session")
def forks() -> Iterator[Forks]:
    """What forks all workers of this test process."""
    forks = Forks()
    yield forks
    forks.close()


@pytest.fixture
def keeper(forks: Forks) -> Iterator[PretendKeeper]:
    """Cleans up pipes, workers and what they hold."""
    keeper = PretendKeeper(forks)
    yield keeper
    keeper.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"small", os.fsencode(folder), b"tmpfs", 0, b"size=4m") == 0
    yield folder
    assert libc.umount2(os.fsencode(folder), 2) == 0
