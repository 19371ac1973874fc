"""What a supervisor takes over of what an earlier one had begun, by the records of the keeper's table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pserv.keeper.protocol import Message
from pserv.supervisor import hook_runs, record
from pserv.supervisor.daemon_note import DAEMON, DaemonNote
from pserv.supervisor.table import Table

if TYPE_CHECKING:
    from pserv.supervisor.main import Session


def adopt(session: Session, table: Table) -> DaemonNote:
    """Services with their lives, values that were read, hooks; the note of the daemon itself."""
    note = DaemonNote()
    for row in table.records:
        key = str(row["key"])
        if key == DAEMON:
            note = table.daemon_note(row)
        elif not key.startswith("@") and hook_runs.service_of(key) is None:
            session.supervisor.adopt(key, table.note(row, session.clock.now()))
    values = [row for row in table.records if str(row["key"]).startswith(record.VALUES)]
    if values:
        session.on_demand.resolving.resume(values)
    for row in table.records:
        if not str(row["key"]).startswith(record.VALUES):
            _adopt_hook(session, str(row["key"]), row)
    return note


def _adopt_hook(session: Session, key: str, row: Message) -> None:
    """Hooks go on; what else an earlier supervisor had started for itself is ended."""
    name = hook_runs.service_of(key)
    if name is not None:
        life = session.supervisor.lives.get(name)
        if life is None or life.hook is None or life.hook.run != row.get("last_run"):
            session.errands.abandon(key, row)
    elif key.startswith("@") and key != DAEMON and not session.beside.resume(key, row):
        session.errands.abandon(key, row)
