"""Variables in a file: where their values come from, where they are filled in, and what is told of them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pserv.config.effective import effective
from pserv.config.loader import load
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.spec import Document
from pserv.rules import instances


def read(folder: Path, text: str, env_file: str | None = None, **environ: str) -> Document:
    (folder / "pserv.yaml").write_text(text)
    if env_file is not None:
        (folder / ".env").write_text(env_file)
    return load(["pserv.yaml"], environ=environ, cwd=str(folder), uid=0)


def mistakes(folder: Path, text: str, env_file: str | None = None, **environ: str) -> tuple[Mistake, ...]:
    with pytest.raises(InvalidConfig) as caught:
        read(folder, text, env_file, **environ)
    return caught.value.mistakes


def test_values_come_from_the_environment_and_from_the_file_beside(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        "name: $NAME\n"
        "services:\n  web:\n    command: serve --port $PORT\n    port: ${PORT}\n    autostart: ${AUTO:-no}\n"
        "    env: {URL: 'http://$HOST:$PORT/', $KEY: 1}\n    ready: http://:$PORT/\n"
        "    description: costs $$5 at $HOST\n",
        "PORT=1\nexport HOST='local$host' # here\n",
        PORT="8080",
        NAME="shop",
    )
    web = instances.expand(document.services)["web"]
    assert document.name == "shop"
    assert (web.argv, web.port, web.autostart) == (("serve", "--port", "8080"), 8080, False)
    assert web.env == {"URL": "http://local$host:8080/", "$KEY": "1"}
    assert web.ready is not None
    assert web.ready.http is not None
    assert web.ready.http.port == 8080
    assert web.description == "costs $5 at local$host"
    assert [Path(source.path).name for source in document.files] == ["pserv.yaml", ".env"]


def test_what_a_shell_and_a_pattern_say_is_theirs(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        "services:\n"
        "  a: {shell: 'echo $HOME ${X:-y} $$', hooks: {pre_start: {shell: 'echo $PSERV_ATTEMPT'}}, ready: 'log:up$'}\n"
        "  b: {command: a, ready: {log: {pattern: '^up$'}}}\n"
        "  c: {command: a, env: {shell: $X}}\n",
        X="1",
    )
    a, b, c = document.services.values()
    assert a.shell == "echo $HOME ${X:-y} $$"
    assert a.hooks.pre_start[0].shell == "echo $PSERV_ATTEMPT"
    assert [each.ready.log.pattern for each in (a, b) if each.ready and each.ready.log] == ["up$", "^up$"]
    assert c.env == {"shell": "1"}


def test_defaults_lists_anchors_and_other_sections(tmp_path: Path) -> None:
    document = read(
        tmp_path,
        "x-args: &args [$A, $$A]\nx-broken: $NOBODY\n"
        "defaults: {env: {D: $A}}\n"
        "daemon: {shutdown_timeout: $WAIT}\n"
        "services:\n- {name: $A, exec: p, args: *args}\n- {name: w, exec: p, args: *args, env: ['L=$A']}\n",
        A="a",
        WAIT="7s",
    )
    assert document.daemon.shutdown_timeout == 7
    made = instances.expand(document.services)
    assert {name: spec.args for name, spec in made.items()} == {"a": ("a", "$A"), "w": ("a", "$A")}
    assert made["w"].env == {"D": "a", "L": "a"}


def test_an_empty_value_is_a_text(tmp_path: Path) -> None:
    assert read(tmp_path, "services: {a: {command: p, env: {E: $E, F: '${F:-}'}}}", E="").services["a"].env == {
        "E": "",
        "F": "",
    }


def test_all_that_cannot_be_filled_is_told_once_with_its_place(tmp_path: Path) -> None:
    told = mistakes(
        tmp_path, "services:\n  web:\n    command: serve $PORTS\n    port: $PROT\n    env: {A: '${B:?for web}'}\n"
    )
    assert [(each.line, each.column, each.message) for each in told] == [
        (3, 14, "services.web.command: PORTS is not set"),
        (4, 11, "services.web.port: PROT is not set"),
        (5, 14, "services.web.env.A: needs B: for web"),
    ]


def test_a_wrong_value_is_told_with_its_origin(tmp_path: Path) -> None:
    text = "services: {web: {command: a, port: $PORT, max_retries: $TRIES}}"
    port, tries = mistakes(tmp_path, text, "# ports\n\nPORT=eighty\n", TRIES="many")
    assert port.message.startswith("services.web.port: 'eighty' ")
    assert port.message.endswith(f"(PORT from {tmp_path}/.env:3)")
    assert "'many'" in tries.message
    assert tries.message.endswith("(TRIES from the environment)")


def test_a_secret_value_is_never_told(tmp_path: Path) -> None:
    (told,) = mistakes(tmp_path, "services: {web: {command: a, port: $DB_PASSWORD}}", DB_PASSWORD="hunter2")
    assert "hunter2" not in str(told)
    assert "'***'" in told.message
    assert "DB_PASSWORD from the environment" in told.message


def test_mistakes_of_the_file_beside(tmp_path: Path) -> None:
    env_file = "A=1\nthis is none\nB=\"open\nC=${NONE}\nD='$NONE'\nE=$A\nF=pa$\n"
    told = mistakes(tmp_path, "services: {web: {command: a $A}}", env_file)
    assert [(Path(each.file).name, each.line) for each in told] == [(".env", 2), (".env", 3), (".env", 4), (".env", 7)]
    assert "NAME=value" in told[0].message
    assert "C: NONE is not set" in told[2].message
    assert "single quotes" in told[3].hint


@pytest.mark.parametrize(("content", "message"), [(b"A=\xff", "not UTF-8"), (None, "Is a directory")])
def test_a_file_beside_that_cannot_be_read(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is None:
        (tmp_path / ".env").mkdir()
    else:
        (tmp_path / ".env").write_bytes(content)
    told = mistakes(tmp_path, "services: {web: {command: a}}")
    assert message in told[0].message
    assert told[0].file == str(tmp_path / ".env")


def test_one_service_that_cannot_be_filled_may_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "pserv.yaml").write_text("services: {a: {command: p}, b: {command: $NONE}}")
    document = load(["pserv.yaml"], environ={}, cwd=str(tmp_path), uid=0, skip_invalid=True)
    assert list(document.services) == ["a"]


def test_what_config_shows_is_read_as_itself(tmp_path: Path) -> None:
    text = "services: {a: {command: 'p $$ $V', description: $$ $V, shell: null, env: {A: $$V}}}"
    document = read(tmp_path, text, V="$x")
    again = read(tmp_path, json.dumps(effective(document, defaults=False)))
    assert again.services == document.services
