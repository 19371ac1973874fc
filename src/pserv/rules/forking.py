"""Cells of the machine's table for services that go to the background: their command ends, another process is it then.

How the main process is named (a pid file) is watched elsewhere; whether it is one of the run's is the keeper's to know.
"""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model.effects import Adopt
from pserv.model.events import Exited, Gone, MainChanged, MainUnknown, Ready, Situation
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Life, Phase, Result
from pserv.rules import aftermath, readiness, restart, stopping
from pserv.rules.decision import Decision


def exited(spec: ServiceSpec, life: Life, event: Exited, situation: Situation) -> Decision:
    """TERM to what is left of the run; else as goal and policy say; a start may go on in the background"""
    if goes_on(spec, life, event, situation):
        return seek(spec, life, situation)
    return aftermath.exited(spec, life, event, situation)


def goes_on(spec: ServiceSpec, life: Life, event: Exited, situation: Situation) -> bool:
    """Whether the end of this process is no end of the run, because it went to the background with success.

    Who forks twice may be seen between both forks; so one that nothing but its being alone had named is followed, too.
    """
    if spec.type != "forking" or event.gone or event.oom or life.verdict is not None:
        return False
    if event.signal is not None or (event.code and event.code not in spec.success_exit_codes):
        return False
    if life.adopted is None:
        return life.phase is Phase.STARTING
    at = situation.now if event.at is None else event.at
    guessed = spec.pid_file is None and at - life.adopted < restart.BACKGROUND
    return guessed and life.phase in (Phase.STARTING, Phase.RUNNING)


def seek(spec: ServiceSpec, life: Life, situation: Situation) -> Decision:
    """Wait until the main process is known: what the pid file names, else the one process that is left."""
    since = life.since if life.phase is Phase.STARTING else situation.now
    cause = readiness.led_here(spec, life) if life.phase is Phase.STARTING else life.order
    sought = replace(life, phase=Phase.STARTING, since=since, pid=0, forked=True, adopted=None, health="")
    sought = replace(sought, ready_at=None, reason=cause + readiness.waits(spec, sought))
    decided = readiness.after_news(spec, sought, situation.now)
    return decided if spec.pid_file else replace(decided, effects=(Adopt(life.run),))


def main_found(spec: ServiceSpec, life: Life, event: MainChanged, situation: Situation) -> Decision:
    """note the pid, whose end is the run's from now on; a forking service is ready by that, or by its probe"""
    if not life.forked and (spec.type != "forking" or life.adopted is not None):
        return stopping.main_changed(spec, life, event, situation)
    found = replace(life, pid=event.pid, forked=False, adopted=situation.now, reason=readiness.led_here(spec, life))
    if spec.ready_by in ("fork", "exec") and life.ready_at is None:
        why = f"{spec.pid_file} names {event.pid}" if spec.pid_file else f"its main process is {event.pid}"
        return readiness.ready(spec, found, Ready(event.run, why), situation)
    if life.ready_at is None:
        found = replace(found, reason=found.reason + readiness.waits(spec, found))
    return readiness.after_news(spec, found, situation.now)


def main_unknown(spec: ServiceSpec, life: Life, event: MainUnknown, situation: Situation) -> Decision:
    """tell why, and wait on for the pid file; without one that is a failure: the first stop signal to all of it"""
    if spec.pid_file is None:
        failing = replace(life, since=situation.now, verdict=Result.PROTOCOL, fault=event.why)
        return stopping.send_first(spec, failing, situation.now, event.why)
    reason = f"{readiness.led_here(spec, life)}{readiness.waits(spec, life)}: {event.why}"
    return Decision(replace(life, reason=reason))


def gone(spec: ServiceSpec, life: Life, event: Gone, situation: Situation) -> Decision:
    """as the policy says: what went to the background has ended before its main process was known"""
    uptime = max(situation.now - life.started, 0.0) if life.started else 0.0
    fault = "what it left in the background has ended"
    if spec.pid_file:
        fault += f" before {spec.pid_file} named a main process"
    end = Ended(Result.PROTOCOL, life.run, situation.now, uptime, code=0, detail=fault)
    over = replace(life, ended=end, pid=0, survivors=event.survivors)
    return aftermath.over(spec, over, situation, aftermath.crash(over, end))
