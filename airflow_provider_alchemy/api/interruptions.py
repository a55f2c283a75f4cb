# SPDX-License-Identifier: Apache-2.0
"""
Interruptions that reach an event loop: Airflow ends a task whose time is over with an exception out of a signal.

It may be raised in any line of any task or callback of the loop. A task group packs it into a group, which Airflow does
not know, and a callback's is only logged: the task would then go on without a limit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """
    Do work, and end it with any interruption as it was raised.

    :param work: The work.
    :return: What it gives.
    """
    interruptions: list[BaseException] = []
    loop = asyncio.get_running_loop()
    working = asyncio.ensure_future(work)

    def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if error is None or isinstance(error, Exception | asyncio.CancelledError):
            loop.default_exception_handler(context)
            return
        interruptions.append(error)
        working.cancel()

    loop.set_exception_handler(note)
    try:
        return await working
    except BaseException as error:
        if isinstance(error, BaseExceptionGroup):
            interruptions.append(_first_of(error))
        if interruptions:
            raise interruptions[0] from None
        raise


def _first_of(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Give what began it: an interruption, or else the first error."""
    sure, _ = group.split(lambda error: not isinstance(error, Exception | BaseExceptionGroup))
    first: BaseException = sure or group
    while isinstance(first, BaseExceptionGroup):
        first = first.exceptions[0]
    return first
