"""The OpenAPI 3.1 document of the API, made from the table. No file is written here."""

from __future__ import annotations

import inspect
from typing import Any

import msgspec

from pserv import __version__
from pserv.api.operations import OPERATIONS, Error, Operation

REF = "#/components/schemas/{name}"
FAILURES = {
    "400": "The request is not what the operation takes.",
    "403": "This user may not.",
    "404": "No such service, or no such path.",
    "409": "The state of the service or of the daemon does not allow it now.",
    "422": "The configuration has mistakes.",
    "default": "Any other error.",
}


def document() -> dict[str, Any]:
    """Plain data, ready for JSON; the same for the same version of the package."""
    types = [kind for row in OPERATIONS for kind in (row.request, row.reply)]
    (error, *schemas), components = msgspec.json.schema_components([Error, *types], ref_template=REF)
    for component in components.values():
        # Python up to 3.12 keeps the indentation of docstrings, and of enumerations msgspec gives them as they are.
        if "description" in component:
            component["description"] = inspect.cleandoc(component["description"])
    paths: dict[str, dict[str, Any]] = {}
    for row, request, reply in zip(OPERATIONS, schemas[::2], schemas[1::2], strict=True):
        paths.setdefault(row.path, {})[row.method.lower()] = _operation(row, components, request, reply, error)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Pserv",
            "version": __version__,
            "description": "The API of the daemon, on its unix socket. Streams are one JSON object a line, or with "
            "`Accept: text/event-stream` one server-sent event each; an error after the first line is the last line.",
        },
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(
    row: Operation, components: dict[str, Any], request: dict[str, Any], reply: dict[str, Any], error: dict[str, Any]
) -> dict[str, Any]:
    kinds = ("application/x-ndjson", "text/event-stream") if row.stream else ("application/json",)
    described: dict[str, Any] = {
        "operationId": row.name,
        "summary": row.text,
        "tags": [row.access],
        "responses": {
            "200": {
                "description": "A line each." if row.stream else "Done.",
                "content": {kind: {"schema": reply} for kind in kinds},
            },
            **{
                status: {"description": text, "content": {"application/json": {"schema": error}}}
                for status, text in FAILURES.items()
            },
        },
    }
    if row.method == "GET":
        described["parameters"] = _parameters(components[request["$ref"].rpartition("/")[2]])
    else:
        described["requestBody"] = {"content": {"application/json": {"schema": request}}}
    return described


def _parameters(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """One for each field of a GET's request; a list is its name repeated (`explode`, the default of OpenAPI)."""
    required = schema.get("required", [])
    return [
        {"name": name, "in": "query", "required": name in required, "schema": field}
        for name, field in schema["properties"].items()
    ]
