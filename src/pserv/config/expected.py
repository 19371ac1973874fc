"""What a value of each kind looks like, in words for messages and documents. Reading one is `scalars`'s."""

from __future__ import annotations

from typing import Final

from pserv.config.shapes import Shape
from pserv.model import units

EXPECTED: Final = {
    "text": "a text",
    "program": "a path, or the name of a program",
    "path": "a path",
    "integer": "a whole number",
    "number": "a number",
    "port": "a port: a number from 1 to 65535",
    "bool": "true or false",
    "duration": f"a duration: {units.DURATION_FORMS}",
    "schedule": "a cron line, @hourly, @daily, @weekly, @monthly, @yearly, or @every and a duration",
    "timezone": "a time zone such as Europe/Berlin",
    "size": f"a size: {units.SIZE_FORMS}",
    "limit": f"a size: {units.SIZE_FORMS}; or none",
    "count": "a whole number, or none",
    "period": f"hourly, daily, weekly, none, or a duration of a minute at least: {units.DURATION_FORMS}",
    "rate": f"a rate: {units.RATE_FORMS}",
    "signal": f"a signal: {units.SIGNAL_FORMS}",
    "reaction": "restart, reload, or a signal",
    "consequence": "restart, none, or a signal",
    "env_files": "a path, or a list of them",
    "secrets": "a mapping of names to where each comes from",
    "octal": f"permission bits in octal: {units.OCTAL_FORMS}",
    "words": "a word, or a list of words",
    "needs": "a list of services, or a mapping of services to conditions",
    "list": "a list",
    "command": "a command: a string or a list of words",
    "arguments": "a list of words, or a string",
    "environment": "variables: a mapping, or a list of NAME=value",
    "output": "a path, log, inherit, syslog or null",
    "struct": "a mapping of options",
    "map": "a mapping",
    "call": "a command: a string, a list of words, or {shell: …}",
    "hooks": "a command, or a list of commands",
    "address": "an address: 8080, 127.0.0.1:8080, udp://:53, unix:/run/app.sock",
    "sockets": "an address, a list of them, or a mapping of names to addresses",
}


def expected(shape: Shape) -> str:
    """What a value of this shape looks like, for messages."""
    if shape.choices:
        return f"one of {', '.join(shape.choices)}"
    if shape.either:
        return ", or ".join(expected(each) for each in shape.either)
    if shape.kind in ("integer", "number") and shape.low is not None:
        limits = f"from {shape.low:g} to {shape.high:g}" if shape.high is not None else f"of at least {shape.low:g}"
        return f"{EXPECTED[shape.kind]} {limits}"
    return EXPECTED.get(shape.kind, "a value")
