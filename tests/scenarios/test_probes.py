"""Probes of real services by a real daemon: ready, unhealthy, flapping; whatever happens while one is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pserv.model.status import ProbeResult, ServiceStatus
from tests.scenarios.daemon import Daemon, alive, kill, naming

SERVER = """
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(500 if os.path.exists(sys.argv[2]) else 200)
        self.end_headers()
        self.wfile.write(b"hello")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


class Gate:
    """A FIFO that a service or command reads to its end: it waits there until it is let through."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path

    def open(self) -> None:
        """Wait until somebody is there, and let it through."""
        os.close(os.open(self.path, os.O_WRONLY))


def server(folder: Path, port: int) -> str:
    """A service that answers 200, or 500 as long as `folder/ill` exists."""
    (folder / "server.py").write_text(SERVER)
    return f"command: {[sys.executable, '-I', str(folder / 'server.py'), str(port), str(folder / 'ill')]!r}"


def asked(daemon: Daemon, name: str, which: str, wanted: Callable[[ProbeResult], bool]) -> ProbeResult:
    """Wait until a probe has had such an answer."""
    found: list[ProbeResult] = []

    def looked(row: ServiceStatus) -> bool:
        found.extend(result for result in daemon.story(name).service.probes.get(which, ()) if wanted(result))
        return bool(found)

    daemon.until(name, looked)
    return found[-1]


def test_ready_by_http_then_running(tmp_path: Path, port: int) -> None:
    (tmp_path / "ill").touch()
    options = f"{server(tmp_path, port)}, ready: 'http://:{port}/x', start_timeout: 30s"
    with Daemon(tmp_path, f"services: {{web: {{{options}}}}}\n") as daemon:
        with daemon.start("up", "-d") as up:
            first = daemon.until("web", lambda row: row.pid is not None)
            assert first.state.value == "starting"
            assert not first.ready
            (tmp_path / "ill").unlink()
            assert up.wait(30) == 0
        row = daemon.status()["web"]
        assert (row.state.value, row.ready, row.pid) == ("running", True, first.pid)
        assert "ready after" in row.reason
        assert "http 200 OK" in row.reason
        results = daemon.story("web").service.probes["ready"]
        assert results[-1].ok
        assert all(not result.ok for result in results[:-1])
        shown = daemon.pserv("status", "web", check=0).stdout
        assert "Probe ready" in shown
        assert "http 200 OK" in shown


def test_unhealthy_is_restarted_with_the_reason(tmp_path: Path, port: int) -> None:
    health = f"{{http: {{port: {port}, interval: 100ms}}, failures: 2}}"
    with Daemon(tmp_path, f"services: {{web: {{{server(tmp_path, port)}, health: {health}}}}}\n") as daemon:
        daemon.up()
        pid = daemon.pid("web")
        (tmp_path / "ill").touch()
        row = daemon.until("web", lambda row: row.pid not in (None, pid))
        (tmp_path / "ill").unlink()
        assert row.last_exit is not None
        assert row.last_exit.result == "watchdog"
        assert row.last_exit.text == "unhealthy: http 500 Internal Server Error"
        assert daemon.until_restarted("web", pid).restarts == 1


def test_alert_only_marks(tmp_path: Path, port: int) -> None:
    health = f"{{http: {{port: {port}}}, interval: 100ms, failures: 2, on_failure: alert}}"
    with Daemon(tmp_path, f"services: {{web: {{{server(tmp_path, port)}, health: {health}}}}}\n") as daemon:
        daemon.up()
        pid = daemon.pid("web")
        (tmp_path / "ill").touch()
        row = daemon.until("web", lambda row: row.health == "unhealthy")
        assert row.reason == "unhealthy: http 500 Internal Server Error"
        (tmp_path / "ill").unlink()
        row = daemon.until("web", lambda row: row.health == "healthy")
        assert (row.pid, row.restarts) == (pid, 0)
        assert "healthy again" in row.reason


def test_a_flapping_readiness_touches_nothing(tmp_path: Path) -> None:
    here = tmp_path / "here"
    here.touch()
    ready = f"{{file: {here}, interval: 100ms, failures: 1}}"
    with Daemon(tmp_path, f"services: {{web: {{command: sleep 1000, ready: {ready}}}}}\n") as daemon:
        daemon.up()
        pid = daemon.pid("web")
        for _ in range(3):
            here.unlink()
            row = daemon.until("web", lambda row: not row.ready)
            assert row.reason == f"not ready: there is no {here}"
            here.touch()
            row = daemon.until("web", lambda row: row.ready)
        assert (row.pid, row.restarts, row.state.value) == (pid, 0, "running")


def test_a_command_that_forks_and_sleeps_is_killed_whole(tmp_path: Path) -> None:
    mark = f"{os.getpid()}.4711"
    ready = f"{{shell: 'echo working; setsid sleep {mark} & sleep {mark}', timeout: 300ms}}"
    with Daemon(tmp_path, f"services: {{web: {{command: sleep 1000, ready: {ready}}}}}\n") as daemon:
        daemon.up("--no-wait")
        # On a busy machine it may not have said so within its time, the first time.
        result = asked(daemon, "web", "ready", lambda result: "working" in result.detail)
        assert (result.ok, result.detail) == (False, "not done after 300 ms: killed; working")
        daemon.pserv("stop", "web", check=0)
        daemon.pserv("down", check=0)
        assert naming(mark) == []


def test_a_command_sees_what_the_service_sees(tmp_path: Path) -> None:
    options = "command: sleep 1000, env: {WHO: me}, cwd: /usr, ready: {shell: 'echo $WHO in $(pwd); exit 3'}"
    with Daemon(tmp_path, f"services: {{web: {{{options}}}}}\n") as daemon:
        daemon.up("--no-wait")
        result = asked(daemon, "web", "ready", lambda result: True)
        assert (result.ok, result.detail) == (False, "exit code 3: me in /usr")


def test_a_command_that_prints_without_end(tmp_path: Path) -> None:
    with Daemon(tmp_path, "services: {web: {command: sleep 1000, ready: {exec: yes, timeout: 30s}}}\n") as daemon:
        daemon.up("--no-wait")
        result = asked(daemon, "web", "ready", lambda result: True)
        assert (result.ok, result.detail) == (False, "killed: it printed more than 1 MB")


def test_a_command_that_is_not_there(tmp_path: Path) -> None:
    with Daemon(tmp_path, "services: {web: {command: sleep 1000, ready: no-such-program}}\n") as daemon:
        daemon.up("--no-wait")
        result = asked(daemon, "web", "ready", lambda result: True)
        assert "no-such-program" in result.detail
        assert "is it in the service's PATH?" in result.detail


def test_lines_of_an_earlier_run_make_nothing_ready(tmp_path: Path) -> None:
    go = Gate(tmp_path / "go")
    run = f"cat {go.path}; echo listening on 80; exec sleep 1000"
    with Daemon(tmp_path, f"services: {{web: {{shell: '{run}', ready: 'log:^listening'}}}}\n") as daemon:
        with daemon.start("up", "-d") as up:
            go.open()
            assert up.wait(30) == 0
        pid = daemon.pid("web")
        assert "printed 'listening on 80'" in daemon.status()["web"].reason
        kill(pid)
        row = daemon.until("web", lambda row: row.pid not in (None, pid))
        result = asked(daemon, "web", "ready", lambda result: result.run > 1)
        assert (result.ok, result.detail) == (False, "nothing was printed yet")
        go.open()
        assert daemon.until_restarted("web", pid).pid == row.pid


def test_a_supervisor_that_dies_does_not_forget_what_is_ill(tmp_path: Path, port: int) -> None:
    health = f"{{http: {{port: {port}}}, interval: 100ms, failures: 1, on_failure: alert}}"
    with Daemon(tmp_path, f"services: {{web: {{{server(tmp_path, port)}, health: {health}}}}}\n") as daemon:
        daemon.up()
        (tmp_path / "ill").touch()
        before = daemon.until("web", lambda row: row.health == "unhealthy")
        daemon.kill_supervisor()
        assert daemon.until("web", lambda row: True).health == "unhealthy"
        (tmp_path / "ill").unlink()
        assert daemon.until("web", lambda row: row.health == "healthy").pid == before.pid


def test_a_restart_while_a_probe_is_under_way(tmp_path: Path) -> None:
    """The command of the first run hangs when the run ends; the one of the second run is let through."""
    began, go = Gate(tmp_path / "began"), Gate(tmp_path / "go")
    ready = f"{{shell: 'cat {began.path}; cat {go.path}', timeout: 60s}}"
    with Daemon(tmp_path, f"services: {{web: {{command: sleep 1000, ready: {ready}}}}}\n") as daemon:
        daemon.up("--no-wait")
        first = daemon.until("web", lambda row: row.pid is not None)
        began.open()
        daemon.pserv("restart", "web", "--no-wait", check=0)
        daemon.until("web", lambda row: row.pid not in (None, first.pid))
        assert first.pid is not None
        assert not alive(first.pid)
        began.open()
        go.open()
        second = daemon.until_state("web", "running")
        assert [result.ok for result in daemon.story("web").service.probes["ready"]] == [True]
        assert (second.restarts, second.ready) == (0, True)


def test_a_traced_process_is_not_ended(tmp_path: Path, port: int) -> None:
    """Stopped by a debugger it does not answer; PTRACE_SEIZE is such a debugger."""
    seize = (
        "import ctypes, os, sys; libc = ctypes.CDLL(None, use_errno=True); "
        "libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) and sys.exit(os.strerror(ctypes.get_errno())); "
        "print('held', flush=True); sys.stdin.read()"
    )
    health = f"{{http: {{port: {port}}}, interval: 100ms, failures: 1}}"
    with Daemon(tmp_path, f"services: {{web: {{{server(tmp_path, port)}, health: {health}}}}}\n") as daemon:
        daemon.up()
        pid = daemon.pid("web")
        debugger = daemon_python(seize, str(pid))
        try:
            if debugger.stdout is None or debugger.stdout.readline() != "held\n":
                pytest.skip("nobody may trace here")
            (tmp_path / "ill").touch()
            row = daemon.until("web", lambda row: row.health == "unhealthy")
            assert row.pid == pid
            assert f"not ended while process {debugger.pid} traces it" in row.reason
        finally:
            debugger.kill()
            debugger.communicate()
        daemon.until("web", lambda row: row.pid not in (None, pid))


def daemon_python(code: str, *words: str) -> subprocess.Popen[str]:
    argv = [sys.executable, "-I", "-c", code, *words]
    return subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_probes_change_live(tmp_path: Path) -> None:
    with Daemon(
        tmp_path, "services: {web: {command: sleep 1000, ready: 'file:/no/such', start_timeout: 1h}}\n"
    ) as daemon:
        daemon.up("--no-wait")
        before = daemon.until("web", lambda row: row.pid is not None)
        daemon.write(f"services: {{web: {{command: sleep 1000, ready: 'file:{tmp_path}', start_timeout: 1h}}}}\n")
        daemon.pserv("reload", check=0)
        row = daemon.until_state("web", "running")
        assert (row.pid, row.restarts) == (before.pid, 0)
