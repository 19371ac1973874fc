"""Keepers for the tests of this folder."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keeper.rig import Daemon


@pytest.fixture
def common_folder() -> Iterator[Path]:
    """A folder that every user can enter; pytest's own are closed again by each pytest that starts beside us."""
    with tempfile.TemporaryDirectory(prefix="pserv-keeper-") as folder:
        os.chmod(folder, 0o777)
        yield Path(folder)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts keepers and sees that nothing of them is left."""
    started: list[Daemon] = []

    def start(folder: Path = tmp_path, **settings: Any) -> Daemon:
        started.append(Daemon(folder / str(len(started)), **settings))
        return started[-1]

    yield start
    for one in started:
        one.close()
