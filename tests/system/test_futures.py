from __future__ import annotations

from typing import Any

import pytest

from pserv.system.futures import Cancelled, Event, Future, Lock
from pserv.system.tasks import Tasks


def fail(where: str, error: Exception) -> None:
    raise AssertionError(where) from error


@pytest.fixture
def tasks() -> Tasks:
    return Tasks(fail)


class TestFuture:
    def test_all_who_wait_get_the_result_in_the_order_of_asking(self, tasks: Tasks) -> None:
        future: Future[int] = Future()
        got: list[tuple[str, int]] = []

        async def wait(name: str) -> None:
            got.append((name, await future))

        async def main() -> None:
            for name in "abc":
                tasks.spawn(wait(name))
            await tasks.sleep(0)
            future.set_result(7)
            await tasks.sleep(0)

        tasks.run(main())
        assert got == [("a", 7), ("b", 7), ("c", 7)]

    def test_a_failure_is_raised_in_each_who_waits(self, tasks: Tasks) -> None:
        future: Future[int] = Future()
        future.set_exception(LookupError("x"))

        async def main() -> None:
            for _ in range(2):
                with pytest.raises(LookupError):
                    await future

        tasks.run(main())

    def test_has_one_result(self) -> None:
        future: Future[int] = Future()
        with pytest.raises(RuntimeError):
            future.result()
        future.set_result(1)
        with pytest.raises(RuntimeError):
            future.set_result(2)
        with pytest.raises(RuntimeError):
            future.set_exception(LookupError())
        assert future.result() == 1

    def test_callbacks_are_called_once_and_can_be_withdrawn(self) -> None:
        future: Future[int] = Future()
        called: list[str] = []

        def first() -> None:
            called.append("first")

        def second() -> None:
            called.append("second")

        future.when_done(first)
        future.when_done(second)
        future.forget(first)
        future.set_result(1)
        future.when_done(first)
        assert called == ["second", "first"]

    def test_who_is_cancelled_leaves_no_callback_behind(self, tasks: Tasks) -> None:
        future: Future[None] = Future()

        async def main() -> None:
            waiting = tasks.spawn(_wait(future))
            await tasks.sleep(0)
            waiting.cancel()
            await tasks.sleep(0)
            assert waiting.done()

        tasks.run(main())
        assert future._callbacks == []


async def _wait(future: Future[Any]) -> Any:
    return await future


class TestEvent:
    def test_wakes_all_and_can_be_used_again(self, tasks: Tasks) -> None:
        event = Event()
        woken: list[int] = []

        async def wait(number: int) -> None:
            await event.wait()
            woken.append(number)

        async def main() -> None:
            for round_number in range(2):
                event.clear()
                event.clear()
                waiting = [tasks.spawn(wait(round_number)) for _ in range(2)]
                await tasks.sleep(0)
                assert not event.is_set()
                event.set()
                event.set()
                for one in waiting:
                    await one
                await event.wait()

        tasks.run(main())
        assert woken == [0, 0, 1, 1]


class TestLock:
    def test_one_after_the_other_in_the_order_of_asking(self, tasks: Tasks) -> None:
        lock, inside, order = Lock(), 0, []

        async def use(number: int) -> None:
            nonlocal inside
            async with lock:
                inside += 1
                assert inside == 1
                order.append(number)
                await tasks.sleep(0)
                inside -= 1

        async def main() -> None:
            for one in [tasks.spawn(use(number)) for number in range(5)]:
                await one

        tasks.run(main())
        assert order == list(range(5))

    def test_so_many_at_a_time(self, tasks: Tasks) -> None:
        lock, inside, seen = Lock(3), 0, []

        async def use() -> None:
            nonlocal inside
            async with lock:
                inside += 1
                seen.append(inside)
                await tasks.sleep(0)
                inside -= 1

        async def main() -> None:
            for one in [tasks.spawn(use()) for _ in range(10)]:
                await one

        tasks.run(main())
        assert len(seen) == 10
        assert max(seen) == 3

    def test_is_free_after_an_exception(self, tasks: Tasks) -> None:
        lock = Lock()

        async def main() -> None:
            with pytest.raises(LookupError):
                async with lock:
                    raise LookupError
            async with lock:
                pass

        tasks.run(main())

    @pytest.mark.parametrize("handed_over", [False, True])
    def test_who_is_cancelled_in_the_queue_holds_up_nobody(self, tasks: Tasks, handed_over: bool) -> None:
        lock = Lock()

        async def use() -> None:
            async with lock:
                pass

        async def main() -> None:
            async with lock:
                cancelled, last = tasks.spawn(use()), tasks.spawn(use())
                await tasks.sleep(0)
                if not handed_over:
                    cancelled.cancel()
            cancelled.cancel()  # it has not run since the lock became its own
            await last
            with pytest.raises(Cancelled):
                await cancelled

        tasks.run(main())
