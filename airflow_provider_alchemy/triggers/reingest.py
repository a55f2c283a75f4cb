# SPDX-License-Identifier: Apache-2.0
"""The wait for a collection's refresh, in the triggerer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import pendulum
from airflow.triggers.base import BaseTrigger, TriggerEvent
from pendulum import DateTime

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import AlchemyDeadlineError, AlchemyError
from airflow_provider_alchemy.api.inputs import read_contract_address, read_network
from airflow_provider_alchemy.api.polling import RefreshPoller
from airflow_provider_alchemy.api.records import WaitRecord
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, RefreshWait
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.triggers.ending import push_result, success_event

BACK_STOP = timedelta(minutes=10)
"""How long after the trigger's own deadline Airflow ends the wait: for a triggerer that is gone."""

_ARGUMENTS = (
    "contract_address",
    "network",
    "alchemy_conn_id",
    "poll_interval",
    "max_poll_interval",
    "adaptive",
    "exponential_backoff",
    "max_wait",
    "max_consecutive_failures",
    "max_compute_units",
    "record",
    "starts_here",
    "ends_here",
    "wait_for_completion",
    "max_resubmits",
    "timeout",
    "execution_timeout",
    "do_xcom_push",
    "multiple_outputs",
)


class WaitEnd(StrEnum):
    """How a wait in the triggerer ended: the ``status`` of its event."""

    FINISHED = "finished"
    FAILED = "failed"
    TIMED_OUT = "timed_out"


class ReingestTrigger(BaseTrigger):
    """
    Wait until a collection's refresh has ended.

    All triggers of a connection in a triggerer share one poller: one HTTP session, one budget, one poll for each
    contract. Its arguments go through the metadata database and are readable there: no key among them. The triggerer
    may start it again at any time, on another machine, or twice at once: it submits nothing that the worker has not
    submitted, unless the task starts here, and its deadlines are moments, not durations. What was seen since the
    worker's last look is then counted anew.

    :param contract_address: The collection's contract.
    :param network: The network's slug; default: the connection's.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param poll_interval: Seconds between two polls; where ``adaptive``, the fewest. Default 60: a poll costs 480
        compute units.
    :param max_poll_interval: Seconds between two polls at most, where ``adaptive``. Default: ten minutes, or
        ``poll_interval`` where that is longer.
    :param adaptive: Whether polls follow the refresh's progress. Default True.
    :param exponential_backoff: Whether the interval doubles from poll to poll instead. Default False.
    :param max_wait: The longest interval in seconds where it doubles; default: no limit.
    :param max_consecutive_failures: Polls in a row that may fail; None: any number. Default 10.
    :param max_compute_units: What the wait may spend in all; default: any amount.
    :param record: What the worker has seen, and the wait's deadlines (``WaitRecord.to_dict``); default: nothing,
        and no deadline.
    :param starts_here: Whether no worker has run before: the trigger then submits the refresh itself, and the
        arguments below count.
    :param ends_here: Whether a wait that ends well ends the task here. One that fails ends in a worker all the same,
        where callbacks, retry policies and ``soft_fail`` see the exception.
    :param wait_for_completion: Whether to wait for the refresh's end. Default True.
    :param max_resubmits: How often a refresh that Alchemy could not queue is submitted again. Default 0.
    :param timeout: Seconds until the wait gives up; default: never.
    :param execution_timeout: Seconds until the task's ``execution_timeout`` is over; default: never.
    :param do_xcom_push: Whether the result is pushed, where the task ends here. Default True.
    :param multiple_outputs: Whether each key of the result is an XCom of its own as well, where the task ends here.
        Default: only ``contract_address``.
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
        max_poll_interval: float | None = None,
        adaptive: bool = True,
        max_compute_units: int | None = None,
        starts_here: bool = False,
        ends_here: bool = False,
        wait_for_completion: bool = True,
        max_resubmits: int = 0,
        timeout: float | None = None,
        execution_timeout: float | None = None,
        do_xcom_push: bool = True,
        multiple_outputs: bool | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        self.contract_address = contract_address
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.adaptive = adaptive
        self.exponential_backoff = exponential_backoff
        self.max_wait = max_wait
        self.max_consecutive_failures = max_consecutive_failures
        self.max_compute_units = max_compute_units
        self.record = record
        self.starts_here = starts_here
        self.ends_here = ends_here
        self.wait_for_completion = wait_for_completion
        self.max_resubmits = max_resubmits
        self.timeout = timeout
        self.execution_timeout = execution_timeout
        self.do_xcom_push = do_xcom_push
        self.multiple_outputs = multiple_outputs

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
            logs it and keeps it in the database. Where the task ends here, ``TaskSuccessEvent``.
        """
        record = self._record()
        error: AlchemyError | None = None
        try:
            # A task that starts here has its templates rendered here: nobody has checked them before.
            record.contract_address = read_contract_address(self.contract_address)
            network = None if self.network is None else read_network(self.network)
            async with shared_poller(read_connection_id(self.alchemy_conn_id), network) as poller:
                wait = self._wait(record, poller)
                await poller.follow(wait, until_the_end=self.wait_for_completion)
                if self.ends_here:
                    wait.say_the_end()
        except AlchemyError as failure:
            error = failure
        if error is None and await self._ends_here(record):
            yield success_event(record.result())
            return
        payload = {
            "status": end_of(error).value,
            "record": record.to_dict(),
            "error": error.to_dict() if error else None,
        }
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's class is not typed

    async def on_kill(self) -> None:
        """Say that a refresh cannot be stopped: Alchemy has no call for it."""
        self.log.info("The refresh of %s goes on at Alchemy, which cannot cancel it", self.contract_address)

    async def _ends_here(self, record: WaitRecord) -> bool:
        # Whoever runs a trigger in one process with its task (``airflow dags test``) tells it of no task to end.
        if not self.ends_here or self.task_instance is None:
            return False
        try:
            if self.do_xcom_push:
                await push_result(self.task_instance, record.result(), multiple_outputs=self.multiple_outputs)
        except Exception as error:  # noqa: BLE001 - the refresh is done and paid for: a worker can push as well
            self.log.warning("Could not push the result from the triggerer, a worker ends the task: %s", error)
            return False
        return True

    def _record(self) -> WaitRecord:
        fresh = WaitRecord(contract_address=str(self.contract_address).lower())
        record = WaitRecord.read({**fresh.to_dict(), **(self.record or {})}) or fresh
        if self.starts_here:
            began_at = self._began_at()
            record.waiting_since = began_at.isoformat()
            record.deadline = _after(began_at, self.timeout)
            record.execution_deadline = _after(began_at, self.execution_timeout)
        return record

    def _began_at(self) -> DateTime:
        """
        Tell when the task started here.

        The triggerer may start the trigger again at any time, and tells it nothing of the first time but when Airflow
        will end the wait. That was computed once, from the start of the task: so the start follows from it.
        """
        # Airflow 2 leaves the moment at the task instance.
        ends_at: datetime | None = getattr(self, "timeout_after", None) or getattr(
            self.task_instance, "trigger_timeout", None
        )
        limits = [] if self.timeout is None else [self.timeout + BACK_STOP.total_seconds()]
        limits += [] if self.execution_timeout is None else [self.execution_timeout]
        if ends_at is None or not limits:
            return pendulum.now("UTC")
        ends_at = pendulum.instance(ends_at)
        return min(ends_at.subtract(seconds=min(limits)), pendulum.now("UTC"))

    def _wait(self, record: WaitRecord, poller: RefreshPoller) -> RefreshWait:
        settings = poller.settings
        record.network = settings.network
        failures = self.max_consecutive_failures
        if not self.wait_for_completion:
            # Who does not wait for the end does not wait for the service either, beyond a submission's attempts.
            failures = settings.max_attempts - 1
        return RefreshWait(
            record,
            subject=record.describe(settings.source),
            cadence=self._cadence(),
            log=self.log,
            max_consecutive_failures=failures,
            max_resubmits=self.max_resubmits,
            max_compute_units=self.max_compute_units,
            submits=self.starts_here,
        )

    def _cadence(self) -> Cadence:
        return Cadence(
            interval_seconds=self.poll_interval,
            exponential=self.exponential_backoff,
            adaptive=self.adaptive,
            max_interval_seconds=self.max_wait if self.exponential_backoff else self.max_poll_interval,
        )


def _after(began_at: DateTime, seconds: float | None) -> str | None:
    return None if seconds is None else began_at.add(seconds=seconds).isoformat()


def end_of(error: AlchemyError | None) -> WaitEnd:
    """
    Tell how a wait in the triggerer ended.

    :param error: Why it failed; None: it did not.
    :return: The status of its event.
    """
    if error is None:
        return WaitEnd.FINISHED
    return WaitEnd.TIMED_OUT if isinstance(error, AlchemyDeadlineError) else WaitEnd.FAILED
