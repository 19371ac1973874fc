"""A pretend keeper for every test of the logger."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.logger.pretend_keeper import PretendKeeper


@pytest.fixture
def keeper() -> Iterator[PretendKeeper]:
    """Cleans up pipes, workers and what they hold."""
    keeper = PretendKeeper()
    yield keeper
    keeper.close()
