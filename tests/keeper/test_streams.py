"""Pipes outlive the logger: a dead worker is replaced, a stuck one keeps one stream, nobody waits for either."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.keeper.rig import Daemon, Peer, ended

Start = Callable[..., Daemon]


def file(path: Path | str) -> dict[str, str]:
    return {"kind": "file", "path": str(path)}


def close(*fds: int) -> None:
    for fd in fds:
        os.close(fd)


def hello(worker: Peer) -> tuple[dict[str, Any], tuple[int, ...]]:
    return worker.op("hello")


def test_a_dead_logger_is_replaced_and_finds_everything(daemon: Start, tmp_path: Path) -> None:
    rig = daemon(logger="remote")
    first = rig.logger()
    message, fds = hello(first)
    assert (message["resume"], message["streams"]) == (False, [])
    supervisor = rig.supervisor()
    supervisor.up("web", 1, "echo early; exec sleep 1000", stdout=file("/log/web"), stderr={"kind": "stdout"})
    stream, pipes = first.op("stream")
    assert (stream["key"], stream["run"], stream["target"]) == ("web", 1, file("/log/web"))
    os.write(fds[1], b"held")
    os.write(fds[2], b"noted")
    os.kill(first.pid, signal.SIGKILL)
    second = rig.logger()
    message, again = hello(second)
    assert message["resume"] is True
    assert [row["id"] for row in message["streams"]] == [stream["id"]]
    assert os.read(again[0], 99) == b"held"
    assert os.pread(again[2], 99, 0) == b"noted"
    _, pipe = second.op("stream")
    assert os.read(pipe[0], 99) == b"early\n"
    assert supervisor.report("logger")["what"] == "died"
    close(*fds, *again, *pipes, *pipe)


def test_the_end_is_told_when_the_output_is_written(daemon: Start) -> None:
    rig = daemon(logger="remote", drain_timeout=1000.0)
    worker = rig.logger()
    supervisor = rig.supervisor()
    supervisor.up("web", 1, "exit 1", stdout=file("/out"), stderr=file("/err"))
    message, _ = worker.op("drain")
    assert (message["run"], len(message["ids"])) == (1, 2)
    assert not supervisor.seen("exited")
    worker.send({"op": "drained", "run": 1, "lines": ["a", "b"], "printed": 4})
    report = supervisor.report("exited", 1)
    assert (report["lines"], report["printed"]) == (["a", "b"], 4)


def test_a_slow_or_dead_logger_delays_an_end_by_no_more_than_agreed(daemon: Start) -> None:
    rig = daemon(logger="remote", drain_timeout=0.2)
    worker = rig.logger()
    supervisor = rig.supervisor()
    os.kill(worker.pid, signal.SIGSTOP)
    supervisor.up("web", 1, "exit 1", stdout=file("/out"))
    assert supervisor.report("exited", 1)["lines"] == []
    rig = daemon(logger="none", drain_timeout=1000.0)
    supervisor = rig.supervisor()
    supervisor.up("web", 1, "exit 1", stdout=file("/out"))
    supervisor.report("exited", 1)


def test_a_stuck_worker_keeps_one_stream_and_ends_when_that_is_over(daemon: Start) -> None:
    rig = daemon(logger="remote")
    first = rig.logger()
    supervisor = rig.supervisor()
    supervisor.up("bad", 1, "exec sleep 1000", stdout=file("/fifo"))
    supervisor.up("good", 2, "exec sleep 1000", stdout=file("/log"))
    bad, _ = first.op("stream")
    good, _ = first.op("stream")
    first.send({"op": "stuck", "id": bad["id"], "path": "/fifo"})
    second = rig.logger()
    assert hello(second)[0]["resume"] is False
    assert second.op("stream")[0]["id"] == good["id"]
    report = supervisor.report("logger")
    assert (report["what"], report["path"], report["key"]) == ("stuck", "/fifo", "bad")
    supervisor.up("later", 3, "exec sleep 1000", stdout=file("/later"))
    assert second.op("stream")[0]["run"] == 3
    # An end that waits for the stuck worker is told without it.
    supervisor.kill("bad", 1)
    assert supervisor.report("exited", 1)["signal"] == signal.SIGKILL
    first.send({"op": "flowing", "id": bad["id"], "path": "/fifo"})
    assert supervisor.report("logger")["what"] == "flowing"
    first.send({"op": "closed", "id": bad["id"]})
    first.op("finish")
    first.exit(0)
    second.send({"op": "error", "id": good["id"], "path": "/log", "text": "No space left on device"})
    assert supervisor.report("logger")["text"] == "No space left on device"


def test_there_are_at_most_four_workers(daemon: Start) -> None:
    rig = daemon(logger="remote")
    workers = [rig.logger()]
    supervisor = rig.supervisor()
    for run in range(1, 5):
        supervisor.up(f"s{run}", run, "exec sleep 1000", stdout=file(f"/fifo{run}"))
        stream, _ = workers[-1].op("stream")
        workers[-1].send({"op": "stuck", "id": stream["id"], "path": "/fifo"})
        supervisor.report("logger")
        if run < 4:
            workers.append(rig.logger())
    supervisor.up("five", 5, "exec sleep 1000", stdout=file("/log"))
    # The first that is free again takes what waited.
    workers[0].exit(0)
    again = rig.logger()
    assert hello(again)[0]["resume"] is True


def test_a_logger_that_always_dies_is_not_started_in_a_tight_loop(daemon: Start) -> None:
    rig = daemon(logger="remote")
    for _ in range(5):
        worker = rig.logger()
        worker.exit(1)
    supervisor = rig.supervisor()
    last = rig.logger()
    assert hello(last)[0]["resume"] is True
    assert [supervisor.report("logger")["what"] for _ in range(5)] == ["died"] * 5


def test_what_a_dead_logger_left_is_written_by_another_at_the_end(daemon: Start) -> None:
    rig = daemon(logger="remote")
    for _ in range(5):
        rig.logger().exit(1)
    supervisor = rig.supervisor()
    for _ in range(5):
        supervisor.report("logger")
    supervisor.send({"op": "finish", "code": 0})  # the next one would have waited for a second
    supervisor.exit(0)
    worker = rig.logger()
    worker.op("finish")
    worker.exit(1)
    another = rig.logger()
    assert hello(another)[0]["resume"] is True
    another.op("finish")
    another.exit(0)
    assert rig.wait() == 0


def test_the_end_comes_though_every_logger_dies(daemon: Start) -> None:
    rig = daemon(logger="remote")
    worker = rig.logger()
    supervisor = rig.supervisor()
    supervisor.send({"op": "finish", "code": 0})
    supervisor.exit(0)
    for _ in range(4):
        worker.op("finish")
        worker.exit(1)
        worker = rig.logger()
    worker.exit(1)
    assert rig.wait() == 0


def test_who_takes_too_long_at_the_end_is_killed_and_nobody_takes_its_place(daemon: Start) -> None:
    rig = daemon(logger="remote", logger_patience=0.1)
    worker = rig.logger()
    supervisor = rig.supervisor()
    supervisor.send({"op": "finish", "code": 0})
    with pytest.raises(ConnectionError):
        worker.op("mercy")
    supervisor.op("end")
    supervisor.exit(0)
    assert rig.wait() == 0
    assert ended(worker.pid)
    assert not rig.others()


def test_streams_are_held_until_the_logger_says_closed(daemon: Start) -> None:
    rig = daemon(logger="remote")
    worker = rig.logger()
    supervisor = rig.supervisor()
    supervisor.up("web", 1, "echo last; exit 0", stdout=file("/out"))
    stream, fds = worker.op("stream")
    worker.op("drain")
    worker.send({"op": "drained", "run": 1, "lines": [], "printed": 0})
    assert supervisor.report("exited", 1)["gone"] is True
    os.kill(worker.pid, signal.SIGKILL)
    second = rig.logger()
    again, pipe = second.op("stream")
    assert again["id"] == stream["id"]
    assert os.read(pipe[0], 99) == b"last\n"
    second.send({"op": "closed", "id": stream["id"]})
    supervisor.do("web", ack=[])
    close(*fds, *pipe)
    os.kill(second.pid, signal.SIGKILL)
    assert hello(rig.logger())[0]["streams"] == []


def test_a_terminal_is_the_services_own(daemon: Start, tmp_path: Path) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    log = tmp_path / "log"
    supervisor.up("web", 1, "test -t 0 && test -t 1 && test -t 2 && echo yes > /dev/tty", tty=True, stdout=file(log))
    report = supervisor.report("exited", 1)
    assert (report["code"], report["lines"]) == (0, ["yes"])


def test_targets_are_changed_and_files_reopened_as_told(daemon: Start) -> None:
    rig = daemon(logger="remote")
    worker = rig.logger()
    supervisor = rig.supervisor()
    supervisor.up("web", 1, "exec sleep 1000", stdout=file("/old"))
    stream, _ = worker.op("stream")
    supervisor.send({"op": "target", "run": 1, "stream": "stdout", "target": file("/new")})
    assert worker.op("target")[0] == {"op": "target", "id": stream["id"], "target": file("/new")}
    supervisor.send({"op": "reopen"})
    worker.op("reopen")


def test_the_logger_writes_all_before_the_daemon_ends(daemon: Start, tmp_path: Path) -> None:
    rig = daemon()
    supervisor = rig.supervisor()
    log = tmp_path / "log"
    supervisor.up("web", 1, "seq 1 5000; exit 0", stdout=file(log))
    supervisor.report("exited", 1)
    assert rig.finish(supervisor) == 0
    assert log.read_text().splitlines()[-1] == "5000"


def test_how_output_is_written_may_change_and_is_kept_for_the_next_logger(daemon: Start) -> None:
    rig = daemon(logger="remote")
    first = rig.logger()
    supervisor = rig.supervisor()
    web_pid = supervisor.up("web", 1, "exec sleep 1000", stdout=file("/out"), stderr=file("/err"))
    db_pid = supervisor.up("db", 2, "exec sleep 1000", stdout={**file("/db"), "log": {"a": 1}})
    given = [first.op("stream")[0] for _ in range(3)]
    assert [(row["run"], row["name"], row["pid"]) for row in given] == [
        (1, "stdout", web_pid),
        (1, "stderr", web_pid),
        (2, "stdout", db_pid),
    ]
    out, err, db = (row["id"] for row in given)
    assert given[2]["target"]["log"] == {"a": 1}
    supervisor.send({"op": "settings", "logs": {"web": {"a": 1}, "db": {"a": 1}, "nobody": {}}})
    facts = {"op": "settings", "log": {"a": 1}, "run": 1, "pid": web_pid}
    assert first.op("settings")[0] == {**facts, "id": out, "name": "stdout"}
    assert first.op("settings")[0] == {**facts, "id": err, "name": "stderr"}
    supervisor.send({"op": "settings", "logs": {"db": {}}})
    plain = {"op": "settings", "id": db, "log": {}, "run": 2, "name": "stdout", "pid": db_pid}
    assert first.op("settings")[0] == plain
    os.kill(first.pid, signal.SIGKILL)
    second = rig.logger()
    again = [second.op("stream")[0] for _ in range(3)]
    assert [row["pid"] for row in again] == [web_pid, web_pid, db_pid]
    targets = [row["target"] for row in again]
    assert targets == [{**file("/out"), "log": {"a": 1}}, {**file("/err"), "log": {"a": 1}}, {**file("/db"), "log": {}}]


def test_files_are_opened_anew_by_all_workers_that_can(daemon: Start) -> None:
    rig = daemon(logger="remote")
    first = rig.logger()
    _, fds = hello(first)
    supervisor = rig.supervisor()
    supervisor.up("a", 1, "exec sleep 1000", stdout=file("/a"), stderr={"kind": "stdout"})
    supervisor.up("b", 2, "exec sleep 1000", stdout=file("/b"), stderr={"kind": "stdout"})
    stream, pipe = first.op("stream")
    first.send({"op": "stuck", "id": stream["id"], "path": "/a", "text": ""})
    second = rig.logger()
    _, again = hello(second)
    supervisor.send({"op": "reopen", "seq": 7})
    message, _ = second.op("reopen")
    assert not supervisor.seen("reply")
    second.send({"op": "reopened", "number": message["number"]})
    assert supervisor.op("reply")[0] == {"op": "reply", "seq": 7}
    os.kill(rig.process.pid, signal.SIGUSR1)
    assert second.op("reopen")[0]["number"] > message["number"]
    supervisor.send({"op": "reopen", "seq": 8})
    second.op("reopen")
    os.kill(second.pid, signal.SIGKILL)
    assert supervisor.op("reply")[0] == {"op": "reply", "seq": 8}
    close(*fds, *again, *pipe)


def test_what_is_dropped_is_told_once(daemon: Start) -> None:
    rig = daemon(logger="remote")
    worker = rig.logger()
    supervisor = rig.supervisor()
    supervisor.up("web", 1, "exec sleep 1000", stdout=file("/out"))
    number = worker.op("stream")[0]["id"]
    told: list[tuple[int, int]] = []
    for lines in (10, 15, 15, 4):  # all so far; less than before: a worker that begins to count
        worker.send({"op": "dropped", "id": number, "lines": lines, "bytes": lines * 2})
        if lines != 15 or not told or told[-1] != (5, 10):
            report = supervisor.report("logger", 1)
            told.append((report["lines"], report["bytes"]))
    assert told == [(10, 20), (5, 10), (4, 8)]
