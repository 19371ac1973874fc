"""Every kind of service in every state when its supervisor is replaced: what it waited for still comes, and once.

All rows live in one daemon. Each waits at a gate, or for a time that is far away; the supervisor is killed, stopped
while all the gates open and then killed, or upgraded; and each row must come to its end as if nothing had been.
"""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pytest

from pserv.model.status import ServiceStatus
from tests.keeper.speaking import speaker
from tests.scenarios.daemon import Daemon, kill

Declared = dict[str, object]
REST = "exec sleep 10000"


class Row(NamedTuple):
    """One kind of service in one state. `{gate}`, `{told}` and `{go}` in its options are files of its own."""

    name: str
    options: Declared
    state: str
    """Where it is when the supervisor goes."""
    reached: Callable[[ServiceStatus], bool] = lambda row: True
    """Further signs of being there."""
    order: str = ""
    """What is ordered first: stop, run."""
    gated: bool = True
    """Whether somebody of it waits for its gate."""
    after: str = "running"
    over: Callable[[ServiceStatus], bool] = lambda row: True
    """Where it comes to, and further signs of that."""
    told: tuple[str, ...] = ()
    """The lines it writes into its file, over its whole life until then."""


def tell(text: str) -> str:
    """Into its file, and then where it can be waited for."""
    return f"echo {text} >> {{told}}; echo {text}"


def hooks(kind: str) -> Declared:
    """Three of a kind; the second waits for the gate."""
    second = f"{tell('begin')}; cat {{gate}}; {tell('end')}"
    return {kind: [{"shell": tell("first")}, {"shell": second, "timeout": "60s"}, {"shell": tell("last")}]}


def in_hook(kind: str) -> Callable[[ServiceStatus], bool]:
    return lambda row: any(hook.title.startswith(f"{kind} 'echo begin") for hook in row.hooks)


def hook_row(kind: str, state: str, after: str = "running", order: str = "", **options: object) -> Row:
    name = kind.replace("_", "-")
    declared: Declared = {"shell": REST, "hooks": hooks(kind), **options}
    told = ("first", "begin", "end", "last")
    return Row(name, declared, state, in_hook(kind), order, after=after, over=lambda row: not row.hooks, told=told)


def speaking(code: str, **options: object) -> Declared:
    """A service that says what it is; its gate is its own, as `gate()`."""
    prelude = "import pathlib\ngate = lambda: pathlib.Path('{gate}').read_bytes()\n"
    return {"command": list(speaker(prelude + code)), "type": "notify", **options}


PINGS = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM, signal.SIGCHLD])
signal.setitimer(signal.ITIMER_REAL, 0.1, 0.1)
waits = os.fork()
if waits == 0:
    gate()
    os._exit(0)
say("READY=1")
while signal.sigwait([signal.SIGALRM, signal.SIGCHLD]) == signal.SIGALRM:
    say("WATCHDOG=1")
rest()
"""
"""Until its gate opens; then it hangs."""

FAR = {"strategy": "constant", "initial": "1h", "maximum": "1h", "jitter": 0}

TABLE = (
    Row("probed-by-command", {"shell": REST, "ready": {"shell": "test -e {go} || sleep 9999", "timeout": "1s"}},
        "starting", lambda row: row.pid is not None, gated=False, over=lambda row: row.ready),
    Row("probed-for-a-file", {"shell": REST, "ready": "file:{go}"}, "starting", lambda row: row.pid is not None,
        gated=False, over=lambda row: row.ready),
    Row("probed-for-a-line", {"shell": f"cat {{gate}}; echo listening; {REST}", "ready": "log:listening"},
        "starting", over=lambda row: "printed 'listening'" in row.reason),
    Row("says-a-line", {"shell": f"cat {{gate}}; echo >&5; {REST}", "ready": {"fd": 5}}, "starting",
        over=lambda row: row.reason.endswith("a line on descriptor 5")),
    Row("notifies", speaking("gate()\nsay('READY=1\\nSTATUS=open')\nrest()"), "starting",
        over=lambda row: row.says == "open" and row.reason.endswith("READY=1")),
    Row("reloads", speaking("say('READY=1')\nsay('RELOADING=1')\ngate()\nsay('READY=1\\nSTATUS=anew')\nrest()"),
        "running", lambda row: row.reloading, over=lambda row: row.says == "anew" and not row.reloading),
    Row("hangs", speaking(PINGS, watchdog="1s", backoff=FAR, restart="on-watchdog"), "running",
        over=lambda row: row.restarts == 1 and row.last_exit is not None and row.last_exit.result == "watchdog"),
    Row("is-unwell", {"shell": REST, "health": {"shell": "! test -e {go}", "interval": "100ms", "on_failure": "alert"}},
        "running", lambda row: row.health == "healthy", gated=False, over=lambda row: row.health == "unhealthy"),
    hook_row("pre_start", "starting"),
    hook_row("post_start", "running"),
    hook_row("pre_stop", "stopping", "stopped", "stop"),
    hook_row("post_stop", "stopping", "stopped", "stop"),
    hook_row("on_failed", "failed", "failed", shell="exit 7", max_retries=0),
    Row("works", {"shell": f"{tell('begin')}; cat {{gate}}; {tell('end')}", "type": "oneshot"}, "starting",
        lambda row: row.pid is not None, after="exited", over=lambda row: row.last_exit is not None,
        told=("begin", "end")),
    Row("waits", {"shell": f"{tell('begin')}; {REST}", "depends_on": {"works": "completed"}}, "waiting", gated=False,
        told=("begin",)),
    Row("stops", {"shell": "trap '' TERM; touch {told}; cat {gate}; exit 0", "ready": "file:{told}",
                  "stop": {"timeout": "15s"}},
        "stopping", order="stop", after="stopped",
        over=lambda row: row.last_exit is not None and row.last_exit.code == 0),
    Row("dies", {"shell": f"test -e {{told}} || {{{{ {tell('begin')}; cat {{gate}}; kill -9 $$; }}}}; "
                          f"{tell('again')}; {REST}"}, "running",
        over=lambda row: row.restarts == 1, told=("begin", "again")),
    Row("backs-off", {"shell": f"{tell('begin')}; exit 7", "backoff": FAR}, "backoff", lambda row: row.restarts == 2,
        gated=False, after="backoff", over=lambda row: row.restarts == 2, told=("begin", "begin")),
    Row("is-lazy", {"shell": f"{tell('begin')}; {REST}", "sockets": "unix:{go}.sock", "lazy": True}, "waiting",
        lambda row: "waits for a connection" in row.reason, gated=False, told=("begin",)),
    Row("goes-to-the-background", {"shell": f"sh -c 'cat {{gate}}; echo $$ > {{go}}.pid; {REST}' & exit 0",
                                   "type": "forking", "pid_file": "{go}.pid"},
        "starting", lambda row: row.pid is None and "no such file yet" in row.reason,
        over=lambda row: ".pid names " in row.reason),
    Row("is-in-the-background", {"shell": f"{REST} & echo $! > {{go}}.pid", "type": "forking", "pid_file": "{go}.pid"},
        "running", gated=False),
    Row("starts-slowly", {"shell": REST, "ready": "file:/no/such/file", "start_timeout": "1h"}, "starting",
        lambda row: row.pid is not None, gated=False, after="starting"),
    Row("is-scheduled", {"shell": tell("ran"), "schedule": "0 3 1 1 *"}, "waiting", gated=False, after="waiting"),
    Row("works-by-schedule", {"shell": f"{tell('begin')}; cat {{gate}}; {tell('end')}", "schedule": "0 3 1 1 *"},
        "starting", lambda row: row.pid is not None, "run", after="waiting",
        over=lambda row: row.last_exit is not None, told=("begin", "end")),
)  # fmt: skip

UNTOUCHED = {row.name for row in TABLE} - {"hangs", "dies", "on-failed", "pre-start", "waits", "is-lazy"}
"""Those whose run is the same before and after."""
TIMED = ("backs-off", "starts-slowly", "is-scheduled")
"""Those that wait for a moment: it must be the same one."""


class Case:
    """The table in a folder, as one daemon."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        services = {row.name: self._filled(row) for row in TABLE}
        self.daemon = Daemon(folder, json.dumps({"services": services}))

    def _filled(self, row: Row) -> object:
        os.mkfifo(self.folder / f"{row.name}.gate")
        files = {key: str(self.folder / f"{row.name}.{key}") for key in ("gate", "told", "go")}

        def fill(value: object) -> object:
            if isinstance(value, dict):
                return {key: fill(each) for key, each in value.items()}
            if isinstance(value, list):
                return [fill(each) for each in value]
            if not isinstance(value, str):
                return value
            for key, path in files.items():
                value = value.replace(f"{{{key}}}", path)
            return value.replace("{{", "{").replace("}}", "}")

        return fill(row.options)

    def _until(self, there: Callable[[Row, ServiceStatus], bool]) -> None:
        """Wait until every row is there; one look shows most of them."""
        seen = self.daemon.status()
        for row in TABLE:
            if not there(row, seen[row.name]):
                self.daemon.until(row.name, partial(there, row))
                seen = self.daemon.status()

    def reach(self) -> None:
        """Every row is where it is to be."""
        self.daemon.up("--no-wait")
        ran = [row.name for row in TABLE if row.order == "run"]
        self.daemon.pserv("run", "--no-wait", *ran, check=0)
        stopped = [row.name for row in TABLE if row.order == "stop"]
        for name in stopped:
            self.daemon.until_state(name, "running")
        self.daemon.pserv("stop", "--no-wait", *stopped, check=0)
        self._until(lambda row, seen: seen.state.value == row.state and row.reached(seen))

    def let_go(self) -> None:
        """Open every gate, and knock where somebody listens."""
        for path in self.folder.glob("*.sock"):
            with socket.socket(socket.AF_UNIX) as knocks:
                knocks.connect(str(path))
        for row in TABLE:
            (self.folder / f"{row.name}.go").touch()
            if row.gated:
                os.close(os.open(self.folder / f"{row.name}.gate", os.O_WRONLY))

    def finish(self) -> None:
        """Every row comes to its end."""
        self._until(lambda row, seen: seen.state.value == row.after and row.over(seen))
        for row in TABLE:
            if row.told:
                if row.after == "running":
                    self.daemon.until_line(row.name, row.told[-1], row.told.count(row.told[-1]))
                assert (self.folder / f"{row.name}.told").read_text().split() == list(row.told), row.name


@pytest.mark.parametrize("way", ["killed", "stopped and killed", "upgrade", "upgrade --keeper"])
def test_whatever_state_they_are_in(tmp_path: Path, way: str) -> None:
    case = Case(tmp_path)
    daemon = case.daemon
    with daemon:
        case.reach()
        before = daemon.status()
        if way.startswith("upgrade"):
            daemon.pserv(*way.split(), check=0, timeout=60)
            case.let_go()
        elif way == "killed":
            daemon.kill_supervisor()
            resumed = daemon.status()
            for row in TABLE:
                seen = resumed[row.name]
                assert (seen.state.value, seen.pid, seen.restarts) == (
                    row.state, before[row.name].pid, before[row.name].restarts
                ), row.name  # fmt: skip
            case.let_go()
        else:
            supervisor = daemon.daemon().supervisor_pid
            os.kill(supervisor, signal.SIGSTOP)
            case.let_go()
            kill(supervisor)
        case.finish()
        after = daemon.status()
        for name in UNTOUCHED:
            assert after[name].run_id == before[name].run_id, name
        for name in TIMED:
            there, here = before[name].next, after[name].next
            assert there is not None, name
            assert here is not None, name
            assert abs(there - here) < 0.5, name
        assert not daemon.daemon().safe
