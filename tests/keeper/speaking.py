"""What services of the tests say to their keeper, and how: a prelude for `python -c`, with no library but Python's."""

from __future__ import annotations

import sys
import textwrap

PRELUDE = """
import os, signal, socket, sys
def say(text, *fds):
    address = os.environ["NOTIFY_SOCKET"]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        sock.connect("\\0" + address[1:] if address.startswith("@") else address)
        socket.send_fds(sock, [text if isinstance(text, bytes) else text.encode()], list(fds))
def barrier(text="BARRIER=1"):
    reading, writing = os.pipe()
    say(text, writing)
    os.close(writing)
    return os.read(reading, 1)
def rest():
    while True:
        signal.pause()
"""


def speaker(code: str) -> tuple[str, ...]:
    """The argv of a service that runs this code."""
    return (sys.executable, "-I", "-S", "-c", PRELUDE + textwrap.dedent(code))
