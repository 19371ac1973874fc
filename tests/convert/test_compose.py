"""compose files: what each option becomes, what stays a remark, and that nothing that parses is a traceback."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pserv.convert import compose, compose_options, dockerfile
from pserv.convert.entries import Entry, Find
from pserv.model.spec import ServiceSpec

INSTALLED = ("redis-server", "sh", "python", "postgres")


def read(text: str, folder: str = "/nowhere", **environ: str) -> Find:
    return compose.read(
        text, "compose.yaml", folder, environ, lambda name: f"/bin/{name}" if name in INSTALLED else None
    )


def one(options: str) -> Entry:
    (entry,) = read(f"services: {{a: {{build: ., command: run, {options}}}}}").entries
    return entry


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("restart: always", {"restart": "always"}),
        ("restart: unless-stopped", {"restart": "always"}),
        ('restart: "no"', {"restart": "never"}),
        ("restart: no", {"restart": "never"}),
        ("restart: on-failure:3", {"restart": "on-failure:3"}),
        ("environment: {A: 1, B: yes, C: }", {"env": {"A": "1", "B": "yes"}}),
        ("environment: [A=1, B]", {"env": {"A": "1"}}),
        ('ports: ["8000:8000"]', {"port": 8000}),
        ("ports: [8000]", {"port": 8000}),
        ('ports: ["127.0.0.1:8000:8000/tcp"]', {"port": 8000}),
        ("ports: [{target: 80, published: 80}]", {"port": 80}),
        ('ports: ["80:8000"]', {}),
        ('ports: ["80:80", "443:443"]', {}),
        ("ports: [8000], environment: {PORT: 1}", {"env": {"PORT": "1"}}),
        ("stop_signal: SIGQUIT, stop_grace_period: 1m30s", {"stop": {"signal": "SIGQUIT", "timeout": "1m30s"}}),
        ("deploy: {replicas: 3}", {"instances": 3}),
        ("scale: 2", {"instances": 2}),
        ("profiles: [dev]", {"profiles": ["dev"]}),
        ("tty: true, stdin_open: true", {"tty": True}),
        ("env_file: .env", {"env_file": ".env"}),
        ("env_file: [{path: a.env, required: false}]", {"env_file": [{"path": "a.env", "required": False}]}),
        ("user: root", {"user": "root"}),
        ("user: nobody-of-that-name", {}),
        ("depends_on: [b]", {"depends_on": {"b": "started"}}),
        ("depends_on: {b: {condition: service_healthy}}", {"depends_on": {"b": "healthy"}}),
        (
            "depends_on: {b: {condition: service_completed_successfully, required: false}}",
            {"depends_on": {"b": {"condition": "completed", "required": False}}},
        ),
        ("develop: {watch: [{action: sync, path: ./src}]}", {"watch": ["./src"]}),
        ("volumes: ['.:/app'], working_dir: /app/api", {"cwd": "api"}),
        ("working_dir: /elsewhere", {}),
        ("healthcheck: {disable: true}", {}),
        ("healthcheck: {test: [NONE]}", {}),
        (
            "healthcheck: {test: [CMD, pg_isready, -q], interval: 10s, retries: 5, timeout: 2}",
            {"health": {"exec": ["pg_isready", "-q"], "interval": "10s", "timeout": 2, "failures": 5}},
        ),
        ("healthcheck: {test: 'a $$B | c'}", {"health": {"shell": "a $B | c"}}),
        (
            "healthcheck: {test: curl -fsS http://localhost:8000/health || exit 1}",
            {"health": {"http": {"path": "/health", "port": 8000}}},
        ),
        ("healthcheck: {test: [CMD, wget, -q, 'http://127.0.0.1']}", {"health": {"http": {"path": "/", "port": 80}}}),
        ("networks: [a], labels: {a: b}, cap_add: [X], mem_limit: 1g, volumes: ['a:/b']", {}),
    ],
)
def test_options(written: str, expected: dict[str, Any]) -> None:
    assert one(written).options == {"command": "run", **expected}


@pytest.mark.parametrize(
    "written",
    [
        "working_dir: /elsewhere",
        'ports: ["80:8000"]',
        'ports: ["80:80", "443:443"]',
        "networks: [a]",
        "cap_add: [X]",
        "volumes: ['a:/b']",
        "user: nobody-of-that-name",
        "healthcheck: {interval: 1s}",
        "restart: sometimes",
        "environment: [B]",
        "deploy: {resources: {}}",
    ],
)
def test_what_is_not_translated_is_told_with_a_reason(written: str) -> None:
    (remark,) = one(written).remarks
    option, _, reason = remark.partition(": ")
    assert written.startswith(option.partition(".")[0])
    assert reason


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("image: 'redis:7'", {"command": "redis-server"}),
        ("image: 'redis:7', command: redis-server --port 7000", {"command": "redis-server --port 7000"}),
        ("image: 'docker.io/library/redis@sha256:0'", {"command": "redis-server"}),
        ("build: ., command: [run, a b]", {"command": ["run", "a b"]}),
        ("build: ., command: 'a | b $$X'", {"shell": "a | b $X"}),
        ("build: ., entrypoint: [run], command: a b", {"command": ["run", "a", "b"]}),
        ("build: ., entrypoint: run x, command: [a]", {"command": "run x a"}),
        ("image: alpine, command: [sh, -c, 'a; b $$X']", {"shell": "a; b $X"}),
        ("build: ., volumes: ['./src:/app'], command: /app/run --all", {"command": "src/run --all"}),
        ("build: ., volumes: ['./src:/app'], command: [/app/run]", {"command": ["src/run"]}),
    ],
)
def test_what_runs(options: str, expected: dict[str, Any]) -> None:
    (entry,) = read(f"services: {{a: {{{options}}}}}").entries
    assert not entry.off
    assert entry.options == expected


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("image: company/thing", "is in the image company/thing"),
        ("build: .", "is in an image"),
        ("image: memcached", "there is no memcached on this machine"),
        ("image: 'postgres:16'", "prepares things for postgres"),
        ("image: company/thing, command: thing --now", ""),
        ("image: company/thing, command: [thing]", "there is no thing on this machine"),
    ],
)
def test_what_is_in_an_image_is_not_declared(options: str, why: str) -> None:
    (entry,) = read(f"services: {{a: {{{options}}}}}").entries
    assert why in entry.off
    assert bool(why) == bool(entry.off)


def test_hosts_and_variables() -> None:
    text = """
services:
  web:
    build: .
    command: run --key $KEY --id ${ID} --x ${X:-1} --y $${Y}
    environment: {URL: "postgres://u:p@db:5432/a", DB_HOST: db, NAME: db, ADDRESS: "db:5432", OTHER: "mydb:1"}
  db: {build: ., command: "db"}
"""
    web, _ = read(text, ID="1").entries
    assert web.options["command"] == "run --key ${KEY:-} --id ${ID} --x ${X:-1} --y $${Y}"
    assert web.options["env"] == {
        "URL": "postgres://u:p@127.0.0.1:5432/a", "DB_HOST": "127.0.0.1", "NAME": "db", "ADDRESS": "127.0.0.1:5432",
        "OTHER": "mydb:1",
    }  # fmt: skip
    assert "u:p" not in " ".join(web.remarks)


@pytest.mark.parametrize(
    ("text", "command", "folder"),
    [
        ('FROM a\nWORKDIR /app\nCMD ["python", "-m", "app"]', ["python", "-m", "app"], "/app"),
        ("FROM a\nCMD python -m app", "python -m app", ""),
        ('FROM a\nENTRYPOINT ["run"]\nCMD ["a"]', ["run", "a"], ""),
        ("FROM a AS b\nCMD x\nFROM c\nRUN a && \\\n  b\n", None, ""),
        ("FROM a\nENTRYPOINT run it\nCMD x", "run it", ""),
        ("FROM a\nCMD [broken", "[broken", ""),
    ],
)
def test_dockerfiles(text: str, command: list[str] | str | None, folder: str) -> None:
    image = dockerfile.read(text)
    assert (image.command, image.folder) == (command, folder)


@pytest.mark.parametrize("text", ["", "services: [a]", "a: b", "services: {", "- a", "services: {'a b': {}, c: text}"])
def test_what_is_no_compose_file_is_told(text: str) -> None:
    found = read(text)
    assert not found.entries
    assert found.remarks


KEYS = st.sampled_from(
    [
        *("command", "entrypoint", "build", "image", "working_dir", "volumes", "environment", *compose_options.TABLE),
        *("test", "watch", "path", "replicas", "condition", "interval", "context", "networks", "ulimits"),
    ]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=6), st.sampled_from(["a:b", "1:2"])
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=8,
)


@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_options_give_options_that_we_have(service: dict[str, Any]) -> None:
    for entry in read(
        yaml.safe_dump({"services": {"a": service, "b": {"image": "redis"}}}, allow_unicode=True)
    ).entries:
        assert set(entry.options) <= set(ServiceSpec.__struct_fields__)
