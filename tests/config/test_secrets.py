"""`secrets`: the ways to write them, what a provider makes of a key, where `${secrets.NAME}` may stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from pserv.config.loader import load
from pserv.model.mistakes import InvalidConfig
from pserv.model.secrets import Secret
from pserv.model.spec import Document, ServiceSpec


def loaded(folder: Path, text: str) -> Document:
    path = folder / "pserv.yaml"
    path.write_text(text)
    return load([str(path)], environ={}, cwd="/", uid=0)


def web(folder: Path, options: str, top: str = "") -> ServiceSpec:
    return loaded(folder, f"{top}\nservices:\n  web: {{command: serve, {options}}}\n").services["web"]


def mistakes(folder: Path, options: str, top: str = "") -> list[tuple[str, str]]:
    with pytest.raises(InvalidConfig) as caught:
        web(folder, options, top)
    return [(mistake.message.removeprefix("services.web."), mistake.hint) for mistake in caught.value.mistakes]


@pytest.mark.parametrize(
    ("provider", "written", "secret"),
    [
        (
            "exec: 'vault kv get -field={key} secret/db'",
            "{provider: p}",
            {"exec": ("vault", "kv", "get", "-field=KEY", "secret/db")},
        ),
        ("exec: pass show", "{provider: p, key: app/db}", {"exec": ("pass", "show", "app/db")}),
        ("exec: pass show app", "p", {"exec": ("pass", "show", "app")}),
        (
            "exec: {shell: 'get {key} | tail -1'}",
            "{provider: p, key: a b}",
            {"exec": ("/bin/sh", "-c", "get 'a b' | tail -1")},
        ),
        ("dir: /run/secrets", "{provider: p}", {"dir": "/run/secrets", "key": "KEY"}),
        ("dir: /run/secrets", "{provider: p, key: other}", {"dir": "/run/secrets", "key": "other"}),
        ("file: '/srv/{key}.txt'", "p", {"file": "/srv/KEY.txt"}),
        ("env: 'APP_{key}'", "p", {"env": "APP_KEY"}),
        ("env: X, refresh: 1h, on_change: none", "p", {"env": "X", "refresh": 3600.0, "on_change": "none"}),
        ("env: X, refresh: 1h", "{provider: p, refresh: 5s}", {"env": "X", "refresh": 5.0}),
        ("env: X", "{provider: p, deliver: none}", {"env": "X", "deliver": "none"}),
        ("env: X", "{provider: p, path: /run/x}", {"env": "X", "deliver": "file", "path": "/run/x"}),
    ],
)
def test_what_a_provider_makes_of_a_key(tmp_path: Path, provider: str, written: str, secret: dict[str, object]) -> None:
    found = web(
        tmp_path, f"env: {{U: '${{secrets.KEY}}'}}, secrets: {{KEY: {written}}}", f"secrets: {{p: {{{provider}}}}}"
    )
    assert found.secrets == {"KEY": Secret(**secret)}  # type: ignore[arg-type]


def test_named_secrets_as_in_compose(tmp_path: Path) -> None:
    found = web(tmp_path, "secrets: [db, api]", "secrets: {db: {file: db.txt}, api: {env: API}}")
    assert found.secrets == {"db": Secret(file=str(tmp_path / "db.txt")), "api": Secret(env="API")}


@pytest.mark.parametrize(
    ("options", "message", "hint"),
    [
        ("secrets: {A: {}}", "secrets.A: does not say where it comes from", "write {exec:"),
        ("secrets: {A: }", "secrets.A: does not say where it comes from", "write {exec:"),
        ("secrets: {A: {file: x, env: B}}", "secrets.A: env is set beside file", "keep one of file and env"),
        ("secrets: {A: {fil: x}}", "secrets.A.fil: unknown key", "did you mean 'file'?"),
        (
            "secrets: {A: {provider: valt}}",
            "secrets.A: there is no 'valt' among the top level's secrets (vault)",
            "did you mean 'vault'?",
        ),
        ("secrets: {A: {file: x, key: y}}", "secrets.A: key is set beside file", "remove it"),
        (
            "secrets: {A: {provider: vault, key: y}}",
            "secrets.A: its provider has no place for a key",
            "write {key} into",
        ),
        ("secrets: {'a b': {env: X}}", "secrets.a b: 'a b' cannot be the name of a secret", "use letters"),
        ("secrets: {A: {env: X, path: /x, deliver: env}}", "secrets.A: path is set beside deliver: env", "remove one"),
        (
            "secrets: {A: {env: X, on_change: reload}}",
            "secrets.A.on_change: 'reload' is neither restart nor none nor a signal",
            "",
        ),
        ("secrets: {A: {env: X}}, env: {A: 1}", "secrets.A: would set A, which env sets, too", "rename one"),
        (
            "secrets: {A: {env: X, deliver: file}}, env: {A_FILE: 1}",
            "secrets.A: would set A_FILE, which env sets, too",
            "rename",
        ),
        (
            "secrets: {A: {env: X}}, env: {B: 'x${secrets.a}'}",
            "env.B: the service has no secret 'a'",
            "did you mean 'A'?",
        ),
        ("env: {B: '${secrets.A}'}", "env.B: the service has no secret 'A'", "declare it: secrets: {A: {file: …}}"),
        (
            "args: ['${secrets.A}']",
            "args[0]: ${secrets.A} can stand in env only: elsewhere others could see it",
            "write it in env",
        ),
        (
            "cwd: '${secrets.A}'",
            "cwd: ${secrets.A} can stand in env only: elsewhere others could see it",
            "write it in env",
        ),
        (
            "ready: {exec: 'x ${secrets.A}'}",
            "ready.exec: ${secrets.A} can stand in env only: elsewhere others could see it",
            "write",
        ),
    ],
)
def test_mistakes(tmp_path: Path, options: str, message: str, hint: str) -> None:
    found = mistakes(tmp_path, options, "secrets: {vault: {file: /v}}")
    assert message in [told for told, _ in found]
    assert dict(found)[message].startswith(hint)


def test_mistakes_of_a_line_for_sh_and_of_two_files_at_one_place(tmp_path: Path) -> None:
    two = "secrets: {A: {env: X, path: /run/x}, B: {env: Y, path: /run/x}}"
    assert mistakes(tmp_path, two)[0][0] == "secrets.B: its file would be that of A, /run/x"
    with pytest.raises(InvalidConfig) as caught:
        loaded(tmp_path, "services: {web: {shell: 'run ${secrets.A}', secrets: {A: {env: X}}}}")
    assert caught.value.mistakes[0].hint == "write $A: sh knows it"


def test_references_stay_references(tmp_path: Path) -> None:
    found = web(tmp_path, "env: {U: 'x${secrets.A}y$${secrets.A}'}, secrets: {A: {env: X}}")
    assert found.env == {"U": "x${secrets.A}y$${secrets.A}"}


def test_what_has_no_effect_is_told(tmp_path: Path) -> None:
    document = loaded(
        tmp_path,
        "services: {web: {command: serve, secrets: {A: {file: /none, deliver: none, on_change: HUP},"
        " B: {env: B, refresh: 1h, on_change: HUP}}}}",
    )
    assert [note.removeprefix("services.web.") for note in document.notes] == [
        "secrets.A: is delivered nowhere: no variable has ${secrets.A}",
        "secrets.A.on_change: has no effect without refresh",
        "secrets.A: there is no /none now",
        "secrets.B.on_change: a signal changes no variable of what runs: write deliver: file",
    ]


def test_what_was_made_with_a_secret_looking_variable_is_known(tmp_path: Path) -> None:
    """From wherever it comes: `defaults`, a base, a provider, an override; other services are not concerned."""
    text = """
secrets: {vault: {exec: "vault --token ${VAULT_TOKEN} {key}"}, plain: {exec: "pass ${USERNAME}"}}
defaults: {env: {FROM_DEFAULTS: "x${API_KEY}"}}
services:
  web: {command: "serve ${API_KEY}", env: {A: "${USERNAME}"}, secrets: {S: vault, P: plain}}
  api: {extends: web, env: !replace {B: 1}, ready: {http: {port: 1, headers: {X: "${API_KEY}"}}}}
  own: {command: a, env: !replace {A: "${USERNAME}"}}
"""
    (tmp_path / "pserv.yaml").write_text(text)
    environ = {"VAULT_TOKEN": "t0ken", "API_KEY": "k3y", "USERNAME": "u"}
    document = load(["pserv.yaml"], environ=environ, cwd=str(tmp_path), uid=1)
    assert {name: sorted(options) for name, options in document.private.items()} == {
        "web": ["command", "env.FROM_DEFAULTS", "secrets.S"],
        "api": ["command", "ready.http.headers.X", "secrets.S"],
    }
