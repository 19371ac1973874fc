"""`pserv graph` against a pretend daemon: the tree, the chain, dot and JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pserv.cli.main import main
from pserv.model.graph import Edge, Graph, Link, Node
from pserv.model.states import State
from tests.cli.pretend import Daemon

SHOP = Graph(
    services=(
        Node(service="db", state=State.RUNNING, ready=True, health="healthy", waited=0.0, took=2.0),
        Node(
            service="migrate", state=State.EXITED, ready=False,
            needs=(Edge(service="db", condition="ready", met=True),),
        ),
        Node(
            service="api", state=State.RUNNING, ready=False,
            needs=(
                Edge(service="db", condition="healthy", met=True),
                Edge(service="migrate", condition="completed", met=True),
            ),
        ),
        Node(
            service="web", state=State.WAITING, ready=False, reason="waiting for api",
            needs=(
                Edge(service="api", condition="ready", met=False, restart=True, timeout=30.0),
                Edge(service="cache", condition="ready", met=False, required=False),
                Edge(service="migrate", condition="completed", met=True),
            ),
        ),
        Node(service="lone", state=State.STOPPED, ready=False),
    ),
    chain=(
        Link(service="db", waited=0.0, took=2.0, at=2.0),
        Link(service="migrate", waited=2.0, took=0.05, at=2.06),
        Link(service="api", waited=2.06, took=12.0, at=14.1),
    ),
)  # fmt: skip

TREE = """\
web: waiting
├─ api: running, not ready, must be ready, restarts with it, at most 30 s
│  ├─ db: running, must be healthy
│  └─ migrate: exited, must be completed
│     └─ db: running, must be ready
├─ cache: not declared, must be ready, not required
└─ migrate: exited, must be completed (above)
lone: stopped

Critical chain, 14 s
  db       up at 2 s, took 2 s
  migrate  up at 2.1 s, took 50 ms, had waited 2 s for db
  api      up at 14 s, took 12 s, had waited 2.1 s for migrate
"""


@pytest.mark.parametrize("names", [[], ["web"]])
def test_the_tree_tells_conditions_states_and_the_chain(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], names: list[str]
) -> None:
    with Daemon(tmp_path / "s", {"graph": lambda _: SHOP}) as daemon:
        assert main(["graph", "--socket", daemon.path, *names]) == 0
    assert daemon.requests[0][1].names == tuple(names)
    assert capsys.readouterr().out == TREE


def test_dot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Daemon(tmp_path / "s", {"graph": lambda _: SHOP}) as daemon:
        assert main(["graph", "--socket", daemon.path, "--dot"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (lines[0], lines[-1]) == ("digraph services {", "}")
    assert '  "api" [label="api\\nrunning, not ready", color=darkorange];' in lines
    assert '  "web" -> "cache" [label="ready", style=dashed];' in lines
    assert '  "api" -> "db" [label="healthy"];' in lines


def test_json_is_the_answer_of_the_api(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Daemon(tmp_path / "s", {"graph": lambda _: SHOP}) as daemon:
        assert main(["graph", "--socket", daemon.path, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [node["service"] for node in told["services"]] == ["db", "migrate", "api", "web", "lone"]
    assert told["chain"][1] == {"service": "migrate", "waited": 2.0, "took": 0.05, "at": 2.06}


def test_without_services_nothing_is_drawn(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Daemon(tmp_path / "s", {"graph": lambda _: Graph()}) as daemon:
        assert main(["graph", "--socket", daemon.path]) == 0
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "no services are declared" in printed.err
