"""From method, target and body of a request to the operation, its callable and its typed request. No I/O here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, NamedTuple, get_origin

import msgspec

from pserv.api import query
from pserv.api.failures import Rejection
from pserv.api.operations import OPERATIONS, Operation
from pserv.api.peer import Peer

Handler = Callable[[Any, Peer], Awaitable[Any] | AsyncIterator[Any]]
"""Answers one operation: a coroutine function, or for a stream an async generator function.

A stream may also yield a list of lines, which go out in one piece, or bytes: lines that are JSON already. An exception
of the model becomes the reply, or the stream's last line. A client that goes away is a CancelledError at the `await`,
or a GeneratorExit at the `yield`.
"""


class Call(NamedTuple):
    """A request that makes sense: what is asked for, who answers, and with what."""

    operation: Operation
    handler: Handler
    request: Any


class Router:
    """The table and the callables that answer it. Nothing but the table's rows can be reached through it."""

    def __init__(self, handlers: Mapping[str, Handler], operations: tuple[Operation, ...] = OPERATIONS) -> None:
        """Raises ValueError unless there is exactly one callable for each operation."""
        names = {operation.name for operation in operations}
        if names != set(handlers):
            missing, unknown = sorted(names - set(handlers)), sorted(set(handlers) - names)
            raise ValueError(f"operations without a callable: {missing}; callables without an operation: {unknown}")
        self._rows: dict[tuple[str, str], tuple[Operation, Handler]] = {
            (row.path, row.method): (row, handlers[row.name]) for row in operations
        }

    def resolve(self, method: str, target: bytes, body: bytes) -> Call:
        """Raises Rejection: 404, 405, or 400 for a query or a body that is not what the operation takes."""
        raw_path, _, raw_query = target.partition(b"?")
        path = raw_path.decode("latin-1")
        row = self._rows.get((path, method))
        if row is None:
            raise self._unknown(method, path)
        operation, handler = row
        try:
            request = (
                _from_query(operation, raw_query, body) if method == "GET" else _from_body(operation, raw_query, body)
            )
        except (ValueError, msgspec.ValidationError, msgspec.DecodeError) as error:
            takes = ", ".join(field.encode_name for field in msgspec.structs.fields(operation.request))
            hint = f"{method} {path} takes: {takes or 'nothing'}"
            raise Rejection(400, f"cannot read the request: {error}", hint) from error
        return Call(operation, handler, request)

    def _unknown(self, method: str, path: str) -> Rejection:
        methods = sorted(known for there, known in self._rows if there == path)
        if methods:
            hint = f"use {' or '.join(methods)}"
            return Rejection(405, f"cannot {method} {path}: it does not take this method", hint)
        import difflib  # only for a mistyped path: the daemon's memory is a promise

        near = difflib.get_close_matches(path, [there for there, _method in self._rows], 1, 0.5)
        hint = f"did you mean {near[0]}?" if near else "GET /v1/status"
        return Rejection(404, f"cannot find {path[:200]}: there is no such path", hint)


def _from_body(operation: Operation, raw_query: bytes, body: bytes) -> Any:
    if raw_query:
        raise ValueError("this operation takes a JSON body, no query parameters")
    return msgspec.json.decode(body or b"{}", type=operation.request)


def _from_query(operation: Operation, raw_query: bytes, body: bytes) -> Any:
    """Query parameters are text, so numbers and booleans are read from text (`strict=False`)."""
    if body:
        raise ValueError("this operation takes query parameters, no body")
    lists = {
        field.encode_name for field in msgspec.structs.fields(operation.request) if get_origin(field.type) is tuple
    }
    plain: dict[str, Any] = {}
    for name, values in query.decode(raw_query).items():
        if name not in lists and len(values) > 1:
            raise ValueError(f"`{name}` is given {len(values)} times")
        plain[name] = values if name in lists else values[0]
    return msgspec.convert(plain, operation.request, strict=False)
