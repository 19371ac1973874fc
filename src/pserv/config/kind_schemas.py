"""What a value of each kind looks like in a JSON Schema. How options and structs are made of them is `schema`'s."""

from __future__ import annotations

from typing import Any, Final

from pserv.config import schedules
from pserv.config.scalars import (
    FALSE,
    NONE,
    OUTPUT_WORDS,
    PERIODS,
    SERVICE_PORT,
    TRUE,
)
from pserv.config.shapes import SERVICE

Json = dict[str, Any]


def _beside_a_schedule() -> Json:
    """Options of a service that may also stand inside of its schedule."""
    options = [SERVICE.options[name] for name in schedules.BESIDE]
    return {
        option.name: {
            **({"enum": list(option.shape.choices)} if option.shape.choices else {"type": "string"}),
            "description": option.text,
        }
        for option in options
    }


def _any_case(word: str) -> str:
    """A pattern for a word in capitals or not: patterns of ECMA know no flag for it."""
    return "".join(f"[{char.upper()}{char}]" for char in word)


TEXT: Final[Json] = {"type": ["string", "number", "boolean"]}
_DURATION: Final = r"^ *([0-9][0-9._]* *[mshdwMSHDW][A-Za-z]* *)+$|^ *[0-9.][0-9._eE+-]*$"
_SIGNAL: Final = r"^ *([A-Za-z][A-Za-z0-9]*([+-][0-9]+)?|(SIG|sig)?[0-9]+) *$"
_BOOL: Final = f"^({'|'.join(_any_case(word) for word in sorted(TRUE | FALSE))})$"
DIGITS: Final[Json] = {"type": "string", "pattern": "^ *[+-]?[0-9][0-9_]* *$"}
DECIMAL: Final[Json] = {"type": "string", "pattern": "^ *[+-]?[0-9._]+([eE][+-]?[0-9]+)? *$"}
NAME: Final = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$"

_SIZE: Final[Json] = {
    "anyOf": [
        {"type": "integer", "minimum": 0},
        {"type": "string", "pattern": "^ *[0-9._]+ *[KMGTPkmgtp]?i?[Bb]? *$"},
    ]
}
WORDS: Final[Json] = {"anyOf": [TEXT, {"type": "array", "items": TEXT}]}
KINDS: Final[dict[str, Json]] = {
    "text": TEXT,
    "program": {"type": "string", "minLength": 1},
    "path": {"type": "string", "minLength": 1},
    "bool": {"anyOf": [{"type": "boolean"}, {"type": "string", "pattern": _BOOL}]},
    "duration": {"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": _DURATION}]},
    "schedule": {
        "anyOf": [
            {"type": "string", "pattern": r"^ *(@[A-Za-z]+|@every +[^ ].*|[^ @]+( +[^ ]+){4,5}) *$"},
            {
                "type": "object",
                "properties": {
                    "cron": {**TEXT, "description": "A cron line, or @hourly, @daily, @weekly, @monthly, @yearly."},
                    "every": {**TEXT, "description": "A duration: the time from run to run."},
                    **_beside_a_schedule(),
                },
                "additionalProperties": False,
            },
        ]
    },
    "timezone": {"type": "string", "minLength": 1},
    "size": _SIZE,
    "limit": {"anyOf": [{"const": NONE}, *_SIZE["anyOf"]]},
    "count": {"anyOf": [{"const": NONE}, {"type": "integer", "minimum": 0}, DIGITS]},
    "period": {
        "anyOf": [
            {"enum": [*PERIODS, NONE]},
            {"type": "number", "minimum": 60},
            {"type": "string", "pattern": _DURATION},
        ]
    },
    "rate": {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "string", "pattern": "^ *[0-9._]+ */ *([smh]|sec|second|min|minute|hour) *$"},
        ]
    },
    "signal": {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": 64},
            {"type": "string", "pattern": _SIGNAL},
        ]
    },
    "reaction": {
        "anyOf": [{"enum": ["restart", "reload"]}, {"type": "integer"}, {"type": "string", "pattern": _SIGNAL}]
    },
    "octal": {
        "anyOf": [
            {"type": "integer", "minimum": 0, "maximum": 7777},
            {"type": "string", "pattern": "^ *(0[oO])?0*[0-7]{1,4} *$"},
        ]
    },
    "consequence": {
        "anyOf": [{"enum": ["restart", "none"]}, {"type": "integer"}, {"type": "string", "pattern": _SIGNAL}]
    },
    "words": WORDS,
    "port": {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 65535}, DIGITS, {"const": SERVICE_PORT}]},
    "command": WORDS,
    "arguments": WORDS,
    "environment": {
        "anyOf": [
            {"type": "object", "additionalProperties": TEXT},
            {"type": "array", "items": {"type": "string", "pattern": "="}},
        ]
    },
    "output": {
        "anyOf": [{"enum": [*OUTPUT_WORDS, None]}, {"type": "string", "pattern": r"[./]"}],
    },
    "map": {"type": "object"},
    "address": {"type": ["string", "integer"]},
    "call": {
        "anyOf": [
            *WORDS["anyOf"],
            {
                "type": "object",
                "properties": {
                    "command": {
                        **WORDS,
                        "description": "Program and arguments: a string without shell syntax, or a list.",
                    },
                    "shell": {**TEXT, "description": "A line for /bin/sh -c."},
                },
                "minProperties": 1,
                "maxProperties": 1,
            },
        ]
    },
    "any": {},
}
