"""TOML text to nodes: values from tomllib, positions and the text of numbers from a scan that trusts it to be valid."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from pserv.config.nodes import MAX_DEPTH, MAX_NODES, Mapping, Node, Scalar, Sequence, Unreadable
from pserv.model.mistakes import Mistake

_Place = tuple[int, int, str]
"""Line, column, and the text of a bare value."""
_Path = tuple[str | int, ...]

_BLANKS: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY: Final = re.compile(r"""[ \t]*(?:"((?:[^"\\]|\\.)*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*(\.?)""")
_STRING: Final = re.compile(r'''"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?'{3,5}|"(?:[^"\\]|\\.)*"|'[^']*\'''', re.DOTALL)
_BARE: Final = re.compile(r"[^,\]\}#\n\r]*")
MAX_BYTES: Final = 1024 * 1024
"""tomllib is Python: a second for each megabyte."""
MAX_DOTS: Final = 1_000_000
"""tomllib's time for a dotted key grows with the square of its parts; so does what is counted here."""


def read_toml(text: str, file: str, mistakes: list[Mistake]) -> Node | None:
    """The root table; None where the file says nothing. Raises Unreadable where the text is no TOML or too large."""
    text = text.replace("\r\n", "\n")
    if len(text) > MAX_BYTES:
        raise Unreadable(Mistake("larger than 1 MB", "split it into several files, or write YAML", file))
    if sum(line.count(".") ** 2 for line in text.split("\n")) > MAX_DOTS:
        raise Unreadable(Mistake("keys of too many parts", "no option of Pserv is so deep", file))
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Unreadable(_explained(error, file, text)) from None
    except RecursionError:
        raise Unreadable(Mistake("nested too deep", "no option of Pserv is so deep", file)) from None
    if not data:
        return None
    scan = _Scan(text)
    try:
        scan.document()
    except (IndexError, _Lost):
        # Positions are a service to the reader; without them messages still name the file and the option.
        pass
    return _Builder(file, scan.places, scan.keys).node(data, (), (1, 1, ""), 0)


def _explained(error: tomllib.TOMLDecodeError, file: str, text: str) -> Mistake:
    reason, _, where = str(error).partition(" (at ")
    numbers = [int(number) for number in re.findall(r"\d+", where)]
    line, column = numbers if len(numbers) == 2 else (0, 0)
    reason = reason[:1].lower() + reason[1:]
    message, hint = next(
        (told for start, told in _SLIPS.items() if reason.startswith(start)),
        (reason, "check this line and the one before it"),
    )
    rest = text.split("\n")[line - 1][column - 1 :].strip() if line else ""
    if reason.startswith("expected '='") and rest.startswith(":"):
        hint = "write `key = value`; YAML stands in a file of the name pserv.yaml"
    if reason.startswith("invalid initial character") and not rest:
        message, hint = "a {…} that goes on in the next line", "write it in one line, or as a [section]"
    if not line:
        message += " (at the end of the file)"
    return Mistake(f"not TOML: {message}", hint, file, line, column)


_SLIPS: Final = {
    "invalid value": ("a value that is neither in quotes nor a number, true or false", "put the text in quotes"),
    "expected '=' after a key": ("a key without '='", "write `key = value`, or [section]"),
    "cannot overwrite a value": ("the key is already set", "keep one of the two"),
    "cannot mutate immutable": ("more keys for a {…} that is closed", "write them all inside of the braces"),
    "cannot declare": ("the section is already there", "write its keys below the first one"),
    "invalid initial character for a key": ("a key that begins with another character", "put the key in quotes"),
    "illegal character '\\n'": ("a text that does not end in its line", "close the quote, or begin and end with three"),
    "unterminated string": ("a text that does not end", "close the quote"),
    "unclosed array": ("a list that does not end", "close it with ]"),
    "unclosed inline table": ("a {…} that does not end in its line", "close it with }, or write a [section]"),
    "unescaped '\\' in a string": ("a backslash that escapes nothing", "use single quotes: a backslash is plain there"),
    "expected newline or end of document": (
        "more after the end of a value",
        "begin a new line, or put the text in quotes",
    ),
    "invalid date or datetime": ("a date that there is not", "put the text in quotes"),
    "expected ']'": ("a section that is not closed", "write [section], or [[section]] for one of a list"),
}
"""What tomllib calls the commonest slips, in words that say what to do."""


class _Lost(Exception):
    """The scan met what it does not know."""


class _Scan:
    """Walks through valid TOML and notes where each value begins."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._line_start = 0
        self._counted = 0
        self._arrays: dict[_Path, int] = {}
        self.places: dict[_Path, _Place] = {}
        self.keys: dict[_Path, _Place] = {}

    def document(self) -> None:
        table: _Path = ()
        while True:
            self._skip()
            if self._at >= len(self._text):
                return
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> _Path:
        place = self._place()
        many = self._text.startswith("[[", self._at)
        self._at += 2 if many else 1
        keys = self._key()
        path = self._resolved(keys[:-1])
        last: _Path = (*path, keys[-1])
        if many:
            self._arrays[last] = self._arrays.get(last, -1) + 1
            self.places.setdefault(last, place)
            last = (*last, self._arrays[last])
        elif last in self._arrays:
            last = (*last, self._arrays[last])
        self.places.setdefault(last, place)
        self._at += 2 if many else 1
        return last

    def _resolved(self, keys: list[str]) -> _Path:
        path: _Path = ()
        for key in keys:
            path = (*path, key)
            if path in self._arrays:
                path = (*path, self._arrays[path])
        return path

    def _pair(self, table: _Path) -> None:
        place = self._place()
        path = (*table, *self._key())
        self.keys[path] = place
        for end in range(len(table) + 1, len(path)):
            self.places.setdefault(path[:end], place)
        if self._text[self._at] != "=":
            raise _Lost
        self._at += 1
        self._skip()
        self._value(path)

    def _key(self) -> list[str]:
        keys = []
        while True:
            match = _KEY.match(self._text, self._at)
            if match is None:
                raise _Lost
            self._at = match.end()
            quoted, literal, bare, dot = match.groups()
            keys.append(_unescaped(quoted) if quoted is not None else literal if literal is not None else bare)
            if not dot:
                return keys

    def _value(self, path: _Path) -> None:
        line, column, _ = self._place()
        char = self._text[self._at]
        raw = ""
        if char in "\"'":
            match = _STRING.match(self._text, self._at)
            if match is None:
                raise _Lost
            self._at = match.end()
        elif char in "[{":
            self._items(path, char)
        else:
            match = _BARE.match(self._text, self._at)
            raw = match.group().strip() if match else ""
            self._at = match.end() if match else self._at
        self.places[path] = (line, column, raw)

    def _items(self, path: _Path, opening: str) -> None:
        closing, count = ("]" if opening == "[" else "}"), 0
        self._at += 1
        while True:
            self._skip()
            if self._text[self._at] == closing:
                self._at += 1
                return
            if self._text[self._at] == ",":
                self._at += 1
            elif opening == "[":
                self._value((*path, count))
                count += 1
            else:
                self._pair(path)

    def _skip(self) -> None:
        match = _BLANKS.match(self._text, self._at)
        if match:
            self._at = match.end()

    def _place(self) -> _Place:
        self._line += self._text.count("\n", self._counted, self._at)
        if self._at > self._counted:
            self._line_start = self._text.rfind("\n", 0, self._at) + 1
            self._counted = self._at
        return self._line, self._at - self._line_start + 1, ""


def _unescaped(quoted: str) -> str:
    return next(iter(tomllib.loads(f'"{quoted}" = 0')))


class _Builder:
    """Plain data and places to nodes."""

    def __init__(self, file: str, places: dict[_Path, _Place], keys: dict[_Path, _Place]) -> None:
        self._file = file
        self._places = places
        self._keys = keys
        self._count = 0

    def node(self, data: Any, path: _Path, inherited: _Place, depth: int) -> Node:
        place = self._places.get(path, inherited)
        line, column, raw = place
        self._count += 1
        if self._count > MAX_NODES or depth > MAX_DEPTH:
            what = f"more than {MAX_NODES} values in one file" if depth <= MAX_DEPTH else f"more than {MAX_DEPTH} deep"
            raise Unreadable(Mistake(what, "split it into several files", self._file, line, column))
        if isinstance(data, dict):
            mapping = Mapping(self._file, line, column)
            for text, value in data.items():
                child = self.node(value, (*path, text), place, depth + 1)
                key_line, key_column, _ = self._keys.get((*path, text), (child.line, child.column, ""))
                key = Scalar(self._file, key_line, key_column, text, True)
                mapping.pairs[text] = (key, child)
            return mapping
        if isinstance(data, list):
            sequence = Sequence(self._file, line, column)
            sequence.items.extend(self.node(item, (*path, i), place, depth + 1) for i, item in enumerate(data))
            return sequence
        if isinstance(data, str):
            return Scalar(self._file, line, column, data, True)
        text = raw or (str(data).lower() if isinstance(data, bool) else str(data))
        return Scalar(self._file, line, column, text, False)
