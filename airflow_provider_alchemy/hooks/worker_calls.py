# SPDX-License-Identifier: Apache-2.0
"""Event-loop calls in a worker, whose task is a function: each run has a loop beside it, with one HTTP session."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from airflow_provider_alchemy.api.client import AsyncAlchemyClient
from airflow_provider_alchemy.api.endpoints import Call
from airflow_provider_alchemy.api.loop_thread import run_beside
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import SpendingLimit, Usage
from airflow_provider_alchemy.hooks.metrics import counting_calls

T = TypeVar("T")


class WorkerCalls:
    """
    Runs coroutines one after the other, and sends their calls.

    :param settings: Whose account, and the way to it.
    """

    def __init__(self, settings: ClientSettings) -> None:
        self.settings = settings
        self._client: AsyncAlchemyClient

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine to its end.

        :param work: The coroutine.
        :return: What it returns; what it raises is raised, and so is what a signal raises meanwhile.
        """

        async def with_client() -> T:
            async with AsyncAlchemyClient(self.settings) as self._client:
                return await work

        return run_beside(with_client)

    async def send(
        self, call: Call[T], *, usage: Usage, max_attempts: int, spending_limit: SpendingLimit, is_patient: bool = False
    ) -> T:
        """Make a call, as ``AsyncAlchemyClient.send`` does; what it costs goes to Airflow's statistics too."""
        with counting_calls(usage) as spent:
            return await self._client.send(
                call, usage=spent, max_attempts=max_attempts, spending_limit=spending_limit, is_patient=is_patient
            )
