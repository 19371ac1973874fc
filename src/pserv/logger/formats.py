"""From printed bytes to the lines of a log file. Pure: no clock, no descriptors; what is taken when is in `lines`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from pserv.keeper import quickjson
from pserv.logger.facts import Facts
from pserv.logger.settings import Settings, settings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

STAMP: Final = 27
"""Bytes of a time of day, `2026-11-23T03:24:07.123456Z`. In a file with timestamps one more byte follows it: a blank,
or `+` where the next line goes on with the same printed line, or where that had no end."""

_CONTINUATION: Final = 0x80
"""The top two bits of a byte that continues a UTF-8 character are 10."""

Section = tuple[bytes, bool]
"""Whole lines, or one piece of a line that goes on (True) or ends without a newline."""

Buffers = list[bytes | memoryview]
"""Bytes one after the other, for writev(2): to join them would take longer than to make them."""


class Format:
    """How the output of one stream is written. The same bytes and the same time always give the same lines."""

    __slots__ = ("_section", "longest", "noted", "settings", "whole_lines")

    def __init__(self, settings: Settings, facts: Facts) -> None:
        self.settings = settings
        told = (facts.run, facts.stream, facts.pid, facts.prefix, facts.syslog)
        self.noted = quickjson.dumps([settings.noted(), *told]).encode()
        """For the journal: what `of` makes the same format from."""
        self.longest = settings.max_line
        self._section: Callable[[bytes, bool, bytes], Buffers]
        if facts.prefix and (facts.syslog or settings.format == "plain"):
            from pserv.logger.named import Prefixed, Syslog

            self._section = Syslog(facts).section if facts.syslog else Prefixed(settings, facts).section
        elif settings.format == "json":
            from pserv.logger.format_json import Json

            self._section = Json(settings, facts).section
        else:
            self._section = _stamped if settings.timestamps else _as_printed
        self.whole_lines = self._section is not _as_printed
        """What is written ends with a newline, always."""

    def count(self, data: bytes) -> int:
        """How many bytes of a stream's next ones may be written: whole lines, and pieces of one that is too long."""
        end = data.rfind(b"\n") + 1
        while not end and len(data) > self.longest:
            end = self._cut(data, 0)
            while len(data) - end > self.longest:
                end = self._cut(data, end)
        return end

    def write(self, data: bytes, at: int) -> Buffers:
        """What `data` becomes in the file; `at` is microseconds since the epoch. `data` begins with a line, or goes on
        with one after as many bytes as a piece has."""
        stamp = stamped(at)
        sections = self._sections(data)
        if self.settings.strip_ansi and b"\x1b" in data:
            from pserv.logger.ansi import strip

            sections = ((strip(text), partial) for text, partial in sections)
        return [buffer for text, partial in sections for buffer in self._section(text, partial, stamp)]

    def mark(self, lines: int, size: int, at: int) -> Buffers:
        """A line that tells what was dropped: so many lines, of so many bytes."""
        told = f"--- {lines} line{'s' if lines > 1 else ''} dropped ({size} bytes): {self.settings.rate_text}\n"
        return self._section(told.encode(), False, stamped(at))

    def printed(self, lines: list[str]) -> list[str]:
        """What was printed, of lines that were read back; one without its beginning is left as it is."""
        if self.settings.format == "json":
            return [_message(line) for line in lines]
        return [line[STAMP + 1 :] for line in lines] if self.settings.timestamps else lines

    def _sections(self, data: bytes) -> Iterator[Section]:
        begin = position = 0
        while len(data) - position > self.longest:
            end = data.rfind(b"\n", position, position + self.longest + 1) + 1
            if end:
                position = end
                continue
            if begin < position:
                yield data[begin:position], False
            begin = self._cut(data, position)
            yield data[position:begin], True
            position = begin
        end = len(data) if data.endswith(b"\n") else data.rfind(b"\n", begin) + 1
        if begin < end:
            yield data[begin:end] if begin or end < len(data) else data, False
        if max(begin, end) < len(data):
            yield data[max(begin, end) :], True

    def _cut(self, data: bytes, begin: int) -> int:
        """Where a piece ends that begins there and has more than the longest line after it: at a character's end."""
        end = begin + self.longest
        for back in range(4):
            if end - back > begin and data[end - back] & 0xC0 != _CONTINUATION:
                return end - back
        return end


def of(noted: bytes) -> Format:
    """The format that a journal has noted."""
    log, *told = quickjson.loads(noted.decode())
    return Format(settings(log), Facts(*told))


def _message(line: str) -> str:
    try:
        return str(quickjson.loads(line)["message"])
    except (ValueError, LookupError, TypeError):
        return line


def stamped(at: int) -> bytes:
    """RFC 3339 in UTC with microseconds."""
    seconds, rest = divmod(at, 1_000_000)
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%06dZ" % (*time.gmtime(seconds)[:6], rest)


def _as_printed(text: bytes, partial: bool, stamp: bytes) -> Buffers:
    return [text]


def _stamped(text: bytes, partial: bool, stamp: bytes) -> Buffers:
    if partial:
        return [b"%b+" % stamp, text, b"\n"]
    return between(text, b"%b " % stamp, b"\n")


def between(lines: bytes, begin: bytes, end: bytes) -> Buffers:
    """Each of the lines between these, without its newline."""
    replaced = lines.replace(b"\n", end + begin)
    return [begin, memoryview(replaced)[: -len(begin)]]
