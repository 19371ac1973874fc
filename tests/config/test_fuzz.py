"""Whatever the bytes: an accepted document or mistakes, never a traceback, and soon."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pserv.config.loader import load
from pserv.config.shapes import SERVICE
from pserv.model.mistakes import InvalidConfig

VALID = Path(__file__).with_name("everything.yaml").read_bytes()
VALID_TOML = Path(__file__).with_name("everything.toml").read_bytes()
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
LIMIT = 1.0
"""Seconds of CPU; most take a thousandth of it."""
MEMORY = 100 << 20
"""Bytes that reading may take beyond the interpreter and our code."""


def _told(data: bytes, name: str = "pserv.yaml") -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_bytes(data)
        begun = time.process_time()
        told = ""
        try:
            load([str(path)], environ={}, cwd="/", uid=0)
        except InvalidConfig as error:
            told = error.message
        assert time.process_time() - begun < LIMIT
        return told


def test_the_seeds_are_valid() -> None:
    assert _told(VALID) == ""
    assert _told(VALID_TOML, "pserv.toml") == ""


@PATIENT
@given(st.binary(max_size=200), st.sampled_from(["pserv.yaml", "pserv.toml"]))
def test_random_bytes(data: bytes, name: str) -> None:
    _told(data, name)


@PATIENT
@given(st.text("abc:-[]{}'\"\n \t#&*!|>%@`,?.0", max_size=60), st.sampled_from(["pserv.yaml", "pserv.toml"]))
def test_random_punctuation(text: str, name: str) -> None:
    _told(text.encode(), name)


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=8),
    st.dates(),
    st.sampled_from(["always", "10s", "TERM", "a|b", "/x", "log", "web", "'", "a b", "on-failure:3"]),
)
KEYS = st.one_of(
    st.sampled_from([*SERVICE.options, "steps", "signal", "timeout", "web", "initial"]), st.text(max_size=5)
)
TREES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=6)),
    max_leaves=12,
)


@PATIENT
@given(st.dictionaries(KEYS, TREES, max_size=8), st.sampled_from(["services", "defaults", "daemon", "name"]))
def test_random_structures(service: dict[str, Any], section: str) -> None:
    tree = {"services": {"web": service}} if section == "services" else {section: service, "services": {"a": service}}
    _told(yaml.dump(tree, Dumper=DUMPER, allow_unicode=True).encode("utf-8", "surrogatepass"))


@PATIENT
@given(st.data(), st.sampled_from([(VALID, "pserv.yaml"), (VALID_TOML, "pserv.toml")]))
def test_random_edits_of_valid_files(data: st.DataObject, seed: tuple[bytes, str]) -> None:
    valid, name = seed
    edited = bytearray(valid)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(edited)))
        end = min(len(edited), start + data.draw(st.integers(0, 12)))
        inserted = data.draw(st.one_of(st.binary(max_size=4), st.just(bytes(edited[end : end + 20])), st.just(b"\n")))
        edited[start:end] = inserted
    _told(bytes(edited), name)


def _services(number: int, text: str, first: str = "") -> bytes:
    """A service for each number, `{i}` and the next `{j}` filled in."""
    each = (text.replace("{i}", str(i)).replace("{j}", str((i + 1) % number)) for i in range(number))
    return (first + "services: {" + ",".join(each) + "}").encode()


BOMB = "x-a: &a [" + "x," * 9 + "]\n"
BOMB += "".join(f"x-{i}: &{i} [{f'*{i - 1},' * 9}]\n".replace("*-1,", "*a,") for i in range(9))

LARGE = {
    "text": b"services: {a: {command: '" + b"x" * 1_000_000 + b"'}}",
    "word": b"services: {a: {restart: " + b"x" * 1_000_000 + b"}}",
    "key": b"services: {a: {" + b"x" * 1_000_000 + b": 1}}",
    "digits": b"services: {a: {nice: " + b"9" * 1_000_000 + b"}}",
    "duration": b"services: {a: {stable_after: " + b"9" * 1_000_000 + b"}}",
    "octal": b"services: {a: {umask: " + b"7" * 1_000_000 + b"}}",
    "pattern": b"services: {a: {command: a, ready: {log: {pattern: '" + b"(a|b)*" * 100_000 + b"'}}}}",
    "unknown keys": _services(10_000, "s{i}: {x{i}: 1}"),
    "environment": b"services: {a: {env: {" + b",".join(b"s%d: 1" % i for i in range(20_000)) + b"}, command: x}}",
    "chain": _services(3_000, "s{i}: {command: a, depends_on: s{j}}")[:-1] + b", s0: {command: a}}",
    "cycle": _services(3_000, "s{i}: {command: a, depends_on: s{j}}"),
    "all need all": _services(150, "s{i}: {command: a, depends_on: [" + ", ".join(f"s{i}" for i in range(150)) + "]}"),
    "extends": _services(3_000, "s{i}: {command: a, extends: s{j}}"),
    "unknown needs": _services(3_000, "s{i}: {command: a, depends_on: x{i}}"),
    "time zones": _services(200, "s{i}: {command: a, schedule: '@daily', timezone: Europe/Brelin{i}}"),
    "sockets": _services(1_000, "s{i}: {command: a, instances: 10000, sockets: {i}}"),
    "outputs": _services(20, "s{i}: {command: a, instances: 10000, stdout: '/tmp/{i}.${pserv.instance}.log'}"),
    "groups": _services(
        2_000, "s{i}: {command: a}", "groups: {" + ",".join(f"g{i}: '*a*b*c'" for i in range(500)) + "}\n"
    ),
    "services": _services(8_000, "s{i}: {command: run {i}}"),
    "bomb": BOMB.encode(),
    "aliases": b"x-a: &a {command: a, env: {A: b}}\n" + _services(6_000, "s{i}: *a"),
    "deep": b"services: " + b"[" * 500_000,
    "deep mappings": b"services: " + b"{a: " * 100_000,
    "variables": b"services: {a: {command: '" + b"${A:-x} " * 50_000 + b"'}}",
    "variables in variables": b"services: {a: {command: '" + b"${A:-" * 100_000 + b"'}}",
    "comment": b"#" * 4_000_000,
    "lines": b"\n" * 4_000_000,
}


OF_MEMORY = ("text", "pattern", "unknown keys", "all need all", "services", "bomb", "deep mappings")
"""Those that are read by a process of its own, whose memory tells what they take."""
MOST_TOLD = 40_000
"""Characters of the mistakes in any of them."""


@pytest.mark.parametrize("name", sorted(LARGE.keys() - set(OF_MEMORY)))
def test_large_values(name: str) -> None:
    assert len(_told(LARGE[name])) < MOST_TOLD


READ_ALL = """
import resource, sys, time
from pserv.config.loader import load
from pserv.model.mistakes import InvalidConfig
import difflib, pserv.config.yaml_nodes
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
for path in sys.argv[1:]:
    told, begun = "", time.process_time()
    try:
        load([path], environ={}, cwd="/", uid=0)
    except InvalidConfig as error:
        told = error.message
    print(len(told), time.process_time() - begun, path)
print(peak() - before)
"""


def test_large_values_take_little_memory(tmp_path: Path) -> None:
    paths = []
    for name in OF_MEMORY:
        paths.append(tmp_path / f"{name}.yaml")
        paths[-1].write_bytes(LARGE[name])
    done = subprocess.run([sys.executable, "-c", READ_ALL, *paths], capture_output=True, text=True, check=True)
    *each, memory = done.stdout.splitlines()
    assert len(each) == len(OF_MEMORY)
    for line in each:
        told, took, path = line.split(maxsplit=2)
        assert int(told) < MOST_TOLD, path
        assert float(took) < LIMIT, path
    assert int(memory) < MEMORY
