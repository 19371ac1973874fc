"""Runs command lines as forks of a process that has imported what they need: a fifth of what an interpreter each costs.

Asked over its socket: a command line with its folder, its environment and its three standard descriptors; answered by
its pid, and by its exit code when it has ended.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
from functools import cache
from typing import NoReturn

from pserv.cli import main, table

APART = {"up", "daemon", "demo", "upgrade"}
"""Those that become or replace programs: they are run as such."""
MOST = 200_000
"""Bytes of a request."""


class Commands:
    """The client: one such process."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        env = {name: value for name, value in os.environ.items() if not name.startswith("PSERV_")}
        self._process = subprocess.Popen(command, env=env, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()

    def close(self) -> None:
        self._socket.close()
        self._process.wait()

    def run(self, words: list[str], cwd: str, env: dict[str, str], timeout: float) -> subprocess.CompletedProcess[str]:
        """`pserv` with these words, run to its end."""
        out, err = (os.memfd_create(name) for name in ("stdout", "stderr"))
        try:
            request = json.dumps({"words": words, "cwd": cwd, "env": env}).encode()
            socket.send_fds(self._socket, [request], [out, err])
            self._socket.settimeout(timeout)
            pid = int(self._socket.recv(100))
            try:
                code = int(self._socket.recv(100))
            except TimeoutError:
                os.kill(pid, signal.SIGKILL)
                self._socket.settimeout(None)
                self._socket.recv(100)
                raise subprocess.TimeoutExpired(words, timeout) from None
            return subprocess.CompletedProcess(words, code, _text(out), _text(err))
        finally:
            os.close(out)
            os.close(err)


@cache
def commands() -> Commands:
    """That of this test process."""
    return Commands()


def _text(fd: int) -> str:
    return os.pread(fd, os.fstat(fd).st_size, 0).decode()


def _serve(sock: socket.socket) -> None:
    """Until the client hangs up."""
    for command in table.COMMANDS:
        if command.name not in APART:
            __import__(f"pserv.cli.{command.run.partition(':')[0]}")
    gc.freeze()
    while True:
        request, fds, _, _ = socket.recv_fds(sock, MOST, 2)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            sock.close()
            _become(fds, **json.loads(request))
        for fd in fds:
            os.close(fd)
        sock.send(b"%d" % pid)
        sock.send(b"%d" % os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))


def _become(fds: list[int], words: list[str], cwd: str, env: dict[str, str]) -> NoReturn:
    code = 1
    try:
        for ours, fd in enumerate(fds, 1):
            os.dup2(fd, ours)
            os.close(fd)
        os.chdir(cwd)
        os.environ.clear()
        os.environ.update(env)
        code = main.main(words)
        sys.stderr.flush()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        sys.stderr.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
