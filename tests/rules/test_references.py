"""What a service gets of what it refers to, and what of that is hidden: for any texts."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st

from pserv.model.secrets import EnvFile, Secret, Values
from pserv.model.spec import ServiceSpec
from pserv.rules import instances, references
from pserv.rules.secrecy import MASK

NAMES = st.text(string.ascii_uppercase, min_size=1, max_size=4)
TEXTS = st.text(max_size=12)


def spec(env: dict[str, str], secrets: dict[str, Secret] | None = None, **more: object) -> ServiceSpec:
    made = ServiceSpec(exec="web", env=env, secrets=secrets or {}, **more)  # type: ignore[arg-type]
    return instances.instance("web", made)


def test_env_stands_over_files_and_files_over_each_other() -> None:
    values = Values((("A", "1", "a:1"), ("B", "2", "a:2"), ("B", "3", "b:1"), ("PORT", "1", "a:3")))
    made = references.filled("web", spec({"A": "own"}, env_file=(EnvFile("/a"),)), values, "/run")
    assert made.env == {"A": "own", "B": "3", "PORT": "1"}
    made = references.filled("web", spec({}, port=80, env_file=(EnvFile("/a"),)), values, "/run")
    assert made.env == {"A": "1", "B": "3"}


def test_ways_of_delivery() -> None:
    secrets = {
        "KEY": Secret(env="X"),
        "FILE": Secret(env="Y", deliver="file"),
        "PLACE": Secret(env="Y", deliver="file", path="/run/app/place"),
        "PART": Secret(env="Z", deliver="none"),
    }
    values = Values(secrets={"KEY": "k\n", "FILE": "f\n", "PLACE": "p", "PART": "p\r\n"})
    made = references.filled(
        "web:2", spec({"URL": "u:${secrets.PART}@${secrets.KEY}"}, secrets), values, "/run/secrets"
    )
    assert made.env == {
        "URL": "u:p@k",
        "KEY": "k",
        "FILE_FILE": "/run/secrets/web:2/FILE",
        "PLACE_FILE": "/run/app/place",
    }


@given(
    st.lists(st.one_of(NAMES.map(lambda name: f"${{secrets.{name}}}"), st.just("$${secrets.A}"), st.just("$$"), NAMES))
)
def test_references_are_filled_and_nothing_else(parts: list[str]) -> None:
    """`$$` is a `$`, also before what then looks like a reference."""
    named = [part[10:-1] for part in parts if part.startswith("${")]
    values = Values(secrets={name: f"<{name}${{secrets.B}}>" for name in named})
    secrets = {name: Secret(env="X", deliver="none") for name in named}
    made = references.filled("web", spec({"V": "".join(parts)}, secrets), values, "/run")
    wanted = "".join(
        values.secrets[part[10:-1]] if part.startswith("${") else part.replace("$$", "$") for part in parts
    )
    assert made.env["V"] == wanted
    assert list(references.asked_for("".join(parts))) == named


@given(st.dictionaries(NAMES, TEXTS), st.dictionaries(NAMES, TEXTS), st.dictionaries(NAMES, TEXTS))
def test_differences_name_and_never_show(old: dict[str, str], new: dict[str, str], env: dict[str, str]) -> None:
    before, after = (
        Values(tuple((name, value, "f:1") for name, value in each.items()), {"KEY": str(len(each))})
        for each in (old, new)
    )
    service = spec(env, {"KEY": Secret(env="X")}, env_file=(EnvFile("/f"),))
    found = references.changed(service, before, after)
    given_before, given_after = (references.filled("web", service, each, "").env for each in (before, after))
    assert bool(found) is (given_before != given_after)
    assert references.changed(service, before, before) == ()
    for text in found:
        assert text.split()[0] in ("env_file:", "secret")
        assert text.split()[-1] in ("added", "removed", "changed")


SECRETS = st.text(string.ascii_letters + "-_/+=", min_size=references.SHORTEST, max_size=80)


@given(SECRETS, TEXTS, TEXTS)
def test_a_value_is_hidden_wherever_it_stands(value: str, before: str, after: str) -> None:
    shown = references.hidden(f"{before}{value}{after}", [Values(secrets={"KEY": f"{value}\n"})])
    assert value not in shown
    assert MASK in shown


@given(SECRETS.filter(lambda value: len(value) > 12), st.integers(references.SHORTEST, 12), st.booleans())
def test_what_was_cut_off_is_hidden(value: str, length: int, at_end: bool) -> None:
    cut = f"got {value[:length]}" if at_end else f"exit code 1: …{value[-length:]} (rest)"
    shown = references.hidden(cut, [Values(secrets={"KEY": value})])
    assert shown == ("got ***" if at_end else "exit code 1: …*** (rest)")


def test_lines_of_a_value_and_what_is_too_short() -> None:
    key = "-----BEGIN KEY-----\nMIIEpAIBAAKCAQEA\nab\n-----END KEY-----\n"
    values = [
        Values((("MODE", "production", "f:1"), ("DEBUG", "true", "f:2"), ("API_KEY", "abcd", "f:3")), {"KEY": key})
    ]
    for line in ("MIIEpAIBAAKCAQEA", "in production", "with abcd"):
        assert MASK in references.hidden(line, values)
    for line in ("ab true", "debug"):
        assert references.hidden(line, values) == line
