# SPDX-License-Identifier: Apache-2.0
"""The time between two tries of a collection's tokens, in the triggerer: it takes no worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pendulum
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_alchemy.api.records import read_moment

DUE = "due"


class NextAttemptTrigger(BaseTrigger):
    """
    Waits until the next try is due.

    :param due_at: When it is (ISO 8601): a moment and no duration, so that a restart does not begin anew.
    """

    def __init__(self, due_at: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's class is not typed
        self.due_at = due_at

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its arguments, from which another triggerer builds it again."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"due_at": self.due_at}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Wait.

        :return: One event, ``{"status": "due"}``.
        """
        due_at = read_moment(self.due_at)
        await asyncio.sleep(max(0.0, (due_at - pendulum.now("UTC")).total_seconds()) if due_at else 0.0)
        yield TriggerEvent({"status": DUE})  # type: ignore[no-untyped-call]  # as above
