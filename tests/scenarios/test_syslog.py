"""A real syslogd takes what services print, with their names and pids; it may be away, or begin anew."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scenarios.daemon import PATIENCE, Daemon, python

SYSLOGD = shutil.which("syslogd", path="/usr/sbin:/usr/bin:/sbin")
ECHO = python("import sys\nfor line in open(sys.argv[1]): sys.stdout.buffer.write(line.encode()); sys.stdout.flush()")
IN_ITS_OWN_DEV = """
set -e
mount --bind /dev "$1"
mount -t tmpfs -o mode=755 tmpfs /dev
for name in null zero urandom; do : > /dev/$name; mount --bind "$1/$name" /dev/$name; done
ln -s "$2" /dev/log
shift 2
exec "$@"
"""

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="needs root and unshare"),
    pytest.mark.skipif(
        SYSLOGD is None or b"--rcfile" not in subprocess.check_output([SYSLOGD, "--help"]),
        reason="no syslogd of GNU inetutils",
    ),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path fits a socket's address."""
    with tempfile.TemporaryDirectory(prefix="pserv-") as short:
        yield Path(short)


@contextmanager
def syslogd(folder: Path) -> Iterator[None]:
    """A daemon on `log` in this folder, which writes `messages` there."""
    assert SYSLOGD is not None
    (folder / "syslog.conf").write_text(f"daemon.=info {folder}/messages\n")
    (folder / "none").mkdir(exist_ok=True)
    words = ["--no-detach", "--no-klog", f"--rcfile={folder}/syslog.conf", f"--rcdir={folder}/none"]
    words += [f"--socket={folder}/log", f"--pidfile={folder}/pid"]
    process = subprocess.Popen([SYSLOGD, *words], stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE)


def messages(folder: Path, end: str) -> list[str]:
    """What it has written, without time and host, when the last line ends so; what syslogd says itself is left out."""
    path = folder / "messages"
    while not path.exists() or not path.read_text().endswith(f"{end}\n"):
        select.select([], [], [], 0.005)
    return [line.split(maxsplit=4)[4] for line in path.read_text().splitlines() if "syslogd" not in line]


def test_each_line_is_a_message_of_its_service(tmp_path: Path, folder: Path) -> None:
    (tmp_path / "dev").mkdir()
    os.mkfifo(tmp_path / "gate")
    gate = os.open(tmp_path / "gate", os.O_RDWR)
    config = f"services:\n  web: {{command: {json.dumps([*ECHO, str(tmp_path / 'gate')])}, stdout: syslog}}\n"
    wrapper = ["unshare", "--mount", "/bin/sh", "-c", IN_ITS_OWN_DEV, "sh", str(tmp_path / "dev"), str(folder / "log")]
    with Daemon(tmp_path, config, wrapper=wrapper) as daemon:
        with syslogd(folder):
            daemon.up()
            pid = daemon.pid("web")
            os.write(gate, b"one\n<4>two: 100 %\n")
            assert messages(folder, "%") == [f"web[{pid}]: one", f"web[{pid}]: <4>two: 100 %"]
        os.write(gate, b"nobody is there\n")
        daemon.until("web", lambda row: "/dev/log" in row.trouble)
        os.write(gate, b"still nobody\n")
        with syslogd(folder):
            assert messages(folder, "still nobody")[2:] == [f"web[{pid}]: nobody is there", f"web[{pid}]: still nobody"]
            daemon.until("web", lambda row: not row.trouble)
            assert daemon.pid("web") == pid
    os.close(gate)
