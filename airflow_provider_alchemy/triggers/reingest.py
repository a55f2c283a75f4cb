# SPDX-License-Identifier: Apache-2.0
"""The wait for a collection's refresh, in the triggerer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from enum import StrEnum
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_alchemy.api.errors import AlchemyDeadlineError, AlchemyError
from airflow_provider_alchemy.api.records import Cadence, WaitRecord
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, RefreshWait
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook

_ARGUMENTS = (
    "contract_address",
    "network",
    "alchemy_conn_id",
    "poll_interval",
    "exponential_backoff",
    "max_wait",
    "max_consecutive_failures",
    "record",
)


class WaitEnd(StrEnum):
    """How a wait in the triggerer ended: the ``status`` of its event."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class ReingestTrigger(BaseTrigger):
    """
    Wait until a collection's refresh has ended.

    Its arguments go through the metadata database and are readable there: no key among them. The triggerer may
    start it again at any time, on another machine, or twice at once: it submits nothing that the worker has not
    submitted, and its deadlines are moments, not durations. What was seen since the worker's last look is then
    counted anew.

    :param contract_address: The collection's contract.
    :param network: The network's slug; default: the connection's.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param poll_interval: Seconds between two polls. Default 60: a poll costs 480 compute units.
    :param exponential_backoff: Whether the interval doubles from poll to poll. Default False.
    :param max_wait: The longest interval in seconds; default: no limit.
    :param max_consecutive_failures: Polls in a row that may fail; None: any number. Default 10.
    :param record: What the worker has seen, and the wait's deadlines (``WaitRecord.to_dict``); default: nothing,
        and no deadline.
    """

    def __init__(
        self,
        contract_address: str,
        network: str | None = None,
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        poll_interval: float = 60.0,
        exponential_backoff: bool = False,
        max_wait: float | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        record: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        self.contract_address = contract_address
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.poll_interval = poll_interval
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.max_consecutive_failures = max_consecutive_failures
        self.record = record

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the triggerer needs to build this trigger again.

        :return: Class path and arguments.
        """
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {name: getattr(self, name) for name in _ARGUMENTS}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Poll until the refresh has ended or the wait has failed.

        :return: One event: ``status`` (``WaitEnd``), ``record`` (what was seen) and ``error`` (or None). Airflow
            logs it and keeps it in the database.
        """
        wait = self._wait()
        await asyncio.sleep(wait.first_delay_seconds())
        error: AlchemyError | None = None
        async with AlchemyHook(self.alchemy_conn_id, self.network) as hook:
            try:
                delay = await self._look(hook, wait)
                while delay is not None:
                    await asyncio.sleep(delay)
                    delay = await self._look(hook, wait)
            except AlchemyError as failure:
                error = failure
        payload = {
            "status": _status(error).value,
            "record": wait.record.to_dict(),
            "error": error.to_dict() if error else None,
        }
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's class is not typed

    async def on_kill(self) -> None:
        """Say that a refresh cannot be stopped: Alchemy has no call for it."""
        self.log.info("The refresh of %s goes on at Alchemy, which cannot cancel it", self.contract_address)

    async def _look(self, hook: AlchemyHook, wait: RefreshWait) -> float | None:
        with wait.look() as look:
            # One attempt: the wait itself is the retry, and each attempt is billed.
            look.status = await hook.areingest_contract(
                self.contract_address, meter=look.meter, max_attempts=1, deadline=wait.deadline
            )
        return look.delay_seconds

    def _wait(self) -> RefreshWait:
        fresh = WaitRecord(contract_address=self.contract_address.lower())
        record = WaitRecord.read({**fresh.to_dict(), **(self.record or {})}) or fresh
        record.network = record.network or self.network or ""
        return RefreshWait(
            record,
            subject=record.describe(f"connection {self.alchemy_conn_id!r}"),
            cadence=Cadence(
                interval_seconds=self.poll_interval,
                exponential=self.exponential_backoff,
                max_interval_seconds=self.max_wait,
            ),
            log=self.log,
            max_consecutive_failures=self.max_consecutive_failures,
        )


def _status(error: AlchemyError | None) -> WaitEnd:
    if error is None:
        return WaitEnd.FINISHED
    return WaitEnd.TIMED_OUT if isinstance(error, AlchemyDeadlineError) else WaitEnd.FAILED
