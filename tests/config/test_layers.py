"""What stands over what: later files, overrides, includes, `extends`, groups and profiles; one rule for all."""

from __future__ import annotations

from pathlib import Path

import pytest

from pserv.config.loader import load
from pserv.model.mistakes import InvalidConfig, Mistake
from pserv.model.spec import Document
from pserv.rules import instances


def put(folder: Path, **contents: str) -> None:
    for name, text in contents.items():
        path = folder / f"{name.replace('__', '/')}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def read(folder: Path, *paths: str, profiles: tuple[str, ...] = ()) -> Document:
    return load(paths or ["pserv.yaml"], environ={}, cwd=str(folder), uid=0, profiles=profiles)


def mistakes(folder: Path, *paths: str, profiles: tuple[str, ...] = ()) -> list[str]:
    with pytest.raises(InvalidConfig) as caught:
        read(folder, *paths, profiles=profiles)
    return [told(each, folder) for each in caught.value.mistakes]


def told(mistake: Mistake, folder: Path) -> str:
    return f"{mistake.file}:{mistake.line}: {mistake.message}".replace(f"{folder}/", "")


BASE = """
daemon: {shutdown_timeout: 5s, exit_when: never}
defaults: {nice: 1, env: {D: d}}
services:
  web:
    command: serve --all
    tags: [front]
    env: {A: a, B: b}
    health: {http: {path: /health, port: 80}, interval: 5s}
    depends_on: [db]
    stop: {signal: INT, timeout: 3s}
  db: {command: db}
"""


def test_a_later_file_is_laid_over(tmp_path: Path) -> None:
    put(
        tmp_path,
        base=BASE,
        dev="daemon: {exit_when: all-done}\ndefaults: {env: {E: e}}\nservices:\n  new: {command: n}\n"
        "  web: {shell: 'serve | tee', env: {B: over}, health: {interval: 1s},"
        " tags: [dev], depends_on: {db: started}}\n",
    )
    document = read(tmp_path, "base.yaml", "dev.yaml")
    web = document.services["web"]
    assert list(document.services) == ["web", "db", "new"]
    assert (document.daemon.exit_when, document.daemon.shutdown_timeout) == ("all-done", 5)
    assert (web.command, web.shell) == (None, "serve | tee")
    assert web.env == {"D": "d", "E": "e", "A": "a", "B": "over"}
    assert web.health is not None
    assert web.health.http is not None
    assert (web.health.http.path, web.health.interval) == ("/health", 1)
    assert web.tags == ("dev",)
    assert web.depends_on["db"].condition == "started"
    assert (web.stop.signal, web.stop.timeout, web.nice) == (2, 3, 1)
    assert document.services["new"].nice == 1


def test_variables_of_all_services(tmp_path: Path) -> None:
    """Below `defaults`, below what is extended, below a service's own; of several files as everything else."""
    put(
        tmp_path,
        pserv="include: [more.yaml]\nenv: {A: top, B: top, C: top, I: 'i${pserv.index}'}\n"
        "defaults: {env: {B: defaults}}\nservices:\n  web: {command: w, env: {C: own}}\n"
        "  api: {extends: web, env: {D: api}}\n"
        "  alone: {command: a, env: !replace {A: alone}}\n",
        more="env: [E=more, A=top]\n",
        dev="env: {E: dev}\n",
        none="env: !replace {E: none}\n",
    )
    below = {"A": "top", "B": "defaults", "C": "own", "E": "dev"}
    document = read(tmp_path, "pserv.yaml", "dev.yaml")
    specs = instances.expand(document.services)
    web, api = (dict(specs[name].env) for name in ("web", "api"))
    assert web == {**below, "I": "i0"}
    assert api == {**below, "I": "i0", "D": "api"}
    assert document.services["alone"].env == {"A": "alone"}
    assert read(tmp_path, "pserv.yaml", "none.yaml").services["web"].env == {"E": "none", "B": "defaults", "C": "own"}
    put(tmp_path, more="env: {A: other}\n")
    assert mistakes(tmp_path) == ["more.yaml:1: env.A: already set to another value at pserv.yaml:2"]


def test_the_override_beside_the_main_file(tmp_path: Path) -> None:
    put(tmp_path, pserv=BASE, **{"pserv.override": "services: {db: {nice: 7}}", "other.override": "nonsense"})
    assert read(tmp_path).services["db"].nice == 7
    put(tmp_path, more="services: {db: {nice: 9}}", other="services: {db: {command: x}}")
    assert read(tmp_path, "pserv.yaml", "more.yaml").services["db"].nice == 9
    assert read(tmp_path, "other.yaml").services["db"].nice is None


def test_marks_of_lists_and_mappings(tmp_path: Path) -> None:
    put(
        tmp_path,
        base=BASE,
        over="services: {web: {tags: !append [dev], env: !replace {ONLY: 1}, depends_on: !append [cache],"
        " stop: !replace {timeout: 9s}}, cache: {command: c}}",
        more="services: {web: {env: {MORE: 1}, tags: !append [last]}}",
    )
    web = read(tmp_path, "base.yaml", "over.yaml", "more.yaml").services["web"]
    assert web.tags == ("front", "dev", "last")
    assert web.env == {"ONLY": "1", "MORE": "1"}
    assert list(web.depends_on) == ["db", "cache"]
    assert (web.stop.signal, web.stop.timeout) == (15, 9)


def test_a_mark_where_there_is_nothing_below(tmp_path: Path) -> None:
    put(tmp_path, pserv="services: {a: {command: a, tags: !append [x], env: !replace {A: 1}, depends_on: !append []}}")
    a = read(tmp_path).services["a"]
    assert (a.tags, a.env, a.depends_on) == (("x",), {"A": "1"}, {})
    assert type(a.tags) is tuple


def test_marks_that_do_not_fit(tmp_path: Path) -> None:
    put(tmp_path, pserv="services:\n  a:\n    command: a\n    env: !append {A: 1}\n    tags: !other [x]\n")
    assert mistakes(tmp_path) == [
        "pserv.yaml:4: services.a.env: !append goes with a list",
        "pserv.yaml:5: the tag !other has no meaning here",
    ]


def test_included_files_stand_side_by_side(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="include: [apps, 'more/*.yaml', one.yaml, 'none/*.yaml']\nservices: {main: {command: m}}",
        apps__b="services: {b: {command: ./b}}",
        apps__a="include: ../deep.yaml\nservices: {a: {command: a}}",
        deep="services: {deep: {command: d}}",
        more__c="services: {c: {command: c}}",
        one="include: pserv.yaml\nservices: {one: {command: o}}",
    )
    document = read(tmp_path)
    assert list(document.services) == ["main", "a", "deep", "b", "c", "one"]
    assert document.services["b"].argv == (f"{tmp_path}/apps/b",)
    assert [Path(file.path).stem for file in document.files] == ["pserv", "a", "deep", "b", "c", "one"]
    put(tmp_path, one="services: {c: {command: again}}")
    assert mistakes(tmp_path) == ["one.yaml:1: services.c: already declared at more/c.yaml:1"]


def test_all_mistakes_of_all_files_at_once(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="include:\n- none.yaml\n- {a: b}\n- bad.yaml\nservices: {a: {comand: x}}",
        bad="services: {b: {restart: somtimes, command: b}}",
    )
    assert [each.partition(" ")[0] for each in mistakes(tmp_path)] == [
        "bad.yaml:1:", "pserv.yaml:2:", "pserv.yaml:3:", "pserv.yaml:5:",
    ]  # fmt: skip


def test_extends(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="defaults: {nice: 2, umask: 022}\nservices:\n"
        "  api: {extends: base, args: [api], profiles: [], env: {B: 2}}\n"
        "  far: {extends: {service: worker, file: lib/common.yaml}, env: {C: 3}}\n"
        "  base: {exec: run, args: [base], env: {A: 1, B: 1}, nice: 5, profiles: [never], tags: [t]}\n",
        lib__common="defaults: {nice: 9}\nservices:\n  worker: {extends: parent, cwd: here, name: worker}\n"
        "  parent: {command: ./work, env: {P: 1}}\n",
    )
    document = read(tmp_path)
    api, far = document.services["api"], document.services["far"]
    assert list(document.services) == ["api", "far"]
    assert (api.argv, api.env, api.nice, api.umask, api.tags) == (("run", "api"), {"A": "1", "B": "2"}, 5, 0o22, ("t",))
    assert (far.argv, far.cwd) == ((f"{tmp_path}/lib/work",), f"{tmp_path}/lib/here")
    assert (far.env, far.nice) == ({"P": "1", "C": "3"}, 2)
    assert [Path(file.path).name for file in document.files] == ["pserv.yaml", "common.yaml"]
    assert api.extends is None


def test_mistakes_of_extends(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="services:\n  a: {command: a, extends: bse}\n  base: {command: b}\n  x: {command: x, extends: y}\n"
        "  y: {extends: z}\n  z: {extends: x}\n  s: {command: s, extends: s}\n"
        "  f: {command: f, extends: {service: q, file: none.yaml}}\n  e: {command: e, extends: {file: p.yaml}}\n",
        p="services: {}",
    )
    found = mistakes(tmp_path)
    assert any("there is no service 'bse'" in each for each in found)
    assert any("extend each other: x -> y -> z -> x" in each for each in found)
    assert any("extend each other: s -> s" in each for each in found)
    assert any("none.yaml" in each and "No such file" in each for each in found)
    assert any("services.e.extends" in each and "service" in each for each in found)


def test_a_mistake_in_what_is_extended_is_told_where_it_stands(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="services:\n  a: {extends: {service: b, file: p.yaml}}\n",
        p="services:\n  b: {command: b, user: nobody-at-all}\n",
    )
    assert mistakes(tmp_path) == ["p.yaml:2: services.a.user: there is no user 'nobody-at-all' on this machine"]


def test_groups_are_tags(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="groups: {back: [db, 'work*'], all: '*'}\nservices: {db: {command: d, tags: x}, work1: {command: w}}",
    )
    assert {name: spec.tags for name, spec in read(tmp_path).services.items()} == {
        "db": ("x", "back", "all"), "work1": ("back", "all"),
    }  # fmt: skip
    put(tmp_path, pserv="groups: {back: [dv]}\nservices: {db: {command: d}}")
    assert mistakes(tmp_path) == ["pserv.yaml:1: groups.back: there is no service 'dv'"]


PROFILES = """
services:
  web: {command: w}
  debug: {command: d, profiles: [dev, test]}
  mock: {command: m, profiles: test, depends_on: [debug, web]}
"""


@pytest.mark.parametrize(
    ("profiles", "services"),
    [
        ((), ["web"]),
        (("dev",), ["web", "debug"]),
        (("test",), ["web", "debug", "mock"]),
        (("*",), ["web", "debug", "mock"]),
    ],
)
def test_profiles(tmp_path: Path, profiles: tuple[str, ...], services: list[str]) -> None:
    put(tmp_path, pserv=PROFILES)
    document = read(tmp_path, profiles=profiles)
    assert list(document.services) == services
    assert document.profiles == profiles
    assert document.left_out.keys() == {"web", "debug", "mock"} - set(services)
    assert all(not spec.profiles for spec in document.services.values())


def test_profiles_from_the_environment(tmp_path: Path) -> None:
    put(tmp_path, pserv=PROFILES)
    document = load(["pserv.yaml"], environ={"PSERV_PROFILES": "dev,other"}, cwd=str(tmp_path), uid=0)
    assert (list(document.services), document.profiles) == (["web", "debug"], ("dev", "other"))


def test_a_dependency_on_another_profile(tmp_path: Path) -> None:
    put(tmp_path, pserv="services: {a: {command: a, depends_on: b}, b: {command: b, profiles: x}}")
    assert mistakes(tmp_path) == ["pserv.yaml:1: services.a.depends_on.b: 'b' is declared only with profile x"]
    put(tmp_path, pserv="services: {a: {command: a, depends_on: {b: {required: false}}}, b: {command: b, profiles: x}}")
    assert "declared only with profile x, so it is not waited for" in read(tmp_path).notes[0]


def test_what_is_a_services_own_is_no_default(tmp_path: Path) -> None:
    put(tmp_path, pserv="defaults: {extends: a, profiles: [x]}\nservices: {a: {command: a}}")
    assert len(mistakes(tmp_path)) == 2


def test_a_shared_mapping_is_not_changed_by_who_inherits_it(tmp_path: Path) -> None:
    put(
        tmp_path,
        pserv="x-env: &env {A: 1}\ngroups: {g: one}\nservices:\n"
        "  one: &one {command: a, env: *env, tags: [t]}\n  two: *one\n  three: {extends: one, env: {A: 2}}\n",
    )
    made = instances.expand(read(tmp_path).services)
    assert [made[name].env["A"] for name in ("one", "two", "three")] == ["1", "1", "2"]
    assert [made[name].tags for name in ("one", "two", "three")] == [("t", "g"), ("t",), ("t",)]
