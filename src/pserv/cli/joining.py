"""`pserv up` where a daemon runs already: what the file says now is applied, and its output followed."""

from __future__ import annotations

from pserv.api.client import Client
from pserv.cli import reload, stream, terminal

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

    from pserv.cli.parse import Arguments


def join(arguments: Arguments, socket: str) -> int:
    """A daemon runs already: what the file says now is applied; Ctrl-C then only detaches."""
    client = Client(socket)
    timeout = arguments.seconds("timeout")
    as_json = arguments.flag("json")
    request = {
        "start": True,
        "names": arguments.words,
        "wait": not arguments.flag("no-wait"),
        "timeout": timeout,
        "profiles": arguments.texts("profile") or None,
    }
    told = stream.act(lambda: client.stream_raw("reload", request), "reload")
    if not as_json:
        reload.tell_plan(terminal.out(), told.plan)
    code = stream.finish(told, as_json, waited=not arguments.flag("no-wait"))
    if arguments.flag("detach"):
        return code
    from pserv.cli.following import Follower  # late: with threading, which -d has no use for

    follower = Follower(socket, declared(socket), as_json=as_json)
    try:
        terminal.tell("following; Ctrl-C leaves the daemon running")
        follower.start()
        follower.join()
    except KeyboardInterrupt:
        terminal.tell("detached; the daemon goes on", "pserv down stops it")
        return code
    terminal.tell("the daemon has ended")
    return code


def declared(socket: str) -> dict[str, dict[str, Any]]:
    """The services of the daemon and their instances, by name, with what is declared of each."""
    services: dict[str, dict[str, Any]] = Client(socket).call_raw("config", {})["services"]
    found = {}
    for name, spec in services.items():
        count = spec.get("instances")
        found.update(dict.fromkeys([name] if count is None else [f"{name}:{n}" for n in range(1, count + 1)], spec))
    return found
