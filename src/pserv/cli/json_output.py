"""What `--json` prints: one document on a terminal, compact for programs."""

from __future__ import annotations

import json
import sys

TYPE_CHECKING = False  # as in typing, which would cost 4 ms
if TYPE_CHECKING:
    from typing import Any

    from pserv.model.errors import PservError


def show(document: Any) -> None:
    """Prints a document, indented for people."""
    indent = 2 if sys.stdout.isatty() else None
    separators = None if indent else (",", ":")
    print(json.dumps(document, indent=indent, separators=separators, ensure_ascii=not _unicode()))


def line(document: Any) -> str:
    """One document of a stream of them, on a line."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=not _unicode())


def error_document(error: PservError) -> str:
    """The error as the API tells it."""
    document: dict[str, Any] = {"error": error.message, "hint": error.hint, "exit_code": int(error.exit_code)}
    mistakes = getattr(error, "mistakes", ())
    if mistakes:
        import msgspec

        document["mistakes"] = msgspec.to_builtins(mistakes)
    return json.dumps(document) + "\n"


def _unicode() -> bool:
    return (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf8")
