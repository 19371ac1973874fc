"""TCP ports for services that listen by themselves."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Ports:
    """Ports of 127.0.0.1 that nobody else is given meanwhile: they are bound, and not listened on.

    Whoever sets SO_REUSEADDR, as servers do, may listen there.
    """

    def __init__(self) -> None:
        self._held = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def one(self) -> int:
        return self.row(1)

    def row(self, count: int) -> int:
        """The first of so many in a row."""
        for _ in range(100):
            with ExitStack() as tried:
                first = tried.enter_context(_bound(0)).getsockname()[1]
                try:
                    for port in range(first + 1, first + count):
                        tried.enter_context(_bound(port))
                except (OSError, OverflowError):
                    continue
                self._held.push(tried.pop_all())
                return int(first)
        raise AssertionError(f"there are no {count} free ports in a row")

    def close(self) -> None:
        self._held.close()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
    except BaseException:
        made.close()
        raise
    return made
