"""Long output by way of a pager, as git does it: $PSERV_PAGER, $PAGER, or less. What is written is not known here."""

from __future__ import annotations

import os
import signal
import sys

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

NONE = ("", "cat")
"""Pagers that are none, as git has it."""
LESS = {"LESS": "FRX", "LV": "-c"}
"""What a pager finds in its environment unless the user has set it: quit if it fits on the screen, keep colours."""


def chosen(environ: Mapping[str, str] = os.environ) -> str:
    """The command line of the pager, for a shell; empty for none."""
    for name in ("PSERV_PAGER", "PAGER"):
        if name in environ:
            return "" if environ[name].strip() in NONE else environ[name]
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    return "less" if any(os.access(os.path.join(folder, "less"), os.X_OK) for folder in folders) else ""


class Pager:
    """While in it, standard output goes to a pager, if there is one and the output is a terminal."""

    def __init__(self, wanted: bool) -> None:
        self._command = chosen() if wanted and sys.stdout.isatty() else ""
        self._pid = 0

    def __enter__(self) -> Self:
        if self._command:
            sys.stdout.flush()
            out, into = os.pipe()
            moves = [(os.POSIX_SPAWN_DUP2, out, 0)]
            environment = {**LESS, **os.environ}
            self._pid = os.posix_spawn("/bin/sh", ["sh", "-c", self._command], environment, file_actions=moves)
            os.close(out)
            os.dup2(into, 1)
            os.close(into)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        """Waits for the pager; that its user has seen enough is no error."""
        if not self._pid:
            return False
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's business now
        left = isinstance(error, BrokenPipeError)
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            left = True
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)
        os.waitpid(self._pid, 0)
        return left or isinstance(error, KeyboardInterrupt)
