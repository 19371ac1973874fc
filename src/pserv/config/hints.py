"""What hints are made of: the word that was meant, a text as YAML has it."""

from __future__ import annotations

from typing import Final

from pserv.config.findings import short

_MANY: Final = 100
_MOST: Final = 1000
"""Names that a misspelt one is compared with; of many only those that begin alike."""


def suggestion(word: str, known: tuple[str, ...], alike: float = 0.6) -> str:
    """The hint for a misspelt word; "" where nothing is so much `alike` (1 is the same)."""
    from difflib import get_close_matches

    if len(known) > _MANY:  # to compare with each takes its time
        known = tuple(each for each in known if each[:1].lower() == word[:1].lower())
    plain = {each.lower(): each for each in known[:_MOST]}
    near = get_close_matches(word.lower().replace("_", "-")[:60], plain, 1, alike) or get_close_matches(
        word.lower()[:60], plain, 1, alike
    )
    return f"did you mean '{plain[near[0]]}'?" if near else ""


def yaml_quoted(value: str) -> str:
    """A text as it can be typed into YAML and TOML."""
    if '"' in value and "'" not in value and value.isprintable():
        return f"'{short(value, 200)}'"
    escaped = short(value, 200).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
