# SPDX-License-Identifier: Apache-2.0
"""Event-loop calls in a worker, whose task is a function: one loop and one HTTP session for the task's process."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self, TypeVar

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.interruptions import uninterrupted
from airflow_provider_alchemy.api.metering import Allowance, Meter
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.hooks.metrics import counting_calls

T = TypeVar("T")


class WorkerCalls:
    """
    Runs coroutines one after the other, and sends their calls.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._runner = asyncio.Runner()
        self._client = AsyncAlchemyClient(settings)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine to its end.

        :param work: The coroutine.
        :return: What it returns; what it raises is raised, and so is what a signal raises meanwhile.
        """
        return self._runner.run(uninterrupted(work))

    async def send(
        self, call: Call[T], *, meter: Meter, max_attempts: int, allowance: Allowance, is_patient: bool = False
    ) -> T:
        """Make a call, as ``AsyncAlchemyClient.send`` does; what it costs goes to Airflow's statistics too."""
        with counting_calls(meter) as spent:
            return await self._client.send(
                call, meter=spent, max_attempts=max_attempts, allowance=allowance, is_patient=is_patient
            )

    def close(self) -> None:
        """Close the session and the loop."""
        try:
            self._runner.run(self._client.aclose())
        finally:
            self._runner.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
