"""Instances as they are written: ports of probes, log files, and what is told of them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pserv.config.loader import load
from pserv.model.mistakes import InvalidConfig
from pserv.model.spec import Document
from pserv.rules import instances


def loaded(folder: Path, text: str) -> Document:
    (folder / "pserv.yaml").write_text(text)
    return load([str(folder / "pserv.yaml")], environ={}, cwd="/", uid=0)


@pytest.mark.parametrize(
    "probe",
    [
        "http: /health",
        '{http: {path: /health, port: "${pserv.port}"}}',
        '"http://:${pserv.port}/health"',
    ],
)
def test_a_probe_that_names_the_service_port_or_none(tmp_path: Path, probe: str) -> None:
    ready = probe if probe.startswith(("{", '"')) else f"{{{probe}}}"
    document = loaded(tmp_path, f"services: {{web: {{command: a, instances: 2, port: 3001, ready: {ready}}}}}\n")
    made = instances.expand(document.services)
    asked = [(spec.ready.http.path, spec.ready.http.port) for spec in made.values() if spec.ready and spec.ready.http]
    assert asked == [("/health", 3001), ("/health", 3002)]


@pytest.mark.parametrize("probe", ["tcp: {}", 'tcp: "${pserv.port}"'])
def test_a_tcp_probe_too(tmp_path: Path, probe: str) -> None:
    document = loaded(tmp_path, f"services: {{web: {{command: a, port: 3001, health: {{{probe}}}}}}}\n")
    health = instances.expand(document.services)["web"].health
    assert health is not None
    assert health.tcp is not None
    assert health.tcp.port == 3001


def test_a_file_of_one_instance_is_no_other_services(tmp_path: Path) -> None:
    text = """
services:
  web: {command: a, instances: 3, stdout: "./out.${pserv.instance}.log"}
  api: {command: a, stdout: ./out.2.log}
"""
    with pytest.raises(InvalidConfig, match=r"out\.2\.log is also written by services\.web\.stdout"):
        loaded(tmp_path, text)


def test_a_declared_variable_wins_over_port_and_that_is_told(tmp_path: Path) -> None:
    document = loaded(tmp_path, "services: {web: {command: a, port: 3001, env: {PORT: 9}}}\n")
    assert any("has no effect on PORT: env sets it to '9'" in note for note in document.notes)


def test_all_facts(tmp_path: Path) -> None:
    """Each of them in each place that takes it; in a line for sh, which is left alone, with what to write there."""
    facts = {
        "name": "web:2",
        "service": "web",
        "instance": "2",
        "index": "1",
        "port": "3002",
        "host": os.uname().nodename,
        "config_dir": str(tmp_path),
        "run_dir": "/run/of/it",
    }
    assert facts.keys() == {*instances.FACTS, *instances.OF_MACHINE}
    env = ", ".join(f'{name}: "<${{pserv.{name}}}>"' for name in facts)
    config = "services: {web: {command: 'run ${pserv.host}', instances: 2, port: 3001, env: {%s}, stdout: '%s'}}"
    (tmp_path / "pserv.yaml").write_text(config % (env, "${pserv.run_dir}/${pserv.index}.log"))
    environ = {"PSERV_SOCKET": "/run/of/it/p.sock", "pserv.host": "no variable"}
    document = load(["pserv.yaml"], environ=environ, cwd=str(tmp_path), uid=0)
    web = instances.expand(document.services)["web:2"]
    assert web.env == {name: f"<{value}>" for name, value in facts.items()}
    assert web.command == ("run", os.uname().nodename)
    assert web.stdout == "/run/of/it/1.log"
    shell = "services:\n" + "".join(f"  s-{n[:4]}: {{port: 1, shell: 'x ${{pserv.{n}}}'}}\n" for n in facts)
    (tmp_path / "pserv.yaml").write_text(shell)
    with pytest.raises(InvalidConfig) as caught:
        load(["pserv.yaml"], environ=environ, cwd=str(tmp_path), uid=0)
    for told, name in zip(caught.value.mistakes, facts, strict=True):
        assert f"${{pserv.{name}}} is not replaced in a line for sh" in told.message
        assert told.hint.startswith("write ")
