from __future__ import annotations

import random
from functools import partial

from pserv.system.timers import MOST_STALE, Timer, Timers


def nothing() -> None:
    pass


def never() -> None:
    raise AssertionError


def test_ring_in_the_order_of_times_and_of_adding() -> None:
    timers, rung = Timers(), list[int]()
    for number, when in enumerate((3.0, 1.0, 2.0, 1.0)):
        timers.add(when, partial(rung.append, number))
    assert timers.soonest() == 1.0
    for timer in timers.take(2.0):
        timer.ring()
    assert rung == [1, 3, 2]
    assert (timers.soonest(), len(timers)) == (3.0, 1)


def test_one_that_is_cancelled_neither_rings_nor_is_waited_for() -> None:
    timers = Timers()
    first = timers.add(1.0, never)
    timers.add(2.0, nothing)
    first.cancel()
    first.cancel()
    assert len(timers) == 1
    assert timers.soonest() == 2.0
    assert len(timers.take(5.0)) == 1
    assert timers.soonest() is None


def test_one_may_cancel_another_that_is_due_too() -> None:
    timers = Timers()
    due: list[Timer] = []

    def cancel_the_other() -> None:
        due[1].cancel()

    timers.add(1.0, cancel_the_other)
    timers.add(1.0, never)
    due = timers.take(1.0)
    for timer in due:
        timer.ring()
    assert len(timers) == 0


def test_rings_once() -> None:
    timers, rung = Timers(), list[int]()
    timer = timers.add(0.0, lambda: rung.append(1))
    timers.take(0.0)
    timer.ring()
    timer.ring()
    timer.cancel()
    assert rung == [1]
    assert len(timers) == 0


def test_what_is_added_while_others_ring_waits_for_the_next_round() -> None:
    timers = Timers()

    def again() -> None:
        timers.add(0.0, again)

    again()
    for _ in range(3):
        (timer,) = timers.take(1.0)
        timer.ring()
    assert len(timers) == 1


def test_cancelled_ones_do_not_pile_up() -> None:
    timers = Timers()
    last = timers.add(1e9, nothing)
    for number in range(10_000):
        timers.add(number, nothing).cancel()
        assert len(timers._heap) <= 2 * MOST_STALE + 2
    assert len(timers) == 1
    last.cancel()
    assert timers.soonest() is None


def test_any_order_of_adding_and_cancelling() -> None:
    chance = random.Random(5)
    timers, live, rung = Timers(), dict[int, tuple[float, Timer]](), list[int]()
    for number in range(3000):
        when = chance.random()
        live[number] = (when, timers.add(when, partial(rung.append, number)))
        if chance.random() < 0.7:
            live.pop(chance.choice(list(live)))[1].cancel()
        assert len(timers) == len(live)
    for timer in timers.take(2.0):
        timer.ring()
    assert rung == sorted(live, key=lambda number: live[number][0])
