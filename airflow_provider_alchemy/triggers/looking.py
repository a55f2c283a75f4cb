# SPDX-License-Identifier: Apache-2.0
"""What the triggers of waits that only look have in common: one poller for each connection, one event at the end."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, ClassVar

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.polling import RefreshPoller
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.triggers.reingest import end_of

Looks = Callable[[RefreshPoller, Any, Usage], Awaitable[float | None]]
"""Looks once: gives the seconds until the next look, or None at the good end."""


class LookingTrigger(BaseTrigger):
    """
    Look until enough is seen.

    :param record: What the worker has seen, and the deadlines.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param poll_interval: Seconds between two polls. Default 60.
    :param exponential_backoff: Whether the interval doubles from poll to poll instead. Default False.
    :param max_wait: The longest interval in seconds where it doubles; default: no limit.
    :param max_consecutive_failures: Polls in a row that may fail; None: any number. Default 10.
    :param max_compute_units: What the wait may spend in all; default: any amount.
    """

    arguments: ClassVar[tuple[str, ...]] = (
        "record",
        "alchemy_conn_id",
        "poll_interval",
        "exponential_backoff",
        "max_wait",
        "max_consecutive_failures",
        "max_compute_units",
    )
    """What the database keeps; subclasses add their own."""

    def __init__(
        self,
        record: dict[str, Any],
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        poll_interval: float = 60.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        self.record = record
        self.alchemy_conn_id = alchemy_conn_id
        self.poll_interval = poll_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.max_consecutive_failures = max_consecutive_failures
        self.max_compute_units = max_compute_units

    @abstractmethod
    def read_record(self) -> Any:
        """
        Rebuild the record.

        :return: It.
        :raises ValueError: It is none that this trigger can go on with.
        """

    @abstractmethod
    def wait_of(self, record: Any, subject: str, cadence: Cadence) -> Any:
        """
        Give the wait, a ``LookWait``.

        :param record: What was seen so far.
        :param subject: The collection and the connection, for people.
        :param cadence: How often to look.
        """

    @abstractmethod
    def looks(self, wait: Any) -> Looks:
        """
        Give what looks in this process.

        :param wait: The wait.
        """

    def told(self, record: Any) -> dict[str, Any]:
        """
        Give what the event tells of a record.

        :param record: What was seen.
        :return: JSON values.
        """
        values: dict[str, Any] = record.to_dict()
        return values

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the triggerer needs to build this trigger again.

        :return: Class path and arguments.
        """
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in self.arguments}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Poll until enough is seen or the wait has failed.

        :return: One event: ``status`` (``WaitEnd``), ``record`` (what ``told`` gives) and ``error`` (or None). Airflow
            logs it and keeps it in the database.
        """
        record = self.read_record()
        error: AlchemyError | None = None
        try:
            async with shared_poller(self.alchemy_conn_id, record.network or None) as poller:
                await self._wait_for(record, poller)
        except AlchemyError as failure:
            error = failure
        payload = {
            "status": end_of(error).value,
            "record": self.told(record),
            "error": error.to_dict() if error else None,
        }
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's class is not typed

    async def _wait_for(self, record: Any, poller: RefreshPoller) -> None:
        cadence = Cadence(
            interval_seconds=self.poll_interval,
            exponential=self.exponential_backoff,
            max_interval_seconds=self.max_wait,
        )
        wait = self.wait_of(record, record.describe(poller.settings.source), cadence)
        look = self.looks(wait)
        wait.limits.check_spending()
        delay: float | None = wait.first_delay_seconds()
        while delay is not None:
            await asyncio.sleep(delay)
            delay = await look(poller, wait, Usage())
