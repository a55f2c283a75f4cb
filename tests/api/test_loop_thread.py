# SPDX-License-Identifier: Apache-2.0
"""Whatever a signal raises while work runs on an event loop ends the work, as it was raised."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import threading
from collections.abc import Iterator

import pytest

from airflow_provider_alchemy.api.loop_thread import run_beside

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME")


class TimeIsOver(BaseException):
    """What Airflow raises out of a signal."""


@pytest.fixture
def alarms() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeIsOver

    before = signal.signal(signal.SIGUSR1, ring)
    yield
    signal.signal(signal.SIGUSR1, before)


def ring_soon(seconds: float) -> threading.Timer:
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(seconds, signal.pthread_kill, (main, signal.SIGUSR1))
    timer.start()
    return timer


async def be_busy() -> None:
    loop = asyncio.get_running_loop()
    while True:
        ended: asyncio.Future[None] = loop.create_future()
        loop.call_soon(ended.set_result, None)
        await ended


@pytest.mark.usefixtures("alarms")
@pytest.mark.parametrize("milliseconds", range(5, 50, 5))
def test_at_whatever_moment_the_signal_comes_it_ends_the_work(milliseconds: int) -> None:
    ended: list[str] = []

    async def work() -> None:
        ring_soon(milliseconds / 1000)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(be_busy())
        finally:
            ended.append("cleaned up")

    with pytest.raises(TimeIsOver):
        run_beside(work)

    assert ended == ["cleaned up"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("alchemy-loop")]


def test_a_result_is_a_result() -> None:
    assert run_beside(lambda: asyncio.sleep(0, "result")) == "result"


def test_an_error_is_an_error() -> None:
    with pytest.raises(ValueError, match="no number"):
        run_beside(lambda: asyncio.to_thread(int, "no number"))


def test_an_error_of_a_group_comes_alone() -> None:
    async def fail() -> None:
        await asyncio.to_thread(int, "no number")

    async def outer(*works: object) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(asyncio.sleep(60))
            group.create_task(fail() if not works else outer())

    async def work() -> None:
        await outer("inner")

    with pytest.raises(ValueError, match="no number"):
        run_beside(work)


def test_the_context_goes_along() -> None:
    async def name() -> str:
        return NAME.get()

    token = NAME.set("of this task")
    try:
        assert run_beside(name) == "of this task"
    finally:
        NAME.reset(token)
