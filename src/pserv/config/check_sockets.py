"""Mistakes within a listening socket, between it and its service, and between those of all services."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Final

from pserv.config.findings import shown
from pserv.config.sockets import FORMS
from pserv.model import listening
from pserv.model.listening import Address, Socket
from pserv.model.spec import ServiceSpec
from pserv.rules import instances

Wrong = tuple[tuple[str, ...], str, str]
"""The option, from `sockets` on; what is wrong; a hint."""

_FORMS: Final = f"write an address: {', '.join(FORMS)}"
_FIRST_HANDED: Final = 3


def mistakes(spec: ServiceSpec, uid: int) -> Iterator[Wrong]:
    """All of one service (of its first instance); `uid` is the daemon's user."""
    if spec.lazy and not spec.sockets:
        yield ("lazy",), "waits for a connection, and the service has no sockets", "write sockets: 8080"
    if spec.lazy and spec.schedule is not None:
        yield ("lazy",), "set beside schedule, which starts it at its times", "keep one of the two"
    for name, declared in spec.sockets.items():
        if instances.asked_for(declared.listen):
            continue  # told by check_instances
        try:
            where = listening.address(declared.listen)
        except ValueError as error:
            yield ("sockets", name), f"{shown(declared.listen)} {error}", _FORMS
            continue
        for option, message, hint in _beside(where, declared):
            yield ("sockets", name, option), message, hint
        for option, file, wanted in (("user", "/etc/passwd", declared.user), ("group", "/etc/group", declared.group)):
            if wanted is not None and not _is_in(file, wanted):
                yield ("sockets", name, option), f"there is no {option} {shown(wanted)} in {file}", "write its number"
        if declared.user is not None and uid != 0:
            yield ("sockets", name, "user"), "only root can give a file to another user", "remove it"
    fd = None if spec.ready is None else spec.ready.fd
    if fd is not None and spec.sockets and fd < _FIRST_HANDED + len(spec.sockets):
        first = _FIRST_HANDED + len(spec.sockets)
        yield ("ready", "fd"), f"descriptor {fd} is one of its sockets", f"write {first}, or more"


def notes(spec: ServiceSpec, uid: int) -> Iterator[str]:
    """What is accepted, and may not do what its reader thinks."""
    if spec.sockets and spec.shell is not None and not spec.shell.lstrip().startswith("exec "):
        yield "LISTEN_PID is the shell's: begin the line with exec, so that the program has that pid"
    if spec.lazy and spec.policy in ("always", "on-success"):
        yield f"lazy waits before its first run only: restart: {spec.policy} starts it again when it has ended"
    ports = set()
    for name, declared in spec.sockets.items():
        try:
            where = listening.address(declared.listen)
        except ValueError:
            continue
        ports.add(where.port if where.kind == "tcp" else 0)
        if uid != 0 and 0 < where.port < _first_unprivileged():
            yield f"{name}: port {where.port} needs root, or CAP_NET_BIND_SERVICE"
    for which in ("ready", "health"):
        tcp = getattr(getattr(spec, which), "tcp", None)
        if tcp is not None and tcp.port in ports:
            yield f"the tcp probe {which} tells nothing: the kernel takes its connection before the service does"


def shared(services: Mapping[str, ServiceSpec]) -> Iterator[tuple[str, str, str, str]]:
    """Sockets at the same place: service, socket, what is wrong, a hint. Instances of a service may share."""
    taken: dict[tuple[str, int, str], list[tuple[str, str, Address, Socket]]] = {}
    for service, spec in services.items():
        varies = any("$" in declared.listen for declared in spec.sockets.values())
        for key in instances.first_keys(service, spec, instances.LOOKED_AT if varies else 1) if spec.sockets else ():
            facts = instances.facts(key, spec)
            for name, declared in spec.sockets.items():
                try:
                    where = listening.address(instances.filled(declared.listen, facts))
                except ValueError:
                    continue
                others = taken.setdefault((where.kind, where.port, where.path), [])
                for other, its, there, theirs in others:
                    if (other, its) != (service, name) and _collide(where, declared, there, theirs):
                        told = f"its {its}" if other == service else f"services.{other}.sockets.{its}"
                        yield service, name, f"{where} is also {told}", "give each its own address"
                        break
                else:
                    others.append((service, name, where, declared))


def _collide(where: Address, declared: Socket, there: Address, theirs: Socket) -> bool:
    if declared.reuse_port and theirs.reuse_port:
        return False
    if where.host == there.host:
        return True
    for one, other in ((where, there), (there, where)):
        if one.host == "" or (one.host == "0.0.0.0" and ":" not in other.host):
            return True
        if one.host == "::" and ":" in other.host:
            return True
    return False


def _beside(where: Address, declared: Socket) -> Iterator[tuple[str, str, str]]:
    """Options that say nothing of this kind of socket."""
    file = where.kind == "unix" and where.path.startswith("/")
    for option in ("mode", "user", "group"):
        if getattr(declared, option) is not None and not file:
            yield option, f"only goes with a unix socket's file, and this is {where}", "remove it"
    for option in ("reuse_port", "freebind", "ipv6_only"):
        if getattr(declared, option) and where.kind == "unix":
            yield option, f"only goes with tcp and udp, and this is {where}", "remove it"
    if declared.ipv6_only is not None and where.host and ":" not in where.host:
        yield "ipv6_only", f"only goes with an IPv6 address, and this is {where}", "remove it"
    if declared.type is not None and where.kind != "unix":
        hint = "write udp://… for datagrams" if where.kind == "tcp" and declared.type == "datagram" else "remove it"
        yield "type", f"only goes with a unix socket, and this is {where}", hint
    if declared.backlog is not None and (where.kind == "udp" or declared.type == "datagram"):
        yield "backlog", "nobody connects to a datagram socket", "remove it"


def _is_in(file: str, name: str) -> bool:
    """As the keeper looks it up, which waits for no name service."""
    if name.isdecimal():
        return True
    try:
        with open(file, encoding="utf-8", errors="replace") as lines:
            return any(line.split(":")[0] == name for line in lines)
    except OSError:
        return True


def _first_unprivileged() -> int:
    try:
        with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 0 if os.name != "posix" else 1024
