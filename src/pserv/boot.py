"""From a command line to a keeper: load, lock, bind, become it. After that the keeper's loop is all there is."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import socket
import stat
import sys
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from pserv import __version__
from pserv.config import places
from pserv.keeper.main import Boot, resume, run
from pserv.keeper.roles import Role
from pserv.model.errors import PservError, Refused
from pserv.roles import Roles
from pserv.system import memory, store

LOCK = "lock"


class Start:
    """How the daemon was asked to start."""

    __slots__ = ("environ", "exit_when", "files", "lease_fd", "names", "ready_fd", "uid")

    def __init__(
        self,
        files: list[str],
        *,
        lease_fd: int = -1,
        ready_fd: int = -1,
        exit_when: str | None = None,
        names: list[str] | None = None,
    ) -> None:
        self.files = files
        self.lease_fd = lease_fd
        self.ready_fd = ready_fd
        self.exit_when = exit_when
        self.names = names
        self.environ = dict(os.environ)
        self.uid = os.geteuid()


def daemon(
    files: list[str],
    *,
    lease_fd: int = -1,
    ready_fd: int = -1,
    exit_when: str | None = None,
    start: list[str] | None = None,
    keeper: Callable[[Boot, Mapping[str, Role]], int] = run,
) -> int:
    """Be a daemon for these files until it ends; its exit code. Errors before it serves go to `ready_fd` or stderr.

    `lease_fd`: at its end of file the daemon ends in order. `ready_fd`: gets one line of JSON, `{"socket": path}` once
    the API is served, or `{"error", "hint", "exit_code"}`. `start`: the services to start instead of the autostarted.
    `keeper`: what is then run, for tests that look on.
    """
    asked = Start(files, lease_fd=lease_fd, ready_fd=ready_fd, exit_when=exit_when, names=start)
    loading: Loading | None = None
    try:
        files = places.find(asked.files, asked.environ, os.getcwd(), asked.uid)
        loading = Loading({"files": files})
        roles = Roles()  # takes its time, beside the loader
        boot = _prepare(asked, files, loading)
        boot.kept = roles.descriptors
        if asked.lease_fd < 0 <= asked.ready_fd:  # nobody reads what it prints
            boot.log = os.path.join(boot.state_dir, "daemon.log")
    except PservError as error:
        if loading is not None:
            loading.abandon()
        _told(asked, error)
        return int(error.exit_code)
    return keeper(boot, roles.table)


def _prepare(asked: Start, files: list[str], loading: Loading) -> Boot:
    """Lock, load, bind; everything that can be refused is refused here."""
    identity = places.identity(files[0])
    state_dir = os.path.join(places.state_folder(asked.environ, asked.uid), identity)
    path = places.socket(identity, asked.environ, asked.uid)
    run_dir = os.path.dirname(path)
    _make_private(run_dir)
    lock_fd = _lock(_lock_path(path), path)
    document = _document(files, state_dir, loading)
    if asked.exit_when is not None:
        document["daemon"] = {**document.get("daemon", {}), "exit_when": asked.exit_when}
    data = json.dumps(document).encode()
    listening = _bind(path)
    _make_private(state_dir)
    try:
        store.write(state_dir, data)
    except OSError as error:
        print(f"pserv: cannot keep the configuration in {state_dir}: {error.strerror}", file=sys.stderr)  # noqa: T201
    alias = _alias(run_dir, str(document["name"]), identity)
    return Boot(
        version=__version__,
        name=str(document["name"]),
        run_dir=run_dir,
        state_dir=state_dir,
        cookie=f"{zlib.crc32(os.fsencode(path)):08x}{os.getuid() & 0xFFFF:04x}",
        lock_fd=lock_fd,
        sockets=[listening.detach()],
        paths=[path, *alias],
        document_fd=memory.holding(data),
        shutdown_timeout=float(document.get("daemon", {}).get("shutdown_timeout", 90.0)) + 5.0,
        lease_fd=asked.lease_fd,
        ready_fd=asked.ready_fd,
        extra={"files": files, "cwd": os.getcwd(), "start": asked.names, "socket": path},
    )


def _told(asked: Start, error: PservError) -> None:
    if asked.ready_fd >= 0:
        answer = {"error": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
        os.write(asked.ready_fd, json.dumps(answer).encode() + b"\n")
        return
    print(f"pserv: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)  # noqa: T201


def _make_private(folder: str) -> None:
    """A folder that only its owner enters, its parents made as usual."""
    try:
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        os.makedirs(folder, mode=0o700, exist_ok=True)
    except OSError as error:
        raise PservError(f"cannot make the folder {folder}: {error.strerror}") from None


def _lock_path(socket_path: str) -> str:
    """Beside the socket; daemons whose sockets somebody put into one folder have a lock each."""
    folder, name = os.path.split(socket_path)
    return os.path.join(folder, LOCK if name == places.SOCKET else f"{name}.{LOCK}")


def _lock(path: str, socket_path: str) -> int:
    """Hold the daemon's lock for as long as the process lives (flock(2)). Raises Refused when another one does."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PservError(f"cannot open the lock {path}: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(fd, 32, 0).decode(errors="replace").strip()
        os.close(fd)
        raise Refused(
            f"cannot start: a daemon (pid {holder or 'unknown'}) already runs at {socket_path}",
            "`pserv status` shows it, `pserv reload` applies changes, `pserv down` ends it",
        ) from None
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _bind(path: str) -> socket.socket:
    """Listen at the path; what an earlier daemon left there is removed, what another one serves is not."""
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    used = _use(path)
    if used:
        raise Refused(f"cannot listen at {path}: {used}", "set PSERV_SOCKET to another path")
    before = os.umask(0o177)
    try:
        if os.path.lexists(path):
            os.unlink(path)
        listening.bind(path)
    except OSError as error:
        raise PservError(f"cannot listen at {path}: {error.strerror}") from None
    finally:
        os.umask(before)
    listening.listen(128)
    return listening


def _use(path: str) -> str:
    """What else the path is in use for; "" when there is nothing, or a socket that nobody listens at any more."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            return "what is there is no socket"
    except FileNotFoundError:
        return ""
    except OSError as error:
        return str(error.strerror)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a full queue is a listener, too
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return ""
        except OSError as error:
            return f"another process uses it ({error.strerror})"
    return "another process answers there"


def _alias(run_dir: str, name: str, identity: str) -> list[str]:
    """A second way to the daemon's folder when the configuration gives it a name of its own; the links made."""
    folder, base = os.path.split(run_dir)
    if name == identity or base != identity:
        return []
    link = os.path.join(folder, name)
    if os.path.islink(link):
        os.unlink(link)
    try:
        os.symlink(base, link)
    except OSError as error:
        raise PservError(f"cannot name the daemon {name}: {link}: {error.strerror}") from None
    return [link]


def _document(files: list[str], state_dir: str, loading: Loading) -> dict[str, Any]:
    """The accepted document as plain data. Raises InvalidConfig with all mistakes."""
    answer = loading.answer()
    if "document" in answer:
        return dict(answer["document"])
    on_invalid = answer.get("on_invalid", "refuse")
    if on_invalid == "skip-service":
        again = Loading({"files": files, "skip_invalid": True}).answer()
        if "document" in again:
            return dict(again["document"])
    if on_invalid == "last-good":
        kept = store.read(state_dir, store.ACCEPTED)
        if kept:
            document: dict[str, Any] = json.loads(kept)
            document["notes"] = [
                f"{files[0]} has mistakes, so the last good configuration runs; `pserv check` shows them"
            ]
            return document
    raise _invalid(answer["mistakes"])


def _invalid(rows: list[dict[str, Any]]) -> PservError:
    from pserv.model.mistakes import InvalidConfig, Mistake  # late: msgspec is for the supervisor's memory

    return InvalidConfig(tuple(Mistake(**row) for row in rows))


class Loading:
    """One run of the loader beside us: YAML is never imported into the process that stays."""

    def __init__(self, request: dict[str, Any]) -> None:
        ask = memory.holding(json.dumps(request).encode())
        os.lseek(ask, 0, os.SEEK_SET)
        self._answer, write_end = os.pipe()
        argv = [sys.executable, "-P", "-m", "pserv.config.loader"]
        actions = [(os.POSIX_SPAWN_DUP2, ask, 0), (os.POSIX_SPAWN_DUP2, write_end, 1)]
        self._pid = os.posix_spawn(sys.executable, argv, os.environ, file_actions=actions)
        os.close(write_end)
        os.close(ask)

    def answer(self) -> dict[str, Any]:
        """What it said: `{"document"}` or `{"mistakes"}`. Raises PservError when it said nothing."""
        chunks = []
        while chunk := os.read(self._answer, 1 << 20):
            chunks.append(chunk)
        status = self._end()
        try:
            answer: dict[str, Any] = json.loads(b"".join(chunks))
        except ValueError:
            raise PservError(f"cannot load the configuration: the loader ended with status {status}") from None
        return answer

    def abandon(self) -> None:
        """Its answer is not wanted any more."""
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            self._end()

    def _end(self) -> int:
        os.close(self._answer)
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return status


def take_over(words: list[str]) -> int:
    """What a keeper of another version executes: a role and the number of a descriptor.

    `supervisor` and `logger` are that on a channel; `keeper` goes on from the state that the old one left there, or
    with -1 only loads all.
    """
    role, fd = words[0], int(words[1])
    roles = Roles()
    if role == "keeper":
        return int(resume(fd, roles.table, __version__, roles.descriptors))
    return int(roles.table[role](socket.socket(fileno=fd), ""))


if __name__ == "__main__":
    sys.exit(take_over(sys.argv[1:]))
