"""What a user may declare of a listening socket, and what the text of its address means. Nothing is opened here."""

import os
import socket
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from pserv.model.kinds import Octal, fixed

BACKLOG = 4096
"""As systemd has it; the kernel's own limit (net.core.somaxconn) is often lower."""
MODE = 0o666
LONGEST_PATH = 107
"""Bytes of sockaddr_un.sun_path on Linux, without the NUL."""
EVERYWHERE = ("", "*")


class Socket(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A listening socket, open before the service runs. A user may write only its address."""

    listen: Annotated[
        str,
        Meta(extra={"kind": "address"}),
        fixed("The address: `8080`, `127.0.0.1:8080`, `tcp://[::1]:8080`, `udp://:53`, `unix:/run/app.sock`."),
    ]
    type: Annotated[Literal["stream", "datagram"] | None, fixed("datagram for a unix socket that takes datagrams.")] = (
        None
    )
    backlog: Annotated[
        Annotated[int, Meta(ge=1, le=65535)] | None, fixed("Connections that may wait; by default 4096.")
    ] = None
    mode: Annotated[Octal | None, fixed("Permissions of a unix socket's file; by default 0666.")] = None
    user: Annotated[str | None, fixed("Owner of a unix socket's file; by default the daemon's user.")] = None
    group: Annotated[str | None, fixed("Group of a unix socket's file; by default the daemon's.")] = None
    reuse_port: Annotated[bool, fixed("Others may listen on the same port (SO_REUSEPORT).")] = False
    freebind: Annotated[bool, fixed("The address need not exist on this machine yet (IP_FREEBIND, Linux).")] = False
    ipv6_only: Annotated[
        bool | None, fixed("Whether an IPv6 address takes no IPv4 connections; without a host by default false.")
    ] = None


class Address(Struct, frozen=True):
    """Where a socket listens: a host as a number ("" for all addresses) and a port, or a path (`@name`: no file)."""

    kind: Literal["tcp", "udp", "unix"]
    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        if self.kind == "unix":
            return f"unix {self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host or "*"
        return f"{self.kind} {host}:{self.port}"


def address(text: str) -> Address:
    """What is written as an address. Raises ValueError that reads on after the text."""
    written = text.strip()
    scheme, colon, rest = written.partition(":")
    if scheme == "unix" and colon:
        rest = rest.removeprefix("//")
    elif written[:1] in ("/", "@"):
        scheme, rest = "unix", written
    if scheme == "unix":
        return Address("unix", path=_path(rest))
    if scheme in ("tcp", "udp") and colon:
        rest = rest.removeprefix("//")
    elif "://" in written:
        raise ValueError(f"begins with {scheme}, which is none of tcp, udp and unix")
    else:
        scheme, rest = "tcp", written
    host, port = _host_and_port(rest.removesuffix("/"))
    return Address("udp" if scheme == "udp" else "tcp", host, port)


def _path(path: str) -> str:
    if path[:1] not in ("/", "@") or len(path) < 2:
        raise ValueError("has no path")
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise ValueError(f"has a path of {len(os.fsencode(path))} bytes, and the system allows {LONGEST_PATH}")
    return path


def _host_and_port(rest: str) -> tuple[str, int]:
    host, colon, port = rest.rpartition(":")
    if not colon and "." in port:
        raise ValueError("has no port")
    if not port.isascii() or not port.isdigit() or len(port) > 5 or not 1 <= int(port) <= 65535:
        raise ValueError("has no port from 1 to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise ValueError("has an IPv6 address without [ ]")
    if host in EVERYWHERE:
        return "", int(port)
    host = {"localhost": "127.0.0.1"}.get(host, host)
    if not _is_number(host):
        raise ValueError("has a name for a host: names may mean another address tomorrow")
    return host, int(port)


def _is_number(host: str) -> bool:
    for family, text in ((socket.AF_INET, host), (socket.AF_INET6, host.partition("%")[0])):
        try:
            socket.inet_pton(family, text)
        except (OSError, UnicodeError):
            continue
        return True
    return False


def message(name: str, declared: Socket) -> dict[str, Any]:
    """A socket as the keeper is told of it: its SOCKET. Raises ValueError where the address is none."""
    where = address(declared.listen)
    options: dict[str, Any] = {
        "mode": declared.mode, "user": declared.user, "group": declared.group, "backlog": declared.backlog or BACKLOG,
        "reuse_port": declared.reuse_port or None, "freebind": declared.freebind or None,
        "ipv6_only": declared.ipv6_only,
    }  # fmt: skip
    place = {"path": where.path} if where.kind == "unix" else {"host": where.host, "port": where.port}
    kind = "unix-datagram" if where.kind == "unix" and declared.type == "datagram" else where.kind
    given = {key: value for key, value in options.items() if value is not None}
    if where.kind == "unix" and where.path.startswith("/"):
        given.setdefault("mode", MODE)
    return {"name": name, "kind": kind, **place, **given}


def told(sockets: dict[str, Socket]) -> str:
    """Addresses as people read them: "tcp 127.0.0.1:8080, unix /run/app.sock"."""
    return ", ".join(dict.fromkeys(str(address(each.listen)) for each in sockets.values()))
