"""JSON text to plain values and back by the C halves of the standard library's json, without its Python half.

`import json` brings `re`, which costs a client that lives for 30 ms a third of its time. The C halves tell errors only
with the help of the Python half, so that is called in for them; it also serves where the interpreter has no C halves.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    scan: Callable[[str, int], tuple[Any, int]] | None
    encode: Callable[[object, int], tuple[str, ...]] | None

try:
    from _json import encode_basestring_ascii, make_encoder, make_scanner  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    scan = encode = None
else:

    class Options:
        """What json.JSONDecoder() carries, as attributes that the C scanner reads."""

        strict = True
        object_hook = None
        object_pairs_hook = None
        parse_float = float
        parse_int = int
        parse_constant = float

    scan = make_scanner(Options)  # type: ignore[arg-type]  # typeshed takes the context for a scanner

    def refuse(value: object) -> object:
        raise TypeError(f"{type(value).__name__} is no plain value")

    encode = make_encoder(None, refuse, encode_basestring_ascii, None, ":", ",", False, False, False)


def loads(text: str) -> Any:
    """Raises ValueError, as json.loads does."""
    if scan is not None:
        try:
            value, end = scan(text, 0)
        except (StopIteration, ValueError, SystemError):
            end = -1
        if end == len(text):
            return value
    import json

    return json.loads(text)


def dumps(value: object) -> str:
    """Raises ValueError for what JSON cannot say (NaN), TypeError for what is no plain value."""
    if encode is not None:
        try:
            return "".join(encode(value, 0))
        except (TypeError, ValueError, SystemError):
            pass
    import json

    return json.dumps(value, allow_nan=False)
