"""Every option can be explained, with an example that is read without a mistake; a misspelt one is guessed."""

from __future__ import annotations

import pytest

from pserv.config import explaining
from pserv.config.decode import Decoder
from pserv.config.findings import Findings
from pserv.config.fragments import TOP
from pserv.config.nodes import Mapping
from pserv.config.reference import options_page
from pserv.config.shapes import DAEMON, SERVICE
from pserv.config.yaml_nodes import read_yaml
from pserv.model.errors import UsageError
from pserv.model.mistakes import Mistake

NAMES = [name for name in explaining.known() if name not in explaining.TOP]


@pytest.mark.parametrize("name", NAMES)
def test_every_option_with_an_example_that_is_right(name: str) -> None:
    told = explaining.explain(name)
    assert told.option == name
    assert told.text
    assert told.value
    assert told.live is not None or "." in name
    assert told.text.replace("|", "\\|") in options_page()
    mistakes: list[Mistake] = []
    root = read_yaml(told.example, "example.yaml", mistakes)
    assert isinstance(root, Mapping)
    findings = Findings()
    if told.of == "the daemon":
        (inner,) = (value for _, _, value in root)
        assert isinstance(inner, Mapping)
        written = Decoder(findings).struct(DAEMON, inner, ())
    else:
        written = Decoder(findings).struct(SERVICE, root, ())
    assert written
    assert [*mistakes, *findings.mistakes] == []


@pytest.mark.parametrize("name", explaining.TOP)
def test_every_section_of_a_file(name: str) -> None:
    told = explaining.explain(name)
    assert read_yaml(told.example, "example.yaml", []) is not None
    assert bool(told.options) is (name in ("daemon", "services"))


def test_sections_are_all_that_there_are() -> None:
    assert set(TOP) == explaining.TOP.keys()


@pytest.mark.parametrize(
    ("asked", "option"),
    [
        ("services.web.stop", "stop"),
        ("services.web.log.rotate.size", "log.rotate.size"),
        ("defaults.stop.timeout", "stop.timeout"),
        ("depends_on.db.condition", "depends_on.db.condition"),
        ("services.web.hooks.pre_start[0].timeout", "hooks.pre_start.timeout"),
        ("env.PORT", "env"),
        ("max-retries", "max_retries"),
        ("services", "services"),
        ("services.web", "services"),
    ],
)
def test_ways_to_ask(asked: str, option: str) -> None:
    assert explaining.explain(asked).option == option


def test_what_is_told() -> None:
    told = explaining.explain("log.rotate.size")
    assert (told.of, told.default, told.live) == ("a service", "10MB", True)
    assert told.value == "a size: 64KB, 10MB, 1GiB, or a number of bytes; or none"
    assert told.example == "log: {rotate: {size: 1GB}}"
    assert explaining.explain("nice").live is False
    assert list(explaining.explain("stop").options) == ["signal", "timeout", "scope", "steps"]


@pytest.mark.parametrize(
    ("asked", "hint"),
    [
        ("stp", "did you mean stop?"),
        ("services.web.stop.signl", "did you mean stop.signal?"),
        ("rotate", "did you mean log.rotate?"),
        ("healthcheck", "here it is called health"),
        ("daemon.exit_wen", "did you mean daemon.exit_when?"),
        ("servces", "did you mean services?"),
        ("xyzzy", "pserv config --explain services lists them"),
        ("", "pserv config --explain services lists them"),
    ],
)
def test_misspelt(asked: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        explaining.explain(asked)
    assert caught.value.hint == hint
