"""`pserv why` for each state: the state and its cause, what it waits for and why that is not there, what comes next."""

from __future__ import annotations

from msgspec.structs import replace

from pserv.model.events import Extended, Gone, Healthy, Ready, SpawnFailed, Unhealthy, Unready
from pserv.model.states import Phase
from pserv.model.status import ProbeResult
from pserv.supervisor import reasons
from pserv.supervisor.answers import Answers
from tests.world import World, service

HEALTH = {"tcp": {"port": 1}}


def why(world: World, name: str) -> list[str]:
    pending = world.orders.turns.pending(name)
    return list(reasons.chain(name, world.supervisor.specs, world.supervisor.lives, world.clock.now(), (), pending))


def test_stopped() -> None:
    world = World({"web": service(), "cron": service(autostart=False), "db": service()})
    world.boot()
    assert why(world, "cron") == [
        "stopped for 0 ms: not started yet",
        "it is not started with the daemon: autostart is false",
        "next: nothing until it is started: pserv start cron",
    ]
    world.run_all()
    world.wait(60.0)
    world.orders.stop(["web"])
    world.exited("web", signal=15)
    world.wait(3.0)
    assert why(world, "web") == [
        "stopped for 3 s: stopped by operator",
        "the last run ended 3 s ago after 1 min: killed by SIGTERM",
        "next: nothing until it is started: pserv start web",
    ]


def test_running() -> None:
    world = World({"web": service(max_retries=5, backoff={"jitter": 0.0})})
    world.boot()
    world.run_all()
    world.wait(90.0)
    assert why(world, "web") == [
        "running for 1 min 30 s: started by daemon start",
        "ready for 1 min 30 s",
        "next: when it ends, its policy is on-failure, at most 5 in a row",
    ]
    world.exited("web", 3)
    world.run_all()
    world.wait(4.0)
    assert why(world, "web") == [
        "running for 4 s: exit code 3 after 1 min 30 s; restart 1 at once; policy on-failure",
        "last order: started by daemon start",
        "ready for 4 s",
        "last restart: the run before this one ended 4 s ago after 1 min 30 s: exit code 3",
        "this is restart 1 in a row; it counts as stable in 6 s if it stays well",
        "next: when it ends, its policy is on-failure, at most 5 in a row",
    ]
    world.orders.restart(["web"])
    world.exited("web", signal=15)
    world.run_all()
    assert why(world, "web")[2] == "the run before this one ended 0 ms ago after 4 s: killed by SIGTERM"


def test_running_and_not_well() -> None:
    world = World(
        {
            "web": service(
                ready={"tcp": {"port": 1}, "interval": 5.0}, health={**HEALTH, "on_failure": "alert"}, max_runtime=600
            )
        }
    )
    world.boot()
    world.run_all()
    run = world.keeper.live["web"]
    world.wait(2.0)
    world.supervisor.post("web", Ready(run, "port 1 accepts"))
    world.supervisor.post("web", Healthy(run, "port 1 accepts"))
    assert why(world, "web")[:2] == [
        "running for 0 ms, healthy: started by daemon start; ready after 2 s: port 1 accepts",
        "ready for 0 ms",
    ]
    world.wait(10.0)
    world.supervisor.post("web", Unhealthy(run, "port 1: refused", ends=False))
    world.supervisor.post("web", Unready(run, "port 1: refused"))
    assert why(world, "web") == [
        "running for 10 s, not ready, unhealthy: not ready: port 1: refused",
        "last order: started by daemon start",
        "next: it is ended in 9 min 48 s, at its max_runtime; when it ends, its policy is on-failure",
    ]
    (row,) = Answers(world.supervisor, world.clock, "cookie").rows(["web"])
    assert row.next == world.clock.wall() + 588.0
    kinds = [change.kind for change in world.supervisor.history.last(10, {"web"})]
    assert kinds[-4:] == ["state", "healthy", "unhealthy", "unready"]


def test_a_streak_that_does_not_end() -> None:
    world = World({"web": service(health={**HEALTH, "on_failure": "none"})})
    world.boot()
    world.run_all()
    world.exited("web", 1)
    world.run_all()
    run = world.keeper.live["web"]
    world.supervisor.post("web", Healthy(run, "well"))
    world.supervisor.post("web", Unhealthy(run, "refused", ends=False))
    assert "this is restart 1 in a row; it counts as stable not while it is like this" in why(world, "web")


def test_starting() -> None:
    world = World({"web": service(type="notify"), "migrate": service(type="oneshot", max_runtime=30.0)})
    world.boot()
    world.run_all()
    world.wait(20.0)
    assert why(world, "web") == [
        "starting for 20 s: started by daemon start; waits for READY=1",
        "next: it is stopped in 40 s unless it is ready by then",
    ]
    assert why(world, "migrate") == [
        "starting for 20 s: started by daemon start",
        "next: it runs to its end; it is ended in 10 s",
    ]
    world.supervisor.post("web", Extended(world.keeper.live["web"], world.clock.now() + 100.0))
    assert why(world, "web")[-1] == "next: it is stopped in 1 min 40 s unless it is ready by then"
    endless = World({"migrate": service(type="oneshot")})
    endless.boot()
    endless.run_all()
    assert why(endless, "migrate")[-1] == "next: it runs to its end"


def test_backoff_failed_exited() -> None:
    world = World({"web": service(max_retries=2, backoff={"jitter": 0.0}), "done": service()})
    world.boot()
    world.run_all()
    world.wait(5.0)
    world.exited("done", 0)
    for _ in range(2):
        world.exited("web", 1)
        world.run_all()
    world.wait(0.25)
    assert why(world, "web") == [
        "backoff for 250 ms: exit code 1 after 0 ms; restart 2 in 1 s; policy on-failure",
        "last order: started by daemon start",
        "the last run ended 250 ms ago after 0 ms: exit code 1",
        "next: it is started again in 750 ms",
    ]
    world.wait(1.0)
    failure = SpawnFailed(world.keeper.live.pop("web"), "exec", 2, "/no/web", "No such file or directory")
    world.supervisor.post("web", failure)
    world.wait(0.25)
    assert why(world, "web") == [
        "failed for 250 ms: gave up after 2 retries: cannot exec /no/web: No such file or directory; policy on-failure",
        "last order: started by daemon start",
        "the last run ended 250 ms ago: cannot exec /no/web: No such file or directory",
        "next: nothing until it is started: pserv start web",
    ]
    assert why(world, "done") == [
        "exited for 1.5 s: exit code 0 after 5 s; policy on-failure",
        "last order: started by daemon start",
        "the last run ended 1.5 s ago after 5 s: exit code 0",
        "next: nothing; its policy is on-failure",
    ]


def test_stopping() -> None:
    steps = [{"signal": 3, "timeout": 30.0}, {"signal": 15, "timeout": 5.0}]
    world = World({"web": service(stop={"steps": steps}, max_retries=3)})
    world.boot()
    world.run_all()
    world.orders.stop(["web"])
    world.wait(10.0)
    assert why(world, "web") == [
        "stopping for 10 s: stopped by operator: sent SIGQUIT, then SIGTERM in 30 s",
        "next: SIGTERM in 20 s; it is stopped once nothing of it is left",
    ]
    world.orders.start(["web"])
    world.wait(21.0)
    assert why(world, "web")[-1] == "next: SIGKILL in 4 s; it is started again once nothing of it is left"
    world.wait(5.0)
    assert why(world, "web")[-1] == "next: it is started again once the kernel has ended what got SIGKILL"
    world.exited("web", signal=9)
    world.run_all()
    world.exited("web", 1, gone=False)
    assert why(world, "web")[-1] == (
        "next: SIGKILL in 2 s; its policy decides (on-failure, at most 3 in a row) once nothing of it is left"
    )


def test_an_order_that_waits_for_others() -> None:
    edge = {"db": {"restart": True}}
    world = World({"web": service(depends_on=edge), "api": service(depends_on=edge), "db": service()})
    world.boot()
    world.run_all()
    world.orders.restart(["db"])
    assert why(world, "db")[-1] == "next: it is restarted by operator once web, api have ended"
    world.orders.stop(["web", "db"])
    assert why(world, "db")[-1] == "next: it is stopped by operator once web, api have ended"
    world.exited("api", signal=15)
    assert why(world, "db")[-1] == "next: it is stopped by operator once web has ended"
    world.exited("web", signal=15)
    world.exited("db", signal=15)
    assert why(world, "db")[-1] == "next: nothing until it is started: pserv start db"


def test_what_survived_sigkill_is_named() -> None:
    world = World({"web": service()})
    world.boot()
    world.run_all()
    world.orders.stop(["web"])
    world.wait(11.0)
    run = world.keeper.live.pop("web")
    world.supervisor.post("web", Gone(run, ("pid 9 (cp), state D",)))
    assert "SIGKILL did not end pid 9 (cp), state D" in why(world, "web")


def test_waiting_through_a_chain() -> None:
    world = World(
        {
            "web": service(depends_on={"db": {}, "cache": {"condition": "healthy", "required": False}}),
            "db": service(depends_on={"disk": {"timeout": 90.0}}),
            "disk": service(type="oneshot", restart="always", backoff={"initial": 5.0, "jitter": 0.0}),
            "cache": service(health=HEALTH),
        }
    )
    world.boot()
    world.run_all()
    world.wait(1.0)
    world.exited("disk", 1)
    world.run_all()
    world.exited("disk", 1)
    world.wait(2.0)
    assert why(world, "web") == [
        "waiting for 3 s: waiting for db, cache (healthy)",
        "last order: started by daemon start",
        "it needs db to be ready: db is waiting for 3 s: waiting for disk (completed)",
        "it needs cache to be healthy, if it can be had: cache is starting for 3 s: "
        "started by daemon start; waits until its tcp probe succeeds",
        "db needs disk to be completed: disk is backoff for 2 s: "
        "exit code 1 after 0 ms; restart 2 in 5 s; policy always",
        "cache next: it is stopped in 57 s unless it is ready by then",
        "disk next: it is started again in 3 s",
        "next: it starts as soon as it need not wait any more",
    ]
    assert (
        why(world, "db")[-1]
        == "next: it starts as soon as it need not wait any more; it waits no longer than 1 min 27 s"
    )


def test_failed_because_of_what_it_needs() -> None:
    world = World({"web": service(depends_on=["db"]), "db": service(max_retries=0)})
    world.boot()
    world.run_all()
    world.exited("db", 7)
    world.exited("web", 1)
    world.wait(30.0)
    assert why(world, "web")[0].startswith("failed for 30 s: needs db, which failed: ")
    assert why(world, "web")[-3:] == [
        "it needs db to be ready: db is failed for 30 s: gave up after 0 retries: exit code 7; policy on-failure",
        "db next: nothing until it is started: pserv start db",
        "next: nothing until it is started: pserv start web",
    ]


def test_a_service_that_runs_without_what_it_needs() -> None:
    world = World({"web": service(depends_on=["db"]), "db": service(depends_on=["disk"]), "disk": service()})
    world.boot()
    world.run_all()
    world.orders.stop(["db"])
    world.exited("db", signal=15)
    assert "it needs db to be ready: db is stopped for 0 ms: stopped by operator" in why(world, "web")
    assert "db next: nothing until it is started: pserv start db" in why(world, "web")
    assert not [line for line in why(world, "db") if "disk" in line]


def test_a_long_chain_is_cut_and_told_once() -> None:
    services = {f"s{number}": service(depends_on=[f"s{number + 1}"]) for number in range(200)}
    world = World({**services, "s200": service(type="notify")})
    world.boot()
    world.run_all()
    told = why(world, "s0")
    assert len(told) == reasons.LINKS + 4
    assert told[-2] == "and 181 more that others wait for"
    crowd = World(
        {
            "hub": service(depends_on=[f"s{number}" for number in range(50)]),
            **{f"s{number}": service(type="notify") for number in range(50)},
        }
    )
    crowd.boot()
    assert len(why(crowd, "hub")) == reasons.LINKS + 4


def test_a_need_that_is_no_service_any_more() -> None:
    world = World({"web": service(depends_on=["db"])})
    world.boot()
    assert why(world, "web")[2] == "it needs db, which is no service"


def test_every_phase_has_a_next() -> None:
    world = World({"web": service()})
    life = replace(world.life("web"), deadline=world.clock.now() + 5.0)
    for phase in Phase:
        assert reasons.upcoming("web", service(), replace(life, phase=phase), world.clock.now())


def test_scheduled() -> None:
    job = service(type="oneshot", schedule="@every 30s", depends_on={"db": {}})
    world = World({"db": service(autostart=False), "job": job, "after": service(depends_on={"job": {}})})
    world.clock.offset = 1_699_999_000.0
    world.boot()
    world.wait(10.0)
    assert why(world, "job") == [
        f"waiting for 10 s: {world.life('job').reason}",
        "next: it runs in 20 s",
    ]
    assert why(world, "after")[-2:] == [
        "job next: it runs in 20 s",
        "next: it starts as soon as it need not wait any more",
    ]
    world.spawned("db")
    world.wait(20.0)
    world.spawned("job")
    due = world.life("job").due
    assert due is not None
    left_out = f"the next run is due at {due.text}, should this one still be under way it is left out"
    assert why(world, "job")[-1] == f"next: it runs to its end; {left_out}"


def test_not_ready_in_time_says_what_its_probe_said() -> None:
    world = World({"web": service(ready={"tcp": {"port": 1}}, start_timeout=30.0, restart="never")})
    world.boot()
    world.run_all()
    run = world.keeper.live["web"]
    refused = ProbeResult(0.0, 0.1, False, "port 1: connection refused", run)
    world.supervisor.records["web"].probed = {"ready": (replace(refused, detail="no route", run=run - 1), refused)}
    world.wait(30.0)
    assert world.life("web").reason.startswith("not ready after 30 s: port 1: connection refused: sent SIGTERM")
    world.exited("web", signal=15)
    assert world.life("web").reason == "not ready after 30 s: port 1: connection refused; policy never"
    world.orders.start(["web"])
    world.run_all()
    world.wait(30.0)
    assert world.life("web").reason.startswith("not ready after 30 s: its tcp probe has not answered: sent")
