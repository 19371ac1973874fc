"""Reading the env files and secrets of one service, each where it comes from. When that is done is in `resolving`.

Neither what a source says nor what it prints beside it is ever told: not every program keeps the two apart.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Collection
from io import FileIO
from typing import TYPE_CHECKING

import msgspec

from pserv.keeper import quickjson
from pserv.keeper.protocol import Message
from pserv.model import units
from pserv.model.errors import PservError
from pserv.model.secrets import Secret, Values
from pserv.model.spec import ServiceSpec
from pserv.rules import restart
from pserv.supervisor.errands import read_all
from pserv.system.streams import Reader

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

LONGEST = 64 << 10
"""Bytes of a secret."""
PATIENCE = 10.0
"""Seconds that env files may take (a dead network mount)."""
KILLED = 2.0
"""Seconds that a command has to end after SIGKILL; one that takes longer hangs in the kernel."""


class Unread(Exception):
    """Why one of them could not be read: names it, and never a value."""


class Asked(msgspec.Struct, frozen=True):
    """What is to be read of a service."""

    spec: ServiceSpec
    since: float
    """What another service had read at this time, or later, serves as well."""
    private: Collection[str] = ()
    """Options that are not shown: "secrets.DB"."""
    only: frozenset[str] | None = None
    """Just these of its secrets."""


async def read(session: Session, asked: Asked) -> Values:
    """All of a service, side by side. Raises Unread with what is wrong first."""
    only = asked.only
    secrets = {name: secret for name, secret in asked.spec.secrets.items() if only is None or name in only}
    by_command = [name for name, secret in secrets.items() if secret.kind == "exec"]
    commands = {name: session.tasks.spawn(_answer(session, secrets[name], asked.since)) for name in by_command}
    try:
        found = await _fetched(session, asked, secrets)
        for name, task in commands.items():
            found.secrets[name], why = await task
            if why:
                raise Unread(_told(name, secrets[name], why, asked))
    finally:
        for task in commands.values():
            task.cancel()
    for name, value in found.secrets.items():
        if problem := _problem(value, secrets[name]):
            raise Unread(_told(name, secrets[name], problem, asked))
    return found


def _told(name: str, secret: Secret, why: str, asked: Asked) -> str:
    how = "run its command by hand" if f"secrets.{name}" in asked.private else secret.by_hand(name)
    return f"cannot read secret {name}: {why}; see for yourself: {how}"


def _problem(value: str, secret: Secret) -> str:
    """What is wrong with a value, without it."""
    if not value.strip():
        return "it is empty"
    if "\0" in value and secret.deliver != "file":
        return "it has a NUL character, which no variable can have: deliver it as a file"
    return ""


async def fetch(session: Session, asked: Message, limit: float) -> Message:
    """What a fork of the keeper answers (`pserv.fetching`). Raises Unread."""
    argument = quickjson.dumps({**asked, "limit": limit})
    try:
        async with session.on_demand.resolving.sharing.turn, session.tasks.timeout(limit + KILLED):
            _, fds = await session.keeper.request({"op": "fork", "role": "fetcher", "argument": argument})
            async with Reader(session.tasks, socket.socket(fileno=fds[0])) as reader:
                data = await read_all(reader)
    except TimeoutError:
        data = b""
    except (PservError, OSError) as error:
        raise Unread(f"cannot read env files and secrets: {error}") from None
    if not data:
        late = f"not done after {units.show_duration(limit)}; is one of them on a dead mount?"
        raise Unread(f"cannot read env files and secrets: {late}")
    answer: Message = quickjson.loads(data.decode())
    if answer.get("wrong"):
        raise Unread(str(answer["wrong"]))
    return answer


async def _fetched(session: Session, asked: Asked, secrets: dict[str, Secret]) -> Values:
    """The env files, and the secrets that no command is asked for."""
    wanted: dict[str, dict[str, str]] = {}
    limit = PATIENCE
    for name, secret in secrets.items():
        if secret.kind != "exec":
            wanted[name] = {"env": secret.env} if secret.env is not None else {"file": secret.where(name)}
            limit = min(limit, secret.timeout)
    files = asked.spec.env_file if asked.only is None else ()
    env_files = [[file.path, file.required, file.format] for file in files]
    if not wanted and not env_files:
        return Values(secrets={})
    question = {"read": {"env_files": env_files, "secrets": wanted}}
    what = f"files {quickjson.dumps([question, limit])}"
    answer = await session.on_demand.resolving.sharing.read(what, asked.since, lambda: fetch(session, question, limit))
    for name, why in answer["unread"].items():
        raise Unread(_told(name, secrets[name], why, asked))
    rows = tuple((name, value, where) for name, value, where in answer["files"])
    return Values(rows, dict(answer["secrets"]), dict(answer["read"]))


async def _answer(session: Session, secret: Secret, since: float) -> tuple[str, str]:
    """What the command of a secret prints, or why it could not be had."""
    what = f"command {quickjson.dumps([secret.exec, secret.timeout, session.supervisor.places.root])}"
    try:
        return await session.on_demand.resolving.sharing.read(what, since, lambda: _in_turn(session, secret)), ""
    except Unread as unread:
        return "", str(unread)
    except (PservError, OSError) as error:  # such as EMFILE, or a keeper that is gone
        return "", f"cannot run its command: {error}"


async def _in_turn(session: Session, secret: Secret) -> str:
    async with session.on_demand.resolving.sharing.turn:
        return await _command(session, secret)


async def _command(session: Session, secret: Secret) -> str:
    """What the command of a secret prints, run as the daemon. Raises Unread."""
    assert secret.exec is not None
    launch: Message = {
        "argv": secret.exec,
        "env": {},
        "inherit": True,
        "cwd": session.supervisor.places.root,
        "stdin": "passed",
        "stdout": {"kind": "passed"},
        "stderr": {"kind": "passed"},
    }
    tasks = session.tasks
    out, theirs = os.pipe()
    async with Reader(tasks, FileIO(out)) as reader:
        null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        try:
            errand = session.errands.start("secret", launch, (null, theirs, null))
        finally:
            os.close(null)
            os.close(theirs)
        try:
            async with tasks.timeout(secret.timeout):
                data = await _limited(reader)
                report = await errand.ended
        except TimeoutError:
            errand.kill()
            await tasks.wait(errand.ended, KILLED)
            raise Unread(f"its command was not done after {units.show_duration(secret.timeout)}: killed") from None
        finally:
            errand.kill()
    if why := _failure(report):
        raise Unread(why)
    return data.decode(errors="surrogateescape")


async def _limited(reader: Reader) -> bytes:
    """Raises Unread for more than a secret can be."""
    chunks: list[bytes] = []
    while chunk := await reader.read():
        chunks.append(chunk)
        if sum(map(len, chunks)) > LONGEST:
            raise Unread(f"its command printed more than {LONGEST >> 10} KiB: killed")
    return b"".join(chunks)


def _failure(report: Message) -> str:
    """Why the command failed; "" where it did not."""
    if report["kind"] == "refused":
        return f"its command was not run: {report.get('error', 'refused')}"
    if report["kind"] == "spawn-failed":
        number = int(report["errno"])
        detail, text = str(report.get("detail", "")), os.strerror(number) if number else ""
        return restart.describe_step(str(report["step"]), number, detail, text)
    if report.get("signal") is not None:
        return f"its command was killed by SIG{units.show_signal(int(report['signal']))}"
    return "" if report.get("code") == 0 else f"its command ended with exit code {report.get('code')}"
