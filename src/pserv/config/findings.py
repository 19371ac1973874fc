"""What is found while a configuration is read: mistakes, each with the service it belongs to, and notes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from pserv.config.nodes import Node, Unfilled
from pserv.model.mistakes import Mistake

LIMIT: Final = 100
"""More mistakes than anybody reads: the rest is left out, which also bounds the time for a hopeless file."""

Path = tuple[str | int, ...]


class Wrong(Exception):
    """A value that does not fit its option: reads on after the option's name. `node` where not the value itself is."""

    def __init__(self, message: str, hint: str = "", node: Node | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.node = node


class TooMany(Exception):
    """The limit of mistakes is reached."""


class Findings:
    """Collects, and knows which service is being read."""

    def __init__(self) -> None:
        self.service = ""
        """The service that is read now; "" outside of all."""
        self.notes: list[str] = []
        self.whole_files: list[Mistake] = []
        """Mistakes for which a file cannot be read at all."""
        self._mistakes: list[tuple[str, Mistake]] = []

    def __len__(self) -> int:
        return len(self._mistakes)

    def add(self, path: Path, message: str, hint: str, node: Node) -> None:
        """A mistake of the option at `path`; raises TooMany when it is the last one to be kept."""
        if not isinstance(node, Unfilled):
            self.take([node.mistake(f"{show_path(path)}: {message}" if path else message, hint)])

    def take(self, mistakes: Iterable[Mistake]) -> None:
        for mistake in mistakes:
            self._mistakes.append((self.service, mistake))
            if len(self._mistakes) >= LIMIT:
                self._mistakes.append(("", Mistake(f"more mistakes follow; these are the first {LIMIT}")))
                raise TooMany

    def told(self, service: str, words: Iterable[str]) -> bool:
        """Whether a mistake of this service already speaks of one of these words."""
        texts = [f"{each.message} {each.hint}" for owner, each in self._mistakes if owner == service]
        return any(word in text for text in texts for word in words)

    @property
    def mistakes(self) -> tuple[Mistake, ...]:
        """All, in the order of their files and lines, each once."""
        kept = dict.fromkeys([*self.whole_files, *(mistake for _, mistake in self._mistakes)])
        last = {mistake: not mistake.file for mistake in kept}
        return tuple(sorted(kept, key=lambda m: (last[m], m.file, m.line, m.column)))

    @property
    def general(self) -> tuple[Mistake, ...]:
        """Those of no service."""
        return tuple(mistake for service, mistake in self._mistakes if not service)

    @property
    def invalid_services(self) -> dict[str, list[Mistake]]:
        """Mistakes by the service they belong to."""
        services: dict[str, list[Mistake]] = {}
        for service, mistake in self._mistakes:
            if service:
                services.setdefault(service, []).append(mistake)
        return services


def show_path(path: Path) -> str:
    """`services.web.args[0]`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{short(part)}" if text else short(part)
    return text


def short(text: str, limit: int = 60) -> str:
    """A text that may be anything, on one line and not too long."""
    if text.isprintable() and len(text) <= limit:
        return text
    cut = text if len(text) <= limit else text[:limit] + "…"
    return cut if cut.isprintable() else repr(cut)[1:-1]


def shown(text: str) -> str:
    """A value in a message: in quotes, on one line, not too long."""
    return f"'{short(text)}'"
