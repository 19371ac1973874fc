"""Forks for errands are bounded: those that hang with their disk must not pile up."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable
from typing import cast

import pytest

from pserv.keeper.readers import MOST, Readers
from pserv.keeper.roles import Roles


class Hanging:
    """Roles whose processes never end, unless told."""

    def __init__(self) -> None:
        self.ended: list[tuple[Callable[[int], None], int]] = []

    def serve(self, role: str, argument: str, end: socket.socket, ended: Callable[[int], None]) -> int:
        self.ended.append((ended, len(self.ended) + 1))
        return len(self.ended)


def test_one_too_many_is_refused_until_another_has_ended() -> None:
    roles = Hanging()
    readers = Readers(cast(Roles, roles))
    for _ in range(MOST):
        readers.fork("reader", "").close()
    with pytest.raises(OSError) as refused:
        readers.fork("reader", "")
    assert refused.value.errno == errno.EAGAIN
    tell, pid = roles.ended[0]
    tell(pid)
    readers.fork("reader", "").close()
