"""The diagram and the table of the docs show all that the machine does, and nothing else."""

from __future__ import annotations

import re

from pserv.model.states import Phase
from pserv.rules import diagram
from pserv.rules.decision import stay
from pserv.rules.machine import TABLE


def test_the_diagram_has_an_arrow_for_each_way() -> None:
    shown = set()
    for line in diagram.mermaid().splitlines()[2:]:
        source, target, events = re.fullmatch(r"    (\w+) --> (\w+): (.+)", line).groups()  # type: ignore[union-attr]
        shown |= {(source, target, event) for event in events.split(", ")}
    assert shown == {
        (phase.value, target.value, event.__name__)
        for (phase, event), cell in TABLE.items()
        for target in cell.to
        if target is not phase
    }


def test_the_table_has_a_row_for_each_cell_that_does_something() -> None:
    rows = [line for line in diagram.transitions().splitlines() if line.startswith("| ")][1:]
    assert len(rows) == sum(cell.do is not stay for cell in TABLE.values())
    assert all(len(row.split(" | ")) == 4 and "|  |" not in row for row in rows)


def test_what_does_nothing_is_told() -> None:
    quiet = diagram.transitions().partition("without effect:")[2]
    for phase in Phase:
        events = [event.__name__ for (at, event), cell in TABLE.items() if at is phase and cell.do is stay]
        assert f"- {phase}: {', '.join(events)}\n" in quiet
