# SPDX-License-Identifier: Apache-2.0
"""Keeping progress while work goes on: one save at a time, each with all that happened before it began."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

Keep = Callable[[dict[str, Any]], object]


class Keeper:
    """
    Keeps what is known somewhere that takes its time, such as a database behind two processes.

    :param snapshot: Gives what is to be kept, as JSON values.
    :param keep: Keeps it; called in a thread. None: nothing is kept.
    """

    def __init__(self, snapshot: Callable[[], dict[str, Any]], keep: Keep | None) -> None:
        self._snapshot = snapshot
        self._keep = keep
        self._saving: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None

    async def kept(self) -> None:
        """Return when all that is known now is kept: who waits for it is never more than two saves away."""
        if self._keep is None:
            return
        if self._next is None:
            self._next = asyncio.create_task(self._save_after(self._saving))
        # Whoever is cancelled must not take the others' save with it.
        await asyncio.shield(self._next)

    async def _save_after(self, earlier: asyncio.Task[None] | None) -> None:
        if earlier is not None:
            await asyncio.wait([earlier])
        self._saving, self._next = self._next, None
        if self._keep is not None:
            await asyncio.to_thread(self._keep, self._snapshot())
