"""A pretend keeper for every test of the logger."""

from __future__ import annotations

from collections.abc import Iterator

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
