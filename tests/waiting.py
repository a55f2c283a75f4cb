# SPDX-License-Identifier: Apache-2.0
"""
Waiting for a condition inside one process, with a guard that counts its own pauses.

A machine that stands still makes no pauses, so it does not use the guard up; on a slow one each takes longer.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

PAUSE_SECONDS = 0.005
MAX_PAUSES = 24_000
"""Two minutes on a machine that has nothing else to do."""


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    for _ in range(MAX_PAUSES):
        if condition():
            return
        time.sleep(PAUSE_SECONDS)
    assert condition(), "the condition did not come true"


async def until(condition: Callable[[], object]) -> None:
    """Wait in an event loop until a condition holds."""
    for _ in range(MAX_PAUSES):
        if condition():
            return
        await asyncio.sleep(PAUSE_SECONDS)
    assert condition(), "the condition did not come true"
