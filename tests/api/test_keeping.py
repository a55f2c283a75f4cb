# SPDX-License-Identifier: Apache-2.0
"""Progress is kept one save at a time, and nobody goes on before what happened is in one."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from airflow_provider_alchemy.api.keeping import Keeper
from tests.waiting import until


class SlowPlace:
    """A place that keeps nothing before it is told to."""

    def __init__(self) -> None:
        self.saves: list[int] = []
        self.begun = 0
        self.may_go_on = threading.Semaphore(0)
        self.errors: dict[int, BaseException] = {}
        self.under_way = self.most_under_way = 0

    def keep(self, value: dict[str, Any]) -> None:
        self.begun += 1
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        number = self.begun
        assert self.may_go_on.acquire(timeout=60)
        self.under_way -= 1
        if number in self.errors:
            raise self.errors[number]
        self.saves.append(value["done"])


@pytest.fixture
def place() -> SlowPlace:
    return SlowPlace()


class Work:
    def __init__(self, place: SlowPlace) -> None:
        self.done = 0
        self.keeper = Keeper(lambda: {"done": self.done}, place.keep)

    async def do(self) -> None:
        self.done += 1
        await self.keeper.kept()


async def test_who_returns_is_kept(place: SlowPlace) -> None:
    work = Work(place)
    place.may_go_on.release()

    await work.do()

    assert place.saves == [1]


async def test_all_that_happens_before_a_save_begins_is_in_it(place: SlowPlace) -> None:
    work = Work(place)
    many = [asyncio.create_task(work.do()) for _ in range(50)]
    await until(lambda: place.begun == 1)
    place.may_go_on.release()

    await asyncio.gather(*many)

    assert place.saves == [50]


async def test_what_happens_during_a_save_is_in_the_next(place: SlowPlace) -> None:
    work = Work(place)
    first = asyncio.create_task(work.do())
    await until(lambda: place.begun == 1)
    later = [asyncio.create_task(work.do()) for _ in range(20)]
    await asyncio.sleep(0)
    assert not first.done()
    place.may_go_on.release(2)

    await asyncio.gather(first, *later)

    assert (place.saves, place.most_under_way) == ([1, 21], 1)


async def test_one_that_is_cancelled_takes_no_other_save_along(place: SlowPlace) -> None:
    work = Work(place)
    first, other = asyncio.create_task(work.do()), asyncio.create_task(work.do())
    await until(lambda: place.begun == 1)
    first.cancel()
    place.may_go_on.release()

    await other

    assert place.saves == [2]


async def test_a_save_that_fails_fails_those_that_wait_for_it_alone(place: SlowPlace) -> None:
    place.errors[1] = ConnectionError("away")
    work = Work(place)
    place.may_go_on.release(2)
    with pytest.raises(ConnectionError):
        await work.do()

    await work.do()

    assert place.saves == [2]


async def test_where_nothing_is_kept_nobody_waits() -> None:
    def refuse() -> dict[str, Any]:
        raise AssertionError

    await Keeper(refuse, None).kept()
