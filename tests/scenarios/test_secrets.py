"""Env files and secrets in a real daemon: what services get, when it is read, and what sources that fail do."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

import pytest

from pserv.api import operations as op
from pserv.model.status import ReloadStep
from pserv.system.delivered import disk_of
from tests.scenarios.daemon import Daemon, environ, kill, python
from tests.scenarios.ordinary import NOBODY
from tests.scenarios.saving import saved
from tests.scenarios.test_watching import until_watched

SLEEP = "sleep 10000"


def variables(pid: int) -> dict[str, str]:
    """The environment of a process."""
    rows = (row.decode(errors="surrogateescape").partition("=") for row in environ(pid))
    return {name: value for name, _, value in rows}


def given(daemon: Daemon, name: str, *wanted: str) -> list[str | None]:
    """What a service that runs got."""
    got = variables(daemon.pid(name))
    return [got.get(each) for each in wanted]


def reload(daemon: Daemon) -> tuple[ReloadStep, ...]:
    """The plan of a reload that was applied, and waited for."""
    with daemon.client() as client:
        plan, *_ = client.stream("reload", op.Reload())
        assert isinstance(plan, op.Plan)
        return plan.steps


SOURCES = f"""
secrets:
  store: {{exec: "cat {{key}}"}}
  dir: {{dir: secrets}}
env_file: all.env
services:
  web:
    command: {SLEEP}
    env_file: [app.env, {{path: none.env, required: false}}, {{path: raw.env, format: raw}}]
    env: {{C: own, URL: "db://app:${{secrets.STORED}}@host/$${{secrets.STORED}}"}}
    secrets:
      STORED: {{provider: store, key: stored.txt}}
      LISTED: {{provider: dir, key: listed}}
      FILE: {{file: file.txt, deliver: none}}
      ENV: {{env: FROM_OUTSIDE}}
      PRINTED: {{exec: {{shell: "printf '%s\\n' 'a b'"}}}}
    hooks: {{pre_start: {{shell: 'echo "hook $LISTED"'}}}}
    ready: {{exec: {{shell: 'test "$LISTED" = "in a folder"'}}}}
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "secrets").mkdir()
    for name, text in {
        "stored.txt": "st0red\n",
        "secrets/listed": "in a folder\r\n",
        "file.txt": "of a file",
        "all.env": "A=all\nB=all\nC=all\n",
        "app.env": "B='app $A'\n",
        "raw.env": "R='1'\n",
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_all_sources_and_what_stands_over_what(files: Path) -> None:
    with Daemon(files, SOURCES) as daemon:
        daemon.env["FROM_OUTSIDE"] = "outside"
        daemon.up()
        names = ("A", "B", "C", "R", "URL", "STORED", "LISTED", "FILE", "ENV", "PRINTED")
        assert given(daemon, "web", *names) == [
            *("all", "app $A", "own", "'1'", "db://app:st0red@host/${secrets.STORED}"),
            *("st0red", "in a folder", None, "outside", "a b"),
        ]
        daemon.until_line("web", "hook in a folder")
        assert daemon.pserv("exec", "web", "--", "printenv", "STORED", check=0).stdout == "st0red\n"
        shown = daemon.pserv("show", "web", check=0).stdout
        assert sorted(line for line in shown.splitlines() if "=" in line and "PSERV" not in line) == [
            *("  A=***", "  B=***", "  C=own", "  ENV=***", "  LISTED=***", "  PRINTED=***", "  R=***", "  STORED=***"),
            "  URL=db://app:${secrets.STORED}@host/${secrets.STORED}",
        ]


def test_what_fails_fails_alone_and_names_itself(tmp_path: Path) -> None:
    """Hanging, printing without end, failing, missing, killed, empty: each by a service of its own."""
    canary = "sh0wn"
    sources = {
        "hangs": (f"{{exec: {{shell: 'echo {canary}; exec sleep 10000'}}, timeout: 200ms}}", "not done after 200 ms"),
        "floods": ("{exec: [head, -c, 1G, /dev/zero]}", "printed more than 64 KiB: killed"),
        "fails": (f"{{exec: {{shell: 'echo {canary} >&2; echo {canary}; exit 3'}}}}", "ended with exit code 3"),
        "missing": ("{exec: no-such-program}", "cannot exec no-such-program: it is in no folder of PATH="),
        "killed": ("{exec: {shell: 'kill -9 $$$$'}}", "was killed by SIGKILL"),
        "empty": ("{exec: 'true'}", "it is empty"),
        "unset": ("{env: NO_SUCH}", "NO_SUCH is not set in the daemon's environment"),
        "gone": ("{file: none.txt}", f"cannot read {tmp_path}/none.txt: No such file or directory"),
        "long": ("{file: long.txt}", f"{tmp_path}/long.txt is longer than 64 KiB"),
        "fifo": ("{file: fifo}", f"{tmp_path}/fifo is no regular file"),
        "nul": ("{file: nul.txt}", "it has a NUL character"),
    }  # fmt: skip
    (tmp_path / "long.txt").write_bytes(b"x" * (64 << 10) + b"y")
    (tmp_path / "nul.txt").write_bytes(b"a\0b")
    os.mkfifo(tmp_path / "fifo")
    services = "\n".join(
        f"  {name}: {{command: {SLEEP}, restart: never, secrets: {{KEY: {source}}}}}"
        for name, (source, _) in sources.items()
    )
    with Daemon(tmp_path, f"services:\n  fine: {{command: {SLEEP}}}\n{services}\n") as daemon:
        daemon.up(check=1)
        rows = daemon.status()
        assert rows.pop("fine").state.value == "running"
        for name, row in rows.items():
            assert row.state.value == "failed", row
            assert row.reason.startswith("cannot read secret KEY: "), row.reason
            assert sources[name][1] in row.reason
            assert "see for yourself: " in row.reason
            assert canary not in row.reason.partition("see for yourself")[0]


def test_an_automatic_restart_gets_what_the_last_start_read(tmp_path: Path) -> None:
    """Whoever was replaced meanwhile; an operator's restart reads anew."""
    key = tmp_path / "key.txt"
    (tmp_path / "app.env").write_text("A=1\n")
    key.write_text("first")
    options = "env_file: app.env, restart: always, secrets: {KEY: {file: key.txt}}"
    services = f"services: {{web: {{command: {SLEEP}, {options}}}}}"
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        key.write_text("second")
        (tmp_path / "app.env").write_text("A='")
        for replaced in ("", "supervisor", "keeper"):
            if replaced == "supervisor":
                daemon.kill_supervisor()
            elif replaced == "keeper":
                daemon.pserv("upgrade", "--keeper", check=0, timeout=60)
            pid = daemon.pid("web")
            kill(pid)
            daemon.until_restarted("web", pid)
            assert given(daemon, "web", "KEY", "A") == ["first", "1"], replaced
        refused = daemon.pserv("restart", "web", check=1)
        assert (
            f"cannot read env file {tmp_path}/app.env:1: not a line of the form NAME=value; it runs on"
            in refused.stdout + refused.stderr
        )
        assert given(daemon, "web", "KEY", "A") == ["first", "1"]
        (tmp_path / "app.env").write_text("A=2\n")
        daemon.pserv("restart", "web", check=0)
        assert given(daemon, "web", "KEY", "A") == ["second", "2"]


def test_reload_compares_what_was_read(tmp_path: Path) -> None:
    for name in ("key", "other"):
        (tmp_path / f"{name}.txt").write_text("first")
    (tmp_path / "app.env").write_text("A=1\n")
    services = f"""services:
  web: {{command: {SLEEP}, env_file: app.env, secrets: {{KEY: {{exec: cat key.txt}}}}}}
  api: {{command: {SLEEP}, secrets: {{OTHER: {{exec: cat other.txt}}}}}}
  old: {{command: {SLEEP}, autostart: false, env_file: app.env}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        pids = {name: daemon.pid(name) for name in ("web", "api")}
        assert {step.action for step in reload(daemon)} == {"unchanged"}
        (tmp_path / "key.txt").write_text("second")
        (tmp_path / "app.env").write_text("# a comment\nA=2\nB=3\n")
        plan = daemon.pserv("reload", "--dry-run", check=0).stdout
        assert "web: restart because env_file.A changed, env_file.B added, secrets.KEY changed" in plan
        for words in (("status",), ("show", "web", "--env", "--diff")):
            told = daemon.pserv(*words)
            assert f"{tmp_path}/app.env (env file of web) changed at " in told.stdout + told.stderr, words
        assert daemon.pid("web") == pids["web"]
        reload(daemon)
        assert "not loaded" not in daemon.pserv("status", check=0).stdout
        assert given(daemon, "web", "KEY", "A", "B") == ["second", "2", "3"]
        assert daemon.pid("api") == pids["api"]
        assert daemon.status()["old"].state.value == "stopped"
        (tmp_path / "other.txt").unlink()
        why = "cannot read secret OTHER: its command ended with exit code 1; see for yourself: cat other.txt"
        assert f"api: {why}; what was read before serves" in daemon.pserv("reload", "--dry-run", check=0).stderr
        assert daemon.status()["api"].trouble == ""
        assert {step.action for step in reload(daemon)} == {"unchanged"}
        row = daemon.status()["api"]
        assert (row.pid, row.trouble.partition(";")[0]) == (
            pids["api"],
            "cannot read secret OTHER: its command ended with exit code 1",
        )
        assert row.trouble.endswith("what was read before serves")
        (tmp_path / "other.txt").write_text("first")
        reload(daemon)
        assert daemon.status()["api"].trouble == ""
        (tmp_path / "app.env").unlink()
        assert "there is no" in daemon.pserv("reload", check=2).stderr


LOOP = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGHUP])
while True:
    print(open(os.environ['KEY_FILE']).read(), flush=True)
    signal.sigwait([signal.SIGHUP])
"""


def test_refreshed_while_it_runs(tmp_path: Path) -> None:
    """By a restart, by a signal, by nothing: what follows is declared."""
    key = tmp_path / "key.txt"
    key.write_text("first")
    more = "file: key.txt, refresh: 100ms"
    services = f"""services:
  again: {{command: {SLEEP}, secrets: {{KEY: {{{more}}}}}}}
  told: {{command: {python(LOOP)!r}, secrets: {{KEY: {{{more}, deliver: file, on_change: HUP}}}}}}
  left: {{command: {SLEEP}, secrets: {{KEY: {{{more}, on_change: none}}}}}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up()
        daemon.until_line("told", "first")
        pids = {name: daemon.pid(name) for name in ("again", "told", "left")}
        key.write_text("second")
        daemon.until_restarted("again", pids["again"])
        assert given(daemon, "again", "KEY") == ["second"]
        daemon.until_line("told", "second")
        reload(daemon)
        assert [daemon.pid(name) for name in ("told", "left")] == [pids["told"], pids["left"]]
        key.unlink()
        daemon.until("left", lambda row: "what was read before serves" in row.trouble)
        key.write_text("second")
        daemon.until("left", lambda row: not row.trouble)


def read_as(user: int, path: str) -> str:
    """What a user reads there, or that it may not."""
    done = subprocess.run(
        ["cat", path], user=user, group=user, extra_groups=[], capture_output=True, text=True, check=False
    )
    return done.stdout if done.returncode == 0 else done.stderr.rpartition(": ")[2]


def test_a_file_is_its_users_alone_and_goes_with_the_daemon(nobodys_folder: Path) -> None:
    folder = nobodys_folder
    os.chown(folder, 0, 0)
    folder.chmod(0o711)
    (folder / "key.txt").write_text("k3y\n")
    (folder / "own").mkdir()
    os.chown(folder / "own", NOBODY, NOBODY)
    services = f"""services:
  web:
    command: {SLEEP}
    user: "{NOBODY}"
    secrets:
      KEY: {{file: key.txt, deliver: file}}
      OWN: {{file: key.txt, path: own/key}}
  root: {{command: {SLEEP}, secrets: {{KEY: {{file: key.txt, deliver: file}}}}}}
"""
    with Daemon(folder, services) as daemon:
        daemon.up()
        path, own = (each or "" for each in given(daemon, "web", "KEY_FILE", "OWN_FILE"))
        assert path in map(str, folder.glob("run/secrets.*/web/KEY"))
        assert own == str(folder / "own" / "key")
        for each in (path, own):
            status = os.stat(each)
            assert (stat.S_IMODE(status.st_mode), status.st_uid) == (0o400, NOBODY)
            assert read_as(NOBODY, each) == "k3y\n"
            assert read_as(NOBODY - 1, each) == "Permission denied\n"
        assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
        above = os.path.dirname(os.path.dirname(path))
        on_disk = any("secrets that are files are on a disk (" in text for text in daemon.daemon().trouble)
        assert on_disk == bool(disk_of(above))
        (theirs,) = given(daemon, "root", "KEY_FILE")
        assert theirs is not None
        assert read_as(NOBODY, theirs) == "Permission denied\n"
        daemon.write(services.partition("  root:")[0])
        reload(daemon)
        daemon.pserv("down", check=0)
        assert list(folder.glob("run/secrets*")) == []
        assert not (folder / "own" / "key").exists()


def test_it_is_stopped_while_it_reads_and_reads_when_it_may(tmp_path: Path) -> None:
    """What it depends on comes first; a stop wins; who dies meanwhile is followed by one that reads anew."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    hangs = f"{{exec: {{shell: 'read x < {fifo}; echo $x'}}, timeout: 1m}}"
    services = f"""services:
  web: {{command: {SLEEP}, depends_on: [vault], secrets: {{KEY: {hangs}}}}}
  vault: {{command: {SLEEP}}}
"""
    with Daemon(tmp_path, services) as daemon:
        daemon.up("--no-wait")
        waits = daemon.until("web", lambda row: "reads secret KEY" in row.reason)
        assert waits.state.value == "waiting"
        assert daemon.status()["vault"].state.value == "running"
        daemon.pserv("stop", "web", check=0)
        daemon.pserv("start", "--no-wait", "web", check=0)
        daemon.kill_supervisor()
        daemon.until("web", lambda row: "reads secret KEY" in row.reason)
        with open(fifo, "w") as answer:
            answer.write("late\n")
        daemon.until_state("web", "running")
        assert given(daemon, "web", "KEY") == ["late"]


def test_an_edit_of_a_watched_env_file(tmp_path: Path) -> None:
    """The new values come with the restart that it causes; one that cannot be read takes nothing down."""
    path = tmp_path / "app.env"
    path.write_text("A=1\n")
    watch = "{paths: app.env, debounce: 20ms}"
    with Daemon(tmp_path, f"services: {{web: {{command: {SLEEP}, env_file: app.env, watch: {watch}}}}}") as daemon:
        daemon.up()
        until_watched(daemon, "web")
        for text, got in (("A=2\n", "2"), ("A='\n", "2")):
            pid = daemon.pid("web")
            saved(path, text)
            daemon.until_restarted("web", pid)
            assert given(daemon, "web", "A") == [got]
        trouble = daemon.status()["web"].trouble
        wanted = f"cannot read env file {path}:1: not a line of the form NAME=value; what was read before serves"
        assert trouble == wanted


def test_services_that_start_together_ask_once_and_few_at_a_time(tmp_path: Path) -> None:
    """Also the one that waits for others first; a later order asks anew."""
    ask = "touch in/$$0; ls in | wc -l >> seen; echo $$0 >> asked; sleep 0.05; rm in/$$0; echo value of $$0"
    services = "\n".join(
        f"  s{number}: {{command: {SLEEP}, secrets: {{SAME: v, OWN: {{provider: v, key: own{number}}}}}}}"
        for number in range(12)
    )
    late = f"  late: {{command: {SLEEP}, secrets: {{SAME: v}}, depends_on: [s0]}}"
    (tmp_path / "in").mkdir()
    with Daemon(
        tmp_path, f"secrets: {{v: {{exec: [/bin/bash, -c, '{ask}', '{{key}}']}}}}\nservices:\n{services}\n{late}\n"
    ) as daemon:
        daemon.up()
        assert given(daemon, "late", "SAME") == ["value of SAME"]
        assert given(daemon, "s3", "OWN") == ["value of own3"]
        asked = (tmp_path / "asked").read_text().split()
        assert sorted(asked) == sorted(["SAME", *(f"own{number}" for number in range(12))])
        assert max(map(int, (tmp_path / "seen").read_text().split())) <= 8
        daemon.pserv("restart", "s1", "s2", "late", check=0)
        again = (tmp_path / "asked").read_text().split()[len(asked) :]
        assert sorted(again) == ["SAME", "own1", "own2"]
