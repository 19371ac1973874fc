"""Waiting until nothing changes any more, before a test looks whether it stays so."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

PATIENCE = 20.0
"""Seconds after which what still changes never rests."""


def still(look: Callable[[], T], seconds: float) -> T:
    """What is seen when it has been the same for so long. A busy machine takes its time to come to rest."""
    deadline = time.monotonic() + PATIENCE
    before = look()
    while True:
        select.select([], [], [], seconds)
        now = look()
        if now == before:
            return now
        assert time.monotonic() < deadline, f"it does not come to rest: {before}, then {now}"
        before = now
