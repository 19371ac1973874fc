"""What is told of services: rows and stories, made from what the supervisor knows. Changes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from pserv.model import units
from pserv.model.spec import ServiceSpec
from pserv.model.states import Crash, Ended, Goal, Life, Phase
from pserv.model.status import CrashStatus, LastExit, ServiceStatus, Story
from pserv.rules import restart
from pserv.supervisor import history
from pserv.supervisor.supervisor import Clock, Supervisor
from pserv.system import launches, usage


class Answers:
    """Reads the supervisor; remembers only the CPU seen at the last look, to tell a share."""

    def __init__(self, supervisor: Supervisor, clock: Clock, cookie: str) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._cookie = cookie
        self._seen: dict[int, tuple[float, float]] = {}

    def rows(self, names: Iterable[str]) -> tuple[ServiceStatus, ...]:
        """A row for each, with CPU and memory of all its processes from one look at the process table."""
        lives = {name: self._supervisor.lives[name] for name in names}
        used = usage.of_trees(life.pid for life in lives.values() if life.pid)
        rows = tuple(self._row(name, life, used.get(life.pid)) for name, life in lives.items())
        alive = {life.run for life in self._supervisor.lives.values()}
        self._seen = {run: seen for run, seen in self._seen.items() if run in alive}
        return rows

    def _row(self, name: str, life: Life, used: usage.Usage | None) -> ServiceStatus:
        spec, own = self._supervisor.specs[name], self._supervisor.records[name]
        now = self._clock.now()
        lives = bool(life.pid)
        return ServiceStatus(
            name=name,
            state=life.state,
            goal=life.goal,
            ready=life.ready_at is not None and life.phase is Phase.RUNNING,
            pid=life.pid or None,
            run_id=f"{self._cookie}/{name}/{life.run}" if life.run else None,
            uptime=now - life.started if lives and life.started else None,
            restarts=life.restarts,
            retries_left=None if spec.max_retries is None else max(0, spec.max_retries - life.attempt),
            last_exit=None if life.ended is None else self._last_exit(life.ended),
            cpu=None if used is None else self._share(life, used, now),
            memory=None if used is None else used.memory,
            processes=None if used is None else used.processes,
            reason=life.reason,
            since=self._wall(life.since),
            next=None if life.deadline is None or life.phase is Phase.RUNNING else self._wall(life.deadline),
            autostart=spec.autostart,
            trouble="; ".join((*own.logs.values(), *(f"SIGKILL did not end {text}" for text in life.survivors))),
        )

    def _wall(self, at: float) -> float:
        return self._clock.wall() - (self._clock.now() - at)

    def _share(self, life: Life, used: usage.Usage, now: float) -> float:
        at, cpu = self._seen.get(life.run, (life.started, 0.0))
        if now - at > 0.5 or life.run not in self._seen:
            self._seen[life.run] = (now, used.cpu)
        return max(0.0, used.cpu - cpu) / (now - at) if now > at else 0.0

    def _last_exit(self, ended: Ended) -> LastExit:
        return LastExit(
            ended.result.value,
            self._wall(ended.at),
            restart.describe(ended),
            ended.code,
            None if ended.signal is None else units.show_signal(ended.signal),
            ended.uptime,
        )

    def _crash(self, crash: Crash) -> CrashStatus:
        return CrashStatus(
            self._wall(crash.ended.at),
            restart.describe(crash.ended),
            crash.ended.uptime,
            crash.user_cpu,
            crash.system_cpu,
            crash.max_rss,
            crash.lines,
        )

    def story(self, name: str) -> Story:
        """All about one service but the last lines it printed, which are read elsewhere."""
        supervisor = self._supervisor
        spec, life, own = supervisor.specs[name], supervisor.lives[name], supervisor.records[name]
        out = launches.outputs(name, spec, supervisor.places)
        return Story(
            service=self.rows([name])[0],
            description=spec.description,
            tags=spec.tags,
            command=shlex.join(spec.argv),
            cwd=spec.cwd or supervisor.places.root,
            user=spec.user or "",
            policy=policy(spec),
            depends_on=spec.depends_on,
            needed_by=tuple(other for other, its in supervisor.specs.items() if name in its.depends_on),
            stdout=launches.place(out["stdout"]),
            stderr=launches.place(out["stderr"]),
            why=tuple(self._why(spec, life, own.logs.values())),
            crash=None if own.crash is None else self._crash(own.crash),
            history=supervisor.history.last(history.PER_SERVICE, {name}),
            lines=own.printed,
            stale=supervisor.stale(name),
        )

    def _why(self, spec: ServiceSpec, life: Life, trouble: Iterable[str]) -> Iterable[str]:
        now = self._clock.now()
        yield f"{life.state} for {units.show_duration(max(0.0, now - life.since))}: {life.reason}"
        if life.ended is not None and life.phase is not Phase.RUNNING:
            yield (
                f"the last run (number {life.ended.run}) ended {units.show_duration(max(0.0, now - life.ended.at))} "
                f"ago after {units.show_duration(life.ended.uptime)}: {restart.describe(life.ended)}"
            )
        yield from trouble
        for text in life.survivors:
            yield f"SIGKILL did not end {text}"
        yield self._next(spec, life, now)

    def _next(self, spec: ServiceSpec, life: Life, now: float) -> str:
        left = "" if life.deadline is None else units.show_duration(max(0.0, life.deadline - now))
        match life.phase:
            case Phase.STOPPED | Phase.FAILED:
                return "next: nothing until it is started by hand"
            case Phase.EXITED:
                return f"next: nothing; its policy is {spec.policy}"
            case Phase.WAITING:
                return "next: it starts as soon as it need not wait any more"
            case Phase.BACKOFF:
                return f"next: it is started again in {left}"
            case Phase.STARTING:
                return f"next: it fails in {left} unless it is ready" if left else "next: it runs to its end"
            case Phase.STOPPING | Phase.ENDING:
                then = "it is started again" if life.again or life.goal is Goal.UP else "it is stopped"
                return f"next: SIGKILL or the next signal in {left}; {then} once nothing of it is left"
            case _:
                return f"next: it runs; when it ends, its policy is {policy(spec)}"


def policy(spec: ServiceSpec) -> str:
    """The restart policy in words."""
    limit = "" if spec.max_retries is None else f", at most {spec.max_retries} in a row"
    return f"{spec.policy}{limit}"
