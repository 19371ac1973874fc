from __future__ import annotations

from typing import get_args

import msgspec
import pytest

from pserv.api.operations import OPERATIONS, Empty, Error, Operation
from pserv.api.routes import ROUTES


def test_routes_are_those_of_the_table() -> None:
    assert {row.name: (row.method, row.path) for row in OPERATIONS} == ROUTES


def test_names_and_paths_are_unique() -> None:
    assert len({row.name for row in OPERATIONS}) == len(OPERATIONS)
    assert len({(row.method, row.path) for row in OPERATIONS}) == len(OPERATIONS)
    assert all(row.path.startswith("/v1/") for row in OPERATIONS)


@pytest.mark.parametrize("row", OPERATIONS, ids=lambda row: row.name)
def test_unknown_fields_of_a_request_are_refused(row: Operation) -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"names": [], "name": "a", "argv": [], "signal": 1, "nonsense": 1}, row.request)
    assert row.request is Empty or msgspec.structs.fields(row.request)


@pytest.mark.parametrize("row", [row for row in OPERATIONS if row.stream], ids=lambda row: row.name)
def test_a_stream_may_end_in_an_error(row: Operation) -> None:
    assert Error in get_args(row.reply)


def test_reading_is_get_unless_it_waits() -> None:
    assert {row.name for row in OPERATIONS if row.access == "read" and row.method != "GET"} == {"wait"}
    assert all(row.access == "read" for row in OPERATIONS if row.method == "GET")
