"""Clients of the API: fifty at once of which half are killed, and followers that outlive the supervisor."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from pserv.api.replies import request_bytes
from tests.scenarios.daemon import PATIENCE, Daemon, kill, ticking

CLIENTS = 50


def test_fifty_clients_of_which_half_are_killed_in_mid_stream(tmp_path: Path) -> None:
    services = f"services:\n  ticker: {{command: {ticking(0.05)!r}}}\n  other: {{command: sleep 10000}}\n"
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
                client.close()
            for client in clients[1::4]:  # those that follow the log
                assert heard(client)
            daemon.pserv("restart", "other", check=0)
        finally:
            for client in clients:
                client.close()
        deadline = time.monotonic() + PATIENCE
        while descriptors(supervisor) > idle + 4:  # each answer is some turns of its loop
            assert time.monotonic() < deadline, "connections of dead clients are still open"
            daemon.status()
        after = daemon.status()
        assert after["ticker"].pid == before["ticker"].pid
        assert daemon.daemon().supervisor_pid == supervisor


def test_clients_that_leave_before_their_answer_harm_nobody(tmp_path: Path) -> None:
    with Daemon(tmp_path, "services: {web: {command: sleep 10000}}\n") as daemon:
        daemon.up()
        supervisor = daemon.daemon().supervisor_pid
        for _ in range(CLIENTS):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(str(daemon.socket))
                client.sendall(request_bytes("GET", "/v1/status") * 20)
        daemon.pserv("restart", "web", check=0)
        assert daemon.daemon().supervisor_pid == supervisor
        # Whether the answer or the end is seen first is chance, so look at what decides it, too.
        (ignored,) = [
            int(line.split()[1], 16)
            for line in Path(f"/proc/{supervisor}/status").read_text().splitlines()
            if line.startswith("SigIgn:")
        ]
        assert ignored >> (signal.SIGPIPE - 1) & 1, "an answer to a client that is gone kills the supervisor"


def streaming(daemon: Daemon, number: int) -> socket.socket:
    """A client that streams for ever: the log for odd numbers, events for even ones. One that is killed is seen by the
    end of its connection, which is closed here."""
    path = ("/v1/events?follow=true&lines=1", "/v1/logs?names=ticker&follow=true&lines=1")[number % 2]
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(PATIENCE)
    client.connect(str(daemon.socket))
    client.sendall(request_bytes("GET", path))
    return client


def heard(client: socket.socket) -> bytes:
    return client.recv(65536)


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.parametrize("follow", [("logs", "-f", "ticker"), ("up",)], ids=["logs", "up"])
def test_a_follower_outlives_the_supervisor_and_misses_no_line(tmp_path: Path, follow: tuple[str, ...]) -> None:
    services = f"services:\n  ticker: {{command: {ticking(0.01)!r}}}\n  other: {{command: sleep 10000}}\n"
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        with daemon.start(*follow) as follower:
            try:
                last = next_number(follower)
                for _ in range(4):
                    kill(daemon.daemon().supervisor_pid)
                    for _ in range(40):
                        number = next_number(follower)
                        assert number == last + 1
                        last = number
            finally:
                follower.kill()
                follower.communicate(timeout=PATIENCE)
        assert daemon.daemon().supervisor_restarts == 4


def next_number(follower: subprocess.Popen[str]) -> int:
    """The number in the next line of the ticker."""
    assert follower.stdout is not None
    while line := follower.stdout.readline():
        if "tick " in line:
            return int(line.split()[-1])
    raise AssertionError("the follower ended")
