"""Where the bench takes place: its folders, its programs, what children stamp, and the sweep at the end."""

from __future__ import annotations

import ctypes
import os
import resource
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import measure

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
SUPERVISOR = "supervisor==4.3.0"
PR_SET_CHILD_SUBREAPER = 36

STARTED, FLOOD_BEGINS, FLOOD_ENDS, READY = range(4)
"""Kinds of stamps, as in child.c."""


class BenchError(Exception):
    """A measurement that could not be taken, or one that would not be true."""


class Stamp(NamedTuple):
    """A child's reading of the monotonic clock, in nanoseconds."""

    service: int
    kind: int
    pid: int
    at: int


class Stamps:
    """The FIFO that children send their stamps to; it holds 2700 of them, so that no child waits for the bench."""

    SHAPE = struct.Struct("=IIQQ")

    def __init__(self, path: Path) -> None:
        self.path = path
        os.mkfifo(path)
        # Read and write: so it never is at its end, and children can open it whenever they like.
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def take(self, count: int, kind: int = STARTED, within: float = 120.0) -> list[Stamp]:
        """The next `count` stamps, all of this kind; raises BenchError after `within` seconds."""
        found = self.gather(count, within)
        if any(stamp.kind != kind for stamp in found):
            raise BenchError(f"expected {count} stamps of kind {kind}, got {found[:5]} …")
        return found

    def gather(self, count: int, within: float = 120.0) -> list[Stamp]:
        """The next `count` stamps, of whatever kinds; raises BenchError after `within` seconds."""
        found: list[Stamp] = []
        deadline = time.monotonic() + within
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        while len(found) < count:
            if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
                raise BenchError(f"only {len(found)} of {count} children stamped within {within:.0f} s")
            found += [Stamp(*fields) for fields in self.SHAPE.iter_unpack(os.read(self._fd, self.SHAPE.size * 2048))]
        if len(found) > count:
            raise BenchError(f"expected {count} stamps, got {len(found)}")
        return found

    def close(self) -> None:
        os.close(self._fd)


class Stage(NamedTuple):
    """The folders and programs of one run of the bench."""

    folder: Path
    ram: Path | None
    """A folder on a file system in memory, where there is one."""
    child: Path
    floor: Path
    supervisor_bin: Path
    pserv_bin: Path


@contextmanager
def stage() -> Iterator[Stage]:
    """Everything set up; at the end, however it comes, no process and no file of it is left."""
    if not sys.platform.startswith("linux"):
        raise BenchError("the bench reads /proc and needs Linux")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    # Daemons and their children that lose their parents come to us, so that the sweep finds them all.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    folder = Path(tempfile.mkdtemp(prefix="pserv-bench-"))
    ram = Path(tempfile.mkdtemp(prefix="pserv-bench-", dir="/dev/shm")) if os.access("/dev/shm", os.W_OK) else None
    try:
        yield Stage(
            folder=folder,
            ram=ram,
            child=_compile("child", folder),
            floor=_compile("floor", folder),
            supervisor_bin=installed("supervisord", SUPERVISOR),
            pserv_bin=installed("pserv", str(HERE.parent)),
        )
    finally:
        sweep()
        for each in (folder, ram):
            if each is not None:
                shutil.rmtree(each, ignore_errors=True)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _compile(name: str, folder: Path) -> Path:
    """Static, so that a child's first instruction is not behind a dynamic linker."""
    program = folder / name
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-static", HERE / f"{name}.c", "-o", program], check=True)
    return program


def installed(name: str, *requirements: str) -> Path:
    """The programs of a venv with these and nothing else, kept in the results folder for the next run.

    Pserv has one, too: what developers have installed beside it would be imported by its libraries, and be measured.
    """
    venv = RESULTS / f"{name}-py{sys.version_info.major}{sys.version_info.minor}"
    pip = [str(venv / "bin/python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not (venv / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", venv], check=True)
        # supervisord imports pkg_resources, which newer setuptools no longer have.
        subprocess.run([*pip, *requirements, "setuptools<81"], check=True, stdout=sys.stderr)
        (venv / "ready").touch()
    elif name == "pserv":
        subprocess.run([*pip, "--force-reinstall", "--no-deps", *requirements], check=True, stdout=sys.stderr)
    return venv / "bin"


def sweep() -> None:
    """Kill and reap everything below this process."""
    own = os.getpid()
    while left := measure.descendants(own) - {own}:
        for pid in left:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        reap(left)


def reap(pids: set[int]) -> None:
    """Wait for those of them that are children of this process."""
    for pid in pids:
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass


def wait_gone(pid: int, within: float) -> bool:
    """Whether the process, of any parent, ended within so many seconds; it is reaped if it is ours."""
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        if not select.select([pidfd], [], [], within)[0]:
            return False
    finally:
        os.close(pidfd)
    reap({pid})
    return True
