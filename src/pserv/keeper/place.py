"""Where a child stands between fork and execve, for the report of a step that failed."""

from __future__ import annotations


class Place:
    """The step the child is at, and the object of the step."""

    __slots__ = ("detail", "step")

    def __init__(self) -> None:
        self.step = "start"
        self.detail = ""

    def at(self, step: str, detail: str = "") -> None:
        self.step = step
        self.detail = detail
