"""Keepers for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.keeper.rig import Daemon


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Starts keepers and sees that nothing of them is left."""
    started: list[Daemon] = []

    def start(**settings: Any) -> Daemon:
        started.append(Daemon(tmp_path / str(len(started)), **settings))
        return started[-1]

    yield start
    for one in started:
        one.close()
