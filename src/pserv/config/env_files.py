"""The variables of an `env_file`. What is in one may be a password: no message has a word of a value."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping

from pserv.config.files import content
from pserv.config.nodes import Unreadable
from pserv.config.variables import assignments
from pserv.model.mistakes import Mistake
from pserv.model.secrets import EnvFile

Found = list[tuple[str, str, str]]
"""Name, value, and where it stands: `path:line`."""


def read(
    files: Iterable[EnvFile], environ: Mapping[str, str], mistakes: list[Mistake], when: dict[str, int] | None = None
) -> Found:
    """The variables of all files, those of later ones last.

    `when` is told when each file had changed last, nanoseconds by path; 0 for one that is not there and need not be.
    """
    when = {} if when is None else when
    found: Found = []
    known: dict[str, str] = {}
    for file in files:
        if not file.required and not os.path.lexists(file.path):
            when[file.path] = 0
            continue
        try:
            text, source = content(file.path)
        except Unreadable as error:
            mistakes.append(_unreadable(error.mistake, file))
            continue
        when[file.path] = source.mtime_ns
        if file.format == "raw":
            values = raw(text, file.path, environ, mistakes)
        else:
            values = assignments(text, file.path, {**known, **environ}, mistakes, bare=environ)
        found += [(name, value, f"{file.path}:{line}") for name, (value, line) in values.items()]
        known.update({name: value for name, (value, _) in values.items()})
    return found


def raw(text: str, path: str, environ: Mapping[str, str], mistakes: list[Mistake]) -> dict[str, tuple[str, int]]:
    """Lines `NAME=value` as they are, without quotes and references; a name alone is that of the daemon's variable."""
    values: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.removesuffix("\r").lstrip()
        if not line or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not name or any(char.isspace() for char in name):
            mistakes.append(Mistake("not a line of the form NAME=value", "a comment begins with #", path, number, 1))
        elif "\0" in value:
            mistakes.append(Mistake(f"{name} contains a NUL character", "remove it", path, number, 1))
        elif equals:
            values[name] = value, number
        elif name in environ:
            values[name] = environ[name], number
    return values


def _unreadable(mistake: Mistake, file: EnvFile) -> Mistake:
    if os.path.lexists(file.path):
        return mistake
    hint = f"write it, or env_file: {{path: {os.path.basename(file.path)}, required: false}}"
    return Mistake("there is no such file", hint, file.path)
