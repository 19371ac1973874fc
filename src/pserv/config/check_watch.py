"""Mistakes within `watch`, and between it and the rest of its service."""

from __future__ import annotations

from collections.abc import Iterator

from pserv.model.spec import ServiceSpec

Wrong = tuple[tuple[str, ...], str, str]
"""The option, from `watch` on; what is wrong; a hint."""


def mistakes(spec: ServiceSpec) -> Iterator[Wrong]:
    """All of one service."""
    watch = spec.watch
    if watch is None:
        return
    if not watch.paths:
        yield ("watch",), "names no path", "write watch: src"
    if watch.on_change == "reload" and spec.reload is None:
        yield (
            ("watch", "on_change"),
            "is reload, and the service does not say how it reloads",
            "write reload: HUP beside it",
        )
    if watch.on_change in ("KILL", "STOP"):
        yield ("watch", "on_change"), f"{watch.on_change} tells a process nothing", "write restart, or a signal: HUP"
    if "/" in watch.paths:
        yield ("watch", "paths"), "/ is everything", "name the folder of the service's own files"
