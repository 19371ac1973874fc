"""What a service gets, variable by variable with where it comes from, beside what the running one got."""

from __future__ import annotations

from pserv.model.spec import ServiceSpec
from pserv.model.status import Placed
from pserv.supervisor.record import Record
from pserv.supervisor.variables import Values, expected, variables
from tests.world import PLACES

DAEMON = {"PATH": "/bin", "LANG": "C", "EDITOR": "ed", "NOTIFY_SOCKET": "/x", "PORT": "1"}
WRITTEN = {"env.A": Placed("pserv.yaml:3"), "env.B": Placed("pserv.yaml:4, X from .env:1", secret=True)}


def test_later_ones_win_and_what_speaks_to_the_daemon_is_not_inherited() -> None:
    spec = ServiceSpec(exec="x", env={"A": "a", "LANG": "de"}, port=80)
    values = expected("web:2", spec, {**WRITTEN, "port": Placed("pserv.yaml:2")}, DAEMON, Record(), PLACES)
    told = {name: (value, placed.at) for name, (value, placed) in values.items()}
    assert told == {
        "PATH": ("/bin", "inherited from the daemon"),
        "EDITOR": ("ed", "inherited from the daemon"),
        "LANG": ("de", "env"),
        "PORT": ("80", "port, pserv.yaml:2"),
        "A": ("a", "pserv.yaml:3"),
        "PSERV_SERVICE": ("web", "set by Pserv"),
        "PSERV_INSTANCE": ("2", "set by Pserv"),
        "PSERV_INDEX": ("1", "set by Pserv"),
    }


def test_another_user_inherits_little_and_has_a_home() -> None:
    values = expected("web", ServiceSpec(exec="x", user="app", env={"HOME": "/srv"}), {}, DAEMON, Record(), PLACES)
    assert {name for name, (_, placed) in values.items() if placed.at == "inherited from the daemon"} == {
        "PATH",
        "LANG",
    }
    assert values["SHELL"] == (None, Placed("of user app"))
    assert values["HOME"] == ("/srv", Placed("env"))


def test_what_differs() -> None:
    values: Values = {
        "SAME": ("1", Placed("env")),
        "NEW": ("n", Placed("a.yaml:1")),
        "A": ("2", Placed("a.yaml:2")),
        "DB_PASSWORD": ("canary1", Placed("a.yaml:3")),
        "B": ("canary2", Placed("a.yaml:4", secret=True)),
        "HOME": (None, Placed("of user app")),
    }
    running = {"SAME": "1", "A": "1", "DB_PASSWORD": "canary3", "B": "canary4", "OLD": "o", "OLD_TOKEN": "canary5"}
    running |= {"HOME": "/home/app", "PSERV_RUN_ID": "x/web/1", "NOTIFY_SOCKET": "/n", "SHLVL": "1"}
    found = list(variables(values, running, by_shell=True))
    assert "canary" not in str(found)
    assert {each.name: (each.differs, each.running, each.value) for each in found if each.differs} == {
        "NEW": ("added", None, "n"),
        "A": ("changed", "1", "2"),
        "DB_PASSWORD": ("changed", "***", "***"),
        "B": ("changed", "***", "***"),
        "OLD": ("removed", "o", None),
        "OLD_TOKEN": ("removed", "***", None),
    }
    anew = {each.name for each in found if each.origin == "set by Pserv, anew for each run"}
    assert anew == {"PSERV_RUN_ID", "NOTIFY_SOCKET"}
    assert not any(each.differs for each in variables(values, None))
