"""Mistakes between options and between services, and what a user should know although it is accepted."""

from __future__ import annotations

import grp
import os
import pwd
import signal
from collections.abc import Iterator, Mapping
from typing import Final

from pserv.config import (
    check_dependencies,
    check_forking,
    check_instances,
    check_logs,
    check_probes,
    check_schedule,
    check_shells,
    check_sockets,
    check_watch,
    commandline,
)
from pserv.config.declared import Declared
from pserv.config.findings import Findings, short, shown
from pserv.config.hints import suggestion, yaml_quoted
from pserv.config.nodes import Scalar
from pserv.config.overriding import ONE_OF
from pserv.model import units
from pserv.model.hooks import KINDS, Hooks
from pserv.model.spec import ServiceSpec
from pserv.rules import instances

_NO_HOOKS: Final = Hooks()
_UNCATCHABLE: Final = (signal.SIGSTOP,)


class Check:
    """Looks at each service, then at all together. `left_out`: those of other profiles; `uid`: the daemon's user."""

    def __init__(
        self,
        findings: Findings,
        services: Mapping[str, Declared],
        left_out: Mapping[str, tuple[str, ...]],
        root: str,
        uid: int,
    ) -> None:
        self._findings = findings
        self._services = services
        self._left_out = left_out
        self._root = root
        self._uid = uid
        self._firsts: dict[str, ServiceSpec] = {}

    def run(self) -> None:
        for declared in self._services.values():
            self._findings.service = declared.name
            self._instances(declared)
            self._program(declared)
            self._identity(declared)
            self._hooks(declared)
            self._life(declared)
            self._probes(declared)
            self._sockets(declared)
            self._watch(declared)
            self._places(declared)
            for option, message in check_shells.notes(declared.spec):
                self._note(declared, option, message)
            if lack := check_logs.missing(declared.spec.log):
                self._wrong(declared, "log", *lack, "rotate", "compress")
            for option, message in check_logs.idle(declared.spec.log):
                self._note(declared, f"log.{option}", message)
        self._findings.service = ""
        self._dependencies()
        self._shared_files()
        self._shared_sockets()

    def _wrong(self, declared: Declared, option: str, message: str, hint: str, *inner: str) -> None:
        path = ("services", declared.name, *((option, *inner) if option else ()))
        self._findings.add(path, message, hint, declared.at(option, *inner) if option else declared.key)

    def _note(self, declared: Declared, option: str, message: str) -> None:
        self._findings.notes.append(f"services.{declared.name}.{option}: {message}")

    def _instances(self, declared: Declared) -> None:
        forking = () if self._findings.told(declared.name, [".type:"]) else check_forking.mistakes(declared.spec)
        for option, message, hint in (*check_instances.mistakes(declared.spec), *forking):
            self._wrong(declared, option, message, hint)
        if declared.spec.port is not None and "PORT" in declared.spec.env:
            self._note(declared, "port", f"has no effect on PORT: env sets it to {shown(declared.spec.env['PORT'])}")

    def _first(self, declared: Declared) -> ServiceSpec:
        """What can be looked at as it will be used."""
        if declared.name not in self._firsts:
            self._firsts[declared.name] = check_instances.first(declared.name, declared.spec)
        return self._firsts[declared.name]

    def _program(self, declared: Declared) -> None:
        spec = self._first(declared)
        used = [name for name in ONE_OF if getattr(spec, name) is not None]
        if not used:
            if not self._findings.told(declared.name, (*ONE_OF, ".extends:")):
                self._wrong(declared, "", "says nothing to run", 'write command: "prog a b", or exec, or shell')
            return
        if len(used) > 1:
            self._wrong(declared, used[1], f"set beside {used[0]}", f"keep one of {' and '.join(used)}")
        elif spec.args and spec.exec is None:
            hint = f"write them into {used[0]}, or use exec and args"
            self._wrong(declared, "args", f"only goes with exec, and this service has {used[0]}", hint)
        if spec.exec is not None:
            self._exec(declared, spec.exec)
        if spec.shell is not None and not spec.shell.strip():
            self._wrong(declared, "shell", "is an empty text", 'write a line for sh: "a | b"')
        program = spec.argv[0]
        if "/" in program and len(used) == 1 and spec.shell is None:
            self._missing_program(declared, used[0], program)

    def _exec(self, declared: Declared, program: str) -> None:
        if not any(char.isspace() for char in program) or os.path.exists(program):
            return
        node = declared.at("exec")
        written = node.text if isinstance(node, Scalar) else program
        line = " ".join([written, *map(commandline.quote, declared.spec.args)])
        self._wrong(
            declared,
            "exec",
            f"there is no program {shown(written)}: exec takes the program alone",
            f"write command: {yaml_quoted(line)}",
        )

    def _missing_program(self, declared: Declared, option: str, program: str) -> None:
        if any(char.isspace() for char in program):
            return
        if not os.path.exists(program):
            node = declared.at(option)
            cwd = declared.spec.cwd
            first = node.text.split()[0] if isinstance(node, Scalar) and node.text.split() else ""
            if cwd and first and not os.path.isabs(first) and os.path.exists(os.path.join(cwd, first)):
                there = os.path.normpath(os.path.join(cwd, first))
                self._note(declared, option, f"there is no {program} now; paths are relative to this file: {there}?")
            else:
                self._note(declared, option, f"there is no {program} now")
        elif os.path.isdir(program):
            self._note(declared, option, f"{program} is a folder")
        elif not os.access(program, os.X_OK):
            self._note(declared, option, f"{program} is not executable: chmod +x {program}")

    def _identity(self, declared: Declared) -> None:
        spec = declared.spec
        user = _user(spec.user) if spec.user is not None else None
        if spec.user is not None and user is None:
            names = tuple(entry.pw_name for entry in pwd.getpwall())
            hint = suggestion(spec.user, names) or f"create it (useradd --system {short(spec.user)}), or name another"
            self._wrong(declared, "user", f"there is no user {shown(spec.user)} on this machine", hint)
        elif user is not None and self._uid not in (0, user):
            hint = "remove it, or run the daemon as root"
            message = f"{shown(spec.user or '')} is another user, and this daemon does not run as root"
            self._wrong(declared, "user", message, hint)
        groups = [("group", spec.group)] if spec.group is not None else []
        groups += [("supplementary_groups", group) for group in spec.supplementary_groups or ()]
        for option, group in groups:
            if group is not None and not _is_group(group):
                names = tuple(entry.gr_name for entry in grp.getgrall())
                hint = suggestion(group, names) or f"create it (groupadd {short(group)}), or name another"
                self._wrong(declared, option, f"there is no group {shown(group)} on this machine", hint)

    def _hooks(self, declared: Declared) -> None:
        spec = declared.spec
        for kind in KINDS if spec.hooks != _NO_HOOKS else ():
            for user in dict.fromkeys(hook.user for hook in spec.hooks.of(kind) if hook.user is not None):
                if _user(user) is None:
                    message, hint = f"there is no user {shown(user)} on this machine", "create it, or name another"
                    self._wrong(declared, "hooks", message, hint, kind)
                elif self._uid not in (0, _user(user)):
                    message = f"{shown(user)} is another user, and this daemon does not run as root"
                    self._wrong(declared, "hooks", message, "remove it, or run the daemon as root", kind)
            if spec.type == "oneshot" and kind in ("post_start", "pre_stop") and spec.hooks.of(kind):
                self._note(declared, f"hooks.{kind}", "has no effect: a oneshot is never running")

    def _life(self, declared: Declared) -> None:
        spec = declared.spec
        if spec.stop.steps and declared.spec.stop != type(spec.stop)(steps=spec.stop.steps, scope=spec.stop.scope):
            extra = "signal" if spec.stop.signal != 15 else "timeout"
            message = "set beside steps, which say both signals and times"
            self._wrong(declared, "stop", message, f"remove {extra}, or write it as a step", extra)
        signals = [step.signal for step in spec.stop_steps]
        for number in signals:
            if number in _UNCATCHABLE:
                hint = "write TERM, INT, QUIT, or another that ends it"
                self._wrong(declared, "stop", f"{units.show_signal(number)} does not end a process", hint)
        if spec.type == "oneshot" and spec.restart in ("always", "on-success"):
            self._note(declared, "restart", f"{spec.restart} runs this oneshot again each time it is done")
        self._schedule(declared)
        if spec.backoff.initial > spec.backoff.maximum:
            message = (
                f"{units.write_duration(spec.backoff.initial)} is longer than "
                f"maximum, {units.write_duration(spec.backoff.maximum)}"
            )
            self._wrong(declared, "backoff", message, "raise maximum, or lower initial", "initial")
        if spec.max_retries is not None and spec.policy == "never":
            self._note(declared, "max_retries", "has no effect: restart is never")
        if 0 in spec.success_exit_codes:
            self._note(declared, "success_exit_codes", "0 is always a success")

    def _probes(self, declared: Declared) -> None:
        unread = [which for which in ("ready", "health") if self._findings.told(declared.name, [f".{which}"])]
        first = self._first(declared)
        for (option, *inner), message, hint in check_probes.mistakes(first):
            if option not in unread:
                self._wrong(declared, option, message, hint, *inner)
        health = declared.spec.health
        if health is not None and health.on_failure == "restart" and declared.spec.policy in ("never", "on-success"):
            self._note(declared, "health", f"marks it unhealthy and does not end it: restart is {declared.spec.policy}")

    def _schedule(self, declared: Declared) -> None:
        for option, message, hint in check_schedule.mistakes(declared.spec, declared.written):
            self._wrong(declared, option, message, hint)
        for option, message in check_schedule.notes(declared.spec, declared.written.get("autostart")):
            self._note(declared, option, message)

    def _sockets(self, declared: Declared) -> None:
        if not declared.spec.sockets and not declared.spec.lazy:
            return
        first = self._first(declared)
        for (option, *inner), message, hint in check_sockets.mistakes(first, self._uid):
            self._wrong(declared, option, message, hint, *inner)
        for told in check_sockets.notes(first, self._uid):
            self._note(declared, "sockets", told)

    def _watch(self, declared: Declared) -> None:
        if self._findings.told(declared.name, [".watch"]):
            return
        for (option, *inner), message, hint in check_watch.mistakes(declared.spec):
            self._wrong(declared, option, message, hint, *inner)

    def _places(self, declared: Declared) -> None:
        spec = self._first(declared)
        if spec.cwd is not None and not os.path.isdir(spec.cwd):
            what = "is no folder" if os.path.exists(spec.cwd) else "does not exist now"
            self._note(declared, "cwd", f"{spec.cwd} {what}")
        for option, path in (("stdout", spec.stdout), ("stderr", spec.stderr)):
            if path and path.startswith("/") and os.path.isdir(path):
                self._wrong(
                    declared,
                    option,
                    f"{path} is a folder",
                    f"name a file in it: {os.path.join(path, declared.name)}.log",
                )
        if spec.tty and spec.stderr is not None:
            hint = "remove it: a terminal has one output"
            self._wrong(declared, "stderr", "cannot be apart from stdout on a tty", hint)

    def _dependencies(self) -> None:
        specs = {name: declared.spec for name, declared in self._services.items()}
        for name, inner, message, hint in check_dependencies.mistakes(specs, self._left_out):
            self._findings.service = name
            self._wrong(self._services[name], "depends_on", message, hint, *inner)
        for name, message in check_dependencies.notes(specs, self._left_out):
            self._note(self._services[name], "depends_on", message)
        self._findings.service = ""

    def _shared_files(self) -> None:
        """Two writers of one file would cut each other's lines, and could not rotate it; a pid file names one."""
        specs = [(name, declared.spec) for name, declared in self._services.items()]
        for name, message, hint in check_forking.shared(specs):
            self._findings.service = name
            self._wrong(self._services[name], "pid_file", message, hint)
        writers: dict[str, tuple[str, str]] = {}
        for name, option, path in self._outputs():
            writer, other = writers.setdefault(os.path.realpath(path), (name, option))
            if (writer, other) == (name, option) or not _is_file(path):
                continue
            if writer == name:
                message, hint = f"{path} is also its {other}", "remove stderr: it goes where stdout goes"
            else:
                message = f"{path} is also written by services.{writer}.{other}"
                hint = f"give each its own file, such as {os.path.splitext(path)[0]}.{name}.log"
            self._findings.service = name
            self._wrong(self._services[name], option, message, hint)
        self._findings.service = ""

    def _shared_sockets(self) -> None:
        specs = {name: declared.spec for name, declared in self._services.items()}
        for name, socket, message, hint in check_sockets.shared(specs):
            self._findings.service = name
            self._wrong(self._services[name], "sockets", message, hint, socket)
        self._findings.service = ""

    def _outputs(self) -> Iterator[tuple[str, str, str]]:
        for name, declared in self._services.items():
            if declared.spec.stdout[:1] != "/" and (declared.spec.stderr or "")[:1] != "/":
                continue
            alike = instances.shared_output(declared.spec) is not None  # told by check_instances
            for key in instances.first_keys(name, declared.spec, 1 if alike else instances.LOOKED_AT):
                facts = instances.facts(key, declared.spec)
                for option, path in (("stdout", declared.spec.stdout), ("stderr", declared.spec.stderr)):
                    if path and path.startswith("/"):
                        yield name, option, instances.filled(path, facts)


def _is_file(path: str) -> bool:
    """Devices and FIFOs may have several writers."""
    return os.path.isfile(path) or not os.path.exists(path)


def _user(name: str) -> int | None:
    """The uid of a user by name or number; None where there is none. A number need not be known."""
    if name.isascii() and name.isdigit():
        return int(name[:10])
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def _is_group(name: str) -> bool:
    if name.isascii() and name.isdigit():
        return True
    try:
        grp.getgrnam(name)
    except (KeyError, ValueError):
        return False
    return True
