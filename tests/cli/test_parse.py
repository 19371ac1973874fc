"""Command lines as users type them, and the table they are read by."""

from __future__ import annotations

import importlib
import inspect

import pytest

from pserv.cli import help as help_page
from pserv.cli.command import Command
from pserv.cli.parse import VALUED, options_of, parse
from pserv.cli.table import COMMANDS
from pserv.model.errors import ExitCode, UsageError

VISIBLE = [command for command in COMMANDS if command.group]


def test_options_may_stand_anywhere() -> None:
    for line in ("logs -f -n 20 web", "logs web -fn20", "logs -n20 web --follow", "logs --lines=20 -f -- web"):
        arguments = parse(line.split())
        assert (arguments.verb, arguments.words) == ("logs", ["web"])
        assert arguments.flag("follow")
        assert arguments.count("lines", 10) == 20


def test_common_options_may_come_before_the_command() -> None:
    arguments = parse(["-c", "a.yaml", "status", "--config=b.yaml", "--json"])
    assert arguments.texts("config") == ["a.yaml", "b.yaml"]
    assert arguments.flag("json")


@pytest.mark.parametrize(
    ("text", "meant"),
    [("warning", "warning"), ("warn", "warning"), ("ERR", "error"), ("crit", "critical"), ("Info", "info")],
)
def test_a_choice_may_be_shortened(text: str, meant: str) -> None:
    assert parse(["logs", "--level", text]).values["level"] == meant


@pytest.mark.parametrize("line", ["logs --level loud", "logs --level=", "wait web --for s"])
def test_a_choice_that_may_be_none_or_several_is_refused(line: str) -> None:
    with pytest.raises(UsageError, match=r"is one of .*, not '(loud|s|)'"):
        parse(line.split())


def test_after_two_dashes_nothing_is_an_option() -> None:
    assert parse(["status", "--", "-f"]).words == ["-f"]


@pytest.mark.parametrize(
    "line",
    ["exec web -- git checkout -f -- a", "exec web git checkout -f -- a", "exec --json web -- git checkout -f -- a"],
)
def test_exec_hands_its_command_on_untouched(line: str) -> None:
    assert parse(line.split()).words == ["web", "git", "checkout", "-f", "--", "a"]


def test_exec_reads_its_own_options_after_the_name() -> None:
    arguments = parse(["exec", "web", "--timeout", "5s", "--", "ls"])
    assert arguments.words == ["web", "ls"]
    assert arguments.seconds("timeout") == 5.0


def test_times_are_read_as_in_the_configuration() -> None:
    assert parse(["start", "web", "--timeout", "1m"]).seconds("timeout") == 60.0


@pytest.mark.parametrize(
    ("line", "told", "hint"),
    [
        ("statsu", "cannot run 'statsu': there is no such command", "did you mean status?"),
        ("qqq", "cannot run 'qqq': there is no such command", "pserv --help"),
        ("status --jsno", "cannot run pserv status: there is no option --jsno", "did you mean --json?"),
        ("status -x", "cannot run pserv status: there is no option -x", "pserv status --help"),
        ("logs -n", "cannot read the command line of pserv logs: -n wants a value", "pserv logs --help"),
        ("logs -n x", "cannot read the command line of pserv logs: --lines wants a number, not 'x'", ""),
        ("status --json=1", "cannot read the command line of pserv status: --json takes no value", ""),
        (
            "wait --for redy",
            "--for is one of ready, healthy, stopped, done, settled, rolled, not 'redy'",
            "did you mean ready?",
        ),
        ("start --timeout soon", "cannot read the command line of pserv start: --timeout: 'soon'", "10s"),
        ("why", "cannot read the command line of pserv why: it wants NAME …", "pserv why --help"),
        (
            "check web.yaml",
            "cannot read the command line of pserv check: it takes no 'web.yaml'",
            "named with -c: -c web",
        ),
        ("exec web", "cannot read the command line of pserv exec: it wants NAME -- COMMAND …", ""),
    ],
)
def test_mistakes_are_told_with_what_to_type(line: str, told: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line.split())
    assert told in caught.value.message
    assert hint in caught.value.hint
    assert caught.value.exit_code is ExitCode.USAGE


def test_help_wins_over_missing_words() -> None:
    assert parse(["why", "--help"]).flag("help")


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_names_a_function_that_takes_arguments(command: Command) -> None:
    module, _, function = command.run.partition(":")
    found = getattr(importlib.import_module(f"pserv.cli.{module}"), function)
    assert list(inspect.signature(found).parameters) == ["arguments"]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_option_is_told_and_unambiguous(command: Command) -> None:
    options = options_of(command)
    assert len({option.name for option in options}) == len(options)
    shorts = [option.short for option in options if option.short]
    assert len(set(shorts)) == len(shorts)
    for option in options:
        assert option.text
        assert option.kind in (*VALUED, "flag")
        assert bool(option.metavar) is (option.kind in VALUED)
        assert bool(option.choices) is (option.kind == "choice")


@pytest.mark.parametrize("command", VISIBLE, ids=lambda command: command.name)
def test_every_command_has_a_group_and_examples_that_parse(command: Command) -> None:
    assert command.group in help_page.GROUPS
    for example, _ in help_page.EXAMPLES[command.name]:
        at = example.index("pserv ")
        words = example[at:].replace(")", "").replace("'", "").split()[1:]
        end = next((i for i, word in enumerate(words) if word in ("|", "<", "&&")), len(words))
        assert parse(words[:end]).verb in {command.name} | {"upgrade"} or "&&" in example
