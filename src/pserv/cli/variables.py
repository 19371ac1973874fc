"""`pserv show NAME --env`: the variables of a service with where they come from; `--diff`: what will be otherwise."""

from __future__ import annotations

from pserv.cli import terminal
from pserv.cli.target import connect

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pserv.cli.parse import Arguments
    from pserv.cli.terminal import Screen

WIDEST = 60
"""Characters of a variable up to which origins stand in one column."""
SIGNS = {"added": ("+", "green"), "removed": ("-", "red"), "changed": ("~", "yellow")}


def show(arguments: Arguments) -> int:
    """The variables of services."""
    told = connect(arguments).call_raw("environment", {"names": arguments.words})
    only = arguments.flag("diff")
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show({name: _differing(each) for name, each in told.items()} if only else told)
        return 0
    screen = terminal.out()
    for number, (name, environment) in enumerate(told.items()):
        if number:
            screen.line()
        lines = _changes(screen, name, environment) if only else _all(screen, name, environment)
        for line in lines:
            screen.line(line)
        for text in environment.get("trouble", ()):
            terminal.tell(terminal.printable(text))
    return 0


def _differing(environment: dict[str, Any]) -> dict[str, Any]:
    return {**environment, "variables": [each for each in environment["variables"] if each.get("differs")]}


def _all(screen: Screen, name: str, environment: dict[str, Any]) -> Iterator[str]:
    yield screen.paint(name, "bold")
    rows = [(_assigned(each), each) for each in environment["variables"] if each.get("differs") != "removed"]
    column = max([len(text) for text, _ in rows if len(text) <= WIDEST], default=0)
    for text, each in rows:
        yield f"  {text:<{column}}  {screen.paint(terminal.printable(each['origin']), 'dim')}"


def _assigned(variable: dict[str, Any]) -> str:
    value = variable.get("value")
    return variable["name"] if value is None else f"{variable['name']}={terminal.printable(value)}"


def _changes(screen: Screen, name: str, environment: dict[str, Any]) -> Iterator[str]:
    """What its next start would get otherwise than the running one did."""
    pid = environment.get("pid")
    if pid is None:
        yield f"{screen.paint(name, 'bold')}: does not run, so there is nothing to compare with"
        return
    changed = _differing(environment)["variables"]
    if not changed:
        yield f"{screen.paint(name, 'bold')}: nothing differs from what pid {pid} got"
        return
    yield f"{screen.paint(name, 'bold')}: its next start differs from what pid {pid} got"
    for each in changed:
        sign, colour = SIGNS[each["differs"]]
        origin = f"  {screen.paint(terminal.printable(each['origin']), 'dim')}" if each.get("origin") else ""
        yield f"  {screen.paint(sign, colour)} {_change(screen, each)}{origin}"


def _change(screen: Screen, variable: dict[str, Any]) -> str:
    old, new = variable.get("running"), variable.get("value")
    if variable["differs"] != "changed":
        return f"{variable['name']}={terminal.printable((old if new is None else new) or '')}"
    if old == new:
        return f"{variable['name']} changed"
    return f"{variable['name']}={terminal.printable(old or '')} {screen.symbol('→')} {terminal.printable(new or '')}"
