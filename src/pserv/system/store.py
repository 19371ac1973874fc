"""The accepted configuration in the state folder: written whole or not at all, the one before it kept."""

from __future__ import annotations

import os
import socket

from pserv.keeper import quickjson

ACCEPTED = "accepted.json"
PREVIOUS = "previous.json"
OWN_LOG = "daemon.log"
"""The daemon's own log stands beside them."""
TIMES = "schedule.json"
"""When services of `missed: run` are to run next."""


def write(folder: str, data: bytes, name: str = ACCEPTED) -> None:
    """Replace a file by rename (rename(2) is atomic), after fsync; the old accepted configuration becomes `previous`.

    Raises OSError; what was there stays as it was.
    """
    os.makedirs(folder, mode=0o700, exist_ok=True)
    path = os.path.join(folder, name)
    fresh = f"{path}.new"
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        os.fsync(fd)
    finally:
        os.close(fd)
    if name == ACCEPTED and read(folder, ACCEPTED) not in (data, b""):
        os.replace(path, os.path.join(folder, PREVIOUS))
    os.replace(fresh, path)
    directory = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def read(folder: str, name: str) -> bytes:
    """The stored configuration, empty where there is none."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def store(sock: socket.socket, argument: str) -> int:
    """A role for a fork of the keeper, so that a disk that hangs never holds up the loop.

    The argument is JSON `{"folder", "read"?: name, "write"?: name}`. Without `read` the data comes over the socket
    until its end, and
    the answer is empty or the text of an error; with it the answer is the content.
    """
    asked = quickjson.loads(argument)
    sock.setblocking(True)
    answer = b""
    if "read" in asked:
        answer = read(asked["folder"], asked["read"])
    else:
        chunks = []
        while chunk := sock.recv(1 << 16):
            chunks.append(chunk)
        try:
            if data := b"".join(chunks):  # none: who was to send it has died
                write(asked["folder"], data, asked.get("write", ACCEPTED))
        except OSError as error:
            answer = f"cannot keep the configuration in {asked['folder']}: {error.strerror}".encode()
    sock.sendall(answer)
    return 0
