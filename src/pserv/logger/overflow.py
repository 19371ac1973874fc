"""Output that its file does not take, thrown away where `on_full` says so: counted, told, and marked in the file.

With `drop-newest` what is printed goes as it comes, with `drop-oldest` the pipe keeps the last of it. What was in hand
when the trouble began is written in both, and so is the line that it may have ended in: only whole lines are missing.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from pserv.logger.pipes import available, resize, size_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from pserv.logger.look import Look
    from pserv.logger.poller import Poller
    from pserv.logger.streams import Stream

BLOCK: Final = "block"
OLDEST: Final = "drop-oldest"
LOOK: Final = 0.05
"""Seconds between two looks whether a pipe is so full that its oldest must go."""
_TELL: Final = 1.0
_PIECE: Final = 1 << 16
_LARGE: Final = 1 << 20
_LONGEST: Final = 1 << 16
"""Of a line that is kept."""


class Spilt:
    """What was thrown away of one stream and is not marked in its file yet. `cut`: the last line only in part.

    `head` is the first line, which is kept, `whole` from when it has its end. `untold_lines` and `untold_bytes`: what
    the keeper was not told of; `due`: when it is to be.
    """

    __slots__ = ("bytes", "cut", "due", "head", "lines", "untold_bytes", "untold_lines", "whole", "why")

    def __init__(self, why: str) -> None:
        self.why = why
        self.head = b""
        self.lines = self.bytes = self.untold_lines = self.untold_bytes = 0
        self.whole = self.cut = False
        self.due = 0.0

    def take(self, data: bytes) -> None:
        """So much more."""
        if not self.whole:
            end = data.find(b"\n") + 1 or len(data)
            self.head += data[:end]
            self.whole = self.head.endswith(b"\n") or len(self.head) >= _LONGEST
            data = data[end:]
        if data:
            ends = data.count(b"\n")
            self.lines += ends
            self.untold_lines += ends
            self.bytes += len(data)
            self.untold_bytes += len(data)
            self.cut = not data.endswith(b"\n")

    def written(self) -> bytes:
        """What the file gets: the first line, and one that tells of what is missing."""
        if not self.bytes:
            return self.head
        head = self.head if self.head.endswith(b"\n") else self.head + b"\n"
        return head + b"--- %d lines dropped (%d bytes): %s\n" % (self.lines, self.bytes, self.why.encode())


class Overflow:
    """The streams of one worker of which something is thrown away. `at` is when to look again, None for never."""

    def __init__(self, poller: Poller, look: Look, send: Callable[[dict[str, Any]], None]) -> None:
        self._poller = poller
        self._look = look
        self._send = send
        self._streams: dict[int, Stream] = {}
        self.at: float | None = None

    def begin(self, stream: Stream, why: str) -> None:
        """The target of a stream takes nothing: from now on its output goes, as its settings say."""
        stream.spilt = stream.spilt or Spilt(why)
        self._streams[stream.id] = stream
        self.at = time.monotonic()
        if stream.settings.on_full == OLDEST:
            resize(stream.fd, _LARGE)
        else:
            self._poller.want(stream.fd)

    def end(self, stream: Stream) -> None:
        """It is written again, or is no more."""
        self._streams.pop(stream.id, None)
        self.tell(stream)

    def look(self) -> None:
        """Make room in pipes that are nearly full, and tell what was thrown away; to be called when it is `at`."""
        keeping = [stream for stream in self._streams.values() if stream.settings.on_full == OLDEST]
        for stream in keeping:
            self.spill(stream)
        for stream in self._streams.values():
            self._tell_in_time(stream)
        wait = LOOK if keeping else _TELL
        self.at = time.monotonic() + wait if self._streams else None

    def spill(self, stream: Stream) -> bool:
        """Throw away what must go now; False when it is all over and empty."""
        keeping = stream.settings.on_full == OLDEST
        surplus = available(stream.fd) - size_of(stream.fd) // 2 if keeping else _LARGE
        while surplus > 0:
            try:
                data = os.read(stream.fd, min(surplus, _PIECE))
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                return False
            surplus -= len(data)
            self._count(stream, data)
        self._tell_in_time(stream)
        return True

    def settle(self, stream: Stream) -> bool:
        """Throw away the rest of the line that was cut; whether what comes next is the beginning of one."""
        spilt = stream.spilt
        while spilt is not None and spilt.cut:
            try:
                seen, _, first = self._look.newlines(stream.fd, _PIECE, 0)
                data = os.read(stream.fd, first or seen) if seen else b""
            except OSError:  # a terminal: its lines are short
                spilt.cut = False
                break
            if not data:
                return False
            self._count(stream, data)
        return True

    def told(self, stream: Stream) -> None:
        """Its file tells now what is missing."""
        self.tell(stream)
        stream.spilt = None

    def tell(self, stream: Stream) -> None:
        """Tell how much it was, since that was told last."""
        spilt = stream.spilt
        if spilt is not None and spilt.untold_bytes:
            lines, size = spilt.untold_lines, spilt.untold_bytes
            spilt.untold_lines = spilt.untold_bytes = 0
            spilt.due = time.monotonic() + _TELL
            self._send({"op": "lost", "id": stream.id, "lines": lines, "bytes": size, "text": spilt.why})

    def _count(self, stream: Stream, data: bytes) -> None:
        assert stream.spilt is not None
        stream.spilt.take(data)
        self._tell_in_time(stream)

    def _tell_in_time(self, stream: Stream) -> None:
        if stream.spilt is not None and time.monotonic() >= stream.spilt.due:
            self.tell(stream)
