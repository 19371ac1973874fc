"""Secrets with a mark of their own, looked for in all that every command and operation says and in every file."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from pserv.api import operations as op
from pserv.api.client import Client
from pserv.cli import table
from pserv.cli.main import main
from pserv.model.errors import PservError
from pserv.supervisor.record import VALUES
from tests.scenarios.daemon import PATIENCE, Daemon, environ, kill, pids

MARK = "c4n4ry"
"""Part of each value; what was masked has no part of it left."""

SLEEP = "sleep 10000"
PRINT = 'echo "$EXEC $DIR $ENV $PART $FROM_FILE"; cat $FILE_FILE; echo "$LONG" >&2'
SECRETS = """{
      EXEC: {exec: cat exec.txt}, FILE: {file: file.txt, deliver: file}, DIR: {provider: folder}, ENV: {env: OUTSIDE},
      LONG: {file: long.txt, refresh: 1h}, PART: {exec: cat part.txt, deliver: none}}"""
GETS = f'env_file: app.env, env: {{URL: "db://${{secrets.PART}}@host"}}, secrets: {SECRETS}'

CONFIG = f"""
secrets: {{folder: {{dir: secrets}}}}
defaults: {{backoff: {{initial: 1h, maximum: 1h}}}}
services:
  runs: {{command: {SLEEP}, {GETS}}}
  crashes: {{shell: '{PRINT}; exit 1', stdout: crashes.log, {GETS}}}
  hooked: {{command: {SLEEP}, hooks: {{pre_start: {{shell: '{PRINT}; exit 1'}}}}, stdout: hooked.log, {GETS}}}
  probed: {{command: {SLEEP}, ready: {{exec: {{shell: '{PRINT}; exit 1'}}}}, {GETS}}}
  says: {{shell: 'python3 notify.py; exec {SLEEP}', type: notify, {GETS}}}
  broken: {{command: {SLEEP}, secrets: {{EXEC: {{exec: {{shell: 'cat exec.txt; cat exec.txt >&2; exit 1'}}}}}}}}
"""

NOTIFY = """
import os, socket
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
    address = os.environ["NOTIFY_SOCKET"]
    sock.connect(chr(0) + address[1:] if address[0] == "@" else address)
    sock.send(f"READY=1\\nSTATUS=with {os.environ['EXEC']}\\n".encode())
"""

WORDS: dict[str, tuple[str, ...]] = {
    "up": ("-d", "--timeout", "0.1s"),
    "start": ("runs",),
    "stop": ("broken",),
    "restart": ("runs",),
    "run": ("runs",),
    "scale": ("runs=2",),
    "signal": ("CONT", "runs"),
    "exec": ("runs", "--", "true"),
    "logs": ("runs",),
    "wait": ("runs",),
    "completion": ("bash",),
    "config": ("--no-origins",),
}
"""What stands after a command that needs words, or would tell all that a service prints, which is its own."""

APART = {"daemon", "demo", "init", "down", "upgrade"}
"""Those that are no questions to this daemon: they begin one, write a file, or end it."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("canary")
    (folder / "secrets").mkdir()
    values = {"exec.txt": "3x3c", "file.txt": "f1l3", "secrets/DIR": "d1r", "part.txt": "p4rt"}
    for name, value in values.items():
        (folder / name).write_text(f"{MARK}-{value}-{MARK}\n")
    (folder / "long.txt").write_text("".join(f"{MARK}-line-{number}-{MARK}\n" for number in range(9)))
    (folder / "app.env").write_text(f"FROM_FILE='{MARK}-env-file-{MARK}'\n")
    (folder / "notify.py").write_text(NOTIFY)
    with Daemon(folder, CONFIG) as daemon:
        daemon.env["OUTSIDE"] = f"{MARK}-outside-{MARK}"
        daemon.up("--no-wait")
        for name in ("crashes", "hooked", "broken"):
            daemon.until(name, lambda row: row.state.value == "backoff" and row.restarts > 0)
        daemon.until("probed", lambda row: "***" in probed(daemon))
        daemon.until("says", lambda row: bool(row.says))
        yield daemon


def probed(daemon: Daemon) -> str:
    """What the last answer to the probe was."""
    results = daemon.story("probed").service.probes.get("ready", ())
    return results[-1].detail if results else ""


def look(text: str, what: object) -> None:
    """Nothing of a value is there."""
    place = text.find(MARK)
    assert place < 0, f"{what}: {text[max(place - 200, 0) : place + 100]}"


def test_they_were_given_and_printed(daemon: Daemon) -> None:
    """Else what follows could not fail."""
    for name in ("crashes", "hooked"):
        printed = (daemon.folder / f"{name}.log").read_text()
        for value in ("3x3c", "f1l3", "d1r", "p4rt" if name == "none" else "outside", "line-8", "env-file"):
            assert f"{MARK}-{value}-{MARK}" in printed
    crash = daemon.story("crashes").crash
    assert crash is not None
    assert crash.lines[0].count("***") == 4
    assert daemon.status()["says"].says == "with ***"
    assert "***" in probed(daemon)


def test_no_command_tells(daemon: Daemon, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(daemon.folder)
    for name, value in daemon.env.items():
        monkeypatch.setenv(name, value)
    for command in table.COMMANDS:
        if command.name in APART:
            continue
        default = tuple(daemon.status()) if command.words else ()
        for more in ((), ("--json",)):
            words = [command.name, *more, *WORDS.get(command.name, default)]
            code = main(words)
            told = capfd.readouterr()
            assert code in (0, 1, 2), (words, told.err)
            look(told.out + told.err, words)


REQUESTS: dict[str, dict[str, object]] = {
    "start": {"names": ["runs"]},
    "stop": {"names": ["broken"]},
    "restart": {"names": ["runs"]},
    "scale": {"counts": {"runs": 2}},
    "run": {"name": "runs"},
    "wait": {"names": ["runs"]},
    "reload_service": {"names": ["runs"]},
    "signal": {"names": ["runs"], "signal": 18},
    "exec": {"name": "runs", "argv": ["true"]},
    "logs": {"names": ["runs"], "lines": 1000},
    "events": {"lines": 100_000},
}
LAST = {"down", "upgrade"}


def answers(client: Client, operation: op.Operation) -> Iterator[object]:
    request = msgspec.convert(REQUESTS.get(operation.name, {}), operation.request)
    try:
        if operation.stream:
            yield from client.stream(operation.name, request)
        else:
            yield client.call(operation.name, request)
    except PservError as error:
        yield error.message, error.hint


def test_no_operation_tells(daemon: Daemon) -> None:
    for operation in op.OPERATIONS:
        if operation.name not in LAST:
            with daemon.client() as client:
                look(repr(list(answers(client, operation))), operation.name)


def test_nothing_is_written_and_no_command_line_has_it(daemon: Daemon) -> None:
    (delivered,) = daemon.folder.glob("run/secrets.*")
    assert MARK in (delivered / "runs" / "FILE").read_text()
    files = [path for name in ("state", "run") for path in (daemon.folder / name).rglob("*")]
    for path in files:
        if path.is_file() and not path.is_relative_to(delivered) and path.name not in ("probed.log", "says.log"):
            look(path.read_text(errors="replace"), path)
    for pid in pids():
        for name in ("cmdline", "comm"):
            try:
                look(Path(f"/proc/{pid}/{name}").read_bytes().decode(errors="replace"), (pid, name))
            except OSError:
                continue
    keeper = daemon.daemon()
    for pid in (keeper.keeper_pid, keeper.supervisor_pid):
        there = Path(f"/proc/{pid}/environ").read_text(errors="replace").replace(daemon.env["OUTSIDE"], "")
        look(there, ("environ", pid))


def test_a_traceback_has_no_value(tmp_path: Path) -> None:
    """Values that the keeper cannot give back: that is told, what runs goes on, and its next run has them read."""
    services = f"services: {{web: {{command: {SLEEP}, restart: always, secrets: {{KEY: {{file: key.txt}}}}}}}}"
    (tmp_path / "key.txt").write_text(f"{MARK}-first-{MARK}")
    with Daemon(tmp_path, services) as daemon:
        ready, told = os.pipe()
        argv = [sys.executable, "-P", "-m", "tests.scenarios.faulty", f"note:{VALUES}web", str(told)]
        path = os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
        env = {**daemon.env, "PYTHONPATH": path}
        process = subprocess.Popen(argv, cwd=tmp_path, env=env, pass_fds=(told,), stdin=subprocess.DEVNULL)
        os.close(told)
        with os.fdopen(ready) as answer:
            assert "socket" in answer.readline()
        pid = daemon.until_state("web", "running").pid
        (tmp_path / "spoil").touch()
        daemon.kill_supervisor()
        (tmp_path / "key.txt").write_text(f"{MARK}-second-{MARK}")
        assert daemon.until("web", lambda row: row.pid is not None).pid == pid
        assert pid is not None
        kill(pid)
        again = daemon.until_restarted("web", pid).pid
        assert f"KEY={MARK}-second-{MARK}".encode() in environ(again or 0)
        text = daemon.daemon().last_traceback
        assert text.startswith("reading what is kept of the values of web:\nTraceback")
        look(text, "traceback")
        daemon.pserv("down", check=0)
        assert process.wait(PATIENCE) == 0
    (log,) = tmp_path.glob("state/*/daemon.log")
    assert "Traceback" in log.read_text()
    look(log.read_text(), log)


def test_a_reload_tells_neither_what_was_nor_what_will_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A secret that is written literally now, or was until now: the one is likely the other."""
    read = f"""
secrets: {{vault: {{exec: "echo ${{OUTSIDE_TOKEN}} {{key}}"}}}}
services:
  web:
    shell: exec {SLEEP}
    env: {{A: "${{OUTSIDE_TOKEN}}", URL: "db://${{secrets.FILE}}@h", PORT: 1}}
    env_file: app.env
    secrets: {{FILE: {{file: file.txt}}, V: vault}}
"""
    literal = f"""
services:
  web:
    shell: 'exec {SLEEP} #{MARK}-file-{MARK}'
    env: {{A: {MARK}-a, URL: "db://{MARK}-file-{MARK}@h", FILE: {MARK}-2, FROM_FILE: {MARK}, V: {MARK}-v, PORT: 2}}
"""
    (tmp_path / "app.env").write_text(f"FROM_FILE={MARK}\n")
    (tmp_path / "file.txt").write_text(f"{MARK}-file-{MARK}\n")
    asks = [("--dry-run",), ("--dry-run", "--json"), (), ("--previous", "--dry-run"), ("--list",), ("--previous",)]
    with Daemon(tmp_path, read) as daemon:
        daemon.env["OUTSIDE_TOKEN"] = f"{MARK}-outside-{MARK}"
        daemon.up()
        monkeypatch.chdir(tmp_path)
        for name, value in daemon.env.items():
            monkeypatch.setenv(name, value)

        def told(*words: str) -> str:
            assert main(list(words)) == 0
            out, err = capfd.readouterr()
            look(out + err, words)
            return out

        for words in (("config", "--running"), ("show", "web"), ("show", "web", "--env"), ("status", "--json")):
            told(*words)
        daemon.write(literal)
        for more in asks:
            plan = told("reload", *more)
            if not more:
                assert "env.A changed" in plan
                assert "env.PORT 1 → 2" in plan
                daemon.write(read)
        told("events", "--json", "-n", "1000")
