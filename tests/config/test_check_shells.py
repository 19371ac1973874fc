"""A `$$` that stands in the text of a shell as in files of compose is told; one that is a pid is not."""

from __future__ import annotations

import pytest

from pserv.config import check_shells
from pserv.model.hooks import Hook, Hooks, Reload
from pserv.model.spec import ServiceSpec


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("echo $$HOME", "$HOME"),
        ("echo $$_x/a", "$_x"),
        ('echo "a$${X:-b}c"', "${X:-b}"),
        ("i=$$((i + (1)))", "$((i + (1)))"),
        ("a $$(date) $$B", "$(date)"),
        ("""it="don't"; echo $$A""", "$A"),
        (r"echo \$$$B", "$B"),
        ("echo $$ $$B", "$B"),
        ("a=$${B", "${…"),
        ("kill $$", None),
        ("echo > /tmp/x.$$.log $$1 $$$$", None),
        ("perl -e 'print $$x'", None),
        (r"echo \$\$HOME \\$HOME", None),
        (r"echo \$$HOME", None),
        ("echo ${HOME} $HOME", None),
    ],
)
def test_what_is_told(text: str, written: str | None) -> None:
    told = [f"$$ is sh's own pid here: the text of shell is left alone; write {written}"] if written else []
    assert [message for _, message in check_shells.notes(ServiceSpec(shell=text))] == told


def test_a_long_text_is_read_in_its_length() -> None:
    assert not list(check_shells.notes(ServiceSpec(shell="$$ " * 50_000)))


def test_of_every_shell_of_a_service() -> None:
    hooks = Hooks(post_stop=(Hook(command=("a", "$$B")), Hook(shell="echo $$B")))
    spec = ServiceSpec(shell="a $$B", hooks=hooks, reload=Reload(shell="kill $$B"))
    assert [option for option, _ in check_shells.notes(spec)] == ["shell", "hooks.post_stop", "reload"]
    assert not list(check_shells.notes(ServiceSpec(command=("a", "$$B"))))
