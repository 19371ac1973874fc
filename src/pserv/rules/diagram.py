"""The state diagram and the transition table of the docs, all of it drawn from `machine.TABLE`."""

from __future__ import annotations

from pserv.model.events import Event
from pserv.model.states import Phase
from pserv.rules.machine import TABLE, Table


def mermaid(table: Table = TABLE) -> str:
    """A mermaid state diagram: one arrow from phase to phase, with the events that may take it."""
    arrows: dict[tuple[Phase, Phase], list[str]] = {}
    for (phase, event), cell in table.items():
        for target in cell.to:
            if target is not phase:
                arrows.setdefault((phase, target), []).append(event.__name__)
    lines = ["stateDiagram-v2", f"    [*] --> {Phase.STOPPED}"]
    lines += [f"    {phase} --> {target}: {', '.join(events)}" for (phase, target), events in arrows.items()]
    return "\n".join(lines) + "\n"


def transitions(table: Table = TABLE) -> str:
    """A Markdown table, a row for every cell that does something; what does nothing is told below it."""
    rows = ["| in | event | what is done | leads to |", "|---|---|---|---|"]
    idle: dict[Phase, list[type[Event]]] = {}
    for (phase, event), cell in table.items():
        if cell.do.__name__ == "stay":
            idle.setdefault(phase, []).append(event)
            continue
        done = " ".join((cell.do.__doc__ or "").split())
        rows.append(f"| {phase} | {event.__name__} | {done} | {', '.join(cell.to)} |")
    quiet = [f"- {phase}: {', '.join(event.__name__ for event in events)}" for phase, events in idle.items()]
    return "\n".join([*rows, "", "Allowed, and without effect:", "", *quiet]) + "\n"
