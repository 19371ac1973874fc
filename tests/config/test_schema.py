"""What the loader accepts the schema accepts, however it is written; what is plainly wrong both refuse."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from pserv.config.decode import plain
from pserv.config.loader import load
from pserv.config.probing import PROBES
from pserv.config.schema import json_schema
from pserv.config.shapes import COMMANDS, DAEMON, PAIRS, SERVICE, SHORT, Option, Shape
from pserv.config.toml_nodes import read_toml
from pserv.config.yaml_nodes import read_yaml
from pserv.model.mistakes import InvalidConfig

SCHEMA = json_schema()
VALIDATOR = Draft202012Validator(SCHEMA)
HERE = Path(__file__).parent
COMMAND_FORMS = st.sampled_from(["prog a 'b c'", ["prog", "a", 7], ["./prog"], ["prog", "", "$$x"]])
CALLS = st.one_of(COMMAND_FORMS, st.sampled_from([{"shell": "a | b"}, {"command": ["a", "b"]}]))
DURATIONS = st.sampled_from(["500ms", "10s", "5m", "2h", "1d", "1h30m", "1h 30m", "10 seconds", "2 Min", 5, 0.5, "7"])
SIZES = st.sampled_from(["64KB", "128 KB", "300kb", "256K", 4096])
SIGNALS = st.sampled_from(["TERM", "SIGTERM", "hup", 15, "15", "RTMIN+1", "RTMAX-1", "USR1"])
ADDRESSES = st.sampled_from([8080, "8080", "127.0.0.1:8080", "udp://:53", "unix:/run/x.sock", "./x.sock", "[::1]:80"])
TEXTS = st.sampled_from(["a", "a b", "'", "", 7, 1.5, True, "${pserv.name}"])
NAMES = st.sampled_from(["a", "b-c", "d.e", "F"])

FORMS: dict[str, st.SearchStrategy[Any]] = {
    "text": TEXTS,
    "program": st.sampled_from(["/bin/true", "true", "./true"]),
    "path": st.sampled_from(["/a/b", "a", "../b", "~"]),
    "output": st.sampled_from(["log", "null", "inherit", "./a.log", "/tmp/a", "a.log", None, "syslog"]),
    "integer": st.sampled_from([0, 1, 5, "3", "+2"]),
    "number": st.sampled_from([1, 1.5, "2"]),
    "bool": st.sampled_from([True, False, "yes", "no", "on", "off", "true", "True"]),
    "duration": DURATIONS,
    "size": SIZES,
    "limit": st.one_of(SIZES, st.sampled_from(["none", 0])),
    "count": st.sampled_from(["none", 0, 7, "7"]),
    "period": st.sampled_from(["hourly", "daily", "weekly", "none", "6h", 3600]),
    "rate": st.sampled_from(["10000/s", "600/m", "100 / h", 10, "5/sec"]),
    "signal": SIGNALS,
    "reaction": st.one_of(SIGNALS, st.sampled_from(["restart", "reload", "Restart"])),
    "octal": st.sampled_from(["022", "0640", "0o22", 22, "7"]),
    "port": st.sampled_from([80, "8080", "${pserv.port}"]),
    "words": st.sampled_from(["a", ["a", "b"], [], [7]]),
    "command": COMMAND_FORMS,
    "arguments": st.one_of(COMMAND_FORMS, st.just([])),
    "call": CALLS,
    "environment": st.sampled_from([{"A": "a", "B": 7, "C": True, "D": ""}, ["A=1", "B="], {}, []]),
    "schedule": st.sampled_from(
        [
            "0 3 * * *",
            "@daily",
            "@every 90s",
            "*/5 0 3 * * MON-FRI",
            {"every": "90s"},
            {"cron": "@daily", "missed": "run"},
        ]
    ),
    "timezone": st.sampled_from(["Europe/Berlin", "UTC"]),
    "address": ADDRESSES,
    "sockets": st.one_of(
        ADDRESSES,
        st.lists(ADDRESSES, max_size=2),
        st.dictionaries(NAMES, ADDRESSES, max_size=2),
        st.just({"a": {"listen": 80, "backlog": 5}}),
    ),
    "consequence": st.one_of(SIGNALS, st.sampled_from(["restart", "none"])),
    "env_files": st.sampled_from([{"path": "x.env", "required": False}, [{"path": "x.env", "required": "no"}], []]),
    "secrets": st.sampled_from(
        [
            {"A": {"env": "HOME"}},
            {"A": {"exec": "pass show a", "refresh": "1h"}, "B": {"dir": "x", "deliver": "file"}},
            {},
        ]
    ),
    "policy": st.sampled_from(["always", "no", "never", "on-failure:5", "unless-stopped"]),
    "condition": st.sampled_from(["ready", "service_started", "completed"]),
}
PROBE_FORMS = st.one_of(
    CALLS.filter(lambda form: form != ["prog", "", "$$x"]),
    st.sampled_from(["tcp:5432", "http://:8080/health", "https://[::1]:1/", "unix:/x", "file:./x", "log:up .*"]),
    st.sampled_from(
        [{"http": 8080}, {"http": "/x", "interval": "5s"}, {"tcp": {"port": 5, "timeout": 1}}, {"exec": "a b"}]
    ),
    st.sampled_from(
        [{"shell": "a | b", "interval": 5}, {"file": "x"}, {"log": {"pattern": "a$"}}, {"unix": {"path": "x"}}]
    ),
)


def forms(shape: Shape) -> st.SearchStrategy[Any]:
    """What a user may write for a value of this shape; most of it is right."""
    if shape.either:
        return st.one_of([forms(each) for each in shape.either])
    if shape.cls in PROBES:
        return PROBE_FORMS
    if shape.kind == "struct":
        return _struct(shape)
    if shape.kind in ("list", "hooks"):
        assert shape.item is not None
        items = st.lists(forms(shape.item), min_size=1, max_size=2)
        return items if shape.item.cls in PAIRS else st.one_of(forms(shape.item), items)
    if shape.kind == "needs":
        assert shape.item is not None
        return st.one_of(NAMES, st.lists(NAMES, max_size=2), st.dictionaries(NAMES, forms(shape.item), max_size=2))
    if shape.kind == "map":
        return st.dictionaries(NAMES, TEXTS, max_size=2)
    return FORMS[shape.kind] if shape.kind in FORMS else st.sampled_from(shape.choices)


def _struct(shape: Shape) -> st.SearchStrategy[Any]:
    options = {name: forms(option.shape) for name, option in shape.options.items() if option.shape is not shape}
    if pair := PAIRS.get(shape.cls):
        return st.tuples(SIGNALS, forms(shape.options[pair[1]].shape)).map(lambda both: {str(both[0]): both[1]})
    ways: list[st.SearchStrategy[Any]] = [st.fixed_dictionaries({}, optional=options)]
    if short := SHORT.get(shape.cls):
        ways.append(options[short])
    if shape.cls in COMMANDS:
        ways = [CALLS, st.fixed_dictionaries({"command": COMMAND_FORMS, "timeout": DURATIONS})]
    return st.one_of(ways)


def accepted(data: Any) -> bool:
    """Whether the loader takes it, apart from what only makes no sense together or on this machine."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "pserv.yaml")
        path.write_text(yaml.safe_dump(data, allow_unicode=True))
        try:
            load([str(path)], environ={}, cwd="/", uid=0)
        except InvalidConfig:
            return False
        return True


ONE_AT_A_TIME = [("services", option) for option in SERVICE.options.values()]
ONE_AT_A_TIME += [("daemon", option) for option in DAEMON.options.values()]


@pytest.mark.parametrize(("section", "option"), ONE_AT_A_TIME, ids=lambda value: getattr(value, "name", value))
def test_what_the_loader_accepts_the_schema_accepts(section: str, option: Option) -> None:
    good = 0

    @settings(max_examples=20, deadline=None)
    @given(forms(option.shape))
    def one(form: Any) -> None:
        nonlocal good
        service: dict[str, Any] = {} if option.name in ("command", "exec", "shell") else {"exec": "true"}
        others = {name: {"command": "x"} for name in ("a", "b-c", "d.e", "F")}
        if section == "services":
            written = option.name if len(str(form)) % 2 else option.name.replace("_", "-")
            data: Any = {"services": {"web": {**service, written: form}, **others}}
        else:
            data = {"daemon": {option.name: form}, "services": others}
        if accepted(data):
            good += 1
            VALIDATOR.validate(data)

    one()
    assert good or option.name in (
        "name",
        "timezone",
        "overlap",
        "missed",
        "pid_file",
        "lazy",
        "extends",
        "args",
        "user",
        "group",
        "supplementary_groups",
    )


SURELY = re.compile(
    r"unknown key|is not one of|where a mapping is expected|is more than|is less than|is not a size|is not a rate"
)


def wrong_files() -> Iterator[Path]:
    for expected in sorted((HERE / "mistakes").glob("*.txt")):
        if SURELY.search(expected.read_text()) and not expected.name.startswith("yaml_"):
            yield next(path for path in expected.parent.glob(f"{expected.stem}.*ml"))


@pytest.mark.parametrize("path", list(wrong_files()), ids=lambda path: path.name)
def test_what_is_plainly_wrong_the_schema_refuses(path: Path) -> None:
    read = read_toml if path.suffix == ".toml" else read_yaml
    root = read(path.read_text(), str(path), [])
    assert root is not None
    assert not VALIDATOR.is_valid(plain(root))


@pytest.mark.parametrize("name", ["everything.yaml", "everything.toml"])
def test_a_file_with_every_option_is_accepted(name: str) -> None:
    path = HERE / name
    root = (read_toml if path.suffix == ".toml" else read_yaml)(path.read_text(), str(path), [])
    assert root is not None
    VALIDATOR.validate(plain(root))


def objects(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """All properties of the schema, with the place of each."""
    if isinstance(schema, dict):
        for name, value in (schema.get("properties") or {}).items():
            yield f"{path}.{name}", value
        for key, value in schema.items():
            yield from objects(value, f"{path}.{key}" if key != "properties" else path)
    elif isinstance(schema, list):
        for index, value in enumerate(schema):
            yield from objects(value, f"{path}[{index}]")


def test_each_option_has_a_description() -> None:
    inner = [(path, each) for path, each in objects(SCHEMA)]
    assert len(inner) > 100
    assert [path for path, each in inner if "description" not in each] == []


def test_each_default_is_a_value_that_the_schema_accepts() -> None:
    found = 0
    for _, each in objects(SCHEMA):
        if "default" in each:
            found += 1
            Draft202012Validator({**each, "$defs": SCHEMA["$defs"]}).validate(each["default"])
    assert found > 20
