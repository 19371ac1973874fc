"""How a probe is asked, by its kind, within a session. Loaded with the first probe; when it is asked is `prober`'s."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from pserv.model.errors import PservError
from pserv.model.probe import Probe
from pserv.supervisor.exec_probe import ExecProbe
from pserv.system import printed
from pserv.system.probes import Asker, Failed

if TYPE_CHECKING:
    from pserv.supervisor.main import Session


class Question:
    """What one probe asks one run, as often as needed, one after the other."""

    __slots__ = ("_asker", "_commands", "_name", "_probe", "_run", "_session")

    def __init__(self, session: Session, name: str, probe: Probe, run: int) -> None:
        self._session = session
        self._name = name
        self._probe = probe
        self._run = run
        self._asker = Asker(session.tasks, self._fork)
        self._commands = ExecProbe(session.tasks, session.errands)

    async def ask(self) -> tuple[bool | None, str]:
        """Whether the answer is a success, and the answer, or what is wrong with it, in words.

        None where it could not be asked: that we lack a descriptor says nothing of the service.
        """
        try:
            return True, self._shown(await self._answer())
        except Failed as failed:
            return False, self._shown(str(failed))
        except (PservError, OSError) as error:  # such as EMFILE, or a keeper that refuses
            return None, f"cannot ask: {error}"

    def close(self) -> None:
        self._asker.close()

    def _shown(self, answer: str) -> str:
        """Without the secrets that a command may have printed."""
        return self._session.supervisor.hidden(self._name, answer)

    async def _answer(self) -> str:
        """Raises Failed."""
        probe, limit = self._probe, self._probe.patience
        if probe.http is not None:
            return await self._asker.http(probe.http, limit)
        if probe.tcp is not None:
            assert probe.tcp.port is not None
            return await self._asker.tcp(probe.tcp.host, probe.tcp.port, limit)
        if probe.exec is not None:
            supervisor = self._session.supervisor
            spec, places = supervisor.given(self._name), supervisor.places
            return await self._commands.run(spec, places, probe.exec, limit, self._name)
        if probe.log is not None:
            outputs = await printed.of_run(self._session.keeper, self._name, self._run)
            return await self._asker.log(probe.log.pattern, self._run, outputs, limit)
        return await self._asker.path(probe, limit)

    async def _fork(self, argument: str) -> socket.socket:
        _, fds = await self._session.keeper.request({"op": "fork", "role": "asker", "argument": argument})
        return socket.socket(fileno=fds[0])
