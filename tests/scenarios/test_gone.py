"""What others leave behind or never end: stopped means gone, an end always comes, limits hold, memory stays flat."""

from __future__ import annotations

import os
import random
import select
import signal
import subprocess
from pathlib import Path

import pytest

from tests.rounds import ROUNDS
from tests.scenarios.daemon import PATIENCE, Daemon, ended, forks, group_members, naming
from tests.scenarios.fifos import fifo, words


def test_a_child_that_ignores_term_does_not_outlive_its_leader(tmp_path: Path) -> None:
    """supervisord, circus, s6, runit and dinit say stopped and leave it running."""
    told = fifo(tmp_path / "told")
    child = f"trap '' TERM; echo $$ > {tmp_path}/told; while :; do sleep 1000; done"
    (tmp_path / "child.sh").write_text(child)
    (tmp_path / "leader.sh").write_text(f"trap 'exit 0' TERM; sh {tmp_path}/child.sh & wait")
    config = f"services:\n  pair: {{command: sh {tmp_path}/leader.sh}}\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        group = daemon.pid("pair")
        (pid,) = map(int, words(told, 1))
        assert set(group_members(group)) >= {group, pid}
        daemon.pserv("stop", "pair", check=0)
        assert not group_members(group)
        assert not naming(str(tmp_path / "child.sh"))
    os.close(told)


def test_ten_stops_are_side_by_side(tmp_path: Path) -> None:
    """Each service ends only when the last of them has got its signal: one after the other, they would never."""
    told, gate = fifo(tmp_path / "told"), fifo(tmp_path / "gate")
    (tmp_path / "slow.sh").write_text(
        f"trap 'echo asked > {tmp_path}/told; read line < {tmp_path}/gate; exit 0' TERM\n"
        f"sleep 1000 & echo up > {tmp_path}/told; wait"
    )
    services = "".join(f"  slow{n}: {{command: sh {tmp_path}/slow.sh, stop: {{timeout: 30s}}}}\n" for n in range(10))
    with Daemon(tmp_path, f"services:\n{services}") as daemon:
        daemon.up()
        assert words(told, 10) == [b"up"] * 10
        down = daemon.start("down")
        assert words(told, 10) == [b"asked"] * 10
        os.write(gate, b"go\n" * 10)
        output, errors = down.communicate(timeout=PATIENCE)
        assert down.returncode == 0, output + errors
        assert "KILL" not in output + errors
        assert not naming(str(tmp_path / "slow.sh"))
    os.close(told)
    os.close(gate)


@pytest.mark.parametrize("stable_after", ["0s", "1ms", "10s"])
def test_a_crash_loop_ends_at_its_limit_whatever_counts_as_stable(tmp_path: Path, stable_after: str) -> None:
    """supervisor#1285: with startsecs=0 the loop never becomes FATAL."""
    options = f"max_retries: 4, stable_after: {stable_after}, backoff: {{initial: 10ms}}"
    config = f"services:\n  loop: {{shell: 'echo x >> {tmp_path}/runs; exit 1', {options}}}\n"
    with Daemon(tmp_path, config) as daemon:
        daemon.up(check=None)
        after = daemon.until_state("loop", "failed")
        assert "4 retries" in after.reason
        assert (tmp_path / "runs").read_text() == "x\n" * 5


def peak(pid: int) -> int:
    """The largest resident size that a process ever had, in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def test_two_hundred_megabytes_of_log_cost_no_memory(tmp_path: Path) -> None:
    """honcho's queue grows with the output that nobody took yet."""
    told, gate = fifo(tmp_path / "told"), fifo(tmp_path / "gate")
    flood = f"head -c 1000000 /dev/zero; read line < {tmp_path}/gate; head -c 200000000 /dev/zero"
    config = f"""
services:
  flood: {{shell: 'exec 3>{tmp_path}/told; {flood}; echo done >&3; sleep 1000', stdout: {tmp_path}/flood.log}}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        status = daemon.daemon()
        ours = [pid for pid in (status.keeper_pid, status.supervisor_pid, *forks(status.keeper_pid)) if pid]
        before = [peak(pid) for pid in ours]
        os.write(gate, b"go\n")
        assert words(told, 1) == [b"done"]
        grown = [peak(pid) - size for pid, size in zip(ours, before, strict=True)]
        assert max(grown) < 3 << 20, grown
        daemon.pserv("down", check=0)
        assert (tmp_path / "flood.log").stat().st_size == 201_000_000
    (tmp_path / "flood.log").unlink()
    os.close(told)
    os.close(gate)


LOOP = """
services:
{crashing}
  polite: {{command: sh {folder}/polite.sh, restart: always}}
  missing: {{command: /no/such/program, restart: always, backoff: {{initial: 10ms, maximum: 20ms}}}}
"""


@pytest.mark.long
@pytest.mark.timeout(60 + 5 * ROUNDS)
def test_term_in_a_crash_loop_always_ends_it(tmp_path: Path) -> None:
    """circus#935: SIGTERM is lost in a respawn, and a hundred workers stay."""
    dice = random.Random()
    (tmp_path / "polite.sh").write_text("trap 'kill $!; exit 0' TERM; sleep 1000 & wait")
    (tmp_path / "crash.sh").write_text("(exec sleep 1000) & exit 1")
    options = "restart: always, backoff: {initial: 5ms, maximum: 20ms}"
    crashing = "\n".join(f"  crash{n}: {{command: sh {tmp_path}/crash.sh, {options}}}" for n in range(9))
    daemon = Daemon(tmp_path, LOOP.format(crashing=crashing, folder=tmp_path))
    with daemon:
        for number in range(ROUNDS):
            ready, told = os.pipe()
            keeper = daemon.start(
                "daemon", "--ready-fd", str(told),
                pass_fds=(told,), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            os.close(told)
            with os.fdopen(ready) as answer:
                assert "socket" in answer.readline()
            watch = os.pidfd_open(keeper.pid)
            poll = select.poll()
            poll.register(watch, select.POLLIN)
            assert not poll.poll(dice.uniform(0, 400)), "it ended before it was asked to"
            keeper.send_signal(signal.SIGTERM)
            ended(watch)
            os.close(watch)
            assert keeper.wait() == 0, f"round {number}"
            assert not daemon.marked(), f"round {number}"
