"""What every test may take for granted of the process it runs in."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Background jobs ignore SIGINT, those of nohup SIGHUP, and whom they start inherits that; tests send both."""
    for number, action in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, action)
