"""What a Dockerfile says of the program that its image runs: command and folder. Nothing else of it is read."""

from __future__ import annotations

import json
import shlex
from typing import Any

import msgspec


class Image(msgspec.Struct):
    """`command` is a list, or a text for a shell; None where the base image says it."""

    command: list[str] | str | None = None
    folder: str = ""
    """WORKDIR, a path within the image."""


def read(text: str) -> Image:
    """Of the last stage."""
    image, start, words = Image(), None, None
    for line in _lines(text):
        keyword, _, rest = line.partition(" ")
        rest = rest.strip()
        match keyword.upper():
            case "FROM":
                image, start, words = Image(), None, None
            case "WORKDIR":
                image.folder = rest
            case "ENTRYPOINT":
                start, words = _command(rest), None
            case "CMD":
                words = _command(rest)
    image.command = _joined(start, words)
    return image


def _joined(start: list[str] | str | None, words: list[str] | str | None) -> list[str] | str | None:
    """ENTRYPOINT and CMD together; what is for a shell takes no arguments (Dockerfile reference)."""
    if start is None or isinstance(start, str):
        return words if start is None else start
    return [*start, *(shlex.split(words) if isinstance(words, str) else words or [])]


def _command(rest: str) -> list[str] | str | None:
    if not rest.startswith("["):
        return rest or None
    try:
        words: Any = json.loads(rest)
    except ValueError:
        return rest
    return words if isinstance(words, list) and all(isinstance(word, str) for word in words) else None


def _lines(text: str) -> list[str]:
    lines: list[str] = []
    joined = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#"):
            continue
        if stripped.endswith("\\"):
            joined += stripped[:-1] + " "
            continue
        if joined or stripped:
            lines.append(joined + stripped)
        joined = ""
    return lines
