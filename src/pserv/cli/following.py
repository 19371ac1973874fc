"""The coloured output of all services, for as long as the daemon lives. `pserv logs` is in `logs`."""

from __future__ import annotations

import threading

from pserv.api.client import Client
from pserv.cli import logs, terminal
from pserv.cli.unbroken import Unbroken
from pserv.model.errors import PservError
from pserv.model.prefixes import Prefixes

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

FROM_THE_BEGINNING = 1_000_000
"""More lines than a service prints before its log is opened."""


class Follower:
    """Writes what services print, beside whatever the main thread does. Outlives a replaced supervisor."""

    def __init__(self, socket: str, names: Iterable[str], *, as_json: bool) -> None:
        self._socket = socket
        self._names = sorted(names)
        self._as_json = as_json
        self._screen = terminal.out()
        self._prefixes = Prefixes.on(self._screen.stream, self._names)
        self._threads: list[threading.Thread] = []

    def start(self, *, nothing_runs: bool = False) -> None:
        """Returns when it is asked for all that comes from now on.

        The log is opened a moment after that. If `nothing_runs` yet, a log that is still empty is read from its
        beginning, so that not even the first line of a service that ends at once is missed.
        """
        logs.flush_lines()
        fresh: list[str] = []
        if nothing_runs:
            old = Client(self._socket).stream_raw("logs", {"names": [], "lines": 1})
            fresh = sorted({*self._names} - {item["service"] for item in old if item["type"] == "line"})
        others = [name for name in self._names if name not in fresh]
        for names, lines in ((fresh, FROM_THE_BEGINNING), (others, 0)):
            if names:
                items = Unbroken(Client(self._socket), {"names": names, "lines": lines})
                thread = threading.Thread(target=self._follow, args=(items,), name="follower", daemon=True)
                self._threads.append(thread)
                thread.start()

    def join(self) -> None:
        """Until the daemon has ended."""
        for thread in self._threads:
            thread.join()

    def finish(self) -> None:
        """The daemon has ended: what it still sent is written."""
        for thread in self._threads:
            thread.join(1.0)

    def _follow(self, items: Iterable[dict[str, Any]]) -> None:
        try:
            self._write(items)
        except (PservError, OSError):
            return

    def _write(self, items: Iterable[dict[str, Any]]) -> None:
        if not self._as_json:
            logs.write_lines(self._screen, items, self._prefixes)
            return
        from pserv.cli.json_output import line

        for item in items:
            print(line(item))


def until_ended(socket: str, name: str, then: Callable[[int], None]) -> threading.Thread:
    """Calls `then` with the exit code (128 + signal) of a service once it ended for good."""

    def watch() -> None:
        while True:
            try:
                last: dict[str, Any] = {}
                for item in Client(socket).stream_raw("wait", {"names": [name], "for": "stopped"}):
                    last = item
                if last.get("type") != "done":
                    continue
                service = Client(socket).call_raw("status", {"names": [name]})["services"][0]
                ended = service.get("last_exit") or {}
                then(_code_of(ended))
                return
            except (PservError, OSError):
                return

    thread = threading.Thread(target=watch, name="exit-code-from", daemon=True)
    thread.start()
    return thread


def _code_of(ended: dict[str, Any]) -> int:
    if ended.get("code") is not None:
        return int(ended["code"])
    if ended.get("signal"):
        from pserv.model.units import parse_signal

        return 128 + parse_signal(ended["signal"])
    return 1
