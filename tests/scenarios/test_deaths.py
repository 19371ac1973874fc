"""Services that die in every way, and what is done to them at the wrong moment: they come back, once."""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import threading
from pathlib import Path

import pytest

from pserv.api import operations as op
from pserv.model.errors import PservError
from tests.scenarios.daemon import PATIENCE, Daemon, alive, kill, naming
from tests.scenarios.fifos import fifo, words

ORPHANS = int(os.environ.get("PSERV_TEST_ORPHANS", "2000"))
"""5000 and more to see what is quadratic."""
HARMLESS = {
    signal.SIGCHLD, signal.SIGCONT, signal.SIGSTOP, signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGURG,
    signal.SIGWINCH,
}  # fmt: skip
"""Signals that end nothing by default."""


def test_each_signal_that_kills_is_followed_by_a_restart(tmp_path: Path) -> None:
    """Horust#121: who was killed has no exit code, and is not started again."""
    numbers = [number for number in range(1, 32) if number not in HARMLESS]
    services = "".join(f"  by{number}: {{command: sleep 1000, restart: on-failure}}\n" for number in numbers)
    with Daemon(tmp_path, f"services:\n{services}") as daemon:
        daemon.up()
        before = daemon.status()
        for number in numbers:
            pid = before[f"by{number}"].pid
            assert pid is not None
            os.kill(pid, number)
        for number in numbers:
            pid = before[f"by{number}"].pid
            assert pid is not None
            after = daemon.until_restarted(f"by{number}", pid)
            assert after.restarts == 1
            assert after.last_exit is not None
            assert after.last_exit.signal == signal.Signals(number).name.removeprefix("SIG")


def test_fifty_orders_at_once_leave_one_run(tmp_path: Path) -> None:
    """process-compose#347: two restarts at once make two copies."""
    (tmp_path / "one.sh").write_text(
        f"exec 9>{tmp_path}/lock; flock -n 9 || echo twice >> {tmp_path}/doubles\n"
        "trap 'kill $!; exit 0' TERM; sleep 1000 9>&- & wait"
    )
    with Daemon(tmp_path, f"services:\n  one: {{command: sh {tmp_path}/one.sh, stop: {{scope: group}}}}\n") as daemon:
        daemon.up()
        trouble: list[Exception] = []

        def order(what: str) -> None:
            try:
                with daemon.client() as client, client.stream(what, op.Act(("one",)), timeout=PATIENCE) as steps:
                    for _ in steps:
                        pass
            except PservError as error:
                trouble.append(error)

        orders = [threading.Thread(target=order, args=(("start", "stop", "restart")[n % 3],)) for n in range(50)]
        for thread in orders:
            thread.start()
        for thread in orders:
            thread.join(PATIENCE)
            assert not thread.is_alive()
        assert not trouble
        assert not (tmp_path / "doubles").exists()
        daemon.pserv("start", "one", check=0)
        pid = daemon.pid("one")
        assert [found for found in naming(str(tmp_path / "one.sh")) if found == pid]
        daemon.pserv("stop", "one", check=0)
        assert not naming(str(tmp_path / "one.sh"))


def test_a_restart_in_a_crash_loop_is_survived(tmp_path: Path) -> None:
    """supervisor#1387: the daemon dies of it. And supervisor 4.2.2: of a child that ends right before it is killed."""
    config = "services:\n  loop: {shell: exit 1, restart: always, backoff: {initial: 1ms, maximum: 1ms}}\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.up(check=None)
        before = daemon.daemon()
        for _ in range(15):
            for what, request in (("restart", op.Act(("loop",), wait=False)), ("stop", op.Act(("loop",)))):
                with daemon.client() as client, client.stream(what, request, timeout=PATIENCE) as steps:
                    for _ in steps:
                        pass
        after = daemon.daemon()
        assert (after.keeper_pid, after.supervisor_pid) == (before.keeper_pid, before.supervisor_pid)
        assert not after.last_traceback
        assert daemon.status()["loop"].state.value == "stopped"


def test_a_stop_wins_in_every_state(tmp_path: Path) -> None:
    """dinit#225, s6-overlay#566, process-compose#530: a stop at the wrong moment hangs or is forgotten."""
    config = """
services:
  fresh: {command: sleep 1000}
  backoff: {shell: exit 1, restart: always, backoff: {strategy: constant, initial: 1h, maximum: 1h}}
  waiting: {command: sleep 1000, depends_on: [backoff]}
  exited: {shell: exit 0}
  failed: {shell: exit 1, restart: never}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up("--timeout", "1s", check=None)
        daemon.until("backoff", lambda row: row.state.value == "backoff" and row.next is not None)
        daemon.pserv("stop", "--all", check=0)
        assert {row.state.value for row in daemon.status().values()} == {"stopped"}
        for _ in range(3):
            daemon.pserv("start", "fresh", "--no-wait", check=0)
            daemon.pserv("stop", "fresh", check=0)
            assert daemon.status()["fresh"].pid is None


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda path: path.unlink(), "No such file"),
        (lambda path: path.chmod(0o644), "Permission denied"),
    ],
    ids=["missing", "forbidden"],
)
def test_a_start_that_fails_later_is_told_and_tried_again(tmp_path: Path, spoil: object, text: str) -> None:
    """Pebble: a failed start out of back-off stays there for ever. supervisor: a crash at EMFILE."""
    assert callable(spoil)
    program = tmp_path / "program"

    def mend() -> None:
        program.unlink(missing_ok=True)
        shutil.copy("/bin/sleep", program)
        program.chmod(0o755)

    mend()
    backoff = "{strategy: constant, initial: 50ms, maximum: 50ms, jitter: 0}"
    config = f"services:\n  web: {{command: {program} 1000, restart: always, backoff: {backoff}}}\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        pid = daemon.pid("web")
        mend_later = tmp_path / "other"
        os.rename(program, mend_later)  # the running one keeps its text file
        shutil.copy(mend_later, program)
        spoil(program)
        kill(pid)
        told = daemon.until("web", lambda row: row.state.value == "backoff" and text in row.reason)
        assert str(program) in told.reason
        mend()
        daemon.until_restarted("web", pid)


@pytest.mark.long
def test_thousands_of_orphans_at_once_are_reaped(tmp_path: Path) -> None:
    """s6 2.12.0: reaping in quadratic time; Pebble #380: a shutdown that hangs in the reaper."""
    told, gate = fifo(tmp_path / "told"), fifo(tmp_path / "gate")
    crowd = f"""
import os
gate = os.open({str(tmp_path / "gate")!r}, os.O_RDONLY)
read, write = os.pipe()
many = "n=0; while [ $n -lt {ORPHANS} ]; do (read -r line <&9) & n=$((n+1)); done; echo forked > {tmp_path}/told"
os.dup2(read, 9)
os.waitpid(os.posix_spawn("/bin/sh", ["sh", "-c", many], {{}}), 0)
os.read(gate, 1)
os.close(write)
os.read(gate, 1)
"""
    (tmp_path / "crowd.py").write_text(crowd)
    config = f"""
services:
  crowd: {{command: {sys.executable} -I -S {tmp_path}/crowd.py}}
  other: {{command: sleep 1000}}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        assert words(told, 1) == [b"forked"]
        os.write(gate, b"x")
        pid = daemon.pid("other")
        kill(pid)
        daemon.until_restarted("other", pid)
        daemon.pserv("down", check=0)
        assert not naming(str(tmp_path / "crowd.py"))
    os.close(told)
    os.close(gate)


def cpu(pid: int) -> int:
    """Processor time so far, in clock ticks."""
    fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def test_a_closed_stdout_costs_nothing(tmp_path: Path) -> None:
    """supervisor#807: the descriptor is polled for ever, at 100 % of a processor."""
    told = fifo(tmp_path / "told")
    config = f"""
services:
  quiet: {{shell: 'exec 1>&- 2>&-; echo closed > {tmp_path}/told; exec sleep 1000'}}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        assert words(told, 1) == [b"closed"]
        status = daemon.daemon()
        pids = [pid for pid in (status.keeper_pid, status.logger_pid) if pid]
        before = [cpu(pid) for pid in pids]
        assert not select.select([told], [], [], 1.0)[0]  # a second in which nothing happens
        assert max(cpu(pid) - spent for pid, spent in zip(pids, before, strict=True)) <= 10
    os.close(told)


def test_all_output_comes_even_when_a_grandchild_keeps_the_pipe(tmp_path: Path) -> None:
    """supervisor#11, pitchfork#540, process-compose#237: the last lines are lost, or #258: the end is never told."""
    size = 64 << 10
    (tmp_path / "holder.sh").write_text(f"(exec sleep 1000) & head -c {size} /dev/zero; exit 3")
    log = tmp_path / "out.log"
    config = f"services:\n  web: {{command: sh {tmp_path}/holder.sh, restart: never, stdout: {log}}}\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.up(check=None)
        daemon.until_state("web", "failed")
        assert log.stat().st_size == size
        daemon.pserv("down", check=0)


def test_services_outlive_the_supervisor_and_write_on(tmp_path: Path) -> None:
    """pitchfork#631: after the daemon died each line is a SIGPIPE."""
    told, gate = fifo(tmp_path / "told"), fifo(tmp_path / "gate")
    (tmp_path / "writer.sh").write_text(
        f"exec 3<{tmp_path}/gate 4>{tmp_path}/told; while read line <&3; do echo $line; echo $line >&4; done"
    )
    log = tmp_path / "out.log"
    with Daemon(tmp_path, f"services:\n  writer: {{command: sh {tmp_path}/writer.sh, stdout: {log}}}\n") as daemon:
        daemon.up()
        pid, supervisor = daemon.pid("writer"), daemon.daemon().supervisor_pid
        os.kill(supervisor, signal.SIGKILL)
        for number in range(100):
            os.write(gate, b"%d\n" % number)
            assert words(told, 1) == [b"%d" % number]
        assert alive(pid)
        assert daemon.pid("writer") == pid
        daemon.pserv("down", check=0)
        assert log.read_text().split() == [str(number) for number in range(100)]
    os.close(told)
    os.close(gate)
