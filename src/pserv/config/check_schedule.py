"""Mistakes between `schedule` and what is written beside it. What a line means is read in `schedules`."""

from __future__ import annotations

from collections.abc import Container, Iterator

from pserv.config.check_instances import Wrong
from pserv.model.spec import ServiceSpec
from pserv.rules.schedule import EVERY

_BESIDE = ("timezone", "overlap", "missed")


def mistakes(spec: ServiceSpec, written: Container[str]) -> Iterator[Wrong]:
    """All of one service; `written` are the options that it declares itself."""
    if spec.schedule is None:
        for option in _BESIDE:
            if option in written:
                yield option, "only goes with schedule", "add a schedule, or remove it"
    elif spec.type != "oneshot":
        yield "type", f"{spec.type} cannot run by a schedule", "remove it: what has one is a oneshot"


def notes(spec: ServiceSpec, autostart: object) -> Iterator[tuple[str, str]]:
    """(option, what a user should know) of one service; `autostart` is what is written for it."""
    if spec.schedule is None:
        return
    if autostart is False:
        yield "autostart", "false has no effect: its schedule starts it, and `pserv stop` ends that"
    if spec.timezone is not None and spec.schedule.startswith(EVERY):
        yield "timezone", "has no effect: @every does not go by the time of day"
    if spec.essential:
        yield "essential", "has no effect: what has a schedule does not end for good"
