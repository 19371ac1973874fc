"""The loader as a reload asks it: a short-lived process that reads the files. What it answers is `config.loader`'s."""

from __future__ import annotations

import gc
import os
import sys
from typing import TYPE_CHECKING

import msgspec

import pserv
from pserv import __version__
from pserv.keeper import quickjson
from pserv.model.errors import PservError, Refused
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.spec import Document, checksum
from pserv.model.status import Placed

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

PARSED = "parsed.msgpack"
"""In the state folder: what the files were parsed to, for the next time (`config.remembered`)."""

TIMEOUT = 60.0
"""Seconds that reading the files may take (a dead network mount)."""

Origins = dict[str, dict[str, Placed]]
"""Where the options stand of the services that are not as they run, and of the daemon (""), by option."""


class _Answer(msgspec.Struct, frozen=True):
    """The rest is read when it is of this version."""

    pserv: str = ""
    mistakes: tuple[Mistake, ...] = ()
    document: msgspec.Raw = msgspec.Raw(b"")
    origins: msgspec.Raw = msgspec.Raw(b"{}")


async def load(
    session: Session, profiles: tuple[str, ...] | None, *, all_origins: bool = False
) -> tuple[Document, Origins]:
    """The configuration of the daemon's files, with the daemon's environment. Raises InvalidConfig with all mistakes.

    `profiles`: None for those of the last time. `all_origins`: also of what is as it runs.
    """
    launch = {
        "argv": [sys.executable, "-P", os.path.join(os.path.dirname(pserv.__file__), "loading.py")],
        "env": {},
        "inherit": True,
        "cwd": session.boot.cwd,
        "stdin": "passed",
        "stdout": {"kind": "passed"},
        "stderr": {"kind": "passed"},
    }
    running = session.supervisor.document
    known = {} if all_origins else {name: checksum(spec) for name, spec in running.services.items()}
    wanted = running.profiles if profiles is None else profiles
    asked = {
        "files": list(session.boot.files),
        "profiles": wanted,
        "known": known,
        "remembered": os.path.join(session.boot.state_dir, PARSED),
    }
    request = quickjson.dumps(asked).encode()
    return _accepted(*await session.errands.collect("loader", launch, request, TIMEOUT))


def _accepted(output: bytes, ended: dict[str, object]) -> tuple[Document, Origins]:
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except msgspec.MsgspecError:
        how = ended.get("code") if ended.get("code") is not None else ended.get("detail") or ended.get("signal")
        raise PservError(
            f"cannot load the configuration: the loader gave no answer (it ended with {how})",
            "`pserv check` shows what it would say",
        ) from None
    if answer.mistakes:
        raise InvalidConfig(answer.mistakes)
    if answer.pserv != __version__:
        raise Refused(
            f"cannot reload: pserv {answer.pserv} is installed, the daemon runs {__version__}", "pserv upgrade"
        )
    gc.disable()  # nearly all of it is kept, and would be looked through again and again while it grows
    try:
        return msgspec.json.decode(answer.document, type=Document), msgspec.json.decode(answer.origins, type=Origins)
    finally:
        gc.enable()
