"""`pserv graph`: who needs whom as a tree, as a graph for dot, as JSON, and the chain of starts that took longest."""

from __future__ import annotations

from pserv.cli import render, terminal
from pserv.cli.target import connect
from pserv.cli.terminal import printable

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pserv.cli.parse import Arguments
    from pserv.cli.terminal import Screen

COLOURS = {"green": "darkgreen", "red": "red", "yellow": "darkorange"}
"""The terminal's colours as dot names those that can be read on white."""


def graph(arguments: Arguments) -> int:
    """With NAMEs these and all that they need; 0."""
    told = connect(arguments).call_raw("graph", {"names": arguments.words})
    screen = terminal.out()
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show(told)
    elif arguments.flag("dot"):
        for line in dot(told):
            screen.line(line)
    elif not told["services"]:
        terminal.tell("no services are declared", "pserv config")
    else:
        for line in [*tree(screen, told), *chain(screen, told)]:
            screen.line(line)
    return 0


def tree(screen: Screen, told: dict[str, Any]) -> Iterator[str]:
    """A tree for each service that none of the others needs; what was shown before is not unfolded again."""
    nodes = {node["service"]: node for node in told["services"]}
    needed = {edge["service"] for node in nodes.values() for edge in node["needs"]}
    shown: set[str] = set()
    last, tee, bar = ("└─ ", "├─ ", "│  ") if screen.unicode else ("`- ", "|- ", "|  ")
    ahead = [(name, None, "", "") for name in reversed(nodes) if name not in needed]
    while ahead:
        name, edge, branch, indent = ahead.pop()
        node = nodes.get(name)
        folded = name in shown and node is not None and node["needs"]
        yield branch + _row(screen, name, node, edge) + (screen.paint(" (above)", "dim") if folded else "")
        if node is None or folded:
            continue
        shown.add(name)
        for place, below in enumerate(reversed(node["needs"])):
            own, under = (last, "   ") if place == 0 else (tee, bar)
            ahead.append((below["service"], below, indent + own, indent + under))


def _row(screen: Screen, name: str, node: dict[str, Any] | None, edge: dict[str, Any] | None) -> str:
    """ "db: healthy, running"; the condition is marked as long as it is not met."""
    state, colour = ("not declared", "yellow") if node is None else _state(node)
    parts = [screen.paint(state, colour)]
    if edge is not None:
        extras = ("" if edge["required"] else "not required", "restarts with it" if edge["restart"] else "")
        limit = "" if edge["timeout"] is None else f"at most {render.duration(edge['timeout'])}"
        told = ", ".join(each for each in (f"must be {edge['condition']}", *extras, limit) if each)
        parts.append(screen.paint(told, "dim" if edge["met"] else "yellow"))
    return f"{screen.paint(name, 'bold')}: {', '.join(parts)}"


def _state(node: dict[str, Any]) -> tuple[str, str]:
    """What is told of it, and its colour."""
    unready = node["state"] == "running" and not node["ready"]
    return render.state_word(node) + (", not ready" if unready else ""), render.look(node)[1]


def chain(screen: Screen, told: dict[str, Any]) -> list[str]:
    """The critical chain, if any start waited for another one."""
    links = told["chain"]
    if len(links) < 2:
        return []
    width = max(len(link["service"]) for link in links)
    lines = ["", screen.paint(f"Critical chain, {render.duration(links[-1]['at'])}", "bold")]
    for before, link in zip([None, *links], links, strict=False):
        waited = "" if before is None else f", had waited {render.duration(link['waited'])} for {before['service']}"
        rest = screen.paint(f"took {render.duration(link['took'])}{waited}", "dim")
        lines.append(f"  {link['service']:{width}}  up at {render.duration(link['at'])}, {rest}")
    return lines


def dot(told: dict[str, Any]) -> Iterator[str]:
    """In the language of graphviz; an edge points at what is needed, dashed where it is not required."""
    yield "digraph services {"
    yield "  rankdir=LR; node [shape=box, style=rounded];"
    for node in told["services"]:
        state, colour = _state(node)
        label = f"{node['service']}\\n{printable(state)}"
        yield f'  "{node["service"]}" [label="{label}", color={COLOURS.get(colour, "gray")}];'
    for node in told["services"]:
        for edge in node["needs"]:
            style = "" if edge["required"] else ", style=dashed"
            yield f'  "{node["service"]}" -> "{edge["service"]}" [label="{edge["condition"]}"{style}];'
    yield "}"
