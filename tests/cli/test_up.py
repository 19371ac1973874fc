"""`up`, `down` and the tour, with a real daemon and real processes."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pserv.config import places

PSERV = [sys.executable, "-P", "-m", "pserv"]
CONFIG = """
services:
  hello: {type: oneshot, command: echo hello there}
  web: {command: sleep 1000, depends_on: [hello]}
  last: {type: oneshot, autostart: false, shell: "echo bye; exit 7"}
"""
Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a configuration; whatever runs by it is ended, and the state it leaves removed."""
    file = tmp_path / "pserv.yaml"
    file.write_text(CONFIG)
    yield tmp_path
    subprocess.run([*PSERV, "down"], cwd=tmp_path, env=environ(tmp_path), capture_output=True, check=False)
    shutil.rmtree(Path(places.state_folder(os.environ, os.geteuid())) / places.identity(str(file)), ignore_errors=True)


def environ(folder: Path) -> dict[str, str]:
    return os.environ | {"PSERV_SOCKET": str(folder / "run" / "s"), "XDG_STATE_HOME": str(folder / "state")}


@pytest.fixture
def start(folder: Path) -> Iterator[Start]:
    """Starts a command line and leaves it to the test."""
    started: list[subprocess.Popen[str]] = []

    def call(*line: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*PSERV, *line], cwd=folder, env=environ(folder), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        started.append(process)
        return process

    yield call
    for process in started:
        process.kill()
        process.communicate()


def run(start: Start, *line: str) -> tuple[int, str, str]:
    process = start(*line)
    out, err = process.communicate(timeout=50)
    return process.returncode, out, err


def services(start: Start) -> dict[str, dict[str, object]]:
    _, out, _ = run(start, "status", "--json")
    return {service["name"]: service for service in json.loads(out)["services"]}


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    seen = ""
    while text not in seen:
        line = process.stdout.readline()
        assert line, seen
        seen += line
    return seen


def test_a_daemon_in_the_foreground_ends_with_a_signal(start: Start) -> None:
    """What a terminal sends, and the death of the command: tests/scenarios/test_end.py."""
    process = start("up")
    assert "hello | hello there" in read_until(process, "hello there").replace("  ", " ")
    assert run(start, "wait", "web")[0] == 0
    pid = int(str(services(start)["web"]["pid"]))
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=50)
    assert process.returncode == 0, err
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert run(start, "status")[0] == 5


def test_detached_it_stays_and_up_again_applies_the_file(start: Start, folder: Path) -> None:
    code, out, err = run(start, "up", "-d")
    assert code == 0, err
    assert "web: running, pid " in out
    before = services(start)["web"]["pid"]
    (folder / "pserv.yaml").write_text(CONFIG.replace("sleep 1000", "sleep 1001"))
    code, out, err = run(start, "up", "-d")
    assert code == 0, err
    assert "web: restart because " in out
    assert services(start)["web"]["pid"] not in (None, before)
    code, out, _ = run(start, "down")
    assert code == 0
    assert "web: stopped" in out
    assert run(start, "down")[0] == 5


def test_a_daemon_that_up_left_is_a_program_of_its_own(start: Start, folder: Path) -> None:
    """It has a session and a name of its own, nothing of the terminal's, and no module from the working directory."""
    (folder / "socket.py").write_text("raise SystemExit('a module from the working directory was taken')")
    up = [sys.executable, "-m", "pserv", "up", "-d"]
    subprocess.run(up, cwd=folder, env=environ(folder), check=True, capture_output=True)
    _, out, _ = run(start, "status", "--json")
    keeper = Path(f"/proc/{json.loads(out)['daemon']['keeper_pid']}")
    assert os.getsid(int(keeper.name)) == int(keeper.name)
    if sys.platform.startswith("linux"):
        assert (keeper / "cmdline").read_bytes().startswith(b"pserv\0daemon\0")
        assert {os.readlink(keeper / "fd" / "0")} == {os.devnull}


def test_what_up_was_handed_is_not_the_daemons(start: Start, folder: Path) -> None:
    """Such as a lock of the caller's (flock(1)); nor does a parent that waits for nobody take its children from it."""
    reading, writing = os.pipe()
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])"
    )
    line = [sys.executable, "-c", ignoring, *PSERV, "up", "-d"]
    done = subprocess.run(
        line, cwd=folder, env=environ(folder), pass_fds=[writing], text=True, capture_output=True, check=False
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
    assert select.select([reading], [], [], 30)[0]
    assert os.read(reading, 1) == b""
    os.close(reading)
    assert services(start)["web"]["state"] == "running"


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_it_runs_with_standard_descriptors_closed(start: Start, folder: Path, closed: str) -> None:
    shell = ["sh", "-c", f'exec "$@" {closed}', "sh", *PSERV]
    subprocess.run([*shell, "up", "-d"], cwd=folder, env=environ(folder), check=True)
    assert services(start)["web"]["state"] == "running"
    subprocess.run([*shell, "down"], cwd=folder, env=environ(folder), check=True)


def test_a_working_directory_that_is_gone_is_told(folder: Path) -> None:
    gone = folder / "gone"
    gone.mkdir()
    line = ["sh", "-c", 'rmdir "$PWD"; exec "$@"', "sh", *PSERV, "up", "-d"]
    done = subprocess.run(line, cwd=gone, text=True, capture_output=True, check=False)
    assert done.returncode == 1
    assert "cannot look for a configuration: the working directory" in done.stderr
    assert "Traceback" not in done.stderr


def test_joining_a_daemon_follows_and_only_detaches(start: Start) -> None:
    run(start, "up", "-d")
    process = start("up")
    assert process.stderr is not None
    while "Ctrl-C leaves the daemon running" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=50)
    assert process.returncode == 0
    assert "detached; the daemon goes on" in err
    assert services(start)["web"]["state"] == "running"


def test_the_exit_code_of_a_service_is_that_of_up(start: Start) -> None:
    process = start("up", "--exit-code-from", "last", "last")
    out, err = process.communicate(timeout=50)
    assert process.returncode == 7, err
    assert "bye" in out


def test_mistakes_are_told_before_anything_is_started(start: Start, folder: Path) -> None:
    (folder / "pserv.yaml").write_text("services: {web: {exce: sleep}}\n")
    for line in (["up"], ["up", "-d"], ["check"], ["config"]):
        code, out, err = run(start, *line)
        assert (code, out) == (2, "")
        assert "exce" in err
    assert not (folder / "run").exists()


def test_check_and_config(start: Start) -> None:
    assert run(start, "check") == (0, "pserv.yaml: 3 services, no mistakes\n", "")
    code, out, _ = run(start, "config", "web", "--json")
    assert code == 0
    assert json.loads(out)["services"]["web"]["command"] == ["sleep", "1000"]
    assert run(start, "config", "nope")[0] == 4


def test_check_of_many_files_names_the_first(start: Start, folder: Path) -> None:
    (folder / "more").mkdir()
    for number in range(6):
        (folder / f"more/{number}.yaml").write_text(f"services: {{s{number}: {{command: sleep 1}}}}\n")
    (folder / "pserv.yaml").write_text("include: more\nservices: {web: {command: sleep 1}}\n")
    assert run(start, "check") == (0, "pserv.yaml and 6 files more: 7 services, no mistakes\n", "")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A folder for temporary files with a path that leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="pserv-test-", dir="/tmp") as folder:
        yield Path(folder)


def tour(folder: Path, *line: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PSERV, "demo", *line], env=os.environ | {"TMPDIR": str(folder)}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_the_tour_holds_its_promises_and_leaves_nothing(short_folder: Path) -> None:
    with tour(short_folder, "--json") as process:
        out, err = process.communicate(timeout=50)
    assert process.returncode == 0, out + err
    assert len(json.loads(out)["promises"]) == 14
    assert list(short_folder.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_tour_that_is_broken_off_leaves_nothing(short_folder: Path, number: signal.Signals) -> None:
    with tour(short_folder) as process:
        read_until(process, "$ pserv status")
        (lock,) = short_folder.glob("**/lock")
        keeper = os.pidfd_open(int(lock.read_text().split()[0]))
        process.send_signal(number)
        process.communicate(timeout=50)
    assert process.returncode == 130
    assert list(short_folder.iterdir()) == []
    assert select.select([keeper], [], [], 0)[0]
    os.close(keeper)
