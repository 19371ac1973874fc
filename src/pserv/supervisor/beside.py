"""Hooks that nobody waits for, and reloads by command: run beside a service, each kind once at a time, to their end.

What calls for them is in `rules.beside`; those that a service waits for are steps of its life (`rules.hooks`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pserv.keeper.protocol import Message
from pserv.model import units
from pserv.model.errors import Refused
from pserv.model.events import StartFailed
from pserv.model.hooks import START_FAILS, Hook
from pserv.model.names import service_of
from pserv.model.states import Life
from pserv.rules import beside, instances
from pserv.rules.hooking import PATIENCE
from pserv.supervisor import hook_runs
from pserv.supervisor.errands import Errand
from pserv.system.tasks import Task

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

SIGTERM = 15


class Beside:
    """Starts them when a life changes, ends them when they take too long or have no purpose any more."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._open: dict[tuple[str, str], Task[str]] = {}
        self._titles: dict[tuple[str, str], tuple[str, float]] = {}

    @property
    def busy(self) -> bool:
        """Whether any is running."""
        return bool(self._open)

    def under_way(self, name: str) -> list[tuple[str, float]]:
        """(title, since when on the monotonic clock) of those of one service."""
        return [told for (service, _), told in self._titles.items() if service == name]

    def changed(self, name: str, old: Life, new: Life) -> None:
        """Start what this change calls for, end what it makes pointless."""
        for service, kind in list(self._open):
            if service == name and beside.ended_by(kind, new):
                self._open[service, kind].cancel()
        hooks = self._session.supervisor.specs[name].hooks
        for due in beside.due(old, new):
            if hooks.of(due):
                self._begin(name, due, hooks.of(due), new)

    def resume(self, key: str, row: Message) -> bool:
        """Go on with a hook that an earlier supervisor had started; False when the key is none of ours."""
        of = hook_runs.parse_beside(key)
        if of is None or row.get("last_run") is None:
            return False
        name, kind, index = of
        life = self._session.supervisor.lives.get(name)
        declared = self._session.supervisor.document.services.get(service_of(name))
        if life is None or declared is None or kind == "reload" or index >= len(declared.hooks.of(kind)):
            return False
        spec = instances.instance(name, declared)
        alive = row.get("run")
        since = float(alive["at"]) if alive else self._session.clock.now()
        errand = self._session.errands.resume(key, int(row["last_run"]))
        self._begin(name, kind, spec.hooks.of(kind), life, index, errand, since)
        return True

    def hurry(self) -> None:
        """End all of them at once."""
        for task in list(self._open.values()):
            task.cancel()

    async def reload(self, name: str) -> str:
        """Run the command by which a service reloads itself; why it failed, or ""."""
        spec, life = self._session.supervisor.specs[name], self._session.supervisor.lives[name]
        assert spec.reload is not None
        if (name, "reload") in self._open:
            raise Refused(f"cannot reload {name}: its last reload is still running")
        return await self._begin(name, "reload", (spec.reload.hook,), life)

    def _begin(
        self,
        name: str,
        kind: str,
        hooks: tuple[Hook, ...],
        life: Life,
        index: int = 0,
        errand: Errand | None = None,
        since: float = 0.0,
    ) -> Task[str]:
        if (name, kind) in self._open:
            self._session.supervisor.tell(name, "hook", f"{kind} is still running: not run once more")
            return self._open[name, kind]
        task = self._session.tasks.spawn(self._run(name, kind, hooks, life, index, errand, since))
        self._open[name, kind] = task
        task.when_done(lambda: self._over(name, kind))
        return task

    def _over(self, name: str, kind: str) -> None:
        self._open.pop((name, kind), None)
        self._titles.pop((name, kind), None)
        self._session.orders.quiet()

    async def _run(
        self, name: str, kind: str, hooks: tuple[Hook, ...], life: Life, index: int, errand: Errand | None, since: float
    ) -> str:
        """All hooks of a kind, in order; why the last one failed whose failure counts, or ""."""
        supervisor = self._session.supervisor
        for number in range(index, len(hooks)):
            hook = hooks[number]
            began = since if errand is not None else self._session.clock.now()
            self._titles[name, kind] = hook.title(kind), began
            running = errand or self._start(name, kind, number, hook, life)
            why = await self._one(running, hook, began)
            errand = None
            if not why:
                continue
            told = f"{hook.title(kind)} failed: {why}"
            supervisor.tell(name, "hook", told)
            if kind == "reload":
                return why
            if not hook.ignored(kind):
                if kind in START_FAILS:
                    supervisor.post(name, StartFailed(life.run, told))
                return why
        return ""

    def _start(self, name: str, kind: str, index: int, hook: Hook, life: Life) -> Errand:
        supervisor = self._session.supervisor
        launch = hook_runs.launch(name, supervisor.given(name), hook, kind, life, supervisor.places)
        return self._session.errands.start(hook_runs.beside_kind(name, kind, index), launch, ())

    async def _one(self, errand: Errand, hook: Hook, began: float) -> str:
        """To the end of one hook: why it failed, or ""."""
        tasks = self._session.tasks
        try:
            if await tasks.wait(errand.ended, max(began + hook.timeout - self._session.clock.now(), 0.0)):
                return hook_runs.failure(errand.ended.result())
            errand.signal(SIGTERM)
            if not await tasks.wait(errand.ended, PATIENCE):
                errand.kill()
                await errand.ended
            return f"not done after {units.show_duration(hook.timeout)}"
        finally:
            errand.kill()
