"""Probes of real services by a real daemon: ready, unhealthy, flapping; whatever happens while one is asked."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pserv.model.status import ProbeResult, ServiceStatus
from tests.scenarios.daemon import Daemon, alive, kill, naming
from tests.scenarios.ports import Ports

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


def server(folder: Path, port: int, name: str = "web") -> str:
    """A service that answers 200, or 500 as long as `folder/NAME.ill` exists."""
    (folder / "server.py").write_text(SERVER)
    return f"command: {[sys.executable, '-I', str(folder / 'server.py'), str(port), str(folder / f'{name}.ill')]!r}"


SLEEP = "command: sleep 1000"
MARK = f"{os.getpid()}.4711"


def declared(folder: Path, ports: Ports) -> str:
    """A service for each test below that has no daemon of its own."""

    def probed(name: str, which: str, more: str) -> str:
        port = ports.one()
        return f"  {name}: {{{server(folder, port, name)}, {which}: {{http: {{port: {port}}}, {more}}}}}\n"

    gates = {name: folder / name for name in ("go", "began", "let")}
    for gate in gates.values():  # who reads one to its end waits until it is let through
        os.mkfifo(gate)
    run = f"cat {gates['go']}; echo listening on 80; exec sleep 1000"
    waits = f"cat {gates['began']}; cat {gates['let']}"
    forks = f"echo working; setsid sleep {MARK} & sleep {MARK}"
    sees = "ready: {shell: 'echo $WHO in $(pwd); exit 3'}"
    (folder / "here").touch()
    return f"""
defaults: {{autostart: false}}
services:
{probed("serving", "ready", "interval: 1h")}
{probed("failing", "health", "interval: 100ms, failures: 2")}
{probed("marked", "health", "interval: 100ms, failures: 2, on_failure: alert")}
{probed("traced", "health", "interval: 100ms, failures: 1")}
  flapping: {{{SLEEP}, ready: {{file: {folder}/here, interval: 100ms, failures: 1}}}}
  forking: {{{SLEEP}, ready: {{shell: '{forks}', timeout: 300ms}}}}
  seeing: {{{SLEEP}, env: {{WHO: me}}, cwd: /usr, {sees}}}
  loud: {{{SLEEP}, ready: {{exec: yes, timeout: 30s}}}}
  missing: {{{SLEEP}, ready: no-such-program}}
  again: {{shell: '{run}', ready: 'log:^listening'}}
  waiting: {{{SLEEP}, ready: {{shell: '{waits}', timeout: 60s}}}}
"""


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One daemon; each test has a service of its own."""
    folder = tmp_path_factory.mktemp("probes")
    with Ports() as ports, Daemon(folder, declared(folder, ports)) as daemon:
        daemon.up()
        yield daemon


def begin(daemon: Daemon, name: str) -> ServiceStatus:
    """Start it, and wait only until it runs."""
    daemon.pserv("start", name, "--no-wait", check=0)
    return daemon.until(name, lambda row: row.pid is not None)


def asked(daemon: Daemon, name: str, which: str, wanted: Callable[[ProbeResult], bool]) -> ProbeResult:
    """Wait until a probe has had such an answer."""
    found: list[ProbeResult] = []

    def looked(row: ServiceStatus) -> bool:
        found.extend(result for result in daemon.story(name).service.probes.get(which, ()) if wanted(result))
        return bool(found)

    daemon.until(name, looked)
    return found[-1]


def test_ready_by_http_then_running(ours: Daemon) -> None:
    ill = ours.folder / "serving.ill"
    ill.touch()
    with ours.start("start", "serving") as start:
        first = ours.until("serving", lambda row: row.pid is not None)
        assert first.state.value == "starting"
        assert not first.ready
        ill.unlink()
        assert start.wait(30) == 0
    row = ours.row("serving")
    assert (row.state.value, row.ready, row.pid) == ("running", True, first.pid)
    assert "ready after" in row.reason
    assert "http 200 OK" in row.reason
    results = ours.story("serving").service.probes["ready"]
    assert results[-1].ok
    assert all(not result.ok for result in results[:-1])
    shown = ours.pserv("status", "serving", check=0).stdout
    assert "Probe ready" in shown
    assert "http 200 OK" in shown
    ours.pserv("stop", "serving", check=0)


def test_unhealthy_is_restarted_with_the_reason(ours: Daemon) -> None:
    ours.pserv("start", "failing", check=0)
    pid, ill = ours.pid("failing"), ours.folder / "failing.ill"
    ill.touch()
    row = ours.until("failing", lambda row: row.pid not in (None, pid))
    ill.unlink()
    assert row.last_exit is not None
    assert row.last_exit.result == "watchdog"
    assert row.last_exit.text == "unhealthy: http 500 Internal Server Error"
    assert ours.until_restarted("failing", pid).restarts == 1
    ours.pserv("stop", "failing", check=0)


def test_alert_only_marks(ours: Daemon) -> None:
    ours.pserv("start", "marked", check=0)
    pid, ill = ours.pid("marked"), ours.folder / "marked.ill"
    ill.touch()
    row = ours.until("marked", lambda row: row.health == "unhealthy")
    assert row.reason == "unhealthy: http 500 Internal Server Error"
    ill.unlink()
    row = ours.until("marked", lambda row: row.health == "healthy")
    assert (row.pid, row.restarts) == (pid, 0)
    assert "healthy again" in row.reason
    ours.pserv("stop", "marked", check=0)


def test_a_flapping_readiness_touches_nothing(ours: Daemon) -> None:
    here = ours.folder / "here"
    ours.pserv("start", "flapping", check=0)
    pid = ours.pid("flapping")
    for _ in range(3):
        here.unlink()
        row = ours.until("flapping", lambda row: not row.ready)
        assert row.reason == f"not ready: there is no {here}"
        here.touch()
        row = ours.until("flapping", lambda row: row.ready)
    assert (row.pid, row.restarts, row.state.value) == (pid, 0, "running")
    ours.pserv("stop", "flapping", check=0)


def test_a_command_that_forks_and_sleeps_is_killed_whole(ours: Daemon) -> None:
    begin(ours, "forking")
    # On a busy machine it may not have said so within its time, the first time.
    result = asked(ours, "forking", "ready", lambda result: "working" in result.detail)
    assert (result.ok, result.detail) == (False, "not done after 300 ms: killed; working")
    ours.pserv("stop", "forking", check=0)
    assert naming(MARK) == []


def test_a_command_sees_what_the_service_sees(ours: Daemon) -> None:
    begin(ours, "seeing")
    result = asked(ours, "seeing", "ready", lambda result: True)
    assert (result.ok, result.detail) == (False, "exit code 3: me in /usr")
    ours.pserv("stop", "seeing", check=0)


def test_a_command_that_prints_without_end(ours: Daemon) -> None:
    begin(ours, "loud")
    result = asked(ours, "loud", "ready", lambda result: True)
    assert (result.ok, result.detail) == (False, "killed: it printed more than 1 MB")
    ours.pserv("stop", "loud", check=0)


def test_a_command_that_is_not_there(ours: Daemon) -> None:
    begin(ours, "missing")
    result = asked(ours, "missing", "ready", lambda result: True)
    assert "no-such-program" in result.detail
    assert "is it in the service's PATH?" in result.detail
    ours.pserv("stop", "missing", check=0)


def let_through(path: Path) -> None:
    """Wait until somebody reads this FIFO, and let it through."""
    os.close(os.open(path, os.O_WRONLY))


def test_lines_of_an_earlier_run_make_nothing_ready(ours: Daemon) -> None:
    go = ours.folder / "go"
    with ours.start("start", "again") as start:
        let_through(go)
        assert start.wait(30) == 0
    pid = ours.pid("again")
    assert "printed 'listening on 80'" in ours.row("again").reason
    kill(pid)
    row = ours.until("again", lambda row: row.pid not in (None, pid))
    first = int((ours.row("again").run_id or "").rpartition("/")[2]) - 1
    result = asked(ours, "again", "ready", lambda result: result.run > first)
    assert (result.ok, result.detail) == (False, "nothing was printed yet")
    let_through(go)
    assert ours.until_restarted("again", pid).pid == row.pid


def test_a_restart_while_a_probe_is_under_way(ours: Daemon) -> None:
    """The command of the first run hangs when the run ends; the one of the second run is let through."""
    first = begin(ours, "waiting")
    let_through(ours.folder / "began")
    ours.pserv("restart", "waiting", "--no-wait", check=0)
    ours.until("waiting", lambda row: row.pid not in (None, first.pid))
    assert first.pid is not None
    assert not alive(first.pid)
    let_through(ours.folder / "began")
    let_through(ours.folder / "let")
    second = ours.until_state("waiting", "running")
    assert [result.ok for result in ours.story("waiting").service.probes["ready"]] == [True]
    assert (second.restarts, second.ready) == (0, True)


def test_a_traced_process_is_not_ended(ours: Daemon) -> None:
    """Stopped by a debugger it does not answer; PTRACE_SEIZE is such a debugger."""
    seize = (
        "import ctypes, os, sys; libc = ctypes.CDLL(None, use_errno=True); "
        "libc.ptrace(0x4206, int(sys.argv[1]), 0, 0) and sys.exit(os.strerror(ctypes.get_errno())); "
        "print('held', flush=True); sys.stdin.read()"
    )
    ours.pserv("start", "traced", check=0)
    pid, ill = ours.pid("traced"), ours.folder / "traced.ill"
    debugger = daemon_python(seize, str(pid))
    try:
        if debugger.stdout is None or debugger.stdout.readline() != "held\n":
            pytest.skip("nobody may trace here")
        ill.touch()
        row = ours.until("traced", lambda row: row.health == "unhealthy")
        assert row.pid == pid
        assert f"not ended while process {debugger.pid} traces it" in row.reason
    finally:
        debugger.kill()
        debugger.communicate()
    ours.until("traced", lambda row: row.pid not in (None, pid))
    ill.unlink()
    ours.pserv("stop", "traced", check=0)


def test_a_supervisor_that_dies_does_not_forget_what_is_ill(tmp_path: Path, port: int) -> None:
    health = f"{{http: {{port: {port}}}, interval: 100ms, failures: 1, on_failure: alert}}"
    with Daemon(tmp_path, f"services: {{web: {{{server(tmp_path, port)}, health: {health}}}}}\n") as daemon:
        daemon.up()
        (tmp_path / "web.ill").touch()
        before = daemon.until("web", lambda row: row.health == "unhealthy")
        daemon.kill_supervisor()
        assert daemon.until("web", lambda row: True).health == "unhealthy"
        (tmp_path / "web.ill").unlink()
        assert daemon.until("web", lambda row: row.health == "healthy").pid == before.pid


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
