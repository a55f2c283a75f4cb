# SPDX-License-Identifier: Apache-2.0
"""Whatever a signal raises while work runs on an event loop ends the work, as it was raised."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import dis
import signal
import sys
import threading
from collections.abc import Iterator
from functools import cache
from itertools import count, pairwise
from types import CodeType, FrameType
from typing import Any

import pytest

from airflow_provider_alchemy.tasks import event_loop
from airflow_provider_alchemy.tasks.event_loop import run_in_thread

NAME: contextvars.ContextVar[str] = contextvars.ContextVar("NAME")


WAITING = (event_loop.__file__, threading.__file__, concurrent.futures._base.__file__)


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
        run_in_thread(work)

    assert ended == ["cleaned up"]
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("alchemy-loop")]


class Struck:
    """
    Raises at one of the moments at which this thread looks for signals, as a signal does that comes just then.

    CPython looks for them after a call, at the start of a function and where a loop begins anew:
    ``CHECK_EVAL_BREAKER`` in its ``Python/ceval.c``.
    """

    def __init__(self, moment: int) -> None:
        self._moments_left = moment
        self.has_struck = False

    def __enter__(self) -> Struck:
        self._before = sys.gettrace()
        sys.settrace(self._trace)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(self._before)

    def _trace(self, frame: FrameType, event: str, _argument: object) -> Any:
        # Elsewhere are callbacks of the garbage collector, where Python forgets whatever is raised.
        if frame.f_code.co_filename not in WAITING or self.has_struck:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode" and frame.f_lasti in moments_of(frame.f_code):
            self._moments_left -= 1
            if not self._moments_left:
                self.has_struck = True
                raise TimeIsOver
        return self._trace


@cache
def moments_of(code: CodeType) -> frozenset[int]:
    instructions = list(dis.get_instructions(code))
    return frozenset(
        after.offset
        for before, after in pairwise(instructions)
        if before.opname.startswith(("CALL", "RESUME", "JUMP_BACKWARD"))
    )


def test_at_whatever_moment_the_signal_comes_work_that_began_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also within what Python itself does to start a thread, to wait for it and to end it."""
    monkeypatch.setattr(event_loop, "START_SECONDS", 0.05)
    for moment in count(1):
        events: list[str] = []

        async def work(events: list[str] = events) -> None:
            events.append("began")
            try:
                await asyncio.sleep(0.01)
            finally:
                events.append("ended")

        raised: BaseException | None = None
        with Struck(moment) as struck:
            try:
                run_in_thread(work)
            except (TimeIsOver, RuntimeError) as error:
                # Python's own lock, struck while it was released.
                raised = error
        assert events in ([], ["began", "ended"]), f"struck at moment {moment}"
        assert struck.has_struck == (raised is not None)
        if not struck.has_struck:
            assert moment > 50, "that many moments cannot be all"
            break


def test_a_result_is_a_result() -> None:
    assert run_in_thread(lambda: asyncio.sleep(0, "result")) == "result"


def test_an_error_is_an_error() -> None:
    with pytest.raises(ValueError, match="no number"):
        run_in_thread(lambda: asyncio.to_thread(int, "no number"))


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
        run_in_thread(work)


def test_the_context_goes_along() -> None:
    async def name() -> str:
        return NAME.get()

    token = NAME.set("of this task")
    try:
        assert run_in_thread(name) == "of this task"
    finally:
        NAME.reset(token)
