# SPDX-License-Identifier: Apache-2.0
"""
The life of one refresh in a task, shared by operator and sensor: look, wait here or elsewhere, end.

A task may go through many processes: worker, database, triggerer, worker again, the next try. What it knows
travels in a ``WaitRecord``; who it is (contract, network, connection) comes from its rendered arguments.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyExecutionDeadlineError,
    AlchemyQueueFailedError,
)
from airflow_provider_alchemy.api.inputs import read_contract_address, read_network
from airflow_provider_alchemy.api.models import RefreshState
from airflow_provider_alchemy.api.records import WaitRecord
from airflow_provider_alchemy.api.waiting import RefreshWait
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.links.collection import ContractLink, DashboardLink
from airflow_provider_alchemy.tasks.deferring import (
    FAILED_BY_AIRFLOW,
    back_stop,
    gone_triggerer,
    is_time_out,
    read_event,
    set_deadlines,
)
from airflow_provider_alchemy.tasks.failures import airflow_exception
from airflow_provider_alchemy.tasks.labels import label_mapped_task
from airflow_provider_alchemy.tasks.lineage import CollectionTask
from airflow_provider_alchemy.tasks.memory import TaskMemory
from airflow_provider_alchemy.tasks.placement import LateStartTriggerArgs, ends_in_triggerer
from airflow_provider_alchemy.tasks.time_out import repeat_time_out
from airflow_provider_alchemy.triggers.reingest import BACK_STOP, ReingestTrigger, WaitEnd


class ReingestTask(CollectionTask):
    """The part of a task that looks at a refresh until it ends. Operator and sensor add their arguments."""

    template_fields: Sequence[str] = ("contract_address", "network", "alchemy_conn_id")
    operator_extra_links = (ContractLink(), DashboardLink())
    start_trigger_args = LateStartTriggerArgs()
    ui_color = "#dbe9ff"
    max_resubmits: int = 0
    is_rescheduled: ClassVar[bool] = False
    wait_for_completion: bool = True

    contract_address: str
    network: str | None
    alchemy_conn_id: str
    deferrable: bool
    end_from_trigger: bool
    outputs_from_trigger: bool | None
    fallbacks: list[str]
    max_consecutive_failures: int | None
    max_compute_units: int | None

    @abstractmethod
    def cadence(self) -> Cadence:
        """Give how often the task looks."""

    @abstractmethod
    def time_limit_seconds(self) -> float:
        """Give how long the task waits, in seconds."""

    def leave(self, wait: RefreshWait, delay_seconds: float) -> None:  # noqa: ARG002 - the sensor needs it
        """
        Go on elsewhere, by raising what Airflow wants for it; or return, to go on here.

        :param wait: The wait so far.
        :param delay_seconds: When the next look is due.
        """
        # The triggerer only waits for what the worker has submitted: not before the service has answered.
        if self.deferrable and wait.was_answered and not wait.must_submit_again:
            trigger = self._trigger(
                wait.cadence,
                contract_address=wait.record.contract_address,
                network=wait.record.network,
                record=wait.record.to_dict(),
            )
            self.defer(
                trigger=trigger,
                method_name="execute_complete",
                timeout=back_stop(wait.record.deadline, wait.record.execution_deadline),
            )

    def look_on(self, context: Any, record: WaitRecord | None = None, *, until_the_end: bool = True) -> dict[str, Any]:
        """
        Look at the refresh until it has ended.

        :param context: The task's context.
        :param record: What an earlier process saw; default: what the task remembers.
        :param until_the_end: Whether to wait; else one answer that accepts the refresh is enough.
        :return: What the task returns; its keys are those of ``WaitRecord.result``.
        """
        repeat_time_out(self.execution_timeout)
        memory = TaskMemory(context, self.retries or 0, self.log)
        wait: RefreshWait | None = None
        try:
            with self.hook() as hook:
                wait = self.begin(hook, memory, record)
                try:
                    self._look_and_sleep(hook, wait, memory, until_the_end=until_the_end)
                except AlchemyError:
                    wait.say_the_end()
                    raise
            wait.say_the_end()
            return wait.result()
        except AlchemyError as error:
            failure = error
        return self.end_failed(failure, None if wait is None else wait.record, context)

    def end_failed(self, error: AlchemyError, record: WaitRecord | None, context: Any) -> dict[str, Any]:  # noqa: ARG002
        """
        End a wait that has failed, by raising what Airflow wants for it; who knows another way may return instead.

        :param error: Why it has failed.
        :param record: What was seen; None where nothing was asked.
        :param context: The task's context.
        :return: What the task returns; its keys are those of ``WaitRecord.result``.
        """
        raise airflow_exception(error, self, context)

    def _look_and_sleep(self, hook: AlchemyHook, wait: RefreshWait, memory: TaskMemory, *, until_the_end: bool) -> None:
        if not until_the_end:
            # Who does not wait for the end does not wait for the service either: Airflow's retry does.
            wait.max_consecutive_failures = 0
        if wait.must_submit_again:
            # The triggerer saw queue_failed; submitting is a worker's work.
            time.sleep(wait.delay_before_submitting_again())
        # An earlier process may have got the end and not reported it: asking again might start a new refresh.
        while wait.record.state != RefreshState.FINISHED:
            delay = self.look(hook, wait, memory)
            if delay is None or not (until_the_end or wait.must_submit_again):
                return
            self.leave(wait, delay)
            time.sleep(delay)

    def hook(self) -> AlchemyHook:
        """
        Make the hook from the rendered arguments.

        :return: The hook; its connection is read by its first call.
        :raises AlchemyArgumentError: An argument cannot be right.
        """
        network = None if self.network is None else read_network(self.network)
        return AlchemyHook(read_connection_id(self.alchemy_conn_id), network)

    def begin(self, hook: AlchemyHook, memory: TaskMemory, record: WaitRecord | None = None) -> RefreshWait:
        """
        Begin a wait, or take up the one that an earlier process of this task began.

        :param hook: The hook; its connection is read.
        :param memory: What the task remembers.
        :param record: What an earlier process saw; default: what the task remembers.
        :return: The wait.
        """
        address = read_contract_address(self.contract_address)
        settings = hook.get_conn().settings
        record = record or memory.recall(address)
        if record is None and self.is_rescheduled:
            record = memory.earlier_pokes(address)
        record = record or WaitRecord(contract_address=address)
        record.network = settings.network
        if record.deadline is None:
            execution_timeout = self.execution_timeout if self.deferrable else None
            set_deadlines(record, self.time_limit_seconds(), execution_timeout)
        return RefreshWait(
            record,
            subject=record.describe(settings.source),
            cadence=self.cadence(),
            log=self.log,
            max_consecutive_failures=self.max_consecutive_failures,
            max_resubmits=self.max_resubmits,
            max_compute_units=self.max_compute_units,
        )

    def look(self, hook: AlchemyHook, wait: RefreshWait, memory: TaskMemory) -> float | None:
        """
        Look once, and remember what was seen and what it cost, also where it failed.

        :param hook: The hook.
        :param wait: The wait.
        :param memory: What the task remembers.
        :return: Seconds until the next look; None: the refresh has finished.
        :raises AlchemyError: The wait has failed.
        """
        # A submission is worth the connection's attempts; after it the wait itself is the retry, since each
        # attempt is billed.
        submits = not wait.record.looks or wait.must_submit_again
        attempts = None if submits else 1
        try:
            with wait.look() as look:
                look.status = hook.reingest_contract(
                    self.contract_address, usage=look.usage, max_attempts=attempts, deadline=wait.limits.deadline
                )
        finally:
            memory.keep(wait.record)
        return look.delay_seconds

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on in a worker with what the triggerer saw.

        :param context: The task's context.
        :param event: The trigger's event.
        :return: What the task returns; its keys are those of ``WaitRecord.result``.
        """
        label_mapped_task(context)
        return self.deliver(context, self._go_on(context, event))

    def _go_on(self, context: Any, event: dict[str, Any] | None) -> dict[str, Any]:
        subject = f"Collection {self.contract_address}"
        record, error = read_event(event, WaitEnd.FINISHED, WaitRecord.read, subject)
        if isinstance(error, AlchemyQueueFailedError) and record.resubmits < self.max_resubmits:
            return self.look_on(context, record)
        TaskMemory(context, self.retries or 0, self.log).keep(record)
        self._wait_of(record).say_the_end()
        return record.result() if error is None else self.end_failed(error, record, context)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Take the task up again after a deferral; a wait that Airflow itself ended for its time is a time-out."""
        if next_method == FAILED_BY_AIRFLOW and is_time_out(next_kwargs):
            raise airflow_exception(self._ended_by_airflow(), self, context)
        # Not the sensor's own: it would skip with soft_fail on failures where a poking sensor fails.
        return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def _ended_by_airflow(self) -> AlchemyDeadlineError:
        subject = f"Collection {self.contract_address}"
        execution_seconds = self.execution_timeout.total_seconds() if self.execution_timeout else math.inf
        # Airflow itself cuts the time of a task that starts in the triggerer to its execution_timeout. The trigger
        # does so too: whichever comes first.
        if self.start_from_trigger and execution_seconds <= self.time_limit_seconds() + BACK_STOP.total_seconds():
            msg = "the refresh had not ended when the task's execution_timeout was over"
            return AlchemyExecutionDeadlineError(msg, subject=subject)
        return gone_triggerer(subject)

    def on_kill(self) -> None:
        """Say that a refresh cannot be stopped: Alchemy has no call for it."""
        self.log.info("The refresh of %s goes on at Alchemy, which cannot cancel it", self.contract_address)

    def _wait_of(self, record: WaitRecord) -> RefreshWait:
        subject = record.describe(f"connection {self.alchemy_conn_id!r}")
        return RefreshWait(record, subject=subject, cadence=self.cadence(), log=self.log)

    def first_trigger(self) -> ReingestTrigger:
        """
        Give the trigger with which the task starts where it starts in the triggerer.

        :return: The trigger; its templates are rendered there.
        """
        execution_timeout = self.execution_timeout.total_seconds() if self.execution_timeout else None
        return self._trigger(
            self.cadence(),
            contract_address=self.contract_address,
            network=self.network,
            starts_here=True,
            wait_for_completion=self.wait_for_completion,
            max_resubmits=self.max_resubmits,
            timeout=self.time_limit_seconds(),
            execution_timeout=execution_timeout,
        )

    def _trigger(self, cadence: Cadence, **arguments: Any) -> ReingestTrigger:
        return ReingestTrigger(
            alchemy_conn_id=self.alchemy_conn_id,
            poll_interval=cadence.interval_seconds,
            adaptive=cadence.adaptive,
            max_poll_interval=cadence.max_interval_seconds if cadence.adaptive else None,
            exponential_backoff=cadence.exponential,
            max_wait=cadence.max_interval_seconds if cadence.exponential else None,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
            ends_here=ends_in_triggerer(self),
            do_xcom_push=self.do_xcom_push,
            multiple_outputs=self.outputs_from_trigger,
            **arguments,
        )
