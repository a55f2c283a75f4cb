# SPDX-License-Identifier: Apache-2.0
"""The wait for fresh metadata, in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.fresh_looks import look
from airflow_provider_alchemy.api.fresh_waiting import DEFAULT_MIN_FRESH, FreshWait
from airflow_provider_alchemy.api.freshness import FreshRecord
from airflow_provider_alchemy.api.metering import Meter
from airflow_provider_alchemy.api.polling import RefreshPoller
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.polling import shared_poller
from airflow_provider_alchemy.triggers.reingest import end_of

_ARGUMENTS = (
    "record",
    "alchemy_conn_id",
    "min_fresh",
    "poll_interval",
    "exponential_backoff",
    "max_wait",
    "max_consecutive_failures",
    "max_compute_units",
)


class MetadataFreshTrigger(BaseTrigger):
    """
    Wait until tokens of a collection are proven fresh. It refreshes nothing.

    All triggers of a connection in a triggerer share one HTTP session and one budget. Its arguments go through the
    metadata database and are readable there: no key among them. The triggerer may start it again at any time, on
    another machine, or twice at once: what was seen since the worker's last look is then asked for again, and the
    deadlines are moments, not durations.

    :param record: What the worker has seen: the tokens, the moment, the deadlines (``FreshRecord.to_dict``).
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param min_fresh: How many tokens have to be fresh: an int is their number, a float their share. Default: all.
    :param poll_interval: Seconds between two polls. Default 60: a poll costs 480 compute units per hundred tokens.
    :param exponential_backoff: Whether the interval doubles from poll to poll instead. Default False.
    :param max_wait: The longest interval in seconds where it doubles; default: no limit.
    :param max_consecutive_failures: Polls in a row that may fail; None: any number. Default 10.
    :param max_compute_units: What the wait may spend in all; default: any amount.
    """

    def __init__(
        self,
        record: dict[str, Any],
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        min_fresh: float = DEFAULT_MIN_FRESH,
        poll_interval: float = 60.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_compute_units: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        self.record = record
        self.alchemy_conn_id = alchemy_conn_id
        self.min_fresh = min_fresh
        self.poll_interval = poll_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.max_consecutive_failures = max_consecutive_failures
        self.max_compute_units = max_compute_units

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the triggerer needs to build this trigger again.

        :return: Class path and arguments.
        """
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in _ARGUMENTS}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Poll until enough tokens are fresh or the wait has failed.

        :return: One event: ``status`` (``WaitEnd``), ``record`` (what was seen; without tokens that the task was
            given and so knows) and ``error`` (or None). Airflow logs it and keeps it in the database.
        """
        record = FreshRecord.read(self.record)
        if record is None or record.ids is None:
            msg = f"argument 'record' is {str(self.record)[:200]!r} and no record of tokens to wait for"
            raise ValueError(msg)
        error: AlchemyError | None = None
        try:
            async with shared_poller(self.alchemy_conn_id, record.network or None) as poller:
                await self._wait_for(record, poller)
        except AlchemyError as failure:
            error = failure
        payload = {
            "status": end_of(error).value,
            "record": record.to_dict(with_ids=record.is_sampled),
            "error": error.to_dict() if error else None,
        }
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's class is not typed

    async def _wait_for(self, record: FreshRecord, poller: RefreshPoller) -> None:
        wait = FreshWait(
            record,
            subject=record.describe(poller.settings.source),
            cadence=Cadence(
                interval_seconds=self.poll_interval,
                exponential=self.exponential_backoff,
                max_interval_seconds=self.max_wait,
            ),
            log=self.log,
            min_fresh=self.min_fresh,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )
        wait.limits.check_spending()
        delay: float | None = wait.first_delay_seconds()
        while delay is not None:
            await asyncio.sleep(delay)
            delay = await look(poller, wait, Meter())
