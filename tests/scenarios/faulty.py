"""`pserv daemon` with a fault: `python -m tests.scenarios.faulty FAULT READY_FD`, the configuration in the environment.

FAULT is `kill:N` (SIGKILL to the supervisor before the Nth message between it and the keeper is handed over),
`note:KEY` or `document` (from the moment that the file `spoil` is in the working directory, the note of KEY, or the
accepted document, that supervisors are given is nonsense). The number of messages is left in the file `messages`.
"""

from __future__ import annotations

import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping

from pserv import boot
from pserv.keeper.main import Boot, run
from pserv.keeper.protocol import Message
from pserv.keeper.roles import Role

NONSENSE = "{nonsense"


class Present:
    """The pid of the present supervisor, which tells it to its parent."""

    def __init__(self, role: Role) -> None:
        self._role = role
        self._shared = mmap.mmap(-1, mmap.PAGESIZE)
        self.killed = 0

    def __call__(self, channel: socket.socket, argument: str) -> int:
        self._shared[:8] = os.getpid().to_bytes(8, "little")
        return self._role(channel, argument)

    def kill(self) -> bool:
        """SIGKILL, if there is one that runs its own code already."""
        pid = int.from_bytes(self._shared[:8], "little")
        if not pid:
            return False
        os.kill(pid, signal.SIGKILL)
        return True


def kill_at(point: int, present: Present) -> Callable[[str, Message], None]:
    """A trace that counts messages and kills once."""
    count, due = 0, True

    def trace(name: str, message: Message) -> None:
        nonlocal count, due
        if not name.endswith(" supervisor"):
            return
        count += 1
        with open("messages", "w", encoding="ascii") as file:
            file.write(str(count))
        if due and count >= point > 0 and present.kill():
            due = False

    return trace


def spoil(what: str, kept: Boot) -> Callable[[str, Message], None]:
    """A trace that spoils tables on their way."""

    def trace(name: str, message: Message) -> None:
        if message["op"] != "table" or not os.path.exists("spoil"):
            return
        if what == "document":
            os.pwrite(kept.document_fd, NONSENSE.encode(), 0)
        for record in message["records"]:
            if what == f"note:{record['key']}":
                record["note"] = NONSENSE

    return trace


def main(fault: str, ready_fd: int) -> int:
    kind, _, value = fault.partition(":")

    def keeper(kept: Boot, roles: Mapping[str, Role]) -> int:
        present = Present(roles["supervisor"])
        trace = kill_at(int(value), present) if kind == "kill" else spoil(fault, kept)
        return run(kept, {**roles, "supervisor": present}, trace=trace)

    return boot.daemon([], ready_fd=ready_fd, keeper=keeper)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
