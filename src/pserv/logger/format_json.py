"""Printed lines as JSON objects, one a line. Imported only where that is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pserv.keeper import quickjson
from pserv.logger.formats import Buffers, between

try:
    from _json import encode_basestring  # type: ignore[import-not-found,unused-ignore]  # `json` brings `re`: a megabyte
except ImportError:
    from json.encoder import encode_basestring

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from pserv.logger.facts import Facts
    from pserv.logger.settings import Settings

    Scanner = Callable[[str, int], tuple[Any, int]]
    """Value and end of the JSON that begins there. Raises StopIteration where none does, ValueError for a wrong one."""

_NO_CONTROLS: Final = bytes(code for code in range(256) if code >= 0x20 or code == 0x0A)
_SHORT: Final = {0x08: b"\\b", 0x09: b"\\t", 0x0C: b"\\f", 0x0D: b"\\r"}
_CONTROLS: Final = [_SHORT.get(code, b"\\u%04x" % code) for code in range(0x20)]

_END: Final = b'","partial":false}\n'
_END_OF_PIECE: Final = b'","partial":true}\n'

LEVELS: Final = ("level", "severity", "lvl")
"""Keys of a line that is an object whose value is lifted as `level`: the first that is a text or a number."""
_INFINITE: Final = (float("inf"), float("-inf"))
MESSAGES: Final = ("message", "msg")
"""Keys whose text is the message; without one it is the line."""


class Json:
    """Of one stream: what stands before each message. The work is done on whole batches of lines."""

    __slots__ = ("_facts", "_scan")

    def __init__(self, settings: Settings, facts: Facts) -> None:
        told = {
            "service": settings.service,
            "instance": settings.instance,
            "run": facts.run,
            "stream": facts.stream,
            "pid": facts.pid or None,
        }
        self._facts = quickjson.dumps(told)[1:-1].encode()
        self._scan: Scanner | None = _scanner() if settings.parse == "json" else None

    def section(self, text: bytes, partial: bool, stamp: bytes) -> Buffers:
        """The objects of whole lines, or of one piece of a line."""
        begin = b'{"ts":"%b",%b,"message":"' % (stamp, self._facts)
        if partial:
            return [begin, escaped(text), _END_OF_PIECE]
        if self._scan is not None and (text.startswith(b"{") or b"\n{" in text):
            return [b"".join(self._lines(begin, valid(text[:-1]), self._scan))]
        return between(escaped(text), begin, _END)

    def _lines(self, begin: bytes, lines: bytes, scan: Scanner) -> Iterator[bytes]:
        """The object of each line, which may be an object itself."""
        start, begin = begin, begin[:-1]
        for line in lines.split(b"\n"):
            text = line.decode()
            printed, end = None, 0
            if text.startswith("{"):
                try:
                    printed, end = scan(text, 0)
                except (StopIteration, ValueError, RecursionError):
                    pass  # it only looks like one
            if not end or (end < len(text) and not text[end:].isspace()):
                yield b"%b%b%b" % (start, escaped(line), _END)
                continue
            assert isinstance(printed, dict)
            message = _first(printed, MESSAGES, (str,))
            level = _level(_first(printed, LEVELS, (str, int, float)))
            yield b'%b%b,"partial":false%b,"fields":%b}\n' % (begin, _text(message or text), level, line)


def _first(printed: dict[str, Any], keys: tuple[str, ...], types: tuple[type, ...]) -> Any:
    """The first of these that is of one of these very types (true is no number); None without any."""
    for key in keys:
        value = printed.get(key)
        if type(value) in types:
            return value
    return None


def _level(value: str | float | None) -> bytes:
    if value is None or value in _INFINITE:  # 1e999 is JSON, and more than there is a number for
        return b""
    return b',"level":%b' % (_text(value) if isinstance(value, str) else repr(value).encode())


def _text(value: str) -> bytes:
    """A text in quotes; half a surrogate pair, which JSON can name and UTF-8 cannot, is replaced."""
    return encode_basestring(value).encode(errors="replace")


def _scanner() -> Scanner:
    """Of JSON as it is defined: its numbers are finite."""
    try:
        from _json import make_scanner  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        import json

        found: Scanner = vars(json.JSONDecoder(parse_constant=_refuse))["scan_once"]
        return found

    class Options(quickjson.Options):
        parse_constant = staticmethod(_refuse)  # type: ignore[assignment]

    return make_scanner(Options)  # type: ignore[arg-type]  # typeshed takes the context for a scanner


def _refuse(constant: str) -> None:
    raise ValueError(constant)  # NaN and Infinity are no JSON


def valid(data: bytes) -> bytes:
    """The bytes with U+FFFD in place of what is no UTF-8, as the Unicode standard recommends and shippers expect."""
    if data.isascii():
        return data
    try:
        data.decode()
    except UnicodeDecodeError:
        return data.decode(errors="replace").encode()
    return data


def escaped(data: bytes) -> bytes:
    """The bytes as they stand between quotes; newlines are left to the caller."""
    data = valid(data)
    if b"\\" in data:
        data = data.replace(b"\\", b"\\\\")
    if b'"' in data:
        data = data.replace(b'"', b'\\"')
    for code in set(data.translate(None, _NO_CONTROLS)):
        data = data.replace(b"%c" % code, _CONTROLS[code])
    return data
