"""What a supervisor that begins reads from the keeper's table; in safe mode it does without what cannot be read."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import msgspec

from pserv.keeper.protocol import Message
from pserv.model import spec, units
from pserv.model.spec import Document
from pserv.model.states import Goal, Life, Phase
from pserv.supervisor import daemon_note, record
from pserv.supervisor.daemon_note import DaemonNote
from pserv.system.processes import Descriptors


class Boot(msgspec.Struct, frozen=True):
    """What the daemon was started with, as the table tells it. `start`: named instead of the autostarted."""

    name: str
    run_dir: str
    state_dir: str
    cookie: str
    keeper_pid: int
    started: float
    leftovers: int = 0
    files: tuple[str, ...] = ()
    cwd: str = "/"
    socket: str = ""
    start: tuple[str, ...] | None = None


class Table:
    """The keeper's first message, with its descriptors: listening sockets, the accepted document, the lock."""

    def __init__(self, message: Message, fds: Descriptors, on_bug: Callable[[str, Exception], None]) -> None:
        """Raises msgspec.ValidationError."""
        self.boot = msgspec.convert(message["boot"], Boot, strict=False)
        self.safe = bool(message.get("safe"))
        self.records: list[Message] = message["records"]
        self._deaths: list[Message] = message.get("deaths", [])
        held = bool(message.get("document")) + bool(message.get("lock"))
        self._sockets, self._held = fds[: len(fds) - held], fds[len(fds) - held :]
        self._on_bug = on_bug

    def sockets(self) -> list[socket.socket]:
        """Those of the API; the caller's from now on."""
        return [socket.socket(fileno=fd) for fd in self._sockets]

    def document(self) -> Document:
        """The accepted configuration, once. Raises OSError, or msgspec.MsgspecError when it cannot be read."""
        try:
            size = os.fstat(self._held[0]).st_size
            return spec.decode(os.pread(self._held[0], size, 0))
        except (msgspec.MsgspecError, OSError, IndexError) as error:
            if not self.safe:
                raise
            self._on_bug("reading the accepted configuration", error)
            return Document(name=self.boot.name, root="/")
        finally:
            for fd in self._held:
                os.close(fd)

    def note(self, row: Message, now: float) -> record.Note:
        """The note of a service; where it cannot be read, what runs is taken as it is."""
        try:
            return record.decode(row["note"])
        except msgspec.MsgspecError as error:
            if not self.safe:
                raise
            self._on_bug(f"reading the note of {row['key']}", error)
        alive = row.get("run")
        if not alive:
            return record.Note(Life(since=now))
        run, pid = int(alive["run"]), int(alive["pid"])
        return record.Note(Life(Phase.RUNNING, Goal.UP, "found running", now, run, pid, started=now, ready_at=now))

    def daemon_note(self, row: Message) -> DaemonNote:
        """The daemon's own note; where it cannot be read, what was ordered is forgotten."""
        try:
            return daemon_note.decode(row["note"])
        except msgspec.MsgspecError as error:
            if not self.safe:
                raise
            self._on_bug("reading the daemon's note", error)
            return DaemonNote()

    def why_resumed(self) -> str:
        """What brought about that this supervisor began, in words."""
        if not self._deaths:
            return "a new supervisor took over"
        last = self._deaths[-1]
        how = last.get("text") or (
            f"killed by {units.show_signal(last['signal'])}" if last.get("signal") else f"exit code {last.get('code')}"
        )
        return f"a new supervisor took over: the last one died ({how})"
