"""The environment of a service, each variable with where it comes from, and what the running one got. Starts nothing.

Secrets are masked here, before anything leaves the daemon.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from pserv.keeper.inheriting import NEVER_INHERITED, inherited
from pserv.model.errors import PservError
from pserv.model.names import service_of
from pserv.model.spec import Document, ServiceSpec
from pserv.model.status import Environment, Placed, Variable
from pserv.rules import references
from pserv.rules.secrecy import MASK, masked
from pserv.supervisor import given, loader, unloaded
from pserv.supervisor.placing import ELSEWHERE
from pserv.supervisor.record import Record
from pserv.system import launches
from pserv.system.launches import Places

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

OF_USER = ("HOME", "USER", "LOGNAME", "SHELL")
OF_SHELL = frozenset(("_", "PWD", "OLDPWD", "SHLVL"))
"""What sh sets for who is executed by it."""
DAEMON = "inherited from the daemon"
OURS = "set by Pserv"

Written = Mapping[str, Placed]
Values = dict[str, tuple[str | None, Placed]]
"""Variables with where they come from."""


async def environments(session: Session, names: Iterable[str]) -> dict[str, Environment]:
    """Of each of these. The files are read again for where things stand; what counts is what is accepted."""
    document = session.supervisor.document
    trouble: tuple[str, ...] = ()
    origins: loader.Origins = {}
    now: Document | None = None
    try:
        now, origins = await loader.load(session, None, all_origins=True)
    except PservError as error:
        trouble = (f"where variables stand is not known: {error.message}".partition("\n")[0],)
    told = {}
    for name in names:
        if name not in session.supervisor.lives:  # gone since, by a reload
            continue
        service = service_of(name)
        written = dict(origins.get(service, {}))
        accepted, said = document.services.get(service), None if now is None else now.services.get(service)
        for variable in {} if accepted is None else accepted.env:
            if said is None or accepted is None or said.env.get(variable) != accepted.env[variable]:
                written[f"env.{variable}"] = ELSEWHERE
        for option in (*document.private.get(service, ()), *session.reloading.private.get(service, ())):
            written[option] = Placed(written[option].at if option in written else "", secret=True)
        told[name] = _environment(session, name, written, trouble)
    return told


def _environment(session: Session, name: str, written: Written, trouble: tuple[str, ...]) -> Environment:
    spec, life = session.supervisor.specs[name], session.supervisor.lives[name]
    own, at = session.supervisor.records[name], session.supervisor.places
    values = expected(name, spec, written, dict(os.environ), own, at)
    running = None
    if life.pid:
        try:
            running = _initial(life.pid)
        except OSError as error:
            trouble = (*trouble, f"cannot read the variables of pid {life.pid}: {error.strerror}")
    found = variables(values, running, by_shell=spec.shell is not None, private=references.needed(spec))
    trouble = (*trouble, *unloaded.of_services({name: own}))
    return Environment(
        variables=tuple(_without_secrets(session, found)),
        pid=life.pid or None,
        trouble=trouble,
    )


def expected(name: str, spec: ServiceSpec, written: Written, daemon: dict[str, str], own: Record, at: Places) -> Values:
    """What the next run gets, later ones over those before: inherited, of the user, declared, Pserv's own.

    Of env files and secrets what was read last.
    """
    rule = launches.inherited(spec)
    values: Values = {}
    for each, text in inherited(rule if isinstance(rule, bool) else list(rule), daemon).items():
        values[each] = text, Placed(DAEMON)
    if spec.user is not None:
        values |= {each: (None, Placed(f"of user {spec.user}")) for each in OF_USER}
    for told in given.variables(name, spec, own, at):
        values[told.name] = told.value, _placed(told, spec, written)
    return values


def _placed(told: given.Variable, spec: ServiceSpec, written: Written) -> Placed:
    if told.name in spec.env:
        placed = written.get(f"env.{told.name}", Placed("env"))
        return Placed(placed.at, placed.secret or told.secret)
    if told.name == "PORT" and told.origin == "pserv":
        port = written.get("port")
        return Placed("port" if port is None else f"port, {port.at}")
    return Placed(OURS if told.origin == "pserv" else told.origin, told.secret)


def variables(
    values: Values, running: dict[str, str] | None, *, by_shell: bool = False, private: bool = False
) -> Iterable[Variable]:
    """All by name; those that the next run will not have where there is one to compare with.

    `private`: the running one may have got what must not be shown from where nobody looks any more.
    """
    for name in sorted({*values, *(running or {})}):
        value, placed = values.get(name, (None, Placed("")))
        own = name.startswith(NEVER_INHERITED)
        got = None if running is None else running.get(name)
        if name not in values and (own or (by_shell and name in OF_SHELL)):
            if own:
                yield Variable(name=name, value=got, origin=f"{OURS}, anew for each run")
            continue
        shown = _shown(name, value, placed)
        if running is None or got == value or (value is None and name in values):
            yield Variable(name=name, value=shown, origin=placed.at)
        elif name not in values:
            yield Variable(name=name, running=MASK if private else _shown(name, got, placed), differs="removed")
        else:
            was = _shown(name, got, placed)
            yield Variable(
                name=name, value=shown, origin=placed.at, running=was, differs="added" if got is None else "changed"
            )


def _without_secrets(session: Session, found: Iterable[Variable]) -> Iterable[Variable]:
    """What one service has as a secret may be among what others inherit."""
    supervisor = session.supervisor
    known = [values for own in supervisor.records.values() for values in own.known]
    sources = {secret.env for spec in supervisor.specs.values() for secret in spec.secrets.values()}
    for each in found:
        if each.name in sources:
            value, running = (text and MASK for text in (each.value, each.running))
        elif known:
            value, running = (text and references.hidden(text, known) for text in (each.value, each.running))
        else:
            value, running = each.value, each.running
        yield msgspec.structs.replace(each, value=value, running=running)


def _shown(name: str, value: str | None, placed: Placed) -> str | None:
    return value if value is None else MASK if placed.secret and value else masked(name, value)


def _initial(pid: int) -> dict[str, str]:
    """The variables that a process was executed with (proc(5)); on systems without /proc it cannot be known."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        rows = os.fsdecode(file.read()).split("\0")
    return dict(row.split("=", 1) for row in rows if "=" in row)
