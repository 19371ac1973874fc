"""One spawn path: each step that fails is told, and what a child gets."""

from __future__ import annotations

import contextlib
import errno
import os
import pwd
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from pserv.keeper.protocol import Message
from tests.keeper.rig import Daemon, Supervisor, launching

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
    assert log.read_text() == "one\ntwo\n"
    assert rig.finish(supervisor) == 0


BIG = "/bin/true: the largest variable is BIG with 200000 characters"


@pytest.mark.parametrize(
    ("step", "number", "detail", "launch"),
    [
        ("exec", errno.ENOENT, "prog: it is in no folder of PATH=/bin", {"argv": ["prog"], "env": {"PATH": "/bin"}}),
        ("exec", errno.ENOENT, "/no/such/program", {"argv": ["/no/such/program"]}),
        ("exec", errno.EACCES, "/etc/passwd: it is not executable (chmod +x)", {"argv": ["/etc/passwd"]}),
        ("exec", errno.EACCES, "/etc: it is a folder", {"argv": ["/etc"]}),
        ("exec", errno.E2BIG, BIG, {"argv": ["/bin/true"], "env": {"BIG": "x" * 200_000}}),
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


def test_one_that_hangs_before_its_exec_holds_no_pipe_of_those_forked_after_it(daemon: Start) -> None:
    supervisor = daemon().supervisor()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(writing, bytes(4096))
    os.set_blocking(writing, True)
    hung = launching("exit 0", stdout={"kind": "passed"}, banner="nobody reads this")
    both = ({"do": "spawn", "key": "hung", "run": 1, "launch": hung}, spawning(2, "exit 3"))
    supervisor.do("web", *both, fds=(writing,))
    assert supervisor.report("spawned")["run"] == 2
    assert supervisor.report("exited", 2)["code"] == 3
    assert not supervisor.seen("spawned")
    supervisor.kill("hung", 1)
    assert supervisor.report("exited", 1)["signal"] == signal.SIGKILL
    os.close(reading)
    os.close(writing)


def spawning(run: int, script: str) -> Message:
    return {"do": "spawn", "run": run, "launch": launching(script)}


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


def printed(supervisor: Supervisor, log: Path, run: int, script: str, **launch: object) -> list[str]:
    supervisor.up(f"s{run}", run, script, stdout={"kind": "file", "path": str(log)}, **launch)
    assert supervisor.report("exited", run)["code"] == 0
    return log.read_text().splitlines()


def test_the_environment_is_what_was_asked_for(daemon: Start, tmp_path: Path) -> None:
    # The last but one keeps Python from adding LC_CTYPE to an environment in the C locale (PEP 538).
    given = {
        "LANG": "C", "LC_TIME": "C", "NOTIFY_SOCKET": "/x", "LISTEN_FDS": "1", "WATCHDOG_USEC": "1", "SECRET": "s",
        "INVOCATION_ID": "i", "JOURNAL_STREAM": "8:1", "PYTHONCOERCECLOCALE": "0", "PSERV_RUN_ID": "other/web/1",
    }  # fmt: skip
    rig = daemon(environment=given)
    supervisor = rig.supervisor()

    def names(run: int, **launch: object) -> dict[str, str]:
        lines = printed(supervisor, tmp_path / f"env{run}", run, "/usr/bin/env", **launch)
        return dict(line.split("=", 1) for line in lines)

    own = {"PWD", "SHLVL", "_", "OLDPWD"}  # the shell's
    everything = names(1, inherit=True, env={"LANG": "de"})
    assert everything["SECRET"] == "s"
    assert everything["LANG"] == "de"
    assert not {name for name in given if name.startswith(("NOTIFY", "LISTEN", "WATCHDOG", "INVOC", "JOURNAL"))} & set(
        everything
    )
    assert everything["PSERV_RUN_ID"] == f"{rig.cookie}/s1/1"
    assert set(names(2, inherit=["LC_*", "PATH"])) - own == {"LC_TIME", "PATH", "PSERV_RUN_ID"}
    assert set(names(3, inherit=False, env={"A": "b=c"})) - own == {"A", "PSERV_RUN_ID"}


def test_a_child_starts_as_if_nothing_had_been_changed(daemon: Start, tmp_path: Path) -> None:
    """Own limits, oom score, signals and session are the keeper's alone."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    score = Path("/proc/self/oom_score_adj").read_text().strip()
    supervisor = daemon(wrapper=("nohup",)).supervisor()
    script = "ulimit -n; cat /proc/self/oom_score_adj; grep -E 'Sig(Blk|Ign)' /proc/self/status; cat /proc/$$/stat"
    lines = printed(supervisor, tmp_path / "log", 1, script)
    assert lines[:2] == [str(soft), score]
    # 32 and 33 are the C library's own (signal(7)): it lets nobody set them, so they stay as they were inherited.
    settable = ~(0b11 << 31)
    assert [int(line.split()[1], 16) & settable for line in lines[2:4]] == [0, 0]
    pid, _, _, _, group, session = lines[4].split()[:6]
    assert pid == group == session


def test_limits_nice_umask_and_folder_are_set(daemon: Start, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    launch = {"limits": {"nofile": [100, 200], "core": [0, None]}, "nice": 7, "umask": 0o027, "oom_score_adj": 300}
    script = "ulimit -Sn; ulimit -Hn; nice; umask; cat /proc/self/oom_score_adj; pwd"
    lines = printed(supervisor, tmp_path / "log", 1, script, cwd=str(tmp_path), **launch)
    assert lines == ["100", "200", "7", "0027", "300", str(tmp_path)]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_is_that_user_and_no_more(daemon: Start, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    supervisor = daemon().supervisor()
    script = "id -u; id -g; id -G; echo $USER $LOGNAME $HOME; echo again > /dev/stdout; grep CapEff /proc/self/status"
    lines = printed(supervisor, tmp_path / "log", 1, script, user="nobody")
    account = pwd.getpwnam("nobody")
    assert lines[:2] == [str(account.pw_uid), str(account.pw_gid)]
    assert "0" not in lines[2].split()
    assert lines[3] == f"nobody nobody {account.pw_dir}"
    assert lines[4:] == ["again", "CapEff:\t0000000000000000"]
    lines = printed(
        supervisor, tmp_path / "log2", 2, "id -u; id -g; id -G", user="12345", group="daemon", groups=["4", "24"]
    )
    assert lines == ["12345", "1", "1 4 24"]
    secret = tmp_path / "secret"
    secret.mkdir(mode=0o700)
    supervisor.spawn("late", 3, "exit 0", user="nobody", cwd=str(secret))
    report = supervisor.report("spawn-failed", 3)
    assert (report["step"], report["errno"]) == ("chdir", errno.EACCES)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give root up")
def test_an_ordinary_user_cannot_become_another(daemon: Start, common_folder: Path) -> None:
    rig = daemon(folder=common_folder, wrapper=("setpriv", "--reuid=12345", "--regid=12345", "--clear-groups"))
    supervisor = rig.supervisor()
    supervisor.spawn("web", 1, "exit 0", user="nobody")
    report = supervisor.report("spawn-failed", 1)
    assert (report["step"], report["errno"]) == ("setgroups", errno.EPERM)
    supervisor.up("web", 2, "exit 0", user="12345")
    assert supervisor.report("exited", 2)["code"] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to choose a user with few processes")
def test_a_fork_that_fails_is_told(daemon: Start, common_folder: Path) -> None:
    user = str(100_000 + os.getpid())  # of whom there are just keeper, supervisor, logger and one service
    wrapper = ("prlimit", "--nproc=4:4", "setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups")
    supervisor = daemon(folder=common_folder, wrapper=wrapper).supervisor()
    supervisor.up("web", 1, "exec sleep 1000")
    supervisor.spawn("more", 2, "exit 0", stdout={"kind": "file", "path": "/log"})
    report = supervisor.report("spawn-failed", 2)
    assert (report["step"], report["errno"]) == ("fork", errno.EAGAIN)
    supervisor.kill("web", 1)
    assert supervisor.report("exited", 1)["gone"] is True


def test_want_of_descriptors_fails_the_service_that_is_one_too_many(daemon: Start, tmp_path: Path) -> None:
    rig = daemon(wrapper=("prlimit", "--nofile=64:64"))
    supervisor = rig.supervisor()
    log = {"kind": "file", "path": str(tmp_path / "log")}
    run = 0
    while not supervisor.seen("spawn-failed"):
        run += 1
        supervisor.spawn(f"s{run}", run, "exec sleep 1000", stdout=log)
        supervisor.ask({"op": "do", "key": "@ask", "commands": []})
    report = supervisor.report("spawn-failed", run)
    assert (report["step"], report["errno"]) == ("pipe", errno.EMFILE)
    assert run > 8
    supervisor.kill("s1", 1)
    supervisor.report("exited", 1)
    assert rig.finish(supervisor) == 0
