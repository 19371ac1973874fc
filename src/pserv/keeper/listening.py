"""One listening socket, from its description in a launch to an open descriptor. Who holds it is in `sockets`.

Nothing here waits: hosts are numbers, users are looked up in /etc/passwd alone, and no path is touched that lies on a
network file system, which may hang (a socket there would be of no use anyway: it is the kernel's, not the server's).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping

from pserv.keeper.protocol import Message

_IP_FREEBIND, _IPV6_FREEBIND = 15, 78  # <linux/in.h>, <linux/in6.h>; the module `socket` does not name them
_NO_IPV6 = (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
_SLOW = ("nfs", "cifs", "smb", "9p", "ceph", "afs", "fuse", "glusterfs", "lustre", "ocfs2", "gfs2", "coda", "ncpfs")
"""How the types of file systems begin that may hang."""
_MAY_PASS_LINKS = 40


def open_one(wanted: Message) -> tuple[socket.socket, tuple[int, int] | None]:
    """The socket, bound and listening, and device and inode of its file where it has one. Raises OSError."""
    if "path" in wanted:
        return _open_unix(wanted)
    if wanted["host"]:
        return _open_inet(wanted, wanted["host"]), None
    try:
        return _open_inet({"ipv6_only": False, **wanted}, "::"), None
    except OSError as error:
        if error.errno not in _NO_IPV6:
            raise
    return _open_inet(wanted, "0.0.0.0"), None  # all addresses is what was asked for


def describe(wanted: Message) -> str:
    """As people read it: "tcp 127.0.0.1:80", "unix /run/app.sock"."""
    if "path" in wanted:
        return f"unix {wanted['path']}"
    host = f"[{wanted['host']}]" if ":" in wanted["host"] else wanted["host"] or "*"
    return f"{wanted['kind']} {host}:{wanted['port']}"


def same(wanted: Message) -> str:
    """What makes two descriptions the same socket: all that is decided when it is bound."""
    bound = ("kind", "host", "port", "path", "reuse_port", "freebind", "ipv6_only")
    return "\0".join(str(wanted.get(name, "")) for name in bound)


def adjust(sock: socket.socket, wanted: Message) -> None:
    """What can be changed of a socket that is open: its backlog, and its file's mode and owner. Raises OSError."""
    if sock.type == socket.SOCK_STREAM:
        sock.listen(wanted["backlog"])
    if wanted.get("path", "").startswith("/"):
        uid, gid = _id("/etc/passwd", "user", wanted.get("user")), _id("/etc/group", "group", wanted.get("group"))
        if uid >= 0 or gid >= 0:
            os.chown(wanted["path"], uid, gid)
        os.chmod(wanted["path"], wanted["mode"])


def remove(path: str, inode: tuple[int, int]) -> None:
    """The file of a socket of ours; whatever else is there by now stays."""
    try:
        found = os.lstat(path)
        if (found.st_dev, found.st_ino) == inode:
            os.unlink(path)
    except OSError:
        return


def _open_inet(wanted: Message, host: str) -> socket.socket:
    v6 = ":" in host
    stream = wanted["kind"] == "tcp"
    sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_STREAM if stream else socket.SOCK_DGRAM)
    try:
        if stream:  # a datagram socket with it could be shared by whoever asks for it, too
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if wanted.get("reuse_port"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if v6 and wanted.get("ipv6_only") is not None:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(wanted["ipv6_only"]))
        if wanted.get("freebind"):
            level, option = (socket.IPPROTO_IPV6, _IPV6_FREEBIND) if v6 else (socket.IPPROTO_IP, _IP_FREEBIND)
            sock.setsockopt(level, option, 1)
        host, percent, scope = host.partition("%")
        port = wanted["port"]
        sock.bind((host, port, 0, socket.if_nametoindex(scope) if percent else 0) if v6 else (host, port))
        adjust(sock, wanted)
    except BaseException:
        sock.close()
        raise
    return sock


def _open_unix(wanted: Message) -> tuple[socket.socket, tuple[int, int] | None]:
    path = wanted["path"]
    kind = socket.SOCK_DGRAM if wanted["kind"] == "unix-datagram" else socket.SOCK_STREAM
    sock = socket.socket(socket.AF_UNIX, kind)
    inode = None
    try:
        if path.startswith("@"):
            sock.bind("\0" + path[1:])
        else:
            stay_local(path, slow_mounts())
            os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
            _clear(path, kind)
            # Nobody can connect before it has its mode: no moment between bind and chmod, as this is the only thread.
            before = os.umask(0o777 & ~(wanted["mode"] & (0o600 if "user" in wanted or "group" in wanted else 0o777)))
            try:
                sock.bind(path)
            finally:
                os.umask(before)
            found = os.lstat(path)
            inode = (found.st_dev, found.st_ino)
        adjust(sock, wanted)
    except BaseException:
        sock.close()
        if inode is not None:
            remove(path, inode)
        raise
    return sock, inode


def _clear(path: str, kind: int) -> None:
    """Remove the file of a socket that nobody listens on; any other file is somebody's, and bind will say so."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise OSError(errno.EEXIST, "a file that is no socket is there", path)
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX, kind) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
        except OSError:
            pass  # somebody listens, if with another type or a full queue: bind fails


def _id(file: str, what: str, name: str | None) -> int:
    """The number of a user or group; -1 for none, which chown(2) takes for "as it is". Raises OSError."""
    if name is None:
        return -1
    if name.isdecimal():
        return int(name)
    with open(file, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            fields = line.split(":")
            if fields[0] == name and len(fields) > 2 and fields[2].isdecimal():
                return int(fields[2])
    raise OSError(errno.ESRCH, f"there is no {what} {name} in {file}: write its number")


def stay_local(path: str, mounts: Mapping[str, str]) -> None:
    """Raises OSError for a path below one of these mount points (and their types), without touching them.

    Links are read one by one, since the kernel would follow them all.
    """
    at, left = "/", path.split("/")[::-1]
    links = 0
    while left and mounts:
        part = left.pop()
        if part == "..":
            at = os.path.dirname(at)
        elif part not in ("", "."):
            at = os.path.join(at, part)
        if at in mounts:
            raise OSError(errno.EREMOTE, f"{at} is a network file system ({mounts[at]})")
        try:
            target = os.readlink(at) if part not in ("", ".", "..") else ""
        except OSError:
            continue
        links += 1
        if target and links > _MAY_PASS_LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target:
            at = os.path.dirname(at)
            left += target.split("/")[::-1]
            at = "/" if target.startswith("/") else at


def slow_mounts() -> dict[str, str]:
    """Mount points of network file systems and their types (proc(5)); none where that cannot be read."""
    found: dict[str, str] = {}
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                before, _, after = line.partition(" - ")
                kind = after.split(" ", 1)[0]
                if kind.startswith(_SLOW) and kind != "fusectl":
                    found[before.split()[4].replace("\\040", " ")] = kind
    except OSError:
        pass
    return found
