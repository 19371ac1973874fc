"""Orders and deaths while something is under way: a hook of each kind, words to the notify socket."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NamedTuple

from tests.keeper.speaking import speaker
from tests.scenarios.daemon import Daemon, kill
from tests.scenarios.fifos import fifo, words


class Case(NamedTuple):
    """What happens while a hook of a kind waits at its gate, and what must come of it."""

    kind: str
    happens: str
    """stop, start, restart: ordered; dies: the main process is killed."""
    state: str
    told: str
    """What its hooks write: one that is interrupted begins and does not end."""
    restarts: int = 0

    @property
    def name(self) -> str:
        return f"{self.kind}-{self.happens}".replace("_", "-")


CASES = (
    Case("pre_start", "stop", "stopped", "begin"),
    Case("pre_start", "restart", "running", "begin begin end"),
    Case("post_start", "stop", "stopped", "begin"),
    Case("post_start", "restart", "running", "begin begin end"),
    Case("post_start", "dies", "running", "begin begin end", restarts=1),
    Case("pre_stop", "stop", "stopped", "begin end"),
    Case("pre_stop", "start", "running", "begin end"),
    Case("pre_stop", "restart", "running", "begin end"),
    Case("pre_stop", "dies", "stopped", "begin end"),
    Case("post_stop", "stop", "stopped", "begin end"),
    Case("post_stop", "start", "running", "begin end"),
    Case("post_stop", "restart", "running", "begin end"),
)


def test_whatever_happens_while_a_hook_runs(tmp_path: Path) -> None:
    gate, told = tmp_path / "gate", tmp_path / "told"
    os.mkfifo(gate)
    told.mkdir()
    begun = fifo(tmp_path / "begun")
    services = {}
    for case in CASES:
        log = told / case.name
        wait = f"echo {case.name} > {tmp_path}/begun; read x < {gate}"
        shell = f"echo begin >> {log}; test -e {tmp_path}/open || {{ {wait}; }}; echo end >> {log}"
        alive = f"exec 9> {log}.lock; flock -n 9 || echo twice >> {log}; exec sleep 10000"
        services[case.name] = {"shell": alive, "hooks": {case.kind: {"shell": shell, "timeout": "60s"}}}
    with Daemon(tmp_path, json.dumps({"services": services})) as daemon:
        daemon.up("--no-wait")
        ends = [case.name for case in CASES if case.kind in ("pre_stop", "post_stop")]
        for name in ends:
            daemon.until_state(name, "running")
        daemon.pserv("stop", "--no-wait", *ends, check=0)
        assert set(words(begun, len(CASES))) == {case.name.encode() for case in CASES}
        for case in CASES:
            if case.kind != "post_start":  # nobody waits for those
                assert case.kind in " ".join(daemon.story(case.name).why), case.name
        before = daemon.status()
        for order in ("stop", "start", "restart"):
            daemon.pserv(order, "--no-wait", *(case.name for case in CASES if case.happens == order), check=0)
        for case in CASES:
            if case.happens == "dies":
                kill(before[case.name].pid or 0)
        for case in CASES:
            if not case.told.startswith("begin end"):  # interrupted: it must be before the gate opens
                since = before[case.name].hooks[0].since
                daemon.until(case.name, lambda row, since=since: all(hook.since > since + 0.001 for hook in row.hooks))  # type: ignore[misc]
        (tmp_path / "open").touch()
        held = os.open(gate, os.O_RDWR)  # held open: also who comes to the gate a moment later goes on
        os.write(held, b"go\n" * len(CASES))
        for case in CASES:
            row = daemon.until(case.name, lambda row, case=case: row.state.value == case.state and not row.hooks)  # type: ignore[misc]
            assert row.restarts == case.restarts, case.name
            assert (told / case.name).read_text().split() == case.told.split(), case.name
        os.close(held)
        os.close(begun)


LAST_WORDS = """
first = not os.path.exists({there!r})
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
if first:
    open({there!r}, "w").close()
    say("READY=1\\nSTATUS=the first")
    signal.sigwait([signal.SIGTERM])
    for number in range(200):
        say(f"READY=1\\nSTATUS=last words {{number}}\\nWATCHDOG_USEC=1\\nMAINPID={{os.getpid()}}")
else:
    open({gate!r}).close()
    say("READY=1\\nSTATUS=the second")
    signal.sigwait([signal.SIGTERM])
"""


def test_a_restart_while_words_are_under_way(tmp_path: Path) -> None:
    """What the first run says at its end counts for it alone: the second is not ready by it, and not watched."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    code = LAST_WORDS.format(there=str(tmp_path / "there"), gate=str(gate))
    service = {"command": speaker(code), "type": "notify"}
    with Daemon(tmp_path, json.dumps({"services": {"web": service}})) as daemon:
        daemon.up()
        first = daemon.pid("web")
        daemon.pserv("restart", "web", "--no-wait", check=0)
        row = daemon.until("web", lambda row: row.pid not in (None, first))
        assert (row.state.value, row.ready, row.says) == ("starting", False, "")
        with gate.open("w"):
            pass
        row = daemon.until_state("web", "running")
        assert (row.says, row.restarts, row.ready) == ("the second", 0, True)


def test_hooks_in_a_rolling_restart_whose_supervisor_dies(tmp_path: Path) -> None:
    """One instance after the other has its hooks, each once; the supervisor dies while a hook of the second runs."""
    told, gate, armed = tmp_path / "told", tmp_path / "gate", tmp_path / "armed"
    os.mkfifo(gate)
    at_the_gate = f"test -e {armed} -a $PSERV_INSTANCE = 2 && read x < {gate};"
    hooks = {
        kind: {"shell": f"{at_the_gate if kind == 'pre_stop' else ''} echo $PSERV_INSTANCE {kind} >> {told}"}
        for kind in ("pre_start", "pre_stop", "post_stop")
    }
    service = {"command": "sleep 10000", "instances": 3, "hooks": hooks, "ready": "file:/dev/null"}
    with Daemon(tmp_path, json.dumps({"services": {"web": service}})) as daemon:
        daemon.up()
        before = {name: row.pid for name, row in daemon.status().items()}
        told.write_text("")
        armed.touch()
        with daemon.start("restart", "--rolling", "web") as rolling:
            daemon.until("web:2", lambda row: bool(row.hooks))
            daemon.kill_supervisor()
            row = daemon.until("web:2", lambda row: bool(row.hooks))
            assert (row.state.value, row.pid) == ("stopping", before["web:2"])
            gate.write_text("go\n")  # when it is there: it goes there as long as this is armed
            armed.unlink()
            assert rolling.wait(30) == 0
        kinds = ("pre_stop", "post_stop", "pre_start")
        assert told.read_text().splitlines() == [f"{number} {kind}" for number in (1, 2, 3) for kind in kinds]
        rows = daemon.status()
        assert all(row.ready and row.restarts == 0 and row.pid != before[name] for name, row in rows.items())
