"""Which values are better not shown: decided by name and look, since nobody declares them."""

from __future__ import annotations

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


def _has_password(value: str) -> bool:
    """`scheme://user:password@host`."""
    before, separator, rest = value.partition("://")
    user, at, _ = rest.partition("/")[0].rpartition("@")
    return bool(before and separator and at) and ":" in user
