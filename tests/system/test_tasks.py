from __future__ import annotations

import os
import resource
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from functools import partial
from typing import Any

import pytest

from pserv.keeper.loop import READ, WRITE
from pserv.system.futures import Cancelled, Event, Future
from pserv.system.tasks import Task, Tasks

LONG = 1000.0


def nothing() -> None:
    pass


class Bugs(list[tuple[str, Exception]]):
    def told(self, where: str, error: Exception) -> None:
        self.append((where, error))


@pytest.fixture
def bugs() -> Iterator[Bugs]:
    """What the loop reports; a test that expects some clears it."""
    found = Bugs()
    yield found
    assert found == []


@pytest.fixture
def tasks(bugs: Bugs) -> Tasks:
    return Tasks(bugs.told)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


async def rounds(tasks: Tasks, count: int = 3) -> None:
    for _ in range(count):
        await tasks.sleep(0)


class TestRunning:
    def test_result(self, tasks: Tasks) -> None:
        async def main() -> int:
            await tasks.sleep(0)
            return 3

        assert tasks.run(main()) == 3

    def test_exception_is_raised_here_and_is_no_bug(self, tasks: Tasks) -> None:
        async def main() -> None:
            raise LookupError("x")

        with pytest.raises(LookupError):
            tasks.run(main())

    def test_begins_in_the_next_round(self, tasks: Tasks) -> None:
        async def note(number: int) -> None:
            order.append(number)

        async def main() -> None:
            tasks.spawn(note(1))
            tasks.soon(lambda: order.append(2))
            order.append(0)
            await tasks.sleep(0)

        order: list[int] = []
        tasks.run(main())
        assert order == [0, 1, 2]

    def test_what_is_left_at_the_end_is_cancelled_once_the_youngest_first(self, tasks: Tasks) -> None:
        ended: list[str] = []

        async def live(name: str) -> None:
            try:
                await Event().wait()
            finally:
                await rounds(tasks)  # it may take time to tidy up, and is not cancelled again in it
                ended.append(name)

        async def late() -> None:
            try:
                await Event().wait()
            finally:
                tasks.spawn(live("spawned at the end"))
                await rounds(tasks, 2)
                ended.append("late")

        async def main() -> None:
            tasks.spawn(live("first"))
            tasks.spawn(live("second"))
            tasks.spawn(late())
            await tasks.sleep(0)

        tasks.run(main())
        assert ended == ["late", "second", "first"]

    def test_awaiting_what_is_no_future_of_this_loop_is_told_there(self, tasks: Tasks) -> None:
        class Foreign:
            def __await__(self) -> Any:
                yield "something"

        async def main() -> None:
            with pytest.raises(TypeError, match="'something'"):
                await Foreign()
            await tasks.sleep(0)

        tasks.run(main())


class TestExceptions:
    def test_of_a_task_nobody_waits_for_is_told_and_hurts_nobody(self, tasks: Tasks, bugs: Bugs) -> None:
        async def fail() -> None:
            await tasks.sleep(0)
            raise LookupError("x")

        async def other() -> int:
            await rounds(tasks, 5)
            return 5

        async def main() -> int:
            failing = tasks.spawn(fail())
            value = await tasks.spawn(other())
            assert failing.done()
            return value

        assert tasks.run(main()) == 5
        ((where, error),) = bugs
        assert where.endswith("fail")
        assert isinstance(error, LookupError)
        assert error.__traceback__ is not None
        bugs.clear()

    def test_of_a_task_goes_to_who_waits_for_it(self, tasks: Tasks) -> None:
        async def fail() -> None:
            await tasks.sleep(0)
            raise LookupError("x")

        async def main() -> None:
            with pytest.raises(LookupError):
                await tasks.spawn(fail())

        tasks.run(main())

    def test_that_ends_a_process_ends_the_loop(self, tasks: Tasks) -> None:
        ended = Event()

        async def leave() -> None:
            raise SystemExit(3)

        async def live() -> None:
            try:
                await Event().wait()
            finally:
                ended.set()

        async def main() -> None:
            tasks.spawn(live())
            await tasks.sleep(0)
            tasks.spawn(leave())
            await Event().wait()

        with pytest.raises(SystemExit):
            tasks.run(main())
        assert ended.is_set()

    def test_of_callbacks_is_told_and_the_others_are_called(
        self, tasks: Tasks, bugs: Bugs, pipe: tuple[int, int]
    ) -> None:
        def fail(*_: object) -> None:
            tasks.unwatch(pipe[1])
            raise LookupError("x")

        async def main() -> None:
            for add in (tasks.soon, partial(tasks.after, 0.0)):
                done: Future[None] = Future()
                add(fail)
                add(partial(done.set_result, None))
                await done
            tasks.watch(pipe[1], WRITE, fail)
            await rounds(tasks)

        tasks.run(main())
        assert [where for where, _ in bugs] == ["a callback", "a timer", "a descriptor"]
        bugs.clear()


class TestCancelling:
    def test_is_thrown_in_at_the_await_once(self, tasks: Tasks) -> None:
        thrown: list[int] = []

        async def live() -> None:
            try:
                await Event().wait()
            except Cancelled:
                thrown.append(1)
                await rounds(tasks)
                thrown.append(2)
                raise

        async def main() -> None:
            task = tasks.spawn(live())
            await tasks.sleep(0)
            for _ in range(3):
                task.cancel()
            await rounds(tasks, 6)
            assert task.done()
            with pytest.raises(Cancelled):
                task.result()

        tasks.run(main())
        assert thrown == [1, 2]

    def test_a_second_one_interrupts_the_tidying_up(self, tasks: Tasks) -> None:
        async def live() -> None:
            try:
                await Event().wait()
            finally:
                await Event().wait()

        async def main() -> None:
            task = tasks.spawn(live())
            await rounds(tasks)
            task.cancel()
            await rounds(tasks)
            assert not task.done()
            task.cancel()
            await rounds(tasks)
            assert task.done()

        tasks.run(main())

    def test_before_the_first_step_nothing_of_it_runs(self, tasks: Tasks) -> None:
        async def live() -> None:
            raise AssertionError

        async def main() -> None:
            task = tasks.spawn(live())
            task.cancel()
            await tasks.sleep(0)
            assert task.done()

        tasks.run(main())

    def test_of_itself_comes_at_its_next_await(self, tasks: Tasks) -> None:
        reached: list[int] = []

        async def live() -> None:
            assert tasks.current is not None
            tasks.current.cancel()
            reached.append(1)
            await tasks.sleep(0)
            reached.append(2)

        async def main() -> None:
            with pytest.raises(Cancelled):
                await tasks.spawn(live())

        tasks.run(main())
        assert reached == [1]

    def test_goes_before_a_result_that_came_in_the_same_round(self, tasks: Tasks) -> None:
        future: Future[int] = Future()

        async def live() -> int:
            return await future

        async def main() -> None:
            task = tasks.spawn(live())
            await tasks.sleep(0)
            future.set_result(1)
            task.cancel()
            with pytest.raises(Cancelled):
                await task

        tasks.run(main())

    def test_may_be_refused(self, tasks: Tasks) -> None:
        async def live() -> str:
            try:
                await Event().wait()
            except Cancelled:
                await tasks.sleep(0)
            return "still here"

        async def main() -> str:
            task = tasks.spawn(live())
            await tasks.sleep(0)
            task.cancel()
            return await task

        assert tasks.run(main()) == "still here"

    def test_of_what_has_ended_does_nothing(self, tasks: Tasks) -> None:
        async def live() -> int:
            return 1

        async def main() -> int:
            task = tasks.spawn(live())
            await tasks.sleep(0)
            task.cancel()
            return await task

        assert tasks.run(main()) == 1

    def test_of_who_waits_leaves_the_task_waited_for(self, tasks: Tasks) -> None:
        proceed = Event()

        async def inner() -> int:
            await proceed.wait()
            return 1

        async def wait_for(task: Task[int]) -> int:
            return await task

        async def main() -> int:
            task = tasks.spawn(inner())
            outer = tasks.spawn(wait_for(task))
            await rounds(tasks)
            outer.cancel()
            await rounds(tasks)
            assert outer.done()
            proceed.set()
            return await task

        assert tasks.run(main()) == 1


class TestGenerators:
    def test_who_iterates_closes_and_the_inner_one_ends_first(self, tasks: Tasks) -> None:
        ended: list[str] = []

        async def inner() -> AsyncIterator[int]:
            try:
                for number in range(9):
                    yield number
                    await tasks.sleep(0)
            finally:
                await tasks.sleep(0)
                ended.append("inner")

        async def outer() -> AsyncIterator[int]:
            try:
                async with aclosing(inner()) as numbers:  # type: ignore[type-var]
                    async for number in numbers:
                        yield number
            finally:
                ended.append("outer")

        async def main() -> None:
            async with aclosing(outer()) as numbers:  # type: ignore[type-var]
                async for number in numbers:
                    if number == 2:
                        break
            ended.append("main")

        tasks.run(main())
        assert ended == ["inner", "outer", "main"]


class TestTime:
    def test_sleepers_wake_in_the_order_of_time(self, tasks: Tasks) -> None:
        order: list[float] = []

        async def sleep(seconds: float) -> None:
            begun = tasks.time()
            await tasks.sleep(seconds)
            assert tasks.time() >= begun + seconds
            order.append(seconds)

        async def main() -> None:
            for one in [tasks.spawn(sleep(seconds)) for seconds in (0.02, 0.0, 0.01)]:
                await one

        tasks.run(main())
        assert order == [0.0, 0.01, 0.02]

    def test_sleeping_cancelled_leaves_no_timer(self, tasks: Tasks) -> None:
        async def main() -> None:
            task = tasks.spawn(tasks.sleep(LONG))
            await tasks.sleep(0)
            assert len(tasks.timers) == 1
            task.cancel()
            await tasks.sleep(0)
            assert len(tasks.timers) == 0

        tasks.run(main())

    def test_timeout(self, tasks: Tasks) -> None:
        async def main() -> None:
            with pytest.raises(TimeoutError):
                async with tasks.timeout(0.001):
                    await Event().wait()
            await tasks.sleep(0)  # nothing of it comes later

        tasks.run(main())

    def test_in_time_it_leaves_nothing_behind(self, tasks: Tasks) -> None:
        async def main() -> None:
            for limit in (LONG, None):
                async with tasks.timeout(limit):
                    await tasks.sleep(0)
            assert len(tasks.timers) == 0

        tasks.run(main())

    def test_time_that_is_over_is_told_before_the_block(self, tasks: Tasks) -> None:
        async def main() -> None:
            for when in (0.0, tasks.time()):
                with pytest.raises(TimeoutError):
                    async with tasks.timeout_at(when):
                        raise AssertionError

        tasks.run(main())

    @pytest.mark.parametrize("inner_first", [False, True])
    def test_nested_timeouts_each_end_their_own_block(self, tasks: Tasks, inner_first: bool) -> None:
        inner, outer = (0.001, LONG) if inner_first else (LONG, 0.001)
        ended: list[str] = []

        async def main() -> None:
            try:
                async with tasks.timeout(outer):
                    try:
                        async with tasks.timeout(inner):
                            await Event().wait()
                    except TimeoutError:
                        ended.append("inner")
            except TimeoutError:
                ended.append("outer")

        tasks.run(main())
        assert ended == ["inner" if inner_first else "outer"]

    def test_both_of_two_nested_ones_that_ring_at_once(self, tasks: Tasks) -> None:
        ended: list[str] = []

        async def main() -> None:
            when = tasks.time() + 0.001
            try:
                async with tasks.timeout_at(when):
                    try:
                        async with tasks.timeout_at(when):
                            await Event().wait()
                    except TimeoutError:
                        ended.append("inner")
                    await Event().wait()
            except TimeoutError:
                ended.append("outer")

        tasks.run(main())
        assert ended[-1] == "outer"

    @pytest.mark.parametrize("rings_first", [False, True])
    def test_cancelled_in_the_round_in_which_it_rings_is_no_timeout(self, bugs: Bugs, rings_first: bool) -> None:
        now = 0.0
        tasks = Tasks(bugs.told, lambda: now)
        told: list[str] = []

        async def live() -> None:
            try:
                async with tasks.timeout_at(2.0):
                    await Event().wait()
            except TimeoutError:
                told.append("timeout")
            except Cancelled:
                told.append("cancelled")
            await rounds(tasks)  # and nothing of the timeout comes later
            told.append("went on")

        async def main() -> None:
            nonlocal now
            task = tasks.spawn(live())
            await tasks.sleep(0)
            tasks.at(3.0 if rings_first else 1.0, task.cancel)
            now = 4.0
            await task

        tasks.run(main())
        assert told == ["cancelled", "went on"]

    def test_done_in_the_round_in_which_it_rings_is_in_time(self, tasks: Tasks) -> None:
        async def main() -> int:
            future: Future[int] = Future()
            async with tasks.timeout(0.001):
                busy_until(lambda: tasks.time() > begun + 0.01)
                future.set_result(1)
                return await future

        begun = tasks.time()
        assert tasks.run(main()) == 1

    def test_waiting_at_most(self, tasks: Tasks) -> None:
        async def main() -> None:
            never: Future[None] = Future()
            assert not await tasks.wait(never, 0.001)
            assert not await tasks.wait(never, 0)
            failed: Future[None] = Future()
            tasks.soon(lambda: failed.set_exception(LookupError()))
            assert await tasks.wait(failed, None)
            assert await tasks.wait(failed, LONG)
            assert len(tasks.timers) == 0

        tasks.run(main())

    def test_thousands_of_timers_are_cheap(self, tasks: Tasks) -> None:
        async def main() -> None:
            for _ in range(20_000):
                tasks.after(LONG, nothing)
            begun = time.process_time()
            for _ in range(1000):
                tasks.after(LONG / 2, nothing).cancel()
                await tasks.sleep(0)
            assert time.process_time() - begun < 1.0  # looking at each of them in each round would take minutes

        tasks.run(main())


def busy_until(over: Callable[[], bool]) -> None:
    """Hold up the loop, so that several timers are due in one round."""
    while not over():
        pass


class TestDescriptors:
    def test_are_looked_at_between_rounds_of_what_is_ready(self, tasks: Tasks, pipe: tuple[int, int]) -> None:
        """Tasks that are always ready do not starve them."""
        came: Event = Event()

        async def busy() -> None:
            while True:
                await tasks.sleep(0)

        def again() -> None:
            tasks.soon(again)
            tasks.after(0.0, nothing)

        async def main() -> int:
            for _ in range(10):
                tasks.spawn(busy())
            again()
            tasks.watch(pipe[0], READ, lambda events: came.set())
            os.write(pipe[1], b"x")
            count = 0
            while not came.is_set():
                await tasks.sleep(0)
                count += 1
            tasks.unwatch(pipe[0])
            return count

        assert tasks.run(main()) <= 2

    def test_both_ways_on_one(self, tasks: Tasks) -> None:
        async def main() -> None:
            ours, theirs = socket.socketpair()
            with ours, theirs:
                seen: list[int] = []
                tasks.watch(ours.fileno(), READ | WRITE, seen.append)
                while not seen:
                    await tasks.sleep(0)
                theirs.send(b"x")
                while seen[-1] != READ | WRITE:
                    await tasks.sleep(0)
                assert seen[0] == WRITE
                tasks.unwatch(ours.fileno())
                count = len(seen)
                await rounds(tasks)
                assert len(seen) == count

        tasks.run(main())

    def test_waiting_for_one_of_several(self, tasks: Tasks, pipe: tuple[int, int]) -> None:
        other_read, other_write = os.pipe()

        async def main() -> None:
            task = tasks.spawn(tasks.ready(READ, pipe[0], other_read))
            await rounds(tasks)
            assert not task.done()
            os.close(other_write)  # a hang-up is an event too
            await task

        tasks.run(main())
        os.close(other_read)

    def test_waiting_cancelled_watches_no_more(self, tasks: Tasks, pipe: tuple[int, int]) -> None:
        async def main() -> None:
            task = tasks.spawn(tasks.ready(READ, pipe[0]))
            await rounds(tasks)
            task.cancel()
            await rounds(tasks)
            assert task.done()

        tasks.run(main())
        assert tasks._loop._watched == {}

    def test_a_thousand_at_once(self, tasks: Tasks) -> None:
        pipes = [os.pipe() for _ in range(300)]

        async def main() -> None:
            waiting = [tasks.spawn(tasks.ready(READ, read)) for read, _ in pipes]
            await tasks.sleep(0)
            for _, write in reversed(pipes):
                os.write(write, b"x")
            for task in waiting:
                await task

        tasks.run(main())
        for ends in pipes:
            for end in ends:
                os.close(end)


def test_an_idle_loop_is_not_woken(tasks: Tasks) -> None:
    """Not by timers that were cancelled, nor by descriptors that nobody waits for any more."""

    def switches() -> int:
        return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

    async def main() -> int:
        with subprocess.Popen(["sleep", "0.3"], stdout=subprocess.PIPE) as sleeper:
            assert sleeper.stdout is not None
            for number in range(1, 21):
                tasks.after(number / 100, nothing).cancel()
                async with tasks.timeout(number / 100):
                    await tasks.sleep(0)
            before = switches()
            await tasks.ready(READ, sleeper.stdout.fileno())
            return switches() - before

    assert tasks.run(main()) <= 2
