"""Figures of readiness: how soon it is seen, and what a chain of services adds to what each needs for itself."""

from __future__ import annotations

import json
import socket
import subprocess
import time

from drivers import Load, Pserv
from figures import Book
from stage import READY, STARTED, BenchError, Stage, Stamp

LINKS = 50
OWN = 10
"""Milliseconds that each service of the chain needs until it is ready."""
PORTS = 10


class Chain(Pserv):
    """Each service needs the one before it to be ready, so that only one is on its way at any time."""

    def configure(self) -> None:
        services: dict[str, object] = {}
        for index in range(self.load.services):
            services[f"s{index}"] = {
                "command": self.service_command(index),
                "depends_on": [f"s{index - 1}"] if index else [],
                "stdout": str(self.log(index)),
                **self.readiness(index),
            }
        (self.folder / "pserv.yaml").write_text(json.dumps({"name": self.folder.name, "services": services}))

    def readiness(self, index: int) -> dict[str, object]:
        return {"type": "notify"}

    def run(self) -> tuple[float, dict[int, Stamp], dict[int, Stamp], dict[int, float]]:
        """Bring it up: when that began, the stamps of starts, those of being ready, and when each counted as ready.

        Seconds of the monotonic clock; stamps are in nanoseconds of it.
        """
        self.configure()
        began = time.monotonic()
        up = subprocess.Popen(self.launch(), stdout=subprocess.DEVNULL, env=self.env(), cwd=self.folder)
        stamps = self.stamps.gather(2 * self.load.services)
        if up.wait(timeout=60) != 0:
            raise BenchError("pserv: the chain did not come up")
        started = {stamp.service: stamp for stamp in stamps if stamp.kind == STARTED}
        spoke = {stamp.service: stamp for stamp in stamps if stamp.kind == READY}
        self._note(list(started.values()))
        offset = time.time() - time.monotonic()
        changes = [json.loads(line) for line in self.client("events", "--json", "-n", "1000").splitlines()]
        counted = {
            int(change["service"][1:]): change["at"] - offset for change in changes if change.get("phase") == "running"
        }
        if not len(started) == len(spoke) == len(counted) == self.load.services:
            raise BenchError("pserv: some of the chain were started twice, or not told of")
        return began, started, spoke, counted


class Ports(Chain):
    """Ready when a port accepts; later and later, so that the gaps between questions have grown."""

    def __init__(self, stage: Stage, load: Load) -> None:
        super().__init__(stage, load)
        held = [socket.socket() for _ in range(load.services)]
        for sock in held:
            sock.bind(("127.0.0.1", 0))
        self.ports = [int(sock.getsockname()[1]) for sock in held]
        for sock in held:
            sock.close()

    def service_command(self, index: int) -> list[str]:
        return [*super().service_command(index), str(50 * index + OWN), str(self.ports[index])]

    def readiness(self, index: int) -> dict[str, object]:
        return {"ready": f"tcp:{self.ports[index]}"}


def chains(stage: Stage, book: Book, rounds: int) -> None:
    """A chain that says READY=1: to ready, to the next one's first instruction, and from cold to the end."""
    for _ in range(rounds):
        with Chain(stage, Load(LINKS, ("notify", str(OWN)))) as chain:
            began, started, spoke, counted = chain.run()
        for index in range(LINKS):
            book.add("ready.notify", "pserv", counted[index] - spoke[index].at / 1e9)
            if index:
                book.add("chain.link", "pserv", (started[index].at - spoke[index - 1].at) / 1e9)
        book.add("chain.50", "pserv", counted[LINKS - 1] - began)
        book.add("chain.warm", "pserv", counted[LINKS - 1] - started[0].at / 1e9)
        book.add("chain.own", "pserv", sum((spoke[i].at - started[i].at) / 1e9 for i in range(LINKS)))


def ports(stage: Stage, book: Book, rounds: int) -> None:
    """From an open port to ready."""
    for _ in range(rounds):
        with Ports(stage, Load(PORTS, ("port",))) as chain:
            _, _, spoke, counted = chain.run()
        for index in range(PORTS):
            book.add("ready.port", "pserv", counted[index] - spoke[index].at / 1e9)
