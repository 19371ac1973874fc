"""Restart policies cell by cell, delays within their bounds, and how an end is classified and told."""

from __future__ import annotations

import errno
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pserv.model.events import Exited, SpawnFailed
from pserv.model.probe import Health, Ready, Tcp
from pserv.model.restart import Backoff, Policy
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result
from pserv.model.stop import Stop, StopStep
from pserv.rules import restart

SPEC = ServiceSpec(exec="web")
RUNNING = Life(Phase.RUNNING, Goal.UP, run=1, started=100.0, ready_at=100.0)
STOPPING = replace(RUNNING, phase=Phase.STOPPING, goal=Goal.DOWN)
STEADY = Backoff(jitter=0.0)

TABLE = """
              success exit-code resources protocol signal core-dump oom-kill timeout watchdog
never            -        -         -        -        -       -        -        -       -
on-failure       -        y         y        y        y       y        y        y       y
on-watchdog      -        -         -        -        -       -        -        -       y
on-abnormal      -        -         -        -        y       y        y        y       y
on-success       y        -         -        -        -       -        -        -       -
always           y        y         y        y        y       y        y        y       y
"""
HEAD, *ROWS = (line.split() for line in TABLE.strip().splitlines())
CELLS = [(row[0], result, mark == "y") for row in ROWS for result, mark in zip(HEAD, row[1:], strict=True)]

backoffs = st.builds(
    Backoff,
    strategy=st.sampled_from(["constant", "linear", "exponential"]),
    initial=st.floats(0, 1e6),
    maximum=st.floats(0, 1e6),
    factor=st.floats(1, 100),
    jitter=st.floats(0, 1),
)
chances = st.floats(0, 1, exclude_max=True)


def ended(result: Result = Result.EXIT_CODE, **fields: object) -> Ended:
    return replace(Ended(result, 1, 103.2, 3.2, code=1), **fields)


def after(
    how: Ended | None = None,
    policy: Policy = "on-failure",
    *,
    attempt: int = 0,
    hung: int = 0,
    max_retries: int | None = None,
    backoff: Backoff = STEADY,
    stable_after: float = 10.0,
    uptime: float = 3.2,
) -> restart.Verdict:
    spec = replace(SPEC, restart=policy, max_retries=max_retries, backoff=backoff, stable_after=stable_after)
    return restart.after(spec, how or ended(), attempt=attempt, hung=hung, uptime=uptime, chance=0.5)


@pytest.mark.parametrize(("policy", "result", "expected"), CELLS)
def test_policy(policy: Policy, result: str, expected: bool) -> None:
    verdict = after(ended(Result(result)), policy)
    assert verdict.restart is expected
    assert verdict.failed is (not expected and result != "success")
    assert verdict.reason.endswith(f"; policy {policy}")


def test_the_table_above_is_whole() -> None:
    assert {policy for policy, _, _ in CELLS} == set(get_args(Policy))
    assert {result for _, result, _ in CELLS} == set(Result) - {Result.START_LIMIT}


@pytest.mark.parametrize(
    ("strategy", "delays"),
    [
        ("constant", [0, 1, 1, 1, 1, 1, 1, 1]),
        ("linear", [0, 1, 2, 3, 4, 5, 5, 5]),
        ("exponential", [0, 1, 2, 4, 5, 5, 5, 5]),
    ],
)
def test_delays_of_a_streak(strategy: str, delays: list[float]) -> None:
    backoff = Backoff(strategy=strategy, maximum=5.0, jitter=0.0)  # type: ignore[arg-type]
    assert [restart.delay(backoff, number, 0.5) for number in range(1, 9)] == delays


@pytest.mark.parametrize(("chance", "expected"), [(0.0, 9.0), (0.5, 10.0), (0.75, 10.5)])
def test_jitter_adds_and_removes(chance: float, expected: float) -> None:
    backoff = Backoff(initial=10.0, jitter=0.1)
    assert restart.delay(backoff, 2, chance) == pytest.approx(expected)


@given(backoffs, st.integers(1, 10**6), chances, st.booleans())
def test_delay_bounds(backoff: Backoff, number: int, chance: float, failed_spawn: bool) -> None:
    """Never shorter than the floor, never longer than the maximum, no overflow."""
    delay = restart.delay(backoff, number, chance, failed_spawn=failed_spawn)
    if number == 1 and not failed_spawn:
        assert delay == 0
    else:
        assert restart.FLOOR <= delay <= max(backoff.maximum, restart.FLOOR)
        assert delay <= restart.longest(backoff, number)
    if failed_spawn:
        assert delay >= min(backoff.initial, backoff.maximum)


@given(backoffs, st.integers(1, 50), chances)
def test_delays_never_shrink(backoff: Backoff, number: int, chance: float) -> None:
    steady = replace(backoff, jitter=0.0)
    assert restart.delay(steady, number, chance) <= restart.delay(steady, number + 1, chance)


@pytest.mark.parametrize("number", [1000, 10**6, 10**18])
def test_the_greatest_numbers_overflow_nothing(number: int) -> None:
    backoff = Backoff(initial=1e-9, maximum=3e9, factor=100.0, jitter=0.0)
    assert restart.delay(backoff, number, 0.5) == 3e9
    assert restart.delay(replace(backoff, initial=0.0), number, 0.5) == restart.FLOOR


def test_a_failed_spawn_always_waits() -> None:
    failed = ended(step="exec", errno=errno.ENOENT, detail="/no/such", text="No such file or directory", uptime=0.0)
    verdict = after(failed)
    assert (verdict.restart, verdict.delay, verdict.number) == (True, 1.0, 1)
    assert verdict.reason == ("cannot exec /no/such: No such file or directory; restart 1 in 1 s; policy on-failure")
    assert after(failed, backoff=Backoff(initial=0.0)).delay == restart.FLOOR


def test_retries_are_counted_until_one_is_stable() -> None:
    assert after(attempt=4, max_retries=5).restart
    verdict = after(attempt=5, max_retries=5)
    assert (verdict.restart, verdict.failed) == (False, True)
    assert verdict.reason == "gave up after 5 retries: exit code 1; policy on-failure"
    stable = after(attempt=5, max_retries=5, uptime=30.0)
    assert (stable.restart, stable.delay, stable.number) == (True, 0.0, 1)
    assert after(attempt=1, max_retries=1).reason.startswith("gave up after 1 retry: ")
    assert after(max_retries=0, uptime=30.0).reason.startswith("gave up after 0 retries: ")


def test_giving_up_is_a_failure_even_of_clean_exits() -> None:
    verdict = after(ended(Result.SUCCESS, code=0), "always", attempt=3, max_retries=3)
    assert (verdict.restart, verdict.failed) == (False, True)


def test_hangs_days_apart_are_no_streak() -> None:
    assert after(ended(Result.WATCHDOG), hung=5, max_retries=5, uptime=86_400.0).number == 1
    assert not after(ended(Result.WATCHDOG), hung=5, max_retries=5, uptime=86_399.0).restart
    slow = Backoff(initial=200_000.0, maximum=200_000.0, jitter=0.0)
    assert not after(ended(Result.WATCHDOG), hung=5, max_retries=5, uptime=100_000.0, backoff=slow).restart


def test_a_run_ended_by_its_watchdog_is_not_stable() -> None:
    assert not after(ended(Result.WATCHDOG), attempt=5, max_retries=5, uptime=3600.0).restart
    assert not after(ended(Result.WATCHDOG), hung=5, max_retries=5, uptime=3600.0).restart
    assert after(ended(Result.WATCHDOG), hung=4, max_retries=5, uptime=3600.0).number == 5
    assert after(hung=5, max_retries=5, uptime=3600.0).number == 1


@pytest.mark.parametrize(
    ("attempt", "stable_after", "expected"),
    [(0, 10.0, 10.0), (0, 0.0, 1.0), (1, 0.0, 1.0), (4, 2.0, 4.4), (4, 10.0, 10.0), (9, 10.0, 30.0)],
)
def test_stable_is_no_shorter_than_the_wait_before(attempt: int, stable_after: float, expected: float) -> None:
    assert restart.stable_time(replace(SPEC, stable_after=stable_after), attempt) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        (Health(tcp=Tcp(1)), 36.0),
        (Health(tcp=Tcp(1), interval=5.0, timeout=1.0, failures=2), 12.0),
        (Health(tcp=Tcp(1), interval=5.0, timeout=1.0, failures=2, initial_delay=30.0), 42.0),
        (Health(exec=("true",)), 60.0),
        (Health(tcp=Tcp(1), interval=1.0, timeout=0.5, failures=1), 10.0),
    ],
)
def test_stable_is_no_shorter_than_a_round_of_failing_health_checks(health: Health, expected: float) -> None:
    assert restart.stable_time(replace(SPEC, health=health), 1) == pytest.approx(expected)


@pytest.mark.parametrize("policy", get_args(Policy))
@given(backoff=backoffs, stable_after=st.floats(0, 5), code=st.integers(0, 1))
def test_a_run_of_a_moment_never_starts_a_new_streak(
    policy: Policy, backoff: Backoff, stable_after: float, code: int
) -> None:
    how = ended(Result.EXIT_CODE if code else Result.SUCCESS, code=code)
    verdict = after(how, policy, attempt=1, backoff=backoff, stable_after=stable_after, uptime=0.01)
    assert not verdict.restart or (verdict.number == 2 and verdict.delay >= restart.FLOOR)


def test_the_reason_of_a_restart() -> None:
    assert after().reason == "exit code 1 after 3.2 s; restart 1 at once; policy on-failure"
    assert after(attempt=2).reason == "exit code 1 after 3.2 s; restart 3 in 2 s; policy on-failure"


@pytest.mark.parametrize(
    ("life", "event", "result", "told"),
    [
        (RUNNING, Exited(1, 0), Result.SUCCESS, "exit code 0"),
        (RUNNING, Exited(1, 3), Result.SUCCESS, "exit code 3"),
        (RUNNING, Exited(1, 1), Result.EXIT_CODE, "exit code 1"),
        (RUNNING, Exited(1, 143), Result.EXIT_CODE, "exit code 143"),
        (RUNNING, Exited(1, signal=15), Result.SIGNAL, "killed by SIGTERM"),
        (RUNNING, Exited(1, signal=11, core=True), Result.CORE_DUMP, "killed by SIGSEGV (core dumped)"),
        (RUNNING, Exited(1, signal=9, oom=True), Result.OOM_KILL, "killed by the OOM killer"),
        (
            RUNNING,
            Exited(1, 0, gone=False, at=100.9),
            Result.PROTOCOL,
            "went to the background: run it in the foreground, or declare type: forking",
        ),
        (RUNNING, Exited(1, 0, gone=False, at=101.1), Result.SUCCESS, "exit code 0"),
        (RUNNING, Exited(1, 0, gone=True, at=100.1), Result.SUCCESS, "exit code 0"),
        (RUNNING, Exited(1, 1, gone=False, at=100.1), Result.EXIT_CODE, "exit code 1"),
        (STOPPING, Exited(1, 0, gone=False, at=100.1), Result.SUCCESS, "exit code 0"),
        (STOPPING, Exited(1, signal=15), Result.SUCCESS, "killed by SIGTERM"),
        (STOPPING, Exited(1, signal=3), Result.SUCCESS, "killed by SIGQUIT"),
        (STOPPING, Exited(1, 143), Result.SUCCESS, "exit code 143"),
        (STOPPING, Exited(1, 131), Result.SUCCESS, "exit code 131"),
        (STOPPING, Exited(1, 130), Result.EXIT_CODE, "exit code 130"),
        (STOPPING, Exited(1, signal=11), Result.SIGNAL, "killed by SIGSEGV"),
        (
            replace(STOPPING, verdict=Result.TIMEOUT, fault="not ready after 1 min"),
            Exited(1, signal=15),
            Result.TIMEOUT,
            "not ready after 1 min",
        ),
    ],
)
def test_classify(life: Life, event: Exited, result: Result, told: str) -> None:
    spec = replace(SPEC, success_exit_codes=(3,), stop=Stop(steps=(StopStep(3, 1.0), StopStep(15, 1.0))))
    how = restart.classify(spec, life, event, 105.0)
    assert (how.result, restart.describe(how)) == (result, told)
    assert how.uptime == pytest.approx((event.at or 105.0) - 100.0)


@pytest.mark.parametrize("spec", [replace(SPEC, type="notify"), replace(SPEC, ready=Ready(tcp=Tcp(1)))])
def test_a_clean_end_before_it_was_ready_is_a_failure(spec: ServiceSpec) -> None:
    starting = replace(RUNNING, phase=Phase.STARTING, ready_at=None)
    how = restart.classify(spec, starting, Exited(1, 0), 105.0)
    assert (how.result, how.code) == (Result.PROTOCOL, 0)
    assert restart.describe(how) == "ended with exit code 0 before it was ready"
    assert after(how).reason.startswith("ended with exit code 0 before it was ready; restart 1 at once")
    assert restart.describe(restart.classify(spec, starting, Exited(1, 3), 105.0)) == "exit code 3"
    allowed = replace(spec, success_exit_codes=(3,))
    assert restart.classify(allowed, starting, Exited(1, 3), 105.0).result is Result.PROTOCOL
    left = restart.classify(spec, starting, Exited(1, 0, gone=False), 100.5)
    assert restart.describe(left) == "went to the background: run it in the foreground, or declare type: forking"
    for life in (RUNNING, replace(RUNNING, ready_at=None), replace(STOPPING, ready_at=None)):
        assert restart.classify(spec, life, Exited(1, 0), 105.0).result is Result.SUCCESS
    assert restart.classify(SPEC, starting, Exited(1, 0), 105.0).result is Result.SUCCESS


def test_a_oneshot_may_leave_others_behind() -> None:
    spec = replace(SPEC, type="oneshot")
    assert restart.classify(spec, RUNNING, Exited(1, 0, gone=False), 100.1).result is Result.SUCCESS


@pytest.mark.parametrize("signal", range(1, 32))
def test_every_signal_is_a_death(signal: int) -> None:
    """A service killed by a signal has no exit code; Horust#121 took that for none to restart after."""
    how = restart.classify(SPEC, RUNNING, Exited(1, signal=signal), 105.0)
    assert how.result is Result.SIGNAL
    assert restart.describe(how).startswith("killed by SIG")
    assert after(how).restart


@pytest.mark.parametrize(
    ("number", "result"),
    [(errno.ENOENT, Result.EXIT_CODE), (errno.EAGAIN, Result.RESOURCES), (errno.ENOMEM, Result.RESOURCES)],
)
def test_classify_spawn(number: int, result: Result) -> None:
    how = restart.classify_spawn(RUNNING, SpawnFailed(1, "chdir", number, "/srv"), 105.0)
    assert how.result is result
    assert restart.describe(how) == f"cannot chdir /srv: {errno.errorcode[number]}"
