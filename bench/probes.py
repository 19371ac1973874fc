"""What probes cost: services with an http probe a second each, the CPU that takes, lateness of questions, memory.

`python bench/probes.py [SERVICES [SECONDS]]`. Lateness is seen by the server: from one question of a service to the
next one, less the interval. The server is a process of its own, so that its CPU is not counted.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import measure

SERVER = """
import asyncio, sys, time
times = {}
class Http(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport = transport
    def data_received(self, data):
        times.setdefault(data.split(b" ", 2)[1], []).append(time.monotonic())
        self.transport.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
        self.transport.close()
async def main():
    server = await asyncio.get_running_loop().create_server(Http, "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    late = sorted(b - a - 1.0 for row in times.values() for a, b in zip(row[-SECONDS:], row[-SECONDS + 1:]))
    print(len(late), *(late[int(len(late) * share)] for share in (0.5, 0.99, 0.999)), late[-1], flush=True)
    import os
    os._exit(0)
asyncio.run(main())
"""


def main(services: int, seconds: int) -> None:
    """Print a line for each figure."""
    server = subprocess.Popen(
        [sys.executable, "-c", SERVER.replace("SECONDS", str(seconds))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    assert server.stdin is not None
    port = int(server.stdout.readline())
    with tempfile.TemporaryDirectory(prefix="pserv-bench-") as folder:
        lines = [
            f"  s{n}: {{command: sleep 100000, health: {{http: 'http://:{port}/{n}', interval: 1s}}}}"
            for n in range(services)
        ]
        plain = [f"  s{n}: {{command: sleep 100000}}" for n in range(services)]
        for name, declared in (("without probes", plain), ("with probes", lines)):
            Path(folder, "pserv.yaml").write_text("services:\n" + "\n".join(declared) + "\n")
            _measure(name, folder, services, seconds)
    server.stdin.write("\n")
    server.stdin.flush()
    count, *late = server.stdout.readline().split()
    median, most, more, worst = (float(text) * 1000 for text in late)
    shares = f"p50 {median:.1f} ms, p99 {most:.1f} ms, p99.9 {more:.1f} ms, max {worst:.1f} ms"
    print(f"lateness of {count} questions: {shares}")
    server.wait()


def _measure(name: str, folder: str, services: int, seconds: int) -> None:
    env = {**os.environ, "PSERV_SOCKET": f"{folder}/s.sock", "PSERV_STATE": f"{folder}/state"}
    pserv = [sys.executable, "-P", "-m", "pserv"]
    try:
        began = time.monotonic()
        subprocess.run([*pserv, "up", "-d"], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)
        up = time.monotonic() - began
        status = json.loads(subprocess.check_output([*pserv, "status", "--json"], cwd=folder, env=env))
        own = {role: status["daemon"][f"{role}_pid"] for role in ("keeper", "supervisor")}
        time.sleep(15)  # until ten answers of each are kept
        first, before = _pss(own["supervisor"]), {role: measure.cpu_seconds([pid]) for role, pid in own.items()}
        time.sleep(seconds)
        used = {role: measure.cpu_seconds([pid]) - before[role] for role, pid in own.items()}
        last = _pss(own["supervisor"])
        cpu = ", ".join(f"{role} {100 * spent / seconds:.2f} %" for role, spent in used.items())
        print(f"{services} services {name}: up in {up:.1f} s; CPU {cpu}; supervisor {first:.1f} -> {last:.1f} MB PSS")
    finally:
        subprocess.run([*pserv, "down"], cwd=folder, env=env, check=True, stdout=subprocess.DEVNULL)


def _pss(pid: int) -> float:
    return measure.memory([pid]).pss / 1e6


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] + ["1000", "60"][len(sys.argv) - 1 :])))
