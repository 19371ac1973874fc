"""What probes cost: services with an http probe a second each, the CPU that takes, lateness of questions, memory.

Lateness is seen by the server: from one question of a service to the next one, less the interval. The server is a
process of its own, so that its CPU is not counted. `python bench/probes.py [SERVICES [SECONDS]]` measures this alone,
for as long as one likes, and prints the memory of each minute.

What may be seen to step: the first time that all questions are in flight at once, since the machine or the server
stalled for a second, the supervisor's heap grows by what they need, about 1.5 kB each, and keeps that; another stall
adds nothing. And PSS halves what is shared: while the keeper has one fork more (a reader of logs, who writes the state)
all its forks seem smaller.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import measure
from drivers import Load, Pserv
from figures import Book, p99
from stage import BenchError, Stage, stage

INTERVAL = 1.0
SECONDS = 20.0
"""How long is measured by `make bench`."""
SETTLING = 12.0
"""Seconds until ten answers of each are kept, and memory does not grow by them any more."""

SERVER = """
import asyncio, os, sys, time
times = {}
class Http(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        times.setdefault(data.split(b" ", 2)[1], []).append(time.monotonic())
        self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
        self.transport.close()
def told():
    line = sys.stdin.readline()
    if line == "begin\\n":
        times.clear()
    elif line:
        late = [b - a - INTERVAL for row in times.values() for a, b in zip(row, row[1:])]
        print(*(f"{each:.6f}" for each in late), flush=True)
    else:
        os._exit(0)
async def main():
    loop = asyncio.get_running_loop()
    loop.add_reader(0, told)
    server = await loop.create_server(Http, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
""".replace("INTERVAL", str(INTERVAL))


class Server:
    """Answers, and knows when it was asked."""

    def __init__(self) -> None:
        words = [sys.executable, "-I", "-c", SERVER]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self._answer())

    def forget(self) -> None:
        """Count from now on."""
        self._say("begin\n")

    def lateness(self) -> list[float]:
        """Seconds, of every question but each service's first."""
        self._say("tell\n")
        return [float(word) for word in self._answer().split()]

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(text)
        self._process.stdin.flush()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline()


class Probed(Pserv):
    """Services that rest; each is asked once a second."""

    port = 0

    def configure(self) -> None:
        services = {
            f"s{index}": {
                "command": self.service_command(index),
                "health": {"http": {"port": self.port, "path": f"/{index}"}, "interval": INTERVAL},
            }
            for index in range(self.load.services)
        }
        (self.folder / "pserv.yaml").write_text(json.dumps({"name": self.folder.name, "services": services}))


@contextmanager
def probed(scene: Stage, services: int) -> Iterator[tuple[Server, dict[str, int]]]:
    """A server, and so many services that are asked there; the pids of the daemon's processes by role."""
    server = Server()
    try:
        with Probed(scene, Load(services)) as daemon:
            daemon.port = server.port
            daemon.start()
            daemon.settle()
            time.sleep(SETTLING)
            status = json.loads(daemon.client("status", "--json"))
            yield server, {role: status["daemon"][f"{role}_pid"] for role in ("keeper", "supervisor", "logger")}
            rows = json.loads(daemon.client("status", "--json"))["services"]
            if any(row["health"] != "healthy" or row["restarts"] for row in rows):
                raise BenchError("pserv: a service was not found healthy")
    finally:
        server.close()


def costs(scene: Stage, book: Book, services: int) -> None:
    """CPU of a thousand questions, lateness, memory."""
    with probed(scene, services) as (server, pids):
        server.forget()
        before = measure.cpu_seconds(pids.values())
        time.sleep(SECONDS)
        spent = measure.cpu_seconds(pids.values()) - before
        late = server.lateness()
        asked = len(late) + services
        book.add("probes.cpu", "pserv", 1000 * spent / asked)
        book.add("probes.late", "pserv", p99(late))
        book.add("probes.pss", "pserv", measure.memory(pids.values()).pss)


def main(services: int, seconds: float) -> None:
    """Print a line for each minute, and the lateness over all."""
    with stage() as scene, probed(scene, services) as (server, pids):
        server.forget()
        before = measure.cpu_seconds(pids.values())
        for told in _minutes(seconds, pids):
            print(told, flush=True)
        late = sorted(server.lateness())
        spent = measure.cpu_seconds(pids.values()) - before
        print(f"CPU of 1000 questions: {1e6 * spent / (len(late) + services):.0f} ms")
        shares = ", ".join(
            f"p{100 * share:g} {1e3 * late[int(len(late) * share)]:.1f} ms" for share in (0.5, 0.99, 0.999)
        )
        print(f"lateness of {len(late)} questions: {shares}, max {1e3 * late[-1]:.1f} ms")


def _minutes(seconds: float, pids: dict[str, int]) -> Iterator[str]:
    """Memory and CPU at the beginning and after each minute."""

    def each(look: Callable[[int], float]) -> dict[str, float]:
        return {role: look(pid) for role, pid in pids.items()}

    began, before = time.monotonic(), each(lambda pid: measure.cpu_seconds([pid]))
    while True:
        past = time.monotonic() - began
        memory = each(lambda pid: measure.memory([pid]).pss / 1e6)
        used = each(lambda pid: measure.cpu_seconds([pid]))
        told = ", ".join(f"{role} {memory[role]:.1f} MB {used[role] - before[role]:.1f} s CPU" for role in pids)
        yield f"after {past:4.0f} s: {sum(memory.values()):.1f} MB PSS ({told})"
        if past >= seconds:
            return
        time.sleep(min(60.0, seconds - past))


if __name__ == "__main__":
    given = sys.argv[1:]
    main(int(given[0]) if given else 1000, float(given[1]) if len(given) > 1 else 60.0)
