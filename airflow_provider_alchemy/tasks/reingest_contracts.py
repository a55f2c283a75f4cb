# SPDX-License-Identifier: Apache-2.0
"""
The life of a batch in an Airflow task: a worker reads and checks, a trigger waits, a worker judges.

Ten thousand contracts make one task with two short worker processes and one trigger between them. What is known
travels in a ``BatchRecord``, the list of contracts beside it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pendulum

from airflow_provider_alchemy.api.batches import BatchEnd, BatchRecord
from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.inputs import (
    ContractList,
    pack_addresses,
    read_contracts,
    read_network,
    unpack_addresses,
)
from airflow_provider_alchemy.assets.uris import Collection
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.links.collection import DashboardLink
from airflow_provider_alchemy.tasks.arguments import read_spending_limit
from airflow_provider_alchemy.tasks.batch_memory import BatchMemory
from airflow_provider_alchemy.tasks.deferring import (
    FAILED_BY_AIRFLOW,
    back_stop,
    gone_triggerer,
    is_time_out,
    read_event,
)
from airflow_provider_alchemy.tasks.failures import airflow_exception
from airflow_provider_alchemy.tasks.lineage import CollectionTask
from airflow_provider_alchemy.tasks.outlets import events_of_batch, push_result
from airflow_provider_alchemy.triggers.reingest_contracts import ReingestContractsTrigger


class ReingestContractsTask(CollectionTask):
    """The part of a task that leads a batch through its processes. The operator adds its arguments."""

    template_fields: Sequence[str] = ("contract_addresses", "network", "alchemy_conn_id")
    operator_extra_links = (DashboardLink(),)
    ui_color = "#dbe9ff"

    contract_addresses: Any
    network: str | None
    alchemy_conn_id: str
    poll_interval: float
    max_poll_interval: float
    adaptive: bool
    timeout: float
    max_failed: float
    max_resubmits: int
    max_consecutive_failures: int | None
    max_compute_units: int | None

    def execute(self, context: Any) -> dict[str, Any]:
        """
        Check everything that can be checked before anything is sent, and go on in the triggerer.

        :param context: The task's context.
        :return: The batch's result, where an earlier try has seen every contract end.
        """
        memory = BatchMemory(context, self.retries or 0, self.log)
        try:
            contracts = read_contracts(self.contract_addresses)
            read_spending_limit(self.max_compute_units, len(contracts.addresses))
            record, subject = self._begin(contracts, memory)
        except AlchemyError as error:
            raise airflow_exception(error, self, context) from None
        if record.ended < record.contracts:
            self._say_the_beginning(record, memory, subject)
            self.defer(
                trigger=self._trigger(contracts, record, memory),
                method_name="execute_complete",
                kwargs={"contract_addresses": pack_addresses(contracts.addresses)},
                timeout=back_stop(record.deadline, record.execution_deadline),
            )
        self.log.info("%s: all have ended in an earlier try", subject)
        return self._conclude(context, record, contracts.addresses)

    def execute_complete(
        self, context: Any, event: dict[str, Any] | None = None, contract_addresses: str | None = None
    ) -> dict[str, Any]:
        """
        Judge what the triggerer saw.

        :param context: The task's context.
        :param event: The trigger's event.
        :param contract_addresses: The contracts of the batch (``pack_addresses``), as they were when it began.
        :return: The batch's result.
        """
        subject = f"Batch of task {self.task_id!r}"
        record, error = read_event(event, BatchEnd.ENDED, BatchRecord.read, subject)
        memory = BatchMemory(context, self.retries or 0, self.log)
        memory.keep_batch(record)
        if (event or {}).get("is_kept"):
            memory.forget_progress()
        return self._conclude(context, record, self._addresses(record, contract_addresses), error)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Take the task up again after a deferral; a wait that Airflow itself ended for its time is a time-out."""
        if next_method == FAILED_BY_AIRFLOW:
            record = BatchMemory(context, self.retries or 0, self.log).take_over()
            if is_time_out(next_kwargs):
                error = gone_triggerer(f"Batch of task {self.task_id!r}" if record is None else self._subject(record))
                # The list may be another by now: then there is no result to tell.
                with suppress(AlchemyError):
                    if record is not None:
                        push_result(self, context, record.result(self._addresses(record), error))
                raise airflow_exception(error, self, context)
        return super().resume_execution(next_method, next_kwargs, context)

    def events_of(self, result: Mapping[str, Any]) -> Mapping[Collection, dict[str, Any]]:
        """Give what the asset events of the batch's collections tell; see ``events_of_batch``."""
        return events_of_batch(result)

    def on_kill(self) -> None:
        """Say that refreshes cannot be stopped: Alchemy has no call for it."""
        self.log.info("The refreshes that were submitted go on at Alchemy, which cannot cancel them")

    def _begin(self, contracts: ContractList, memory: BatchMemory) -> tuple[BatchRecord, str]:
        network = None if self.network is None else read_network(self.network)
        with AlchemyHook(read_connection_id(self.alchemy_conn_id), network) as hook:
            settings = hook.get_conn().settings
        digest = contracts.digest(settings.network)
        earlier = memory.recall_batch(digest)
        record = BatchRecord(contracts=len(contracts.addresses), digest=digest, network=settings.network)
        if earlier is not None:
            record = earlier.for_next_try()
        record.duplicates = contracts.duplicates
        now = pendulum.now("UTC")
        record.waiting_since = now.isoformat()
        record.deadline = now.add(seconds=self.timeout).isoformat()
        if self.execution_timeout is not None:
            # Airflow watches execution_timeout in the worker only, not while the task is deferred.
            record.execution_deadline = (now + self.execution_timeout).isoformat()
        return record, record.describe(settings.source)

    def _trigger(self, contracts: ContractList, record: BatchRecord, memory: BatchMemory) -> ReingestContractsTrigger:
        return ReingestContractsTrigger(
            contract_addresses=contracts.addresses,
            record=record.to_dict(),
            alchemy_conn_id=read_connection_id(self.alchemy_conn_id),
            poll_interval=self.poll_interval,
            max_poll_interval=self.max_poll_interval,
            adaptive=self.adaptive,
            max_consecutive_failures=self.max_consecutive_failures,
            max_resubmits=self.max_resubmits,
            max_compute_units=self.max_compute_units,
            variable=memory.variable.to_dict() if memory.variable is not None else None,
        )

    def _conclude(
        self, context: Any, record: BatchRecord, addresses: Sequence[str], stopped_by: AlchemyError | None = None
    ) -> dict[str, Any]:
        subject = self._subject(record)
        self.log.info("%s: %s", subject, record.tell_the_end())
        result = record.result(addresses, stopped_by)
        error = stopped_by or record.verdict(addresses, self.max_failed, subject)
        if error is None:
            return self.deliver(context, result)
        push_result(self, context, result)
        raise airflow_exception(error, self, context)

    def _addresses(self, record: BatchRecord, packed: str | None = None) -> Sequence[str]:
        # dag.test() forgets what a task gave itself on the way, and Airflow does where it ends a wait.
        addresses = unpack_addresses(packed) if packed else read_contracts(self.contract_addresses).addresses
        if ContractList(tuple(addresses)).digest(record.network) == record.digest:
            return addresses
        msg = "the list of contracts is not the one that the batch began with"
        raise AlchemyUnexpectedAnswerError(msg, subject=self._subject(record), advice="Clear the task to begin anew")

    def _subject(self, record: BatchRecord) -> str:
        return record.describe(f"connection {self.alchemy_conn_id!r}")

    def _say_the_beginning(self, record: BatchRecord, memory: BatchMemory, subject: str) -> None:
        left, finished = record.contracts - record.ended, len(record.finished)
        known = f"; {record.ended:,} ended in an earlier try ({finished:,} finished)" if record.ended else ""
        dropped = f"; {record.duplicates:,} named more than once, asked for once" if record.duplicates else ""
        self.log.info("%s: asking for %s%s%s", subject, f"{left:,}", known, dropped)
        if memory.variable is None:
            self.log.info(
                "Airflow keeps nothing of a batch before 3.3: where the triggerer restarts or the task is retried, all "
                "contracts are asked for again, which joins the refreshes that run"
            )
