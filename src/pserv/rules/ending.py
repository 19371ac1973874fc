"""When the daemon ends by itself, and with which exit code. When a service ends is in `machine`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result

ExitWhen = Literal["never", "all-done", "any-failed", "any-done", "container"] | None
"""`container` is what PID 1 does unless told otherwise: all is done, or what is autostarted failed for good."""


class Verdict(msgspec.Struct, frozen=True):
    """Why the daemon ends, and its exit code."""

    why: str
    code: int


def exit_code(ended: Ended | None) -> int:
    """The code a shell would show: the exit code, 128 + signal, 1 for what never ran."""
    if ended is None:
        return 1
    if ended.signal is not None:
        return 128 + ended.signal
    if ended.code is not None:
        return ended.code
    return 0 if ended.result is Result.SUCCESS else 1


def for_good(life: Life) -> bool:
    """Whether a service that should be up has ended and will not be started again."""
    return life.goal is Goal.UP and life.phase in (Phase.EXITED, Phase.FAILED)


def after_change(
    name: str,
    exit_when: ExitWhen,
    specs: Mapping[str, ServiceSpec],
    lives: Mapping[str, Life],
    *,
    failed: bool,
) -> Verdict | None:
    """Whether the daemon ends because of what just happened to `name`; `failed`: its run was a failure."""
    life = lives[name]
    code = exit_code(life.ended)
    if for_good(life) and specs[name].essential:
        return Verdict(f"essential service {name} ended: {life.reason}", code)
    if exit_when == "any-failed" and (failed or life.phase is Phase.FAILED):
        return Verdict(f"{name} failed: {life.reason}", code or 1)
    if exit_when == "any-done" and for_good(life):
        return Verdict(f"{name} is done: {life.reason}", code)
    if exit_when == "container" and life.phase is Phase.FAILED and specs[name].autostart:
        return Verdict(f"{name} failed: {life.reason}", code or 1)
    if exit_when in ("all-done", "container") and for_good(life):
        return _all_done(lives)
    return None


def _all_done(lives: Mapping[str, Life]) -> Verdict | None:
    wanted = [life for life in lives.values() if life.goal is Goal.UP]
    if not all(for_good(life) for life in wanted):
        return None
    failures = [life for life in wanted if life.phase is Phase.FAILED]
    return Verdict("all services are done", exit_code(failures[0].ended) or 1 if failures else 0)
