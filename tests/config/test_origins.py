"""Each value of the effective configuration is told with where it was written, whatever stood over what."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings

from pserv.cli.main import main
from pserv.config import annotated
from pserv.config.effective import effective
from pserv.config.findings import Findings
from pserv.config.fragments import Configuration
from pserv.config.loader import load, read
from pserv.config.origins import Origins
from pserv.config.shapes import DAEMON
from pserv.model.spec import DaemonSpec, Document, ServiceSpec
from tests.config.specs import services, structs
from tests.config.test_layers import put

FILES = {
    "pserv": """
include: more.yaml
name: shop
groups: {back: [db]}
daemon: {shutdown_timeout: 5s}
defaults:
  env: {MODE: prod}
  nice: 3
services:
  web:
    command: serve --port ${PORT}
    env:
      A: $A
      GONE: x
    health: http://:80/h
    depends-on:
      - db
    log: {rotate: {size: 50MB}, format: json}
  base:
    shell: work | tee log
    stop: QUIT
""",
    "more": 'services:\n  db:\n    extends: base\n    tags: [x]\n    schedule: "@daily"\n    env: [B=1, "C=2"]\n',
    "pserv.override": """
services:
  web:
    env: !replace {B: 2}
    health: {interval: 3s}
    depends_on: !append [base]
    log: !replace {rotate: {keep: 2}}
    tags: !append [front]
""",
}

WANTED = {
    "web.command": ["pserv.yaml:11, PORT from the environment"],
    "web.env.B": ["pserv.override.yaml:4"],
    "web.nice": ["pserv.yaml:8"],
    "web.health.http.path": ["pserv.yaml:15"],
    "web.health.interval": ["pserv.override.yaml:5"],
    "web.health.failures": ["default"],
    "web.depends_on": ["pserv.yaml:17", "pserv.override.yaml:6"],
    "web.log.rotate.keep": ["pserv.override.yaml:7"],
    "web.log.rotate.size": ["default"],
    "web.log.format": ["default"],
    "web.tags": ["pserv.override.yaml:8"],
    "web.restart": ["default"],
    "web.cwd": ["default"],
    "base.stop.signal": ["pserv.yaml:21"],
    "base.stop.timeout": ["default"],
    "db.shell": ["pserv.yaml:20"],
    "db.tags": ["more.yaml:4", "pserv.yaml:4"],
    "db.type": ["by schedule"],
    "db.env.B": ["more.yaml:6"],
    "db.env.C": ["more.yaml:6"],
    "db.env.MODE": ["pserv.yaml:7"],
    "db.stop.signal": ["pserv.yaml:21"],
}


def origins(folder: Path, environ: dict[str, str]) -> dict[str, list[str]]:
    document, configuration = read(["pserv.yaml"], environ=environ, cwd=str(folder), uid=0)
    found = annotated.origins_of(effective(document), Origins(configuration))
    return {".".join(path): [origin.text(str(folder)) for origin in each] for path, each in found.items()}


def test_each_value_with_its_place(tmp_path: Path) -> None:
    put(tmp_path, **FILES)
    (tmp_path / ".env").write_text("# one\nA=hidden\n")
    found = origins(tmp_path, {"PORT": "80"})
    assert {name: found[f"services.{name}"] for name in WANTED} == WANTED
    assert "services.web.env.GONE" not in found
    assert found["name"] == ["pserv.yaml:3"]
    assert found["daemon.shutdown_timeout"] == ["pserv.yaml:5"]
    assert found["daemon.on_invalid"] == ["default"]
    put(tmp_path, **{"pserv.override": "services: {web: {env: {A: $A}}}"})
    assert origins(tmp_path, {"PORT": "80"})["services.web.env.A"] == ["pserv.override.yaml:1, A from .env:2"]


def test_variables_of_all_services(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="env:\n  A: 1\n  B: $B\ndefaults: {env: {C: 3}}\nservices: {a: {command: x, env: {D: 4}}}",
        **{"pserv.override": "env: [A=2]"},
    )
    found = origins(tmp_path, {"B": "b"})
    assert {name[-1]: each for name, each in found.items() if name.startswith("services.a.env.")} == {
        "A": ["pserv.override.yaml:1"],
        "B": ["pserv.yaml:3, B from the environment"],
        "C": ["pserv.yaml:4"],
        "D": ["pserv.yaml:5"],
    }


def test_one_way_to_run_takes_the_place_of_another(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="services: {a: {exec: x, args: [y], ready: tcp:80, stop: {steps: [{QUIT: 1s}]}}}",
        **{"pserv.override": "services: {a: {command: z, ready: log:up, stop: INT}}"},
    )
    found = origins(tmp_path, {})
    told = {name.removeprefix("services.a."): each for name, each in found.items() if each != ["default"]}
    assert told == {
        "command": ["pserv.override.yaml:1"],
        "ready.log.pattern": ["pserv.override.yaml:1"],
        "stop.signal": ["pserv.override.yaml:1"],
        "name": told["name"],
    }


def test_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Comments at the ends of lines, below each other; what is printed loads as the same configuration."""
    put(tmp_path, **FILES)
    (tmp_path / ".env").write_text("A=a\nDB_PASSWORD=canary\nPORT=81\n")
    put(tmp_path, more="services: {db: {shell: 'a\n\n  b', env: {URL: $DB_PASSWORD, K_TOKEN: canary}, umask: 022}}")
    monkeypatch.chdir(tmp_path)
    assert main(["config"]) == 0
    printed = capsys.readouterr().out
    assert "canary" not in printed
    lines = printed.splitlines()
    (port,) = [line for line in lines if line.startswith("    command:")]
    assert port.endswith("  # pserv.yaml:11, PORT from .env:3")
    assert len({line.index("# ") for line in lines if line.endswith("# default") and "cwd" not in line}) == 1
    again = tmp_path / "again.yaml"
    again.write_text(printed)
    environ = {"PORT": "81", "A": "a", "DB_PASSWORD": "canary"}
    first, second = (load([name], environ=environ, cwd=str(tmp_path), uid=0) for name in ("pserv.yaml", "again.yaml"))
    assert effective(second)["services"].keys() == effective(first)["services"].keys()
    assert effective(second)["services"]["web"] == effective(first)["services"]["web"]
    monkeypatch.chdir(Path(__file__).parent)
    monkeypatch.setenv("NO_COLOR", "1")
    assert main(["config", "-c", "everything.yaml"]) == 0
    again.write_text(capsys.readouterr().out)
    folder = str(Path(__file__).parent)
    first, second = (load([name], environ={}, cwd=folder, uid=0) for name in ("everything.yaml", str(again)))
    assert effective(first)["services"] == effective(second)["services"]
    monkeypatch.chdir(tmp_path)
    assert main(["config", "--no-origins", "base"]) == 0
    assert "#" not in capsys.readouterr().out
    assert main(["config", "--json", "web"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["origins"]["services.web.env.B"] == [{"file": f"{tmp_path}/pserv.override.yaml", "line": 4}]
    assert told["services"]["web"]["env"] == {"B": "2"}
    assert main(["config", "--json", "--no-origins"]) == 0
    assert "origins" not in json.loads(capsys.readouterr().out)


@settings(max_examples=40)
@given(services(), structs(DAEMON))
def test_comments_change_nothing(service: ServiceSpec, daemon: DaemonSpec) -> None:
    document = Document(name="d", root="/", services={"web": service}, daemon=daemon)
    plain = effective(document)
    text = "\n".join(f"{line}  # {comment}" if comment else line for line, comment in annotated.lines(plain, ".".join))
    assert yaml.safe_load(text) == plain
    told = [line.rpartition("# ")[2] for line in text.splitlines() if "# " in line]
    assert len(told) >= len(annotated.origins_of(plain, _nowhere()))


def _nowhere() -> Origins:
    return Origins(Configuration(Findings()))
