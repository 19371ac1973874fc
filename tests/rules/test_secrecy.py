"""What is masked, and what is not."""

from __future__ import annotations

import pytest

from pserv.rules.secrecy import MASK, covers, hide, looks_secret, mask, masked


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY",
        "SECRET",
        "DB_PASSWORD",
        "db_password",
        "MYSQL_PWD",
        "GITHUB_TOKEN",
        "APIKEY",
        "AWS_SECRET_ACCESS_KEY",
        "SENTRY_DSN",
        "PGPASSWORD",
        "CREDENTIALS",
        "BASIC_AUTH",
        "Authorization",
        "Cookie",
        "accessToken",
        "SSH_PRIVATE_KEY",
    ],
)
def test_secret_by_name(name: str) -> None:
    assert looks_secret(name)
    assert masked(name, "hunter2") == MASK


@pytest.mark.parametrize("name", ["PORT", "PATH", "PWD", "OLDPWD", "KEYBOARD", "MONKEY", "AUTHOR", "COMPASS", "TZ"])
def test_not_secret_by_name(name: str) -> None:
    assert masked(name, "value") == "value"


@pytest.mark.parametrize(
    ("value", "secret"),
    [
        ("postgres://app:hunter2@db:5432/app", True),
        ("redis://:hunter2@cache", True),
        ("postgres://app@db/app", False),
        ("http://host:8080/a:b@c", False),
        ("user:word@host", False),
        ("", False),
    ],
)
def test_secret_by_look(value: str, secret: bool) -> None:
    assert looks_secret("DATABASE_URL", value) is secret


def test_an_empty_value_hides_nothing() -> None:
    assert masked("API_KEY", "") == ""


def test_what_is_private_is_masked_whole() -> None:
    plain = {
        "command": ["serve", "t0ken"],
        "args": [],
        "env": {"A.B": "t0ken", "C": "c"},
        "secrets": {"DB": {"exec": ["vault", "t0ken"]}},
        "stop": "TERM",
        "port": 1,
        "health": None,
    }
    hide(plain, ("command", "args", "env.A.B", "secrets.DB", "stop.signal", "port", "health", "ready.http.path"))
    assert plain == {
        "command": [MASK],
        "args": [],
        "env": {"A.B": MASK, "C": "c"},
        "secrets": {"DB": {"exec": [MASK]}},
        "stop": MASK,
        "port": MASK,
        "health": None,
    }


def test_an_option_is_covered_by_what_is_in_it_and_what_it_is_in() -> None:
    private = ("env.URL", "ready.http")
    assert [each for each in ("env", "env.URL", "env.URL2", "ready", "ready.http.path") if covers(private, each)] == [
        *("env", "env.URL", "ready", "ready.http.path")
    ]


def test_options_are_masked_wherever_names_have_values() -> None:
    headers = {"Authorization": "Bearer x", "Accept": "text/plain"}
    plain = {
        "exec": "web",
        "env": {"API_KEY": "x", "PORT": "1"},
        "ready": {"http": {"path": "/", "headers": dict(headers)}},
        "health": {"http": {"headers": dict(headers)}, "interval": 5.0},
    }
    mask(plain)
    shown = {"Authorization": MASK, "Accept": "text/plain"}
    assert plain["env"] == {"API_KEY": MASK, "PORT": "1"}
    assert plain["ready"] == {"http": {"path": "/", "headers": shown}}
    assert plain["health"] == {"http": {"headers": shown}, "interval": 5.0}
    for other in ({}, {"ready": {"tcp": {"port": 1}}, "health": None}):
        before = dict(other)
        mask(other)
        assert other == before
