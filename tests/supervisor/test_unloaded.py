"""A file that is otherwise than it was read is told, once for all services that have it."""

from __future__ import annotations

import os
import time
from pathlib import Path

from pserv.model.secrets import Values
from pserv.supervisor import unloaded
from pserv.supervisor.record import Record


def reader(**read: int) -> Record:
    own = Record()
    own.take(Values(read=read))
    return own


def test_each_change_once(tmp_path: Path) -> None:
    names = ("same", "edited", "gone", "new", "never")
    paths = {name: tmp_path / name for name in names}
    for name in ("same", "edited", "new"):
        paths[name].write_text("")
        os.utime(paths[name], (1e9, 1e9))
    at = time.strftime("%H:%M:%S", time.localtime(1e9))
    read = {str(paths[name]): {"same": 10**18, "edited": 1, "gone": 1}.get(name, 0) for name in names}
    records = {name: reader(**read) for name in "abcdefg"}
    records["newer"] = reader(**{str(paths["edited"]): 10**18})
    records["none"] = Record()
    of = "(env file of a, b, c, d, e and 2 more)"
    last = "not loaded: `pserv reload` applies it"
    assert list(unloaded.of_services(records)) == [
        f"{paths['edited']} {of} changed at {at}, {last}",
        f"{paths['gone']} {of} cannot be read any more (No such file or directory), {last}",
        f"{paths['new']} {of} is there now, of {at}, {last}",
    ]
