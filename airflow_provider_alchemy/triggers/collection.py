# SPDX-License-Identifier: Apache-2.0
"""The pause between two attempts of a collection's tokens, in the triggerer: it takes no worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent


class NextAttemptTrigger(BaseTrigger):
    """
    Waits until the next attempt is due.

    :param due_at: When it is (ISO 8601): a moment and no duration, so that a restart does not begin anew.
    """

    def __init__(self, due_at: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's class is not typed
        self.due_at = due_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its arguments, from which another triggerer builds it again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"due_at": self.due_at}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and send one event: ``{"status": "due"}``."""
        await asyncio.sleep(max(0.0, (datetime.fromisoformat(self.due_at) - datetime.now(UTC)).total_seconds()))
        yield TriggerEvent({"status": "due"})  # type: ignore[no-untyped-call]  # as above
