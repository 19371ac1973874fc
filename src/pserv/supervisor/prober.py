"""When which probe is asked, and what is made of the answers: one task a probe. How it is asked is in `questions`.

What is to be asked follows from specs and lives alone: at every change, and when a supervisor takes over, both are
compared with the tasks that there are.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, get_args

from msgspec.structs import replace

from pserv.model.events import Change
from pserv.model.probe import Probe
from pserv.model.states import Life, Phase
from pserv.model.status import ProbeResult
from pserv.rules import health
from pserv.rules.health import Tally, Which
from pserv.supervisor.ports import Clock
from pserv.supervisor.supervisor import Supervisor
from pserv.system import tracing
from pserv.system.tasks import Task, Tasks

NOBODY = Life()
"""A service that is not declared any more."""

RESULTS = 10
"""The last answers of a probe that are kept."""


class Asked(Protocol):
    """One probe of one run."""

    async def ask(self) -> tuple[bool | None, str]:
        """Whether it succeeded (None: it could not be asked), and how or why not; as long as the probe is patient."""

    def close(self) -> None: ...


class Worker:
    """The task of one probe of one run. It stays when there is nothing more to ask, so that it is not begun again."""

    __slots__ = ("probe", "run", "task")

    def __init__(self, probe: Probe, run: int, task: Task[None]) -> None:
        self.probe = probe
        self.run = run
        self.task = task


class Prober:
    """Keeps a task for each probe of each run that lives."""

    def __init__(
        self,
        tasks: Tasks,
        supervisor: Supervisor,
        clock: Clock,
        question: Callable[[str, Probe, int], Asked],
        on_bug: Callable[[str, Exception], None],
    ) -> None:
        """`question` makes what is asked: of a service, by a probe, for a run."""
        self._tasks = tasks
        self._supervisor = supervisor
        self._clock = clock
        self._question = question
        self._on_bug = on_bug
        self._workers: dict[tuple[str, Which], Worker] = {}
        supervisor.bus.call(self._changed)

    def look(self) -> None:
        """Compare all that is to be asked with what is asked: after a resume, and when specs were exchanged."""
        for name in {*self._supervisor.lives, *(name for name, _ in self._workers)}:
            self._look_at(name)

    def stop(self) -> None:
        """Ask nothing more until the next `look`."""
        for name, which in list(self._workers):
            self._end(name, which)

    def _changed(self, change: Change) -> None:
        if change.service:
            self._look_at(change.service)

    def _look_at(self, name: str) -> None:
        spec, life = self._supervisor.specs.get(name), self._supervisor.lives.get(name, NOBODY)
        asked = bool(life.pid) and life.phase in (Phase.STARTING, Phase.RUNNING)
        wanted = health.declared(spec) if spec is not None and asked else {}
        for which in get_args(Which):
            probe, worker = wanted.get(which), self._workers.get((name, which))
            if worker is not None and (worker.probe, worker.run) != (probe, life.run):
                self._end(name, which)
                worker = None
            if worker is None and probe is not None:
                task = self._tasks.spawn(self._ask_on(name, which, probe, life))
                self._workers[name, which] = Worker(probe, life.run, task)

    def _end(self, name: str, which: Which) -> None:
        self._workers.pop((name, which)).task.cancel()

    async def _ask_on(self, name: str, which: Which, probe: Probe, life: Life) -> None:
        """Ask until the run ends, or until nothing more is to be asked of it."""
        tally = health.resumed(which, life)
        if health.over(probe, tally):
            return
        question, well = self._question(name, probe, life.run), True
        wait = health.first_wait(probe, tally, self._clock.now() - life.started, self._clock.chance())
        try:
            while not health.over(probe, tally):
                await self._tasks.sleep(wait)
                began, now = self._clock.wall(), self._clock.now()
                ok, why = await self._answer(question, name)
                self._keep(name, which, ProbeResult(began, self._clock.now() - now, bool(ok), why, life.run))
                early = health.starting(self._supervisor.lives[name])
                before, tally = tally, health.counted(probe, tally, ok, early=early)
                if not ok and well:
                    self._supervisor.tell(name, "probe", f"{which}: {why}")
                well = bool(ok)
                if ok is not None:
                    self._tell(name, which, tally, why)
                wait = health.wait(probe, before, tally, early=early, chance=self._clock.chance())
        finally:
            question.close()

    def _keep(self, name: str, which: Which, result: ProbeResult) -> None:
        own = self._supervisor.records[name]
        kept = own.probed.get(which, ())
        if kept and kept[-1].detail == result.detail:
            result = replace(result, detail=kept[-1].detail)  # one text in memory, not ten
        own.probed = {**own.probed, which: (*kept, result)[-RESULTS:]}

    async def _answer(self, question: Asked, name: str) -> tuple[bool | None, str]:
        """A mistake of ours is told; it must neither end the asking nor be held against the service."""
        try:
            return await question.ask()
        except Exception as error:
            self._on_bug(f"a probe of {name}", error)
            return None, f"a mistake in pserv: {error!r}"

    def _tell(self, name: str, which: Which, tally: Tally, why: str) -> None:
        spec, life = self._supervisor.specs[name], self._supervisor.lives[name]
        tracer = tracing.tracer(life.pid) if which == "health" and tally.well is False else 0
        for event in health.news(which, spec, life, tally, why, tracer=tracer):
            self._supervisor.post(name, event)
