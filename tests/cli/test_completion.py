"""What Tab offers; asked of the functions, and of a real bash with its own ideas of where words end."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pserv.cli.completion import SCRIPTS, candidates
from pserv.cli.main import main
from tests.cli.pretend import Daemon

CONFIG: dict[str, Any] = {
    "services": {"web": {"tags": ["front"], "description": "the site"}, "worker": {}, "web:2": {"tags": ["front"]}}
}


def offered(*words: str) -> list[str]:
    return [value for value, _ in candidates(list(words[:-1]), words[-1])]


def test_commands() -> None:
    assert offered("st") == ["start", "stop", "status"]
    assert "__complete" not in offered("")


def test_options() -> None:
    assert offered("logs", "--f") == ["--follow"]
    assert offered("status", "--") == ["--config", "--socket", "--json", "--help"]
    assert offered("exec", "web", "--", "-") == []


@pytest.mark.parametrize("words", [("wait", "--for", "st"), ("wait", "web", "--for", "st")])
def test_choices(words: tuple[str, ...]) -> None:
    assert offered(*words) == ["stopped"]
    assert offered("wait", "--for=st") == ["--for=stopped"]


def test_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "some.yaml").touch()
    assert offered("check", "-c", f"{tmp_path}/s") == [f"{tmp_path}/some.yaml", f"{tmp_path}/sub/"]


def test_services_and_tags(tmp_path: Path) -> None:
    with Daemon(tmp_path / "s", {"config": lambda _: CONFIG}) as daemon:
        common = ("--socket", daemon.path)
        assert offered("stop", *common, "w") == ["web", "worker", "web:2"]
        assert offered("stop", *common, "web", "w") == ["worker", "web:2"]
        assert offered("stop", *common, "@") == ["@front"]
        assert offered("signal", *common, "H") == ["HUP"]
        assert offered("signal", *common, "HUP", "wo") == ["worker"]
        assert offered("up", *common, "--exit-code-from", "wo") == ["worker"]


def test_nothing_is_said_without_a_daemon(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["__complete", "stop", "--socket", str(tmp_path / "none"), "w"]) == 0
    assert main(["__complete", "stop", "-c", str(tmp_path / "none.yaml"), "w"]) == 0
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("shell", SCRIPTS)
def test_scripts_are_what_the_shell_understands(shell: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["completion", shell]) == 0
    script = tmp_path / "script"
    script.write_text(capsys.readouterr().out)
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    subprocess.run([shell, "-n", str(script)], check=True)


def test_an_unknown_shell(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "bash, zsh and fish" in capsys.readouterr().err


@pytest.fixture
def shell(tmp_path: Path) -> dict[str, str]:
    """An environment in which bash finds our `pserv`."""
    if shutil.which("bash") is None:
        pytest.skip("no bash here")
    pserv = tmp_path / "pserv"
    pserv.write_text(f'#!/bin/sh\nexec {sys.executable} -P -m pserv "$@"\n')
    pserv.chmod(0o755)
    return os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PSERV_SOCKET": str(tmp_path / "s"), "PS1": "$ "}


@pytest.mark.parametrize(
    ("typed", "replies"),
    [
        ("pserv sta", ["start", "status"]),
        ("pserv stop wo", ["worker"]),
        ("pserv stop @f", ["@front"]),
        ("pserv stop @", ["@front"]),
        ("pserv stop web:", ["2"]),
        ("pserv wait --for=st", ["stopped"]),
        ("pserv stop web ", ["worker", "web:2", "@front"]),
    ],
)
def test_bash_is_given_what_it_replaces(typed: str, replies: list[str], tmp_path: Path, shell: dict[str, str]) -> None:
    """What bash replaces is the part after the last of COMP_WORDBREAKS, so that is what it must be given."""
    lines = [
        "source <(pserv completion bash)",
        "COMP_LINE=$1 COMP_POINT=${#1}",
        "_pserv",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    with Daemon(tmp_path / "s", {"config": lambda _: CONFIG}):
        ran = subprocess.run(
            ["bash", "--norc", "-c", "\n".join(lines), "bash", typed],
            env=shell,
            capture_output=True,
            text=True,
            check=False,
        )
    assert ran.stderr == ""
    assert ran.stdout.split() == replies


@pytest.mark.parametrize(
    ("typed", "shown"),
    [("stop wo", "worker "), ("stop @f", "@front "), ("stop web:", "web:2 "), ("wait --for=st", "--for=stopped ")],
)
def test_tab_in_a_real_bash(typed: str, shown: str, tmp_path: Path, shell: dict[str, str]) -> None:
    ours, theirs = pty.openpty()

    def read_until(text: bytes) -> bytes:
        seen = b""
        while text not in seen:
            seen += os.read(ours, 4096)
        return seen

    bash = ["bash", "--norc", "--noprofile", "-i"]
    with (
        Daemon(tmp_path / "s", {"config": lambda _: CONFIG}),
        subprocess.Popen(
            bash, stdin=theirs, stdout=theirs, stderr=theirs, env=shell | {"TERM": "dumb"}, start_new_session=True
        ) as process,
    ):
        os.close(theirs)
        os.write(ours, b"source <(pserv completion bash); echo rea''dy\n")
        read_until(b"ready\r\n$ ")
        # What readline made of the line shows when it is echoed: ^A goes to its beginning, ^E to its end.
        os.write(ours, f"pserv {typed}\t\x01echo '[\x05]'\n".encode())
        command = typed.split()[0]
        assert f"\n[pserv {command} {shown}]".encode() in read_until(b"]\r\n")
        os.write(ours, b"exit\n")
        process.wait(20)
    os.close(ours)
