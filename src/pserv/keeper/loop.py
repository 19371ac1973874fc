"""Waiting: one poll for all descriptors, deadlines and signals. What is done about them is told by who asked."""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable, Hashable
from functools import partial

WATCHED_SIGNALS = (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)

_MOST_FAULTS = 1000

READ = select.POLLIN
WRITE = select.POLLOUT
PRIORITY = select.POLLPRI


class Loop:
    """poll(2) rather than a selector, which knows no POLLPRI (cgroup.events); few descriptors are ever watched.

    Without a deadline it waits without limit, so an idle keeper is never woken. Deadlines are CLOCK_MONOTONIC seconds.
    """

    def __init__(self, on_signals: Callable[[set[int]], None], on_turn: Callable[[], None]) -> None:
        self._poll = select.poll()
        self._watched: dict[int, tuple[int, Callable[[int], None]]] = {}
        self._deadlines: dict[Hashable, tuple[float, Callable[[], None]]] = {}
        self._on_signals = on_signals
        self._on_turn = on_turn
        self._soon: list[Callable[[], None]] = []
        self._faults = 0
        self._wake_read = -1
        self._wake_write = -1

    def listen(self) -> None:
        """Catch the signals; a byte in the wake-up pipe, not the Python handler, tells which came."""
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for signum in WATCHED_SIGNALS:
            signal.signal(signum, _caught)
        self.watch(self._wake_read, READ, self._woken)

    def close(self) -> None:
        """Stop catching signals."""
        signal.set_wakeup_fd(-1)
        self.unwatch(self._wake_read)
        os.close(self._wake_read)
        os.close(self._wake_write)

    def watch(self, fd: int, events: int, callback: Callable[[int], None]) -> None:
        """Call back with the events that came; hang-up and error always come too. Replaces an earlier watch."""
        if self._watched.get(fd, (0, None))[0] != events:
            self._poll.register(fd, events)
        self._watched[fd] = (events, callback)

    def unwatch(self, fd: int) -> None:
        """Before the descriptor is closed, else its number would be watched for the next who gets it."""
        if self._watched.pop(fd, None) is not None:
            self._poll.unregister(fd)

    def at(self, name: Hashable, when: float, callback: Callable[[], None]) -> None:
        """Call back once at that time; a name has one deadline, the last one given."""
        self._deadlines[name] = (when, callback)

    def cancel(self, name: Hashable) -> None:
        """Drop the deadline if there is one."""
        self._deadlines.pop(name, None)

    def pending(self, name: Hashable) -> bool:
        """Whether the name has a deadline."""
        return name in self._deadlines

    def soon(self, callback: Callable[[], None]) -> None:
        """Call back once, before anybody else is called back."""
        self._soon.append(callback)

    def turn(self, most: float | None = None) -> None:
        """Wait, at most so many seconds; then do all that is due: descriptors, signals, deadlines, and `on_turn`."""
        ready = self._poll.poll(self._timeout(most))
        for fd, events in ready:
            watched = self._watched.get(fd)  # an earlier callback of this turn may have closed it
            if watched is not None:
                self._guarded(partial(watched[1], events))
        now = time.monotonic()
        for name, (when, callback) in list(self._deadlines.items()):
            if when <= now and self._deadlines.get(name) == (when, callback):
                del self._deadlines[name]
                self._guarded(callback)
        self._guarded(self._on_turn)

    def _guarded(self, callback: Callable[[], None]) -> None:
        """A mistake in one thing must not end the parent of all; one that never ends is no life either."""
        try:
            callback()
        except Exception:
            self._faults += 1
            if self._faults > _MOST_FAULTS:
                raise
            sys.excepthook(*sys.exc_info())
        while self._soon:
            self._guarded(self._soon.pop(0))

    def _timeout(self, most: float | None) -> float | None:
        """Milliseconds until the next deadline; None waits without limit."""
        if self._deadlines:
            soonest = max(0.0, min(when for when, _ in self._deadlines.values()) - time.monotonic())
            most = soonest if most is None else min(most, soonest)
        return most if not most else most * 1000.0 + 0.5

    def _woken(self, events: int) -> None:
        came: set[int] = set()
        while True:
            try:
                data = os.read(self._wake_read, 4096)
            except BlockingIOError:
                break
            came.update(data)
        self._on_signals(came)


def _caught(signum: int, frame: object) -> None:
    """Python wants a handler, or it would not write to the wake-up pipe."""
