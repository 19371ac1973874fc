"""One written value to the value an option wants, decided by the option's kind. Structure is `decode`'s.

Each reader takes a scalar and raises Wrong with a message that reads on after the option's name.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final

from pserv.config import commandline
from pserv.config.expected import expected
from pserv.config.findings import Wrong, shown
from pserv.config.hints import suggestion, yaml_quoted
from pserv.config.nodes import Scalar
from pserv.config.shapes import Shape
from pserv.model import units
from pserv.model.kinds import ALL

TRUE: Final = frozenset(("true", "yes", "on"))
FALSE: Final = frozenset(("false", "no", "off"))
_DIGITS: Final = frozenset("0123456789")

CONDITION_ALIASES: Final = {
    "service_started": "started",
    "service_healthy": "healthy",
    "service_completed_successfully": "completed",
}
"""Compose's names."""
POLICY_ALIASES: Final = {"no": "never", "unless-stopped": "always"}
SERVICE_PORT: Final = "${pserv.port}"
OUTPUT_WORDS: Final = ("log", "inherit", "syslog", "null")
PERIODS: Final = {"hourly": 3600.0, "daily": 86_400.0, "weekly": 604_800.0}
SHORTEST_PERIOD: Final = 60.0
NONE: Final = "none"


def text(node: Scalar) -> str:
    """The text; what no process could be given is refused."""
    if "\0" in node.text:
        raise Wrong(f"{shown(node.text)} contains a NUL character", "remove it: no process can be given one")
    if not node.text.isascii() and any("\ud800" <= char <= "\udfff" for char in node.text):
        raise Wrong(f"{shown(node.text)} contains half of a surrogate pair", "write the character itself")
    return node.text


def filled(node: Scalar, shape: Shape) -> str:
    """A text that may not be empty."""
    value = text(node)
    if not value.strip():
        raise Wrong("is an empty text", f"write {expected(shape)}, or remove the line")
    return value


def _plain_text(node: Scalar, shape: Shape) -> str:
    return text(node)


def _program(node: Scalar, shape: Shape) -> str:
    value = filled(node, shape)
    return resolved(value, node) if "/" in value else value


def resolved(value: str, node: Scalar) -> str:
    """A path relative to the folder of the file that the node stands in, made absolute."""
    return os.path.normpath(os.path.join(os.path.dirname(node.file), value))


def _path(node: Scalar, shape: Shape) -> str:
    return resolved(filled(node, shape), node)


def _output(node: Scalar, shape: Shape) -> str:
    value = filled(node, shape)
    if value in OUTPUT_WORDS:
        return value
    if value == "/dev/null":
        return "null"
    if "/" not in value and "." not in value:
        hint = suggestion(value, OUTPUT_WORDS) or f"for a file of that name write ./{value}"
        raise Wrong(f"{shown(value)} is neither a path nor one of {', '.join(OUTPUT_WORDS)}", hint)
    return resolved(value, node)


def _integer(node: Scalar, shape: Shape) -> int:
    value = node.text.strip()
    digits = value[1:] if value[:1] in ("-", "+") else value
    digits = digits.replace("_", "")
    if not digits or not _DIGITS.issuperset(digits) or len(digits) > 18:
        raise Wrong(f"{shown(node.text)} is not a whole number", f"write {expected(shape)}")
    number = int(digits) * (-1 if value.startswith("-") else 1)
    _bounded(number, node, shape)
    return number


def _port(node: Scalar, shape: Shape) -> int | None:
    """Of a probe: a number, or the service's own port, which is also the default."""
    return None if node.text.strip() == SERVICE_PORT else _integer(node, shape)


def _number(node: Scalar, shape: Shape) -> float:
    try:
        number = units.parse_number(node.text.strip())
    except ValueError:
        raise Wrong(f"{shown(node.text)} is not a number", f"write {expected(shape)}") from None
    _bounded(number, node, shape)
    return number


def _bounded(number: float, node: Scalar, shape: Shape) -> None:
    if shape.low is not None and number < shape.low:
        raise Wrong(f"{shown(node.text)} is less than {shape.low:g}", f"write {expected(shape)}")
    if shape.high is not None and number > shape.high:
        raise Wrong(f"{shown(node.text)} is more than {shape.high:g}", f"write {expected(shape)}")


def _bool(node: Scalar, shape: Shape) -> bool:
    word = node.text.lower()
    if word in TRUE or word in FALSE:
        return word in TRUE
    raise Wrong(f"{shown(node.text)} is neither true nor false", "write true or false")


def _choice(node: Scalar, shape: Shape) -> str:
    return _one_of(node.text, shape)


def _one_of(value: str, shape: Shape) -> str:
    if value in shape.choices:
        return value
    raise Wrong(f"{shown(value)} is not {expected(shape)}", suggestion(value, shape.choices) or "write one of these")


def _condition(node: Scalar, shape: Shape) -> str:
    word = CONDITION_ALIASES.get(node.text, node.text)
    if word not in shape.choices:
        near = suggestion(word, (*shape.choices, *CONDITION_ALIASES)) or "write one of these"
        raise Wrong(f"{shown(node.text)} is not {expected(shape)}", near)
    return word


class Spread(dict[str, Any]):
    """The value of one option that also sets others beside it."""


def _policy(node: Scalar, shape: Shape) -> str | Spread:
    """`on-failure:5` is compose's form and sets max_retries too."""
    word, colon, retries = node.text.partition(":")
    word = POLICY_ALIASES.get(word, word)
    if not node.quoted and word.lower() in ("true", "false"):
        better = "always" if word.lower() == "true" else "never"
        raise Wrong(f"{shown(word)} is not {expected(shape)}", f"write {better}")
    policy = _one_of(word, shape)
    if not colon:
        return policy
    if not retries or not _DIGITS.issuperset(retries) or len(retries) > 9:
        raise Wrong(f"{shown(node.text)} has no number after the colon", f"write {policy}:5 for at most 5 retries")
    if policy == "never":
        raise Wrong(f"{shown(node.text)} limits restarts that never come", "write never")
    return Spread(restart=policy, max_retries=int(retries))


_LONG: Final = 32
"""Characters; longer texts are not remembered."""


def _unit(parse: Callable[[str], float]) -> Callable[[Scalar, Shape], float]:
    known = lru_cache(256)(parse)  # a thousand services say `10s` and `10MB`

    def read(node: Scalar, shape: Shape) -> float:
        try:
            value = (known if len(node.text) < _LONG else parse)(node.text)
            if shape.positive and not value:
                raise ValueError(f"{node.text!r} is not more than 0")
            return value
        except ValueError as error:
            reason = str(error).replace(repr(node.text), shown(node.text), 1)
            name = node.text.upper().removeprefix("SIG")
            near = suggestion(name, tuple(units.signal_names())) if shape.kind == "signal" else ""
            raise Wrong(reason, near or f"write {expected(shape)}") from None

    return read


def _size(node: Scalar, shape: Shape) -> int:
    size = int(_unit(units.parse_size)(node, shape))
    for bound, beyond, word in ((shape.low, -1, "less"), (shape.high, 1, "more")):
        if bound is not None and (size - bound) * beyond > 0:
            limit = units.write_size(int(bound))
            raise Wrong(f"{shown(node.text)} is {word} than {limit}", f"write {expected(shape)}, such as {limit}")
    return size


def _or_none(read: Callable[[Scalar, Shape], float], nothing: float) -> Callable[[Scalar, Shape], float]:
    """The same, and `none` for no limit."""
    return lambda node, shape: nothing if node.text.strip().lower() == NONE else read(node, shape)


def _period(node: Scalar, shape: Shape) -> float:
    word = node.text.strip().lower()
    if word in PERIODS:
        return PERIODS[word]
    if word.isalpha():
        hint = suggestion(word, (*PERIODS, NONE)) or f"write {expected(shape)}"
        raise Wrong(f"{shown(node.text)} is no period", hint)
    seconds = _unit(units.parse_duration)(node, shape)
    if seconds < SHORTEST_PERIOD:
        raise Wrong(f"{shown(node.text)} is too short", "write a minute at least, 1m")
    return seconds


def command_words(node: Scalar, shape: Shape) -> tuple[str, ...]:
    """The words of a command written as one string; what would need a shell is a mistake."""
    line = text(node)
    try:
        words = commandline.split(line)
    except commandline.NeedsShell as error:
        if shape.kind == "arguments":
            hint = f"quote it ('{error.what}') if the program shall get it; else write the whole line as shell: \"…\""
        else:
            whole = f"shell: {yaml_quoted(line)}"
            hint = f"write {{{whole}}}" if shape.kind == "call" else f"write {whole}"
        raise Wrong(f"{shown(line)} has {shown(error.what)} in it, which only a shell understands", hint) from None
    except ValueError as error:
        raise Wrong(f"{shown(line)} cannot be split into words: {error}", "close it, or write a list") from None
    name, equals, value = words[0].partition("=") if words and shape.kind == "command" else ("", "", "")
    if equals and name.isidentifier():
        raise Wrong(
            f"{shown(line)} begins with a variable, which only a shell understands",
            f"write env: {{{name}: {yaml_quoted(value)}}} and the command without it",
        )
    return words


def _what_follows(*words: str) -> Callable[[Scalar, Shape], str]:
    """What follows a change: one of these words, or a signal by its name."""

    def read(node: Scalar, shape: Shape) -> str:
        word = filled(node, shape).strip()
        if word.lower() in words:
            return word.lower()
        try:
            return units.show_signal(units.parse_signal(word))
        except ValueError:
            near = suggestion(word, (*words, *units.signal_names()))
            raise Wrong(
                f"{shown(word)} is neither {' nor '.join(words)} nor a signal", near or "write restart"
            ) from None

    return read


READERS: Final[dict[str, Callable[[Scalar, Shape], Any]]] = {
    "text": _plain_text,
    "program": _program,
    "path": _path,
    "output": _output,
    "integer": _integer,
    "number": _number,
    "port": _port,
    "bool": _bool,
    "choice": _choice,
    "policy": _policy,
    "condition": _condition,
    "duration": _unit(units.parse_duration),
    "size": _size,
    "limit": _or_none(_unit(units.parse_size), 0),
    "count": _or_none(_integer, ALL),
    "period": _or_none(_period, 0.0),
    "rate": _unit(units.parse_rate),
    "signal": _unit(units.parse_signal),
    "octal": _unit(units.parse_octal),
    "reaction": _what_follows("restart", "reload"),
    "consequence": _what_follows("restart", "none"),
}
