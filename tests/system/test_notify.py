"""What the words of sd_notify mean to us, and what is passed over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.system import notify
from pserv.system.notify import Notice


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        ("READY=1", Notice(ready=True)),
        ("READY=0", Notice()),
        ("READY=1\nREADY=0", Notice(ready=True)),
        ("READY=0\nREADY=1", Notice()),
        ("RELOADING=1\nMONOTONIC_USEC=2500000", Notice(reloading=True, reload_began=2.5)),
        ("STOPPING=1\nSTATUS=bye", Notice(stopping=True, status="bye")),
        ("STATUS=", Notice(status="")),
        ("STATUS=" + "x" * 600, Notice(status="x" * 512)),
        ("WATCHDOG=1", Notice(alive=True)),
        ("WATCHDOG=trigger", Notice(hung=True)),
        ("WATCHDOG=2", Notice()),
        ("WATCHDOG_USEC=20000000", Notice(watchdog=20.0)),
        ("WATCHDOG_USEC=0", Notice(watchdog=0.0)),
        ("WATCHDOG_USEC=18446744073709551615", Notice(watchdog=0.0)),
        ("WATCHDOG_USEC=18446744073709551616", Notice()),
        ("WATCHDOG_USEC=-5", Notice()),
        ("WATCHDOG_USEC=٣", Notice()),
        ("EXTEND_TIMEOUT_USEC=1500000", Notice(extend=1.5)),
        ("EXTEND_TIMEOUT_USEC=soon", Notice()),
        ("ERRNO=2\nEXIT_STATUS=3", Notice(errno=2, exit_status=3)),
        ("ERRNO=99999999999999999999999", Notice()),
        ("X_VENDOR=1\nnonsense\n\nREADY=1\n", Notice(ready=True)),
    ],
)
def test_words(text: str, notice: Notice) -> None:
    assert notify.read(text) == notice


@given(st.text())
def test_nothing_makes_it_fail(text: str) -> None:
    notify.read(text)
    notify.read("\n".join(f"{name}={text}" for name in ("WATCHDOG_USEC", "ERRNO", "STATUS", "MONOTONIC_USEC")))
