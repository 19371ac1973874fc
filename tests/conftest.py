"""What every test may take for granted of the process it runs in."""

from __future__ import annotations

import gc
import importlib
import signal
from pathlib import Path

import pytest
from hypothesis import settings

from tests.rounds import EXAMPLES

# How long an example takes says how busy the machine is.
settings.register_profile("pserv", deadline=None, max_examples=EXAMPLES)
settings.load_profile("pserv")


def pytest_configure() -> None:
    """Background jobs ignore SIGINT, those of nohup SIGHUP, and whom they start inherits that; tests send both."""
    for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, action)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Each worker collects all tests; of their compilation, which takes longest on a clean checkout, each does a part.

    In the same order all of them would compile the same file at the same time.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    files = sorted(Path(__file__).parent.rglob("test_*.py"))
    for file in files[int(worker["workerid"].removeprefix("gw")) :: worker["workercount"]]:
        name = ".".join(file.relative_to(session.config.rootpath).with_suffix("").parts)
        try:
            importlib.import_module(name)
        except (Exception, pytest.skip.Exception):
            continue  # collecting it will tell


def pytest_collection_finish() -> None:
    """What was collected stays; it is not to be looked through at each search for garbage."""
    gc.freeze()


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
