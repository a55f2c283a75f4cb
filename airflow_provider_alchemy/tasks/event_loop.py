# SPDX-License-Identifier: Apache-2.0
"""
An event loop in a thread, for a worker whose task is a function.

Airflow ends a task whose time is over with an exception out of a signal, which Python raises in the main thread in
whatever line it runs. Inside an event loop that may be a callback, whose exceptions are only logged: the task would go
on without a limit. Here it is raised where the main thread waits, and the work in the loop is cancelled.
"""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

START_SECONDS = 1.0
"""How long an interrupted wait lets its thread start: a signal within ``Thread.start`` may prevent that for good."""


def run_in_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run work in a thread of its own; interrupted, it has ended first. Of a group only the first error is raised."""
    outcome: Future[T] = Future()
    # A signal may come while the main thread holds a future's lock, and leave it locked: these two the main thread
    # touches only after it was interrupted.
    started: Future[Callable[[], object]] = Future()
    ended: Future[None] = Future()
    is_interrupted = False

    async def cancellable() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if task is not None:
            started.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
        if is_interrupted:
            raise asyncio.CancelledError
        return await work()

    def run() -> None:
        try:
            with asyncio.Runner() as runner:
                value = runner.run(cancellable(), context=context)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            ended.set_result(None)
            outcome.set_exception(error)
        else:
            ended.set_result(None)
            outcome.set_result(value)

    context = contextvars.copy_context()
    # A daemon: where it was interrupted while it started, the process must be able to end all the same.
    thread = threading.Thread(target=run, name="alchemy-loop", daemon=True)
    try:
        thread.start()
        return outcome.result()
    except BaseException as error:
        if not outcome.done():
            is_interrupted = True
            with suppress(TimeoutError, RuntimeError):  # it never starts, or the loop is closed: the work has ended
                started.result(START_SECONDS)()
                ended.result()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
