"""What the keeper changes about its own process at start, and what its children get back. Nothing about services."""

from __future__ import annotations

import fcntl
import os
import resource
import sys

from pserv.keeper import kernel

COOKIE_VARIABLE = "PSERV_RUN_ID"

OOM_SCORE_ADJ = "/proc/self/oom_score_adj"
_KEEPER_OOM_SCORE_ADJ = -900
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


class Original:
    """What the daemon was started with. `nofile` is (soft, hard); `oom_score_adj` None when there is none to set."""

    __slots__ = ("environment", "nofile", "oom_score_adj")

    def __init__(self, nofile: tuple[int, int], oom_score_adj: int | None, environment: dict[str, str]) -> None:
        self.nofile = nofile
        self.oom_score_adj = oom_score_adj
        self.environment = environment


def prepare() -> Original:
    """Shield the keeper: descriptors closed on exec, all that the limit allows, the last to be killed for memory."""
    for fd in open_descriptors():
        if fd > 2:
            os.set_inheritable(fd, False)
    _fill_standard_descriptors()
    os.environ.pop(COOKIE_VARIABLE, None)
    original = Original(resource.getrlimit(resource.RLIMIT_NOFILE), read_oom_score_adj(), dict(os.environ))
    raise_nofile(original.nofile[1])
    if os.geteuid() == 0 and original.oom_score_adj is not None:
        try:
            kernel.write(OOM_SCORE_ADJ, b"%d" % _KEEPER_OOM_SCORE_ADJ)
        except OSError:
            original.oom_score_adj = None  # a container without CAP_SYS_RESOURCE: nothing changed, nothing to give back
    return original


def raise_nofile(hard: int) -> None:
    """Soft limit to the hard one; macOS refuses an unlimited one, and then it stays."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    except (OSError, ValueError):
        pass


def open_descriptors() -> list[int]:
    """The numbers of all open descriptors."""
    try:
        names = os.listdir("/proc/self/fd" if sys.platform == "linux" else "/dev/fd")
    except OSError:
        names = [str(fd) for fd in range(min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 65536))]
    found = []
    for name in names:
        try:
            fcntl.fcntl(int(name), fcntl.F_GETFD)  # the listing's own descriptor is closed by now
        except (OSError, ValueError):
            continue
        found.append(int(name))
    return found


def close_all_but(kept: set[int]) -> None:
    """In a fork of the keeper that does not exec: what the keeper holds is not held twice."""
    for fd in open_descriptors():
        if fd not in kept:
            os.close(fd)


def become_subreaper() -> bool:
    """Orphans of the services come to us, wherever they forked away to (Linux). Whether it worked."""
    if sys.platform != "linux":
        return False
    try:
        import ctypes

        done = bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        done = False
    for name in [name for name in sys.modules if name == "ctypes" or name.startswith("ctypes.")]:
        del sys.modules[name]  # used once; its memory would be held by every daemon
    return done


def read_oom_score_adj() -> int | None:
    """None where the system has none."""
    try:
        with open(OOM_SCORE_ADJ, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return None


def _fill_standard_descriptors() -> None:
    """A daemon started with 0, 1 or 2 closed must not get a pipe or a socket there."""
    while True:
        fd = os.open(os.devnull, os.O_RDWR)
        if fd > 2:
            os.close(fd)
            return
        os.set_inheritable(fd, True)
