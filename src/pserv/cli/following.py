"""The coloured output of all services, for as long as the daemon lives. `pserv logs` is in `output`."""

from __future__ import annotations

import threading

from pserv.api.client import Client
from pserv.cli import output, terminal
from pserv.model.errors import PservError, Unreachable

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

PATIENCE = 0.2
"""Seconds between two attempts to reach a daemon whose supervisor is being replaced."""


class Follower:
    """Writes what services print, beside whatever the main thread does. Outlives a replaced supervisor."""

    def __init__(self, socket: str, names: Iterable[str], *, as_json: bool) -> None:
        self._socket = socket
        self._names = sorted(names)
        self._as_json = as_json
        self._over = threading.Event()
        self._connected = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="follower", daemon=True)

    def start(self) -> None:
        """Returns when the first request is under way, so that nothing printed from now on is missed."""
        output.flush_lines()
        self._thread.start()
        self._connected.wait(2.0)

    def join(self) -> None:
        """Until the daemon has ended."""
        self._thread.join()

    def finish(self) -> None:
        """The daemon has ended: what it still sent is written."""
        self._over.set()
        self._thread.join(1.0)

    def _follow(self) -> None:
        screen = terminal.out()
        prefixes = output.Prefixes(screen, self._names)
        while True:
            try:
                items = Client(self._socket).stream_raw("logs", {"names": [], "lines": 0, "follow": True})
                self._write(screen, self._noted(items), prefixes)
            except BrokenPipeError:
                return
            except Unreachable:
                self._connected.set()
                return
            except (PservError, OSError):
                pass
            self._connected.set()
            if self._over.wait(PATIENCE):
                return

    def _noted(self, items: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        stream = iter(items)
        self._connected.set()
        yield from stream

    def _write(self, screen: terminal.Screen, items: Iterable[dict[str, Any]], prefixes: output.Prefixes) -> None:
        if not self._as_json:
            output.write_lines(screen, items, prefixes)
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
