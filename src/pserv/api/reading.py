"""Lines of the services' logs for a client, read by a process of their own. How a file is read is in `system.logs`."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterable

import msgspec

from pserv.api import operations as op
from pserv.model.errors import UsageError
from pserv.supervisor.main import Session
from pserv.system import launches
from pserv.system.streams import Reader

MAX_LINE = 1 << 20
"""Bytes of one line from a reader."""

_LINE: msgspec.json.Decoder[op.Line | op.Place] = msgspec.json.Decoder(op.Line | op.Place)


async def lines(session: Session, names: Iterable[str], request: op.Logs) -> AsyncIterator[op.Line | op.Place]:
    """Lines from a process of their own, so that a disk that hangs or a slow client holds up nobody."""
    after = _after(request.after)
    files = [
        {"service": name, "stream": part, "path": path, "after": after.get((name, part))}
        for name in names
        for part, path in launches.log_files(name, session.supervisor.specs[name], session.supervisor.places)
        if request.stream in (None, part)
    ]
    if not files:
        return
    asked = {"lines": request.lines, "follow": request.follow, "places": request.places}
    argument = json.dumps({"files": files, **asked})
    _, fds = await session.keeper.request({"op": "fork", "role": "reader", "argument": argument})
    sock = socket.socket(fileno=fds[0])
    session.readers.add(sock)
    try:
        async with Reader(session.tasks, sock, MAX_LINE) as reader:
            while line := await reader.readline():
                yield _LINE.decode(line)
    finally:
        session.readers.discard(sock)


def _after(places: Iterable[str]) -> dict[tuple[str, str], list[int]]:
    """The places at which a follower goes on. Raises UsageError."""
    found = {}
    for text in places:
        try:
            name, stream, at = text.split("/")
            device, inode, offset = map(int, at.split(":"))
        except ValueError:
            raise UsageError(f"cannot go on after {text!r}: this is no place in a log") from None
        found[name, stream] = [device, inode, max(0, offset)]
    return found
