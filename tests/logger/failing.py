"""System calls that end the process, as far as a test is concerned, at the n-th of them, or that fail."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any


class Crash(BaseException):
    """The process was killed here."""


class Crashing:
    """The module `os`, but for the n-th call: it is not made, or made and not returned from (`after`), or it fails.

    `before` are things that happen right before the first call of that name. What a killed process has open is closed
    by `bury`.
    """

    def __init__(
        self,
        number: int,
        *,
        after: bool = False,
        failure: OSError | None = None,
        before: dict[str, Callable[[], object]] | None = None,
    ) -> None:
        self._left = number
        self._after = after
        self._failure: BaseException = failure or Crash()
        self._before = dict(before or {})
        self._opened: set[int] = set()
        self.crashed = False

    def __getattr__(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any) -> Any:
            self._before.pop(name, int)()
            self._left -= 1
            if self._left == 0 and not self._after:
                self.crashed = True
                raise self._failure
            result, refused = None, None
            try:
                result = real(*arguments)
            except OSError as error:
                refused = error
            if name == "open" and result is not None:
                self._opened.add(result)
            elif name == "close":
                self._opened.discard(arguments[0])
            if self._left == 0:
                self.crashed = True
                raise self._failure
            if refused is not None:
                raise refused
            return result

        return call

    def bury(self) -> None:
        """The kernel closes what it had open."""
        for fd in self._opened:
            os.close(fd)
        self._opened.clear()
