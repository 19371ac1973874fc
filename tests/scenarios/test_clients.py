"""Clients of the API: fifty at once of which half are killed, and followers that outlive the supervisor."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pserv.api.replies import request_bytes
from tests.scenarios.daemon import PATIENCE, Daemon, alive, kill
from tests.scenarios.driven import LINE, Driven

CLIENTS = 50

STREAM = """
import os, socket, sys
stream = socket.socket(socket.AF_UNIX)
stream.connect(sys.argv[1])
stream.sendall(sys.argv[2].encode())
while data := stream.recv(65536):
    os.write(1, b"some\\n")
"""
"""Asks once and tells of each piece of the answer."""


def test_fifty_clients_of_which_half_are_killed_in_mid_stream(tmp_path: Path) -> None:
    ticking = "while :; do echo tick; sleep 0.05; done"
    services = f"services: {{ticker: {{shell: '{ticking}'}}, other: {{command: sleep 10000}}}}\n"
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        before = daemon.status()
        supervisor = daemon.daemon().supervisor_pid
        idle = descriptors(supervisor)
        clients = [streaming(daemon, number) for number in range(CLIENTS)]
        try:
            for client in clients:
                assert heard(client)
            for client in clients[::2]:
                end(client)
            for client in clients[1::4]:  # those that follow the log
                assert heard(client)
            daemon.pserv("restart", "other", check=0)
        finally:
            for client in clients:
                end(client)
        deadline = time.monotonic() + PATIENCE
        while descriptors(supervisor) > idle + 4:  # each answer is some turns of its loop
            assert time.monotonic() < deadline, "connections of dead clients are still open"
            daemon.status()
        after = daemon.status()
        assert after["ticker"].pid == before["ticker"].pid
        assert daemon.daemon().supervisor_pid == supervisor


def streaming(daemon: Daemon, number: int) -> subprocess.Popen[bytes]:
    """A client that streams for ever: the log for odd numbers, events for even ones."""
    path = ("/v1/events?follow=true&lines=1", "/v1/logs?names=ticker&follow=true&lines=1")[number % 2]
    request = request_bytes("GET", path).decode()
    command = [sys.executable, "-I", "-S", "-c", STREAM, str(daemon.socket), request]
    return subprocess.Popen(command, stdout=subprocess.PIPE)


def heard(client: subprocess.Popen[bytes]) -> bytes:
    assert client.stdout is not None
    return client.stdout.readline()


def end(client: subprocess.Popen[bytes]) -> None:
    client.kill()
    client.communicate(timeout=PATIENCE)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("follow", [("logs", "-f", "-n", "0", "driven"), ("up",)], ids=["logs", "up"])
def test_a_follower_outlives_the_supervisor_and_misses_no_line(tmp_path: Path, follow: tuple[str, ...]) -> None:
    with Driven(tmp_path, "driven") as driven:
        services = "services:\n" + driven.declared(tmp_path / "driven.log") + "  other: {command: sleep 10000}\n"
        with Daemon(tmp_path, services) as daemon:
            daemon.up()
            driven.order(1)
            driven.printed()
            with daemon.start(*follow) as follower:
                assert follower.stdout is not None
                assert follower.stderr is not None
                if follow[0] == "up":
                    assert "Ctrl-C leaves the daemon running" in follower.stderr.readline()
                expected = first = None
                driven.order(20)
                for _ in range(4):
                    for _ in range(20):
                        number = next_number(follower)
                        first = number if first is None else first
                        expected = number if expected is None else expected
                        assert number == expected
                        expected += 1
                        if expected % 20 == 5:  # while lines are on their way
                            kill(daemon.daemon().supervisor_pid)
                            driven.order(20)
                assert alive(follower.pid)
                follower.kill()
                follower.communicate()
            assert daemon.daemon().supervisor_restarts >= 4


def next_number(follower: subprocess.Popen[str]) -> int:
    """The number of the next line of the driven service."""
    assert follower.stdout is not None
    while line := follower.stdout.readline():
        if "xxxx" in line:
            return int(line[-LINE:].split()[-2])
    raise AssertionError("the follower ended")
