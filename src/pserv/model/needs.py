"""What a service needs of another one before it starts, as a user declares it. Who waits for whom is in `rules`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pserv.model.kinds import Duration, live

Condition = Literal["started", "ready", "healthy", "completed"]


class Need(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one dependency must have reached, and what follows from it. A user may write only the condition."""

    condition: Annotated[
        Condition,
        Meta(extra={"kind": "condition"}),
        live(
            "started: it was executed; ready: it is ready, a oneshot has completed; healthy: its health probe "
            "succeeds; completed: it ended with success."
        ),
    ] = "ready"
    required: Annotated[
        bool, live("false: waited for while it comes up; without it where it is down, has failed, or is not declared.")
    ] = True
    restart: Annotated[bool, live("Restarted when the dependency is restarted by hand or by a reload.")] = False
    timeout: Annotated[
        Duration | None, live("Waiting longer is a failure; for what is not required, the end of the waiting.")
    ] = None
