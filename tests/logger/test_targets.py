"""Targets that are deleted, full, locked, slow or no files at all: nothing is lost, and nobody else is harmed."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pty
import select
import shutil
import subprocess
import sys
import tty
from pathlib import Path

import pytest

from tests.logger.pretend_keeper import PATIENCE, Outlet, PretendKeeper, Seat

needs_root = pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounting needs root on Linux")


def written(seat: Seat, outlet: Outlet, data: bytes) -> None:
    """Have this printed and written, while other things go on."""
    outlet.print(data)
    seat.drain(outlet)


def offer(outlet: Outlet, data: bytes) -> int:
    """How much of it the pipe takes now: the worker may have made it smaller after poll said that there was room."""
    try:
        return os.write(outlet.write, data)
    except BlockingIOError:
        return 0


def test_a_folder_that_is_not_there_is_made(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a" / "b" / "c.log")
    written(keeper.seat(outlet), outlet, b"one\n")
    assert (tmp_path / "a" / "b" / "c.log").read_bytes() == b"one\n"


def test_a_file_is_made_before_anything_is_printed(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a.log")
    outlet.target["mode"] = 0o604
    keeper.seat(outlet)
    path = tmp_path / "a.log"
    while not path.exists() or path.stat().st_mode & 0o777 != 0o604:
        select.select([], [], [], 0.001)


def test_a_deleted_file_comes_back(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "logs" / "a.log"
    outlet = keeper.outlet(path)
    seat = keeper.seat(outlet)
    written(seat, outlet, b"one\n")
    shutil.rmtree(path.parent)
    while not path.exists() or not path.stat().st_size:  # noticed when it prints, at most a second later
        written(seat, outlet, b"again\n")
        select.select([], [], [], 0.05)
    assert path.read_bytes().startswith(b"again\n")


def test_after_a_rename_reopen_goes_on_in_a_new_file(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = keeper.outlet(path)
    seat = keeper.seat(outlet)
    written(seat, outlet, b"one\n")
    path.rename(tmp_path / "a.log.1")
    seat.tell({"op": "reopen"})
    outlet.print(b"two\n")
    assert seat.drain(outlet)["lines"] == ["two"]
    assert (tmp_path / "a.log.1").read_bytes() == b"one\n"
    assert path.read_bytes() == b"two\n"


def test_a_file_that_was_truncated_is_written_from_its_start(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    outlet = keeper.outlet(path)
    seat = keeper.seat(outlet)
    written(seat, outlet, b"long enough\n")
    os.truncate(path, 0)
    written(seat, outlet, b"two\n")
    assert path.read_bytes() == b"two\n"


def test_the_target_of_a_live_stream_changes(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a.log")
    seat = keeper.seat(outlet)
    written(seat, outlet, b"one\n")
    seat.tell({"op": "target", "id": outlet.id, "target": {"kind": "file", "path": str(tmp_path / "b.log")}})
    written(seat, outlet, b"two\n")
    assert (tmp_path / "a.log").read_bytes() == b"one\n"
    assert (tmp_path / "b.log").read_bytes() == b"two\n"


def test_two_runs_share_one_file(keeper: PretendKeeper, tmp_path: Path) -> None:
    old, new = keeper.outlet(tmp_path / "a.log", run=1), keeper.outlet(tmp_path / "a.log", run=2)
    seat = keeper.seat(old)
    old.print(b"old\n")
    assert seat.drain(old)["lines"] == ["old"]
    seat.give(new)
    new.print(b"new\n")
    assert seat.drain(new)["lines"] == ["new"]
    old.print(b"last words\n")
    old.end()
    seat.hear("closed", id=old.id)
    written(seat, new, b"newer\n")
    assert (tmp_path / "a.log").read_bytes() == b"old\nnew\nlast words\nnewer\n"


def test_a_file_that_another_writes_is_waited_for(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        outlet = keeper.outlet(path)
        outlet.print(b"one\n")
        seat = keeper.seat(outlet)
        assert "writes to this file" in seat.hear("error", id=outlet.id)["text"]
        assert path.read_bytes() == b""
    seat.hear("restored", id=outlet.id)
    seat.drain(outlet)
    assert path.read_bytes() == b"one\n"


def test_a_folder_in_the_way_is_an_error_told_once(keeper: PretendKeeper, tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    path.mkdir()
    outlet, other = keeper.outlet(path), keeper.outlet(tmp_path / "b.log", run=2)
    outlet.print(b"one\n")
    seat = keeper.seat(outlet, other)
    error = seat.hear("error")
    assert error == {"op": "error", "id": outlet.id, "path": str(path), "text": os.strerror(errno.EISDIR)}
    written(seat, other, b"unharmed\n")
    assert seat.drain(outlet) == {"op": "drained", "run": 1, "lines": [], "printed": 0}
    path.rmdir()
    assert seat.hear("restored")["id"] == outlet.id
    assert not [message for message in seat.news if message["op"] == "error"]
    seat.drain(outlet)
    assert path.read_bytes() == b"one\n"


@needs_root
def test_a_full_disk_blocks_its_stream_alone_and_goes_on_by_itself(
    keeper: PretendKeeper, small_disk: Path, tmp_path: Path
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes(3 << 20))
    outlet, other = keeper.outlet(small_disk / "a.log"), keeper.outlet(tmp_path / "b.log", run=2)
    seat = keeper.seat(outlet, other)
    written(seat, outlet, b"start\n")
    lines = b"".join(b"%099d\n" % number for number in range(20_000))
    os.set_blocking(outlet.write, False)
    sent = 0
    errors = 0
    while not errors:
        if select.select([], [outlet.write], [], 0.1)[1]:
            sent += offer(outlet, lines[sent : sent + 65536])
        seat.listen(0)
        errors = len([message for message in seat.news if message["op"] == "error"])
    assert seat.hear("error")["text"] == os.strerror(errno.ENOSPC)
    assert seat.hear("stuck")["id"] == outlet.id  # its bytes are in the hold pipe: the others go elsewhere
    second = keeper.seat(other)
    written(second, other, b"unharmed\n")
    assert (tmp_path / "b.log").read_bytes() == b"unharmed\n"
    late = keeper.outlet(small_disk / "late.log", run=3)  # another one there must not occupy the next worker
    late.print(b"late\n")
    second.give(late)
    assert second.hear("error", id=late.id)["text"] == os.strerror(errno.ENOSPC)
    written(second, other, b"still\n")
    assert (tmp_path / "b.log").read_bytes() == b"unharmed\nstill\n"

    filler.unlink()
    seat.hear("flowing", id=outlet.id)
    second.hear("restored", id=late.id)
    os.set_blocking(outlet.write, True)
    outlet.print(lines[sent:])
    seat.drain(outlet)
    second.drain(late)
    assert (small_disk / "a.log").read_bytes() == b"start\n" + lines
    assert (small_disk / "late.log").read_bytes() == b"late\n"


def test_a_fifo_that_nobody_reads_parks_itself_alone(keeper: PretendKeeper, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    outlet, other = keeper.outlet(fifo), keeper.outlet(tmp_path / "b.log", run=2)
    seat = keeper.seat(outlet, other)
    data = b"".join(b"%09d\n" % number for number in range(300_000))
    os.set_blocking(outlet.write, False)
    sent = 0
    while sent < len(data) and select.select([], [outlet.write], [], 0.3)[1]:
        sent += offer(outlet, data[sent : sent + 4096])
    assert sent < len(data)
    written(seat, other, b"unharmed\n")
    assert seat.drain(outlet)["lines"] == []
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        received = b""
        os.set_blocking(outlet.write, False)
        while len(received) < len(data):
            readable, writable, _ = select.select([reader], [outlet.write] if sent < len(data) else [], [], PATIENCE)
            assert readable or writable
            if readable:
                received += os.read(reader, 65536)
            if writable:
                sent += offer(outlet, data[sent : sent + 4096])
    finally:
        os.close(reader)
    assert received == data


def test_what_a_terminal_prints_is_written_and_its_hang_up_is_the_end(keeper: PretendKeeper, tmp_path: Path) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    outlet = keeper.outlet(tmp_path / "a.log")
    os.close(outlet.read)
    os.close(outlet.write)
    outlet.read, outlet.write = master, slave
    seat = keeper.seat(outlet)
    outlet.print(b"hello\n")
    assert seat.drain(outlet)["lines"] == ["hello"]
    outlet.print(b"bye\n")
    outlet.end()
    seat.hear("closed", id=outlet.id)
    assert (tmp_path / "a.log").read_bytes() == b"hello\nbye\n"


def test_output_goes_to_a_terminal(keeper: PretendKeeper) -> None:
    master, slave = pty.openpty()
    tty.setraw(slave)
    outlet = keeper.outlet(os.ttyname(slave))
    seat = keeper.seat(outlet)
    data = b"0123456789" * 10_000  # more than a terminal buffers
    os.set_blocking(outlet.write, False)
    sent, received = 0, b""
    while len(received) < len(data):
        readable, writable, _ = select.select([master], [outlet.write] if sent < len(data) else [], [], PATIENCE)
        assert readable or writable
        if readable:
            received += os.read(master, 65536)
        if writable:
            sent += offer(outlet, data[sent : sent + 4096])
    assert received == data
    assert seat.finish() == 0
    os.close(master)
    os.close(slave)


def test_nothing_is_kept_of_what_goes_to_the_null_device(keeper: PretendKeeper) -> None:
    outlet = keeper.outlet(os.devnull)
    seat = keeper.seat(outlet)
    outlet.print(b"x" * 60_000)
    assert seat.drain(outlet) == {"op": "drained", "run": 1, "lines": [], "printed": 60_000}


def test_a_device_without_room_is_told_once_and_harms_nobody(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet, other = keeper.outlet("/dev/full"), keeper.outlet(tmp_path / "b.log", run=2)
    seat = keeper.seat(outlet, other)
    outlet.print(b"one\n")
    assert seat.hear("error")["text"] == os.strerror(errno.ENOSPC)
    written(seat, other, b"unharmed\n")
    seat.listen(0.6)  # two more attempts
    assert seat.news == []


def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_drain(keeper: PretendKeeper, tmp_path: Path) -> None:
    outlet = keeper.outlet(tmp_path / "a.log")
    seat = keeper.seat(outlet)
    flood = subprocess.Popen(["yes"], stdout=outlet.write)
    try:
        answer = seat.drain(outlet)
    finally:
        flood.kill()
        flood.wait()
    assert set(answer["lines"]) <= {"y", ""}
    outlet.end()
    seat.hear("closed", id=outlet.id)


@needs_root
def test_a_file_system_that_is_read_only_is_told_and_written_once_it_can(keeper: PretendKeeper, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    libc = ctypes.CDLL(None, use_errno=True)
    read_only, remount = 1, 32
    assert libc.mount(b"disk", os.fsencode(folder), b"tmpfs", read_only, None) == 0
    try:
        outlet = keeper.outlet(folder / "a.log")
        outlet.print(b"one\n")
        seat = keeper.seat(outlet)
        assert seat.hear("error", id=outlet.id)["text"] == os.strerror(errno.EROFS)
        assert libc.mount(b"disk", os.fsencode(folder), b"tmpfs", remount, None) == 0
        seat.hear("restored", id=outlet.id)
        written(seat, outlet, b"two\n")
        assert (folder / "a.log").read_bytes() == b"one\ntwo\n"
        seat.finish()
    finally:
        assert libc.umount2(os.fsencode(folder), 2) == 0
