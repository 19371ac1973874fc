"""The reader of logs: what was printed, and what comes. Runs in a process of its own. One log is in `sources`."""

from __future__ import annotations

import heapq
import json
import re
import resource
import socket
from collections.abc import Iterable
from itertools import chain, islice
from typing import Any, Final

from pserv.system.archive import archives
from pserv.system.changes import Changes
from pserv.system.choosing import Choice
from pserv.system.following import Followed, look
from pserv.system.outbox import END, Gone, Outbox
from pserv.system.sources import Entry, Source

_WINDOWS: Final = 64 << 20
"""Bytes for all compressed files that are read side by side."""
_WINDOW: Final = (1 << 18, 16 << 20)
_TOGETHER: Final = 256
"""Lines that are sent in one piece when those of several logs are merged."""


def reader(sock: socket.socket, argument: str) -> int:
    """Send lines of logs, then, with `follow`, what comes until the receiver goes; the exit code.

    `argument` is JSON: `{"files": [{"service", "stream", "path", "after"?: place}], "lines"?: so many of the last of
    each, "follow", "reverse", "places"}` (true or false), `since` and `until` (seconds since 1970), and what
    `choosing.Choice` reads. Notes and errors are told as lines, too; the last one is `outbox.END`.
    """
    sock.setblocking(True)
    asked = json.loads(argument)
    outbox = Outbox(sock)
    try:
        _read(asked, sock, outbox)
        outbox.put(END)
        outbox.flush()
    except Gone:
        pass
    finally:
        sock.close()
    return 0


def _read(asked: dict[str, Any], sock: socket.socket, outbox: Outbox) -> None:
    """Raises Gone."""
    try:
        choice = Choice(asked)
    except (re.error, OverflowError, RecursionError) as error:
        text = f"cannot search for {asked['grep']!r}: it is no regular expression: {error}"
        outbox.tell(
            "error", message=text, hint="a plain text: put \\ before . * + ? ( [ { | ^ $", exit_code=2, kind="usage"
        )
        return
    _allow_files()
    files = asked["files"]
    window = min(max(_WINDOWS // max(1, len(files)), _WINDOW[0]), _WINDOW[1])
    found = archives([one["path"] for one in files], window, foreign=True)
    placed = asked.get("places", False)
    sources = [Source(one, archive, choice, outbox, placed=placed) for one, archive in zip(files, found, strict=True)]
    try:
        for source in sources:
            source.limit(asked)
            if placed:
                source.tell_place(source.first_place)
        _tell(sources, asked, outbox)
        if asked.get("follow"):
            _follow(sources, sock, outbox)
    finally:
        for source in sources:
            source.archive.close()


def _tell(sources: list[Source], asked: dict[str, Any], outbox: Outbox) -> None:
    """What has been printed; what came from several logs, by the time at which it did. Raises Gone."""
    reverse, several = bool(asked.get("reverse")), len(sources) > 1
    limit = asked.get("lines") if reverse else None
    blocks = [source.entries(timed=several, reverse=reverse) for source in sources]
    if not several and limit is None:
        for entries in chain.from_iterable(blocks):
            outbox.put(b"".join(part for _, part in entries))
        return
    lines: list[Iterable[Entry]] = [islice(chain.from_iterable(each), limit) for each in blocks]
    merged = heapq.merge(*lines, key=_time, reverse=reverse)
    while together := list(islice(merged, _TOGETHER)):
        outbox.put(b"".join(part for _, part in together))


def _time(entry: Entry) -> float:
    return entry[0]


def _follow(sources: list[Source], sock: socket.socket, outbox: Outbox) -> None:
    """Until the receiver closes its side. Raises Gone."""
    changes = Changes()
    followed = [Followed(source) for source in sources]
    for file, source in zip(followed, sources, strict=True):
        source.archive.active = None  # the follower's now
        if source.placed:
            file.tell_place()
    try:
        changed: set[int] | None = None
        while True:
            for file in followed:
                if changed is None or -1 in file.watches or not changed.isdisjoint(file.watches):
                    look(file, changes)
            outbox.flush()
            told, closed = changes.wait(sock.fileno(), all(-1 not in file.watches for file in followed))
            if closed:
                # The receiver hears no more news but may still take what was written until now (shutdown(2)).
                for file in followed:
                    look(file, changes)
                return
            changed = None if not told or -1 in told else told
    finally:
        for file in followed:
            file.close()
        changes.close()


def _allow_files() -> None:
    """Each log that is followed is open all the time."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    except (OSError, ValueError):
        return
