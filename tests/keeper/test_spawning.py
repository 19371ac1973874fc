"""One spawn path: each step that fails is told, and what a child gets."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.keeper.rig import Daemon, launching

Start = Callable[..., Daemon]


def test_a_service_runs_and_its_end_is_told(daemon: Start, tmp_path: Path) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    log = tmp_path / "log"
    pid = supervisor.up("web", 1, "echo one; echo two >&2; exit 3", stdout={"kind": "file", "path": str(log)},
                        stderr={"kind": "stdout"})  # fmt: skip
    report = supervisor.report("exited", 1)
    assert (report["pid"], report["code"], report["signal"], report["gone"]) == (pid, 3, None, True)
    assert (report["lines"], report["printed"]) == (["one", "two"], 8)
    assert report["max_rss"] > 0
    assert log.read_text() == "one\ntwo\n"
    assert rig.finish(supervisor) == 0


@pytest.mark.parametrize(
    ("step", "number", "detail", "launch"),
    [
        ("exec", errno.ENOENT, "no-such-program", {"argv": ["no-such-program"]}),
        ("exec", errno.ENOENT, "/no/such/program", {"argv": ["/no/such/program"]}),
        ("exec", errno.EACCES, "/etc/passwd", {"argv": ["/etc/passwd"]}),
        ("exec", errno.EACCES, "/etc", {"argv": ["/etc"]}),
        ("exec", errno.E2BIG, "/bin/true", {"argv": ["/bin/true"], "env": {"BIG": "x" * 200_000}}),
        ("exec", 0, "/bin/true: embedded null byte", {"argv": ["/bin/true", "a\0b"]}),
        ("chdir", errno.ENOENT, "/no/such/folder", {"cwd": "/no/such/folder"}),
        ("user", 0, "no such user: nobody-at-all", {"user": "nobody-at-all"}),
        ("user", 0, "no such group: no-group", {"group": "no-group"}),
        ("limits", 0, "no such limit on this system: wishes", {"limits": {"wishes": [1, 1]}}),
        ("limits", 0, "not allowed to raise maximum limit", {"limits": {"nofile": [1, 2**40]}}),
        ("oom_score_adj", errno.EINVAL, "5000", {"oom_score_adj": 5000}),
    ],
)
def test_a_step_that_fails_is_told(
    daemon: Start, step: str, number: int, detail: str, launch: dict[str, object]
) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    supervisor.do("web", {"do": "spawn", "run": 1, "launch": {**launching("exit 0"), **launch}})
    report = supervisor.report("spawn-failed", 1)
    assert (report["step"], report["errno"], report["detail"]) == (step, number, detail)
    assert not supervisor.seen("exited")
    # The key is free again, and nothing of the attempt is held.
    supervisor.up("web", 2, "exit 0")
    supervisor.report("exited", 2)


def test_the_cause_is_named_when_an_interpreter_is_missing(daemon: Start, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("#!/no/such/interpreter\n")
    script.chmod(0o755)
    supervisor = daemon().supervisor()
    supervisor.do("web", {"do": "spawn", "run": 1, "launch": launching(str(script), "x")})
    report = supervisor.report("spawn-failed", 1)
    assert report["detail"] == f"{script}: its interpreter /no/such/interpreter does not exist"


def test_a_program_that_is_being_written_is_told(daemon: Start, tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    supervisor = daemon().supervisor()
    with open(program, "ab"):
        supervisor.spawn("web", 1, str(program), "x")
        assert supervisor.report("spawn-failed", 1)["errno"] == errno.ETXTBSY


def test_a_script_without_an_interpreter_is_the_shells(daemon: Start, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text("exit $1\n")
    script.chmod(0o755)
    supervisor = daemon().supervisor()
    supervisor.up("web", 1, str(script), "5")
    assert supervisor.report("exited", 1)["code"] == 5


def test_the_services_own_path_is_searched(daemon: Start, tmp_path: Path) -> None:
    program = tmp_path / "only-here"
    program.write_text("#!/bin/sh\nexit 6\n")
    program.chmod(0o755)
    supervisor = daemon().supervisor()
    supervisor.up("web", 1, "only-here", "x", env={"PATH": f"/nowhere:{tmp_path}"})
    assert supervisor.report("exited", 1)["code"] == 6


def test_a_child_has_nothing_but_its_three_descriptors(daemon: Start, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    log = tmp_path / "log"
    argv = ("ls", "-l", "/proc/self/fd")
    supervisor.up("web", 1, *argv, stdout={"kind": "file", "path": str(log)})
    supervisor.report("exited", 1)
    links = [line.split()[8:] for line in log.read_text().splitlines()[1:]]
    own = [name for name, _, target in links if not target.startswith("/proc/")]  # ls opens the folder itself
    assert own == ["0", "1", "2"]
    assert links[0][2] == links[2][2] == "/dev/null"
