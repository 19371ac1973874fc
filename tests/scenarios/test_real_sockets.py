"""gunicorn behind `sockets`, restarted again and again under load: no connection is refused, no request fails."""

from __future__ import annotations

import http.client
import json
import os
import sys
import threading
from pathlib import Path
from typing import Self

import pytest

from tests.scenarios.daemon import PATIENCE, Daemon

RESTARTS = int(os.environ.get("PSERV_RESTARTS", "2"))
"""20 and more to see it for long."""
CLIENTS = 4

APPLICATION = """
import os

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getppid()).encode()]
"""


class Load:
    """Clients that ask one question after the other, each on a connection of its own, until they are told to end."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._over = threading.Event()
        self._changed = threading.Condition()
        self.answered = 0
        self.served: set[int] = set()
        """Pids of the masters whose workers answered."""
        self.failures: list[str] = []
        self._threads = [threading.Thread(target=self._ask) for _ in range(CLIENTS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def until_served(self, master: int) -> int:
        """Wait until a worker of this one has answered."""
        with self._changed:
            assert self._changed.wait_for(lambda: master in self.served, PATIENCE), f"{master} answers nobody"
        return master

    def _ask(self) -> None:
        while not self._over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read()
                if answer.status != 200:
                    raise OSError(f"status {answer.status}")
                with self._changed:
                    self.served.add(int(body))
                    self.answered += 1
                    self._changed.notify_all()
            except (OSError, http.client.HTTPException) as error:
                self.failures.append(repr(error))
            finally:
                connection.close()


def test_gunicorn_is_restarted_under_load(tmp_path: Path, port: int) -> None:
    pytest.importorskip("gunicorn")
    (tmp_path / "application.py").write_text(APPLICATION)
    words = ["-P", "-m", "gunicorn", "--workers", "2", "--worker-tmp-dir", str(tmp_path), "--no-control-socket"]
    argv = json.dumps([sys.executable, *words, "application:app"])
    config = f"""
services:
  app:
    command: {argv}
    env: {{PYTHONPATH: {tmp_path}}}
    sockets: 127.0.0.1:{port}
    ready: {{http: {{path: /}}}}
"""
    with Daemon(tmp_path, config) as daemon:
        daemon.up()
        with Load(port) as load:
            masters = {load.until_served(daemon.pid("app"))}
            for number in range(RESTARTS):
                if number == 1:
                    daemon.kill_supervisor()
                daemon.pserv("restart", "app", check=0)
                masters.add(load.until_served(daemon.pid("app")))
        assert load.failures == []
        assert len(masters) == RESTARTS + 1
        assert load.served == masters
        print(f"{load.answered} requests over {RESTARTS} restarts, none refused or failed")
