"""Forks workers, as the keeper does: a program of one thread (pytest's process may have more) that imports once.

Asked over its socket: `start` with a descriptor of the worker's end of a channel, answered by a pid; `wait` for a pid,
answered by its exit code (negative: the signal).
"""

from __future__ import annotations

import gc
import json
import os
import socket
import subprocess
import sys

from pserv.logger.main import logger


class Forks:
    """The client: one such program."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-P", __file__, str(theirs.fileno())]
        self._process = subprocess.Popen(command, pass_fds=[theirs.fileno()])
        theirs.close()

    def start(self, channel: int) -> int:
        """The pid of a new worker."""
        socket.send_fds(self._socket, [b"{}"], [channel])
        return int(self._socket.recv(100))

    def wait(self, pid: int) -> int:
        """The exit code of a worker that ends."""
        self._socket.send(json.dumps({"pid": pid}).encode())
        return int(self._socket.recv(100))

    def close(self) -> None:
        self._socket.close()
        self._process.wait()


def serve(sock: socket.socket) -> None:
    """Until the client hangs up."""
    gc.freeze()  # as the keeper does, so that a worker shares what it does not change
    while True:
        request, fds, _, _ = socket.recv_fds(sock, 1000, 1)
        if not request:
            return
        if not fds:
            _, status = os.waitpid(json.loads(request)["pid"], 0)
            sock.send(b"%d" % os.waitstatus_to_exitcode(status))
            continue
        pid = os.fork()
        if pid == 0:
            sock.close()
            os._exit(logger(socket.socket(fileno=fds[0]), ""))
        os.close(fds[0])
        sock.send(b"%d" % pid)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
