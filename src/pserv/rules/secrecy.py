"""Which values are better not shown: decided by name and look, since nobody declares them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_WORDS = frozenset(
    {"AUTH", "AUTHORIZATION", "COOKIE", "CREDENTIAL", "CREDENTIALS", "DSN", "KEY", "PASS", "PASSPHRASE", "PASSWD"}
    | {"PASSWORD", "PRIVATE", "PWD", "SALT", "SECRET", "SECRETS", "TOKEN", "TOKENS"}
)
_PARTS = ("APIKEY", "CREDENTIAL", "PASSW", "PASSPHRASE", "SECRET", "TOKEN")
_HARMLESS = frozenset({"PWD", "OLDPWD"})
MASK = "***"


def looks_secret(name: str, value: str = "") -> bool:
    """Whether an environment variable holds a secret, by its name or as a URL with a password in it."""
    upper = name.upper()
    if upper in _HARMLESS:
        return False
    named = not _WORDS.isdisjoint(upper.replace("-", "_").replace(".", "_").split("_"))
    return named or any(part in upper for part in _PARTS) or _has_password(value)


def masked(name: str, value: str) -> str:
    """The value as it may be shown."""
    return MASK if value and looks_secret(name, value) else value


def mask(options: dict[str, Any]) -> None:
    """Mask, in the options of a service as plain data, its variables and the headers that its probes send."""
    places = [options, *((options.get(probe) or {}).get("http") or {} for probe in ("ready", "health"))]
    for place, named in zip(places, ("env", "headers", "headers"), strict=True):
        if named in place:
            place[named] = {name: masked(name, value) for name, value in place[named].items()}


def hide(options: dict[str, Any], private: Iterable[str]) -> None:
    """Mask, in the options of a service as plain data, these ("env.URL", "command") with all that is in them."""
    for option in private:
        _hide(options, option)


def _hide(options: dict[str, Any], option: str) -> None:
    """Names that a user gave may have a dot in them, too."""
    if option in options:
        options[option] = _nothing_of(options[option])
        return
    head, _, rest = option.partition(".")
    inner = options.get(head)
    if isinstance(inner, dict) and rest:
        _hide(inner, rest)
    elif inner:  # written in a short form
        options[head] = _nothing_of(inner)


def _nothing_of(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _nothing_of(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [MASK] if value else []
    return value if value in (None, "") else MASK


def covers(private: Iterable[str], option: str) -> bool:
    """Whether one of these is the option, or in it, or what it is in."""
    return any(
        each == option or f"{each}.".startswith(f"{option}.") or f"{option}.".startswith(f"{each}.") for each in private
    )


def _has_password(value: str) -> bool:
    """`scheme://user:password@host`."""
    before, separator, rest = value.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    return bool(before and separator and at) and ":" in user
