# SPDX-License-Identifier: Apache-2.0
"""Whatever a signal raises inside an event loop ends the work, as it was raised."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from airflow_provider_alchemy.api.interruptions import uninterrupted


class TimeIsOver(BaseException):
    """What Airflow raises out of a signal."""


def interrupt() -> None:
    raise TimeIsOver


async def in_a_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(asyncio.sleep(60))
        group.create_task(in_a_coroutine())


async def in_a_group_within_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(in_a_task_group())


async def in_a_coroutine() -> None:
    await asyncio.sleep(0)
    interrupt()


async def in_a_callback() -> None:
    asyncio.get_running_loop().call_soon(interrupt)
    await asyncio.sleep(60)


async def in_a_callback_of_a_future() -> None:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda _: interrupt())
    future.set_result(None)
    await asyncio.sleep(60)


@pytest.mark.parametrize(
    "work", [in_a_coroutine, in_a_task_group, in_a_group_within_a_group, in_a_callback, in_a_callback_of_a_future]
)
def test_wherever_it_is_raised_it_ends_the_work(work: Callable[[], Any]) -> None:
    with pytest.raises(TimeIsOver):
        asyncio.run(asyncio.wait_for(uninterrupted(work()), 5))


def test_what_cleans_up_has_its_turn() -> None:
    ended = []

    async def clean_up() -> None:
        try:
            await in_a_callback()
        finally:
            ended.append("cleaned up")

    with pytest.raises(TimeIsOver):
        asyncio.run(uninterrupted(clean_up()))

    assert ended == ["cleaned up"]


@pytest.fixture
def alarm() -> Iterator[Callable[[float], object]]:
    def ring(*_: object) -> None:
        interrupt()

    before = signal.signal(signal.SIGALRM, ring)
    yield lambda seconds: signal.setitimer(signal.ITIMER_REAL, seconds)
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("milliseconds", range(1, 20, 2))
def test_at_whatever_moment_the_signal_comes_it_ends_the_work(
    milliseconds: int, alarm: Callable[[float], object]
) -> None:
    async def be_busy() -> None:
        loop = asyncio.get_running_loop()
        while True:
            ended: asyncio.Future[None] = loop.create_future()
            loop.call_soon(ended.set_result, None)
            await ended

    async def work() -> None:
        alarm(milliseconds / 1000)
        await be_busy()

    with pytest.raises(TimeIsOver):
        asyncio.run(asyncio.wait_for(uninterrupted(work()), 20))


async def run(work: Awaitable[Any]) -> Any:
    return await work


def test_a_result_is_a_result() -> None:
    assert asyncio.run(uninterrupted(asyncio.sleep(0, "result"))) == "result"


def test_an_error_is_an_error() -> None:
    async def fail() -> None:
        raise ValueError

    with pytest.raises(ValueError, match=r"^$"):
        asyncio.run(uninterrupted(fail()))


def test_an_error_of_a_group_is_the_first() -> None:
    async def fail() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(run(asyncio.sleep(60)))
            group.create_task(run(asyncio.to_thread(int, "no number")))

    with pytest.raises(ValueError, match="no number"):
        asyncio.run(uninterrupted(fail()))


def test_a_callback_that_fails_ends_nothing() -> None:
    async def go_on() -> str:
        asyncio.get_running_loop().call_soon(int, "no number")
        return await asyncio.sleep(0.01, "result")

    assert asyncio.run(uninterrupted(go_on())) == "result"
