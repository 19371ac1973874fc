"""Commands that hand on what others print: events, exec."""

from __future__ import annotations

import sys

from pserv.cli import terminal
from pserv.cli.logs import flush_lines
from pserv.cli.target import connect

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pserv.cli.parse import Arguments


def events(arguments: Arguments) -> int:
    """The history of decisions."""
    import time

    from pserv.cli.story import change

    follow = arguments.flag("follow")
    request = {"names": arguments.words, "lines": arguments.count("lines", 100), "follow": follow}
    items = connect(arguments).stream_raw("events", request)
    if arguments.flag("json"):
        return _json_lines(items, follow)
    screen = terminal.out()
    if follow:
        flush_lines()
    for item in items:
        if item["type"] == "change":
            screen.line(change(screen, item["change"], time.time(), names=True))
        elif item["type"] == "dropped":
            terminal.tell(f"{item['count']} events were not shown: this terminal was too slow", "pserv events -n N")
    return 0


def execute(arguments: Arguments) -> int:
    """Relays the output of a command; its exit code is ours."""
    name, *argv = arguments.words
    stdin = _stdin() if arguments.flag("stdin") else ""
    request = {"name": name, "argv": argv, "stdin": stdin, "timeout": arguments.seconds("timeout")}
    as_json = arguments.flag("json")
    texts: dict[str, list[str]] = {"stdout": [], "stderr": []}
    code, message = 1, "the daemon closed the connection before the command ended"
    for item in connect(arguments).stream_raw("exec", request):
        if item["type"] == "output":
            if as_json:
                texts[item["stream"]].append(item["text"])
                continue
            stream = sys.stdout if item["stream"] == "stdout" else sys.stderr
            stream.write(item["text"])
            stream.flush()
        elif item["type"] == "ended":
            code, message = item["code"], item["message"]
    if as_json:
        from pserv.cli import json_output

        printed = {stream: "".join(pieces) for stream, pieces in texts.items()}
        json_output.show({"code": code, "message": message, **printed})
    elif message:
        terminal.tell(f"cannot run {argv[0]}: {message}" if code in (1, 126, 127) else message)
    return int(code)


def _stdin() -> str:
    """All of the standard input; raises UsageError where it is no text, which is all that a request can carry."""
    try:
        return sys.stdin.buffer.read().decode()
    except UnicodeDecodeError as error:
        from pserv.model.errors import UsageError

        raise UsageError(
            "cannot hand on the standard input: it is not UTF-8 text", "let the command read a file"
        ) from error


def _json_lines(items: Iterable[dict[str, Any]], follow: bool) -> int:
    from pserv.cli.json_output import line

    if follow:
        flush_lines()
    for item in items:
        print(line(item.get("change", item)))
    return 0
