"""The accepted configuration in the state folder: written whole or not at all, some of those before it kept."""

from __future__ import annotations

import os
import socket

from pserv.keeper import quickjson

ACCEPTED = "accepted.json"
PREVIOUS = "previous.json"
KEPT = 5
"""So many configurations of before are kept: `previous.json`, the last, then `previous.2.json` …"""
NOT_DECLARED = ("files", "notes")
"""What a document has besides what was declared: when a file was written is no other configuration."""
OWN_LOG = "daemon.log"
"""The daemon's own log stands beside them."""
TIMES = "schedule.json"
"""When services of `missed: run` are to run next."""


def write(folder: str, data: bytes, name: str = ACCEPTED) -> None:
    """Replace a file by rename (rename(2) is atomic), after fsync; another accepted configuration becomes `previous`.

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
    if name == ACCEPTED:
        _keep(folder, data)
    os.replace(fresh, path)
    directory = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def previous(number: int) -> str:
    """The name of the file of the last but `number` configuration."""
    return PREVIOUS if number == 1 else f"previous.{number}.json"


def kept(folder: str) -> list[str]:
    """The names of the files of earlier configurations, the last one first."""
    return [name for number in range(1, KEPT + 1) if os.path.exists(os.path.join(folder, name := previous(number)))]


def _keep(folder: str, data: bytes) -> None:
    """What was accepted becomes the first of the kept, unless `data` declares the same; what is in `data` is not kept.

    A crash between two renames leaves a gap, or the last one twice.
    """
    before = read(folder, ACCEPTED)
    if not before or before == data:
        return
    new = declared(data)
    if declared(before) in (None, new):
        return
    others = [name for name in kept(folder) if declared(read(folder, name)) != new][: KEPT - 1]
    for number in range(len(others), 0, -1):
        os.replace(os.path.join(folder, others[number - 1]), os.path.join(folder, previous(number + 1)))
    os.replace(os.path.join(folder, ACCEPTED), os.path.join(folder, PREVIOUS))


def declared(data: bytes) -> dict[str, object] | None:
    """What a stored configuration says, but for when its files were written; None where that cannot be read."""
    try:
        document = quickjson.loads(data.decode())
        return {name: value for name, value in document.items() if name not in NOT_DECLARED}
    except (ValueError, AttributeError):
        return None


def last_good(folder: str) -> bytes:
    """The last configuration that can be read, empty where there is none."""
    for name in (ACCEPTED, *kept(folder)):
        if declared(data := read(folder, name)) is not None:
            return data
    return b""


def read(folder: str, name: str) -> bytes:
    """The stored configuration, empty where there is none."""
    try:
        with open(os.path.join(folder, name), "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


def listed(folder: str) -> list[dict[str, object]]:
    """What is told of the kept configurations: number, when it was accepted (since the epoch), services."""
    rows: list[dict[str, object]] = []
    for number, name in enumerate(kept(folder), 1):
        found = declared(read(folder, name))
        services = found.get("services", {}) if found is not None else {}
        at = os.stat(os.path.join(folder, name)).st_mtime
        rows.append({"number": number, "at": at, "services": list(services) if isinstance(services, dict) else []})
    return rows


def store(sock: socket.socket, argument: str) -> int:
    """A role for a fork of the keeper, so that a disk that hangs never holds up the loop.

    The argument is JSON `{"folder", "read"?: name, "kept"?: "all", "write"?: name}`. With `read` the answer is the
    content, with `kept` a JSON list of `{"number", "at", "services"}`; else the data comes over the socket until its
    end, and the answer is empty or the text of an error.
    """
    asked = quickjson.loads(argument)
    sock.setblocking(True)
    answer = b""
    if "read" in asked:
        answer = read(asked["folder"], asked["read"])
    elif "kept" in asked:
        answer = quickjson.dumps(listed(asked["folder"])).encode()
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
