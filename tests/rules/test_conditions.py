"""Who may start, who waits and for how long, who waits in vain."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from pserv.model.effects import Spawn
from pserv.model.events import DeadlinePassed, DependenciesChanged, Situation
from pserv.model.needs import Need
from pserv.model.probe import Health
from pserv.model.spec import ServiceSpec
from pserv.model.states import Ended, Goal, Life, Phase, Result
from pserv.rules import conditions, machine
from pserv.rules.conditions import Outlook, outlook

OK = Ended(Result.SUCCESS, 1, 0.0, code=0)
BAD = Ended(Result.EXIT_CODE, 1, 0.0, code=1)
READY = Life(Phase.RUNNING, Goal.UP, "started by operator", pid=5, ready_at=1.0)
HEALTHY = replace(READY, health="healthy")
ON_ITS_WAY = Life(Phase.STARTING, Goal.UP, "started by operator")
NOW = 100.0


def life(phase: Phase, reason: str = "", **fields: object) -> Life:
    goal = Goal.DOWN if phase in (Phase.STOPPED, Phase.STOPPING) else Goal.UP
    return Life(**{"phase": phase, "goal": goal, "reason": reason, **fields})  # type: ignore[arg-type]


def look(need: Need, db: Life | None, spec: ServiceSpec | None = None, since: float = NOW) -> Outlook:
    """What db's life means for web, which has waited since then."""
    specs = {
        "web": ServiceSpec(exec="web", depends_on={"db": need}),
        "db": spec or ServiceSpec(exec="db", health=Health()),
    }
    lives = {"web": Life(Phase.WAITING, Goal.UP, since=since)} | ({} if db is None else {"db": db})
    return outlook("web", specs, lives, NOW)


def test_nothing_needed_nothing_waited_for() -> None:
    assert outlook("web", {"web": ServiceSpec(exec="web")}, {"web": Life()}, NOW) == Outlook()


MET: dict[str, set[str]] = {
    "executed": {"started"},
    "ready": {"started", "ready"},
    "healthy": {"started", "ready", "healthy"},
    "unhealthy": {"started", "ready"},
    "unready": {"started"},
    "completed": {"started", "completed"},
    "completes again and again": {"started", "completed"},
    "completed, backs off": {"started", "completed"},
    "lazy, listens": {"started", "ready"},
    "lazy, listens again": {"started", "ready", "completed"},
}
"""Which conditions a dependency meets that is so."""
LIVES = {
    "executed": life(Phase.STARTING, pid=5),
    "ready": READY,
    "healthy": HEALTHY,
    "unhealthy": replace(READY, health="unhealthy"),
    "unready": replace(READY, ready_at=None),
    "completed": life(Phase.EXITED, "exit code 0", ended=OK),
    "lazy, listens": life(Phase.LISTENING, ended=BAD),
    "lazy, listens again": life(Phase.LISTENING, ended=OK),
    "completes again and again": life(Phase.STARTING, ended=OK, restarts=1),
    "completed, backs off": life(Phase.BACKOFF, ended=OK),
    "ordered": life(Phase.STARTING),
    "ordered anew": life(Phase.STARTING, ended=OK),
    "waits": life(Phase.WAITING, "waiting for x"),
    "backs off": life(Phase.BACKOFF, "exit code 1", ended=BAD),
    "is restarted": life(Phase.STOPPING, goal=Goal.UP, again=True, pid=5, ready_at=1.0),
    "ends": life(Phase.ENDING, goal=Goal.UP),
}


@pytest.mark.parametrize("condition", ["started", "ready", "healthy", "completed"])
@pytest.mark.parametrize("way", LIVES)
def test_what_meets_which_condition(way: str, condition: str) -> None:
    spec = ServiceSpec(exec="db", health=Health(), restart="always" if "again" in way else None)
    seen = look(Need(condition), LIVES[way], spec)  # type: ignore[arg-type]
    meets = condition in MET.get(way, set())
    if meets:
        assert seen == Outlook()
    elif LIVES[way].phase is Phase.EXITED:
        assert seen == Outlook(hopeless="needs db, which is exited: exit code 0")
    else:
        assert seen == Outlook("waiting for db" + ("" if condition == "ready" else f" ({condition})"))


@pytest.mark.parametrize("way", LIVES)
def test_a_oneshot_is_ready_when_it_has_completed(way: str) -> None:
    spec = ServiceSpec(exec="db", type="oneshot", restart="always" if "again" in way else None)
    assert look(Need(), LIVES[way], spec) == look(Need("completed"), LIVES[way], spec)


IN_VAIN = [
    (life(Phase.STOPPING, "stopped by operator: sent"), "needs db, which is stopping: stopped by operator: sent"),
    (life(Phase.STOPPED, "stopped by operator"), "needs db, which is stopped: stopped by operator"),
    (life(Phase.FAILED, "exit code 1; policy never"), "needs db, which failed: exit code 1; policy never"),
    (life(Phase.EXITED, "exit code 1", ended=BAD), "needs db, which is exited: exit code 1"),
    (None, "needs db, which is no service"),
]


@pytest.mark.parametrize(("db", "why"), IN_VAIN)
@pytest.mark.parametrize("condition", ["started", "ready", "healthy", "completed"])
def test_what_cannot_come_any_more_is_not_waited_for(condition: str, db: Life | None, why: str) -> None:
    need = Need(condition, timeout=60.0)  # type: ignore[arg-type]
    assert look(need, db) == Outlook(hopeless=why)
    assert look(replace(need, required=False), db) == Outlook()


def test_a_stopped_oneshot_has_to_complete_anew() -> None:
    stopped = life(Phase.STOPPED, "stopped by operator", ended=OK)
    assert look(Need("completed"), stopped).hopeless == "needs db, which is stopped: stopped by operator"


def test_healthy_without_a_probe_never_comes() -> None:
    assert look(Need("healthy"), READY, ServiceSpec(exec="db")).hopeless == (
        "needs db to be healthy, and it has no health probe"
    )


def test_what_is_not_required_is_waited_for_while_it_comes_up() -> None:
    assert look(Need(required=False), ON_ITS_WAY) == Outlook("waiting for db")


def test_patience_ends() -> None:
    need = Need(timeout=30.0)
    assert look(need, ON_ITS_WAY) == Outlook("waiting for db", until=130.0)
    assert look(need, ON_ITS_WAY, since=71.0) == Outlook("waiting for db", until=101.0)
    late = Outlook(hopeless="needs db, which is not ready after 30 s: started by operator")
    assert look(need, ON_ITS_WAY, since=70.0) == late
    assert look(replace(need, required=False), ON_ITS_WAY, since=70.0) == Outlook()
    assert look(need, READY, since=70.0) == Outlook()


def test_all_that_is_waited_for_is_named_and_hopeless_wins() -> None:
    needs = {"db": Need(), "cache": Need("started", timeout=9.0), "lost": Need(timeout=5.0)}
    specs = {name: ServiceSpec(exec=name) for name in needs} | {"web": ServiceSpec(exec="web", depends_on=needs)}
    lives = {"web": Life(), "db": ON_ITS_WAY, "cache": ON_ITS_WAY, "lost": READY}
    assert outlook("web", specs, lives, NOW) == Outlook("waiting for db, cache (started)", until=109.0)
    lives["lost"] = ON_ITS_WAY
    assert outlook("web", specs, lives, NOW) == Outlook("waiting for db, cache (started), lost", until=105.0)
    lives["lost"] = life(Phase.FAILED, "needs x, which failed: y")
    assert outlook("web", specs, lives, NOW).hopeless == "needs lost, which failed: needs x, which failed: y"


def test_what_is_about_to_be_restarted_is_not_ready() -> None:
    specs = {"web": ServiceSpec(exec="web", depends_on={"db": Need()}), "db": ServiceSpec(exec="db")}
    assert outlook("web", specs, {"web": Life(), "db": READY}, NOW, {"db": "operator"}).blocked == "waiting for db"


@pytest.mark.parametrize(
    "after",
    [
        replace(READY, phase=Phase.STOPPING),
        replace(READY, goal=Goal.DOWN),
        replace(READY, pid=0),
        replace(READY, ready_at=None),
        HEALTHY,
        replace(READY, ended=OK),
    ],
)
def test_every_change_that_may_meet_a_condition_is_seen(after: Life) -> None:
    assert conditions.seen(READY) != conditions.seen(after)
    assert conditions.seen(READY) == conditions.seen(replace(READY, reason="other", deadline=5.0, ready_at=7.0))


SPEC = ServiceSpec(exec="web")


def test_waiting_has_a_deadline_that_fails_or_starts() -> None:
    """The machine's part: the deadline is the outlook's, and what it means is looked up when it has passed."""
    begun = machine.decide(SPEC, Life(Phase.BACKOFF, Goal.UP, deadline=NOW, attempt=1), DeadlinePassed(),
                           Situation(NOW, blocked="waiting for db", until=130.0))  # fmt: skip
    waits = begun.life
    assert (waits.phase, waits.since, waits.deadline, waits.reason) == (Phase.WAITING, NOW, 130.0, "waiting for db")
    moved = machine.decide(SPEC, waits, DependenciesChanged(), Situation(110.0, blocked="waiting for x")).life
    assert (moved.phase, moved.since, moved.deadline) == (Phase.WAITING, NOW, None)
    assert machine.decide(SPEC, waits, DeadlinePassed(), Situation(129.9, hopeless="late")).life == waits
    failed = machine.decide(SPEC, waits, DeadlinePassed(), Situation(130.0, hopeless="needs db, late")).life
    assert (failed.phase, failed.goal, failed.reason, failed.deadline) == (
        Phase.FAILED, Goal.UP, "needs db, late", None,
    )  # fmt: skip
    started = machine.decide(SPEC, waits, DeadlinePassed(), Situation(130.0, next_run=9))
    assert started.effects == (Spawn(9),)
    assert started.life.waited == 30.0
