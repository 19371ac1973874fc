"""What is told of services: rows and stories, made from what the supervisor knows. Changes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

import msgspec

from pserv.model import listening, units
from pserv.model.names import number_of, service_of
from pserv.model.spec import ServiceSpec
from pserv.model.states import Crash, Ended, Goal, Life, Phase
from pserv.model.status import CrashStatus, HookStatus, LastExit, NextRun, ProbeResult, ServiceStatus, Story
from pserv.rules import readiness, restart, schedule
from pserv.supervisor import history, notices
from pserv.supervisor.ports import Clock
from pserv.supervisor.record import Record
from pserv.supervisor.supervisor import Supervisor
from pserv.system import launches, usage

NEXT_RUNS = 3
"""So many of the next runs of a schedule are told."""


class Answers:
    """Reads the supervisor; remembers only the CPU seen at the last look, to tell a share."""

    def __init__(self, supervisor: Supervisor, clock: Clock, cookie: str) -> None:
        self._supervisor = supervisor
        self._clock = clock
        self._cookie = cookie
        self._seen: dict[int, tuple[float, float]] = {}

    def rows(self, names: Iterable[str], *, probes: bool = False) -> tuple[ServiceStatus, ...]:
        """A row for each, with CPU and memory of all its processes from one look at the process table.

        `probes`: with the last answers to its probes.
        """
        lives = {name: self._supervisor.lives[name] for name in names}
        used = usage.of_trees(life.pid for life in lives.values() if life.pid)
        rows = tuple(self._row(name, life, used.get(life.pid)) for name, life in lives.items())
        if probes:
            rows = tuple(msgspec.structs.replace(row, probes=self._probes(row.name)) for row in rows)
        alive = {life.run for life in self._supervisor.lives.values()}
        self._seen = {run: seen for run, seen in self._seen.items() if run in alive}
        return rows

    def _row(self, name: str, life: Life, used: usage.Usage | None) -> ServiceStatus:
        spec, own = self._supervisor.specs[name], self._supervisor.records[name]
        now = self._clock.now()
        lives = bool(life.pid)
        return ServiceStatus(
            name=name,
            service=service_of(name),
            instance=number_of(name),
            state=life.state,
            goal=life.goal,
            ready=life.ready_at is not None and life.phase is Phase.RUNNING,
            health=life.health or None,
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
            next=self._next_time(spec, life),
            autostart=spec.autostart,
            hooks=tuple(HookStatus(title, self._wall(since)) for title, since in self._hooks(name, life)),
            says=own.said.status if lives and own.said.run == life.run else "",
            reloading=lives and own.said.run == life.run and own.said.reloading is not None,
            dropped_lines=own.dropped[0],
            dropped_bytes=own.dropped[1],
            trouble="; ".join((*own.troubles, *(f"SIGKILL did not end {text}" for text in life.survivors))),
        )

    def _hooks(self, name: str, life: Life) -> Iterable[tuple[str, float]]:
        if life.hook is not None:
            yield life.hook.title, life.hook.since
        if self._supervisor.hooks is not None:
            yield from self._supervisor.hooks.under_way(name)

    def _probes(self, name: str) -> dict[str, tuple[ProbeResult, ...]]:
        return dict(self._supervisor.records[name].probed)

    def _failing(self, life: Life, own: Record) -> Iterable[str]:
        """What is wrong, for a probe of a run that lives whose last answer was no success."""
        for which, results in own.probed.items():
            last = results[-1]
            if life.pid and last.run == life.run and not last.ok:
                ago = units.show_duration(max(0.0, self._clock.wall() - last.at))
                yield f"its {which} probe failed {ago} ago: {last.detail}"

    def _next_time(self, spec: ServiceSpec, life: Life) -> float | None:
        if life.resting and life.due is not None:
            return life.due.at
        # While it runs only its max_runtime is news; that a streak of restarts is over changes nothing.
        deadline = readiness.ends_at(spec, life) if life.phase is Phase.RUNNING else life.deadline
        return None if deadline is None else self._wall(deadline)

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

    def story(self, name: str, pending: str = "") -> Story:
        """All about one service but the last lines it printed, which are read elsewhere.

        `pending` is an order that waits, as `Orders.pending` tells it.
        """
        from pserv.supervisor import reasons  # only for who asks: the daemon's memory is a promise

        supervisor = self._supervisor
        spec, life, own = supervisor.specs[name], supervisor.lives[name], supervisor.records[name]
        out = launches.outputs(name, spec, supervisor.places)
        said = notices.told(own.said, lives=bool(life.pid))
        trouble = (*said, *self._failing(life, own), *own.troubles)
        return Story(
            service=self.rows([name], probes=True)[0],
            description=spec.description,
            tags=spec.tags,
            command=shlex.join(spec.argv),
            cwd=spec.cwd or supervisor.places.root,
            user=spec.user or "",
            policy=reasons.policy(spec),
            depends_on=tuple(spec.depends_on),
            needed_by=tuple(other for other, its in supervisor.specs.items() if name in its.depends_on),
            sockets=tuple(f"{each}: {listening.address(its.listen)}" for each, its in spec.sockets.items()),
            stdout=launches.place(out["stdout"]),
            stderr=launches.place(out["stderr"]),
            why=tuple(reasons.chain(name, supervisor.specs, supervisor.lives, self._clock.now(), trouble, pending)),
            crash=None if own.crash is None else self._crash(own.crash),
            history=supervisor.history.last(history.PER_SERVICE, {name}),
            lines=own.printed,
            schedule="" if spec.schedule is None else schedule.known_as(spec),
            next_runs=self._next_runs(spec, life),
            last_runs=tuple(self._last_exit(each) for each in reversed(own.ends)),
            stale=supervisor.stale(name),
        )

    def _next_runs(self, spec: ServiceSpec, life: Life) -> tuple[NextRun, ...]:
        if spec.schedule is None or life.goal is Goal.DOWN or life.once or life.phase is Phase.FAILED:
            return ()
        from pserv.supervisor import timetable

        return tuple(NextRun(due.at, due.text) for due in timetable.following(spec, self._clock, NEXT_RUNS, life.due))
