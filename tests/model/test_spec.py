"""What a daemon reads its configuration into."""

from __future__ import annotations

from typing import Any, get_args

import msgspec

from pserv.model.spec import Document


def structs(hint: Any, found: set[type[msgspec.Struct]]) -> set[type[msgspec.Struct]]:
    """All structs that a value of this type may hold."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct) and hint not in found:
        found.add(hint)
        for field in msgspec.structs.fields(hint):
            structs(field.type, found)
    for inner in get_args(hint):
        structs(inner, found)
    return found


def test_types_of_options_are_no_text() -> None:
    """Each that is would be compiled in every start of a daemon."""
    text = [
        f"{cls.__module__}: {cls.__name__}.{name}"
        for cls in structs(Document, set())
        for name, annotation in vars(cls).get("__annotations__", {}).items()
        if isinstance(annotation, str)
    ]
    assert not text
