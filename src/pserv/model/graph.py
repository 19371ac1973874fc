"""Who needs whom, and what the last starts waited for: the shape of the answer. Nothing is computed here."""

from __future__ import annotations

import msgspec

from pserv.model.needs import Condition
from pserv.model.states import State


class Edge(msgspec.Struct, frozen=True, kw_only=True):
    """One dependency. `met`: it is now what it must be; `timeout` in seconds."""

    service: str
    condition: Condition
    met: bool
    required: bool = True
    restart: bool = False
    timeout: float | None = None


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """One service with what it needs; durations in seconds, None where its last run has not come so far."""

    service: str
    state: State
    ready: bool
    health: str | None = None
    reason: str = ""
    needs: tuple[Edge, ...] = ()
    waited: float | None = None
    """How long its last start waited for what it needs."""
    took: float | None = None
    """From its execution until it was ready, or for a oneshot until it had completed."""


class Link(msgspec.Struct, frozen=True, kw_only=True):
    """One start of the critical chain; all in seconds."""

    service: str
    waited: float
    """For what stands before it in the chain."""
    took: float
    at: float
    """When it was ready, after the chain's first was executed."""


class Graph(msgspec.Struct, frozen=True):
    """The services asked for and all that they need, what is needed first."""

    services: tuple[Node, ...] = ()
    chain: tuple[Link, ...] = ()
    """Which start waited for which: of each, the dependency that it had to wait for longest."""
