"""One datagram of the notify protocol (sd_notify(3)) as it comes from its socket. What it means is told elsewhere."""

from __future__ import annotations

import array
import os
import socket
import struct

MOST = 4096
"""Bytes; systemd takes no longer ones either."""

_CREDENTIALS = struct.Struct("iII")  # struct ucred: pid, uid, gid
_SCM_CREDENTIALS = getattr(socket, "SCM_CREDENTIALS", None)
_PASSCRED = getattr(socket, "SO_PASSCRED", None)
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)
_ROOM = socket.CMSG_SPACE(4 * 253) + socket.CMSG_SPACE(_CREDENTIALS.size)  # SCM_MAX_FD descriptors, and who sent them

TELLS_SENDERS = _PASSCRED is not None and _SCM_CREDENTIALS is not None
"""Whether the kernel says who sent a datagram (Linux)."""


class Datagram:
    """Variables by name (the first counts), descriptors, and the sender; `problem` where it is not to be used.

    Whoever gets it closes the descriptors.
    """

    __slots__ = ("fds", "pid", "problem", "text", "uid", "variables")

    def __init__(self, data: bytes, fds: list[int]) -> None:
        self.fds = fds
        self.pid = self.uid = -1
        self.problem = ""
        self.text = ""
        self.variables: dict[str, str] = {}
        try:
            self.text = data.removesuffix(b"\0").decode()
        except UnicodeDecodeError:
            self.problem = "no UTF-8"
            return
        for line in self.text.split("\n"):
            name, equals, value = line.partition("=")
            if equals and name:
                self.variables.setdefault(name, value)
        if "\0" in self.text or not self.variables:
            self.problem = "no variables"

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []


def listen(address: str) -> socket.socket:
    """A socket bound to a path, or with a leading `@` to an abstract name. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if _PASSCRED is not None:
            sock.setsockopt(socket.SOL_SOCKET, _PASSCRED, 1)
        sock.bind("\0" + address[1:] if address.startswith("@") else address)
    except OSError:
        sock.close()
        raise
    return sock


def receive(sock: socket.socket) -> Datagram | None:
    """The next that waits; None when none does."""
    try:
        data, ancillary, flags, _ = sock.recvmsg(MOST, _ROOM, _CLOEXEC)
    except (BlockingIOError, InterruptedError):
        return None
    fds = array.array("i")
    sender = b""
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(payload[: len(payload) - len(payload) % fds.itemsize])
        elif (level, kind) == (socket.SOL_SOCKET, _SCM_CREDENTIALS):
            sender = payload
    if not _CLOEXEC:
        for fd in fds:
            os.set_inheritable(fd, False)
    came = Datagram(data, list(fds))
    if len(sender) == _CREDENTIALS.size:
        came.pid, came.uid, _ = _CREDENTIALS.unpack(sender)
    elif TELLS_SENDERS:
        came.problem = "no credentials"
    if flags & socket.MSG_TRUNC:
        came.problem = f"longer than {MOST} bytes"
    elif flags & socket.MSG_CTRUNC:
        came.problem = "descriptors were lost"
    return came
