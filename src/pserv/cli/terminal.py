"""What may be written where: colour, width, symbols, and text that is safe to show. No words of ours are here."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

CODES = {
    "bold": "1",
    "dim": "2",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
}
ASCII = {"●": "*", "◐": "~", "○": "-", "✓": "+", "✗": "x", "↻": "@", "…": "...", "│": "|", "·": "-", "→": "->"}


class Screen:
    """A stream to write to. `width` is None where it is no terminal: nothing is wrapped, cut or coloured there."""

    __slots__ = ("colour", "stream", "terminal", "unicode", "width")

    def __init__(self, stream: TextIO, environ: Mapping[str, str] = os.environ) -> None:
        self.stream = stream
        self.terminal = stream.isatty()
        self.width = _width(stream, environ) if self.terminal else None
        dumb = environ.get("TERM") == "dumb"
        self.colour = self.terminal and not dumb and not environ.get("NO_COLOR")
        self.unicode = (stream.encoding or "").lower().replace("-", "").startswith("utf8")

    @property
    def live(self) -> bool:
        """Whether a line may be written over."""
        return self.colour or (self.terminal and os.environ.get("TERM") != "dumb")

    def paint(self, text: str, *styles: str) -> str:
        if not self.colour or not styles or not text:
            return text
        return f"\x1b[{';'.join(CODES[style] for style in styles)}m{text}\x1b[0m"

    def symbol(self, text: str) -> str:
        """A symbol, or what stands for it where the encoding has none."""
        return text if self.unicode else ASCII.get(text, text)

    def line(self, text: str = "") -> None:
        self.stream.write(text + "\n")


class Progress:
    """One line on the terminal that tells how far things are, and goes when they are done. Silent elsewhere."""

    __slots__ = ("_screen", "_shown")

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._shown = False

    def show(self, text: str) -> None:
        if not self._screen.live:
            return
        width = (self._screen.width or 80) - 1
        if len(text) > width:
            text = text[: width - 1] + self._screen.symbol("…")[:1]
        self._shown = True  # before it is so: Ctrl-C may come in between
        self._screen.stream.write("\r\x1b[K" + self._screen.paint(text, "dim"))
        self._screen.stream.flush()

    def clear(self) -> None:
        if self._shown:
            self._screen.stream.write("\r\x1b[K")
            self._screen.stream.flush()
            self._shown = False


def prepare() -> None:
    """No text of ours or of a service may fail to be written, whatever the terminal's encoding (supervisor#638)."""
    if sys.stdin is None or sys.stdout is None or sys.stderr is None:
        _open_closed()
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _open_closed() -> None:
    """Started with 0, 1 or 2 closed, as by `>&-`: what is opened later must not take their place, nor be written to."""
    while (fd := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(fd, True)
    os.close(fd)
    for fd, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(fd, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays open


def out() -> Screen:
    return Screen(sys.stdout)


def err() -> Screen:
    return Screen(sys.stderr)


def tell(message: str, hint: str = "") -> None:
    """A message and what to type, to standard error."""
    screen = err()
    sys.stdout.flush()
    screen.line(message)
    if hint:
        screen.line(f"{screen.paint('hint:', 'cyan')} {hint}")
    screen.stream.flush()


def printable(text: str) -> str:
    """The text without what would move the cursor or change the terminal; on one line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else "\ufffd" if c == "\ufffd" else _escaped(c) for c in text)


def wrap(text: str, width: int) -> list[str]:
    """Lines of at most `width`, broken at blanks where there are any."""
    lines: list[str] = []
    for paragraph in text.split("\n"):
        rest = paragraph
        while len(rest) > width:
            cut = rest.rfind(" ", 0, width + 1)
            cut = cut if cut > 0 else width
            lines.append(rest[:cut].rstrip())
            rest = rest[cut:].lstrip()
        lines.append(rest)
    return lines


def _escaped(character: str) -> str:
    return " " if character in "\n\t" else character.encode("unicode_escape").decode("ascii")


def _width(stream: TextIO, environ: Mapping[str, str]) -> int:
    columns = environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) > 0:
        return int(columns)
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80
