"""Printed lines as JSON objects, one a line. Imported only where that is wanted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from pserv.logger.formats import Buffers, between

if TYPE_CHECKING:
    from pserv.logger.facts import Facts
    from pserv.logger.settings import Settings

_NO_CONTROLS: Final = bytes(code for code in range(256) if code >= 0x20 or code == 0x0A)
_SHORT: Final = {0x08: b"\\b", 0x09: b"\\t", 0x0C: b"\\f", 0x0D: b"\\r"}
_CONTROLS: Final = [_SHORT.get(code, b"\\u%04x" % code) for code in range(0x20)]

_END: Final = b'","partial":false}\n'
_END_OF_PIECE: Final = b'","partial":true}\n'

LEVELS: Final = ("level", "severity", "lvl")
"""Keys of a line that is an object whose value is lifted as `level`: the first that is a text or a number."""
MESSAGES: Final = ("message", "msg")
"""Keys whose text is the message; without one it is the line."""


class Json:
    """Of one stream: what stands before each message. The work is done on whole batches of lines."""

    __slots__ = ("_decoder", "_facts")

    def __init__(self, settings: Settings, facts: Facts) -> None:
        told = {
            "service": settings.service,
            "instance": settings.instance,
            "run": facts.run,
            "stream": facts.stream,
            "pid": facts.pid or None,
        }
        self._facts = json.dumps(told, separators=(",", ":"))[1:-1].encode()
        self._decoder = json.JSONDecoder(parse_constant=_refuse) if settings.parse == "json" else None

    def section(self, text: bytes, partial: bool, stamp: bytes) -> Buffers:
        """The objects of whole lines, or of one piece of a line."""
        begin = b'{"ts":"%b",%b,"message":"' % (stamp, self._facts)
        if partial:
            return [begin, escaped(text), _END_OF_PIECE]
        if self._decoder is not None and (text.startswith(b"{") or b"\n{" in text):
            return [b"".join(self._line(begin, line, self._decoder) for line in valid(text[:-1]).split(b"\n"))]
        return between(escaped(text), begin, _END)

    def _line(self, begin: bytes, line: bytes, decoder: json.JSONDecoder) -> bytes:
        """The object of one line, which may be an object itself."""
        printed = None
        if line.startswith(b"{") and line.rstrip().endswith(b"}"):
            try:
                printed = decoder.decode(line.decode())
            except (ValueError, RecursionError):
                pass  # it only looks like one
        if printed is None:
            return b"%b%b%b" % (begin, escaped(line), _END)
        message = next((printed[key] for key in MESSAGES if isinstance(printed.get(key), str)), None)
        told = escaped(line) if message is None else _text(message)
        level = next((_level(printed[key]) for key in LEVELS if _is_level(printed.get(key))), b"")
        return b'%b%b","partial":false%b,"fields":%b}\n' % (begin, told, level, line)


def _is_level(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _level(value: str | float) -> bytes:
    return b',"level":' + (b'"%b"' % _text(value) if isinstance(value, str) else json.dumps(value).encode())


def _text(value: str) -> bytes:
    """A text as it stands between quotes; half a surrogate pair, which JSON can name and UTF-8 cannot, is replaced."""
    return escaped(value.encode("utf-8", "replace")).replace(b"\n", b"\\n")


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
