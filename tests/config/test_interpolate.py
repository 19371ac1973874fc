"""Variables in a text: the forms of compose, what is wrong with others, and the two-step escape of `$`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pserv.config import interpolate
from pserv.config.findings import Wrong
from pserv.rules import instances

SET = {"FOO": "first", "BAR": "", "DOLLAR": "a$b$$c${FOO}", "_9": "nine"}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("", ""),
        ("plain", "plain"),
        ("$FOO", "first"),
        ("${FOO}", "first"),
        ("$FOO-bar", "first-bar"),
        ("$FOO.bar", "first.bar"),
        ("$_9", "nine"),
        ("a${FOO}b$FOO", "afirstbfirst"),
        ("${BAR}", ""),
        ("$${FOO}", "${FOO}"),
        ("$$FOO", "$FOO"),
        ("$$$FOO", "$first"),
        ("$$$$", "$$"),
        ("${NONE:-def}", "def"),
        ("${NONE-def}", "def"),
        ("${BAR:-def}", "def"),
        ("${BAR-def}", ""),
        ("${FOO:-def}", "first"),
        ("${FOO-def}", "first"),
        ("${NONE:-}", ""),
        ("${NONE-}", ""),
        ("${BAR:-/non:-alphanumeric}", "/non:-alphanumeric"),
        ("${NONE-why?not+so}", "why?not+so"),
        ("${NONE:-a b}", "a b"),
        ("${NONE-$FOO}", "first"),
        ("${NONE-${FOO}}", "first"),
        ("${NONE-${FOO} ${FOO}}", "first first"),
        ("${NONE:-${BAR:-${FOO}}}", "first"),
        ("${NONE:-${NEITHER:-x}}y", "xy"),
        ("${NONE:-$$}", "$"),
        ("${NONE:-$$}}", "$}"),
        ("${FOO:?err}", "first"),
        ("${FOO?err}", "first"),
        ("${BAR?err}", ""),
        ("${FOO:?${NONE:?never asked}}", "first"),
        ("${FOO:-${NONE}}", "first"),
        ("${FOO:+other}", "other"),
        ("${FOO+other}", "other"),
        ("${BAR:+other}", ""),
        ("${BAR+other}", "other"),
        ("${NONE:+other}", ""),
        ("${NONE+other}", ""),
        ("${FOO:+${FOO}/$FOO}", "first/first"),
        ("${NONE:+${NEITHER}}", ""),
        ("$DOLLAR", "a$b$$c${FOO}"),
        ("${NONE:-$DOLLAR}", "a$b$$c${FOO}"),
        ("a}b", "a}b"),
        ("{$FOO}", "{first}"),
    ],
)
def test_forms(text: str, filled: str) -> None:
    assert interpolate.final(text, SET.get) == filled
    assert instances.filled(interpolate.template(text, SET.get), {}) == filled


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("$NONE", "NONE is not set", "set NONE in .env or in the environment, or write ${NONE:-default}"),
        ("${NONE}", "NONE is not set", "for a literal $ write $${NONE}"),
        ("$PORT", "PORT is not set", "write ${pserv.port} where the service declares port: 3001, or ${PORT:-3001}"),
        ("$PSERV_RESULT", "PSERV_RESULT is not set", 'write {shell: "…"}'),
        ("${NONE:-$NEITHER}", "NEITHER is not set", "set NEITHER"),
        ("${NONE:?tell me}", "needs NONE: tell me", "set NONE"),
        ("${NONE:?}", "needs NONE, which is not set", "set NONE"),
        ("${NONE?tell $FOO}", "needs NONE: tell first", "set NONE"),
        ("${BAR:?tell me}", "needs BAR: tell me", "set BAR"),
        ("$", "a '$' stands before nothing", "write $$"),
        ("5$", "a '$' stands before nothing", "write $$"),
        ("$5", "a '$' stands before nothing", "write $$"),
        ("$}", "a '$' stands before nothing", "write $$"),
        ("${", "'${' stands before nothing", "write ${NAME}"),
        ("${}", "'${' stands before nothing", "write ${NAME}"),
        ("${ }", "'${' stands before nothing", "write ${NAME}"),
        ("${ FOO}", "'${' stands before nothing", "write ${NAME}"),
        ("${FOO }", "is no form that there is", "${V:-default}"),
        ("${FOO!}", "is no form that there is", "${V:-default}"),
        ("${FOO:}", "is no form that there is", "${V:-default}"),
        ("${FOO:=x}", "is no form that there is", "${V:-default}"),
        ("${FOO", "without its '}'", "$${"),
        ("${FOO:-x", "without its '}'", "close it"),
        ("${FOO:-${BAR}", "without its '}'", "close it"),
        ("${pserv.port", "without its '}'", "close it"),
        ("${FOO.bar}", "there is no ${FOO.bar}", "${pserv.instance}"),
        ("$(date)", "only a shell understands", "or $$( for a literal"),
    ],
)
def test_what_is_wrong(text: str, message: str, hint: str) -> None:
    for fill in (interpolate.template, interpolate.final):
        with pytest.raises(Wrong) as caught:
            fill(f"before {text}", SET.get)
        assert message in caught.value.message
        assert hint in caught.value.hint


def test_own_facts_are_left_for_each_instance() -> None:
    made = interpolate.template("$FOO ${pserv.port} $${pserv.port} $DOLLAR ${NONE:-${pserv.index}}", SET.get)
    assert instances.filled(made, {"port": "80", "index": "0"}) == "first 80 ${pserv.port} a$b$$c${FOO} 0"
    value = interpolate.template("$SLY", {"SLY": "${pserv.port}"}.get)
    assert instances.filled(value, {"port": "80"}) == "${pserv.port}"


@given(st.text("${}:-?+$ab.p"))
def test_any_text_is_filled_or_refused(text: str) -> None:
    look = {"a": "1", "b": ""}.get
    try:
        filled = interpolate.final(text, look)
    except Wrong:
        with pytest.raises(Wrong):
            interpolate.template(text, look)
    else:
        assert instances.filled(interpolate.template(text, look), {}) == filled


@given(st.text())
def test_what_is_escaped_is_meant_literally(text: str) -> None:
    assert interpolate.final(text.replace("$", "$$"), SET.get) == text
    assert interpolate.final("${V}", {"V": text}.get) == text


def test_a_text_that_grows_without_end_is_refused() -> None:
    values = {"V": "x" * 10_000}
    with pytest.raises(Wrong, match="longer than a million"):
        interpolate.template("$V" * 200, values.get)


def test_deep_defaults_end_with_a_message() -> None:
    text = "${A:-" * 5000 + "x" + "}" * 5000
    with pytest.raises(Wrong, match="deep"):
        interpolate.template(text, SET.get)
