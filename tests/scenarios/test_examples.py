"""The examples, each run as it stands, but for its ports, folders that others could be using, and fsync."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from pserv.config.loader import load
from pserv.config.schema import json_schema
from tests.scenarios.daemon import PATIENCE, Daemon, children, kill
from tests.scenarios.ports import Ports
from tests.scenarios.webserver import get

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = sorted(path.parent.name for path in EXAMPLES.glob("*/pserv.yaml"))
PROGRAMS = [str(Path(sys.executable).parent), os.environ.get("PATH", ""), "/usr/sbin", "/sbin"]
PROGRAMS += map(str, Path("/usr/lib/postgresql").glob("*/bin"))
PATH = os.pathsep.join(PROGRAMS)


class Example(Daemon):
    """A copy of an example in a folder that every user may enter. `replaced`: texts of it, and what stands for them."""

    def __init__(self, name: str, folder: Path, needs: tuple[str, ...] = (), **replaced: str) -> None:
        for program in needs:
            if shutil.which(program, path=PATH) is None:
                pytest.skip(f"not installed: {program}")
        here = folder / name
        shutil.copytree(EXAMPLES / name, here)
        self.ports: dict[int, int] = {}
        self._held = Ports()
        for path in sorted(here.rglob("*")):
            if path.is_file():
                text = path.read_text()
                for old, new in replaced.items():
                    text = text.replace(old, new)
                path.write_text(re.sub(r"\b(?:3000|5000|6379|80[08]0)\b", self._port, text))
        super().__init__(here, (here / "pserv.yaml").read_text())
        self.socket = folder / "daemon" / "pserv.sock"
        self.env |= {"PSERV_SOCKET": str(self.socket), "PSERV_STATE": str(folder / "state"), "PATH": PATH}

    def _port(self, found: re.Match[str]) -> str:
        port = int(found[0])
        if port not in self.ports:
            self.ports[port] = self._held.one()
        return str(self.ports[port])

    def close(self) -> None:
        super().close()
        self._held.close()


@pytest.fixture
def folder() -> Iterator[Path]:
    """pytest's own can be entered by root only."""
    made = Path(tempfile.mkdtemp(prefix="pserv-example-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_accepted_by_check_and_by_editors(name: str) -> None:
    path = EXAMPLES / name / "pserv.yaml"
    document = load([str(path)], environ={}, cwd="/", uid=0)
    assert document.services
    assert not [note for note in document.notes if "there is no" not in note]
    Draft202012Validator(json_schema()).validate(yaml.safe_load(path.read_text()))
    assert path.read_text().startswith("# yaml-language-server: $schema=")
    assert f"[{name}]({name}/pserv.yaml)" in (EXAMPLES / "README.md").read_text()


def test_django_celery_redis(folder: Path) -> None:
    pytest.importorskip("celery")
    pytest.importorskip("django")
    with Example("django-celery-redis", folder, ("redis-server",), **{"/tmp/shop-beat": f"{folder}/beat"}) as example:
        example.up()
        assert get(example.ports[8000]) == "the worker says 5"
        assert example.status()["migrate"].state.value == "exited"
        example.until_line("beat", "beat: Starting...")


def test_fastapi_dev(folder: Path) -> None:
    pytest.importorskip("fastapi")
    pytest.importorskip("uvicorn")
    with Example("fastapi-dev", folder) as example:
        example.up()
        assert json.loads(get(example.ports[8000])) == {"says": "hello"}
        first = example.pid("api")
        file = example.folder / "app/main.py"
        file.write_text(file.read_text().replace('"hello"', '"good evening"'))
        example.until("api", lambda row: row.ready and row.pid not in (None, first))
        assert json.loads(get(example.ports[8000])) == {"says": "good evening"}


def test_nginx_gunicorn(folder: Path) -> None:
    pytest.importorskip("gunicorn")
    with Example("nginx-gunicorn", folder, ("nginx",)) as example:
        example.up()
        assert get(example.ports[8080]) == "/ by gunicorn\n"
        example.pserv("restart", "app", check=0)
        assert get(example.ports[8080]) == "/ by gunicorn\n"


def test_node(folder: Path, ports: Ports) -> None:
    port = ports.row(2)
    with Example("node", folder, ("node",), **{"port: 3000": f"port: {port}"}) as example:
        example.up()
        assert [get(port), get(port + 1)] == ["1 of web\n", "2 of web\n"]
        example.pserv("stop", "web:1", check=0)
        ended = example.status()["web:1"].last_exit
        assert ended is not None
        assert ended.result == "success"


def test_php_fpm_nginx(folder: Path) -> None:
    found = sorted(path.name for path in Path("/usr/sbin").glob("php-fpm*"))
    if not found or os.geteuid() != 0:
        pytest.skip("needs php-fpm, and root to run its pool as www-data")
    with Example("php-fpm-nginx", folder, ("nginx",), **{"php-fpm8.2": found[-1]}) as example:
        example.up()
        assert get(example.ports[8080]).startswith("hello from PHP ")


def test_rails_procfile(folder: Path) -> None:
    with Example("rails-procfile", folder) as example:
        example.up()
        assert "well" in get(example.ports[5000])
        example.until_line("worker", "waiting for jobs")
        made = example.pserv("init", "-c", "made.yaml", check=0).stdout
        assert all(f"Procfile:{line}" in made for line in (1, 2, 3))
        now, ours = (yaml.safe_load((example.folder / name).read_text()) for name in ("made.yaml", "pserv.yaml"))
        commands = [{name: each["command"] for name, each in file["services"].items()} for file in (now, ours)]
        assert commands[0] == commands[1]


def test_postgres_app(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    quick = {"initdb -D": "initdb --no-sync -D", "listen_addresses=": "listen_addresses= -c fsync=off"}
    socket = {"/tmp/postgres-app": f"{folder}/socket", **quick}
    with Example("postgres-app", folder, ("postgres", "initdb", "psql"), **socket) as example:
        example.up()
        example.until_line("app", "start number 1")
        example.pserv("restart", "db", check=0)
        example.until_line("app", "start number 2")


def test_cron_box(folder: Path) -> None:
    with Example("cron-box", folder) as example:
        example.up()
        assert {row.state.value for row in example.status().values()} == {"waiting"}
        example.pserv("run", "backup", check=0)
        assert len(list((example.folder / "backups").iterdir())) == 1
        (example.folder / "backup").write_text("#!/bin/sh\nexit 3\n")
        example.pserv("run", "backup", check=3)
        example.pserv("run", "report", check=0)
        assert "backups" in (example.folder / "report.txt").read_text()


def test_container(folder: Path) -> None:
    """As PID 1 of a namespace; `docker stop` is a TERM."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("a PID namespace needs root and unshare")
    example = Example("container", folder)
    inside = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", *example.command("daemon")]
    container = subprocess.Popen(
        inside, cwd=example.folder, env=example.env, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert container.stdout is not None
        lines = iter(container.stdout.readline, "")
        assert any("GET / HTTP/1.1" in line for line in lines), "it ended before its health was asked for"
        assert get(example.ports[8080]) == "hello from a container\n"
        (inner,) = children(container.pid)
        os.kill(inner, signal.SIGTERM)
        container.communicate(timeout=PATIENCE)
        assert container.returncode == 0
    finally:
        container.kill()
        container.communicate()
        example.close()


def test_hardened(folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("becoming another user needs root")
    with Example("hardened", folder, ("redis-server",)) as example:
        example.up()
        pid = example.pid("cache")
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        assert status["Uid"].split()[0] != "0"
        assert status["Groups"].strip() in ("", status["Gid"].split()[0])
        assert status["Umask"] == "0077"
        assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"
        told = example.pserv("exec", "cache", "--", "env", check=0).stdout
        assert "PSERV_STATE" not in told
        assert "PATH=" in told
        kill(pid)
        assert example.until_restarted("cache", pid).ready
