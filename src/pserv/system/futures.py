"""What coroutines wait for: results that will be there, events, locks. Who runs the coroutines is in `tasks`."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Cancelled(BaseException):
    """Thrown into a task at its `await` when it is cancelled; it may tidy up, also by waiting, and raises it again."""


class Future(Generic[T]):
    """A result that will be there; `await` it, as many as like.

    A task that waits and is cancelled leaves the future alone, also when the future is another task.
    """

    __slots__ = ("_callbacks", "_done", "_error", "_value")

    def __init__(self) -> None:
        self._callbacks: list[Callable[[], None]] = []
        self._done = False
        self._error: BaseException | None = None
        self._value: T

    def __await__(self) -> Generator[Future[Any], None, T]:
        if not self._done:
            yield self
        return self.result()

    def done(self) -> bool:
        return self._done

    def result(self) -> T:
        """Raises what the future failed with, RuntimeError before it is done."""
        if not self._done:
            raise RuntimeError("there is no result yet")
        if self._error is not None:
            raise self._error
        return self._value

    def set_result(self, value: T) -> None:
        """Raises RuntimeError when it is done already."""
        self._finish()
        self._value = value
        self._tell()

    def set_exception(self, error: BaseException) -> None:
        """Raises RuntimeError when it is done already."""
        self._finish()
        self._error = error
        self._tell()

    def when_done(self, callback: Callable[[], None]) -> None:
        """Called by who sets the result, in the middle of it: a callback only schedules what follows."""
        if self._done:
            callback()
        else:
            self._callbacks.append(callback)

    def forget(self, callback: Callable[[], None]) -> None:
        """Undo `when_done`."""
        if callback in self._callbacks:
            self._callbacks.remove(callback)

    def _finish(self) -> None:
        if self._done:
            raise RuntimeError("the result is there already")
        self._done = True

    def _tell(self) -> None:
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class Settled:
    """The end of a future without its result: awaiting it raises nothing of what came of it."""

    __slots__ = ("_future",)

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def __await__(self) -> Generator[Future[Any], None, None]:
        if not self._future.done():
            yield self._future


class Event:
    """Something that happened or did not yet."""

    __slots__ = ("_happened",)

    def __init__(self) -> None:
        self._happened: Future[None] = Future()

    def is_set(self) -> bool:
        return self._happened.done()

    def set(self) -> None:
        if not self._happened.done():
            self._happened.set_result(None)

    def clear(self) -> None:
        if self._happened.done():
            self._happened = Future()

    async def wait(self) -> None:
        await self._happened


class Lock:
    """`async with` it: one after the other, or so many at a time, in the order of asking."""

    __slots__ = ("_free", "_queue")

    def __init__(self, most: int = 1) -> None:
        self._free = most
        self._queue: deque[Future[None]] = deque()

    async def __aenter__(self) -> None:
        if self._free:
            self._free -= 1
            return
        turn: Future[None] = Future()
        self._queue.append(turn)
        try:
            await turn
        except BaseException:
            if turn.done():  # it was handed over to one who goes away
                self._hand_over()
            else:
                self._queue.remove(turn)
            raise

    async def __aexit__(self, *_: object) -> None:
        self._hand_over()

    def _hand_over(self) -> None:
        if self._queue:
            self._queue.popleft().set_result(None)
        else:
            self._free += 1
