"""Mistakes in how output is written that only this machine can tell: what compresses it must be there."""

from __future__ import annotations

from collections.abc import Sequence

from pserv.model.log import Logging
from pserv.system import packing


def missing(log: Logging, search: Sequence[str] | None = None) -> tuple[str, str] | None:
    """What is missing for the compression of rotated files, and what to type; None when all is there.

    `search`: folders of programs, by default those of PATH.
    """
    how = log.rotate.compress
    if how == "none":
        return None
    try:
        packing.packer(how, search)
    except packing.CannotPack as why:
        return str(why), "apt install zstd, or pip install 'pserv[zstd]'; or write compress: gzip"
    return None
