"""Files that change while somebody watches them."""

from __future__ import annotations

from pathlib import Path


def saved(path: Path, text: str) -> None:
    """As editors save: beside, then over it, so that nobody sees it empty or half written."""
    _renamed(path.with_name(f"{path.name}~"), path, text)


def appears(path: Path, text: str) -> None:
    """One change where the folder is watched, and not two, the new file and what is in it, with a moment between."""
    _renamed(path.parent.with_name(f"{path.parent.name}~"), path, text)


def _renamed(fresh: Path, path: Path, text: str) -> None:
    fresh.write_text(text)
    fresh.rename(path)
