"""Starting the daemon as a process of its own, and learning that it is ready. What is then asked of it is in `up`."""

from __future__ import annotations

import json
import os
import subprocess
import sys

from pserv.model.errors import ExitCode, PservError


class Started:
    """A daemon that is ready. It ends in order when `lease` is closed; without a lease it stays."""

    __slots__ = ("lease", "process", "socket")

    def __init__(self, process: subprocess.Popen[bytes], socket: str, lease: int) -> None:
        self.process = process
        self.socket = socket
        self.lease = lease

    def release(self) -> None:
        """Close the lease: the order to end, which needs no supervisor to take it."""
        if self.lease >= 0:
            os.close(self.lease)
            self.lease = -1

    def leave(self) -> None:
        """Let it run on its own; it is no child to wait for any more."""
        self.process.returncode = 0  # else Popen warns, when it is collected, that the process still runs


def start(files: list[str], *, options: list[str], socket: str, attached: bool) -> Started:
    """Starts `pserv daemon` in a session of its own and waits until it is ready.

    `attached`: it shares our output and holds our lease. Raises PservError with the daemon's own words.
    """
    ready, told = os.pipe()
    held, lease = os.pipe() if attached else (-1, -1)
    # -P: else modules that lie in the working directory would be taken for ours and the library's.
    command = [sys.executable, "-P", "-m", "pserv", "daemon", *options, "--ready-fd", str(told)]
    for file in files:
        command += ["--config", file]
    if socket:
        command += ["--socket", socket]
    if attached:
        command += ["--lease-fd", str(held)]
    output = None if attached else subprocess.DEVNULL
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            pass_fds=[fd for fd in (told, held) if fd >= 0],
            start_new_session=True,
        )
    except OSError as error:
        raise PservError(f"cannot start the daemon: {error.strerror}") from error
    finally:
        os.close(told)
        if held >= 0:
            os.close(held)
    started = Started(process, "", lease)
    try:
        started.socket = _socket_told(ready, process)
    except BaseException:
        started.release()
        if process.poll() is None:
            process.terminate()
        raise
    finally:
        os.close(ready)
    return started


def _socket_told(ready: int, process: subprocess.Popen[bytes]) -> str:
    line = b""
    while not line.endswith(b"\n") and (piece := os.read(ready, 65536)):
        line += piece
    if not line:
        code = process.wait()
        how = f"exit code {code}" if code >= 0 else f"killed by signal {-code}"
        raise PservError(f"cannot start the daemon: it ended before it was ready ({how})", "pserv daemon tells why")
    told = json.loads(line)
    if "socket" in told:
        return str(told["socket"])
    process.wait()
    error = PservError(told["error"], told.get("hint", ""))
    code = told.get("exit_code", 1)
    error.exit_code = ExitCode(code) if code in tuple(ExitCode) else ExitCode.FAILED
    raise error
