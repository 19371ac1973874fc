"""What services say of themselves, against a pretend keeper and clock: what follows, and what is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from pserv.supervisor import notices
from pserv.supervisor.notices import Notices
from pserv.supervisor.record import Said
from pserv.system.tasks import Tasks
from tests.world import World, service


class Talk:
    """A service that runs, and the supervisor's ear for it."""

    def __init__(self, **options: Any) -> None:
        self.world = World({"web": service(**options)})
        self.bugs: list[str] = []
        self.listen()
        self.world.boot()

    def listen(self) -> None:
        world = self.world
        self.tasks = Tasks(lambda where, error: self.bugs.append(repr(error)), world.clock.now)
        self.notices = Notices(self.tasks, world.supervisor)
        self.ack = 1000

    def up(self) -> Talk:
        self.world.run_all()
        return self

    def say(self, text: str, **facts: Any) -> None:
        self.ack += 1
        report = {"run": self.world.life("web").run, "text": text, "at": self.world.clock.time, **facts}
        self.notices.take("web", report, (self.ack,))
        assert self.world.keeper.acknowledged[-1] == self.ack

    def wait(self, seconds: float) -> None:
        """Time passes, and the timers that are due ring."""
        until = self.world.clock.time + seconds
        while (due := self.tasks.timers.soonest()) is not None and due <= until:
            self.world.clock.time = due
            for timer in self.tasks.timers.take(due):
                timer.ring()
        self.world.clock.time = until

    @property
    def said(self) -> Said:
        return self.world.supervisor.records["web"].said

    @property
    def reason(self) -> str:
        return self.world.life("web").reason

    @property
    def kinds(self) -> list[str]:
        history = self.world.supervisor.history.last(50, {"web"})
        return [change.reason for change in history if change.kind == "notify"]


@pytest.fixture
def talk() -> Iterator[Talk]:
    one = Talk(type="notify", watchdog=30.0)
    one.up()
    yield one
    assert not one.bugs
    assert not one.world.bugs


def test_ready(talk: Talk) -> None:
    assert talk.world.state("web") == "starting"
    talk.say("STATUS=warming up")
    assert talk.world.state("web") == "starting"
    talk.say("READY=1\nSTATUS=here")
    assert talk.world.state("web") == "running"
    assert "READY=1" in talk.reason
    assert talk.world.note("web").said == talk.said == Said(run=1, status="here")


def test_ready_is_no_word_of_one_that_is_not_asked() -> None:
    talk = Talk(ready={"tcp": {"port": 80}}).up()
    talk.say("READY=1")
    assert talk.world.state("web") == "starting"


def test_a_reload_is_told_from_its_beginning_to_its_end(talk: Talk) -> None:
    """As haproxy -Ws does: RELOADING comes before the first READY, too."""
    talk.say("RELOADING=1\nMONOTONIC_USEC=999000000\nSTATUS=reading")
    assert talk.said.reloading == 999.0
    assert talk.world.state("web") == "starting"
    talk.say("READY=1")
    assert not talk.said.reloading
    assert talk.world.state("web") == "running"
    talk.say("RELOADING=1")
    assert talk.said.reloading == 1000.0
    assert talk.world.life("web").ready_at is not None
    talk.wait(2.0)
    talk.say("READY=1")
    assert talk.kinds == [
        *("reloading (RELOADING=1)", "reloaded after 1 s"),
        *("reloading (RELOADING=1)", "reloaded after 2 s"),
    ]


def test_stopping_is_ready_no_more(talk: Talk) -> None:
    talk.say("READY=1")
    talk.say("STOPPING=1")
    assert talk.world.state("web") == "running"
    assert talk.world.life("web").ready_at is None
    assert "STOPPING=1" in talk.reason


def test_another_main_process(talk: Talk) -> None:
    talk.say("MAINPID=77\nREADY=1", main=77)
    assert talk.world.life("web").pid == 77
    talk.say("MAINPID=5")  # the keeper has not found it to be one of the run
    assert talk.world.life("web").pid == 77


def test_more_time(talk: Talk) -> None:
    before = talk.world.life("web").deadline
    assert before is not None
    talk.say("EXTEND_TIMEOUT_USEC=90000000")
    assert talk.world.life("web").deadline == talk.world.clock.time + 90.0


def test_what_it_said_of_its_end_is_shown(talk: Talk) -> None:
    talk.say("ERRNO=2\nEXIT_STATUS=3\nSTATUS=no file")
    assert notices.told(talk.said, lives=False) == [
        "it said last: no file",
        "what went wrong, it says: No such file or directory (ERRNO=2)",
        "how it ends, it says: exit status 3",
    ]


def test_words_of_an_earlier_run_are_acknowledged_only(talk: Talk) -> None:
    notes = dict(talk.world.keeper.notes)
    talk.say("READY=1\nSTATUS=late", run=0)
    assert talk.world.state("web") == "starting"
    assert talk.world.keeper.notes == notes


def test_a_new_run_begins_with_nothing_said(talk: Talk) -> None:
    talk.say("READY=1\nSTATUS=first\nWATCHDOG_USEC=5000000", stored=1)
    talk.world.exited("web", code=1)
    talk.world.run_all()
    talk.say("STATUS=second")
    assert talk.said == Said(run=2, status="second", stored=1)


def test_what_is_stored_is_kept_over_a_restart_and_given_up_at_a_stop(talk: Talk) -> None:
    talk.say("READY=1\nFDSTORE=1", stored=1)
    talk.world.orders.restart(["web"])
    talk.world.exited("web", signal=15)
    assert "discard" not in talk.world.keeper.done("web")
    talk.world.run_all()
    talk.world.orders.stop(["web"])
    talk.world.exited("web", signal=15)
    assert talk.world.keeper.done("web")[-1] == "discard"
    assert talk.said.stored == talk.world.note("web").said.stored == 0


def test_a_sign_of_life_moves_the_watchdog_and_nothing_else(talk: Talk) -> None:
    talk.say("READY=1")
    note = talk.world.keeper.notes["web"]
    for _ in range(1000):
        talk.wait(29.0)
        talk.say("WATCHDOG=1")
    assert talk.world.state("web") == "running"
    assert talk.world.keeper.notes["web"] == note
    assert len(talk.tasks.timers) == 1
    talk.wait(30.0)
    assert talk.reason.startswith("no WATCHDOG=1 for 30 s: sent SIGABRT")
    assert talk.world.keeper.commands[-1][1] == {"do": "signal", "run": 1, "signal": 6, "scope": "main"}
    assert len(talk.tasks.timers) == 0


def test_the_watchdog_waits_until_it_is_ready(talk: Talk) -> None:
    talk.wait(3000.0)
    assert talk.world.state("web") == "starting"


def test_the_watchdog_of_a_stopped_service_is_over(talk: Talk) -> None:
    talk.say("READY=1")
    talk.world.orders.stop(["web"])
    assert len(talk.tasks.timers) == 0


def test_it_may_ask_for_its_end(talk: Talk) -> None:
    talk.say("WATCHDOG=trigger")
    assert talk.reason.startswith("it asked for its end (WATCHDOG=trigger): sent SIGABRT")


def test_the_interval_may_be_changed_and_switched_off(talk: Talk) -> None:
    talk.say("READY=1\nWATCHDOG_USEC=5000000")
    talk.wait(4.0)
    talk.say("WATCHDOG=1")
    talk.wait(4.5)
    assert talk.world.state("web") == "running"
    talk.say("WATCHDOG_USEC=0")
    talk.wait(1000.0)
    assert talk.world.state("web") == "running"
    talk.say("WATCHDOG_USEC=7000000")
    talk.wait(7.0)
    assert "no WATCHDOG=1 for 7 s" in talk.reason


def test_a_service_that_promised_nothing_may_begin_to() -> None:
    plain = Talk().up()
    assert len(plain.tasks.timers) == 0
    plain.say("WATCHDOG=1")
    plain.say("WATCHDOG_USEC=3000000")
    plain.wait(3.0)
    assert "no WATCHDOG=1 for 3 s" in plain.reason


def test_a_new_supervisor_gives_the_whole_time_again(talk: Talk) -> None:
    talk.say("READY=1\nWATCHDOG_USEC=5000000\nSTATUS=well")
    talk.wait(4.0)
    talk.world.die()
    talk.listen()
    assert talk.said.status == "well"
    talk.notices.resume()
    talk.wait(4.9)
    assert talk.world.state("web") == "running"
    talk.wait(0.1)
    assert talk.world.state("web") == "stopping"


def test_while_another_is_tried_nobody_is_watched(talk: Talk) -> None:
    talk.say("READY=1")
    talk.notices.stop()
    talk.wait(1000.0)
    assert talk.world.state("web") == "running"
    talk.notices.resume()
    talk.wait(30.0)
    assert talk.world.state("web") == "stopping"


def test_a_line_on_a_descriptor() -> None:
    talk = Talk(ready={"fd": 3}).up()
    talk.notices.ready("web", {"run": 1, "at": 1000.5}, (7,))
    assert talk.world.state("web") == "running"
    assert talk.reason.endswith(": a line on descriptor 3")
    assert talk.world.keeper.acknowledged[-1] == 7


def test_news_of_a_service_that_is_not_declared_any_more(talk: Talk) -> None:
    talk.notices.take("gone", {"run": 1, "text": "READY=1", "at": 1.0}, (3,))
    talk.notices.ready("gone", {"run": 1, "at": 1.0}, (4,))
    assert talk.world.keeper.acknowledged[-2:] == [3, 4]
