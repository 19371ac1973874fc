"""Which lines are wanted, and what is told of them. Where they come from is elsewhere."""

from __future__ import annotations

import json
import re
import signal
from typing import Any, Final

from pserv.system.lines import MAX_LINE
from pserv.system.records import JSON_BEGIN, STAMP, Times, decoded, severity
from pserv.system.scan import piece_of

THINKING: Final = 1.0
"""Seconds of processor time for the expression on one block of lines: one that takes for ever ends the process."""
LONGEST_PATTERN: Final = 1000
_PLAIN: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _-,:;=/<>@#%&~'!")
"""Characters that mean themselves in an expression, and stand as they are in JSON."""

Told = tuple[str, dict[str, Any] | None]
"""The text of a line, and what it says if it is JSON of the logger's."""


class Choice:
    """What a reader was asked for, and how its answer looks; the same for every log it reads."""

    __slots__ = ("_invert", "_least", "_literal", "_pattern", "_run", "_stream", "_times", "everything")

    def __init__(self, asked: dict[str, Any]) -> None:
        """`asked`: `grep`, `invert`, `level`, `stream`, `run`, each of which may be missing. Raises re.error."""
        text = asked.get("grep")
        if text and len(text) > LONGEST_PATTERN:
            raise re.error(f"it has more than {LONGEST_PATTERN} characters")
        with Bounded(bool(text)):
            self._pattern = re.compile(text) if text else None
        self._invert = bool(asked.get("invert"))
        # What a line must have, in every format, before it is worth taking apart.
        self._literal = text.encode() if text and not self._invert and _PLAIN.issuperset(text) else b""
        self._least = severity(asked["level"]) if asked.get("level") else None
        self._stream = asked.get("stream")
        self._run = asked.get("run")
        self._times = Times()
        self.everything = not (text or asked.get("level") or self._stream or self._run)
        """Every line is wanted."""

    def bounded(self) -> Bounded:
        """Within which a block of lines is to be chosen from."""
        return Bounded(self._pattern is not None)

    def read(self, line: bytes) -> Told | None:
        """A line without its end; None when it is not wanted."""
        if self._literal not in line:
            return None
        said = decoded(line) if line.startswith(JSON_BEGIN) else None
        if said is not None:
            text = said["message"]
            if not self._wants(said):
                return None
        else:
            if self._least is not None:
                return None
            if self._times.of(line) is not None:
                said = {"ts": line[:STAMP].decode("latin-1"), "partial": line[STAMP : STAMP + 1] == b"+"}
                line = line[STAMP + 1 :]
            text = line.decode(errors="replace").removesuffix("\r")
        if self._pattern is not None and (self._pattern.search(text) is None) != self._invert:
            return None
        return text, said

    def _wants(self, said: dict[str, Any]) -> bool:
        if self._stream is not None and said.get("stream", self._stream) != self._stream:
            return False
        if self._run is not None and said.get("run") != self._run:
            return False
        if self._least is None:
            return True
        rank = severity(said.get("level"))
        return rank is not None and rank >= self._least


class Bounded:
    """Ends this process when what is done within takes too much processor time: nothing else ends `re`."""

    __slots__ = ("_on",)

    def __init__(self, on: bool) -> None:
        self._on = on

    def __enter__(self) -> None:
        if self._on:
            signal.setitimer(signal.ITIMER_VIRTUAL, THINKING)

    def __exit__(self, *_: object) -> None:
        if self._on:
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)


class Shape:
    """How the lines of one log are told: one JSON object each."""

    __slots__ = ("_head", "_source", "_stream")

    def __init__(self, service: str, stream: str, *, sourced: bool = False) -> None:
        """`sourced`: tell which of the service's files a line is from."""
        self._head = f'{{"type":"line","service":{json.dumps(service)},"text":'
        self._stream = stream
        self._source = f',"source":{json.dumps(stream)}' if sourced else ""

    def lines(self, told: Told) -> bytes:
        """The objects of one line: several where its text is longer than MAX_LINE."""
        text, said = told
        if len(text) * 4 > MAX_LINE and len(data := text.encode(errors="replace")) > MAX_LINE:
            pieces = []
            while len(data) > MAX_LINE:
                size = piece_of(data, MAX_LINE)
                pieces.append(data[:size].decode(errors="replace"))
                data = data[size:]
            return b"".join(self._line(piece, said) for piece in [*pieces, data.decode(errors="replace")])
        return self._line(text, said)

    def _line(self, text: str, said: dict[str, Any] | None) -> bytes:
        if said is None:
            return f'{self._head}{json.dumps(text)},"stream":"{self._stream}"{self._source}}}\n'.encode()
        stream = said.get("stream")
        rest = {key: said[key] for key in ("ts", "run", "pid", "level", "fields") if said.get(key) is not None}
        if said.get("partial"):
            rest["partial"] = True
        shown = stream if stream in ("stdout", "stderr") else self._stream
        facts = json.dumps(rest, separators=(",", ":"))[1:-1]
        return f'{self._head}{json.dumps(text)},"stream":"{shown}"{self._source},{facts}}}\n'.encode()
