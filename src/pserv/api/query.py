"""Query strings of the API: plain values to `a=1&a=2` and back (urllib.parse would bring ipaddress and re with it)."""

from __future__ import annotations

TYPE_CHECKING = False  # `typing` itself is too slow to import in a client that lives for 30 ms
if TYPE_CHECKING:
    from collections.abc import Mapping

UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
"""RFC 3986, 2.3."""
HEX = b"0123456789abcdefABCDEF"


def encode(values: Mapping[str, object]) -> str:
    """Sequences repeat their name, None is left out; text is UTF-8 (with what `surrogateescape` carries)."""
    pairs = []
    for name, value in values.items():
        if value is None:
            continue
        items = value if isinstance(value, (list, tuple)) else (value,)
        pairs += [f"{_quote(name)}={_quote(_text(item))}" for item in items]
    return "&".join(pairs)


def decode(query: bytes) -> dict[str, list[str]]:
    """Every value of every name, in order. Raises ValueError: a bad `%` escape, no UTF-8."""
    values: dict[str, list[str]] = {}
    for pair in query.split(b"&"):
        if pair:
            name, _, value = pair.partition(b"=")
            values.setdefault(_unquote(name), []).append(_unquote(value))
    return values


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _quote(text: str) -> str:
    return "".join(chr(b) if b in UNRESERVED else f"%{b:02X}" for b in text.encode("utf-8", "surrogateescape"))


def _unquote(data: bytes) -> str:
    first, *rest = data.replace(b"+", b" ").split(b"%")
    parts = [first]
    for piece in rest:
        if len(piece) < 2 or piece[:2].strip(HEX):  # fromhex alone would skip blanks
            raise ValueError(f"bad escape %{piece[:2].decode('latin-1')}")
        parts += [bytes.fromhex(piece[:2].decode("latin-1")), piece[2:]]
    return b"".join(parts).decode("utf-8")
