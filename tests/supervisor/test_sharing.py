"""What is wanted by several at once is read once, unless one wants it newer; what nobody wants is not read on."""

from __future__ import annotations

import pytest

from pserv.supervisor.sharing import Sharing
from pserv.system.futures import Cancelled, Event
from pserv.system.tasks import Tasks


def fail(where: str, error: Exception) -> None:
    raise AssertionError(where) from error


class Source:
    """Answers how often it was asked, once it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.given_up = 0
        self.may = Event()

    async def answer(self) -> int:
        self.asked += 1
        number = self.asked
        try:
            await self.may.wait()
        except Cancelled:
            self.given_up += 1
            raise
        if number == 13:
            raise LookupError
        return number


def test_once_for_all_who_want_it_of_that_time() -> None:
    tasks, now, source = Tasks(fail), [5.0], Source()
    sharing = Sharing(tasks, lambda: now[0])

    async def main() -> list[int]:
        first = [tasks.spawn(sharing.read("a", since, source.answer)) for since in (1.0, 5.0)]
        await tasks.sleep(0)
        now[0] = 8.0
        later = [tasks.spawn(sharing.read("a", since, source.answer)) for since in (4.0, 7.0, 8.0)]
        await tasks.sleep(0)
        source.may.set()
        got = [await each for each in (*first, *later)]
        got.append(await sharing.read("a", 8.0, source.answer))
        sharing.forget()
        return [*got, await sharing.read("a", 8.0, source.answer)]

    assert tasks.run(main()) == [1, 1, 1, 2, 2, 2, 3]


def test_all_are_told_that_it_failed() -> None:
    tasks, source = Tasks(fail), Source()
    sharing = Sharing(tasks, lambda: 5.0)
    source.asked = 12

    async def main() -> None:
        readers = [tasks.spawn(sharing.read("a", 1.0, source.answer)) for _ in range(2)]
        await tasks.sleep(0)
        source.may.set()
        for reader in readers:
            with pytest.raises(LookupError):
                await reader

    tasks.run(main())


def test_who_goes_takes_it_from_nobody_and_the_last_one_ends_it() -> None:
    tasks, source = Tasks(fail), Source()
    sharing = Sharing(tasks, lambda: 5.0)

    async def main() -> int:
        one, other = (tasks.spawn(sharing.read("a", 1.0, source.answer)) for _ in range(2))
        await tasks.sleep(0)
        await tasks.sleep(0)
        one.cancel()
        await tasks.sleep(0)
        assert source.given_up == 0
        other.cancel()
        for each in (one, other):
            with pytest.raises(Cancelled):
                await each
        await tasks.sleep(0)
        assert source.given_up == 1
        source.may.set()
        return await sharing.read("a", 1.0, source.answer)

    assert tasks.run(main()) == 2
