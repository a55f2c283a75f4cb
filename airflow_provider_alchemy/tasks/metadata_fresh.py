# SPDX-License-Identifier: Apache-2.0
"""
The life of a wait for fresh metadata in a task: choose the tokens, look, wait here or elsewhere, end.

A task may go through many processes: worker, database, triggerer, worker again, the next try. What it knows travels in
a ``FreshRecord``; what it waits for comes from its rendered arguments.
"""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import pendulum
from airflow.providers.common.compat.sdk import BaseOperator

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import AlchemyError, AlchemyUnexpectedAnswerError
from airflow_provider_alchemy.api.fresh_looks import choose_sample, look
from airflow_provider_alchemy.api.fresh_since import check_not_ahead, read_fresh_since
from airflow_provider_alchemy.api.fresh_waiting import FreshWait
from airflow_provider_alchemy.api.freshness import FreshRecord, needed_of
from airflow_provider_alchemy.api.metering import Meter
from airflow_provider_alchemy.api.models import read_contract_address, read_network
from airflow_provider_alchemy.api.sampling import seed_of
from airflow_provider_alchemy.api.settings import ClientSettings
from airflow_provider_alchemy.api.token_lists import read_token_ids
from airflow_provider_alchemy.api.token_prices import calls_of_look, price_of_look
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.connection import read_connection_id
from airflow_provider_alchemy.hooks.worker_calls import WorkerCalls
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
from airflow_provider_alchemy.tasks.fresh_memory import FreshMemory
from airflow_provider_alchemy.tasks.labels import label_mapped_task
from airflow_provider_alchemy.tasks.rendering import PlainTextTask
from airflow_provider_alchemy.triggers.metadata_fresh import MetadataFreshTrigger
from airflow_provider_alchemy.triggers.reingest import WaitEnd


class MetadataFreshTask(PlainTextTask):
    """The part of a task that looks at tokens until enough are fresh. The sensor adds its arguments."""

    template_fields: Sequence[str] = ("contract_address", "fresh_since", "token_ids", "network", "alchemy_conn_id")
    operator_extra_links = (ContractLink(), DashboardLink())
    ui_color = "#dbe9ff"
    is_rescheduled: ClassVar[bool] = False

    contract_address: str
    fresh_since: Any
    token_ids: Any
    is_sampling: bool
    network: str | None
    alchemy_conn_id: str
    deferrable: bool
    sample_size: int
    seed: int | None
    min_fresh: float
    max_consecutive_failures: int | None
    max_compute_units: int | None

    @abstractmethod
    def cadence(self) -> Cadence:
        """Give how often the task looks."""

    @abstractmethod
    def time_limit_seconds(self) -> float:
        """Give how long the task waits, in seconds."""

    def leave(self, wait: FreshWait, delay_seconds: float) -> None:  # noqa: ARG002 - the sensor needs it
        """
        Go on elsewhere, by raising what Airflow wants for it; or return, to go on here.

        :param wait: The wait so far.
        :param delay_seconds: When the next look is due.
        """
        if self.deferrable:
            record = wait.record
            self.defer(
                trigger=self._trigger(record, wait.cadence),
                method_name="execute_complete",
                timeout=back_stop(record.deadline, record.execution_deadline),
            )

    def look_on(self, context: Any, *, until_the_end: bool = True) -> FreshWait:
        """
        Look at the tokens until enough are fresh.

        :param context: The task's context.
        :param until_the_end: Whether to wait; else to look once.
        :return: The wait; ``is_over`` tells whether it has ended well.
        """
        memory = FreshMemory(context, self.retries or 0, self.log)
        try:
            settings, asked = self._read_arguments(context)
            wait = self._begin(asked, settings, memory)
            calls = WorkerCalls(settings)
            try:
                self._choose(calls, wait, memory)
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
        :return: What the task returns; its keys are those of ``FreshRecord.result``.
        """
        label_mapped_task(context)
        record, error = read_event(event, WaitEnd.FINISHED, FreshRecord.read, f"Collection {self.contract_address}")
        subject = record.describe(f"connection {self.alchemy_conn_id!r}")
        try:
            self._know_tokens(record, subject)
        except AlchemyError as unknown:
            raise airflow_exception(unknown, self, context) from None
        FreshMemory(context, self.retries or 0, self.log).keep_fresh(record)
        self._wait(record, subject).say_the_end()
        if error is not None:
            raise airflow_exception(error, self, context)
        return record.result()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Take the task up again after a deferral; a wait that Airflow itself ended for its time is a time-out."""
        if next_method == FAILED_BY_AIRFLOW and is_time_out(next_kwargs):
            raise airflow_exception(gone_triggerer(f"Collection {self.contract_address}"), self, context)
        # Not the sensor's own: it would skip with soft_fail on failures where a poking sensor fails.
        return BaseOperator.resume_execution(self, next_method, next_kwargs, context)

    def _read_arguments(self, context: Any) -> tuple[ClientSettings, FreshRecord]:
        address = read_contract_address(self.contract_address)
        moment = read_fresh_since(self.fresh_since)
        check_not_ahead(moment, pendulum.now("UTC"))
        given = None if self.is_sampling else read_token_ids(self.token_ids)
        network = None if self.network is None else read_network(self.network)
        with AlchemyHook(read_connection_id(self.alchemy_conn_id), network) as hook:
            settings = hook.get_conn().settings
        asked = FreshRecord(contract_address=address, network=settings.network, fresh_since=moment.isoformat())
        if given is None:
            asked.sample_size = self.sample_size
            asked.seed = _derived_seed(context["ti"]) if self.seed is None else self.seed
            return settings, asked
        asked.choose(given.ids)
        if given.duplicates:
            words = "%s: %s of its token ids are named more than once, and asked for once"
            self.log.info(words, asked.describe(settings.source), f"{given.duplicates:,}")
        return settings, asked

    def _begin(self, asked: FreshRecord, settings: ClientSettings, memory: FreshMemory) -> FreshWait:
        record = memory.recall_fresh(asked)
        if record is None:
            record = asked
            if self.is_rescheduled:
                self._reconstruct(record, memory)
        if record.deadline is None:
            execution_timeout = self.execution_timeout if self.deferrable else None
            set_deadlines(record, self.time_limit_seconds(), execution_timeout)
        return self._wait(record, record.describe(settings.source))

    def _reconstruct(self, record: FreshRecord, memory: FreshMemory) -> None:
        """Take over of earlier pokes what Airflow itself counts: their number, and when the first one was."""
        earlier = memory.earlier_pokes(record.contract_address)
        if earlier is not None:
            record.waiting_since, record.looks = earlier.waiting_since, earlier.looks
        elif record.is_sampled and not memory.has_store:
            self.log.warning(
                "Airflow keeps nothing between two pokes before 3.3: each reads the list of the collection's tokens "
                "again, 600 compute units per hundred tokens; deferrable=True and mode='poke' read it once"
            )

    def _choose(self, calls: WorkerCalls, wait: FreshWait, memory: FreshMemory) -> None:
        record, meter = wait.record, Meter()
        is_new = not record.polls
        if record.ids is None:
            try:
                calls.run(choose_sample(calls, wait, meter))
            finally:
                record.polls += meter.calls
                record.compute_units += meter.compute_units
                memory.keep_fresh(record)
        elif not record.looks and record.ids:
            wait.limits.check_price(price_of_look(len(record.ids)), "to ask for each of them once costs {price:,}")
            told = f"{len(record.ids):,} token{'s'[: len(record.ids) != 1]}"
            self.log.info("%s: waiting for %s to be newer than %s", wait.subject, told, record.fresh_since)
        if is_new and record.looks:
            # Pokes of which nothing is kept: each of them has cost what this one does, if not more.
            record.polls += record.looks * (meter.calls + calls_of_look(len(record.tokens)))
            record.compute_units += record.looks * (meter.compute_units + price_of_look(len(record.tokens)))
        if not record.ids:
            self.log.info("%s: there are no tokens to wait for", wait.subject)

    def _look_and_sleep(self, calls: WorkerCalls, wait: FreshWait, memory: FreshMemory, *, until_the_end: bool) -> None:
        # An earlier process may have got the end and not reported it.
        while not wait.is_over:
            try:
                delay = calls.run(look(calls, wait, Meter()))
            finally:
                memory.keep_fresh(wait.record)
            if delay is None or not until_the_end:
                return
            self.leave(wait, delay)
            time.sleep(delay)
        wait.finish()

    def _wait(self, record: FreshRecord, subject: str) -> FreshWait:
        return FreshWait(
            record,
            subject=subject,
            cadence=self.cadence(),
            log=self.log,
            min_fresh=self.min_fresh,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )

    def _know_tokens(self, record: FreshRecord, subject: str) -> None:
        """Put the tokens that were given back into a record that came without them."""
        if record.ids is not None:
            return
        digest = record.digest
        record.choose(read_token_ids(self.token_ids).ids)
        if record.digest != digest:
            msg = "the list of tokens is not the one that the wait began with"
            raise AlchemyUnexpectedAnswerError(msg, subject=subject, advice="Clear the task to begin anew")

    def _trigger(self, record: FreshRecord, cadence: Cadence) -> MetadataFreshTrigger:
        return MetadataFreshTrigger(
            record=record.to_dict(),
            alchemy_conn_id=read_connection_id(self.alchemy_conn_id),
            min_fresh=needed_of(self.min_fresh, len(record.tokens)),
            poll_interval=cadence.interval_seconds,
            exponential_backoff=cadence.exponential,
            max_wait=cadence.max_interval_seconds,
            max_consecutive_failures=self.max_consecutive_failures,
            max_compute_units=self.max_compute_units,
        )


def _derived_seed(task_instance: Any) -> int:
    """Give a seed that is the same in all tries of a task's run."""
    names = ("dag_id", "run_id", "task_id", "map_index")
    return seed_of(*(getattr(task_instance, name, None) for name in names))
