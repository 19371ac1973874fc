"""Files that change while somebody watches them."""

from __future__ import annotations

from pathlib import Path


def saved(path: Path, text: str) -> None:
    """As editors save: beside, then over it, so that nobody sees it empty or half written."""
    fresh = path.with_name(f"{path.name}~")
    fresh.write_text(text)
    fresh.rename(path)
