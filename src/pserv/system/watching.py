"""A process that watches files for all services, and tells what changed once they have been quiet for a while.

On Linux the kernel tells (inotify(7)); an idle watcher is never woken, and what is ignored costs no watch. Elsewhere
it looks at all of it once a second.
"""

from __future__ import annotations

import select
import socket
import time
from typing import Any, Final

from pserv.keeper import quickjson
from pserv.system.trees import Files, Looks, Trees, changed_since

LONGEST: Final = 5.0
"""Seconds after which changes that never end are told all the same."""


MOST_COUNTED: Final = 1000
MOST_TOLD: Final = 16


class Group:
    """The files of one service, and what has changed of them since it was told."""

    __slots__ = ("asked", "begun", "due", "files", "paths", "told")

    def __init__(self, asked: dict[str, Any]) -> None:
        self.asked = asked
        self.files = Files(tuple(asked["roots"]), tuple(asked["ignore"]), tuple(asked["own"]))
        self.paths: dict[str, None] = {}
        """What has changed, in the order in which it did; at most so many as are counted."""
        self.begun = self.due = 0.0
        self.told: str | None = None
        """The trouble that was told; None before anything was."""

    def changed(self, path: str, now: float) -> None:
        if not self.paths:
            self.begun = now
        if len(self.paths) < MOST_COUNTED:
            self.paths[path] = None
        self.due = min(now + self.asked["debounce"], self.begun + max(LONGEST, self.asked["debounce"]))


def watcher(sock: socket.socket, argument: str) -> int:
    """A role. It is told, a JSON array a line, all groups that are watched from now on: `{"name", "roots", "ignore",
    "own", "debounce", "since"}`; roots are absolute paths, `own` files whose changes do not count, nor what is named
    after them. What is there and has changed `since` that time (since the epoch, null: none) is told as a change, too.

    It answers with an object a line: `{"watched": name, "trouble": text}` once the files are watched, and at the end of
    trouble; `{"changed": name, "paths", "count"}` with the first paths that changed, and how many did.
    """
    sock.setblocking(False)
    try:
        return Watcher(sock).run()
    except (BrokenPipeError, ConnectionResetError):
        return 0  # nobody listens any more


class Watcher:
    """The loop of that process."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._heard = b""
        self._groups: dict[str, Group] = {}
        self._trees: Trees | Looks = Looks()
        try:
            self._trees = Trees()
        except OSError:
            pass

    def run(self) -> int:
        """Until nobody listens; the exit code."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN)
        if self._trees.fd >= 0:
            poll.register(self._trees.fd, select.POLLIN)
        while True:
            came = [fd for fd, _ in poll.poll(self._wait())]
            now = time.monotonic()
            if self._sock.fileno() in came and not self._hear():
                self._trees.close()
                return 0
            files = {name: group.files for name, group in self._groups.items()}
            for name, path in self._trees.changes(files):
                self._groups[name].changed(path, now)
            self._tell(time.monotonic())

    def _wait(self) -> float | None:
        """Milliseconds until something is due."""
        due = [group.due for group in self._groups.values() if group.paths]
        if self._groups and self._trees.pause is not None:
            due.append(time.monotonic() + self._trees.pause)
        return None if not due else max(0.0, min(due) - time.monotonic()) * 1000 + 0.5

    def _hear(self) -> bool:
        """Take what is asked for; False at the end."""
        try:
            data = self._sock.recv(1 << 16)
        except BlockingIOError:
            return True
        if not data:
            return False
        *lines, self._heard = (self._heard + data).split(b"\n")
        for line in lines:
            asked = {each["name"]: each for each in quickjson.loads(line.decode())}
            since = {name: each.pop("since", None) for name, each in asked.items()}
            for name in [name for name, group in self._groups.items() if asked.get(name) != group.asked]:
                del self._groups[name]
            for name, each in asked.items():
                if name not in self._groups:
                    self._groups[name] = group = Group(each)
                    self._trees.cover(group.files)
                    for path in changed_since(group.files, since[name]) if since[name] is not None else ():
                        group.changed(path, time.monotonic())
            self._trees.forget([group.files for group in self._groups.values()])
        return True

    def _tell(self, now: float) -> None:
        for name, group in self._groups.items():
            if group.told != group.files.trouble:
                group.told = group.files.trouble
                self._say({"watched": name, "trouble": group.told})
            if group.paths and group.due <= now:
                self._say({"changed": name, "paths": list(group.paths)[:MOST_TOLD], "count": len(group.paths)})
                group.paths = {}

    def _say(self, told: dict[str, Any]) -> None:
        self._sock.setblocking(True)
        self._sock.sendall(quickjson.dumps(told).encode() + b"\n")
        self._sock.setblocking(False)
