"""Several files to one document, what happens to files that cannot be read, and the child that the daemon asks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import pserv
from pserv.config import files, places
from pserv.config.loader import Request, answer, load
from pserv.model import spec
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.spec import Document


def _load(folder: Path, *paths: str, skip_invalid: bool = False) -> Document:
    return load(paths, environ={}, cwd=str(folder), uid=0, skip_invalid=skip_invalid)


def _mistakes(folder: Path, *paths: str, skip_invalid: bool = False) -> tuple[Mistake, ...]:
    with pytest.raises(InvalidConfig) as caught:
        _load(folder, *paths, skip_invalid=skip_invalid)
    return caught.value.mistakes


def _write(folder: Path, **contents: str) -> None:
    for name, text in contents.items():
        (folder / f"{name}.yaml").write_text(text)


def test_several_files_add_up(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    _write(tmp_path, main="name: mine\ndaemon: {exit_when: never}\nservices: {a: {command: a}}\n")
    _write(
        tmp_path / "conf.d", z="services: {z: {command: z}}\n", b="defaults: {nice: 3}\nservices: {b: {command: b}}\n"
    )
    (tmp_path / "conf.d/m.toml").write_text("[services.m]\ncommand = 'm'\n[daemon]\nshutdown_timeout = 5\n")
    (tmp_path / "conf.d/.hidden.yaml").write_text("nonsense")
    (tmp_path / "conf.d/b.yaml~").write_text("nonsense")
    document = _load(tmp_path, "main.yaml", "conf.d", "conf.d/../main.yaml")
    assert list(document.services) == ["a", "b", "m", "z"]
    assert {service.nice for service in document.services.values()} == {3}
    assert (document.name, document.root) == ("mine", str(tmp_path))
    assert (document.daemon.exit_when, document.daemon.shutdown_timeout) == ("never", 5.0)
    names = [os.path.relpath(source.path, tmp_path) for source in document.files]
    assert names == ["main.yaml", "conf.d/b.yaml", "conf.d/m.toml", "conf.d/z.yaml"]
    main = document.files[0]
    assert main.mtime_ns == (tmp_path / "main.yaml").stat().st_mtime_ns
    assert main.digest == files.digest((tmp_path / "main.yaml").read_bytes())


def test_the_name_is_by_default_the_identity_of_the_first(tmp_path: Path) -> None:
    _write(tmp_path, a="services: {}\n", b="services: {}\n")
    assert _load(tmp_path, "b.yaml", "a.yaml").name == places.identity(str(tmp_path / "b.yaml"))


def test_what_two_files_say_differently_is_a_mistake_with_both_places(tmp_path: Path) -> None:
    _write(
        tmp_path,
        main="include: [a.yaml, b.yaml, c.yaml]\n",
        a="name: x\ndaemon: {exit_when: never}\ndefaults: {nice: 3}\nservices: {s: {command: a}}\n",
        b="name: y\ndaemon: {exit_when: all-done}\ndefaults: {nice: 4}\nservices: {s: {command: b}}\n",
        c="name: x\ndaemon: {exit_when: never}\ndefaults: {nice: 3}\n",
    )
    first = f"{tmp_path}/a.yaml"
    assert [(each.message, each.line) for each in _mistakes(tmp_path, "main.yaml")] == [
        (f"name: already set to another value at {first}:1", 1),
        (f"daemon.exit_when: already set to another value at {first}:2", 2),
        (f"defaults.nice: already set to another value at {first}:3", 3),
        (f"services.s: already declared at {first}:4", 4),
    ]


def test_all_files_are_read_though_some_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"a: 1\nb: \xe4\xf6\n")
    (tmp_path / "large.yaml").write_bytes(b"#" * (files.MAX_BYTES + 1))
    (tmp_path / "loop.yaml").symlink_to("loop.yaml")
    _write(tmp_path, broken="services: [\n", wrong="services: {web: {}}\n")
    found = _mistakes(
        tmp_path,
        "none.yaml",
        "folder.yaml",
        "fifo.yaml",
        "latin.yaml",
        "large.yaml",
        "loop.yaml",
        "broken.yaml",
        "wrong.yaml",
    )
    assert [(os.path.basename(each.file), each.line, each.message) for each in found] == [
        ("broken.yaml", 2, "not YAML: a bracket that closes nothing, or a list that is not closed"),
        ("fifo.yaml", 0, "not a regular file"),
        ("large.yaml", 0, "larger than 4 MB"),
        ("latin.yaml", 2, "not UTF-8: byte 0xe4"),
        ("loop.yaml", 0, "cannot read this file: Too many levels of symbolic links"),
        ("none.yaml", 0, "cannot read this file: No such file or directory"),
        ("wrong.yaml", 1, "services.web: says nothing to run"),
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a child that is not root")
def test_a_file_without_permission(tmp_path: Path) -> None:
    _write(tmp_path, secret="services: {}\n")
    (tmp_path / "secret.yaml").chmod(0)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.fchdir(os.open(tmp_path, os.O_RDONLY))
            os.setuid(12345)
            mistakes: list[Mistake] = []
            assert not list(files.Reading(mistakes, lambda _: None).layers(["secret.yaml"]))
            os.write(writing, mistakes[0].message.encode())
        finally:
            os._exit(0)
    os.close(writing)
    with open(reading) as answered:
        assert answered.read() == "cannot read this file: Permission denied"
    os.waitpid(child, 0)


def test_an_empty_folder(tmp_path: Path) -> None:
    (mistake,) = _mistakes(tmp_path, ".")
    assert mistake == Mistake("no *.yaml, *.yml or *.toml in this folder", "name a file with -c FILE", str(tmp_path))
    _write(tmp_path, a="services: {}\n")
    (tmp_path / "conf.d").mkdir()
    assert _load(tmp_path, "a.yaml", "conf.d").services == {}


def test_a_byte_order_mark_is_no_text(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfservices: {a: {command: x}}\n")
    assert list(_load(tmp_path, "a.yaml").services) == ["a"]


def test_invalid_services_are_left_out_on_request(tmp_path: Path) -> None:
    _write(
        tmp_path,
        a="daemon: {on_invalid: skip-service}\nservices:\n  good: {command: a}\n  bad: {command: a | b}\n"
        "  needs: {command: c, depends_on: bad}\n  far: {command: d, depends_on: needs}\n",
    )
    document = _load(tmp_path, "a.yaml", skip_invalid=True)
    assert list(document.services) == ["good"]
    assert document.notes[0].startswith(f"services.bad is left out: {tmp_path}/a.yaml:4:18: services.bad.command: ")
    assert document.notes[1:] == (
        "services.needs is left out: it depends on bad",
        "services.far is left out: it depends on needs",
    )
    with pytest.raises(InvalidConfig) as caught:
        _load(tmp_path, "a.yaml")
    assert caught.value.on_invalid == "skip-service"


@pytest.mark.parametrize(
    "wrong", ["defaults: {user: [x]}\n", "daemon: {x: y}\n", "servces: {}\n", "x-a: {b: 1, b: 2}\n"]
)
def test_what_is_no_single_services_mistake_is_never_left_out(tmp_path: Path, wrong: str) -> None:
    _write(tmp_path, a=f"{wrong}services: {{a: {{command: a}}}}\n")
    assert len(_mistakes(tmp_path, "a.yaml", skip_invalid=True)) == 1


def test_the_number_of_mistakes_is_bounded(tmp_path: Path) -> None:
    keys = "".join(f"    key{i}: 1\n" for i in range(1000))
    _write(tmp_path, a=f"services:\n  web:\n{keys}")
    found = _mistakes(tmp_path, "a.yaml")
    assert len(found) == 101
    assert found[-1].message == "more mistakes follow; these are the first 100"


def test_the_child_answers_with_the_document_or_all_mistakes(tmp_path: Path) -> None:
    _write(tmp_path, good="services: {a: {command: x}}\n", bad="services: {a: {nice: x, umask: 9}}\n")

    def ask(name: str) -> tuple[int, dict[str, object]]:
        request = json.dumps({"files": [str(tmp_path / name)], "skip_invalid": False, "added_later": 1})
        argv = [sys.executable, "-m", "pserv.config.loader"]
        done = subprocess.run(argv, input=request.encode(), capture_output=True, check=False)
        assert done.stderr == b""
        return done.returncode, json.loads(done.stdout)

    code, reply = ask("good.yaml")
    assert (code, reply["pserv"]) == (0, pserv.__version__)
    document = spec.decode(json.dumps(reply["document"]).encode())
    assert document == _load(tmp_path, "good.yaml")
    code, reply = ask("bad.yaml")
    assert (code, reply["on_invalid"]) == (2, "refuse")
    mistakes = reply["mistakes"]
    assert isinstance(mistakes, list)
    assert [each["line"] for each in mistakes] == [1, 1, 1]


def test_an_answer_is_one_json_object(tmp_path: Path) -> None:
    _write(tmp_path, a="services: {a: {command: x}}\n")
    reply, code = answer(Request(("a.yaml",)), environ={}, cwd=str(tmp_path), uid=0)
    assert code == 0
    assert json.loads(reply).keys() == {"pserv", "document"}
