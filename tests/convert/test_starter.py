"""Whatever stands in a folder: a starter that `pserv check` accepts, and that says what it took from where."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pserv.config.loader import load
from pserv.config.schema import json_schema
from pserv.convert.starter import Starter, make
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.spec import Document, ServiceSpec
from tests.convert.test_compose import KEYS, VALUES
from tests.rounds import EXAMPLES

VALIDATOR = Draft202012Validator(json_schema())


def loaded(folder: Path, text: str) -> Document:
    (folder / "made.yaml").write_text(text)
    return load(["made.yaml"], environ={}, cwd=str(folder), uid=0, profiles=("*",))


def checking(folder: Path) -> Callable[[str], Sequence[Mistake]]:
    def check(text: str) -> Sequence[Mistake]:
        try:
            loaded(folder, text)
        except InvalidConfig as error:
            made = str(folder / "made.yaml")
            return [Mistake(m.message, m.hint, "" if m.file == made else m.file, m.line) for m in error.mistakes]
        return ()

    return check


def put(folder: Path, **contents: str) -> None:
    for name, text in contents.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def started(folder: Path) -> tuple[Starter, dict[str, ServiceSpec]]:
    """The starter of a folder, and the services that are declared in it."""
    starter = make(str(folder), {}, checking(folder))
    VALIDATOR.validate(yaml.safe_load(starter.text))
    return starter, loaded(folder, starter.text).services


FOLDERS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "django": (
        {"manage.py": "", "shop/wsgi.py": "", "requirements.txt": "Django\ngunicorn"},
        {"web": "python manage.py runserver --noreload 127.0.0.1:${pserv.port}"},
    ),
    "celery": (
        {"manage.py": "", "shop/wsgi.py": "", "shop/celery.py": ""},
        {"web": "python manage.py runserver --noreload 127.0.0.1:${pserv.port}", "worker": "celery -A shop worker"},
    ),
    "fastapi": (
        {"pyproject.toml": "", "src/shop/main.py": "import x\napi: FastAPI = FastAPI()\n"},
        {"web": "uvicorn shop.main:api --port ${pserv.port}"},
    ),
    "flask": (
        {"requirements.txt": "flask", "app.py": "app = Flask(__name__)"},
        {"web": "flask --app app:app run --port ${pserv.port}"},
    ),
    "scripts": ({"pyproject.toml": '[project.scripts]\nserve = "a:b"'}, {}),
    "node": ({"package.json": json.dumps({"scripts": {"start": "node x", "build": "b"}})}, {"web": "npm run start"}),
    "yarn": ({"package.json": '{"scripts": {"dev": "vite"}}', "yarn.lock": ""}, {"web": "yarn run dev"}),
    "main": ({"package.json": '{"main": "server.js"}', "server.js": ""}, {"web": "node server.js"}),
    "rails": (
        {"Gemfile": "gem 'sidekiq'", "bin/rails": ""},
        {"web": "bin/rails server -p ${pserv.port}", "worker": "bundle exec sidekiq"},
    ),
    "rack": ({"config.ru": "", "Gemfile": ""}, {"web": "bundle exec rackup -p ${pserv.port}"}),
    "laravel": ({"composer.json": "{}", "artisan": ""}, {"web": "php artisan serve --port=${pserv.port}"}),
    "php": ({"composer.json": "{}", "public/index.php": ""}, {"web": "php -S 127.0.0.1:${pserv.port} -t public"}),
    "rust": ({"Cargo.toml": '[package]\nname = "shop"', "src/main.rs": ""}, {"shop": "cargo run --release"}),
    "go": ({"go.mod": "module a", "main.go": ""}, {"app": "go run ."}),
    "broken": ({"package.json": "{", "pyproject.toml": "[", "compose.yaml": "{", "Cargo.toml": "["}, {}),
}


@pytest.mark.parametrize(("files", "commands"), FOLDERS.values(), ids=FOLDERS)
def test_what_a_folder_says(tmp_path: Path, files: dict[str, str], commands: dict[str, str]) -> None:
    put(tmp_path, **files)
    starter, services = started(tmp_path)
    written = yaml.safe_load(starter.text)["services"]
    if commands:
        assert {name: options["command"] for name, options in written.items()} == commands
    assert all(entry.origin.partition(":")[0] in files for entry in starter.entries)
    assert set(services) == set(commands) or not starter.entries


def test_an_empty_folder_gets_an_example(tmp_path: Path) -> None:
    starter, services = started(tmp_path)
    assert starter.entries == []
    assert list(services) == ["hello"]
    assert starter.text.startswith("# yaml-language-server: $schema=")
    assert "pserv schema >" in starter.text


def test_the_comments_of_the_example_are_right_too(tmp_path: Path) -> None:
    text = started(tmp_path)[0].text
    head, _, rest = text.partition("  # web:")
    lines = [line.replace("  # ", "  ", 1) for line in f"  # web:{rest}".splitlines()]
    assert list(loaded(tmp_path, head + "\n".join(lines)).services) == ["hello", "web"]


def test_a_procfile_says_what_runs(tmp_path: Path) -> None:
    put(tmp_path, Procfile="web: a\n", **{"Procfile.dev": "x: y", "manage.py": "", "package.json": "{}"})
    starter, services = started(tmp_path)
    assert list(services) == ["web"]
    assert {remark.split(" ")[0] for remark in starter.remarks} == {"Procfile.dev", "manage.py"}


COMPOSE = """
services:
  web:
    build: .
    command: run
    depends_on: {db: {condition: service_healthy}, cache: {condition: service_healthy}, gone: {condition: x}}
  db: {image: company/db}
  cache: {build: ., command: cache}
"""


def test_what_a_service_waits_for_is_declared(tmp_path: Path) -> None:
    put(tmp_path, **{"compose.yaml": COMPOSE, "Procfile": "cache: mine\n"})
    starter, services = started(tmp_path)
    assert services["web"].depends_on["cache"].condition == "ready"
    assert list(services["web"].depends_on) == ["cache"]
    assert services["cache"].argv == ("mine",)
    web = next(entry for entry in starter.entries if entry.name == "web")
    assert len(web.remarks) == 3
    assert "# db:" in starter.text


def test_what_is_not_accepted_is_a_comment_with_the_reason(tmp_path: Path) -> None:
    put(
        tmp_path,
        **{"compose.yaml": "services: {a: {build: ., command: a, stop_signal: SIGNOPE}, b: {build: ., command: b}}"},
    )
    starter, services = started(tmp_path)
    assert list(services) == ["b"]
    assert "SIGNOPE' is not a signal" in starter.entries[0].off
    assert "SIGNOPE' is not a signal" in starter.text


def test_a_broken_env_is_told_and_the_rest_is_written(tmp_path: Path) -> None:
    put(tmp_path, **{".env": "A='b\n", "Procfile": "web: a"})
    starter = make(str(tmp_path), {}, checking(tmp_path))
    assert not starter.entries[0].off
    assert any(".env:1" in remark for remark in starter.remarks)


@example({"a": {"image": "\x08"}}, "")  # which no comment may have as it is
@settings(max_examples=EXAMPLES // 4, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c d", "web"]), st.dictionaries(KEYS, VALUES, max_size=5), max_size=3),
    st.text(max_size=30),
)
def test_any_files_give_what_is_accepted(
    tmp_path_factory: pytest.TempPathFactory, services: dict[str, Any], lines: str
) -> None:
    folder = tmp_path_factory.mktemp("any")
    (folder / "compose.yaml").write_text(yaml.safe_dump({"services": services}, allow_unicode=True))
    (folder / "Procfile").write_text(f"web: {lines}\n", encoding="utf-8", errors="replace")
    started(folder)
