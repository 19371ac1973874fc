"""The life of a service as one table: (phase, event) -> what is done, and where that may lead.

What each cell does is in `starting`, `lazy`, `readiness`, `forking`, `stopping`, `aftermath` and `hooks`. Diagram and
table in the docs are drawn from here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pserv.model.errors import Refused
from pserv.model.events import (
    ClockChanged,
    Configured,
    Connected,
    DeadlinePassed,
    DependenciesChanged,
    Event,
    Exited,
    Extended,
    Gone,
    Healthy,
    HookEnded,
    HookGone,
    Hurry,
    ListenFailed,
    MainChanged,
    MainUnknown,
    Ready,
    Resolved,
    Restart,
    Run,
    Situation,
    Spawned,
    SpawnFailed,
    Start,
    StartFailed,
    Stop,
    Unhealthy,
    Unready,
    Unresolved,
    WatchdogExpired,
)
from pserv.model.spec import ServiceSpec
from pserv.model.states import Life, Phase
from pserv.rules import aftermath, due, forking, hooks, readiness, starting, stopping
from pserv.rules.decision import Decision, stay

__all__ = ["TABLE", "Cell", "Decision", "Table", "decide"]

Move = Callable[[ServiceSpec, Life, Any, Situation], Decision]
"""The third argument is of the event type that the cell stands under."""


class Cell(msgspec.Struct, frozen=True):
    """What is done, and all the phases that it may lead to."""

    do: Move
    to: tuple[Phase, ...]


Table = Mapping[tuple[Phase, type[Event]], Cell]

STOPPED, WAITING, STARTING, RUNNING = Phase.STOPPED, Phase.WAITING, Phase.STARTING, Phase.RUNNING
STOPPING, ENDING, BACKOFF, EXITED, FAILED = Phase.STOPPING, Phase.ENDING, Phase.BACKOFF, Phase.EXITED, Phase.FAILED

PREPARING, CLOSING, CLEANING, LISTENING = Phase.PREPARING, Phase.CLOSING, Phase.CLEANING, Phase.LISTENING

BEGUN = (PREPARING, STARTING, WAITING, FAILED)
"""Where an attempt to start leads."""

WANTED = (*BEGUN, LISTENING)
"""The same, where it may wait for a connection first."""

OVER = (CLEANING, *WANTED, BACKOFF, EXITED)
"""Where the policy leads after the end of a run."""

OVER_FAILED = (CLEANING, *WANTED, BACKOFF)
"""Where the policy leads after a failure."""

ENDED = (CLEANING, STOPPED, *WANTED, BACKOFF)
"""Where the end of a run that was to be stopped leads."""

TABLE: Table = {
    # phase, event: what is done, where it may lead
    (STOPPED, Start): Cell(starting.start, WANTED),
    (STOPPED, Stop): Cell(stay, (STOPPED,)),
    (STOPPED, Restart): Cell(starting.start_over, BEGUN),
    (STOPPED, Run): Cell(due.run, (*BEGUN, STOPPED)),
    (STOPPED, Hurry): Cell(stay, (STOPPED,)),
    (STOPPED, DependenciesChanged): Cell(stay, (STOPPED,)),
    (STOPPED, Configured): Cell(stay, (STOPPED,)),
    (STOPPED, Exited): Cell(aftermath.buried, (STOPPED,)),
    (STOPPED, Gone): Cell(aftermath.buried, (STOPPED,)),
    # Wanted up, but something else must be ready first; the deadline is when that has taken too long, or its next run.
    (WAITING, Start): Cell(starting.start, WANTED),
    (WAITING, Stop): Cell(stopping.cancel, (STOPPED,)),
    (WAITING, Restart): Cell(starting.start_over, BEGUN),
    (WAITING, Hurry): Cell(stay, (WAITING,)),
    (WAITING, Run): Cell(due.run, (*BEGUN, STOPPED)),
    (WAITING, DependenciesChanged): Cell(due.look, (*WANTED, STOPPED)),
    (WAITING, Configured): Cell(due.look, (*WANTED, STOPPED)),
    (WAITING, DeadlinePassed): Cell(due.look, (*WANTED, STOPPED)),
    (WAITING, ClockChanged): Cell(due.look, (PREPARING, STARTING, WAITING)),
    (WAITING, Resolved): Cell(starting.resolved, WANTED),
    (WAITING, Unresolved): Cell(aftermath.unresolved, (WAITING, BACKOFF, FAILED)),
    (WAITING, Gone): Cell(aftermath.buried, (WAITING,)),
    # Its sockets are open, and a connection is waited for.
    (LISTENING, Start): Cell(stay, (LISTENING,)),
    (LISTENING, Stop): Cell(stopping.cancel, (STOPPED,)),
    (LISTENING, Restart): Cell(starting.start_over, BEGUN),
    (LISTENING, Run): Cell(due.run, BEGUN),
    (LISTENING, Hurry): Cell(stay, (LISTENING,)),
    (LISTENING, DependenciesChanged): Cell(stay, (LISTENING,)),
    (LISTENING, Configured): Cell(due.relisten, WANTED),
    (LISTENING, Connected): Cell(starting.connected, (*BEGUN, BACKOFF)),
    (LISTENING, ListenFailed): Cell(aftermath.listen_failed, (BACKOFF, FAILED)),
    (LISTENING, Gone): Cell(aftermath.buried, (LISTENING,)),
    # A pre_start hook runs; the deadline is its.
    (PREPARING, Start): Cell(stay, (PREPARING,)),
    (PREPARING, Stop): Cell(hooks.stop_preparing, (CLEANING,)),
    (PREPARING, Restart): Cell(hooks.restart_preparing, (CLEANING,)),
    (PREPARING, Hurry): Cell(stay, (PREPARING,)),
    (PREPARING, DependenciesChanged): Cell(stay, (PREPARING,)),
    (PREPARING, Configured): Cell(due.retime, (PREPARING,)),
    (PREPARING, DeadlinePassed): Cell(hooks.overdue, (PREPARING, CLEANING)),
    (PREPARING, ClockChanged): Cell(due.retime, (PREPARING,)),
    (PREPARING, HookEnded): Cell(hooks.prepared, (STOPPED, CLEANING, *BEGUN, BACKOFF)),
    (PREPARING, HookGone): Cell(hooks.prepared, (STOPPED, CLEANING, *BEGUN, BACKOFF)),
    # A spawn was ordered; the deadline is start_timeout (for a oneshot that runs, max_runtime too).
    (STARTING, Start): Cell(stay, (STARTING,)),
    (STARTING, Stop): Cell(stopping.stop, (STOPPING,)),
    (STARTING, Restart): Cell(stopping.restart_run, (STOPPING,)),
    (STARTING, Hurry): Cell(stay, (STARTING,)),
    (STARTING, DependenciesChanged): Cell(stay, (STARTING,)),
    (STARTING, Configured): Cell(readiness.configured, (STARTING, RUNNING)),
    (STARTING, DeadlinePassed): Cell(stopping.start_overdue, (STARTING, STOPPING)),
    (STARTING, Spawned): Cell(starting.spawned, (STARTING, RUNNING)),
    (STARTING, Ready): Cell(readiness.ready, (STARTING, RUNNING)),
    (STARTING, Unready): Cell(readiness.unready, (STARTING,)),
    (STARTING, Healthy): Cell(readiness.healthy, (STARTING, RUNNING)),
    (STARTING, Unhealthy): Cell(stay, (STARTING,)),
    (STARTING, WatchdogExpired): Cell(stopping.watchdog_expired, (STOPPING,)),
    (STARTING, Extended): Cell(readiness.extended, (STARTING,)),
    (STARTING, MainChanged): Cell(forking.main_found, (STARTING, RUNNING)),
    (STARTING, MainUnknown): Cell(forking.main_unknown, (STARTING, STOPPING)),
    (STARTING, ClockChanged): Cell(due.retime, (STARTING,)),
    (STARTING, SpawnFailed): Cell(aftermath.spawn_failed, (STOPPED, CLEANING, *BEGUN, BACKOFF)),
    (STARTING, Exited): Cell(forking.exited, (STOPPED, *OVER, ENDING)),
    (STARTING, Gone): Cell(forking.gone, OVER_FAILED),
    # Up and ready; the deadline is when a streak of restarts is over, or max_runtime.
    (RUNNING, Start): Cell(stay, (RUNNING,)),
    (RUNNING, Stop): Cell(stopping.stop, (CLOSING, STOPPING)),
    (RUNNING, Restart): Cell(stopping.restart_run, (CLOSING, STOPPING)),
    (RUNNING, Hurry): Cell(stay, (RUNNING,)),
    (RUNNING, DependenciesChanged): Cell(stay, (RUNNING,)),
    (RUNNING, Configured): Cell(readiness.configured, (RUNNING,)),
    (RUNNING, DeadlinePassed): Cell(stopping.run_overdue, (RUNNING, CLOSING, STOPPING)),
    (RUNNING, Ready): Cell(readiness.ready, (RUNNING,)),
    (RUNNING, Unready): Cell(readiness.unready, (RUNNING,)),
    (RUNNING, Healthy): Cell(readiness.healthy, (RUNNING,)),
    (RUNNING, Unhealthy): Cell(stopping.unhealthy, (RUNNING, CLOSING, STOPPING)),
    (RUNNING, WatchdogExpired): Cell(stopping.watchdog_expired, (STOPPING,)),
    (RUNNING, StartFailed): Cell(stopping.start_failed, (CLOSING, STOPPING)),
    (RUNNING, Extended): Cell(readiness.extended, (RUNNING,)),
    (RUNNING, MainChanged): Cell(stopping.main_changed, (RUNNING,)),
    (RUNNING, Exited): Cell(forking.exited, (*OVER, ENDING)),
    # A pre_stop hook runs; the deadline is its. The main process may end meanwhile.
    (CLOSING, Start): Cell(stopping.start_when_gone, (CLOSING,)),
    (CLOSING, Stop): Cell(stopping.stop_for_good, (CLOSING,)),
    (CLOSING, Restart): Cell(stopping.start_when_gone, (CLOSING,)),
    (CLOSING, Hurry): Cell(hooks.hurry_closing, (CLOSING,)),
    (CLOSING, DependenciesChanged): Cell(stay, (CLOSING,)),
    (CLOSING, Configured): Cell(stay, (CLOSING,)),
    (CLOSING, DeadlinePassed): Cell(hooks.overdue, (CLOSING,)),
    (CLOSING, HookEnded): Cell(hooks.closed, (CLOSING, STOPPING, ENDING, *ENDED)),
    (CLOSING, HookGone): Cell(hooks.closed, (CLOSING, STOPPING, ENDING, *ENDED)),
    (CLOSING, Extended): Cell(stopping.extended_closing, (CLOSING,)),
    (CLOSING, MainChanged): Cell(stopping.main_changed, (CLOSING,)),
    (CLOSING, Exited): Cell(hooks.exited_closing, (CLOSING,)),
    (CLOSING, Gone): Cell(hooks.gone_closing, (CLOSING,)),
    # A stop signal was sent and the main process lives; the deadline is the next step's, none after SIGKILL.
    (STOPPING, Start): Cell(stopping.start_when_gone, (STOPPING,)),
    (STOPPING, Stop): Cell(stopping.stop_for_good, (STOPPING,)),
    (STOPPING, Restart): Cell(stopping.start_when_gone, (STOPPING,)),
    (STOPPING, Hurry): Cell(stopping.hurry, (STOPPING,)),
    (STOPPING, DependenciesChanged): Cell(stay, (STOPPING,)),
    (STOPPING, Configured): Cell(stopping.shorten_stop, (STOPPING,)),
    (STOPPING, DeadlinePassed): Cell(stopping.stop_overdue, (STOPPING,)),
    (STOPPING, Spawned): Cell(stopping.spawned_late, (STOPPING,)),
    (STOPPING, SpawnFailed): Cell(aftermath.spawn_failed, ENDED),
    (STOPPING, Extended): Cell(stopping.extended, (STOPPING,)),
    (STOPPING, MainChanged): Cell(stopping.main_changed, (STOPPING,)),
    (STOPPING, Exited): Cell(forking.exited, (*ENDED, ENDING)),
    (STOPPING, Gone): Cell(aftermath.gone_unseen, ENDED),
    # The main process has ended, the rest of its run has not; the deadline is SIGKILL's, none after it.
    (ENDING, Start): Cell(stopping.start_when_gone, (ENDING,)),
    (ENDING, Stop): Cell(stopping.stop_for_good, (ENDING,)),
    (ENDING, Restart): Cell(stopping.start_when_gone, (ENDING,)),
    (ENDING, Hurry): Cell(stopping.hurry, (ENDING,)),
    (ENDING, DependenciesChanged): Cell(stay, (ENDING,)),
    (ENDING, Configured): Cell(stay, (ENDING,)),
    (ENDING, DeadlinePassed): Cell(stopping.rest_overdue, (ENDING,)),
    (ENDING, Gone): Cell(aftermath.gone, (STOPPED, *OVER)),
    # A post_stop hook runs, or a pre_start hook of a start that was given up is ended; the deadline is its.
    (CLEANING, Start): Cell(stopping.start_when_gone, (CLEANING,)),
    (CLEANING, Stop): Cell(stopping.stop_for_good, (CLEANING,)),
    (CLEANING, Restart): Cell(stopping.start_when_gone, (CLEANING,)),
    (CLEANING, Hurry): Cell(hooks.hurry_cleaning, (CLEANING,)),
    (CLEANING, DependenciesChanged): Cell(stay, (CLEANING,)),
    (CLEANING, Configured): Cell(stay, (CLEANING,)),
    (CLEANING, DeadlinePassed): Cell(hooks.overdue, (CLEANING,)),
    (CLEANING, HookEnded): Cell(hooks.cleaned, (STOPPED, *OVER)),
    (CLEANING, HookGone): Cell(hooks.cleaned, (STOPPED, *OVER)),
    # To be started again at the deadline.
    (BACKOFF, Start): Cell(starting.start, WANTED),
    (BACKOFF, Stop): Cell(stopping.cancel, (STOPPED,)),
    (BACKOFF, Restart): Cell(starting.start_over, BEGUN),
    (BACKOFF, Run): Cell(due.run, (*BEGUN, STOPPED)),
    (BACKOFF, Hurry): Cell(stay, (BACKOFF,)),
    (BACKOFF, DependenciesChanged): Cell(stay, (BACKOFF,)),
    (BACKOFF, Configured): Cell(aftermath.reconsider, (BACKOFF, WAITING, STOPPED, EXITED, FAILED)),
    (BACKOFF, DeadlinePassed): Cell(due.look, (*WANTED, STOPPED)),
    (BACKOFF, ClockChanged): Cell(due.retime, (BACKOFF,)),
    (BACKOFF, Gone): Cell(aftermath.buried, (BACKOFF,)),
    # Ended, and that is well.
    (EXITED, Start): Cell(starting.start, WANTED),
    (EXITED, Stop): Cell(stopping.cancel, (STOPPED,)),
    (EXITED, Restart): Cell(starting.start_over, BEGUN),
    (EXITED, Run): Cell(due.run, (*BEGUN, STOPPED)),
    (EXITED, Hurry): Cell(stay, (EXITED,)),
    (EXITED, DependenciesChanged): Cell(stay, (EXITED,)),
    (EXITED, Configured): Cell(due.adopt, (EXITED, WAITING)),
    (EXITED, Gone): Cell(aftermath.buried, (EXITED,)),
    # Given up.
    (FAILED, Start): Cell(starting.start, WANTED),
    (FAILED, Stop): Cell(stopping.cancel, (STOPPED,)),
    (FAILED, Restart): Cell(starting.start_over, BEGUN),
    (FAILED, Run): Cell(due.run, (*BEGUN, STOPPED)),
    (FAILED, Hurry): Cell(stay, (FAILED,)),
    (FAILED, DependenciesChanged): Cell(stay, (FAILED,)),
    (FAILED, Configured): Cell(due.adopt, (FAILED, WAITING)),
    (FAILED, Exited): Cell(aftermath.buried, (FAILED,)),
    (FAILED, Gone): Cell(aftermath.buried, (FAILED,)),
}


def decide(spec: ServiceSpec, life: Life, event: Event, situation: Situation, table: Table = TABLE) -> Decision:
    """What follows when this happens to a service. Raises Refused where the table has no cell.

    Late news changes nothing: a fact about another run than the last, a deadline that has been moved.
    """
    if _late(life, event, situation.now):
        return Decision(life)
    cell = table.get((life.phase, type(event)))
    if cell is None:
        raise Refused(
            f"cannot apply {type(event).__name__} to a service that is {life.phase}: the table has no such cell"
        )
    return cell.do(spec, life, event, situation)


def _late(life: Life, event: Event, now: float) -> bool:
    match event:
        case Spawned(run=run) | SpawnFailed(run=run) | Exited(run=run) | Gone(run=run):
            return run != life.run
        case Ready(run=run) | Unready(run=run) | Healthy(run=run) | Unhealthy(run=run) | WatchdogExpired(run=run):
            return run != life.run or life.phase not in (STARTING, RUNNING)
        case HookEnded(run=run) | HookGone(run=run):
            return life.hook is None or run != life.hook.run
        case StartFailed(run=run):
            return run != life.run or life.phase is not RUNNING
        case MainUnknown(run=run):
            return run != life.run or life.phase is not STARTING or not life.forked
        case Extended(run=run) | MainChanged(run=run) if life.phase is CLOSING:
            return run != life.run or not life.pid
        case Extended(run=run) | MainChanged(run=run):
            return run != life.run or life.phase not in (STARTING, RUNNING, STOPPING)
        case Connected(listens=number) | ListenFailed(listens=number):
            return life.phase is not LISTENING or number != life.listens
        case Resolved() | Unresolved():
            return life.phase is not WAITING or life.resting or not life.anew
        case DeadlinePassed():
            return life.deadline is None or now < life.deadline
    return False
