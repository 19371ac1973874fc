"""`env_file`: both formats, later files over earlier ones, `env` over all, and where a mistake stands."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.config import env_files
from pserv.config.loader import load
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.secrets import EnvFile
from pserv.model.spec import Document

CANARY = "c4n4ry"
NAMES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)


def read(folder: Path, text: str, how: str = "dotenv", **environ: str) -> tuple[dict[str, str], list[Mistake]]:
    path = folder / "app.env"
    path.write_bytes(text.encode(errors="surrogatepass"))
    mistakes: list[Mistake] = []
    found = env_files.read([EnvFile(str(path), format=how)], environ, mistakes)  # type: ignore[arg-type]
    return {name: value for name, value, _ in found}, mistakes


def loaded(folder: Path, text: str, **environ: str) -> Document:
    path = folder / "pserv.yaml"
    path.write_text(text)
    return load([str(path)], environ=environ, cwd="/", uid=0)


@pytest.mark.parametrize(
    ("line", "dotenv", "raw"),
    [
        ("A=1", "1", "1"),
        ("A=", "", ""),
        ("export A=1", "1", None),
        ("A='1 $B'", "1 $B", "'1 $B'"),
        ('A="1 # 2"', "1 # 2", '"1 # 2"'),
        ("A=1 # comment", "1", "1 # comment"),
        ("A=a=b==", "a=b==", "a=b=="),
        ("A=$HOME/x", "/root/x", "$HOME/x"),
        ("A=${NONE:-d}", "d", "${NONE:-d}"),
        ("  A=1", "1", "1"),
        ("A= 1 ", "1", " 1 "),
        ('A="a\\nb"', "a\nb", '"a\\nb"'),
        ("A=1\r", "1", "1"),
        ("A", "of the daemon", "of the daemon"),
        ("B", None, None),
        ("# A=1", None, None),
        ("A=pa$$w0rd", "pa$w0rd", "pa$$w0rd"),
    ],
)
def test_both_formats(tmp_path: Path, line: str, dotenv: str | None, raw: str | None) -> None:
    environ = {"HOME": "/root"} | ({"A": "of the daemon"} if line == "A" else {})
    assert read(tmp_path, f"{line}\n", "dotenv", **environ)[0].get("A") == dotenv
    assert read(tmp_path, f"{line}\n", "raw", **environ)[0].get("A") == raw


@given(st.dictionaries(NAMES, st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r"))))
def test_raw_is_what_stands_there(tmp_path_factory: pytest.TempPathFactory, values: dict[str, str]) -> None:
    text = "".join(f"{name}={value}\n" for name, value in values.items())
    assert read(tmp_path_factory.mktemp("raw"), text, "raw") == (values, [])


@given(text=st.text(), how=st.sampled_from(["dotenv", "raw"]))
def test_no_content_breaks_it_or_is_told(tmp_path_factory: pytest.TempPathFactory, text: str, how: str) -> None:
    secret = "".join(f"{CANARY}{char}{CANARY}" for char in text)
    values, mistakes = read(tmp_path_factory.mktemp("any"), f"A={secret}\n", how)
    assert all("\0" not in value for value in values.values())
    for mistake in mistakes:
        assert CANARY not in str(mistake)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"A=1\n{CANARY} {CANARY}\n", 2),
        (f'A=1\n\nB="{CANARY}\n', 3),
        (f"A={CANARY}$({CANARY})\n", 1),
        (f"A=${{{CANARY}%}}\n", 1),
        (f"A=${{{CANARY}.x}}\n", 1),
        ("A=${NOT_SET}\n", 1),
        (f"A={CANARY}${CANARY}${{\n", 1),
    ],
)
def test_a_mistake_is_told_where_it_stands_without_a_word_of_a_value(tmp_path: Path, text: str, line: int) -> None:
    _, mistakes = read(tmp_path, text)
    assert [mistake.line for mistake in mistakes] == [line]
    assert mistakes[0].file == str(tmp_path / "app.env")
    assert mistakes[0].hint
    assert f"{CANARY}(" not in str(mistakes[0])
    assert f'"{CANARY}' not in str(mistakes[0])


def test_later_files_win_and_know_the_earlier_ones(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.env", "b.env", "none.env")]
    paths[0].write_text("A=1\nB=2\n")
    paths[1].write_text("B=3$A\n")
    mistakes: list[Mistake] = []
    files = [EnvFile(str(path), required=path != paths[2]) for path in paths]
    found = env_files.read(files, {}, mistakes)
    assert mistakes == []
    assert {name: (value, where) for name, value, where in found} == {
        "A": ("1", f"{paths[0]}:1"),
        "B": ("31", f"{paths[1]}:1"),
    }


def test_ways_to_write_it(tmp_path: Path) -> None:
    for name in ("all.env", "own.env", "sub.env"):
        (tmp_path / name).write_text("A=1\n")
    document = loaded(
        tmp_path,
        """
env_file: all.env
defaults: {env_file: own.env}
services:
  one: {command: true}
  two: {command: true, env_file: [sub.env, {path: none.env, required: false, format: raw}]}
  three: {command: true, env_file: !append [sub.env]}
  four: {command: true, env_file: {path: sub.env}}
""",
    )
    files = {name: [Path(file.path).name for file in spec.env_file] for name, spec in document.services.items()}
    assert files == {
        "one": ["all.env", "own.env"],
        "two": ["all.env", "sub.env", "none.env"],
        "three": ["all.env", "own.env", "sub.env"],
        "four": ["all.env", "sub.env"],
    }
    assert document.services["two"].env_file[2] == EnvFile(str(tmp_path / "none.env"), required=False, format="raw")


def test_what_is_wrong_is_told_before_it_can_hurt(tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text(f"A={CANARY}\n{CANARY} x\n")
    services = (
        "services:\n  web: {command: true, env_file: [app.env, none.env]}\n  api: {command: true, env_file: app.env}\n"
    )
    with pytest.raises(InvalidConfig) as caught:
        loaded(tmp_path, services)
    told = [(mistake.file.rpartition("/")[2], mistake.line, mistake.message) for mistake in caught.value.mistakes]
    assert told == [
        ("app.env", 2, "not a line of the form NAME=value"),
        ("pserv.yaml", 2, f"services.web.env_file: there is no {tmp_path}/none.env"),
    ]
    assert CANARY not in caught.value.message


def test_no_value_of_it_is_in_the_document(tmp_path: Path) -> None:
    (tmp_path / "app.env").write_text(f"A={CANARY}\n")
    document = loaded(tmp_path, "services: {web: {command: true, env_file: app.env}}\n")
    assert CANARY not in repr(document)
    assert document.services["web"].env == {}
