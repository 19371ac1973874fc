"""Where what the daemon works from stands in its files, which may say something else by now. Changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pserv.model.errors import PservError
from pserv.model.status import Placed
from pserv.rules import reload
from pserv.supervisor import loader

if TYPE_CHECKING:
    from pserv.supervisor.main import Session

ELSEWHERE = Placed("a configuration that was accepted earlier: the files say otherwise now")


async def placed(session: Session) -> tuple[dict[str, str], tuple[str, ...]]:
    """By the dotted names of what is written ("services.web.env.PORT"), and why nothing is known.

    A name says all that is in it; what has none is a default. The files are read again.
    """
    document, scales = session.supervisor.document, session.orders.note.scales
    try:
        now, origins = await loader.load(session, None, all_origins=True)
    except PservError as error:
        return {}, (f"where values stand is not known: {error.message}".partition("\n")[0],)
    found = {option: each.at for option, each in origins.get("", {}).items()}
    for change in reload.daemon_changes(document, now, {}):
        found[change.option] = ELSEWHERE.at
    for name, spec in document.services.items():
        of, said = f"services.{name}", now.services.get(name)
        if said is None:
            found[of] = ELSEWHERE.at
            continue
        own = {f"{of}.{option}": each.at for option, each in origins.get(name, {}).items()}
        for change in reload.differences(spec, said, document.root, now.root):
            other = f"{of}.{change.option}"
            own = {option: at for option, at in own.items() if not option.startswith(f"{other}.")}
            own[other] = ELSEWHERE.at
        if name in scales:
            own[f"{of}.instances"] = "pserv scale"
        found |= own
    return found, ()
