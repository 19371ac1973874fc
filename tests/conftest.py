"""What every test may take for granted of the process it runs in."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

settings.register_profile("pserv", deadline=None)  # how long an example takes says how busy the machine is
settings.load_profile("pserv")


def pytest_configure() -> None:
    """Background jobs ignore SIGINT, those of nohup SIGHUP, and whom they start inherits that; tests send both."""
    for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, action)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Those that take long come first in the share of each worker, so that none begins one when the others are done."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if item.get_closest_marker("long")]
    ordered = [item for item in items if not item.get_closest_marker("long")]
    for worker in range(workers):
        share = worker * len(items) // workers
        ordered[share:share] = long[worker::workers]
    items[:] = ordered
