"""`pserv logs` of a real daemon: since when, of which run, by expression, as events; and who reads harms nobody."""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pserv.api import operations as op
from pserv.api.reading import READERS
from pserv.api.replies import request_bytes
from pserv.model.errors import Refused, UsageError
from tests.scenarios.daemon import PATIENCE, Daemon, forks, python

COUNTING = python(
    "print('run of', __import__('os').environ['PSERV_SERVICE'], flush=True); import signal; signal.pause()"
)
SERVICES = f"""
services:
  web: {{command: {json.dumps(COUNTING)}}}
  db: {{command: {json.dumps(COUNTING)}, stdout: out.log, stderr: err.log}}
  noisy: {{command: sleep 1000, stdout: noisy.log}}
  rotated: {{command: sleep 1000, stdout: rotated.log}}
  quiet: {{command: sleep 1000, stdout: "null"}}
"""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("reading"), SERVICES) as running:
        running.up()
        running.until_line("web", "run of")
        running.until_line("db", "run of")
        yield running


def output(daemon: Daemon, *words: str) -> list[str]:
    return daemon.pserv("logs", *words, check=0).stdout.splitlines()


def test_since_until_and_of_which_run(daemon: Daemon) -> None:
    before = f"{time.time():.3f}"
    first = daemon.status()["web"].run_id
    daemon.pserv("restart", "web", check=0)
    daemon.until_line("web", "run of", 2)
    assert output(daemon, "web", "--since", "1h") == ["run of web"] * 2
    assert output(daemon, "web", "--since", f"@{before}") == ["run of web"]
    assert output(daemon, "web", "--until", f"@{before}") == ["run of web"]
    assert output(daemon, "web", "--since", f"@{time.time():.3f}") == []
    assert output(daemon, "web", "--run", "last") == ["run of web"]
    assert output(daemon, "web", "--run", str(first)) == ["run of web"]
    assert output(daemon, "web", "--run", "9999") == []
    assert daemon.status()["web"].run_id != first


def test_several_by_time_with_their_names(daemon: Daemon) -> None:
    assert {*output(daemon, "web", "db")} == {"web | run of web", "db  | run of db"}
    assert {*output(daemon, "web", "db", "--grep", "db$")} == {"db  | run of db"}
    assert {*output(daemon, "web", "db", "--grep", "db$", "--invert", "--no-prefix")} == {"run of web"}


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (
            ("web", "--stream", "stderr"),
            "cannot tell stderr of web apart: both streams are in one file",
            "log: {format: json}",
        ),
        (("web", "--level", "error"), "cannot choose lines of web by level", "log: {format: json, parse: json}"),
        (("web", "--grep", "("), "it is no regular expression", "put \\ before"),
        (("web", "--run", "x"), "cannot read the run 'x'", ""),
        (("web", "-f", "--reverse"), "cannot follow in reverse", ""),
    ],
)
def test_what_cannot_be_told_is_told_with_what_to_set(
    daemon: Daemon, words: tuple[str, ...], message: str, hint: str
) -> None:
    told = daemon.pserv("logs", *words, check=2)
    assert message in told.stderr
    assert hint in told.stderr
    assert told.stdout == ""


def test_who_cannot_tell_what_is_asked_of_all_is_left_out(daemon: Daemon) -> None:
    told = daemon.pserv("logs", "--stream", "stdout", "--since", "1h", check=0)
    assert told.stdout == "db      | run of db\n"
    left_out = "cannot tell stdout of web, noisy, rotated apart: both streams are in one file"
    assert left_out in told.stderr
    refused = daemon.pserv("logs", "--level", "error", check=2)
    assert "cannot choose lines of web by level: its log does not tell levels" in refused.stderr


def test_streams_that_have_files_of_their_own(daemon: Daemon) -> None:
    assert output(daemon, "db", "--stream", "stdout") == ["run of db"]
    assert output(daemon, "db", "--stream", "stderr") == []


def test_what_is_not_kept_cannot_be_read(daemon: Daemon) -> None:
    with daemon.client() as client, pytest.raises(Refused, match="what it prints is not kept"):
        list(client.stream("logs", op.Logs(("quiet",))))


def test_an_expression_that_never_ends_is_ended(daemon: Daemon) -> None:
    path = daemon.folder / "noisy.log"
    with path.open("a") as file:
        file.write("a" * 60 + "!\n")
    with daemon.client() as client, pytest.raises(UsageError, match="it takes too long on one of the lines"):
        list(client.stream("logs", op.Logs(("noisy",), grep="^(a+)+$")))
    assert output(daemon, "noisy", "--grep", "^a+!")


def test_events_for_a_browser(daemon: Daemon) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(str(daemon.socket))
        request = request_bytes("GET", "/v1/logs?names=web&lines=1").replace(
            b"Host:", b"Accept: text/event-stream\r\nHost:"
        )
        sock.sendall(request)
        data = b""
        while not data.endswith(b"0\r\n\r\n"):
            data += sock.recv(65536)
    assert b"text/event-stream" in data
    assert b'data: {"type":"line","service":"web","text":"run of web","stream":"stdout"}\n\n' in data


def test_one_too_many_is_told_and_readers_that_nobody_takes_from_harm_nobody(daemon: Daemon) -> None:
    pid = daemon.daemon().keeper_pid
    path = daemon.folder / "noisy.log"
    with path.open("a") as file:
        file.write(("x" * 100 + "\n") * 50_000)
    stuck = []
    follow = request_bytes("GET", "/v1/logs?names=noisy&follow=true&lines=100000")
    try:
        for _ in range(READERS):
            sock = socket.socket(socket.AF_UNIX)
            stuck.append(sock)
            sock.settimeout(PATIENCE)
            sock.connect(str(daemon.socket))
            sock.sendall(follow)
            assert sock.recv(100)  # and no more: the rest waits in the file
        told = daemon.pserv("logs", "noisy")
        assert (told.returncode, told.stdout) == (1, "")
        assert f"cannot read logs: {READERS} others are read at this moment" in told.stderr
        assert daemon.pserv("status", "noisy", check=0).stdout
    finally:
        for sock in stuck:
            sock.close()
    until_forks(pid, 2)


def until_forks(keeper: int, count: int) -> None:
    """Wait until only supervisor and logger are left of what the keeper forked."""
    deadline = time.monotonic() + PATIENCE
    while len(left := forks(keeper)) > count and time.monotonic() < deadline:
        with contextlib.ExitStack() as watched:
            fds = []
            for pid in left:
                try:
                    fds.append(os.pidfd_open(pid))
                except ProcessLookupError:
                    continue
                watched.callback(os.close, fds[-1])
            if len(fds) == len(left):
                select.select(fds, [], [], PATIENCE)
    assert len(forks(keeper)) <= count


def test_followed_across_logrotate_and_copytruncate_and_a_new_supervisor(daemon: Daemon, tmp_path: Path) -> None:
    path = daemon.folder / "rotated.log"
    write(path, "first\n")
    with daemon.start("logs", "-f", "rotated") as follower:
        try:
            assert until(follower, "first") == ["first"]
            write(path, "second\n")
            path.rename(path.with_name("rotated.log.1"))
            write(path, "third\n")
            assert until(follower, "third")[-2:] == ["second", "third"]
            daemon.kill_supervisor()
            write(path, "fourth\n")
            assert until(follower, "fourth") == ["fourth"]
            with path.open("r+") as file:
                file.truncate(0)
            write(path, "after it was copied away and cut\n")
            assert until(follower, "cut") == ["after it was copied away and cut"]
        finally:
            follower.kill()
            follower.communicate(timeout=PATIENCE)


def write(path: Path, text: str) -> None:
    with path.open("a") as file:
        file.write(text)


def until(follower: subprocess.Popen[str], end: str) -> list[str]:
    assert follower.stdout is not None
    lines: list[str] = []
    while not lines or not lines[-1].endswith(end):
        line = follower.stdout.readline()
        assert line, lines
        lines.append(line.rstrip())
    return lines
