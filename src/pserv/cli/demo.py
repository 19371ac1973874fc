"""`pserv demo`: a tour with real services that kills, reloads and stops, and says of each promise whether it held."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

from pserv.api.client import Client
from pserv.cli import terminal
from pserv.cli.demo_files import CONFIG, WORKER, edited
from pserv.model.errors import PservError

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from pserv.cli.parse import Arguments

PATIENCE = 10.0
"""Seconds for anything to happen; then the promise is broken."""


def demo(arguments: Arguments) -> int:
    """0 when every promise held."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    # A socket's path may have 107 bytes: TMPDIR is some long path on some systems.
    folder = tempfile.mkdtemp(prefix="pserv-demo-", dir=None if len(tempfile.gettempdir()) < 60 else "/tmp")
    tour = Tour(os.path.realpath(folder), quiet=arguments.flag("json"))
    try:
        for step in (tour.start, tour.kill_service, tour.kill_supervisor, tour.edit, tour.give_up, tour.stop):
            step()
    except (PservError, OSError, Broken) as error:
        tour.promise(str(error), False)
    finally:
        tour.clean()
    broken = [text for text, held in tour.promises if not held]
    if arguments.flag("json"):
        from pserv.cli import json_output

        json_output.show({"promises": [{"text": text, "held": held} for text, held in tour.promises]})
    elif broken:
        terminal.tell(f"{len(broken)} of {len(tour.promises)} promises did not hold: {'; '.join(broken)}")
    else:
        tour.say(f"\nAll {len(tour.promises)} promises held, and nothing is left behind. Your turn: pserv up")
    return 1 if broken else 0


class Broken(Exception):
    """The tour cannot go on."""


class Tour:
    """One run of the tour in a folder of its own."""

    def __init__(self, folder: str, *, quiet: bool = False) -> None:
        self.promises: list[tuple[str, bool]] = []
        self._folder = folder
        self._quiet = quiet
        self._screen = terminal.out()
        self._file = os.path.join(folder, "pserv.yaml")
        self._port = _free_port()
        path = os.path.join(folder, "run", "pserv.sock")
        self._environ = {k: v for k, v in os.environ.items() if not k.startswith("PSERV_")}
        self._environ |= {"PSERV_SOCKET": path, "PSERV_STATE": os.path.join(folder, "state")}
        self._client = Client(path)
        self._pids: set[int] = set()

    # -- the steps ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._title("Four services in one file, and one command that starts them in order.")
        with open(os.path.join(self._folder, "worker.py"), "w", encoding="utf-8") as file:
            file.write(WORKER)
        with open(self._file, "w", encoding="utf-8") as file:
            file.write(CONFIG.format(python=sys.executable, port=self._port))
        self.promise("the services start, the database migration first", self._run("up", "-d") == 0)
        self.promise("status finds nothing wrong", self._run("status") == 0)
        self.promise(f"web answers on port {self._port}", self._answers(), stop=True)

    def kill_service(self) -> None:
        pid = self._service("web")["pid"]
        self._title(f"A service dies: kill -9 {pid} (web).")
        begun = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        back = self._running_again("web", pid)
        self.promise(f"it is back after {1000 * (time.monotonic() - begun):.0f} ms, as pid {back}", back > 0)
        self._run("wait", "web", "--timeout", "10s")

    def kill_supervisor(self) -> None:
        before = self._client.call_raw("status", {})
        pid = before["daemon"]["supervisor_pid"]
        self._title(f"The supervisor itself dies: kill -9 {pid}.")
        os.kill(pid, signal.SIGKILL)
        after = self._client.call_raw("status", {})
        self._run("status")
        self.promise("another supervisor has taken over", after["daemon"]["supervisor_pid"] not in (pid, None))
        rows = zip(before["services"], after["services"], strict=True)
        same = all(was["pid"] == now["pid"] and (was["uptime"] or 0) <= (now["uptime"] or 0) for was, now in rows)
        self.promise("every service has kept its pid and its uptime", same)
        self.promise("not one line of the worker's output is missing or doubled", self._lines_complete())

    def edit(self) -> None:
        before = {name: self._service(name)["pid"] for name in ("web", "worker")}
        self._title("The file is edited: the worker gets another greeting.")
        with open(self._file, encoding="utf-8") as file:
            text = file.read()
        with open(self._file, "w", encoding="utf-8") as file:
            file.write(edited(text))
        self.promise("reload tells what it does, and why", self._run("reload") == 0)
        after = {name: self._service(name)["pid"] for name in before}
        self.promise("the worker was restarted", after["worker"] not in (None, before["worker"]))
        self.promise("web was left alone", after["web"] == before["web"])

    def give_up(self) -> None:
        self._title("A service that cannot work: it is tried again, then given up, and says why.")
        self.promise("start fails when the service does", self._run("start", "flaky", quiet_errors=True) == 1)
        self.promise("pserv why tells the reason", self._run("why", "flaky") == 1)
        self._run("stop", "flaky")

    def stop(self) -> None:
        self._title("The end: everything is stopped, what is depended on last.")
        self.promise("down stops all", self._run("down") == 0)
        self.promise("no process is left", not [pid for pid in self._pids if _alive(pid)])

    def clean(self) -> None:
        """Ends the daemon if it still lives, and removes every file."""
        try:
            keeper = self._client.call_raw("status", {}, timeout=2.0)["daemon"]["keeper_pid"]
        except (PservError, OSError, ValueError):
            keeper = 0
        if keeper:
            self._run("down", quiet_errors=True)
            if _alive(keeper):
                os.kill(keeper, signal.SIGKILL)
        shutil.rmtree(self._folder, ignore_errors=True)

    # -- what they are made of ----------------------------------------------------------------------------------

    def say(self, text: str) -> None:
        if not self._quiet:
            self._screen.line(text)
            self._screen.stream.flush()

    def promise(self, text: str, held: bool, *, stop: bool = False) -> None:
        self.promises.append((text, held))
        mark = self._screen.paint(self._screen.symbol("✓"), "green") if held else self._screen.paint("NOT SO:", "red")
        self.say(f"  {mark} {text}")
        if stop and not held:
            raise Broken("the tour cannot go on")

    def _title(self, text: str) -> None:
        self.say(("\n" if self.promises else "") + self._screen.paint(text, "bold"))

    def _run(self, *words: str, quiet_errors: bool = False) -> int:
        self.say(self._screen.paint(f"$ pserv {' '.join(words)}", "cyan"))
        output = subprocess.DEVNULL if self._quiet else None
        errors = subprocess.DEVNULL if self._quiet or quiet_errors else None
        command = [sys.executable, "-P", "-m", "pserv", *words, "--config", self._file]
        return subprocess.run(
            command, cwd=self._folder, env=self._environ, stdin=subprocess.DEVNULL, stdout=output, stderr=errors,
            timeout=6 * PATIENCE, check=False,
        ).returncode  # fmt: skip

    def _service(self, name: str) -> dict[str, Any]:
        services: list[dict[str, Any]] = self._client.call_raw("status", {})["services"]
        self._pids |= {service["pid"] for service in services if service["pid"]}
        return next(service for service in services if service["name"] == name)

    def _running_again(self, name: str, old: int) -> int:
        """The pid of the next run, from the history or as it comes; 0 when none comes."""
        request = {"names": [name], "lines": 50, "follow": True}
        with self._client.stream_raw("events", request, timeout=PATIENCE) as items:
            for item in items:
                change = item.get("change", {})
                pid = int(change.get("pid", 0))
                if pid not in (0, old) and change.get("phase") == "running":
                    self._pids.add(pid)
                    return pid
        return 0

    def _answers(self) -> bool:
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            try:
                with socket.create_connection(("127.0.0.1", self._port), 1.0) as connection:
                    connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
                    return connection.recv(64).startswith(b"HTTP/1.0 200")
            except ConnectionRefusedError:
                # Without a probe, ready means that the process runs, and Python is not quick to listen.
                time.sleep(0.02)
            except OSError:
                return False
        return False

    def _lines_complete(self) -> bool:
        lines = [item["text"] for item in self._client.stream_raw("logs", {"names": ["worker"], "lines": 100_000})]
        numbers = [int(line.split()[-1]) for line in lines]
        return len(numbers) > 1 and numbers == list(range(1, len(numbers) + 1))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
