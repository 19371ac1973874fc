"""How the output of a service is written: the keeper's LOG, taken apart. What is done by it is elsewhere."""

from __future__ import annotations

from typing import Any, Final


class Settings:
    """The options of `log`, each with its default. Never changed: a stream or target gets another one."""

    __slots__ = ()

    def __init__(self, log: dict[str, Any]) -> None:
        """`log`: what differs from the defaults; what is not known is left alone (a newer supervisor's)."""


PLAIN: Final = Settings({})
"""All defaults; shared, so that a stream without settings of its own costs no memory for them."""


def settings(log: dict[str, Any] | None) -> Settings:
    return Settings(log) if log else PLAIN
