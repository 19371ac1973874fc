"""What a supervisor does when the keeper was killed: end every service by itself, since nobody else can (Linux)."""

from __future__ import annotations

import os
import select
import signal
import sys
import time

from pserv.keeper import cgroup, strays

GRACE = 2.0
"""Seconds between SIGTERM and SIGKILL."""

ROUNDS = 50


def end_all(leaders: set[int], cookie: str) -> None:
    """SIGTERM, then SIGKILL until none is left, to all that bears the cookie or is in the session of a leader.

    The cgroup folders of this daemon are removed as far as they are empty then.
    """
    if sys.platform != "linux" or not hasattr(os, "pidfd_open"):
        for leader in leaders:
            _signal_group(leader, signal.SIGKILL)
        return
    _end_each(leaders, cookie)
    folder = cgroup.find(cookie)
    if folder is not None:
        cgroup.remove(folder)


def _end_each(leaders: set[int], cookie: str) -> None:
    """Nobody waits for these processes any more, so a pid may already be another's: each is held by a pidfd before
    its mark is looked at (pidfd_open(2)), and only then signalled.
    """
    deadline = time.monotonic() + GRACE
    for attempt in range(ROUNDS):
        held = _hold(leaders, cookie)
        if not held:
            return
        number = signal.SIGTERM if attempt == 0 else signal.SIGKILL
        for fd in held:
            try:
                signal.pidfd_send_signal(fd, number)
            except OSError:
                continue
        _await(held, deadline if attempt == 0 else time.monotonic() + 1.0)


def _hold(leaders: set[int], cookie: str) -> list[int]:
    """A pidfd for each living process of ours."""
    held = []
    for pid in strays.everyone(known=[os.getpid()]):
        try:
            fd = os.pidfd_open(pid)
        except OSError:
            continue
        if _is_ours(pid, leaders, cookie):
            held.append(fd)
        else:
            os.close(fd)
    return held


def _is_ours(pid: int, leaders: set[int], cookie: str) -> bool:
    process = strays.read(pid)
    if process is None or process.ended:
        return False
    return process.session in leaders or strays.run_of(pid, cookie) is not None


def _await(held: list[int], deadline: float) -> None:
    """Wait until all have ended or it is time; closes the descriptors."""
    poll = select.poll()
    for fd in held:
        poll.register(fd, select.POLLIN)
    left = set(held)
    while left and (rest := deadline - time.monotonic()) > 0:
        for fd, _ in poll.poll(rest * 1000):
            poll.unregister(fd)
            left.discard(fd)
    for fd in held:
        os.close(fd)


def _signal_group(leader: int, number: int) -> None:
    try:
        os.killpg(leader, number)
    except OSError:
        return
