"""Commands that act: start, stop, restart, wait, signal, down."""

from __future__ import annotations

from pserv.cli import stream, terminal
from pserv.cli.target import connect

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any, NoReturn

    from pserv.cli.parse import Arguments


def act(arguments: Arguments) -> int:
    """start, stop, restart: waits until all are settled and tells each outcome."""
    verb = arguments.verb
    if not arguments.words and not arguments.flag("all") and verb != "start":
        _want_names(verb)
    request = {
        "names": arguments.words,
        "all": arguments.flag("all"),
        "wait": not arguments.flag("no-wait"),
        "timeout": arguments.seconds("timeout"),
        "rolling": arguments.flag("rolling"),
    }
    client = connect(arguments)
    until = "rolled" if arguments.flag("rolling") else "settled"
    again = {"names": arguments.words, "for": until, "timeout": request["timeout"]}
    told = stream.act(lambda: client.stream_raw(verb, request), verb, lambda: client.stream_raw("wait", again))
    return stream.finish(told, arguments.flag("json"), waited=not arguments.flag("no-wait"))


def scale(arguments: Arguments) -> int:
    """Has so many instances of services: new ones are started, those with the highest numbers stopped."""
    from pserv.model.errors import UsageError

    counts: dict[str, int] = {}
    for word in arguments.words:
        name, _, number = word.partition("=")
        if not name or not (number.isascii() and number.isdigit()) or len(number) > 9:
            hint = f"pserv scale {name or 'web'}=2"
            raise UsageError(f"cannot scale: {word!r} does not say how many of which service", hint)
        counts[name] = int(number)
    wait = not arguments.flag("no-wait")
    timeout = arguments.seconds("timeout")
    request = {"counts": counts, "wait": wait, "timeout": timeout}
    client = connect(arguments)
    again = {"names": list(counts), "for": "settled", "timeout": timeout}
    told = stream.act(lambda: client.stream_raw("scale", request), "scale", lambda: client.stream_raw("wait", again))
    return stream.finish(told, arguments.flag("json"), waited=wait)


def run(arguments: Arguments) -> int:
    """One run now: tells how it ended; its exit code."""
    (name,) = arguments.words
    client = connect(arguments)
    request = {"name": name, "wait": not arguments.flag("no-wait")}
    told = stream.act(
        lambda: client.stream_raw("run", request), "run", lambda: client.stream_raw("run", {**request, "join": True})
    )
    if told.ended is None:
        stream.vanished()
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show({"service": name, "code": told.ended["code"], "message": told.ended["message"]})
    else:
        terminal.out().line(f"{name}: {terminal.printable(told.ended['message'])}")
    return int(told.ended["code"])


def wait(arguments: Arguments) -> int:
    """Waits until all that are named are so."""
    request = {
        "names": arguments.words,
        "for": arguments.text("for") or "ready",
        "timeout": arguments.seconds("timeout"),
    }
    client = connect(arguments)

    def begin() -> Iterable[dict[str, Any]]:
        return client.stream_raw("wait", request)

    told = stream.act(begin, "work", begin)
    return stream.finish(told, arguments.flag("json"))


def signal(arguments: Arguments) -> int:
    """Sends a signal."""
    from pserv.model.errors import UsageError
    from pserv.model.units import parse_signal, show_signal

    word, *names = arguments.words
    if not names and not arguments.flag("all"):
        _want_names("signal", f"pserv signal {word} NAME, or --all")
    try:
        number = parse_signal(word)
    except ValueError as error:
        raise UsageError(f"cannot send a signal: {error}", "pserv signal HUP NAME") from None
    request = {"signal": number, "names": names, "all": arguments.flag("all"), "group": arguments.flag("group")}
    return finish(connect(arguments).call_raw("signal", request), arguments, f"sent {show_signal(number)}")


def down(arguments: Arguments) -> int:
    """Stops everything and ends the daemon; it is gone when this returns."""
    from pserv.cli.ending import wait_for_end
    from pserv.model.errors import PservError, Unreachable

    client = connect(arguments)
    keeper = client.call_raw("status", {})["daemon"]["keeper_pid"]
    told: stream.Followed | None = None
    try:
        told = stream.act(lambda: client.stream_raw("down", {}), "shutdown")
    except Unreachable:
        pass  # A supervisor that was replaced or has ended; the order to end is the keeper's.
    if not wait_for_end(keeper):
        raise PservError(f"cannot end the daemon: its keeper (pid {keeper}) is still there", "pserv status")
    if told is not None and told.done is not None:
        return stream.finish(told, arguments.flag("json"))
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show({"ok": True, "outcomes": [], "message": ""})
    return 0


def finish(answer: dict[str, Any], arguments: Arguments, told: str) -> int:
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show({name: value for name, value in answer.items() if name != "type"})
    else:
        screen = terminal.out()
        for outcome in answer["outcomes"]:
            screen.line(f"{outcome['service']}: {outcome['reason'] or told}")
        if answer["message"] or not answer["outcomes"]:
            screen.line(answer["message"] or told)
    return 0 if answer["ok"] else 1


def _want_names(verb: str, hint: str = "") -> NoReturn:
    from pserv.model.errors import UsageError

    raise UsageError(f"cannot {verb}: no service was named", hint or f"pserv {verb} NAME, or pserv {verb} --all")
