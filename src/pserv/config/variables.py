"""Where `${VAR}` finds its value: the environment of who reads the file, then the `.env` beside the file."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping

from pserv.config import interpolate
from pserv.config.files import content
from pserv.config.findings import Wrong
from pserv.config.nodes import Unreadable
from pserv.model.mistakes import Mistake
from pserv.model.spec import SourceFile

NAME = ".env"
NOTHING: Mapping[str, str] = {}


class Variables:
    """Values by name, and what they came from."""

    def __init__(
        self, environ: Mapping[str, str], folder: str, mistakes: list[Mistake], facts: Mapping[str, str] | None = None
    ) -> None:
        """`facts`: Pserv's own that are known when a file is read, by their names with the dot."""
        self._facts = facts or {}
        self._environ = environ
        self.path = os.path.join(folder, NAME)
        self._written: dict[str, tuple[str, int]] = {}
        self.source: SourceFile | None = None
        """The `.env`, where there is one."""
        self.private = False
        """One that looks secret was filled in."""
        if os.path.lexists(self.path):
            try:
                data, self.source = content(self.path)
            except Unreadable as error:
                mistakes.append(error.mistake)
            else:
                self._written = assignments(data, self.path, environ, mistakes)

    def look(self, name: str) -> str | None:
        """The value, None when it is not set. The environment wins, as in compose; a name with a dot is a fact."""
        if "." in name:
            return self._facts.get(name)
        if (value := self._environ.get(name)) is not None:
            return value
        row = self._written.get(name)
        return None if row is None else row[0]

    def origin(self, name: str) -> str:
        """Where the value stands, to tell."""
        return f"{self.path}:{self._written[name][1]}" if name not in self._environ else "the environment"


def assignments(
    text: str,
    path: str,
    environ: Mapping[str, str],
    mistakes: list[Mistake],
    bare: Mapping[str, str] = NOTHING,
) -> dict[str, tuple[str, int]]:
    """The variables of a file of `NAME=value` lines, each with the number of its line.

    Quotes, comments and `export` as in compose: within single quotes a `$` is a `$`, elsewhere it refers to the
    environment or to a line above. A name alone is that of a variable of `bare`. No mistake has a word of a value.
    """
    from dotenv.parser import parse_stream  # late: few files need it

    values: dict[str, tuple[str, int]] = {}

    def look(name: str) -> str | None:
        return environ[name] if name in environ else values.get(name, (None, 0))[0]

    for binding in parse_stream(io.StringIO(text)):
        lines = binding.original.string
        line = binding.original.line + len(lines) - len(lines.lstrip("\n"))
        if binding.error:
            mistakes.append(Mistake("not a line of the form NAME=value", "quote the value: NAME='a b'", path, line, 1))
        elif binding.key is not None and binding.key in bare and binding.value is None:
            values[binding.key] = bare[binding.key], line
        elif binding.key is not None and binding.value is not None:
            literal = lines.partition("=")[2].lstrip().startswith("'")
            try:
                value = binding.value if literal else interpolate.private(binding.value, look)
                if "\0" in value:
                    raise Wrong("contains a NUL character", "remove it")
                values[binding.key] = value, line
            except Wrong as wrong:
                hint = f"{wrong.hint}, or put the value in single quotes"
                mistakes.append(Mistake(f"{binding.key}: {wrong.message}", hint, path, line, 1))
    return values
