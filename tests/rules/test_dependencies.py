"""Order, cycles, who comes along, who may stop and who is restarted first."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.model.needs import Need
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result
from pserv.rules import dependencies

OK = Ended(Result.SUCCESS, 1, 0.0, code=0)
BAD = Ended(Result.EXIT_CODE, 1, 0.0, code=1)
READY = Life(Phase.RUNNING, Goal.UP, "started by operator", ready_at=1.0)


def specs(**needs: str) -> dict[str, ServiceSpec]:
    """`web="db cache"`: web depends on db and cache."""
    return {
        name: ServiceSpec(exec=name, depends_on={need: Need() for need in text.split()}) for name, text in needs.items()
    }


graphs = st.dictionaries(
    st.sampled_from("abcdefgh"), st.lists(st.sampled_from("abcdefghx"), max_size=3).map(" ".join), max_size=8
).map(lambda needs: specs(**needs))

SHOP = specs(web="api cache", api="db", cache="", db="", lone="")


def test_levels() -> None:
    assert dependencies.order(SHOP) == [["cache", "db", "lone"], ["api"], ["web"]]


def test_a_chain_of_thousands_is_no_recursion() -> None:
    names = [f"s{number}" for number in range(5000)]
    chain = {name: ServiceSpec(exec=name, depends_on={before: Need()}) for before, name in pairwise(names)}
    chain[names[0]] = ServiceSpec(exec="first")
    assert dependencies.order(chain) == [[name] for name in names]
    assert dependencies.cycles(chain) == []
    assert dependencies.needs([names[-1]], chain) == names
    assert len(dependencies.dependents([names[0]], dependencies.needed_by(chain))) == 4999


@given(graphs)
def test_order_puts_each_after_its_needs(graph: dict[str, ServiceSpec]) -> None:
    levels = dependencies.order(graph)
    assert sorted(name for level in levels for name in level) == sorted(graph)
    at = {name: index for index, level in enumerate(levels) for name in level}
    if not dependencies.cycles(graph):
        assert all(at[need] < at[name] for name in graph for need in graph[name].depends_on if need in graph)


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        (specs(a="b", b=""), []),
        (specs(a="a"), [["a", "a"]]),
        (specs(b="a", a="b"), [["a", "b", "a"]]),
        (specs(a="b c", b="c", c=""), []),
        (specs(a="b", b="c", c="d", d="b"), [["b", "c", "d", "b"]]),
        (specs(a="b", b="a", c="d", d="c"), [["a", "b", "a"], ["c", "d", "c"]]),
        (specs(a="unknown"), []),
    ],
)
def test_cycles(graph: dict[str, ServiceSpec], expected: list[list[str]]) -> None:
    assert dependencies.cycles(graph) == expected


@given(graphs)
def test_cycles_are_cycles_and_none_is_missed(graph: dict[str, ServiceSpec]) -> None:
    found = dependencies.cycles(graph)
    for cycle in found:
        assert cycle[0] == cycle[-1]
        assert len(set(cycle)) == len(cycle) - 1
        assert all(need in graph[name].depends_on for name, need in pairwise(cycle))
    reached = {name: set(dependencies.needs(graph[name].depends_on, graph)) for name in graph}
    assert bool(found) is any(name in reached[name] for name in graph)


def test_unknown() -> None:
    assert dependencies.unknown(specs(web="db cahce", db="")) == [("web", "cahce")]


def test_needs_come_first() -> None:
    assert dependencies.needs({"web"}, SHOP) == ["db", "api", "cache", "web"]
    assert dependencies.needs(["web", "lone", "nobody"], SHOP) == ["db", "api", "cache", "web", "lone"]
    assert set(dependencies.needs(["a"], specs(a="b", b="a"))) == {"a", "b"}


def test_dependents() -> None:
    by = dependencies.needed_by(SHOP)
    assert by == {"api": ["web"], "cache": ["web"], "db": ["api"]}
    assert dependencies.dependents(["db"], by) == ["api", "web"]
    assert dependencies.dependents(["db", "api"], by) == ["web"]
    assert dependencies.dependents(["web"], by) == []


@pytest.mark.parametrize(
    ("web", "stopping", "may"),
    [
        (READY, {"web", "db"}, False),
        (READY, {"db"}, True),
        (Life(Phase.STOPPING, Goal.DOWN), {"db"}, False),
        (Life(Phase.ENDING, Goal.DOWN), {"db"}, False),
        (Life(Phase.STOPPING, Goal.UP), {"db"}, True),
        (Life(Phase.BACKOFF, Goal.UP), {"web", "db"}, False),
        (Life(Phase.STOPPED, Goal.DOWN), {"web", "db"}, True),
        (Life(Phase.FAILED, Goal.UP), {"web", "db"}, True),
    ],
)
def test_what_depends_on_it_stops_first(web: Life, stopping: set[str], may: bool) -> None:
    by = dependencies.needed_by(specs(web="db", db=""))
    assert dependencies.may_stop("db", by, {"web": web, "db": READY}, stopping) is may
    assert dependencies.may_stop("web", by, {"web": web, "db": READY}, stopping) is True


@given(graphs)
def test_a_shutdown_comes_to_its_end(graph: dict[str, ServiceSpec]) -> None:
    """Stopping all in order never locks up, and nothing is stopped before what depends on it."""
    if dependencies.cycles(graph):
        return
    by, lives, left = dependencies.needed_by(graph), dict.fromkeys(graph, READY), set(graph)
    while left:
        free = {name for name in left if dependencies.may_stop(name, by, lives, left)}
        assert free
        assert not any(set(by.get(name, ())) & left for name in free)
        lives.update(dict.fromkeys(free, Life()))
        left -= free


@pytest.mark.parametrize("phase", [Phase.CLOSING, Phase.STOPPING, Phase.ENDING, Phase.CLEANING])
def test_who_is_stopping_in_whatever_part_is_waited_for(phase: Phase) -> None:
    assert not dependencies.may_restart("db", {"db": ["web"]}, {"web": Life(phase)})


@pytest.mark.parametrize("phase", [Phase.PREPARING, Phase.STARTING, Phase.RUNNING])
def test_who_is_starting_in_whatever_part_is_restarted_with_what_it_needs(phase: Phase) -> None:
    specs = {"db": ServiceSpec(exec="db"), "web": ServiceSpec(exec="web", depends_on={"db": Need(restart=True)})}
    assert dependencies.restarted_with(["db"], specs, {"web": Life(phase, Goal.UP)}) == ["web"]
