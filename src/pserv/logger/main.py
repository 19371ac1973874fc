"""The logger's entry: a role of the keeper's, or a program of its own after an upgrade. All work is in the worker."""

from __future__ import annotations

import os
import select
import signal
import socket
import sys

from pserv.keeper.channel import Channel
from pserv.keeper.protocol import Message
from pserv.logger.journal import Journal
from pserv.logger.pump import Pump
from pserv.logger.worker import Worker


def logger(channel_socket: socket.socket, argument: str) -> int:
    """Write what services print, as the keeper tells over the channel; the exit code."""
    del argument
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # a keeper that died is an error of send, not our death
    channel = Channel(channel_socket)
    first = _first(channel)
    if not first:
        return 0
    (hello, fds), *news = first
    if hello.get("op") != "hello" or len(fds) != 3:
        return 2
    pump = Pump(fds[0], fds[1], Journal(fds[2]))
    try:
        return Worker(channel, pump).run(news)
    finally:
        channel.close()


def _first(channel: Channel) -> list[tuple[Message, tuple[int, ...]]]:
    """The first messages; none when the keeper is gone."""
    while True:
        select.select([channel], [], [])
        news, alive = channel.receive()
        if news or not alive:
            return news


if __name__ == "__main__":
    os._exit(logger(socket.socket(fileno=int(sys.argv[-1])), ""))
