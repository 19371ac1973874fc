"""When the end is not waited for any longer, told by a pretend loop."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

from pserv.keeper.loggers import Loggers


class Alarms:
    """The loop's, which never ring."""

    def __init__(self) -> None:
        self.at_: dict[str, float] = {}

    def at(self, name: str, when: float, call: Callable[[], None]) -> None:
        self.at_[name] = when

    def cancel(self, name: str) -> None:
        self.at_.pop(name, None)


def test_the_end_is_waited_for_as_long_as_streams_come_to_theirs() -> None:
    alarms, sent = Alarms(), []
    loggers = Loggers(cast(Any, alarms), cast(Any, None), cast(Any, None), cast(Any, None), None)
    loggers.advanced()
    assert not alarms.at_
    link = SimpleNamespace(send=lambda message, fds: sent.append(message["op"]), backlog=0)
    loggers.workers[1] = cast(Any, SimpleNamespace(number=1, pid=0, link=link))
    ends: list[str] = []
    loggers.finish(2.0, lambda: ends.append("told"))
    first = alarms.at_["finish logger"]
    assert first - time.monotonic() > 1.0
    loggers.advanced()
    assert alarms.at_["finish logger"] > first
    assert (sent, ends) == (["finish"], [])
