"""Effects of a decision as the keeper's commands, and what is put on record of them. What is decided is not here."""

from __future__ import annotations

import msgspec

from pserv.keeper.protocol import Message
from pserv.model.effects import Adopt, Effect, EndHook, Failed, Kill, KillHook, Listen, Resolve, RunHook, Signal, Spawn
from pserv.model.events import Configured, Event
from pserv.model.spec import ServiceSpec
from pserv.model.states import Crash, Life, Phase
from pserv.supervisor import given, hook_runs
from pserv.supervisor.record import Record
from pserv.system import launches
from pserv.system.launches import Places

_SIGTERM = 15


class Subject(msgspec.Struct, frozen=True):
    """Whom a decision was about. `life`: as it is from now on; `facts`: the keeper's report that was decided on."""

    name: str
    spec: ServiceSpec
    life: Life
    own: Record
    places: Places
    facts: Message

    @property
    def given(self) -> ServiceSpec:
        """The spec with what was read of env files and secrets."""
        return given.given(self.name, self.spec, self.own, self.places)


def commands(effects: tuple[Effect, ...], of: Subject) -> tuple[Message, ...]:
    """In the order of the effects; a crash and what was launched go to the record."""
    found = []
    for effect in effects:
        if isinstance(effect, Failed):
            of.own.crash = _crash(of)
        elif not isinstance(effect, Resolve):  # which is no command
            found.append(_command(effect, of))
    return tuple(found)


def sockets(before: Life, event: Event, of: Subject) -> tuple[Message, ...]:
    """Clients may queue from when it is wanted up, whatever its run waits for, until it is stopped."""
    if before.listening and not of.life.listening:
        return ({"do": "close"},)
    changed = not before.listening or isinstance(event, Configured)
    if of.life.listening and changed and of.life.phase in (Phase.WAITING, Phase.PREPARING):
        return ({"do": "open", "sockets": launches.sockets(of.spec)},)
    return ()


def last_run(effects: tuple[Effect, ...]) -> int:
    """The highest id of a run that begins with one of them; 0 when none does."""
    return max((effect.run for effect in effects if isinstance(effect, (Spawn, Listen, RunHook))), default=0)


def _command(effect: Effect, of: Subject) -> Message:
    match effect:
        case Spawn(run):
            of.own.prepared = False
            of.own.launched = given.fingerprint(of.name, of.spec, of.own, of.places)
            of.own.logged = launches.log(of.name, of.spec)
            return {"do": "spawn", "run": run, "launch": launches.launch(of.name, of.given, of.places)}
        case Listen(run):
            return {"do": "listen", "run": run, "sockets": launches.sockets(of.spec)}
        case Signal(run, number, scope):
            return {"do": "signal", "run": run, "signal": number, "scope": scope}
        case Adopt(run):
            return {"do": "adopt", "run": run}
        case Kill(run):
            return {"do": "kill", "run": run}
        case RunHook(run):
            return {"do": "spawn", "run": run, "key": hook_runs.key_of(of.name), "launch": _hook(of)}
        case EndHook(run):
            key = hook_runs.key_of(of.name)
            return {"do": "signal", "key": key, "run": run, "signal": _SIGTERM, "scope": "all"}
        case KillHook(run):
            return {"do": "kill", "key": hook_runs.key_of(of.name), "run": run}
    raise TypeError(f"no command for {effect}")


def _hook(of: Subject) -> Message:
    """The launch of the hook that the life now waits for."""
    assert of.life.hook is not None
    kind = of.life.hook.kind
    hook = of.spec.hooks.of(kind)[of.life.hook.index]
    return hook_runs.launch(of.name, of.given, hook, kind, of.life, of.places)


def _crash(of: Subject) -> Crash | None:
    if of.life.ended is None:
        return of.own.crash
    cpu = of.facts.get("utime", 0.0), of.facts.get("stime", 0.0)
    lines = tuple(given.hidden(of.own, line) for line in of.facts.get("lines", of.own.printed))
    return Crash(of.life.ended, *cpu, of.facts.get("max_rss", 0), lines)
