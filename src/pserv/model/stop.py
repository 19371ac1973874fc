"""What a user may declare of how a service is stopped. What follows is in `rules.stopping`."""

from typing import Annotated, Literal

from msgspec import Struct

from pserv.model.kinds import Duration, SignalNumber, live


class StopStep(Struct, frozen=True, forbid_unknown_fields=True):
    """One signal and how long to wait after it. A user writes `{QUIT: 30s}`."""

    signal: Annotated[SignalNumber, live("The signal.")]
    timeout: Annotated[Duration, live("How long it is waited for before the next step.")]


class Stop(Struct, frozen=True, forbid_unknown_fields=True):
    """How a service is stopped. A user may write only the signal: `stop: QUIT`."""

    signal: Annotated[SignalNumber, live("The signal that asks the service to end.")] = 15
    timeout: Annotated[Duration, live("How long until everything left gets SIGKILL.")] = 10.0
    scope: Annotated[
        Literal["main", "group"] | None,
        live("Who gets the signal: the main process, or its process group (the default for `shell`)."),
    ] = None
    steps: Annotated[
        tuple[StopStep, ...],
        live("Several signals in order, `[{QUIT: 30s}, {TERM: 5s}]`, instead of `signal` and `timeout`."),
    ] = ()
