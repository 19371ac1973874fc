"""Sockets that are taken, dead or too long, and daemons side by side: each told plainly, none harmed."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from pserv.config import places
from tests.scenarios.daemon import Daemon, alive, children, command_of, ended, kill

ONE = "services: {one: {command: sleep 10000}}\n"
TWO = "services: {two: {command: sleep 10000}}\n"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon for all who leave it as they find it."""
    with Daemon(tmp_path_factory.mktemp("daemons"), ONE) as daemon:
        daemon.up()
        yield daemon


def beside(folder: Path, first: Daemon, config: str, file: str) -> Daemon:
    """Another command line in the same folder, with another file."""
    other = Daemon(folder, config, file=file)
    other.env["PSERV_CONFIG"] = str(other.file)
    other.socket = first.socket
    return other


def test_a_second_daemon_for_the_same_file_is_refused(ours: Daemon) -> None:
    pid, keeper = ours.pid("one"), ours.daemon().keeper_pid
    refused = ours.pserv("daemon", check=1)
    assert refused.stderr == (
        f"pserv: cannot start: a daemon (pid {keeper}) already runs at {ours.socket}\n"
        "hint: `pserv status` shows it, `pserv reload` applies changes, `pserv down` ends it\n"
    )
    again = ours.pserv("up", "-d", check=0)
    assert "nothing changed" in again.stdout
    assert ours.pid("one") == pid
    assert ours.daemon().keeper_pid == keeper


def test_one_file_runs_once_whatever_its_socket(ours: Daemon) -> None:
    keeper = ours.daemon().keeper_pid
    refused = ours.pserv("up", "-d", "--socket", str(ours.folder / "other.sock"), check=1)
    assert refused.stderr == (
        f"cannot start: a daemon (pid {keeper}) already runs at {ours.socket}\n"
        f"hint: `pserv status --socket {ours.socket}` shows it; two daemons would run each service twice\n"
    )
    assert not (ours.folder / "other.sock").exists()


def test_a_file_without_services_runs(tmp_path: Path) -> None:
    with Daemon(tmp_path, "services: {}\n") as daemon:
        told = daemon.pserv("up", "-d", check=0)
        assert "no service is declared to start with it" in told.stderr
        assert daemon.status() == {}
        daemon.write(ONE)
        daemon.pserv("reload", check=0)
        assert daemon.status()["one"].state.value == "running"


def test_many_starts_at_once_make_one_daemon(tmp_path: Path) -> None:
    with Daemon(tmp_path, ONE) as daemon:
        starts = [daemon.start("up", "-d") for _ in range(4)]
        told = [start.communicate(timeout=60) for start in starts]
        codes = [start.returncode for start in starts]
        assert codes.count(0) >= 1
        for code, (_, errors) in zip(codes, told, strict=True):
            assert code == 0 or f"already runs at {daemon.socket}" in errors
        assert daemon.status()["one"].state.value == "running"
        keeper = daemon.daemon().keeper_pid
        others = set(daemon.marked()) - {keeper, *children(keeper)}
        assert not [pid for pid in others if alive(pid)], "processes of another daemon"
        assert [pid for pid in daemon.marked() if command_of(pid) == b"sleep\00010000\0"] == [daemon.pid("one")]


def test_a_socket_that_serves_another_file_is_refused(ours: Daemon) -> None:
    pid = ours.pid("one")
    other = beside(ours.folder, ours, TWO, "other.yaml")
    refused = other.pserv("up", "-d", check=1)
    assert refused.stderr == (
        f"cannot use {ours.socket}: that daemon serves {ours.file}\n"
        "hint: give this file another `name`, or name a --socket\n"
    )
    refused = other.pserv("daemon", check=1)
    keeper = ours.daemon().keeper_pid
    assert refused.stderr.startswith(
        f"pserv: cannot start: a daemon (pid {keeper}) already runs at {ours.socket}\nhint: "
    )
    assert ours.pid("one") == pid


def test_daemons_of_two_files_run_side_by_side_and_are_listed(tmp_path: Path) -> None:
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder in folders:
        folder.mkdir()
    with Daemon(folders[0], ONE) as first, Daemon(folders[1], TWO) as second:
        rows = []
        for daemon in (first, second):  # the sockets are where they are by default
            daemon.env.pop("PSERV_SOCKET")
            daemon.socket = Path(places.socket(places.identity(str(daemon.file)), daemon.env, os.geteuid()))
            daemon.up()
            rows.append(f"{daemon.socket.parent.name}  alive  pid {daemon.daemon().keeper_pid}  {daemon.file}")
        listed = first.pserv("list", "--daemons", check=0).stdout.splitlines()
        assert {" ".join(row.split()) for row in listed} >= {" ".join(row.split()) for row in rows}
        assert list(first.status()) == ["one"]
        assert list(second.status()) == ["two"]
        pid = second.pid("two")
        first.pserv("down", check=0)
        unreachable = first.pserv("status", check=5)
        assert unreachable.stderr.startswith(
            f"cannot reach the daemon: none runs here, there is no {first.socket}\nhint: pserv up; or name another"
        )
        assert str(first.file) not in first.pserv("list", "--daemons", check=0).stdout
        assert second.pid("two") == pid


def test_sockets_in_one_folder_are_daemons_of_their_own(tmp_path: Path) -> None:
    with Daemon(tmp_path, ONE) as first, Daemon(tmp_path, TWO, file="other.yaml") as second:
        second.socket = first.socket.with_name("other.sock")
        second.env |= {"PSERV_SOCKET": str(second.socket), "PSERV_CONFIG": str(second.file)}
        for daemon in (first, second):
            daemon.up()
        assert list(first.status()) == ["one"]
        assert list(second.status()) == ["two"]
        first.pserv("down", check=0)
        assert second.status()["two"].state.value == "running"
        second.pserv("down", check=0)


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    with Daemon(tmp_path, ONE) as daemon:
        daemon.up()
        before = daemon.daemon()
        supervisor = os.pidfd_open(before.supervisor_pid)
        kill(before.keeper_pid, signal.SIGKILL)
        ended(supervisor)  # it still ends the services
        os.close(supervisor)
        assert daemon.socket.exists()
        unreachable = daemon.pserv("status", check=5)
        assert unreachable.stderr.startswith(
            f"cannot reach the daemon: nobody listens at {daemon.socket} any more (it was killed)\nhint: pserv up"
        )
        daemon.up()
        assert daemon.status()["one"].state.value == "running"


@pytest.mark.parametrize("what", ["program", "file", "folder"])
def test_what_others_use_at_the_socket_path_is_left_alone(tmp_path: Path, what: str) -> None:
    with Daemon(tmp_path, ONE) as daemon, ExitStack() as stack:
        daemon.socket.parent.mkdir()
        reason = "what is there is no socket"
        if what == "program":
            stack.enter_context(speaking_something_else(daemon.socket))
            reason = "another process answers there"
        elif what == "file":
            daemon.socket.write_text("precious")
        else:
            daemon.socket.mkdir()
        before = daemon.socket.stat().st_ino
        told = f"cannot listen at {daemon.socket}: {reason}\nhint: set PSERV_SOCKET to another path\n"
        assert daemon.pserv("daemon", check=1).stderr == f"pserv: {told}"
        assert daemon.pserv("up", "-d", check=1).stderr == told
        understood = f"understand what answers at {daemon.socket}" if what == "program" else "reach the daemon"
        assert daemon.pserv("status", check=5).stderr.startswith(f"cannot {understood}: ")
        assert daemon.socket.stat().st_ino == before
        assert daemon.marked() == []
        if what == "file":
            assert daemon.socket.read_text() == "precious"


@contextmanager
def speaking_something_else(path: Path) -> Iterator[None]:
    """A server that is no daemon of ours: it says its word and hangs up."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen(8)

        def serve() -> None:
            while True:
                try:
                    peer, _ = server.accept()
                except OSError:
                    return
                with peer, suppress(OSError):
                    peer.sendall(b"220 mail.example ESMTP\r\n")

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_path_too_long_for_a_socket_is_told(tmp_path: Path) -> None:
    with Daemon(tmp_path, ONE) as daemon:
        path = str(tmp_path / ("x" * 120) / "pserv.sock")
        daemon.env["PSERV_SOCKET"] = path
        size = len(os.fsencode(path))
        told = (
            f"cannot use the socket {path}: its path has {size} bytes, and the system allows 107\n"
            "hint: set PSERV_SOCKET to a shorter path\n"
        )
        assert daemon.pserv("daemon", check=1).stderr == f"pserv: {told}"
        assert daemon.pserv("up", "-d", check=1).stderr == told
        assert daemon.pserv("status", check=5).stderr.startswith(
            f"cannot reach the daemon: the path of its socket has {size} bytes, 107 is the limit: {path}\n"
            "hint: set PSERV_SOCKET to a shorter path"
        )
