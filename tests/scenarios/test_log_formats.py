"""Formats of logs in a real daemon: what a line says, changed while the service runs, the dead logger, the rate."""

from __future__ import annotations

import json
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon, kill, python

ECHO = python(
    "import os, sys\n"
    "for line in open(sys.argv[1]):\n"
    "    fd, text = line[:-1].split(' ', 1)\n"
    "    os.write(int(fd), text.encode().decode('unicode_escape').encode('latin-1'))"
)
"""Prints what it reads from the FIFO that is its argument: lines of a descriptor, a blank, and escaped bytes."""


def config(folder: Path, web: str, api: str) -> str:
    services = ""
    for name, log in (("web", web), ("api", api)):
        command = json.dumps([*ECHO, str(folder / f"{name}.fifo")])
        services += f"  {name}: {{command: {command}, stdout: {name}.log, log: {log}, restart: never}}\n"
    crash = json.dumps(python("print('{}'); print('last words', end=''); raise SystemExit(3)"))
    return f"services:\n{services}  crash: {{command: {crash}, log: json, restart: never, autostart: false}}\n"


class Printers:
    """The daemon, and the writing ends of its services' FIFOs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.fifos = {}
        for name in ("web", "api"):
            os.mkfifo(folder / f"{name}.fifo")
            self.fifos[name] = os.open(folder / f"{name}.fifo", os.O_RDWR)
        self.daemon = Daemon(folder, config(folder, "json", "{timestamps: true}"))

    def print(self, name: str, text: str, fd: int = 1) -> None:
        os.write(self.fifos[name], f"{fd} {text}\n".encode())

    def lines(self, name: str, count: int) -> list[bytes]:
        """The file's lines, when there are so many."""
        path = self.folder / f"{name}.log"
        while not path.exists() or path.read_bytes().count(b"\n") < count:
            select.select([], [], [], 0.001)
        return path.read_bytes().splitlines()

    def reload(self, web: str, api: str) -> str:
        self.daemon.write(config(self.folder, web, api))
        return self.daemon.pserv("reload", check=0).stdout


@pytest.fixture
def printers(tmp_path: Path) -> Iterator[Printers]:
    printers = Printers(tmp_path)
    with printers.daemon:
        printers.daemon.up()
        yield printers
    for fd in printers.fifos.values():
        os.close(fd)


def test_formats_of_services_that_go_on_running(printers: Printers) -> None:
    says_where_it_is_from(printers)
    outlives_the_logger(printers)
    is_changed_by_a_reload(printers)
    tells_what_is_dropped(printers)
    tells_last_words_as_they_were_printed(printers)


def says_where_it_is_from(printers: Printers) -> None:
    printers.print("web", "hello\\n")
    printers.lines("web", 1)
    printers.print("web", "bad \\xff\\n", fd=2)
    printers.print("api", "hello\\nhalf")
    out, err = (json.loads(line) for line in printers.lines("web", 2))
    row = printers.daemon.status()["web"]
    run = int(str(row.run_id).rpartition("/")[2])
    facts = {"service": "web", "instance": None, "run": run, "pid": row.pid, "partial": False, "ts": ""}
    assert {**out, "ts": ""} == {**facts, "stream": "stdout", "message": "hello"}
    assert {**err, "ts": ""} == {**facts, "stream": "stderr", "message": "bad \ufffd"}
    assert [line[27:] for line in printers.lines("api", 1)] == [b" hello"]


def outlives_the_logger(printers: Printers) -> None:
    """What had no end when it was killed has one now."""
    logger = printers.daemon.daemon().logger_pid
    assert logger is not None
    kill(logger)
    printers.print("api", " done\\n")
    assert [line[27:] for line in printers.lines("api", 2)] == [b" hello", b" half done"]


def is_changed_by_a_reload(printers: Printers) -> None:
    daemon = printers.daemon
    pids = daemon.pid("web"), daemon.pid("api")
    printers.reload("{timestamps: true}", "json")
    printers.print("web", "as text\\n")
    printers.print("api", "as json\\n")
    assert printers.lines("web", 3)[2][27:] == b" as text"
    assert json.loads(printers.lines("api", 3)[2])["message"] == "as json"
    assert json.loads(printers.lines("api", 3)[2])["stream"] == "output"
    assert (daemon.pid("web"), daemon.pid("api")) == pids
    shown = daemon.pserv("logs", "api", "-n", "1", "--no-prefix", check=0).stdout
    assert shown == "as json\n"


def tells_what_is_dropped(printers: Printers) -> None:
    printers.reload("{rate: {lines: 1/h, burst: 2}}", "json")
    printers.print("web", "x\\n" * 100)
    row = printers.daemon.until("web", lambda row: row.dropped_lines == 98)
    assert row.dropped_bytes == 98 * 2
    assert "98 lines of output, 196 B" in printers.daemon.pserv("status", "web", check=0).stdout
    kept = printers.lines("web", 6)[-3:]
    assert kept[:2] == [b"x", b"x"]
    assert kept[2].startswith(b"--- 98 lines dropped (196 bytes): log.rate is ")


def tells_last_words_as_they_were_printed(printers: Printers) -> None:
    printers.daemon.pserv("start", "crash")
    printers.daemon.until("crash", lambda row: row.state.value == "failed")
    crash = printers.daemon.story("crash").crash
    assert crash is not None
    assert crash.lines == ("{}", "last words")
