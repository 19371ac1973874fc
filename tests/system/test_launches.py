"""Which files a service's output goes to, where they can be read again."""

from __future__ import annotations

import msgspec
import pytest

from pserv.model.spec import ServiceSpec
from pserv.system.launches import Places, log_files


@pytest.mark.parametrize(
    ("stdout", "kept"),
    [
        ("log", ["/logs/web.log"]),
        ("/var/log/web.log", ["/var/log/web.log"]),
        ("/dev/shm/web.log", ["/dev/shm/web.log"]),
        ("/dev/ttyS0", []),
        ("/dev/stdout", []),
        ("syslog", []),
        ("inherit", []),
        ("null", []),
    ],
)
def test_what_is_kept(stdout: str, kept: list[str]) -> None:
    spec = msgspec.convert({"exec": "/bin/true", "stdout": stdout}, ServiceSpec)
    assert [path for _, path in log_files("web", spec, Places("/", "/logs"))] == kept
