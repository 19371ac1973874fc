from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from pserv.api.openapi import document
from pserv.api.operations import OPERATIONS


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "$ref":
                yield item
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_operation_is_described() -> None:
    paths = document()["paths"]
    assert {(path, method.upper()) for path in paths for method in paths[path]} == {
        (row.path, row.method) for row in OPERATIONS
    }
    assert {entry["operationId"] for path in paths.values() for entry in path.values()} == {
        row.name for row in OPERATIONS
    }


def test_every_reference_leads_somewhere() -> None:
    whole = document()
    found = set(references(whole))
    assert found
    assert found <= {f"#/components/schemas/{name}" for name in whole["components"]["schemas"]}


def test_it_is_plain_and_the_same_each_time() -> None:
    assert json.dumps(document()) == json.dumps(document())


def test_parameters_bodies_and_streams() -> None:
    paths = document()["paths"]
    logs = paths["/v1/logs"]["get"]
    assert [entry["name"] for entry in logs["parameters"]] == [
        *("names", "lines", "follow", "stream", "since", "until", "grep", "invert", "level", "run", "reverse"),
        *("places", "after"),
    ]
    assert list(logs["responses"]["200"]["content"]) == ["application/x-ndjson", "text/event-stream"]
    assert "requestBody" not in logs
    signal = paths["/v1/signal"]["post"]
    assert signal["requestBody"]["content"]["application/json"]["schema"]["$ref"].endswith("/SendSignal")
    assert list(signal["responses"]["200"]["content"]) == ["application/json"]
    assert signal["responses"]["409"]["content"]["application/json"]["schema"]["$ref"].endswith("/Error")
