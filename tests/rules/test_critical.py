"""Which start waited for which: the chain that made the last service late."""

from __future__ import annotations

from pserv.model.needs import Need
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result
from pserv.rules import critical


def up(started: float, ready: float, waited: float = 0.0) -> Life:
    return Life(Phase.RUNNING, Goal.UP, "started", pid=5, started=started, ready_at=ready, waited=waited)


def done(started: float, ended: float, waited: float = 0.0) -> Life:
    over = Ended(Result.SUCCESS, 1, ended, ended - started, code=0)
    return Life(Phase.EXITED, Goal.UP, "exit code 0", ended=over, waited=waited)


def links(specs: dict[str, ServiceSpec], lives: dict[str, Life]) -> list[str]:
    return [name for name, _ in critical.chain(specs, specs, lives)]


def spec(**needs: Need) -> ServiceSpec:
    return ServiceSpec(exec="x", depends_on=needs)


TASK = ServiceSpec(exec="x", type="oneshot")


def test_the_dependency_that_came_last_is_the_one_that_was_waited_for() -> None:
    specs = {"db": spec(), "cache": spec(), "web": spec(db=Need(), cache=Need())}
    lives = {"db": up(0.0, 4.0), "cache": up(0.0, 9.0), "web": up(9.0, 10.0, 9.0)}
    assert links(specs, lives) == ["cache", "web"]
    assert critical.chain(specs, specs, lives)[-1] == ("web", critical.Span(9.0, 10.0, 9.0))


def test_a_condition_counts_when_it_was_met() -> None:
    specs = {"db": spec(), "cache": spec(), "web": spec(db=Need("started"), cache=Need())}
    lives = {"db": up(5.0, 30.0), "cache": up(0.0, 4.0), "web": up(5.0, 40.0, 5.0)}
    assert links(specs, lives) == ["db", "web"]


def test_a_oneshot_took_until_its_end() -> None:
    specs = {"migrate": TASK, "web": spec(migrate=Need())}
    lives = {"migrate": done(1.0, 7.0), "web": up(7.0, 7.5, 6.0)}
    assert critical.chain(specs, specs, lives)[0] == ("migrate", critical.Span(1.0, 7.0, 0.0))


def test_what_came_after_the_start_was_not_waited_for() -> None:
    """db was restarted since, or was not required and late."""
    specs = {"db": spec(), "web": spec(db=Need(required=False))}
    assert links(specs, {"db": up(20.0, 21.0), "web": up(5.0, 30.0, 5.0)}) == ["web"]


def test_a_start_that_did_not_wait_begins_the_chain() -> None:
    specs = {"db": spec(), "web": spec(db=Need())}
    assert links(specs, {"db": up(0.0, 1.0), "web": up(50.0, 51.0)}) == ["web"]


def test_what_is_not_up_is_left_out() -> None:
    specs = {"db": spec(), "web": spec(db=Need()), "task": TASK}
    waits = Life(Phase.WAITING, Goal.UP, "waiting for db")
    assert links(specs, {"db": up(0.0, 1.0), "web": waits, "task": Life(Phase.STARTING, Goal.UP)}) == ["db"]
    assert links(specs, {"db": waits, "web": waits, "task": waits}) == []
