"""`pserv reload`: the plan in a line a service, how it went, and the configurations of before."""

from __future__ import annotations

import time

from pserv.cli import act, stream, terminal
from pserv.cli.target import connect

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pserv.cli.parse import Arguments
    from pserv.cli.terminal import Screen

EACH = 20
"""So many unchanged services stand in a line each."""
NAMED = 5
"""So many services of an earlier configuration are named."""


def reload(arguments: Arguments) -> int:
    """Applies the changed files and tells the plan first, then the outcomes; with NAME asks services instead."""
    if arguments.words:
        return _reload_services(arguments)
    if arguments.flag("list"):
        return _list(arguments)
    request = {
        "dry_run": arguments.flag("dry-run"),
        "previous": arguments.flag("previous"),
        "back": arguments.count("back", 0),
        "rollback": arguments.flag("rollback-on-failure"),
        "profiles": arguments.texts("profile") or None,
        "wait": not arguments.flag("no-wait"),
        "timeout": arguments.seconds("timeout"),
    }
    told = stream.act(lambda: connect(arguments).stream_raw("reload", request), "reload")
    if not arguments.flag("json"):
        tell_plan(terminal.out(), told.plan, unchanged=arguments.flag("dry-run"))
    return stream.finish(told, arguments.flag("json"), waited=not arguments.flag("no-wait"))


def _reload_services(arguments: Arguments) -> int:
    """Asks services to reload themselves; what is in the files is not applied, and that is told."""
    from pserv.model.errors import UsageError

    for flag in ("dry-run", "previous", "back", "list", "rollback-on-failure"):
        if arguments.flag(flag):
            raise UsageError(
                f"cannot reload {arguments.words[0]} with --{flag}: that is for the configuration",
                f"pserv reload --{flag}, or pserv reload {arguments.words[0]}",
            )
    answer = connect(arguments).call_raw("reload_service", {"names": arguments.words})
    code = act.finish(answer, arguments, "reloaded")
    if not arguments.flag("json"):
        terminal.tell("the configuration is as it was: `pserv reload` without a name applies its files")
    return code


def _list(arguments: Arguments) -> int:
    """The configurations that are kept, the last one first."""
    kept = connect(arguments).call_raw("configurations", {})
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show(kept)
        return 0
    screen = terminal.out()
    if not kept:
        terminal.tell("no earlier configuration is kept")
    for each in kept:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(each["at"]))
        names = ", ".join(each["services"][:NAMED]) + (", …" if len(each["services"]) > NAMED else "")
        number = "1 service" if len(each["services"]) == 1 else f"{len(each['services'])} services"
        screen.line(f"{each['number']}  accepted {at}  {number}: {terminal.printable(names)}")
    if kept:
        terminal.tell("`pserv reload --back N` goes there; with --dry-run it only tells what would change")
    return 0


def tell_plan(screen: Screen, plan: dict[str, Any] | None, *, unchanged: bool = False) -> None:
    """A line a service: "web: restart because env.PORT 1 -> 2 (pserv.yaml:12)"; `unchanged`: those that stay, too."""
    if plan is None:
        return
    steps = [step for step in plan["steps"] if step["action"] != "unchanged"]
    for step in steps:
        colour = "yellow" if step["action"] in ("restart", "remove") else "green"
        name = screen.paint(step["service"], "bold")
        screen.line(f"{name}: {_sentence(screen, step, colour)}")
    if plan.get("daemon"):
        changes = _changes(screen, plan["daemon"], "daemon.")
        screen.line(f"{screen.paint('daemon', 'bold')}: {changes}, {screen.paint('live', 'green')}")
    if not steps and not plan.get("daemon"):
        screen.line("nothing changed")
    elif unchanged:
        _tell_unchanged(screen, [step["service"] for step in plan["steps"] if step["action"] == "unchanged"])
    for note in plan["notes"]:
        terminal.tell(terminal.printable(note))


def _sentence(screen: Screen, step: dict[str, Any], colour: str) -> str:
    details = step.get("details") or ()
    action = screen.paint(step["action"], colour)
    if step["action"] == "restart":
        because = _changes(screen, [each for each in details if not each["live"]])
        because = because or "; ".join(map(terminal.printable, step["changes"]))
        also = _changes(screen, [each for each in details if each["live"]])
        if step.get("later"):
            return f"{_changes(screen, details) or because}, {screen.paint('from its next start on', colour)}"
        return f"{action} because {because}" + (f"; and {also}, live" if also else "")
    if step["action"] == "live":
        late = "" if all(each["live"] for each in details) else " from its next run on"
        return f"{_changes(screen, details)}, {action}{late}"
    if step.get("renamed"):
        return f"{action}; {step['renamed']} was renamed {step['service']}, as it seems: all else is equal"
    return action


def _changes(screen: Screen, details: Iterable[dict[str, Any]], prefix: str = "") -> str:
    return ", ".join(_change(screen, each, prefix) for each in details)


def _change(screen: Screen, detail: dict[str, Any], prefix: str) -> str:
    """ "env.PORT 1 -> 2 (pserv.yaml:12)"; "env.TOKEN changed (pserv.yaml:13)" where values are not shown."""
    option = detail["option"].removeprefix(prefix)
    old, new = detail.get("old"), detail.get("new")
    if (old is None and new is None) or old == new:
        told = f"{option} changed"
    elif old is None or new is None:
        told = f"{option} {'added' if old is None else 'removed'}"
    else:
        told = f"{option} {terminal.printable(old)} {screen.symbol('→')} {terminal.printable(new)}"
    return f"{told} ({terminal.printable(detail['origin'])})" if detail.get("origin") else told


def _tell_unchanged(screen: Screen, names: list[str]) -> None:
    if len(names) > EACH:
        screen.line(f"{len(names)} services: unchanged")
        return
    for name in names:
        screen.line(f"{screen.paint(name, 'bold')}: {screen.paint('unchanged', 'dim')}")
