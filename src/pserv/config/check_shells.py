"""What a text for sh says other than its writer may think. Such texts are left alone: sh finds its variables itself."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile

from pserv.config.findings import short
from pserv.model.hooks import KINDS
from pserv.model.spec import ServiceSpec

_LONGEST = 200
"""Characters that are looked at of what follows a `$$`."""

_CLOSING = {"{": "}", "(": ")"}


def notes(spec: ServiceSpec) -> Iterator[tuple[str, str]]:
    """Options, and what to know of each: a `$$` as in files of compose, where it becomes one `$` before sh sees it."""
    for option, text in _shells(spec):
        if form := _doubled(text):
            yield option, f"$$ is sh's own pid here: the text of shell is left alone; write {short(f'${form}')}"


def _shells(spec: ServiceSpec) -> Iterator[tuple[str, str]]:
    if spec.shell is not None:
        yield "shell", spec.shell
    for kind in KINDS:
        for hook in spec.hooks.of(kind):
            if hook.shell is not None:
                yield f"hooks.{kind}", hook.shell
    if spec.reload is not None and spec.reload.shell is not None:
        yield "reload", spec.reload.shell


def _doubled(text: str) -> str:
    """What follows the first `$$` that was hardly meant as a pid: "HOME", "{X}", "((i + 1))"; else ""."""
    quote, at, last = "", 0, text.rfind("$$")
    while at <= last:
        char = text[at]
        if char == "\\" and quote != "'":
            at += 1
        elif char in "'\"" and quote in ("", char):
            quote = "" if quote else char
        elif quote != "'" and text.startswith("$$", at):
            if form := _form(text[at + 2 : at + _LONGEST]):
                return form
            at += 1
        at += 1
    return ""


def _form(rest: str) -> str:
    """A name or what stands in brackets, at the beginning of a text."""
    first = rest[:1]
    if first not in _CLOSING:
        return "" if first.isdigit() else "".join(takewhile(lambda char: char.isalnum() or char == "_", rest))
    depth = 0
    for index, char in enumerate(rest):
        depth += (char == first) - (char == _CLOSING[first])
        if not depth:
            return rest[: index + 1]
    return f"{first}…"
