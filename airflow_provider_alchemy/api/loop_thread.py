# SPDX-License-Identifier: Apache-2.0
"""
An event loop beside the thread that waits for it.

Airflow ends a task whose time is over with an exception out of a signal, which Python raises in the main thread, in
whatever line it runs. Inside an event loop that may be a callback, whose exceptions are only logged, or the loop
itself, which then loses a step of some task: the task would go on without a limit, or hang. Here it is raised where
the main thread waits, and the loop is told to end.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

START_SECONDS = 10.0


def run_beside(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Do work on an event loop in a thread of its own, and wait for it.

    :param work: The work. Where the wait for it is interrupted it is cancelled, and has ended before this returns.
    :return: What it gives. An error that came out of a task group comes alone.
    """
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = Future()

    async def start() -> T:
        started.set_result((asyncio.get_running_loop(), asyncio.current_task()))
        return await work()

    def run() -> T:
        return asyncio.run(start())

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="alchemy-loop") as executor:
        try:
            return executor.submit(contextvars.copy_context().run, run).result()
        except BaseException as error:  # noqa: BLE001 - raised again, alone
            _cancel(started)
            raise _first_of(error) from None


def _cancel(started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]]) -> None:
    with suppress(RuntimeError, TimeoutError):  # the loop is closed, or was never there
        loop, task = started.result(START_SECONDS)
        if task is not None:
            loop.call_soon_threadsafe(task.cancel)


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
