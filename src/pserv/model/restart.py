"""What a user may declare of when a service is started again and how soon. What follows is in `rules.restart`."""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from pserv.model.kinds import Duration, live

Policy = Literal["never", "on-failure", "on-watchdog", "on-abnormal", "on-success", "always"]


class Backoff(Struct, frozen=True, forbid_unknown_fields=True):
    """How long to wait before a restart; the first restart of a streak comes at once."""

    strategy: Annotated[Literal["constant", "linear", "exponential"], live("How the delay grows.")] = "exponential"
    initial: Annotated[Duration, live("Delay before the second restart of a streak.")] = 1.0
    maximum: Annotated[Duration, live("No delay is longer; by default 30s, or `initial` where that is more.")] = 30.0
    factor: Annotated[float, Meta(ge=1, le=100), live("Growth of the exponential strategy.")] = 2.0
    jitter: Annotated[float, Meta(ge=0, le=1), live("Share of the delay added or removed at random.")] = 0.1
