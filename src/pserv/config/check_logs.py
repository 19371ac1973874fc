"""How output is written: what must be there on this machine, and options that change nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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


def idle(log: Logging) -> Iterator[tuple[str, str]]:
    """Options that have no effect beside others, and why."""
    if log.parse == "json" and log.format != "json":
        yield "parse", "has no effect on a plain file: format is not json"
    if log.timestamps and log.format == "json":
        yield "timestamps", "has no effect on a json file: each line has its ts"
