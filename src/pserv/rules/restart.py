"""Whether a service that ended is started again, after how long, and why. When it is asked is in `machine`."""

from __future__ import annotations

import errno

import msgspec

from pserv.model import units
from pserv.model.events import Exited, SpawnFailed
from pserv.model.restart import Backoff, Policy
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Life, Phase, Result

FLOOR = 0.1
"""Seconds: no restart but the first of a streak comes sooner, whatever the configuration."""

SHORTEST_STABLE = 1.0
"""Seconds: a shorter run is never stable, else `stable_after: 0` would make every restart the first of a streak."""

WELL_FOR_GOOD = 86_400.0
"""Seconds: a run that was well for a day has put the hangs before it behind."""

BACKGROUND = 1.0
"""Seconds: a main process that ends with 0 sooner and leaves others behind went to the background."""

_CLEAN = frozenset({Result.SUCCESS})
_UNCLEAN = frozenset({Result.EXIT_CODE, Result.RESOURCES, Result.PROTOCOL})
_ABNORMAL = frozenset({Result.SIGNAL, Result.CORE_DUMP, Result.OOM_KILL, Result.TIMEOUT})
_WATCHDOG = frozenset({Result.WATCHDOG})

RESTARTS: dict[Policy, frozenset[Result]] = {
    "never": frozenset(),
    "on-failure": _UNCLEAN | _ABNORMAL | _WATCHDOG,
    "on-watchdog": _WATCHDOG,
    "on-abnormal": _ABNORMAL | _WATCHDOG,
    "on-success": _CLEAN,
    "always": _CLEAN | _UNCLEAN | _ABNORMAL | _WATCHDOG,
}
"""After which ends each policy starts again (systemd.service(5), Restart=)."""

STEPS = {
    "user": "find the user and group",
    "setgroups": "take the groups",
    "setgid": "become the group",
    "setuid": "become the user",
    "verify": "be sure of the user:",
    "listen": "listen on",
    "limits": "set the limit",
    "nice": "set the niceness",
    "oom_score_adj": "set oom_score_adj",
    "umask": "set the umask",
    "cgroup": "join the cgroup",
    "stdio": "connect the output",
    "pipe": "open the pipes of the output",
    "environment": "make the environment",
}
"""What a step before exec does, where its name is no verb."""

_STOPPED_BY_US = (Phase.CLOSING, Phase.STOPPING)

LACKS = frozenset({errno.EAGAIN, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOSPC})
"""What the system lacks, not the service."""


class Verdict(msgspec.Struct, frozen=True):
    """Start again or not: after `delay` seconds, as restart `number` of its streak; `failed`: no success."""

    restart: bool
    reason: str
    delay: float = 0.0
    number: int = 0
    failed: bool = False


def after(spec: ServiceSpec, ended: Ended, *, attempt: int, hung: int, uptime: float, chance: float) -> Verdict:
    """What follows an end: `attempt` restarts of the streak were made, the run had been ready for `uptime` seconds.

    A run ended by its watchdog was not stable, so that an endless kill loop ends at `max_retries` too: it goes on with
    the streak of `hung` restarts that it had seemed to end, unless it was well for a day.
    """
    policy, backoff, max_retries = spec.policy, spec.backoff, spec.max_retries
    how = describe(ended)
    told = how if ended.step or ended.detail else f"{how} after {units.show_duration(ended.uptime)}"
    if ended.result not in RESTARTS[policy]:
        return Verdict(False, f"{told}; policy {policy}", failed=ended.result is not Result.SUCCESS)
    if ended.result is Result.WATCHDOG and uptime < max(WELL_FOR_GOOD, stable_time(spec, max(attempt, hung))):
        number = max(attempt, hung) + 1
    else:
        number = 1 if uptime >= stable_time(spec, attempt) else attempt + 1
    if max_retries is not None and number > max_retries:
        retries = "1 retry" if max_retries == 1 else f"{max_retries} retries"
        return Verdict(False, f"gave up after {retries}: {how}; policy {policy}", failed=True)
    wait = delay(backoff, number, chance, failed_spawn=bool(ended.step))
    when = f"in {units.show_duration(wait)}" if wait else "at once"
    return Verdict(True, f"{told}; restart {number} {when}; policy {policy}", wait, number)


def describe(ended: Ended) -> str:
    """How a run ended, in words: "exit code 1", "killed by SIGSEGV (core dumped)", "cannot exec /no/such: No …"."""
    if ended.detail and (ended.step in ("", "hook", "references") or ended.result in (Result.TIMEOUT, Result.WATCHDOG)):
        return ended.detail
    if ended.step:
        return describe_step(ended.step, ended.errno, ended.detail, ended.text)
    if ended.result is Result.PROTOCOL:
        return "went to the background: run it in the foreground, or declare type: forking"
    if ended.result is Result.OOM_KILL:
        return "killed by the OOM killer"
    if ended.signal is not None:
        return f"killed by SIG{units.show_signal(ended.signal)}" + " (core dumped)" * (ended.result is Result.CORE_DUMP)
    return f"exit code {ended.code}" if ended.code is not None else str(ended.result)


def describe_step(step: str, number: int, detail: str, text: str = "") -> str:
    """Why there was no run, in words; `detail` is the object of the step, or without an errno the reason."""
    what = f"cannot {STEPS.get(step, step)}"
    if not number:
        return f"{what}: {detail}"
    return f"{what} {detail}".rstrip() + f": {text or errno.errorcode.get(number, f'errno {number}')}"


def delay(backoff: Backoff, number: int, chance: float, *, failed_spawn: bool = False) -> float:
    """Seconds before restart `number` (from 1) of a streak; `chance` in [0, 1) places it within the jitter.

    The first comes at once, unless the spawn failed: that is no crash, and will be the same a moment later.
    """
    if number <= 1 and not failed_spawn:
        return 0.0
    nominal = _nominal(backoff, number)
    spread = nominal * (1 + backoff.jitter * (2 * chance - 1))
    if failed_spawn:
        spread = max(spread, backoff.initial)
    return max(min(spread, backoff.maximum), FLOOR)


def longest(backoff: Backoff, number: int) -> float:
    """The longest that `delay` may give for restart `number`, spawn failed or not."""
    return delay(backoff, number, 1.0, failed_spawn=True)


def stable_time(spec: ServiceSpec, attempt: int) -> float:
    """Seconds that the run after restart `attempt` must be ready, to end the streak.

    No less than it was waited for, nor than a round of failing health checks takes.
    """
    waited = longest(spec.backoff, attempt) if attempt > 1 else 0.0
    health = spec.health
    checked = 0.0 if health is None else health.initial_delay + health.failures * (health.every + health.patience)
    return max(spec.stable_after, waited, checked, SHORTEST_STABLE)


def _nominal(backoff: Backoff, number: int) -> float:
    """The delay before jitter."""
    steps = max(number - 2, 0)
    grown = backoff.initial
    if backoff.strategy == "linear":
        grown = backoff.initial * (steps + 1)
    elif backoff.strategy == "exponential":
        try:
            grown = backoff.initial * backoff.factor**steps
        except OverflowError:
            grown = backoff.maximum if backoff.initial else 0.0
    return min(grown, backoff.maximum)


def classify(spec: ServiceSpec, life: Life, event: Exited, now: float) -> Ended:
    """How the run of `life` ended; `now` is used where the event has no time of its own.

    A clean end before it was ready is none: who waited for it waited in vain.
    """
    at = now if event.at is None else event.at
    uptime = max(at - life.started, 0.0) if life.started else 0.0
    result = _result(spec, life, event, uptime)
    early = ""
    if result is Result.SUCCESS and life.phase is Phase.STARTING:
        if spec.type == "forking" and life.adopted is None:
            early = "ended without leaving a process in the background"
        elif spec.ready_by in ("notify", "probe"):
            early = f"ended with exit code {event.code or 0} before it was ready"
    return Ended(
        result=Result.PROTOCOL if early else result,
        run=life.run,
        at=at,
        uptime=uptime,
        code=event.code,
        signal=event.signal,
        detail=early or life.fault,
        killed=life.killed,
    )


def _result(spec: ServiceSpec, life: Life, event: Exited, uptime: float) -> Result:
    if life.verdict is not None:
        return life.verdict
    if event.oom:
        return Result.OOM_KILL
    asked = {step.signal for step in spec.stop_steps} if life.phase in _STOPPED_BY_US else frozenset[int]()
    if event.signal is not None:
        if event.signal in asked:
            return Result.SUCCESS
        return Result.CORE_DUMP if event.core else Result.SIGNAL
    code = event.code or 0
    if code in spec.success_exit_codes or code - 128 in asked:
        return Result.SUCCESS
    if code:
        return Result.EXIT_CODE
    left = not event.gone and spec.type in ("simple", "notify") and life.phase not in _STOPPED_BY_US
    return Result.PROTOCOL if left and uptime < BACKGROUND else Result.SUCCESS


def classify_spawn(life: Life, event: SpawnFailed, now: float) -> Ended:
    """How a run ended that never came to be: `resources` where the system lacked some, else `exit-code`."""
    lacking = Result.RESOURCES if event.errno in LACKS else Result.EXIT_CODE
    return Ended(
        result=life.verdict or lacking,
        run=life.run,
        at=now if event.at is None else event.at,
        step=event.step,
        errno=event.errno,
        text=event.text,
        detail=life.fault or event.detail,
        killed=life.killed,
    )
