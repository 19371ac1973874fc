"""Whatever the bytes: an accepted document or mistakes, never a traceback, and soon."""

from __future__ import annotations

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
LIMIT = 3.0
"""Seconds of CPU; most take a thousandth of it. A machine whose cores are shared counts more than there is."""


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


@pytest.mark.parametrize(
    "data",
    [
        b"services: {a: {command: '" + b"x" * 1_000_000 + b"'}}",
        b"services: {a: {restart: " + b"x" * 1_000_000 + b"}}",
        b"services: {a: {" + b"x" * 1_000_000 + b": 1}}",
        b"services: {a: {nice: " + b"9" * 1_000_000 + b"}}",
        b"services: {a: {stable_after: " + b"9" * 1_000_000 + b"}}",
        b"services: {a: {umask: " + b"7" * 1_000_000 + b"}}",
        b"services: {" + b",".join(b"s%d: {x%d: 1}" % (i, i) for i in range(10_000)) + b"}",
        b"services: {a: {env: {" + b",".join(b"s%d: 1" % i for i in range(20_000)) + b"}, command: x}}",
        b"services: {" + b",".join(b"s%d: {command: a, depends_on: s%d}" % (i, i + 1) for i in range(3_000)) + b"}",
    ],
    ids=["text", "word", "key", "digits", "duration", "octal", "unknown keys", "environment", "chain"],
)
def test_large_values(data: bytes) -> None:
    assert len(_told(data)) < 40_000
