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


def run_in_thread(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Run work on an event loop in a thread of its own, and wait for it.

    :param work: The work. Where the wait for it is interrupted it is cancelled, and has ended before this returns.
    :return: What it returns. Of an exception group only the first exception is raised.
    """
    outcome: Future[T] = Future()
    started: Future[Callable[[], object]] = Future()

    async def cancellable() -> T:
        task, loop = asyncio.current_task(), asyncio.get_running_loop()
        if task is not None:
            started.set_result(lambda: loop.call_soon_threadsafe(task.cancel))
        return await work()

    def run() -> None:
        try:
            with asyncio.Runner() as runner:
                outcome.set_result(runner.run(cancellable(), context=context))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            outcome.set_exception(error)

    context = contextvars.copy_context()
    # A daemon: where it was interrupted while it started, the process must be able to end all the same.
    thread = threading.Thread(target=run, name="alchemy-loop", daemon=True)
    try:
        thread.start()
        return outcome.result()
    except BaseException as error:
        if thread.is_alive() and not outcome.done():
            with suppress(RuntimeError):  # the loop is closed: the work has ended
                started.result()()
        if thread.ident is not None:
            thread.join()
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None
