"""Listening sockets: opened once, held between runs and across a supervisor and a keeper, handed as LISTEN_FDS."""

from __future__ import annotations

import errno
import os
import signal
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pserv.keeper import listening
from pserv.keeper.loop import Loop
from pserv.keeper.protocol import Message
from pserv.keeper.reports import Reports
from pserv.keeper.runs import Record, Records
from pserv.keeper.sockets import Sockets
from tests.keeper.rig import PATIENCE, Daemon, Supervisor
from tests.keeper.speaking import speaker

Start = Callable[..., Daemon]

TELLS = """
names = os.environ["LISTEN_FDNAMES"].split(":")
assert os.environ["LISTEN_PID"] == str(os.getpid()), "not mine"
assert len(names) == int(os.environ["LISTEN_FDS"])
socks = {name: socket.socket(fileno=3 + number) for number, name in enumerate(names)}
say("STATUS=" + " ".join(f"{name}={sock.family.name}/{sock.type.name}" for name, sock in socks.items()))
"""
SERVES = (
    TELLS
    + """
while True:
    peer, _ = socks["http"].accept()
    peer.sendall(str(os.getpid()).encode())
    peer.close()
"""
)


def tcp(name: str, port: int, host: str = "127.0.0.1", **options: Any) -> Message:
    return {"name": name, "kind": "tcp", "host": host, "port": port, "backlog": 64, **options}


def unix(name: str, path: Path | str, **options: Any) -> Message:
    return {"name": name, "kind": "unix", "path": str(path), "backlog": 64, "mode": 0o666, **options}


@pytest.fixture
def port() -> Iterator[int]:
    """A port that stays bound, by a socket that does not listen, so that no other test is given it meanwhile."""
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield reserved.getsockname()[1]


def up(supervisor: Supervisor, run: int, code: str, *sockets: Message, key: str = "web", **launch: Any) -> int:
    return supervisor.up(key, run, *speaker(code), notify=True, sockets=list(sockets), **launch)


def said(supervisor: Supervisor, run: int) -> str:
    return str(supervisor.report("notice", run)["text"]).removeprefix("STATUS=")


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def answer(sock: socket.socket) -> str:
    """What the service says until it hangs up."""
    with sock:
        return sock.makefile().read()


def refused(port: int) -> bool:
    try:
        connect(port).close()
    except ConnectionRefusedError:
        return True
    return False


def end(supervisor: Supervisor, run: int, key: str = "web") -> None:
    supervisor.kill(key, run)
    supervisor.report("exited", run)


def test_all_kinds_are_handed_in_order(daemon: Start, port: int, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    wanted = [
        tcp("http", port), {**tcp("dns", port), "kind": "udp"}, unix("admin", tmp_path / "deep" / "er" / "a.sock"),
        {**unix("log", tmp_path / "l.sock", mode=0o600), "kind": "unix-datagram"}, unix("hidden", f"@{tmp_path}/x"),
        tcp("all", port, "::1"),
    ]  # fmt: skip
    up(supervisor, 1, TELLS + "rest()", *wanted)
    assert said(supervisor, 1) == (
        "http=AF_INET/SOCK_STREAM dns=AF_INET/SOCK_DGRAM admin=AF_UNIX/SOCK_STREAM log=AF_UNIX/SOCK_DGRAM "
        "hidden=AF_UNIX/SOCK_STREAM all=AF_INET6/SOCK_STREAM"
    )
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("deep/er/a.sock", "l.sock")]
    assert modes == [0o666, 0o600]


def test_no_connection_is_refused_between_two_runs(daemon: Start, port: int) -> None:
    supervisor = daemon().supervisor()
    first = up(supervisor, 1, SERVES, tcp("http", port))
    assert answer(connect(port)) == str(first)
    end(supervisor, 1)
    waits = connect(port)
    second = up(supervisor, 2, SERVES, tcp("http", port))
    assert answer(waits) == str(second)
    end(supervisor, 2)
    supervisor.do("web", {"do": "close"})
    supervisor.ask({"op": "loggers"})
    assert refused(port)


def test_they_outlive_the_supervisor_and_the_keepers_program(daemon: Start, port: int, tmp_path: Path) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    path = tmp_path / "a.sock"
    sockets = (tcp("http", port), unix("admin", path))
    up(supervisor, 1, SERVES, *sockets)
    end(supervisor, 1)
    waits = connect(port)
    inode = path.stat().st_ino
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor = rig.supervisor()
    supervisor.ask({"op": "upgrade", "keeper": True, "argv": [sys.executable, "-m", "tests.keeper.daemon_main"]})
    supervisor.op("yield")
    supervisor.exit(0)
    supervisor = rig.supervisor()
    pid = up(supervisor, 2, SERVES, *sockets)
    assert answer(waits) == str(pid)
    assert path.stat().st_ino == inode
    end(supervisor, 2)
    assert rig.finish(supervisor) == 0
    assert refused(port)
    assert not path.exists()


def test_what_changes_is_opened_and_closed_and_the_rest_stays(daemon: Start, port: int, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    old, new = tmp_path / "old.sock", tmp_path / "new.sock"
    up(supervisor, 1, SERVES, tcp("http", port), unix("admin", old))
    end(supervisor, 1)
    waits = connect(port)
    pid = up(supervisor, 2, SERVES, unix("other", new), tcp("http", port, backlog=8))
    assert answer(waits) == str(pid)
    assert (old.exists(), new.exists()) == (False, True)
    end(supervisor, 2)
    supervisor.do("web", {"do": "forget"})
    supervisor.ask({"op": "loggers"})
    assert refused(port)
    assert not new.exists()


def test_instances_share_one_socket(daemon: Start, port: int) -> None:
    supervisor = daemon().supervisor()
    one = up(supervisor, 1, TELLS + "rest()", tcp("http", port), key="web:1")
    assert one != up(supervisor, 2, SERVES, tcp("http", port), key="web:2")
    end(supervisor, 2, "web:2")
    supervisor.do("web:2", {"do": "close"})
    supervisor.ask({"op": "loggers"})
    assert not refused(port)
    end(supervisor, 1, "web:1")


def test_sockets_come_first_and_stored_descriptors_after_them(daemon: Start, port: int) -> None:
    supervisor = daemon().supervisor()
    up(supervisor, 1, "say('FDSTORE=1\\nFDNAME=kept', os.pipe()[0]); rest()", tcp("http", port))
    supervisor.report("notice", 1)
    end(supervisor, 1)
    up(supervisor, 2, "say('STATUS=' + os.environ['LISTEN_FDNAMES']); rest()", tcp("http", port))
    assert said(supervisor, 2) == "http:kept"


def failure(supervisor: Supervisor, run: int, *sockets: Message) -> Message:
    supervisor.spawn("web", run, "exec sleep 1000", sockets=list(sockets))
    return supervisor.report("spawn-failed", run)


def test_one_that_cannot_be_opened_fails_the_start_and_opens_none(daemon: Start, port: int, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        told = failure(supervisor, 1, tcp("http", port), tcp("taken", taken))
    assert (told["step"], told["errno"]) == ("listen", errno.EADDRINUSE)
    assert told["detail"] == f"tcp 127.0.0.1:{taken}"
    assert refused(port)
    file = tmp_path / "file"
    file.write_text("mine")
    told = failure(supervisor, 2, unix("admin", file))
    assert (told["detail"], told["text"]) == (f"unix {file}", "a file that is no socket is there")
    assert file.read_text() == "mine"
    told = failure(supervisor, 3, unix("admin", tmp_path / "b.sock", user="nobody-there"))
    assert told["text"] == "there is no user nobody-there in /etc/passwd: write its number"
    assert not (tmp_path / "b.sock").exists()
    told = failure(supervisor, 4, tcp("far", port, "192.0.2.1"))
    assert told["errno"] == errno.EADDRNOTAVAIL
    up(supervisor, 5, TELLS + "rest()", tcp("far", port, "192.0.2.1", freebind=True))


def test_a_stale_file_is_replaced_and_a_foreign_one_is_not(daemon: Start, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        inode = path.stat().st_ino
        assert failure(supervisor, 1, unix("admin", path))["errno"] == errno.EADDRINUSE
        assert path.stat().st_ino == inode
    up(supervisor, 2, TELLS + "rest()", unix("admin", path))
    path.unlink()
    path.write_text("somebody else's by now")
    end(supervisor, 2)
    supervisor.do("web", {"do": "close"})
    supervisor.ask({"op": "loggers"})
    assert path.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_owner_and_mode(daemon: Start, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    path = tmp_path / "a.sock"
    up(supervisor, 1, TELLS + "rest()", unix("admin", path, mode=0o660, user="nobody", group="12345"))
    found = path.stat()
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (65534, 12345, 0o660)


def listen(supervisor: Supervisor, run: int, *sockets: Message, key: str = "web") -> None:
    supervisor.do(key, {"do": "listen", "run": run, "sockets": list(sockets)}, note="waits")


def test_the_first_connection_is_told_once_and_waits_for_the_run(daemon: Start, port: int, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    listen(supervisor, 1, tcp("http", port), unix("admin", tmp_path / "a.sock"))
    supervisor.ask({"op": "loggers"})
    assert not supervisor.seen("connection")
    first, second = connect(port), connect(port)
    assert supervisor.report("connection", 1)["socket"] == f"http (tcp 127.0.0.1:{port})"
    supervisor.ask({"op": "loggers"})
    assert not supervisor.seen("connection")
    pid = up(supervisor, 2, SERVES, tcp("http", port), unix("admin", tmp_path / "a.sock"))
    assert [answer(first), answer(second)] == [str(pid)] * 2


def test_each_connection_wakes_one_of_those_who_share_a_socket(daemon: Start, port: int) -> None:
    """The one that has waited longest; who gives up leaves what it did not accept to the next."""
    supervisor = daemon().supervisor()
    for run in (1, 2, 3):
        listen(supervisor, run, tcp("http", port), key=f"web:{run}")
    listen(supervisor, 4, tcp("http", port), key="web:1")
    supervisor.ask({"op": "loggers"})
    told = []
    for _ in range(2):
        with connect(port):
            told.append(supervisor.report("connection")["run"])
    assert told == [2, 3]
    supervisor.ask({"op": "loggers"})
    assert not supervisor.seen("connection")
    supervisor.do("web:3", {"do": "close"})
    assert supervisor.report("connection")["run"] == 4
    # Who waits anew hears of what is still there.
    listen(supervisor, 5, tcp("http", port), key="web:2")
    assert supervisor.report("connection")["run"] == 5


def test_they_can_be_open_before_there_is_a_run(daemon: Start, port: int, tmp_path: Path) -> None:
    supervisor = daemon().supervisor()
    wanted = (tcp("http", port), unix("admin", tmp_path / "a.sock"))
    far = {"do": "open", "sockets": [wanted[0], tcp("far", port, "192.0.2.1")]}
    supervisor.do("web", far, note="waits")
    told = supervisor.report("listen-failed", 0)
    assert (told["errno"], told["detail"]) == (errno.EADDRNOTAVAIL, f"tcp 192.0.2.1:{port}")
    assert refused(port)
    supervisor.do("web", {"do": "open", "sockets": list(wanted)}, note="waits")
    supervisor.ask({"op": "loggers"})
    waits = connect(port)
    inode = (tmp_path / "a.sock").stat().st_ino
    pid = up(supervisor, 1, SERVES, *wanted)
    assert answer(waits) == str(pid)
    assert (tmp_path / "a.sock").stat().st_ino == inode
    assert not supervisor.seen("connection")
    error, _ = supervisor.ask({"op": "do", "key": "web", "commands": [{"do": "open", "sockets": list(wanted)}]})
    assert error["error"] == "cannot open web: a run of it lives"


def test_a_datagram_is_a_connection_too(daemon: Start, port: int) -> None:
    supervisor = daemon().supervisor()
    listen(supervisor, 1, {**tcp("dns", port), "kind": "udp"})
    supervisor.ask({"op": "loggers"})
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(b"?", ("127.0.0.1", port))
    supervisor.report("connection", 1)


def test_a_connection_is_told_to_the_next_supervisor_and_by_the_next_keeper(daemon: Start, port: int) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    listen(supervisor, 1, tcp("http", port))
    supervisor.ask({"op": "loggers"})
    supervisor.ask({"op": "upgrade", "keeper": True, "argv": [sys.executable, "-m", "tests.keeper.daemon_main"]})
    supervisor.op("yield")
    supervisor.exit(0)
    supervisor = rig.supervisor()
    connect(port).close()
    supervisor.report("connection", 1, ack=False)
    os.kill(supervisor.pid, signal.SIGKILL)
    supervisor = rig.supervisor()
    assert [report["kind"] for report in supervisor.table["reports"] if report["key"] == "web"] == ["connection"]


def test_who_listens_elsewhere_now_hears_nothing_of_where_it_did(port: int, tmp_path: Path) -> None:
    """Another one has that socket, and leaves its connections waiting: they must not keep the keeper awake."""
    told: list[Message] = []
    loop, records = Loop(lambda came: None, lambda: None), Records()
    sockets = Sockets(loop, records, Reports(told.append))
    mine, other = (records.by_key.setdefault(key, Record(key)) for key in ("mine", "other"))
    sockets.take(other, [tcp("theirs", port)])
    sockets.listen(mine, 1, [tcp("http", port)])
    sockets.listen(mine, 2, [unix("admin", tmp_path / "a.sock")])
    with connect(port), socket.socket(socket.AF_UNIX) as knocks:
        loop.turn(0)
        assert told == []
        knocks.connect(str(tmp_path / "a.sock"))
        loop.turn(0)
    assert [(report["key"], report["run"]) for report in told] == [("mine", 2)]
    assert not any(held.heard for held in sockets.open.values())
    sockets.close()


def test_one_that_cannot_be_opened_is_told_and_nothing_waits(daemon: Start, port: int) -> None:
    supervisor = daemon().supervisor()
    listen(supervisor, 1, tcp("http", port), tcp("far", port, "192.0.2.1"))
    told = supervisor.report("listen-failed", 1)
    assert (told["errno"], told["detail"]) == (errno.EADDRNOTAVAIL, f"tcp 192.0.2.1:{port}")
    assert refused(port)


def test_all_addresses_are_those_of_both_protocols(daemon: Start, port: int) -> None:
    supervisor = daemon().supervisor()
    pid = up(supervisor, 1, SERVES, tcp("http", port, ""))
    assert answer(connect(port)) == str(pid)
    assert answer(socket.create_connection(("::1", port), PATIENCE)) == str(pid)


def test_a_path_on_a_network_file_system_is_not_touched(tmp_path: Path) -> None:
    """bind(2) may hang there, and with it the parent of all: also where a link leads there."""
    mounts = {str(tmp_path / "net"): "nfs4"}
    (tmp_path / "link").symlink_to("net/deep")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "up").symlink_to(str(tmp_path / "local" / ".." / "net"))
    for path in ("net/a.sock", "local/../net/a.sock", "link/a.sock", "up/a.sock"):
        with pytest.raises(OSError, match="is a network file system"):
            listening.stay_local(str(tmp_path / path), mounts)
    for path in ("a.sock", "network/a.sock"):
        listening.stay_local(str(tmp_path / path), mounts)
    with pytest.raises(OSError, match="symbolic links"):
        listening.stay_local(str(tmp_path / "loop" / "a.sock"), mounts)
