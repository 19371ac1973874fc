"""Coroutines on the poll loop: tasks, their cancellation, timers, waiting for descriptors. Bytes are in `streams`.

Nothing here is global: who starts or delays something is given the `Tasks`.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, TypeVar

from pserv.keeper.loop import Loop
from pserv.system.futures import Cancelled, Event, Future, Settled
from pserv.system.timers import Timer, Timers

T = TypeVar("T")


class Task(Future[T]):
    """A coroutine under way; as a future it is the coroutine's end. An exception nobody waits for goes to `on_bug`."""

    __slots__ = ("_coroutine", "_due", "_interruptions", "_tasks", "_waits_for")

    def __init__(self, tasks: Tasks, coroutine: Coroutine[Any, Any, T]) -> None:
        """See `Tasks.spawn`."""
        super().__init__()
        self._tasks = tasks
        self._coroutine = coroutine
        self._waits_for: Future[Any] | None = None
        self._interruptions: list[BaseException] = []
        self._due = False
        self._schedule()

    def cancel(self) -> None:
        """Throw `Cancelled` in at the `await`, once however often this is called before it got there."""
        if not self._done and not any(type(one) is Cancelled for one in self._interruptions):
            self._interruptions.insert(0, Cancelled())  # before a timeout's, which may be caught
            self._interrupted()

    def interrupt(self, error: BaseException) -> None:
        """Throw this in at the `await`."""
        if not self._done:
            self._interruptions.append(error)
            self._interrupted()

    def spare(self, error: BaseException) -> None:
        """Undo an `interrupt` that was not delivered yet."""
        if error in self._interruptions:
            self._interruptions.remove(error)

    def _interrupted(self) -> None:
        if self._waits_for is not None:
            self._waits_for.forget(self._wake)
            self._wake()

    def _wake(self) -> None:
        self._waits_for = None
        self._schedule()

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            self._tasks.soon(self._step)

    def _step(self) -> None:
        """Run it until it waits or ends."""
        self._due = False
        self._tasks.current = self
        try:
            if self._interruptions:
                awaited = self._coroutine.throw(self._interruptions.pop(0))
            else:
                awaited = self._coroutine.send(None)
        except StopIteration as stop:
            self._tasks.ended(self)
            self.set_result(stop.value)
        except Cancelled as cancelled:
            self._tasks.ended(self)
            self.set_exception(cancelled)
        except Exception as error:
            self._tasks.ended(self)
            unheard = not self._callbacks
            self.set_exception(error)
            if unheard:
                self._tasks.on_bug(getattr(self._coroutine, "__qualname__", "a coroutine"), error)
        except BaseException as error:  # such as SystemExit: it ends the loop
            self._tasks.ended(self)
            self.set_exception(error)
            raise
        else:
            self._wait_for(awaited)
        finally:
            self._tasks.current = None

    def _wait_for(self, awaited: Any) -> None:
        if not isinstance(awaited, Future):
            self._interruptions.append(TypeError(f"cannot wait for {awaited!r}: it is no future of this loop"))
        if self._interruptions:
            self._schedule()
        else:
            self._waits_for = awaited
            awaited.when_done(self._wake)


class Timeout:
    """`async with` it: TimeoutError when the block is not left in time, also if the time was over before it began.

    For the task that enters it only: an async generator must not `yield` inside.
    """

    __slots__ = ("_expired", "_task", "_tasks", "_timer", "_when")

    def __init__(self, tasks: Tasks, when: float | None) -> None:
        """`when` is monotonic seconds; None is never."""
        self._tasks = tasks
        self._when = when
        self._expired: Cancelled | None = None
        self._timer: Timer | None = None

    async def __aenter__(self) -> None:
        if self._when is None:
            return
        if self._when <= self._tasks.time():
            raise TimeoutError
        assert self._tasks.current is not None
        self._task = self._tasks.current
        self._timer = self._tasks.at(self._when, self._ring)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if self._timer is None:
            return
        self._timer.cancel()
        if self._expired is not None:
            self._task.spare(self._expired)
            if error is self._expired:
                raise TimeoutError from None

    def _ring(self) -> None:
        self._expired = Expired()
        self._task.interrupt(self._expired)


class Expired(Cancelled):
    """What a Timeout throws in, and takes back at its end."""


class Tasks:
    """Runs tasks, timers and callbacks in one thread. With nothing due it waits in poll(2) without limit.

    In each turn come first the descriptors, then the timers, then what was ready by then: what becomes ready meanwhile
    comes in the next turn, after a look at the descriptors. So nobody starves another by being busy.
    """

    def __init__(self, on_bug: Callable[[str, Exception], None], clock: Callable[[], float] = time.monotonic) -> None:
        """`on_bug` is told where, and what: an exception of a callback, or of a task that nobody waits for."""
        self.on_bug = on_bug
        self.time = clock
        """Seconds, the measure of all times here."""
        self.current: Task[Any] | None = None
        """The task that is being run."""
        self.timers = Timers()
        self._loop = Loop(on_signals=lambda came: None, on_turn=self._round)
        self._ready: deque[Callable[[], None]] = deque()
        self._open: dict[Task[Any], None] = {}

    # Running

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run until this coroutine ends, then cancel all else, the youngest first. Its result or exception."""
        main = self.spawn(coroutine)
        main.when_done(lambda: None)  # somebody waits for it: its exception is raised here
        try:
            while not main.done():
                self._turn()
            return main.result()
        finally:
            self._close()

    def spawn(self, coroutine: Coroutine[Any, Any, T]) -> Task[T]:
        """Begin a task; its first step is in the next round."""
        task = Task(self, coroutine)
        self._open[task] = None
        return task

    def ended(self, task: Task[Any]) -> None:
        """A task tells its end."""
        del self._open[task]

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back in the next round."""
        self._ready.append(callback)

    # Time

    def at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back once at that time."""
        return self.timers.add(when, callback)

    def after(self, seconds: float, callback: Callable[[], None]) -> Timer:
        return self.timers.add(self.time() + seconds, callback)

    async def sleep(self, seconds: float) -> None:
        """With 0: until everybody else who is ready had a turn."""
        over: Future[None] = Future()
        if seconds <= 0:
            self.soon(partial(over.set_result, None))
            await over
            return
        timer = self.after(seconds, partial(over.set_result, None))
        try:
            await over
        finally:
            timer.cancel()

    def timeout(self, seconds: float | None) -> Timeout:
        """For `async with`; None is without limit."""
        return self.timeout_at(None if seconds is None else self.time() + seconds)

    def timeout_at(self, when: float | None) -> Timeout:
        return Timeout(self, when)

    async def wait(self, future: Future[Any], seconds: float | None) -> bool:
        """Wait until it is done, whatever came of it, at most so long; whether it is done."""
        try:
            async with self.timeout(seconds):
                await Settled(future)
        except TimeoutError:
            pass
        return future.done()

    # Descriptors

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call back with what came, as long as there is any of these events, a hang-up or an error (poll(2)).

        A descriptor has one watch, the last. `unwatch` it before it is closed.
        """
        self._loop.watch(fd, events, lambda came: self._guarded("a descriptor", partial(callback, came)))

    def unwatch(self, fd: int) -> None:
        self._loop.unwatch(fd)

    async def ready(self, events: int, *fds: int) -> None:
        """Wait until one of them has one of these events, a hang-up or an error. Takes the place of other watches."""
        came = Event()
        for fd in fds:
            self.watch(fd, events, lambda _events: came.set())
        try:
            await came.wait()
        finally:
            for fd in fds:
                self.unwatch(fd)

    # One turn

    def _turn(self) -> None:
        soonest = self.timers.soonest()
        if self._ready:
            self._loop.turn(0.0)
        elif soonest is not None:
            self._loop.turn(max(0.0, soonest - self.time()))
        else:
            self._loop.turn()

    def _round(self) -> None:
        for timer in self.timers.take(self.time()):
            self._guarded("a timer", timer.ring)
        for _ in range(len(self._ready)):
            self._guarded("a callback", self._ready.popleft())

    def _guarded(self, where: str, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception as error:
            self.on_bug(where, error)

    def _close(self) -> None:
        """Each is cancelled once, however long it takes to tidy up."""
        told: set[Task[Any]] = set()
        while self._open:
            for task in reversed([task for task in self._open if task not in told]):
                told.add(task)
                task.cancel()
            self._turn()
