"""fork(2) for a child that soon calls execve, and where Linux can do it born in its cgroup. What it does is in `child`.

To move a process into a cgroup the kernel waits until no processor is in the middle of a fork (an RCU grace period):
14 ms on an idle machine. clone3(2) with CLONE_INTO_CGROUP (Linux 5.7) needs no move. And os.fork makes the interpreter
of the child fit for a long life, which writes to, and so copies, some 130 pages: a third of the time of a spawn.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from collections.abc import Callable

_SYS_CLONE3 = 435  # the same on every architecture but alpha
_CLONE_INTO_CGROUP = 0x200000000
_CLONE_CLEAR_SIGHAND = 0x100000000
_NOT_HERE = (errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.E2BIG)
"""An older kernel, or a seccomp filter of a container."""


class Forking:
    """Forks this process. Asks for the kernel's help at the first use, and no more once it was refused."""

    def __init__(self) -> None:
        self._clone: Callable[[int], int] | None = _clone3() if sys.platform == "linux" else None

    def fork(self, folder: str | None) -> tuple[int, bool, bool]:
        """The pid (0 in the child), whether it is in the cgroup, and whether it catches signals. Raises OSError.

        The child must do nothing but end, by execve or os._exit.
        """
        if self._clone is None:
            return os.fork(), False, True
        fd = -1 if folder is None else os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return self._clone(fd), folder is not None, False
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.ENOMEM):
                raise
            if error.errno in _NOT_HERE:
                self._clone = None
            return os.fork(), False, True
        finally:
            if fd >= 0:
                os.close(fd)


def _clone3() -> Callable[[int], int] | None:
    """A bare fork, into the cgroup of a descriptor if there is one, with default actions for what we catch.

    The child goes on as this thread with the interpreter's lock held; with no other thread in the process there is
    nothing else that it would have to mend.
    """
    try:
        import ctypes
    except ImportError:
        return None
    # PyDLL keeps the interpreter's lock: the child goes on in this very call, alone.
    syscall = ctypes.PyDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    syscall.argtypes = (ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t)
    # struct clone_args: flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
    # set_tid_size, cgroup
    plain = (ctypes.c_uint64 * 11)(_CLONE_CLEAR_SIGHAND, 0, 0, 0, signal.SIGCHLD)
    inside = (ctypes.c_uint64 * 11)(_CLONE_CLEAR_SIGHAND | _CLONE_INTO_CGROUP, 0, 0, 0, signal.SIGCHLD)
    size = ctypes.sizeof(plain)

    def clone(fd: int) -> int:
        if fd >= 0:
            inside[10] = fd
        pid: int = syscall(_SYS_CLONE3, ctypes.addressof(plain if fd < 0 else inside), size)
        if pid < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return pid

    return clone
