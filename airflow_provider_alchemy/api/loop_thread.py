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
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, Generic, TypeVar

T = TypeVar("T")


def run_beside(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """
    Do work on an event loop in a thread of its own, and wait for it.

    :param work: The work. Where the wait for it is interrupted it is cancelled, and has ended before this returns.
    :return: What it gives. An error that came out of a task group comes alone.
    """
    beside = _Beside(work)
    try:
        return beside.run()
    except BaseException as error:  # noqa: BLE001 - raised again, alone
        beside.end()
        raise _first_of(error) from None


class _Beside(Generic[T]):
    """
    Work in a thread.

    A signal may be heard between any two steps of Python code, those of an executor, a ``Future`` or a ``Condition``
    included: interrupted there they forget a thread, or keep a lock that the thread needs. So the two threads meet at
    bare locks only, whose every step is one for signals.
    """

    def __init__(self, work: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._work = work
        self._context = contextvars.copy_context()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[T] | None = None
        self._is_cancelled = False
        self._outcome: Future[T] = Future()
        self._first_come = threading.Lock()
        self._ended = threading.Lock()
        self._ended.acquire()
        # A daemon: interrupted while it starts, it may stand still for ever, and the process must end all the same.
        self._thread = threading.Thread(target=self._run, name="alchemy-loop", daemon=True)

    def run(self) -> T:
        try:
            self._thread.start()
        except RuntimeError as error:
            # Interrupted at some of its steps, Python complains of its own lock in the place of what interrupted it.
            raise error.__context__ or error from None
        self._wait()
        return self._outcome.result()

    def end(self) -> None:
        """Cancel the work and wait for its end; where the thread has not begun it, see to it that it never does."""
        if self._first_come.acquire(blocking=False):
            return
        # In this order: a loop that is not seen here has not come to the work yet, and looks for this before it does.
        self._is_cancelled = True
        if self._loop is not None:
            with suppress(RuntimeError):  # the loop is closed: the work has ended
                self._loop.call_soon_threadsafe(self._cancel)
        self._wait()

    def _wait(self) -> None:
        with self._ended:
            pass
        self._thread.join()

    def _run(self) -> None:
        if not self._first_come.acquire(blocking=False):
            return
        try:
            with asyncio.Runner() as runner:
                self._loop = runner.get_loop()
                result = runner.run(self._start(), context=self._context)
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._outcome.set_exception(error)
        else:
            self._outcome.set_result(result)
        finally:
            self._ended.release()

    async def _start(self) -> T:
        self._task = asyncio.current_task()
        if self._is_cancelled:
            raise asyncio.CancelledError
        return await self._work()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _first_of(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
