"""What is told of dependencies: who needs whom, what holds now, which start waited for which. Changes nothing."""

from __future__ import annotations

from collections.abc import Iterable

from pserv.model.graph import Edge, Graph, Link, Node
from pserv.model.states import Phase
from pserv.rules import conditions, critical, dependencies
from pserv.rules.conditions import Lives, Specs


def graph(names: Iterable[str], specs: Specs, lives: Lives) -> Graph:
    """These services and all that they need, what is needed first."""
    order = [name for name in dependencies.needs(names, specs, every=True) if name in lives]
    links = critical.chain(order, specs, lives)
    first = links[0][1].begun if links else 0.0
    chain = tuple(
        Link(service=name, waited=span.waited, took=span.up - span.begun, at=span.up - first) for name, span in links
    )
    return Graph(tuple(_node(name, specs, lives) for name in order), chain)


def _node(name: str, specs: Specs, lives: Lives) -> Node:
    spec, life = specs[name], lives[name]
    span = critical.span(spec, life)
    return Node(
        service=name,
        state=life.state,
        ready=life.ready_at is not None and life.phase is Phase.RUNNING,
        health=life.health or None,
        reason=life.reason,
        needs=tuple(_edges(name, specs, lives)),
        waited=None if span is None else span.waited,
        took=None if span is None else span.up - span.begun,
    )


def _edges(name: str, specs: Specs, lives: Lives) -> Iterable[Edge]:
    for need, edge in specs[name].depends_on.items():
        known = need in specs and need in lives
        yield Edge(
            service=need,
            condition=conditions.word(edge, specs[need]) if known else edge.condition,
            met=known and conditions.met(edge, specs[need], lives[need]),
            required=edge.required,
            restart=edge.restart,
            timeout=edge.timeout,
        )
