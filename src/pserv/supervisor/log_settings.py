"""How output is written may change while a service runs: what the keeper is to be told of that. Writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pserv.supervisor.supervisor import WITHOUT_A_RUN
from pserv.system import launches

if TYPE_CHECKING:
    from pserv.keeper.protocol import Message
    from pserv.supervisor.supervisor import Supervisor


def tidied(supervisor: Supervisor) -> bool:
    """Whether anything is to be done with rotated logs besides what their writer does."""
    rules = (spec.log.rotate for spec in supervisor.specs.values())
    return supervisor.document.daemon.log_total > 0 or any(
        rotate.compress != "none" or rotate.max_age is not None or rotate.max_total for rotate in rules
    )


def tell(supervisor: Supervisor) -> None:
    """Tell how the output of what runs is to be written, where the keeper was told otherwise, or by another process."""
    changed: dict[str, Message] = {}
    for name, life in supervisor.lives.items():
        own, log = supervisor.records[name], launches.log(name, supervisor.specs[name])
        if life.phase not in WITHOUT_A_RUN and own.logged != log:
            own.logged = changed[name] = log
    if changed:
        supervisor.keeper.settings(changed)
