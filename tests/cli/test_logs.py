"""`pserv logs` against a pretend daemon: what is asked, what is shown, and a pager on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pserv.api import operations as op
from pserv.cli.main import main
from pserv.cli.pager import chosen
from tests.cli.pretend import Daemon, service, status

LINES = [op.Line("web", "one"), op.Line("db", "two", ts="2026-11-23T05:00:00.000000Z")]
PSERV = [sys.executable, "-P", "-m", "pserv"]
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Daemon]:
    answers: dict[str, Callable[[Any], Any]] = {
        "logs": lambda _: LINES,
        "status": lambda _: status(service("web"), service("db")),
    }
    with Daemon(tmp_path / "s", answers) as pretend:
        yield pretend


@pytest.fixture
def run(daemon: Daemon, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*words: str) -> tuple[int, str, str]:
        code = main(["logs", "--socket", daemon.path, *words])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


def asked(daemon: Daemon) -> op.Logs:
    (request,) = [request for name, request in daemon.requests if name == "logs"]
    assert isinstance(request, op.Logs)
    return request


def test_what_is_wanted_is_asked_of_the_daemon(daemon: Daemon, run: Run) -> None:
    words = "web -n 7 --grep a+b --invert --level warning --stream stderr --run last --reverse --until @1795410000"
    assert run(*words.split(), "--since", "10m")[0] == 0
    request = asked(daemon)
    wanted = op.Logs(
        ("web",), 7, stream="stderr", since=request.since, until="@1795410000.000000", grep="a+b", invert=True,
        level="warning", run="last", reverse=True,
    )  # fmt: skip
    assert request == wanted
    assert request.since is not None
    assert abs(float(request.since[1:]) - (time.time() - 600)) < 60


def test_what_is_not_said_is_the_daemons_choice(daemon: Daemon, run: Run) -> None:
    assert run()[0] == 0
    assert asked(daemon) == op.Logs()


def test_names_and_times(run: Run) -> None:
    assert run()[1] == "web | one\ndb  | two\n"
    assert run("--no-prefix")[1] == "one\ntwo\n"
    assert run("web", "-t")[1] == "one\n2026-11-23T05:00:00.000000Z two\n"
    documents = [json.loads(line) for line in run("--json")[1].splitlines()]
    assert documents[1] == {
        "type": "line", "service": "db", "text": "two", "stream": "stdout", "ts": "2026-11-23T05:00:00.000000Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--since", "soon"], "cannot read --since: 'soon' is no time: 10m, 14:00, 2026-11-23"),
        (["--until", "25:00"], "cannot read --until: '25:00' is no time"),
        (["--since", "2999-01-01"], "that is yet to come"),
        (["--invert"], "cannot use --invert without --grep"),
        (["--level", "loud"], "--level is one of trace, debug"),
    ],
)
def test_what_has_no_meaning_is_told(daemon: Daemon, run: Run, words: list[str], error: str) -> None:
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert error in err
    assert not daemon.requests


def test_notes_are_told_once_and_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    note = op.Note("web", "web: cannot tell when", "log: {timestamps: true}")
    with Daemon(tmp_path / "s", {"logs": lambda _: [note, op.Line("web", "one"), note]}) as daemon:
        assert main(["logs", "--socket", daemon.path, "web"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "one\n"
    assert printed.err == "web: cannot tell when\nhint: log: {timestamps: true}\n"


def on_a_terminal(daemon: Daemon, *words: str, **environ: str) -> str:
    """What a terminal gets."""
    ours, theirs = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key not in ("PAGER", "PSERV_PAGER", "LESS")}
    try:
        process = subprocess.Popen(
            [*PSERV, "logs", "--socket", daemon.path, *words],
            stdin=theirs, stdout=theirs, stderr=theirs, env={**env, "TERM": "xterm", **environ},
        )  # fmt: skip
    finally:
        os.close(theirs)
    shown = b""
    try:
        while data := os.read(ours, 65536):
            shown += data
    except OSError:  # EIO: nobody has the terminal any more
        pass
    finally:
        os.close(ours)
    assert process.wait(20) == 0
    return shown.decode().replace("\r\n", "\n")


class TestPager:
    def test_a_terminal_gets_one_and_colours_stay(self, daemon: Daemon) -> None:
        shown = on_a_terminal(daemon, PSERV_PAGER="echo paged $LESS; cat", PAGER="false")
        assert shown.startswith("paged FRX\n")
        assert "\x1b[36mweb │\x1b[0m one\n" in shown
        assert on_a_terminal(daemon, "web", PAGER="sed s/one/eins/") == "eins\ntwo\n"

    @pytest.mark.parametrize("words", [["--no-pager"], ["-f"], ["--json"]])
    def test_not_where_it_would_be_in_the_way(self, daemon: Daemon, words: list[str]) -> None:
        assert "one" in on_a_terminal(daemon, *words, PSERV_PAGER="echo paged") != "paged\n"

    def test_one_that_has_seen_enough(self, daemon: Daemon) -> None:
        many = [op.Line("web", "x" * 1000)] * 2000
        daemon._answers["logs"] = lambda _: many
        assert on_a_terminal(daemon, "web", PSERV_PAGER="head -c 5") == "xxxxx"

    def test_which_one(self, tmp_path: Path) -> None:
        assert chosen({"PATH": str(tmp_path)}) == ""
        (tmp_path / "less").touch(0o755)
        assert chosen({"PATH": f"/nowhere:{tmp_path}"}) == "less"
        assert chosen({"PAGER": "most", "PSERV_PAGER": "bat -p"}) == "bat -p"
        assert chosen({"PAGER": "most", "PSERV_PAGER": "cat"}) == ""
        assert chosen({"PAGER": ""}) == ""
