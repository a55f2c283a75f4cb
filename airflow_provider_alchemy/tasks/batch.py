# SPDX-License-Identifier: Apache-2.0
"""
The task that refreshes many collections.

It is always deferred. Its trigger reports the progress now and then; a worker saves it, and defers the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.inputs import ContractList, read_connection_id, read_contracts
from airflow_provider_alchemy.api.packing import pack_addresses, unpack_addresses
from airflow_provider_alchemy.assets.uris import Collection
from airflow_provider_alchemy.links.collection import DashboardLink
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.arguments import check_is_no_mapped_nothing, read_batch_spending_limit
from airflow_provider_alchemy.tasks.base import events_of_batch, push_result
from airflow_provider_alchemy.tasks.deferral import DeferrableTask, no_triggerer_error, read_event
from airflow_provider_alchemy.tasks.exceptions import airflow_exception
from airflow_provider_alchemy.tasks.store import TaskStateStore

if TYPE_CHECKING:
    from airflow_provider_alchemy.waits.batch import Batch, BatchState


class ReingestContractsTask(DeferrableTask):
    """The part of a task that leads a batch through its processes. The operator adds its arguments."""

    operator_extra_links: Sequence[Any] = (DashboardLink(),)
    store_key = "alchemy_batch"

    contract_addresses: Any
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
        store = self.store(context)
        try:
            check_is_no_mapped_nothing(self, context)
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
        return self._end(context, batch)

    def execute_complete(
        self, context: Any, event: dict[str, Any] | None = None, contract_addresses: str | None = None
    ) -> dict[str, Any]:
        """Save what the triggerer saw, and defer the rest or end."""
        status, state, error = read_event(event, lazy.batch.BatchState, f"Batch of task {self.task_id!r}")
        self.store(context).save(lazy.wait.to_json(state))
        batch = lazy.batch.Batch(state, self._addresses(state, contract_addresses))
        if status == lazy.wait_trigger.WaitEnd.PROGRESS:
            # Not the trigger: Airflow begins the triggerer's log of a task anew with each deferral.
            self.log.info("%s: %s", self._subject(state), batch.describe())
            self._defer(batch)
        return self._end(context, batch, error)

    def ended_by_airflow(self, context: Any) -> AlchemyError:
        saved, _ = self.store(context).load()
        state = lazy.wait.from_json(lazy.batch.BatchState, saved)
        if state is None:
            return no_triggerer_error(f"Batch of task {self.task_id!r}")
        error = no_triggerer_error(self._subject(state))
        # The list may be another by now: then there is no result.
        with suppress(AlchemyError):
            push_result(self, context, lazy.batch.Batch(state, self._addresses(state)).result(error))
        return error

    def events_of(self, result: Mapping[str, Any]) -> Mapping[Collection, dict[str, Any]]:
        return events_of_batch(result)

    def on_kill(self) -> None:
        self.log.info("The refreshes that were submitted go on at Alchemy, which cannot cancel them")

    def _begin(self, contracts: ContractList, store: TaskStateStore) -> tuple[Batch, str]:
        settings = self.read_settings()
        state = lazy.batch.BatchState(
            contracts=len(contracts.addresses),
            digest=contracts.digest(settings.network),
            network=settings.network,
            duplicates=contracts.duplicates,
        )
        saved, _ = store.load()
        earlier = lazy.wait.from_json(lazy.batch.BatchState, saved)
        batch = lazy.batch.Batch(state, contracts.addresses)
        if earlier is not None and earlier.digest == state.digest:
            batch = lazy.batch.Batch(earlier, contracts.addresses)
            batch.begin_new_try()
        elif earlier is not None:
            self.log.info("The contracts are not those of the earlier try: asking for all of them")
        # Airflow enforces execution_timeout in the worker only, not while the task is deferred.
        batch.state.set_deadlines(self.timeout, self.execution_timeout)
        return batch, batch.state.describe(settings.source)

    def _defer(self, batch: Batch) -> None:
        state, packed = batch.pack(), pack_addresses(batch.addresses)
        self.defer_until(
            state.ends_at,
            lazy.batch_trigger.ReingestContractsTrigger(
                contract_addresses=packed,
                state=lazy.wait.to_json(state),
                alchemy_conn_id=read_connection_id(self.alchemy_conn_id),
                poll_interval=self.poll_interval,
                max_poll_interval=self.max_poll_interval,
                adaptive=self.adaptive,
                max_consecutive_failures=self.max_consecutive_failures,
                max_resubmits=self.max_resubmits,
                max_compute_units=self.max_compute_units,
            ),
            {"contract_addresses": packed},
        )

    def _end(self, context: Any, batch: Batch, stopped_by: AlchemyError | None = None) -> dict[str, Any]:
        subject = self._subject(batch.state)
        self.log.info("%s: %s", subject, batch.summary())
        return self.conclude(context, batch.result(stopped_by), stopped_by or batch.error(self.max_failed, subject))

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
