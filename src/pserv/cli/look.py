"""Commands that look and change nothing: status, why, list, show, version."""

from __future__ import annotations

import time

from pserv.cli import render, terminal
from pserv.cli.target import connect
from pserv.model.names import is_pattern

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

    from pserv.cli.parse import Arguments


def status(arguments: Arguments) -> int:
    """The table, or with plain NAMEs their stories. 0 all is well, 1 something is wrong, 3 a named one is stopped."""
    names = arguments.words
    client = connect(arguments)
    if arguments.flag("json"):
        from pserv.cli import json_output

        answer = client.call_raw("status", {"names": names})
        json_output.show(answer)
        return exit_code(answer["services"], bool(names))
    if names and not any(is_pattern(name) for name in names):
        stories = client.call_raw("story", {"names": names})
        from pserv.cli.story import tell

        screen = terminal.out()
        if len(stories) > len(names):  # one of them is all instances of a service
            for line in render.table(screen, [story["service"] for story in stories], time.time()):
                screen.line(line)
            return exit_code([story["service"] for story in stories], True)
        if not stories:
            terminal.tell(f"{', '.join(names)} has no instance now", f"pserv scale {names[0]}=1")
        for number, story in enumerate(stories):
            if number:
                screen.line()
            for line in tell(screen, story, time.time()):
                screen.line(line)
        return exit_code([story["service"] for story in stories], True)
    answer = client.call_raw("status", {"names": names})
    screen = terminal.out()
    for line in heading(answer["daemon"]):
        screen.line(screen.paint(line, "yellow"))
    if not answer["services"]:
        terminal.tell("no services are declared", "pserv config")
        return 0
    for line in render.table(screen, answer["services"], time.time()):
        screen.line(line)
    return exit_code(answer["services"], bool(names))


def exit_code(services: list[dict[str, Any]], named: bool) -> int:
    if any(render.wrong(service) for service in services):
        return 1
    return 3 if named and any(service["state"] == "stopped" for service in services) else 0


def heading(daemon: dict[str, Any]) -> list[str]:
    """What is to be told of the daemon: nothing, when all is as it should be."""
    told = []
    if daemon.get("ending"):
        told.append("the daemon is ending")
    if daemon.get("safe"):
        told.append("safe mode: the supervisor died repeatedly; nothing new is started (pserv stop, logs, status work)")
    restarts = daemon.get("supervisor_restarts", 0)
    if restarts:
        times = "once" if restarts == 1 else "twice" if restarts == 2 else f"{restarts} times"
        told.append(f"the supervisor was replaced {times} since the daemon's start; no service was touched")
    told += daemon.get("trouble", ())
    traceback = daemon.get("last_traceback", "").strip()
    if traceback and daemon.get("safe"):
        told.append(traceback.rsplit("\n", 1)[-1])
    return [terminal.printable(sentence) for sentence in told]


def why(arguments: Arguments) -> int:
    """The chain of reasons; exit code as `status NAME`."""
    stories = connect(arguments).call_raw("story", {"names": arguments.words})
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show(stories)
    else:
        from pserv.cli.story import reasons

        screen = terminal.out()
        for story in stories:
            for line in reasons(screen, story):
                screen.line(line)
    return exit_code([story["service"] for story in stories], True)


def names(arguments: Arguments) -> int:
    """Name and state, a line each."""
    if arguments.flag("daemons"):
        from pserv.cli.daemons import show as show_daemons

        return show_daemons(arguments)
    services = connect(arguments).call_raw("status", {"names": arguments.words})["services"]
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show([{"name": service["name"], "state": service["state"]} for service in services])
        return 0
    screen = terminal.out()
    width = max([len(service["name"]) for service in services], default=0) if screen.terminal else 0
    for service in services:
        _, colour = render.look(service)
        screen.line(f"{service['name']:{width}} {screen.paint(render.state_word(service), colour)}")
    return 0


def show(arguments: Arguments) -> int:
    """The exact exec of services, or their variables."""
    if arguments.flag("env") or arguments.flag("diff"):
        from pserv.cli.variables import show as show_variables

        return show_variables(arguments)
    launches = connect(arguments).call_raw("show", {"names": arguments.words})
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show(launches)
        return 0
    from pserv.cli.story import launch

    screen = terminal.out()
    for number, (name, told) in enumerate(launches.items()):
        if number:
            screen.line()
        for line in launch(screen, name, told):
            screen.line(line)
    return 0


def version(arguments: Arguments) -> int:
    """The version of this command, and of the daemon if one runs here."""
    import sys

    from pserv import __version__
    from pserv.model.errors import PservError

    daemon: dict[str, Any] | None = None
    try:
        daemon = connect(arguments).call_raw("version", {})
    except PservError:
        if arguments.text("socket"):
            raise
    python = ".".join(str(part) for part in sys.version_info[:3])
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show({"pserv": __version__, "python": python, "daemon": daemon})
        return 0
    screen = terminal.out()
    screen.line(f"pserv {__version__} (Python {python})")
    if daemon is not None:
        keeper = "" if daemon["keeper"] in ("", daemon["pserv"]) else f", its keeper {daemon['keeper']}"
        screen.line(f"daemon {daemon['pserv']}{keeper} (Python {daemon['python']}, protocol {daemon['protocol']})")
        if daemon["pserv"] != __version__:
            terminal.tell("the daemon runs another version than this command", "pserv upgrade")
    return 0
