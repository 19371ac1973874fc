"""From a command line to a keeper: load, lock, bind, become it. After that the keeper's loop is all there is.

The loader takes longest, so it is under way before the rest of our code is even imported.
"""

from __future__ import annotations

import gc
import os
import socket
import sys
import zlib
from collections.abc import Callable, Mapping

from pserv import __version__, claiming
from pserv.config import places
from pserv.keeper import host, memory, quickjson
from pserv.loading import Loading, check_names, document
from pserv.model.errors import PservError
from pserv.system import store, title

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pserv.keeper.boot import Boot
    from pserv.keeper.roles import Role


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
    keeper: Callable[[Boot, Mapping[str, Role]], int] | None = None,
) -> int:
    """Be a daemon for these files until it ends; its exit code. Errors before it serves go to `ready_fd` or stderr.

    `lease_fd`: at its end of file the daemon ends in order. `ready_fd`: gets one line of JSON, `{"socket": path}` once
    the API is served, or `{"error", "hint", "exit_code"}`. `start`: the services to start instead of the autostarted.
    `keeper`: what is then run instead of the keeper, for tests that look on.
    """
    if ready_fd >= 0:
        _leave_session()
    gc.disable()  # while all that is loaded is kept
    asked = Start(files, lease_fd=lease_fd, ready_fd=ready_fd, exit_when=exit_when, names=start)
    loading: Loading | None = None
    try:
        files = places.find(asked.files, asked.environ, os.getcwd(), asked.uid)
        loading = Loading(files)
        from pserv.keeper.main import run  # after the loader was started: these take their time, too
        from pserv.roles import Roles

        roles = Roles()
        boot = _begun(asked, files, loading)
        boot.kept = roles.descriptors
        return (keeper or run)(boot, roles.table)
    except PservError as error:
        if loading is not None:
            loading.abandon()
        _told(asked, error)
        return int(error.exit_code)


def _begun(asked: Start, files: list[str], loading: Loading) -> Boot:
    """What is known already; the rest comes with the configuration, and until then nothing is touched."""
    from pserv.keeper.boot import Boot

    identity = places.identity(files[0])
    state_dir = os.path.join(places.state_folder(asked.environ, asked.uid), identity)
    path = places.socket(identity, asked.environ, asked.uid)
    boot = Boot(
        version=__version__,
        name=identity,
        run_dir=os.path.dirname(path),
        state_dir=state_dir,
        cookie=f"{zlib.crc32(os.fsencode(os.path.realpath(state_dir))):08x}{os.getuid() & 0xFFFF:04x}",
        lease_fd=asked.lease_fd,
        ready_fd=asked.ready_fd,
        extra={"files": files, "cwd": os.getcwd(), "start": asked.names, "socket": path},
        complete=lambda: _complete(boot, asked, path, loading),
    )
    if asked.lease_fd < 0 <= asked.ready_fd:  # nobody reads what it prints
        boot.log = os.path.join(state_dir, store.OWN_LOG)
    return boot


def _complete(boot: Boot, asked: Start, path: str, loading: Loading) -> None:
    """Load, lock, bind; everything that can be refused is refused here."""
    files = boot.extra["files"]
    accepted = document(files, boot.state_dir, loading)
    check_names(asked.names or [], accepted)
    if asked.exit_when is not None:
        accepted["daemon"] = {**accepted.get("daemon", {}), "exit_when": asked.exit_when}
    data = quickjson.dumps(accepted).encode()
    claiming.make_private(boot.run_dir)
    claiming.make_private(boot.state_dir)
    boot.lock_fd = claiming.lock(os.path.join(boot.state_dir, claiming.LOCK), path)
    claiming.sign(boot.lock_fd, path)
    boot.sockets = [claiming.listen(path).detach()]
    boot.meanwhile = lambda: _keep(boot.state_dir, data)
    boot.paths = [path, *claiming.alias(boot.run_dir, str(accepted["name"]), boot.name)]
    boot.name = str(accepted["name"])
    boot.document_fd = memory.holding(data)
    boot.shutdown_timeout = float(accepted.get("daemon", {}).get("shutdown_timeout", 90.0)) + 5.0


def _keep(folder: str, data: bytes) -> None:
    """A disk may take its time (fsync(2)), so this is done while the supervisor thinks of the first services."""
    try:
        store.write(folder, data)
    except OSError as error:
        print(f"pserv: cannot keep the configuration in {folder}: {error.strerror}", file=sys.stderr)  # noqa: T201


def leave_command(files: list[str], needed: set[int]) -> None:
    """For a fork of `pserv up`: of its descriptors 0 to 2 and what is `needed` stay, and ps(1) shows the daemon's name.

    As daemon(7) has it: a lock of the caller's, or a pipe that somebody reads to its end, is not held for ever.
    """
    host.close_all_but({0, 1, 2, *needed})
    words = ["pserv", "daemon"]
    title.show([*words, *(word for file in files for word in ("-c", file))]) or title.show(words)


def _leave_session() -> None:
    """A Ctrl-C at the terminal of the command that started us is not for us."""
    try:
        os.setsid()
    except OSError:
        return  # it leads one already


def _told(asked: Start, error: PservError) -> None:
    if asked.ready_fd >= 0:
        answer = {"error": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
        os.write(asked.ready_fd, quickjson.dumps(answer).encode() + b"\n")
        return
    print(f"pserv: {error.message}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)  # noqa: T201


def take_over(words: list[str]) -> int:
    """What a keeper of another version executes: a role and the number of a descriptor.

    `supervisor` and `logger` are that on a channel; `keeper` goes on from the state that the old one left there, or
    with -1 only loads all.
    """
    from pserv.keeper.main import resume
    from pserv.roles import Roles

    role, fd = words[0], int(words[1])
    roles = Roles()
    if role == "keeper":
        return int(resume(fd, roles.table, __version__, roles.descriptors))
    return int(roles.table[role](socket.socket(fileno=fd), ""))


if __name__ == "__main__":
    sys.exit(take_over(sys.argv[1:]))
