"""The table of `pserv status`, to the letter."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pserv.cli import render
from pserv.cli.terminal import Screen
from pserv.model.states import Goal, State
from pserv.model.status import ServiceStatus
from tests.cli import screens
from tests.cli.pretend import service

NOW = 1_700_000_000.0
GAVE_UP = "gave up after 5 retries: exit code 1; policy on-failure"
ROWS = (
    service("web", restarts=2, health="healthy"),
    service("db", health="unhealthy", reason="http://:8080/health: 500"),
    service("queue", State.BACKOFF, reason="killed by SIGSEGV", next=NOW + 4, restarts=3),
    service("worker", State.FAILED, reason=GAVE_UP, restarts=5),
    service("migrate", State.EXITED, reason="exit code 0"),
    service("old", State.STOPPED, reason="stopped by operator"),
)


def table(screen: Screen, *services: ServiceStatus) -> str:
    rows: list[dict[str, Any]] = msgspec.to_builtins(services)
    return "\n".join(line.rstrip() for line in render.table(screen, rows, NOW))


def test_a_pipe_gets_plain_lines_that_are_never_cut() -> None:
    assert table(screens.pipe(), *ROWS) == (
        f"""\
NAME     STATE    READY  HEALTH      PID      UPTIME  RESTARTS   CPU  MEMORY  WHY
web      running  yes    healthy    4242  3 min 12 s         2  1.2%   24 MB
db       running  yes    unhealthy  4242  3 min 12 s         0  1.2%   24 MB  http://:8080/health: 500
queue    backoff  -      -             -           -         3     -       -  killed by SIGSEGV; again in 4 s
worker   failed   -      -             -           -         5     -       -  {GAVE_UP}
migrate  exited   -      -             -           -         0     -       -
old      stopped  -      -             -           -         0     -       -"""
    )


def test_health_has_a_column_only_where_somebody_is_asked() -> None:
    assert table(screens.pipe(), ROWS[5]) == (
        """\
NAME  STATE    READY  PID  UPTIME  RESTARTS  CPU  MEMORY
old   stopped  -        -       -         0    -       -"""
    )


def test_a_terminal_gets_symbols_and_reasons_wrapped_in_their_column() -> None:
    assert table(screens.terminal(108), *ROWS) == (
        """\
  NAME     STATE    READY  HEALTH      PID      UPTIME  RESTARTS   CPU  MEMORY  WHY
● web      running  yes    healthy    4242  3 min 12 s         2  1.2%   24 MB
● db       running  yes    unhealthy  4242  3 min 12 s         0  1.2%   24 MB  http://:8080/health: 500
↻ queue    backoff  -      -             -           -         3     -       -  killed by SIGSEGV; again in
                                                                                4 s
✗ worker   failed   -      -             -           -         5     -       -  gave up after 5 retries:
                                                                                exit code 1; policy
                                                                                on-failure
✓ migrate  exited   -      -             -           -         0     -       -
○ old      stopped  -      -             -           -         0     -       -"""
    )


def test_a_narrow_terminal_goes_without_columns_and_has_reasons_below() -> None:
    assert table(screens.terminal(50), *ROWS[:4]) == (
        """\
  NAME    STATE    HEALTH      PID      UPTIME
● web     running  healthy    4242  3 min 12 s
● db      running  unhealthy  4242  3 min 12 s
    http://:8080/health: 500
↻ queue   backoff  -             -           -
    killed by SIGSEGV; again in 4 s
✗ worker  failed   -             -           -
    gave up after 5 retries: exit code 1; policy
    on-failure"""
    )


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 81, 100, 200])
def test_no_line_is_wider_than_the_terminal(columns: int) -> None:
    widest = max(len(line) for line in table(screens.terminal(columns), *ROWS).splitlines())
    assert widest <= max(columns, 24)


def test_symbols_have_stand_ins_where_the_encoding_has_none() -> None:
    text = table(screens.terminal(100, encoding="latin-1"), *ROWS)
    text.encode("latin-1")
    assert text.splitlines()[4].startswith("@ queue") or "@ queue" in text


def test_colour_is_only_around_the_text() -> None:
    plain, coloured = (table(screen, *ROWS) for screen in (screens.terminal(), screens.coloured()))
    assert "\x1b[32m" in coloured
    assert "\x1b[31mfailed" in coloured
    assert "\x1b[31munhealthy" in coloured
    stripped = coloured
    for code in ("0", "2", "31", "32", "33"):
        stripped = stripped.replace(f"\x1b[{code}m", "")
    assert "\n".join(line.rstrip() for line in stripped.splitlines()) == plain


def test_what_would_move_the_cursor_is_escaped() -> None:
    text = table(screens.terminal(200), service("web", State.FAILED, reason="bad\x1b[2J\r\nline"))
    assert "\x1b" not in text
    assert "bad\\x1b[2J\\r line" in text


def test_a_running_service_that_is_not_ready_says_so() -> None:
    row = msgspec.to_builtins(service("web", ready=False))
    assert render.look(row) == ("◐", "yellow")


def test_trouble_is_told_whatever_the_state() -> None:
    assert "log disk full" in table(screens.pipe(), service("web", trouble="log disk full"))


@pytest.mark.parametrize(
    ("state", "goal", "is_wrong"),
    [
        (State.RUNNING, Goal.UP, False),
        (State.EXITED, Goal.UP, False),
        (State.STOPPED, Goal.DOWN, False),
        (State.STARTING, Goal.UP, False),
        (State.BACKOFF, Goal.UP, True),
        (State.FAILED, Goal.UP, True),
    ],
)
def test_what_is_wrong(state: State, goal: Goal, is_wrong: bool) -> None:
    assert render.wrong(msgspec.to_builtins(service("web", state, goal=goal))) is is_wrong


@pytest.mark.parametrize(
    ("share", "text"), [(None, "-"), (0.0, "0.0%"), (0.012, "1.2%"), (0.0994, "9.9%"), (0.0996, "10%"), (2.5, "250%")]
)
def test_cpu_is_a_share_of_one_processor(share: float | None, text: str) -> None:
    assert render.share(share) == text


@pytest.mark.parametrize(("seconds", "text"), [(0.0, "0.0 s"), (0.84, "0.8 s"), (9.97, "10 s"), (42.4, "42 s")])
def test_spans(seconds: float, text: str) -> None:
    assert render.span(seconds) == text
