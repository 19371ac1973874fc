"""The schema and the options page name every option, and say what the decoder does."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from jsonschema import Draft202012Validator

from pserv.config import reference
from pserv.config.effective import effective
from pserv.config.schema import json_schema
from pserv.config.shapes import DAEMON, SERVICE, Shape
from pserv.model.spec import DaemonSpec, Document, ServiceSpec
from tests.config.specs import services, structs

GENERATOR = Path(__file__).parents[2] / "docs/generate.py"
VALIDATOR = Draft202012Validator(json_schema())


def _options(shape: Shape) -> Iterator[str]:
    for option in shape.options.values():
        yield option.name
        yield from _options(option.shape)


def test_every_option_is_on_the_page_with_its_text() -> None:
    page = reference.options_page()
    for shape in (SERVICE, DAEMON):
        for name in _options(shape):
            assert f"| `{name}` |" in page
        for option in shape.options.values():
            assert option.text
            assert option.live is not None
            assert option.text.replace("|", "\\|") in page


def test_every_option_is_in_the_schema_with_its_text() -> None:
    definitions = json_schema()["$defs"]
    for name, shape in (("service", SERVICE), ("daemon", DAEMON)):
        properties = definitions[name]["properties"]
        assert {key: value["description"] for key, value in properties.items()} == {
            option.name: option.text for option in shape.options.values()
        }


def _accepts(option: str, value: Any) -> bool:
    """Whether the schema takes this as the value of a service's option."""
    return VALIDATOR.is_valid({"services": {"web": {option: value}}})


@pytest.mark.parametrize(
    ("option", "value", "right"),
    [
        ("stable_after", "1h30m", True),
        ("stable_after", 5, True),
        ("stable_after", -5, False),
        ("stable_after", "soon", False),
        ("umask", "0o22", True),
        ("umask", "089", False),
        ("restart", "no", True),
        ("restart", "on-failure:5", True),
        ("restart", "sometimes", False),
        ("restart", None, True),
        ("stop", "QUIT", True),
        ("backoff", "5s", True),
        ("nice", 20, False),
        ("stdout", "./x.log", True),
        ("stdout", None, True),
        ("stdout", "logs", False),
        ("depends_on", "db", True),
        ("depends_on", ["db"], True),
        ("depends_on", {"db": "service_healthy"}, True),
        ("depends_on", {"db": {"condition": "completed", "required": False}}, True),
        ("inherit_env", False, True),
        ("success_exit_codes", 3, True),
        ("success_exit_codes", "x", False),
        ("ready", "tcp:5432", True),
        ("ready", ["pg_isready", "-q"], True),
        ("ready", None, True),
        ("port", "${PORT:-8080}", True),
        ("port", "eighty", False),
        ("autostart", "$AUTO", True),
        ("restart", "${POLICY}", True),
        ("success_exit_codes", ["$CODE"], True),
        ("extends", "base", True),
        ("extends", {"service": "base", "file": "../x.yaml"}, True),
        ("extends", {"servce": "base"}, False),
        ("schedule", "0 3 * * MON-FRI", True),
        ("schedule", "@daily", True),
        ("schedule", "@every 90s", True),
        ("schedule", "hourly", False),
        ("schedule", {"cron": "@daily", "timezone": "Europe/Berlin", "overlap": "kill"}, True),
    ],
)
def test_the_schema_knows_the_short_forms(option: str, value: object, right: bool) -> None:
    assert _accepts(option, value) is right


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_the_schema_takes_what_the_readme_shows() -> None:
    readme = (GENERATOR.parents[1] / "README.md").read_text()
    examples = re.findall(r"```yaml\n(.*?)```", readme, re.DOTALL)
    assert examples
    for example in examples:
        VALIDATOR.validate(yaml.safe_load(example))


@given(services(), structs(DAEMON))
def test_the_schema_takes_all_that_is_shown_of_a_configuration(service: ServiceSpec, daemon: DaemonSpec) -> None:
    document = Document(name="d", root="/", services={"web": service}, daemon=daemon)
    for defaults in (True, False):
        VALIDATOR.validate(effective(document, defaults=defaults))


def test_generated_files_are_up_to_date(capsys: pytest.CaptureFixture[str]) -> None:
    module = importlib.util.spec_from_file_location("generate", GENERATOR)
    assert module is not None
    assert module.loader is not None
    generate = importlib.util.module_from_spec(module)
    module.loader.exec_module(generate)
    generated = dict(generate.GENERATED)
    for name in ("docs/options.md", "schema/pserv.schema.json"):
        content = generated[name]
        assert (GENERATOR.parents[1] / name).read_text() == content(), f"{name} is stale: make generate"
