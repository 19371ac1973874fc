"""`pserv logs`: what services print, as it is asked for, each in its colour. How it is followed is in `unbroken`."""

from __future__ import annotations

import sys

from pserv.cli import terminal
from pserv.cli.target import connect
from pserv.cli.unbroken import Unbroken
from pserv.model.prefixes import Prefixes

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pserv.cli.parse import Arguments
    from pserv.cli.terminal import Screen


def logs(arguments: Arguments) -> int:
    """What was printed, and with -f what comes."""
    if arguments.flag("reopen"):
        connect(arguments).call_raw("reopen")
        return 0
    request = _request(arguments)
    client = connect(arguments)
    follow = arguments.flag("follow")
    items = Unbroken(client, request) if follow else client.stream_raw("logs", request)
    if arguments.flag("json"):
        return _json_lines(items, follow)
    screen = terminal.out()
    prefixes = None
    if not arguments.flag("no-prefix") and (names := _several(client, arguments.words)):
        prefixes = Prefixes.on(screen.stream, names)
    if follow:
        flush_lines()
        write_lines(screen, items, prefixes, times=arguments.flag("timestamps"))
        return 0
    from pserv.cli.pager import Pager

    with Pager(not arguments.flag("no-pager")):
        write_lines(screen, items, prefixes, times=arguments.flag("timestamps"))
    return 0


def _request(arguments: Arguments) -> dict[str, object]:
    """What the daemon is asked. Raises UsageError."""
    from pserv.model.errors import UsageError

    request: dict[str, object] = {"names": arguments.words}
    for name in ("grep", "level", "run", "stream"):
        request[name] = arguments.text(name)
    for name in ("follow", "invert", "reverse"):
        request[name] = arguments.flag(name)
    if "lines" in arguments.values:
        request["lines"] = arguments.count("lines", 0)
    if arguments.flag("invert") and not arguments.text("grep"):
        raise UsageError("cannot use --invert without --grep: nothing is searched for", "--grep PATTERN --invert")
    for name in ("since", "until"):
        text = arguments.text(name)
        if text is not None:
            request[name] = f"@{_moment(name, text):.6f}"
    return request


def _moment(name: str, text: str) -> float:
    """In the time zone of who asks. Raises UsageError."""
    import time

    from pserv.model.errors import UsageError
    from pserv.model.moments import parse_moment

    now = time.time()
    try:
        moment = parse_moment(text, now)
    except ValueError as error:
        raise UsageError(f"cannot read --{name}: {error}") from None
    if name == "since" and moment > now:
        hint = f"--since 'yesterday {text}'" if ":" in text and len(text) <= len("14:00:00") else ""
        raise UsageError(f"cannot show what was printed since {text!r}: that is yet to come", hint)
    return max(moment, 0.0)


def write_lines(
    screen: Screen, items: Iterable[dict[str, Any]], prefixes: Prefixes | None, *, times: bool = False
) -> None:
    """Writes lines of logs until the stream ends."""
    write = screen.stream.write
    told = set()
    for item in items:
        kind = item["type"]
        if kind == "line":
            before = prefixes.before(item["service"]) if prefixes else ""
            if times and item.get("ts"):
                before += screen.paint(item["ts"], "dim") + " "
            write(f"{before}{item['text']}\n")
        elif kind == "note" and item["text"] not in told:
            told.add(item["text"])
            terminal.tell(item["text"], item["hint"])
        elif kind == "dropped":
            terminal.tell(f"{item['count']} lines were not shown: this terminal was too slow", "pserv logs -n N")


def flush_lines() -> None:
    """Each line is seen at once, into a pipe too."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)


def _several(client: Any, names: list[str]) -> list[str]:
    """The names of the services that are meant, where that may be more than one."""
    if len(names) == 1 and not any(mark in names[0] for mark in "@*?["):
        return []
    services = client.call_raw("status", {"names": names})["services"]
    return [service["name"] for service in services]


def _json_lines(items: Iterable[dict[str, Any]], follow: bool) -> int:
    from pserv.cli.json_output import line

    if follow:
        flush_lines()
    for item in items:
        print(line(item))
    return 0
