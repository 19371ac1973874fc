"""Output that goes where the daemon's goes, or to syslog, FIFOs and sockets: named, whole lines, and nobody waits."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.scenarios.daemon import PATIENCE, Daemon, python
from tests.scenarios.fifos import fifo, words

TALKER = python(
    "import os, signal, sys; os.write(1, b'one\\ntwo'); os.close(1); os.close(2);"
    "[open(path, 'w').write('printed\\n') for path in sys.argv[1:]]; signal.pause()"
)
"""Says in the FIFO that it is given, if any, that it has printed all."""
SPEAKER = python("import signal; print('two', flush=True); signal.pause()")
FLOOD = python("import os\nwhile True: os.write(1, b'x' * 99 + b'\\n')")


@contextmanager
def daemon_on(daemon: Daemon, stdout: int | IO[Any], *words: str) -> Iterator[subprocess.Popen[str]]:
    """`pserv daemon` whose standard output is this."""
    process = daemon.start("daemon", *words, stdout=stdout, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def lines(fd: int, count: int) -> list[str]:
    """So many lines of a pipe, terminal or socket."""
    data = b""
    while data.count(b"\n") < count:
        assert select.select([fd], [], [], PATIENCE)[0], data
        data += os.read(fd, 4096)
    return data.decode().replace("\r\n", "\n").splitlines()


SERVICES = f"""
services:
  web: {{command: {json.dumps(TALKER)}, stdout: inherit}}
  jsons: {{command: {json.dumps(TALKER)}, stdout: inherit, log: json}}
"""


def telling(path: Path) -> str:
    """Services that say in a FIFO when they have printed."""
    return SERVICES.replace(json.dumps(TALKER), json.dumps([*TALKER, str(path)]))


def check(found: list[str]) -> None:
    assert sorted(line for line in found if not line.startswith("{")) == ["web   | one", "web   | two"]
    told = [json.loads(line) for line in found if line.startswith("{")]
    assert [(line["service"], line["message"]) for line in told] == [("jsons", "one"), ("jsons", "two")]


def test_a_pipe(tmp_path: Path) -> None:
    out, into = os.pipe()
    with Daemon(tmp_path, SERVICES) as daemon, daemon_on(daemon, into):
        os.close(into)
        check(lines(out, 4))
    os.close(out)


def test_a_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    with Daemon(tmp_path, SERVICES) as daemon:
        del daemon.env["NO_COLOR"]
        daemon.env |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
        with daemon_on(daemon, theirs):
            found = lines(ours, 4)
    os.close(ours)
    os.close(theirs)
    shown = [f"\x1b[36mweb   │\x1b[0m {text}" for text in ("one", "two")]
    assert sorted(line for line in found if not line.startswith("{")) == shown


def test_a_socket_as_of_systemd(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    with Daemon(tmp_path, SERVICES) as daemon, daemon_on(daemon, theirs.fileno()), ours:
        theirs.close()
        check(lines(ours.fileno(), 4))


def test_a_file_that_others_append_to(tmp_path: Path) -> None:
    out, told = tmp_path / "out", fifo(tmp_path / "told")
    with out.open("w") as file:
        file.write("before\n")
        file.flush()
        with Daemon(tmp_path, telling(tmp_path / "told")) as daemon, daemon_on(daemon, file):
            words(told, 2)
            daemon.pserv("stop", "--all", check=0)
            found = out.read_text().splitlines()
    os.close(told)
    assert found[0] == "before"
    check(found[1:])
    assert not list(tmp_path.glob(".out*"))


def test_in_the_background_it_is_in_the_daemons_own_log(tmp_path: Path) -> None:
    told = fifo(tmp_path / "told")
    with Daemon(tmp_path, telling(tmp_path / "told")) as daemon:
        daemon.up()
        words(told, 2)
        daemon.pserv("stop", "--all", check=0)
        (log,) = (tmp_path / "state").rglob("daemon.log")
        found = log.read_text().splitlines()
    os.close(told)
    check(found)


def test_a_pipe_that_nobody_reads_parks_who_writes_there_and_nobody_else(tmp_path: Path) -> None:
    services = f"""
services:
  flood: {{command: {json.dumps(FLOOD)}, stdout: inherit}}
  web: {{command: {json.dumps(SPEAKER)}}}
"""
    out, into = os.pipe()
    with Daemon(tmp_path, services) as daemon, daemon_on(daemon, into):
        os.close(into)
        assert lines(out, 1)[0] == "flood | " + "x" * 99
        daemon.until_line("web", "two")
        assert daemon.status()["flood"].state.value == "running"
        daemon.pserv("restart", "web", check=0)
        daemon.until_line("web", "two", 2)
        # Once somebody reads it goes on, and no line is cut.
        for line in lines(out, 5000)[1:5000]:
            assert line == "flood | " + "x" * 99
        daemon.pserv("stop", "flood", check=0)
    os.close(out)


@pytest.fixture
def short() -> Iterator[Path]:
    """A folder whose path fits a socket's address."""
    with tempfile.TemporaryDirectory(prefix="pserv-") as folder:
        yield Path(folder)


def test_a_socket_of_datagrams_gets_one_a_line(tmp_path: Path, short: Path) -> None:
    services = f"""
services:
  web: {{command: {json.dumps(TALKER)}, stdout: {short}/log}}
"""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as syslog:
        syslog.settimeout(PATIENCE)
        syslog.bind(str(short / "log"))
        with Daemon(tmp_path, services) as daemon:
            daemon.up()
            assert [syslog.recv(1000), syslog.recv(1000)] == [b"one", b"two"]


def test_a_fifo_and_a_device_without_rotation(tmp_path: Path) -> None:
    ours = fifo(tmp_path / "fifo")
    services = f"""
services:
  web: {{command: {json.dumps(TALKER)}, stdout: ./fifo}}
  full: {{command: {json.dumps(TALKER)}, stdout: /dev/full}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        found = b""
        while found != b"one\ntwo":
            assert select.select([ours], [], [], PATIENCE)[0], found
            found += os.read(ours, 100)
        assert {path.name for path in tmp_path.iterdir()} >= {"fifo"}
        assert not list(tmp_path.glob("*.0*"))
    os.close(ours)
