# SPDX-License-Identifier: Apache-2.0
"""
The task that refreshes many collections.

It is always deferred. Its trigger reports the progress now and then; a worker saves it, and defers the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_alchemy.api.errors import (
    AlchemyDeadlineError,
    AlchemyError,
    AlchemyUnexpectedAnswerError,
    error_from_dict,
)
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
from airflow_provider_alchemy.tasks.arguments import read_batch_spending_limit
from airflow_provider_alchemy.tasks.base import CollectionTask, events_of_batch, push_result
from airflow_provider_alchemy.tasks.exceptions import airflow_exception
from airflow_provider_alchemy.tasks.store import TaskStateStore
from airflow_provider_alchemy.tasks.waiting import FAILED_BY_AIRFLOW, is_airflow_timeout
from airflow_provider_alchemy.triggers.batch import ReingestContractsTrigger
from airflow_provider_alchemy.triggers.wait import BACK_STOP, WaitEnd
from airflow_provider_alchemy.waits.batch import Batch, BatchState
from airflow_provider_alchemy.waits.wait import from_json, to_json


class ReingestContractsTask(CollectionTask):
    """The part of a task that leads a batch through its processes. The operator adds its arguments."""

    operator_extra_links: Sequence[Any] = (DashboardLink(),)

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
        """Check all that can be checked before anything is sent, and go on in the triggerer."""
        store = self._store(context)
        try:
            contracts = read_contracts(self.contract_addresses)
            number = len(contracts.addresses)
            read_batch_spending_limit(self.max_compute_units, number)
            batch, subject = self._begin(contracts, store)
        except AlchemyError as error:
            raise airflow_exception(error, self, context) from None
        if batch.ended < number:
            self._log_start(batch, subject, store)
            self._defer(batch)
        self.log.info("%s: all have ended in an earlier try", subject)
        return self._conclude(context, batch)

    def execute_complete(
        self, context: Any, event: dict[str, Any] | None = None, contract_addresses: str | None = None
    ) -> dict[str, Any]:
        """Save what the triggerer saw, and defer the rest or end."""
        values = event if isinstance(event, dict) else {}
        status, state = values.get("status"), from_json(BatchState, values.get("state"))
        if status not in list(WaitEnd) or state is None:
            msg = f"the trigger's event is {str(event)[:200]!r}"
            advice = "Check that workers and triggerers run the same version of airflow-provider-alchemy"
            raise AlchemyUnexpectedAnswerError(msg, subject=f"Batch of task {self.task_id!r}", advice=advice)
        self._store(context).save(to_json(state))
        batch = Batch(state, self._addresses(state, contract_addresses))
        if status == WaitEnd.PROGRESS:
            # Not the trigger: Airflow begins the triggerer's log of a task anew with each deferral.
            self.log.info("%s: %s", self._subject(state), batch.describe())
            self._defer(batch)
        error = None if status == WaitEnd.FINISHED else error_from_dict(values.get("error") or {})
        return self._conclude(context, batch, error)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        if next_method == FAILED_BY_AIRFLOW and is_airflow_timeout(next_kwargs):
            saved, _ = self._store(context).load()
            state = from_json(BatchState, saved)
            subject = f"Batch of task {self.task_id!r}" if state is None else self._subject(state)
            msg = f"no triggerer ended the wait within {BACK_STOP.total_seconds():g} s after its deadline"
            error = AlchemyDeadlineError(msg, subject=subject, advice="Check that a triggerer is running")
            # The list may be another by now: then there is no result.
            with suppress(AlchemyError):
                if state is not None:
                    push_result(self, context, Batch(state, self._addresses(state)).result(error))
            raise airflow_exception(error, self, context)
        return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def events_of(self, result: Mapping[str, Any]) -> Mapping[Collection, dict[str, Any]]:
        return events_of_batch(result)

    def on_kill(self) -> None:
        self.log.info("The refreshes that were submitted go on at Alchemy, which cannot cancel them")

    def _store(self, context: Any) -> TaskStateStore:
        return TaskStateStore(context, "alchemy_batch", self.retries, self.log)

    def _begin(self, contracts: ContractList, store: TaskStateStore) -> tuple[Batch, str]:
        network = None if self.network is None else read_network(self.network)
        with AlchemyHook(read_connection_id(self.alchemy_conn_id), network) as hook:
            settings = hook.read_settings()
        state = BatchState(
            contracts=len(contracts.addresses),
            digest=contracts.digest(settings.network),
            network=settings.network,
            duplicates=contracts.duplicates,
        )
        saved, _ = store.load()
        earlier = from_json(BatchState, saved)
        batch = Batch(state, contracts.addresses)
        if earlier is not None and earlier.digest == state.digest:
            batch = Batch(earlier, contracts.addresses)
            batch.begin_new_try()
        elif earlier is not None:
            self.log.info("The contracts are not those of the earlier try: asking for all of them")
        # Airflow enforces execution_timeout in the worker only, not while the task is deferred.
        batch.state.set_deadlines(self.timeout, self.execution_timeout)
        return batch, batch.state.describe(settings.source)

    def _defer(self, batch: Batch) -> None:
        state = batch.pack()
        ends_at = state.ends_at
        packed = pack_addresses(batch.addresses)
        self.defer(
            trigger=ReingestContractsTrigger(
                contract_addresses=packed,
                state=to_json(state),
                alchemy_conn_id=read_connection_id(self.alchemy_conn_id),
                poll_interval=self.poll_interval,
                max_poll_interval=self.max_poll_interval,
                adaptive=self.adaptive,
                max_consecutive_failures=self.max_consecutive_failures,
                max_resubmits=self.max_resubmits,
                max_compute_units=self.max_compute_units,
            ),
            method_name="execute_complete",
            kwargs={"contract_addresses": packed},
            timeout=None if ends_at is None else max(ends_at - datetime.now(UTC), -BACK_STOP / 2) + BACK_STOP,
        )

    def _conclude(self, context: Any, batch: Batch, stopped_by: AlchemyError | None = None) -> dict[str, Any]:
        subject = self._subject(batch.state)
        self.log.info("%s: %s", subject, batch.summary())
        result = batch.result(stopped_by)
        error = stopped_by or batch.error(self.max_failed, subject)
        if error is None:
            return self.complete(context, result)
        push_result(self, context, result)
        raise airflow_exception(error, self, context)

    def _addresses(self, state: BatchState, packed: str | None = None) -> Sequence[str]:
        # dag.test() forgets what a task gave itself on the way, and Airflow does where it ends a wait.
        addresses = unpack_addresses(packed) if packed else read_contracts(self.contract_addresses).addresses
        if ContractList(tuple(addresses)).digest(state.network) == state.digest:
            return addresses
        msg = "the list of contracts is not the one that the batch began with"
        raise AlchemyUnexpectedAnswerError(msg, subject=self._subject(state), advice="Clear the task to begin anew")

    def _subject(self, state: BatchState) -> str:
        return state.describe(f"connection {self.alchemy_conn_id!r}")

    def _log_start(self, batch: Batch, subject: str, store: TaskStateStore) -> None:
        state, ended = batch.state, batch.ended
        known = f"; {ended:,} ended in an earlier try ({len(batch.finished):,} finished)" if ended else ""
        dropped = f"; {state.duplicates:,} named more than once, asked for once" if state.duplicates else ""
        self.log.info("%s: asking for %s%s%s", subject, f"{state.contracts - ended:,}", known, dropped)
        if store.is_missing:
            self.log.info(
                "Airflow keeps nothing of a task before 3.3: a retry asks for all contracts again, which joins the "
                "refreshes that run"
            )
