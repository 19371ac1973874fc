"""Which changes call for hooks that nobody waits for: each cause once, alarms beyond the run that raised them."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model.events import Exited, Healthy, Situation, Spawned, Unhealthy
from pserv.model.hooks import Hook, Hooks
from pserv.model.probe import Health, Tcp
from pserv.model.spec import ServiceSpec
from pserv.model.states import Due, Life, Phase
from pserv.rules import beside, machine

from .lives import OK, RUN, SPEC, backoff, ending, failed, running, starting, stopping

TELLS = Hooks(on_unhealthy=(Hook(command=("page",)),))


def test_what_calls_for_which() -> None:
    up = running()
    assert beside.due(starting(), up) == ("post_start",)
    assert beside.due(up, replace(up, reason="stable again")) == ()
    assert beside.due(up, stopping()) == ()
    assert beside.due(stopping(), failed()) == ("on_failed",)
    assert beside.due(failed(), replace(failed(), reason="needs db")) == ()
    assert beside.due(up, replace(backoff(), alarm=True)) == ("on_unhealthy",)
    assert beside.due(replace(up, alarm=True), up) == ("on_healthy",)


def test_a_scheduled_run_that_failed_for_good_calls_once_though_its_service_goes_on() -> None:
    due = Due(1.0, 1.0, "D", "@daily")
    over = ending(due=due, attempt=2)
    waits = replace(backoff(), ended=over.ended, due=due, attempt=0, phase=Phase.WAITING, resting=True, run=RUN)
    assert beside.due(over, waits) == ("on_failed",)
    assert beside.due(waits, replace(waits, reason="the clock was changed")) == ()
    assert beside.due(over, replace(waits, ended=OK)) == ()
    assert beside.due(waits, starting(run=8, ended=over.ended, attempt=0)) == ()
    tries = starting(run=8, ended=over.ended, due=due)
    assert beside.due(over, tries) == ()
    assert beside.due(over, replace(tries, attempt=0)) == ("on_failed",)
    assert beside.due(replace(over, due=None), replace(tries, attempt=0)) == ()
    by_hand = replace(over, due=None, once=True)
    assert beside.due(by_hand, replace(waits, phase=Phase.STOPPED, resting=False)) == ("on_failed",)
    assert beside.due(over, replace(over, reason="waits for what it left behind")) == ()


def test_what_ends_which() -> None:
    assert not beside.ended_by("post_start", running())
    assert beside.ended_by("post_start", stopping())
    assert not beside.ended_by("on_unhealthy", backoff())
    assert beside.ended_by("on_unhealthy", Life(Phase.STOPPED))
    assert not beside.ended_by("on_failed", Life(Phase.STOPPED))


def test_an_alarm_is_raised_once_and_ends_with_a_later_run_that_is_well() -> None:
    spec = replace(SPEC, hooks=TELLS, health=Health(tcp=Tcp(1)), restart="always")
    called: list[str] = []
    life = running(alarm=False)
    events = [Unhealthy(7, "no"), Exited(7, 0), Spawned(8, 80), Unhealthy(8, "no"), Exited(8, 0), Spawned(9, 90)]

    def happens(spec: ServiceSpec, life: Life, event: object, run: int) -> Life:
        new = machine.decide(spec, life, event, Situation(200.0, next_run=run)).life  # type: ignore[arg-type]
        called.extend(kind for kind in beside.due(life, new) if kind.startswith("on_"))
        return new

    by_exec = replace(spec, health=None)
    life = happens(spec, life, events[0], 8)
    assert life.phase is Phase.STOPPING
    assert called == ["on_unhealthy"]
    life = happens(spec, life, events[1], 8)
    assert life.alarm
    again = replace(running(), run=8, alarm=life.alarm, health="")
    again = happens(spec, again, events[3], 9)
    assert called == ["on_unhealthy"]
    well = happens(by_exec, replace(running(), run=9, alarm=again.alarm), Healthy(9, "http 200"), 10)
    assert not well.alarm
    assert called == ["on_unhealthy", "on_healthy"]
