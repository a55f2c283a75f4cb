# SPDX-License-Identifier: Apache-2.0
"""
The life of a task that looks until it has seen enough: in a worker or elsewhere, through many processes.

Worker, database, triggerer, worker again, the next try: what the task knows travels in a record; what it waits for
comes from its rendered arguments. The subclasses know what there is to see.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import BaseOperator
from airflow.triggers.base import BaseTrigger

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.usage import Usage
from airflow_provider_alchemy.hooks.shared import WorkerCalls
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
from airflow_provider_alchemy.tasks.time_out import repeat_time_out
from airflow_provider_alchemy.triggers.reingest import WaitEnd

Looks = Callable[[WorkerCalls, Any, Usage], Coroutine[Any, Any, float | None]]
"""Looks once: gives the seconds until the next look, or None at the good end."""


class LookingTask(CollectionTask):
    """
    The part of a task that leads a wait through its processes.

    Records, waits and memories are of the subclass's own types: an operator of Airflow takes no type parameters.
    """

    operator_extra_links = (ContractLink(), DashboardLink())
    ui_color = "#dbe9ff"
    is_rescheduled: ClassVar[bool] = False
    only_looks = True

    contract_address: str
    alchemy_conn_id: str
    deferrable: bool
    max_consecutive_failures: int | None
    max_compute_units: int | None

    @abstractmethod
    def cadence(self) -> Cadence:
        """Give how often the task looks."""

    @abstractmethod
    def time_limit_seconds(self) -> float:
        """Give how long the task waits, in seconds."""

    @abstractmethod
    def read_arguments(self, context: Any) -> tuple[ClientSettings, Any]:
        """
        Read the rendered arguments and the connection.

        :param context: The task's context.
        :return: The settings, and a record without anything seen.
        :raises AlchemyError: One of them cannot be right.
        """

    @abstractmethod
    def read_record(self, data: Any) -> Any:
        """
        Rebuild a record.

        :param data: What its ``to_dict`` gave.
        :return: The record; None where it is none.
        """

    @abstractmethod
    def memory(self, context: Any) -> Any:
        """
        Give the task's memory, a ``LookMemory`` with a ``recall_record``.

        :param context: The task's context.
        """

    @abstractmethod
    def wait_of(self, record: Any, subject: str) -> Any:
        """
        Give the wait, a ``LookWait``.

        :param record: What was seen so far.
        :param subject: The collection and the connection, for people.
        """

    @abstractmethod
    def looks(self, wait: Any) -> Looks:
        """
        Give what looks in this process.

        :param wait: The wait.
        """

    @abstractmethod
    def trigger_of(self, record: Any, cadence: Cadence) -> BaseTrigger:
        """
        Give the trigger that goes on.

        :param record: What was seen so far.
        :param cadence: How often to look.
        """

    @abstractmethod
    def reconstruct(self, record: Any, memory: Any) -> None:
        """
        Take over of earlier pokes what Airflow itself counts, where nothing of them is kept.

        :param record: The record of this poke.
        :param memory: The task's memory.
        """

    def before_the_first_look(self, calls: WorkerCalls, wait: Any, memory: Any) -> None:
        """
        Do what comes before the first look of a process; a task without a choice to make does nothing.

        :param calls: Makes calls.
        :param wait: The wait.
        :param memory: Keeps what they cost.
        :raises AlchemyError: What went wrong.
        """

    def take_back(self, record: Any, subject: str) -> None:
        """
        Put into a record what the triggerer was not to send back; a task without such things does nothing.

        :param record: The record, as it came.
        :param subject: The collection and the connection, for people.
        :raises AlchemyError: It is not the record of this task.
        """

    def leave(self, wait: Any, delay_seconds: float) -> None:  # noqa: ARG002 - the sensor needs it
        """
        Go on elsewhere, by raising what Airflow wants for it; or return, to go on here.

        :param wait: The wait so far.
        :param delay_seconds: When the next look is due.
        """
        if self.deferrable:
            record = wait.record
            self.defer(
                trigger=self.trigger_of(record, wait.cadence),
                method_name="execute_complete",
                timeout=back_stop(record.deadline, record.execution_deadline),
            )

    def look_on(self, context: Any, *, until_the_end: bool = True) -> Any:
        """
        Look until enough is seen.

        :param context: The task's context.
        :param until_the_end: Whether to wait; else to look once.
        :return: The wait; ``is_over`` tells whether it has ended well.
        """
        repeat_time_out(self.execution_timeout)
        memory = self.memory(context)
        try:
            settings, asked = self.read_arguments(context)
            wait = self._begin(asked, settings, memory)
            calls = WorkerCalls(settings)
            try:
                self.before_the_first_look(calls, wait, memory)
                self._look_and_sleep(calls, wait, memory, until_the_end=until_the_end)
            except AlchemyError:
                wait.say_the_end()
                raise
        except AlchemyError as error:
            raise airflow_exception(error, self, context) from None
        return wait

    def execute_complete(self, context: Any, event: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Go on in a worker with what the triggerer saw.

        :param context: The task's context.
        :param event: The trigger's event.
        :return: What the task returns.
        """
        label_mapped_task(context)
        record, error = read_event(event, WaitEnd.FINISHED, self.read_record, f"Collection {self.contract_address}")
        subject = record.describe(f"connection {self.alchemy_conn_id!r}")
        try:
            self.take_back(record, subject)
        except AlchemyError as unknown:
            raise airflow_exception(unknown, self, context) from None
        self.memory(context).keep_record(record)
        self.wait_of(record, subject).say_the_end()
        if error is not None:
            raise airflow_exception(error, self, context)
        return self.deliver(context, record.result())

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Take the task up again after a deferral; a wait that Airflow itself ended for its time is a time-out."""
        if next_method == FAILED_BY_AIRFLOW and is_time_out(next_kwargs):
            raise airflow_exception(gone_triggerer(f"Collection {self.contract_address}"), self, context)
        # Not the sensor's own: it would skip with soft_fail on failures where a poking sensor fails.
        return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def _begin(self, asked: Any, settings: ClientSettings, memory: Any) -> Any:
        record = memory.recall_record(asked)
        if record is None:
            record = asked
            if self.is_rescheduled:
                self.reconstruct(record, memory)
        if record.deadline is None:
            execution_timeout = self.execution_timeout if self.deferrable else None
            set_deadlines(record, self.time_limit_seconds(), execution_timeout)
        return self.wait_of(record, record.describe(settings.source))

    def _look_and_sleep(self, calls: WorkerCalls, wait: Any, memory: Any, *, until_the_end: bool) -> None:
        look = self.looks(wait)
        # An earlier process may have got the end and not reported it.
        while not wait.is_over:
            try:
                delay = calls.run(look(calls, wait, Usage()))
            finally:
                memory.keep_record(wait.record)
            if delay is None or not until_the_end:
                return
            self.leave(wait, delay)
            time.sleep(delay)
        wait.finish()
