"""Which descriptors are ready, by epoll(7) where there is one, else by poll(2)."""

from __future__ import annotations

import select
import sys


class Poller:
    """Descriptors wanted for reading or for writing. Take one out before it is closed: the keeper has a duplicate of
    most, and epoll goes on reporting what is open elsewhere."""

    __slots__ = ("_poll", "_scale", "_wanted")

    def __init__(self) -> None:
        self._poll: select.epoll | select.poll
        if sys.platform == "linux":
            self._poll, self._scale = select.epoll(), 1.0
        else:
            self._poll, self._scale = select.poll(), 1000.0
        self._wanted: dict[int, int] = {}

    def want(self, fd: int, writing: bool = False, more: bool = False) -> None:
        """Report when the descriptor can be read, or with `writing` when it can be written.

        `more`: when something comes beside what can be read already (and once at first).
        """
        mask = select.POLLOUT if writing else select.POLLIN
        if more and sys.platform == "linux":
            mask |= select.EPOLLET
        old = self._wanted.get(fd)
        if old == mask:
            return
        self._wanted[fd] = mask
        if old is None:
            self._poll.register(fd, mask)
        else:
            self._poll.modify(fd, mask)

    def drop(self, fd: int) -> None:
        if self._wanted.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def wait(self, seconds: float | None) -> list[int]:
        """The ready ones."""
        return [fd for fd, _ in self._poll.poll(-1 if seconds is None else seconds * self._scale)]
