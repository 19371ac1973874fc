"""The reader of logs: the last lines of files, and what comes, across rotation. Runs in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import stat
from typing import Final

from pserv.logger.tail import tail_offset
from pserv.system.changes import Changes
from pserv.system.lines import Lines

_BLOCK: Final = 1 << 16
_NO_SIGNAL: Final = getattr(socket, "MSG_NOSIGNAL", 0)
"""A receiver that is gone is an error of send, not SIGPIPE."""


class Gone(Exception):
    """The receiver has closed its end."""


class Outbox:
    """Lines as NDJSON to a socket; blocks while the receiver does not take them."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parts: list[bytes] = []
        self._size = 0

    def put(self, head: str, lines: list[str], tail: str) -> None:
        """Queue lines; sends when there is much. Raises Gone."""
        for line in lines:
            part = f"{head}{json.dumps(line)}{tail}".encode()
            self._parts.append(part)
            self._size += len(part)
        if self._size >= _BLOCK:
            self.flush()

    def flush(self) -> None:
        """Send all. Raises Gone."""
        data, self._parts, self._size = b"".join(self._parts), [], 0
        try:
            self._socket.sendall(data, _NO_SIGNAL)
        except OSError:
            raise Gone from None


class Followed:
    """One file by its path: which inode is read, and how far. What cannot be opened is as if it were not there."""

    __slots__ = ("_head", "_inode", "_lines", "_offset", "_outbox", "_place", "_tail", "fd", "path", "watches")

    def __init__(self, service: str, stream: str, path: str, outbox: Outbox, *, places: bool = False) -> None:
        """`places`: tell, before and after lines, where in the file they end."""
        self.path = path
        self.fd = -1
        self.watches: set[int] = set()
        """What may tell of news: the folder, the file, and the one that will follow it; -1: it is to be looked at."""
        self._inode = (0, 0)
        self._offset = 0
        self._lines = Lines()
        self._outbox = outbox
        self._head = f'{{"type":"line","service":{json.dumps(service)},"text":'
        self._tail = f',"stream":{json.dumps(stream)}}}\n'
        self._place = ""
        if places:
            self._place = f'{{"type":"place","service":{json.dumps(service)},"stream":{json.dumps(stream)},"at":'

    def begin(self, lines: int, after: list[int] | None = None) -> None:
        """Open, and start `lines` lines before the end, or `after` a place (device, inode, offset). Raises Gone.

        Where another file has the path now, all of that is given.
        """
        fd, status = _open(self.path)
        if status is not None:
            self._take(fd, status)
            if after is None:
                try:
                    self._offset = tail_offset(fd, 0, status.st_size, lines)
                except OSError:
                    self._offset = status.st_size
            elif (after[0], after[1]) == self._inode:
                self._offset = after[2]
        self._tell_place()

    def read(self) -> None:
        """Give all lines that have come. Raises Gone."""
        while self.fd >= 0:
            try:
                if os.fstat(self.fd).st_size < self._offset:
                    self.flush()
                    self._offset = 0
                data = os.pread(self.fd, _BLOCK, self._offset)
            except OSError:  # such as EIO or ESTALE: another look follows with the next change
                return
            if not data:
                return
            self._offset += len(data)
            lines = self._lines.feed(data)
            if lines:
                self._put(lines)
                self._tell_place()

    def deleted(self) -> bool:
        """Whether what is read has no name any more."""
        return self.fd >= 0 and os.fstat(self.fd).st_nlink == 0

    def successor(self) -> int | None:
        """The size of the file that has our path now, if that is another one."""
        try:
            named = os.stat(self.path)
        except OSError:
            return None
        return None if (named.st_dev, named.st_ino) == self._inode else named.st_size

    def renew(self) -> None:
        """Finish this file and go on with the one that has our path now. Raises Gone."""
        fd, status = _open(self.path)
        if status is not None:
            self.read()
            self.flush()
            self.close()
            self._take(fd, status)
            self._tell_place()

    def flush(self) -> None:
        """Give what has no line end: nothing will follow. Raises Gone."""
        self._put(self._lines.flush())

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _take(self, fd: int, status: os.stat_result) -> None:
        self.fd, self._inode, self._offset = fd, (status.st_dev, status.st_ino), 0

    def _tell_place(self) -> None:
        if self._place:
            at = ":".join(map(str, (*self._inode, self._offset - self._lines.pending)))
            self._outbox.put(self._place, [at], "}\n")

    def _put(self, lines: list[str]) -> None:
        if lines:
            self._outbox.put(self._head, lines, self._tail)


def reader(sock: socket.socket, argument: str) -> int:
    """Send the last lines of files, then, with `follow`, what comes until the receiver goes; the exit code.

    `argument` is JSON: `{"files": [{"service", "stream", "path", "after"?}], "lines": number, "follow": bool,
    "places"?: bool}`.
    """
    sock.setblocking(True)
    asked = json.loads(argument)
    outbox = Outbox(sock)
    places = asked.get("places", False)
    files = [Followed(one["service"], one["stream"], one["path"], outbox, places=places) for one in asked["files"]]
    try:
        for file, one in zip(files, asked["files"], strict=True):
            file.begin(asked["lines"], one.get("after"))
            if not asked["follow"]:
                file.read()
                file.flush()
                file.close()
        if asked["follow"]:
            _follow(files, sock, outbox)
        outbox.flush()
    except Gone:
        pass
    finally:
        for file in files:
            file.close()
        sock.close()
    return 0


def _follow(files: list[Followed], sock: socket.socket, outbox: Outbox) -> None:
    """Until the receiver closes its side. Raises Gone."""
    changes = Changes()
    try:
        changed: set[int] | None = None
        while True:
            for file in files:
                if changed is None or -1 in file.watches or not changed.isdisjoint(file.watches):
                    _look(file, changes)
            outbox.flush()
            told, closed = changes.wait(sock.fileno(), all(-1 not in file.watches for file in files))
            if closed:
                # The receiver hears no more news but may still take what was written until now (shutdown(2)).
                for file in files:
                    _look(file, changes)
                outbox.flush()
                return
            changed = None if not told or -1 in told else told
    finally:
        changes.close()


def _look(file: Followed, changes: Changes) -> None:
    """Give what has come; go on with the file that took our path, if there is one and somebody has written to it.

    Whoever rotates may make the new file while the old one is still written. Raises Gone.
    """
    # Watch before reading: what comes between the two is told, and then read for nothing.
    watches = {changes.watch_folder(os.path.dirname(file.path) or ".")}
    if file.fd >= 0:
        watches.add(changes.watch_file(f"/proc/self/fd/{file.fd}"))
    file.read()
    size = file.successor()
    if size == 0 and file.fd >= 0:
        watches.add(changes.watch_file(file.path))
        size = file.successor()
    if size is not None and (size or file.fd < 0):
        file.renew()
        if file.fd >= 0:
            watches.add(changes.watch_file(f"/proc/self/fd/{file.fd}"))
        file.read()
    if file.deleted():
        watches.add(-1)  # a folder that is deleted while we have a file of it open is not told
    for number in file.watches - watches:
        changes.forget(number)
    file.watches = watches


def _open(path: str) -> tuple[int, os.stat_result | None]:
    """A regular file, opened; (-1, None) for what is none: reading a FIFO would take what is meant for another."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return -1, None
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode):
        return fd, status
    os.close(fd)
    return -1, None
