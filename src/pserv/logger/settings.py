"""How the output of a service is written: the keeper's LOG, taken apart. What is done by it is elsewhere."""

from __future__ import annotations

from pserv.logger.rotation import DEFAULT, Rules

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final


class Settings:
    """The options of `log`, each with its default. Never changed: a stream or target gets another one."""

    __slots__ = (
        *("format", "instance", "max_line", "on_full", "parse", "rate"),
        *("rotation", "service", "strip_ansi", "timestamps"),
    )

    def __init__(self, log: dict[str, Any]) -> None:
        """`log`: what differs from the defaults; what is not known is left alone (a newer supervisor's)."""
        self.format: str = log.get("format", "plain")
        self.timestamps: bool = log.get("timestamps", False)
        self.parse: str = log.get("parse", "none")
        self.strip_ansi: bool = log.get("strip_ansi", False)
        self.max_line: int = log.get("max_line", 1 << 16)
        rate = log.get("rate")
        self.rate: tuple[float, int] | None = (float(rate[0]), int(rate[1])) if rate else None
        """Lines a second, and how many may come at once."""
        self.on_full: str = log.get("on_full", "block")
        self.service: str = log.get("service", "")
        self.instance: int | None = log.get("instance")
        self.rotation = Rules.of(log["rotate"]) if "rotate" in log else DEFAULT
        """None: never."""

    @property
    def formatted(self) -> bool:
        """Whether the bytes go through the logger's memory; else the kernel moves them."""
        return self.format == "json" or self.timestamps or self.strip_ansi or self.rate is not None

    @property
    def rate_text(self) -> str:
        """Why lines are dropped."""
        return f"log.rate is {self.rate[0]:g}/s" if self.rate else "log.rate"

    def noted(self) -> dict[str, Any]:
        """A LOG of what the lines depend on."""
        return {name: getattr(self, name) for name in _OF_LINES}


_OF_LINES: Final = ("format", "instance", "max_line", "parse", "rate", "service", "strip_ansi", "timestamps")

PLAIN: Final = Settings({})
"""All defaults; shared, so that a stream without settings of its own costs no memory for them."""


def settings(log: dict[str, Any] | None) -> Settings:
    return Settings(log) if log else PLAIN
