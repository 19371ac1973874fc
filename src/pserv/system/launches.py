"""From a spec to the launch that a spawn message carries. Starts nothing."""

from __future__ import annotations

import os
import sys
import zlib
from typing import TextIO

import msgspec

from pserv.keeper.protocol import Message
from pserv.model import listening
from pserv.model.hooks import Hook
from pserv.model.log import Logging
from pserv.model.names import number_of, service_of
from pserv.model.prefixes import Prefixes
from pserv.model.spec import Document, ServiceSpec

WITH_ANOTHER_USER = ("PATH", "LANG", "LC_*", "TZ")
"""What a service that runs as another user inherits by default."""

_OF_THE_RUN = ("tty", "notify", "watchdog", "ready_fd", "sockets")
"""What a launch gives to a service's own run only, to none of its commands."""


SYSLOGS = ("/dev/log", "/var/run/syslog", "/var/run/log", "/run/systemd/journal/dev-log")
"""Where a syslog listens; the first is what `syslog` means."""
_SHM = "/dev/shm/"
"""Files below it are files; whatever else is in /dev is none that could be read again."""


class Places(msgspec.Struct, frozen=True):
    """What a launch depends on besides the spec: the default folder, where logs go, whether we are PID 1.

    `cookie` is the sign of this daemon, with which every run id begins; `secrets` the folder for those that are files,
    of this daemon alone: with a socket at /run/x.sock, /run/secrets would be somebody else's.
    """

    root: str
    logs: str
    container: bool = False
    cookie: str = ""
    prefixes: tuple[Prefixes, Prefixes] = msgspec.field(default_factory=lambda: (Prefixes(()), Prefixes(())))
    """What stands before lines that go where the daemon's own standard output and standard error go."""
    secrets: str = ""


def places(document: Document, state_dir: str, *, container: bool, cookie: str = "", run_dir: str = "") -> Places:
    prefixes = _prefixes(document, sys.__stdout__), _prefixes(document, sys.__stderr__)
    logs, secrets = os.path.join(state_dir, "logs"), os.path.join(run_dir, f"secrets.{cookie}")
    return Places(document.root, logs, container, cookie, prefixes, secrets)


def _prefixes(document: Document, stream: TextIO | None) -> Prefixes:
    """As `pserv up` would show them there."""
    names = (
        name if spec.instances is None else f"{name}:{number}"
        for name, spec in document.services.items()
        for number in range(1, (spec.instances or 1) + 1)
    )
    return Prefixes.on(stream, names)


def inherited(spec: ServiceSpec) -> bool | tuple[str, ...]:
    """Which of the daemon's variables a service gets: all, none, or those that match these names."""
    if spec.inherit_env is None:
        return WITH_ANOTHER_USER if spec.user is not None else True
    return spec.inherit_env


def target(name: str, stream: str, where: str, at: Places) -> Message:
    """Where one stream goes, as the keeper's TARGET; paths are absolute."""
    if where == "inherit" or (where == "log" and at.container):
        # As `docker compose` does: the name before each line. Without a name it is for a comparison.
        error = stream == "stderr"
        prefix = at.prefixes[error].before(name) if name else ""
        return {"kind": "inherit", "prefix": prefix, **({"as": "err"} if error else {})}
    if where == "syslog" or where in SYSLOGS:
        path = SYSLOGS[0] if where == "syslog" else where
        return {"kind": "file", "path": path, "prefix": name, "syslog": True}
    if where == "null":
        return {"kind": "null"}
    if where == "log":
        return {"kind": "file", "path": os.path.join(at.logs, f"{name}.log")}
    return {"kind": "file", "path": where}


def log(name: str, spec: ServiceSpec) -> Message:
    """How the output of a service is written, as the keeper's LOG."""
    return spec.log.settings(service_of(name), number_of(name))


def outputs(name: str, spec: ServiceSpec, at: Places) -> dict[str, Message]:
    """The targets of both streams; stderr goes where stdout does unless one of them names a place of its own."""
    stdout = target(name, "stdout", spec.stdout, at)
    if spec.stderr is None or spec.stderr == spec.stdout:
        # A pipe of its own into the same file, where the lines are to say which it was.
        joined = stdout["kind"] != "null" and (spec.log.format == "plain" or "syslog" in stdout)
        stderr = {"kind": "stdout"} if joined else stdout
    else:
        stderr = target(name, "stderr", spec.stderr, at)
    written = log(name, spec)
    return {
        stream: {**to, "log": written} if written and to["kind"] in ("file", "inherit") else to
        for stream, to in (("stdout", stdout), ("stderr", stderr))
    }


def log_files(name: str, spec: ServiceSpec, at: Places) -> list[tuple[str, str]]:
    """(stream, path) of each file that a service's output goes to; of a common one it is stdout."""
    paths = {
        stream: to["path"]
        for stream, to in outputs(name, spec, at).items()
        if to["kind"] == "file" and "syslog" not in to and _is_kept(to["path"])
    }
    if paths.get("stderr") == paths.get("stdout"):
        paths.pop("stderr", None)
    return list(paths.items())


def _is_kept(path: str) -> bool:
    return not path.startswith("/dev/") or path.startswith(_SHM)


def launch(name: str, spec: ServiceSpec, at: Places) -> Message:
    """The LAUNCH of a spawn command; user, group and PATH are looked up in the child."""
    inherit = inherited(spec)
    message: Message = {
        "argv": spec.argv,
        "env": environment(name, spec),
        "inherit": inherit if isinstance(inherit, bool) else list(inherit),
        "cwd": spec.cwd or at.root,
        # A socket of its own tells whose word it is when the sender has gone; it costs a descriptor.
        "notify": True if spec.type == "notify" or spec.watchdog is not None else "shared",
        **outputs(name, spec, at),
    }
    optional = {
        "umask": spec.umask,
        "nice": spec.nice,
        "oom_score_adj": spec.oom_score_adj,
        "user": spec.user,
        "group": spec.group,
        "groups": spec.supplementary_groups,
        "tty": spec.tty or None,
        "watchdog": None if spec.watchdog is None else max(1, round(spec.watchdog * 1e6)),
        "ready_fd": None if spec.ready is None else spec.ready.fd,
        "sockets": sockets(spec) or None,
    }
    message.update({key: value for key, value in optional.items() if value is not None})
    return message


def sockets(spec: ServiceSpec) -> list[Message]:
    """The SOCKETs that a service listens on, in the order of LISTEN_FDS."""
    return [listening.message(name, declared) for name, declared in spec.sockets.items()]


def environment(name: str, spec: ServiceSpec) -> dict[str, str]:
    """What a process of a service gets besides what it inherits; without a name only what is declared."""
    port = {} if spec.port is None else {"PORT": str(spec.port)}
    if not name:
        return {**port, **spec.env} if port else spec.env
    number = number_of(name) or 1
    own = {"PSERV_SERVICE": service_of(name), "PSERV_INSTANCE": str(number), "PSERV_INDEX": str(number - 1)}
    return {**port, **spec.env, **own}


def command_launch(spec: ServiceSpec, argv: tuple[str, ...], at: Places, name: str = "") -> Message:
    """The LAUNCH of a command in a service's environment, folder and user, on three passed descriptors."""
    message = launch(name, spec, at)
    for own in _OF_THE_RUN:
        message.pop(own, None)
    passed = {"kind": "passed"}
    return {**message, "argv": argv, "stdin": "passed", "stdout": passed, "stderr": passed}


def hook_launch(name: str, spec: ServiceSpec, hook: Hook, at: Places, facts: dict[str, str], banner: str) -> Message:
    """The LAUNCH of a hook: as its service, or as another user with that user's groups, into the service's log."""
    message = launch(name, spec, at)
    for own in _OF_THE_RUN:
        message.pop(own, None)
    if hook.user is not None and hook.user != spec.user:
        message.pop("group", None)
        message.pop("groups", None)
        message["user"] = hook.user
    out = message["stdout"]
    if out["kind"] == "file":
        facts = {**facts, "PSERV_LOG": out["path"]}
    return {**message, "argv": hook.argv, "env": {**environment(name, spec), **facts}, "banner": banner}


def fingerprint(spec: ServiceSpec, at: Places) -> int:
    """A number that changes when a running service would need a new run to be as declared."""
    plain = msgspec.structs.replace(spec, log=Logging())  # which a run can be told of while it lives
    made = msgspec.json.encode(launch("", plain, at), order="sorted")  # variables in another order are no others
    return zlib.crc32(made + f"{spec.type}{spec.pid_file or ''}".encode())


def place(to: Message) -> str:
    """A TARGET in a word: the path, or what it is."""
    return str(to.get("path") or {"stdout": "with stdout"}.get(to["kind"], to["kind"]))
