"""fork(2), and where Linux can do it a fork that is born in a cgroup. What the child then does is in `child`.

To move a process into a cgroup the kernel waits until no processor is in the middle of a fork (an RCU grace period):
14 ms on an idle machine. clone3(2) with CLONE_INTO_CGROUP (Linux 5.7) needs no move.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable

_SYS_CLONE3 = 435  # the same on every architecture but alpha
_CLONE_INTO_CGROUP = 0x200000000
_NOT_HERE = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.E2BIG)
"""An older kernel, or a seccomp filter of a container."""


class Forking:
    """Forks this process. Asks for the kernel's help at the first use, and no more once it was refused."""

    def __init__(self) -> None:
        self._into: Callable[[int], int] | None = _clone3() if sys.platform == "linux" else None

    def fork(self, folder: str | None) -> tuple[int, bool]:
        """The pid (0 in the child), and whether the child is in the cgroup already. Raises OSError."""
        if folder is None or self._into is None:
            return os.fork(), False
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            pid = self._into(fd)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOMEM):
                raise
            if error.errno in _NOT_HERE:
                self._into = None
            return os.fork(), False
        finally:
            os.close(fd)
        return pid, True


def _clone3() -> Callable[[int], int] | None:
    """A fork into the cgroup of a descriptor, with all that os.fork does for the interpreter around it."""
    try:
        import ctypes
    except ImportError:
        return None
    # PyDLL keeps the interpreter's lock: the child goes on in this very call, alone.
    syscall = ctypes.PyDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    syscall.argtypes = (ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t)
    before, in_child = ctypes.pythonapi.PyOS_BeforeFork, ctypes.pythonapi.PyOS_AfterFork_Child
    in_parent = ctypes.pythonapi.PyOS_AfterFork_Parent
    for function in (before, in_child, in_parent):
        function.restype = None
        function.argtypes = ()

    def into(fd: int) -> int:
        # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
        # set_tid_size, cgroup
        args = (ctypes.c_uint64 * 11)(_CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD, 0, 0, 0, 0, 0, fd)
        before()
        pid: int = syscall(_SYS_CLONE3, ctypes.addressof(args), ctypes.sizeof(args))
        if pid == 0:
            in_child()
            return 0
        number = ctypes.get_errno()
        in_parent()
        if pid < 0:
            raise OSError(number, os.strerror(number))
        return pid

    return into
