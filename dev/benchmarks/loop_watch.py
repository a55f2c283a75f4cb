# SPDX-License-Identifier: Apache-2.0
"""How late an event loop is, and how much memory its process takes, seen from a coroutine in that loop."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]  # Airflow brings it; it comes without types

TICK_SECONDS = 0.05


class LoopWatch:
    """
    A coroutine that wakes up every 0.05 seconds, as Airflow's own ``block_watchdog`` does every 0.1.

    It notes how much later than asked it wakes, and reads the process's resident memory (RSS, some ten microseconds
    of work). A peak between two wake-ups escapes it, so that a late loop makes the memory look smaller, not larger.
    """

    def __init__(self) -> None:
        self._process = psutil.Process()
        self._task: asyncio.Task[None] | None = None
        self.latest_seconds = 0.0
        """The longest delay so far."""
        self.peak_bytes = 0
        """The largest resident memory so far."""

    def resident_bytes(self) -> int:
        """
        Read how much memory the process takes now.

        :return: Its resident memory.
        """
        resident: int = self._process.memory_info().rss
        return resident

    async def _run(self) -> None:
        while True:
            asleep = time.monotonic()
            await asyncio.sleep(TICK_SECONDS)
            self.latest_seconds = max(self.latest_seconds, time.monotonic() - asleep - TICK_SECONDS)
            self.peak_bytes = max(self.peak_bytes, self.resident_bytes())

    async def __aenter__(self) -> Self:
        self.peak_bytes = self.resident_bytes()
        self._task = asyncio.create_task(self._run())
        # Its first sleep begins before anything else does.
        await asyncio.sleep(0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        self.peak_bytes = max(self.peak_bytes, self.resident_bytes())
