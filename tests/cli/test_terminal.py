"""Colour, width and text that is safe to show; and what happens when nobody reads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pserv.api import operations as op
from pserv.cli.terminal import Progress, Screen, printable, wrap
from tests.cli import screens
from tests.cli.pretend import Daemon, service, status

PSERV = [sys.executable, "-P", "-m", "pserv"]


@pytest.mark.parametrize(
    ("terminal", "environ", "colour"),
    [
        (True, {}, True),
        (True, {"TERM": "dumb"}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {}, False),
    ],
)
def test_colour_only_where_it_is_wanted(terminal: bool, environ: dict[str, str], colour: bool) -> None:
    screen = Screen(screens.Pretend(terminal=terminal), {"TERM": "xterm"} | environ)
    assert screen.colour is colour
    assert screen.paint("x", "red") == ("\x1b[31mx\x1b[0m" if colour else "x")


def test_a_live_line_is_cut_and_goes() -> None:
    screen = screens.terminal(10)
    progress = Progress(screen)
    progress.show("web starting, db starting")
    progress.clear()
    progress.clear()
    assert screen.stream.getvalue() == "\r\x1b[Kweb star…\r\x1b[K"  # type: ignore[attr-defined]


def test_no_live_line_in_a_pipe() -> None:
    screen = screens.pipe()
    progress = Progress(screen)
    progress.show("web starting")
    progress.clear()
    assert screen.stream.getvalue() == ""  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [""]),
        ("a b c", ["a b c"]),
        ("aa bb cc", ["aa bb", "cc"]),
        ("aaaaaaa bb", ["aaaaa", "aa bb"]),
        ("aaaaa bb", ["aaaaa", "bb"]),
    ],
)
def test_wrap(text: str, lines: list[str]) -> None:
    assert wrap(text, 5) == lines


def test_printable() -> None:
    assert printable("naïve\ttext\x07\x1b[0m\u202e") == "naïve text\\x07\\x1b[0m\\u202e"


def test_nobody_reads(tmp_path: Path) -> None:
    lines = [op.Line("web", "x" * 100)] * 5000
    with (
        Daemon(tmp_path / "s", {"logs": lambda _: lines}) as daemon,
        subprocess.Popen(
            [*PSERV, "logs", "web", "--socket", daemon.path], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 141


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full")
    with Daemon(tmp_path / "s", {"status": lambda _: status(service("web"))}) as daemon, open("/dev/full", "w") as full:
        ran = subprocess.run(
            [*PSERV, "status", "--socket", daemon.path], stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert (ran.returncode, ran.stderr) == (1, "cannot write the output: No space left on device\n")


def test_an_encoding_that_cannot_say_it(tmp_path: Path) -> None:
    lines = [op.Line("web", "grün ● \udcff".encode("utf-8", "replace").decode())]
    environ = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0", "LC_ALL": "C"}
    answers = {"logs": lambda _: lines, "status": lambda _: status(service("wéb", reason="ü"))}
    with Daemon(tmp_path / "s", answers) as daemon:
        for line, expected in (
            (["logs", "web"], b"gr\\xfcn \\u25cf"),
            (["status"], b"w\\xe9b"),
            (["--help"], b"NAME..."),
        ):
            ran = subprocess.run(
                [*PSERV, *line, "--socket", daemon.path], env=environ, capture_output=True, check=False
            )
            assert ran.returncode == 0, ran.stderr
            assert expected in ran.stdout
