"""Logs that the real logrotate rotates: each line once, in order, in files of its own or cut short by it."""

from __future__ import annotations

import os
import re
import select
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon
from tests.scenarios.driven import Driven, check_lines

pytestmark = pytest.mark.skipif(shutil.which("logrotate", path="/usr/sbin:/usr/bin") is None, reason="no logrotate")

ROUNDS = 5


def logrotate(folder: Path, log: Path, options: str) -> None:
    """Rotate now; what logrotate complains of is an error."""
    config = folder / "logrotate.conf"
    config.write_text(f"su {os.geteuid()} {os.getegid()}\n{log} {{\n  rotate 100\n{options}\n}}\n")
    config.chmod(0o600)
    command = ["/usr/sbin/logrotate", "--force", "--state", str(folder / "state.logrotate"), str(config)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def pieces(log: Path) -> bytes:
    """What logrotate made, the oldest first, and the active file."""
    numbered = {int(found[1]): path for path in log.parent.iterdir() if (found := _NUMBER.fullmatch(path.name))}
    files = [numbered[number] for number in sorted(numbered, reverse=True)]
    command = ["zcat", "-f", *map(str, files), str(log)]
    return subprocess.run(command, capture_output=True, check=True).stdout


_NUMBER = re.compile(r"web\.log\.([0-9]+)(?:\.gz)?")


def test_renamed_files_are_left_at_once_and_may_be_compressed(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with Driven(tmp_path, "web") as web:
        with Daemon(tmp_path, f"services:\n{web.declared(log)}") as daemon:
            daemon.up()
            reopen = " ".join(daemon.command("logs", "--reopen"))
            options = f"  compress\n  create 0640\n  postrotate\n    cd {tmp_path} && {reopen}\n  endscript"
            os.environ["PSERV_SOCKET"] = str(daemon.socket)
            try:
                for _ in range(ROUNDS):
                    web.order(50)
                    logrotate(tmp_path, log, options)
                    web.printed()
            finally:
                del os.environ["PSERV_SOCKET"]
            assert "opened anew" in daemon.pserv("events", check=0).stdout
            daemon.until_line("web", f"{50 * ROUNDS - 1:09d}")
            read = daemon.pserv("logs", "web", "-n", "1000", check=0).stdout
            check_lines(read.encode(), 50 * ROUNDS)
            daemon.pserv("down", check=0)
        check_lines(pieces(log), 50 * ROUNDS)
        assert log.stat().st_mode & 0o777 == 0o640


def test_the_signal_does_it_too(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with Driven(tmp_path, "web") as web:
        with Daemon(tmp_path, f"services:\n{web.declared(log)}") as daemon:
            daemon.up()
            keeper = daemon.daemon().keeper_pid
            for _ in range(ROUNDS):
                web.order(50)
                logrotate(tmp_path, log, f"  nocreate\n  postrotate\n    kill -USR1 {keeper}\n  endscript")
                web.printed()
                while not log.exists():
                    select.select([], [], [], 0.005)
            daemon.pserv("down", check=0)
        check_lines(pieces(log), 50 * ROUNDS)


def test_a_file_that_is_copied_and_truncated_is_written_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    with Driven(tmp_path, "web") as web:
        with Daemon(tmp_path, f"services:\n{web.declared(log)}") as daemon:
            daemon.up()
            for number in range(ROUNDS):
                web.order(50)
                web.printed()
                while pieces(log).count(b"\n") < 50 * (number + 1):
                    select.select([], [], [], 0.005)
                logrotate(tmp_path, log, "  copytruncate\n  compress")
                assert log.stat().st_size == 0
            web.order(1)
            web.printed()
            daemon.pserv("down", check=0)
        check_lines(pieces(log), 50 * ROUNDS + 1)
        assert log.stat().st_blocks * 512 <= 8192
