"""What a keeper is started with, and nothing of what it does with it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class Boot:
    """What the keeper is started with. Descriptors it does not get are -1; times are seconds.

    `sockets` listen already, `paths` are their files, unlinked at the end; end of file on `lease_fd` orders the end;
    `ready_fd` gets a line once the supervisor serves; `extra` is for the supervisor; `kept` are descriptors that forks
    need; `log` is the file for what the daemon itself prints, or empty. When a shutdown was ordered and
    `shutdown_timeout` and `end_patience` have passed the keeper ends all itself, with TERM and after `end_patience`
    SIGKILL. `ack_timeout`: a report so old replaces the supervisor. `drain_timeout`: an end is told after it, whether
    the logger has written all or not. `logger_patience`: so long the logger may take for each stream at the end.
    `complete` fills in what is not known from the beginning (`name`, `sockets`, `paths`, `document_fd`,
    `shutdown_timeout`), or raises. `meanwhile`, if it sets that, is done once, when the supervisor is at work.
    """

    __slots__ = (
        "ack_timeout", "complete", "cookie", "document_fd", "drain_timeout", "end_patience", "extra", "kept",
        "lease_fd", "lock_fd", "log", "logger_patience", "meanwhile", "name", "paths", "ready_fd", "run_dir",
        "shutdown_timeout", "sockets", "state_dir", "version",
    )  # fmt: skip

    def __init__(
        self,
        version: str,
        name: str,
        run_dir: str,
        state_dir: str,
        cookie: str,
        lock_fd: int = -1,
        sockets: list[int] | None = None,
        paths: list[str] | None = None,
        document_fd: int = -1,
        shutdown_timeout: float = 60.0,
        lease_fd: int = -1,
        ready_fd: int = -1,
        extra: dict[str, Any] | None = None,
        ack_timeout: float = 10.0,
        drain_timeout: float = 0.5,
        end_patience: float = 2.0,
        logger_patience: float = 2.0,
        kept: Iterable[int] = (),
        log: str = "",
        complete: Callable[[], None] | None = None,
    ) -> None:
        self.version = version
        self.name = name
        self.run_dir = run_dir
        self.state_dir = state_dir
        self.cookie = cookie
        self.lock_fd = lock_fd
        self.sockets = list(sockets or ())
        self.paths = list(paths or ())
        self.document_fd = document_fd
        self.shutdown_timeout = shutdown_timeout
        self.lease_fd = lease_fd
        self.ready_fd = ready_fd
        self.extra = dict(extra or {})
        self.kept = set(kept)
        self.log = log
        self.ack_timeout = ack_timeout
        self.drain_timeout = drain_timeout
        self.complete = complete
        self.meanwhile: Callable[[], None] | None = None
        self.end_patience = end_patience
        self.logger_patience = logger_patience
