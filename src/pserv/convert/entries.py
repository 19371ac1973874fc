"""What was found in a file of another tool: services as a user would write them, and what could not be translated."""

from __future__ import annotations

from typing import Any

import msgspec

from pserv.config import commandline
from pserv.config.shapes import SERVICE


class Entry(msgspec.Struct):
    """One service: its options as they are written, in order."""

    name: str
    origin: str
    """The file, and where it can be said the line: `Procfile:3`."""
    options: dict[str, Any] = {}
    remarks: list[str] = []
    """What is not translated and why, or what to look at: a comment line each."""
    off: str = ""
    """Why it is written as a comment only; "" where it is declared."""

    def put(self, option: str, value: Any) -> None:
        """Set an option that this version has; another one is remarked."""
        if option in SERVICE.options:
            self.options[option] = value
        else:
            self.remarks.append(f"{option}: {value}: there is no such option yet")

    def runs(self, line: str) -> None:
        """Set what it runs from a line for sh: without a shell where that is the same."""
        rest, variables = _assignments(line.strip())
        if variables:
            self.options["env"] = {**self.options.get("env", {}), **variables}
        way, text = _way(rest)
        self.options = {way: text, **self.options}


class Find(msgspec.Struct):
    """All of one file; `remarks` tell what of it is not taken, `notes` what is otherwise here, in all its services."""

    source: str
    entries: list[Entry] = []
    remarks: list[str] = []
    notes: list[str] = []


def _assignments(line: str) -> tuple[str, dict[str, str]]:
    """`A=1 B=2 prog` without its leading assignments, and these, as far as they are plain texts."""
    variables: dict[str, str] = {}
    while True:
        word, _, rest = line.partition(" ")
        name, equals, value = word.partition("=")
        plain = all(char.isalnum() or char in "_./:@,+-%=" for char in value)
        if not equals or not name.isidentifier() or not plain or not rest.strip():
            return line, variables
        variables[name] = value
        line = rest.strip()


def _way(line: str) -> tuple[str, str]:
    """`command` where no shell is needed, else `shell`; one that only fills in variables gives its place away."""
    plain = line.replace("${PORT}", "$PORT").replace("$PORT", "${pserv.port}")
    if "$" not in plain.replace("${pserv.port}", "") and splits(plain):
        return "command", plain
    simple = "$(" not in line and splits(line.replace("$", ""))
    return "shell", f"exec {line}" if simple and not line.startswith("exec ") else line


def splits(line: str) -> bool:
    """Whether it is a program and its words, for which no shell is needed."""
    try:
        words = commandline.split(line)
    except ValueError:
        return False
    # `cd` and the like are the shell's own; a program of such a name would do nothing for it.
    return (
        bool(words)
        and "=" not in words[0]
        and words[0] not in ("cd", "source", ".", "exec", "export", "set", "test", "[", "ulimit")
    )
