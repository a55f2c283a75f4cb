# SPDX-License-Identifier: Apache-2.0
"""
The life of a task that refreshes a collection's tokens: a worker asks, a triggerer waits between two tries.

How far it is goes through the task's store, so that whichever process comes next goes on, also after a kill.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pendulum

from airflow_provider_alchemy.api.collection_record import CollectionRecord, Method
from airflow_provider_alchemy.api.collection_result import error_of, report_lines, result_of
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.inputs import read_token_ids
from airflow_provider_alchemy.api.records import read_moment
from airflow_provider_alchemy.links.collection import ContractLink, DashboardLink
from airflow_provider_alchemy.tasks.collection_job import STOPS_HERE, CollectionArguments, CollectionJob, out_of_time
from airflow_provider_alchemy.tasks.collection_memory import CollectionMemory
from airflow_provider_alchemy.tasks.deferring import FAILED_BY_AIRFLOW, back_stop, is_time_out
from airflow_provider_alchemy.tasks.failures import airflow_exception
from airflow_provider_alchemy.tasks.labels import label_mapped_task
from airflow_provider_alchemy.tasks.lineage import CollectionTask
from airflow_provider_alchemy.tasks.reports import push_result, write_report
from airflow_provider_alchemy.tasks.time_out import repeat_time_out
from airflow_provider_alchemy.triggers.collection import NextAttemptTrigger

SHORTEST_DEFERRAL_SECONDS = 5.0
"""A shorter pause costs less in the worker than a new worker process does."""


class RefreshCollectionTask(CollectionTask):
    """The part of a task that leads a collection's tokens through its processes. The operator adds its arguments."""

    template_fields: Sequence[str] = ("contract_address", "token_ids", "network", "alchemy_conn_id", "report_path")
    operator_extra_links = (ContractLink(), DashboardLink())
    ui_color = "#dbe9ff"

    contract_address: str
    token_ids: Any
    is_whole_collection: bool
    network: str | None
    alchemy_conn_id: str
    method: Method
    token_attempts: int
    attempt_interval: float
    max_failed: float
    max_compute_units: int | None
    report_path: Any
    deferrable: bool

    def execute(self, context: Any) -> dict[str, Any]:
        """
        Refresh the tokens.

        :param context: The task's context.
        :return: What became of them, and what it cost; see ``result_of``.
        """
        label_mapped_task(context)
        return self._go_on(context)

    def execute_complete(
        self, context: Any, event: dict[str, Any] | None = None, record: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """
        Go on after a pause.

        :param context: The task's context.
        :param event: The trigger's event; it only says that the time is over.
        :param record: How far the refresh was, where Airflow has no store for it.
        :return: What became of the tokens, and what it cost.
        """
        self.log.debug("The pause is over: %s", event)
        label_mapped_task(context)
        return self._go_on(context, CollectionRecord.read(record))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Take the task up again after a pause; one that Airflow itself ended for its time is a time-out."""
        if next_method == FAILED_BY_AIRFLOW and is_time_out(next_kwargs):
            raise airflow_exception(self._out_of_time(), self, context)
        return super().resume_execution(next_method, next_kwargs, context)

    def on_kill(self) -> None:
        """Say what becomes of a refresh whose task is killed."""
        self.log.info(STOPS_HERE, self.contract_address)

    def _go_on(self, context: Any, record: CollectionRecord | None = None) -> dict[str, Any]:
        repeat_time_out(self.execution_timeout)
        memory = CollectionMemory(context, self.retries or 0, self.log)
        try:
            job = CollectionJob(self._arguments(), memory, self.log, record)
            self._check_time(job.record)
            if memory.keep_collection is None and record is None:
                self.log.info("Airflow keeps nothing of a task before 3.3: a retry asks for all tokens again")
            pause = job.run(SHORTEST_DEFERRAL_SECONDS if self.deferrable else math.inf)
        except TimeoutError:
            raise airflow_exception(self._out_of_time(), self, context) from None
        except AlchemyError as error:
            raise airflow_exception(error, self, context) from None
        if pause is not None:
            self._leave(job.record, pause, memory)
        return self._conclude(context, job)

    def _arguments(self) -> CollectionArguments:
        return CollectionArguments(
            contract_address=self.contract_address,
            network=self.network,
            alchemy_conn_id=self.alchemy_conn_id,
            tokens=None if self.is_whole_collection else read_token_ids(self.token_ids),
            method=self.method,
            token_attempts=self.token_attempts,
            interval_seconds=self.attempt_interval,
            max_compute_units=self.max_compute_units,
        )

    def _check_time(self, record: CollectionRecord) -> None:
        """Note when ``execution_timeout`` is over: Airflow watches it in the worker only, not while deferred."""
        deadline = read_moment(record.execution_deadline)
        if deadline is not None and deadline <= pendulum.now("UTC"):
            raise self._out_of_time()
        if deadline is None and self.deferrable and self.execution_timeout is not None:
            record.execution_deadline = (pendulum.now("UTC") + self.execution_timeout).isoformat()

    def _out_of_time(self) -> AlchemyError:
        return out_of_time(f"Collection {self.contract_address}")

    def _leave(self, record: CollectionRecord, pause_seconds: float, memory: CollectionMemory) -> None:
        now, deadline = pendulum.now("UTC"), read_moment(record.execution_deadline)
        due_at = now + timedelta(seconds=pause_seconds)
        if deadline is not None:
            due_at = min(due_at, deadline)
        is_kept = memory.keep_record(record)
        self.log.info("Waiting in the triggerer for %.0f s", (due_at - now).total_seconds())
        self.defer(
            trigger=NextAttemptTrigger(due_at.isoformat()),
            method_name="execute_complete",
            # Where a store has it, it goes no second way: it may be large.
            kwargs={} if is_kept else {"record": record.to_dict()},
            timeout=back_stop(record.execution_deadline),
        )

    def _conclude(self, context: Any, job: CollectionJob) -> dict[str, Any]:
        record = job.conclude()
        result = result_of(record)
        error = error_of(record, self.max_failed, job.subject)
        if self.report_path:
            try:
                write_report(self.report_path, report_lines(record), self.log)
            except AlchemyError:
                push_result(self, context, result)
                raise
        if error is None:
            return self.deliver(context, result)
        push_result(self, context, result)
        raise airflow_exception(error, self, context)
