"""What cannot be started: the step and the reason in `status NAME`, the daemon and the other services unharmed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from tests.scenarios.daemon import Daemon


def test_each_failed_step_is_told_with_its_reason(tmp_path: Path) -> None:
    interpreter = "/no/such/interpreter"
    script = tmp_path / "script"
    script.write_text(f"#!{interpreter}\n")
    script.chmod(0o755)
    plain = tmp_path / "plain"
    plain.write_text("echo plain\n")
    busy = tmp_path / "busy"
    shutil.copy("/bin/sleep", busy)
    reasons = {
        "missing": "cannot exec /no/such/program: No such file or directory",
        "unfound": "cannot exec no-such-program: it is in no folder of PATH=/bin: No such file or directory",
        "script": f"cannot exec {script}: its interpreter {interpreter} does not exist: No such file or directory",
        "folder": f"cannot exec {tmp_path}: it is a folder: Permission denied",
        "plain": f"cannot exec {plain}: it is not executable (chmod +x): Permission denied",
        "nowhere": "cannot chdir /no/such/folder: No such file or directory",
        "big": "cannot exec /bin/sleep: the largest variable is BIG with 200000 characters: Argument list too long",
        "busy": f"cannot exec {busy}: Text file busy",
    }
    declared = f"""
defaults: {{restart: on-failure, backoff: {{strategy: constant, initial: 1h, maximum: 1h, jitter: 0}}}}
services:
  good: {{command: sleep 10000}}
  missing: {{exec: /no/such/program}}
  unfound: {{exec: no-such-program, env: {{PATH: /bin}}}}
  script: {{exec: {script}}}
  folder: {{exec: {tmp_path}}}
  plain: {{exec: {plain}}}
  nowhere: {{command: sleep 10000, cwd: /no/such/folder}}
  big: {{command: /bin/sleep 10000, env: {{BIG: {"x" * 200_000}}}}}
  busy: {{command: {busy} 10000}}
  never: {{exec: /no/such/program, restart: never}}
"""
    with Daemon(tmp_path, declared) as daemon, busy.open("r+b"):
        daemon.up("--timeout", "10ms", check=1)
        for name, reason in reasons.items():
            row = daemon.until_state(name, "backoff")
            assert row.reason == f"{reason}; restart 1 in 1 h; policy on-failure"
            shown = daemon.pserv("status", name, check=1).stdout
            assert f"reason  {reason}; restart 1 in 1 h; policy on-failure" in shown
            assert "next  in " in shown
        assert daemon.until_state("never", "failed").reason == f"{reasons['missing']}; policy never"
        started = daemon.pserv("start", "never", check=1)
        assert started.stdout.startswith("never: failed after ")
        assert started.stdout.endswith(f": {reasons['missing']}; policy never\n")
        assert daemon.status()["good"].state.value == "running"


def test_what_was_missing_is_found_when_it_comes(tmp_path: Path) -> None:
    late = tmp_path / "late"
    declared = f"services:\n  late: {{exec: {late}, backoff: {{initial: 50ms, maximum: 50ms}}}}\n"
    with Daemon(tmp_path, declared) as daemon:
        daemon.up("--timeout", "10ms", check=1)
        daemon.until("late", lambda row: row.restarts >= 2)
        written = tmp_path / "written"
        written.write_text("#!/bin/sh\nexec sleep 10000\n")
        written.chmod(0o755)
        written.rename(late)
        assert daemon.until_state("late", "running").restarts >= 2


@pytest.mark.skipif(os.geteuid() != 0 or shutil.which("unshare") is None, reason="mounting needs root and unshare")
def test_a_user_or_group_that_is_gone_is_told(tmp_path: Path) -> None:
    passwd, group = tmp_path / "passwd", tmp_path / "group"
    shutil.copy("/etc/passwd", passwd)
    shutil.copy("/etc/group", group)
    with passwd.open("a") as file:
        file.write("pserv-ghost:x:64123:64123::/:/bin/sh\n")
    with group.open("a") as file:
        file.write("pserv-ghosts:x:64124:\n")
    mounts = 'mount --bind "$0" /etc/passwd && mount --bind "$1" /etc/group && shift && exec "$@"'
    wrapper = ["unshare", "--mount", "/bin/sh", "-c", mounts, str(passwd), str(group)]
    declared = """
defaults: {restart: never}
services:
  good: {command: sleep 10000}
  user: {command: sleep 10000, cwd: /, user: pserv-ghost}
  group: {command: sleep 10000, group: pserv-ghosts}
"""
    with Daemon(tmp_path, declared, wrapper=wrapper) as daemon:
        daemon.up()
        pid = daemon.pid("good")
        shutil.copy("/etc/passwd", passwd)
        shutil.copy("/etc/group", group)
        reasons = {"user": "no such user: pserv-ghost", "group": "no such group: pserv-ghosts"}
        daemon.pserv("restart", *reasons, check=1)
        for name, reason in reasons.items():
            shown = daemon.pserv("status", name, check=1).stdout
            assert f"reason  cannot find the user and group: {reason}; policy never" in shown
        refused = daemon.pserv("exec", "user", "--", "true", check=126)
        assert refused.stderr == "cannot run true: cannot find the user and group: no such user: pserv-ghost\n"
        assert daemon.pid("good") == pid
        checked = daemon.pserv("check", check=2).stderr
        assert "services.user.user: there is no user 'pserv-ghost' on this machine" in checked


@pytest.mark.skipif(shutil.which("prlimit") is None, reason="needs prlimit")
def test_with_64_descriptors_the_services_too_many_fail_and_the_daemon_goes_on(tmp_path: Path) -> None:
    names = [f"s{number}" for number in range(40)]
    services = "services:\n" + "".join(f"  {name}: {{command: sleep 10000, restart: never}}\n" for name in names)
    with Daemon(tmp_path, services, wrapper=["prlimit", "--nofile=64:64"]) as daemon:
        daemon.up(check=1)
        before = daemon.status()
        failed = [name for name, row in before.items() if row.state.value == "failed"]
        running = {name: row.pid for name, row in before.items() if row.state.value == "running"}
        assert len(running) + len(failed) == 40
        assert len(running) >= 8
        assert failed
        for name in failed:
            assert before[name].reason == "cannot open the pipes of the output: Too many open files; policy never"
        assert "Too many open files" in daemon.pserv("status", failed[0], check=1).stdout
        assert daemon.pserv("logs", check=0).stderr == ""
        assert daemon.pserv("exec", next(iter(running)), "--", "echo", "hello", check=0).stdout == "hello\n"

        stopped = list(running)[:2]
        daemon.pserv("stop", *stopped, check=0)
        daemon.pserv("start", failed[0], check=0)
        daemon.kill_supervisor()
        after = daemon.status()
        kept = {name: pid for name, pid in running.items() if name not in stopped}
        assert kept == {name: after[name].pid for name in kept}
        assert after[failed[0]].state.value == "running"
        assert daemon.daemon().supervisor_restarts == 1
        daemon.pserv("down", check=0)
