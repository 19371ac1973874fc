"""From one spec a service to one an instance: names, facts, ports, edges; and what a change of the number touches."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pserv.model.needs import Need
from pserv.model.probe import Health, Http, Ready, Tcp
from pserv.model.spec import Document, ServiceSpec
from pserv.rules import instances, reload
from pserv.rules.instances import Scale
from pserv.rules.selection import select
from tests.config.specs import WORDS, services

WEB = ServiceSpec(
    exec="/srv/${pserv.service}",
    args=("--port=${pserv.port}", "${pserv.name}", "$${pserv.port}", "${HOME}", "${pserv.unknown}", "$PORT", "100%$"),
    env={"ID": "${pserv.instance}/${pserv.index}"},
    cwd="/run/${pserv.name}",
    stdout="/log/${pserv.instance}.log",
    shell=None,
    description="${pserv.name}",
    instances=2,
    port=3001,
)


def test_each_instance_gets_its_own_facts() -> None:
    made = instances.expand({"web": WEB})
    assert list(made) == ["web:1", "web:2"]
    second = made["web:2"]
    assert second.exec == "/srv/web"
    assert second.args == ("--port=3002", "web:2", "${pserv.port}", "${HOME}", "${pserv.unknown}", "$PORT", "100%$")
    assert second.env == {"ID": "2/1"}
    assert (second.cwd, second.stdout, second.port) == ("/run/web:2", "/log/2.log", 3002)
    assert second.description == "${pserv.name}"
    assert second.instances is None


def test_a_service_without_instances_keeps_its_name_and_its_spec() -> None:
    plain = ServiceSpec(exec="a", args=("${HOME}", "$"))
    assert instances.expand({"db": plain})["db"] is plain
    facts = replace(plain, args=("${pserv.name}", "${pserv.instance}", "$${pserv.index}"))
    assert instances.expand({"db": facts})["db"].args == ("db", "1", "${pserv.index}")


def test_the_text_of_a_shell_is_left_alone() -> None:
    spec = ServiceSpec(shell="echo ${pserv.instance}", instances=1)
    assert instances.expand({"a": spec})["a:1"].shell == spec.shell


def test_probes_ask_at_the_port_of_their_instance() -> None:
    ready, health = Ready(http=Http(path="/${pserv.index}")), Health(tcp=Tcp())
    made = instances.expand({"web": replace(WEB, ready=ready, health=health)})["web:2"]
    assert made.ready == Ready(http=Http(path="/1", port=3002))
    assert made.health == Health(tcp=Tcp(port=3002))
    fixed = instances.expand({"web": replace(WEB, ready=Ready(tcp=Tcp(port=80)))})["web:2"]
    assert fixed.ready == Ready(tcp=Tcp(port=80))


def test_an_edge_means_every_instance() -> None:
    need = Need(condition="healthy")
    app = ServiceSpec(exec="a", depends_on={"db": Need(), "web": need, "none": Need()})
    services = {"app": app, "db": ServiceSpec(exec="d"), "web": WEB, "none": replace(WEB, instances=0)}
    assert instances.expand(services)["app"].depends_on == {"db": Need(), "web:1": need, "web:2": need}


def test_a_scale_holds_until_a_configuration_says_otherwise() -> None:
    scales = {"web": Scale(4, declared=2)}
    assert len(instances.expand({"web": WEB}, scales)) == 4
    assert len(instances.expand({"web": replace(WEB, instances=3)}, scales)) == 3
    assert instances.lasting(scales, {"web": replace(WEB, env={"NEW": "1"})}) == scales
    assert instances.lasting(scales, {"web": replace(WEB, instances=3)}) == {}
    assert instances.lasting(scales, {"web": replace(WEB, instances=None)}) == {}
    assert instances.lasting(scales, {}) == {}
    assert instances.lasting({"web": Scale(2, declared=2)}, {"web": WEB}) == {}


@pytest.mark.parametrize(
    ("changes", "wanted", "reason"),
    [
        ({}, 5, None),
        ({}, 0, None),
        ({"instances": None}, 2, "declares no instances"),
        ({"port": 65530}, 7, "port 65536"),
        ({"port": 65530}, 6, None),
        ({"stdout": "/log/web.log"}, 2, "/log/web.log would be written by 2 instances"),
        ({"stdout": "/log/web.log"}, 1, None),
        ({"stdout": "/dev/stdout"}, 2, None),
        ({"stderr": "/log/${pserv.service}.err"}, 2, "would be written by 2"),
        ({"port": None}, 10_001, "more than 10000"),
    ],
)
def test_what_is_no_scale(changes: dict[str, object], wanted: int, reason: str | None) -> None:
    refused = instances.refused("web", msgspec.convert({**msgspec.structs.asdict(WEB), **changes}, ServiceSpec), wanted)
    assert refused is None if reason is None else refused is not None and reason in refused[0]


def test_the_highest_stop_first_and_siblings_stand_together() -> None:
    assert instances.falling(["web:1", "web:10", "web:2", "api:1"]) == ["api:1", "web:10", "web:2", "web:1"]
    specs = dict.fromkeys(["web:3", "gone", "web:1", "db", "web:2"], WEB)
    assert list(instances.together(specs)) == ["web:1", "web:2", "web:3", "gone", "db"]


def test_names_on_the_command_line() -> None:
    services = {"web": replace(WEB, tags=("front",)), "db": ServiceSpec(exec="d"), "none": replace(WEB, instances=0)}
    specs = instances.expand(services)
    assert select(["web"], specs, services) == ["web:1", "web:2"]
    assert select(["web:2"], specs, services) == ["web:2"]
    assert select(["@front"], specs, services) == ["web:1", "web:2"]
    assert select(["w?b"], specs, services) == ["web:1", "web:2"]
    assert select(["*:2"], specs, services) == ["web:2"]
    assert select(["none"], specs, services) == []
    with pytest.raises(Exception, match="cannot find web:3"):
        select(["web:3"], specs, services)


def steps(old: ServiceSpec, new: ServiceSpec) -> dict[str, str]:
    before, after = (Document(name="d", root="/", services=instances.expand({"web": spec})) for spec in (old, new))
    return {step.service: step.action for step in reload.diff(before, after) if step.action != "unchanged"}


@given(services(), st.integers(0, 5), st.integers(0, 5), st.integers(1, 60_000))
def test_another_number_touches_only_what_comes_and_what_goes(spec: ServiceSpec, old: int, new: int, port: int) -> None:
    before, after = (
        replace(spec, instances=old, port=port, depends_on={}),
        replace(spec, instances=new, port=port, depends_on={}),
    )
    come = {f"web:{number}": "add" for number in range(old + 1, new + 1)}
    gone = {f"web:{number}": "remove" for number in range(new + 1, old + 1)}
    assert steps(before, after) == come | gone


@given(services(), st.integers(1, 9))
def test_no_two_instances_share_a_name_and_none_asks_any_more(spec: ServiceSpec, number: int) -> None:
    asking = replace(spec, exec="a", args=("${pserv.name}",), command=None, shell=None, instances=number, port=1)
    made = instances.expand({"web": asking})
    assert len({each.argv for each in made.values()}) == len(made) == number
    assert not any(instances.asked_for(each.argv) & set(instances.FACTS) for each in made.values())


@given(WORDS, st.dictionaries(st.sampled_from(instances.FACTS), st.text("abc", max_size=3)))
def test_text_without_facts_stays_as_it_is(text: str, values: dict[str, str]) -> None:
    assert instances.filled(text, values) == text
    assert instances.filled(f"${text}|$", values) == f"${text}|$"
    assert instances.filled(f"$${text}$$", values) == f"${text}$"


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("${pserv.port}", "80"),
        ("a${pserv.port}b${pserv.port}", "a80b80"),
        ("$$${pserv.port}", "$80"),
        ("$$$${pserv.port}", "$${pserv.port}"),
        ("${pserv.port", "${pserv.port"),
        ("${pserv.}", "${pserv.}"),
        ("${pserv.port:-1}", "${pserv.port:-1}"),
        ("$${pserv.port}${pserv.port}", "${pserv.port}80"),
    ],
)
def test_replacing(text: str, filled: str) -> None:
    assert instances.filled(text, {"port": "80"}) == filled
