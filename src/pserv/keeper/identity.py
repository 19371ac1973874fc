"""Whom a child becomes: users and groups looked up, changed to, and seen to be so. In the child, as NSS may hang."""

from __future__ import annotations

import errno
import grp
import os
import pwd

from pserv.keeper.place import Place
from pserv.keeper.protocol import Message

SHELL = "/bin/sh"


class Identity:
    """Whom to become: what the user and group names mean."""

    __slots__ = ("gid", "groups", "home", "name", "shell", "uid")

    def __init__(self, uid: int, gid: int, groups: list[int] | None, account: pwd.struct_passwd | None) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.name = account.pw_name if account else str(uid)
        self.home = account.pw_dir if account else "/"
        self.shell = account.pw_shell if account else SHELL


def look_up(launch: Message) -> Identity | None:
    """Raises LookupError with the name in its text; None when nothing is to change."""
    user, group, extra = launch.get("user"), launch.get("group"), launch.get("groups")
    if user is None and group is None and extra is None:
        return None
    account = _account(str(user) if user is not None else str(os.getuid()))
    if user is not None and account is None and not str(user).isdecimal():
        raise LookupError(f"no such user: {user}")
    uid = account.pw_uid if account else int(user) if user is not None else os.getuid()
    gid = _gid(str(group)) if group is not None else account.pw_gid if account else uid
    if extra is not None:
        groups = [gid, *(_gid(str(name)) for name in extra)]
    elif user is not None:
        groups = os.getgrouplist(account.pw_name, gid) if account else [gid]
    else:
        groups = None
    return Identity(uid, gid, groups, account)


def _account(user: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwuid(int(user)) if user.isdecimal() else pwd.getpwnam(user)
    except KeyError:
        return None


def _gid(group: str) -> int:
    if group.isdecimal():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        raise LookupError(f"no such group: {group}") from None


def change(identity: Identity, place: Place) -> None:
    """Groups, then group, then user; then see that it is so and cannot be undone."""
    uid, gid = identity.uid, identity.gid
    if os.geteuid() != 0 and uid == os.getuid() and gid == os.getgid() and not _other_groups(identity):
        return  # what we are already, and could not change
    if identity.groups is not None:
        place.at("setgroups", " ".join(map(str, identity.groups)))
        os.setgroups(identity.groups)
    place.at("setgid", str(gid))
    os.setregid(gid, gid)  # with both given the saved id changes too
    place.at("setuid", identity.name)
    os.setreuid(uid, uid)
    place.at("verify", f"uid {uid}, gid {gid}")
    if _ids() != (uid, uid, gid, gid) or not _saved_ids_are(uid, gid):
        raise PermissionError(errno.EPERM, "the ids did not change")
    if identity.groups is not None and set(os.getgroups()) - {gid} != set(identity.groups) - {gid}:
        raise PermissionError(errno.EPERM, "the groups did not change")
    if uid != 0 and _can_become_root():
        raise PermissionError(errno.EPERM, "root can be had back")


def _ids() -> tuple[int, int, int, int]:
    return os.getuid(), os.geteuid(), os.getgid(), os.getegid()


def _saved_ids_are(uid: int, gid: int) -> bool:
    """True where the system cannot tell (macOS)."""
    return not hasattr(os, "getresuid") or (os.getresuid()[2] == uid and os.getresgid()[2] == gid)


def _other_groups(identity: Identity) -> bool:
    """Whether groups are wanted that this process is not in."""
    return identity.groups is not None and bool(set(identity.groups) - {*os.getgroups(), os.getgid()})


def _can_become_root() -> bool:
    try:
        os.setuid(0)
    except OSError:
        return False
    return True
