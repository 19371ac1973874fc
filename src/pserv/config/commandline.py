"""One string to argv: split as a shell splits it, and refused where only a shell could do what it says."""

from __future__ import annotations

import re
from typing import Final

_OPERATORS: Final = ("||", "&&", "|", ">", "<", ";", "&")
_BLANKS: Final = " \t\r\n"
_PLAIN: Final = re.compile(r"(?:[^ \t\r\n'\"\\|&;<>`$]+|\$(?!\())+")
_PLAIN_IN_QUOTES: Final = re.compile(r'(?:[^"\\`$]+|\$(?!\())+')


class NeedsShell(ValueError):
    """Shell syntax in a command that is run without one; `what` is the piece, `index` where it stands."""

    def __init__(self, what: str, index: int) -> None:
        super().__init__(what)
        self.what = what
        self.index = index


def split(text: str) -> tuple[str, ...]:
    """Words of `text` by the quoting rules of POSIX sh; raises NeedsShell, or ValueError for a quote left open."""
    words: list[str] = []
    word: list[str] | None = None
    position, end = 0, len(text)
    while position < end:
        char = text[position]
        if char in _BLANKS:
            if word is not None:
                words.append("".join(word))
                word = None
            position += 1
            continue
        if text.startswith("\\\n", position):  # a backslash before the end of a line joins the lines
            position += 2
            continue
        word = [] if word is None else word
        if plain := _PLAIN.match(text, position):
            word.append(plain.group())
            position = plain.end()
        elif char == "'":
            close = text.find("'", position + 1)
            if close < 0:
                raise ValueError("a single quote is not closed")
            word.append(text[position + 1 : close])
            position = close + 1
        elif char == '"':
            position = _double_quoted(text, position + 1, word)
        elif char == "\\":
            if position + 1 >= end:
                raise ValueError("it ends with a backslash")
            word.append(text[position + 1])
            position += 2
        else:
            _refuse_syntax(text, position)
            word.append(char)
            position += 1
    if word is not None:
        words.append("".join(word))
    return tuple(words)


def _double_quoted(text: str, position: int, word: list[str]) -> int:
    while position < len(text):
        if plain := _PLAIN_IN_QUOTES.match(text, position):
            word.append(plain.group())
            position = plain.end()
            continue
        char = text[position]
        if char == '"':
            return position + 1
        if char == "\\" and text[position + 1 : position + 2] in ('"', "\\", "$", "`", "\n"):
            escaped = text[position + 1]
            word.append("" if escaped == "\n" else escaped)
            position += 2
            continue
        _refuse_substitution(text, position)
        word.append(char)
        position += 1
    raise ValueError("a double quote is not closed")


def _refuse_syntax(text: str, position: int) -> None:
    _refuse_substitution(text, position)
    for operator in _OPERATORS:
        if text.startswith(operator, position):
            raise NeedsShell(operator, position)


def _refuse_substitution(text: str, position: int) -> None:
    if text.startswith("$(", position):
        raise NeedsShell("$(", position)
    if text[position] == "`":
        raise NeedsShell("`", position)


def join(words: tuple[str, ...]) -> str:
    """The string that `split` makes these words of."""
    return " ".join(map(quote, words))


def quote(word: str) -> str:
    """One word, quoted where it must be."""
    if word and all(char.isalnum() or char in "@%+=:,./-_~^[]{}#*?!" for char in word):
        return word
    return "'" + word.replace("'", "'\"'\"'") + "'"
