"""Which probes are asked, when, and what comes of the answers, in a pretend world; the test answers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from math import ceil
from typing import Any

import pytest
from msgspec.structs import replace

from pserv.model.probe import Health, Http, Probe, Ready, Tcp
from pserv.supervisor.prober import RESULTS, Prober
from pserv.system.futures import Future
from pserv.system.tasks import Tasks
from tests.world import World, service

TCP = Tcp(port=80)


class Question:
    """Asked by the prober, answered by the test."""

    def __init__(self, name: str, probe: Probe, run: int) -> None:
        self.name = name
        self.probe = probe
        self.run = run
        self.asked = 0
        self.answer: Future[tuple[bool, str]] = Future()
        self.closed = False
        self.overlaps = False
        self._open = False

    async def ask(self) -> tuple[bool, str]:
        self.asked += 1
        self.overlaps |= self._open
        self._open = True
        try:
            return await self.answer
        finally:
            self._open = False
            self.answer = Future()

    def close(self) -> None:
        self.closed = True


class Rig:
    """A world with a prober; time moves by `pass_time`."""

    def __init__(self, **services: Any) -> None:
        self.world = World(services)
        self.bugs: list[str] = []
        self.tasks = Tasks(lambda where, error: self.bugs.append(f"{where}: {error!r}"), self.world.clock.now)
        self.questions: list[Question] = []
        self.take_over()

    def take_over(self) -> None:
        """A prober for the supervisor that the world has now."""
        self.prober = Prober(self.tasks, self.world.supervisor, self.world.clock, self._question, self._bug)

    def _bug(self, where: str, error: Exception) -> None:
        self.bugs.append(f"{where}: {error!r}")

    def _question(self, name: str, probe: Probe, run: int) -> Question:
        self.questions.append(Question(name, probe, run))
        return self.questions[-1]

    def run(self, test: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.tasks.run(test())
        assert self.bugs == []
        assert self.world.bugs == []
        assert not any(question.overlaps for question in self.questions)
        assert all(question.closed for question in self.questions)

    async def pass_time(self, seconds: float) -> None:
        """In steps, since a task that wakes may sleep again."""
        await self.turns()
        for _ in range(ceil(seconds / 0.05)):
            self.world.clock.time += 0.05
            await self.turns()

    async def turns(self) -> None:
        for _ in range(6):
            await self.tasks.sleep(0)

    async def answer(self, question: Question, ok: bool, why: str = "so") -> None:
        question.answer.set_result((ok, why))
        await self.turns()

    async def up(self, *names: str) -> None:
        self.world.boot()
        self.world.spawned(*(names or ("web",)))
        await self.turns()


def test_asked_soon_then_at_doubling_gaps_until_it_is_ready_and_no_more() -> None:
    rig = Rig(web=service(ready=Ready(tcp=TCP)))

    async def test() -> None:
        await rig.up()
        (question,) = rig.questions
        assert question.asked == 0
        for asked, gap in enumerate((0.05, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0), 1):
            await rig.pass_time(gap + 0.01)
            assert question.asked == asked, gap
            await rig.answer(question, ok=False, why="refused")
        await rig.pass_time(1.05)
        assert rig.world.state("web") == "starting"
        await rig.answer(question, ok=True, why="it accepts")
        assert rig.world.state("web") == "running"
        assert "it accepts" in rig.world.life("web").reason
        await rig.pass_time(60)
        assert question.asked == 9
        assert question.closed

    rig.run(test)


def test_what_never_answers_is_asked_once() -> None:
    rig = Rig(web=service(health=Health(tcp=TCP)))

    async def test() -> None:
        await rig.up()
        await rig.pass_time(30)
        assert rig.questions[0].asked == 1
        assert rig.world.state("web") == "starting"

    rig.run(test)


def test_health_ends_a_run_after_so_many_failures() -> None:
    rig = Rig(web=service(health=Health(tcp=TCP, interval=2.0, failures=2)))

    async def test() -> None:
        await rig.up()
        (question,) = rig.questions
        await rig.pass_time(0.05)
        await rig.answer(question, ok=True)
        assert (rig.world.state("web"), rig.world.life("web").health) == ("running", "healthy")
        await rig.pass_time(1.05)  # half an interval, by the world's chance
        await rig.answer(question, ok=False)
        await rig.pass_time(2.05)
        assert rig.world.state("web") == "running"
        await rig.answer(question, ok=False, why="http 500")
        assert rig.world.state("web") == "stopping"
        assert "http 500" in rig.world.life("web").reason
        await rig.turns()
        assert question.closed

    rig.run(test)


def test_a_stop_cancels_the_question_that_is_under_way() -> None:
    rig = Rig(web=service(ready=Ready(tcp=TCP)))

    async def test() -> None:
        await rig.up()
        await rig.pass_time(0.05)
        rig.world.orders.restart(["web"])
        await rig.turns()
        assert rig.questions[0].closed
        rig.world.exited("web")
        rig.world.spawned("web")
        await rig.turns()
        assert [question.run for question in rig.questions] == [1, 2]
        await rig.pass_time(0.05)
        assert [question.asked for question in rig.questions] == [1, 1]

    rig.run(test)


def test_other_options_begin_anew_and_others_go_on() -> None:
    rig = Rig(
        web=service(health=Health(tcp=TCP, interval=1.0, on_failure="alert")),
        db=service(health=Health(tcp=TCP, interval=1.0)),
    )

    async def test() -> None:
        await rig.up("web", "db")
        await rig.pass_time(0.05)
        for question in rig.questions:
            await rig.answer(question, ok=True)
        specs = rig.world.document.services
        other = replace(specs["web"], health=Health(http=Http(port=81), on_failure="alert"))
        rig.world.orders.declare(replace(rig.world.document, services={**specs, "web": other}))
        rig.world.orders.align("reload")
        rig.prober.look()
        await rig.turns()
        web = [question for question in rig.questions if question.name == "web"]
        assert [question.closed for question in web] == [True, False]
        assert rig.world.life("web").health == "healthy"
        assert len(rig.questions) == 3
        rig.world.orders.declare(replace(rig.world.document, services={"web": service(), "db": specs["db"]}))
        rig.prober.look()
        await rig.turns()
        assert web[1].closed

    rig.run(test)


@pytest.mark.parametrize("ready", [False, True])
def test_a_supervisor_that_takes_over_goes_on(ready: bool) -> None:
    rig = Rig(web=service(ready=Ready(tcp=TCP)))

    async def test() -> None:
        await rig.up()
        await rig.pass_time(0.05)
        await rig.answer(rig.questions[0], ok=ready)
        rig.prober.stop()
        rig.world.die()
        rig.take_over()
        rig.prober.look()
        await rig.pass_time(1.0)
        if ready:
            assert len(rig.questions) == 1
        else:
            assert rig.questions[1].asked == 1
            await rig.answer(rig.questions[1], ok=True)
        assert rig.world.state("web") == "running"
        assert rig.world.life("web").run == 1

    rig.run(test)


def test_the_last_answers_are_kept_and_the_first_failure_of_a_row_is_told() -> None:
    rig = Rig(web=service(ready=Ready(tcp=TCP)))

    async def test() -> None:
        await rig.up()
        for number in range(RESULTS + 3):
            await rig.pass_time(1.05)
            await rig.answer(rig.questions[0], ok=False, why=f"no {number}")
        kept = rig.world.supervisor.records["web"].probed["ready"]
        assert [result.detail for result in kept] == [f"no {number}" for number in range(3, RESULTS + 3)]
        told = [change.reason for change in rig.world.supervisor.history.last(100, {"web"}) if change.kind == "probe"]
        assert told == ["ready: no 0"]

    rig.run(test)


def test_a_mistake_of_ours_is_told_and_not_held_against_the_service() -> None:
    rig = Rig(web=service(health=Health(tcp=TCP, failures=1, interval=1.0)))

    async def test() -> None:
        await rig.up()
        await rig.pass_time(0.05)
        await rig.answer(rig.questions[0], ok=True)
        await rig.pass_time(1.05)
        rig.questions[0].answer.set_exception(ZeroDivisionError("x"))
        await rig.turns()
        assert [where.split(":")[0] for where in rig.bugs] == ["a probe of web"]
        rig.bugs.clear()
        await rig.pass_time(1.05)
        assert rig.questions[0].asked == 3
        assert rig.world.life("web").health == "healthy"

    rig.run(test)


def test_without_probes_there_is_no_timer_and_no_task() -> None:
    rig = Rig(web=service())

    async def test() -> None:
        await rig.up()
        assert rig.questions == []
        assert len(rig.tasks.timers) == 0

    rig.run(test)
