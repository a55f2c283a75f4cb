# SPDX-License-Identifier: Apache-2.0
"""The wait for the refreshes of many collections, in the triggerer: one trigger for all of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_alchemy.api.batch_run import BatchRun
from airflow_provider_alchemy.api.batches import BatchEnd, BatchRecord
from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.inputs import pack_addresses, unpack_addresses
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.triggers.progress import Progress, ProgressVariable

_ARGUMENTS = (
    "record",
    "alchemy_conn_id",
    "poll_interval",
    "max_poll_interval",
    "adaptive",
    "max_consecutive_failures",
    "max_resubmits",
    "max_compute_units",
    "variable",
)


class ReingestContractsTrigger(BaseTrigger):
    """
    Submit the refreshes of many collections, and wait until all have ended.

    It shares its poller with all triggers of the connection. Its arguments go through the metadata database and are
    readable there: no key among them. The triggerer may start it again at any time, on another machine, or twice at
    once: from Airflow 3.3 on it then goes on where it was. Before, it begins anew, and joins what runs at Alchemy.

    :param contract_addresses: The collections' contracts, each once, checked and in lower case; or what
        ``pack_addresses`` made of them.
    :param record: What is known of the batch, and its deadlines (``BatchRecord.to_dict``).
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param poll_interval: Seconds between two polls of a contract; where ``adaptive``, the fewest. Default 60.
    :param max_poll_interval: Seconds between two polls at most, where ``adaptive``. Default: ten minutes, or
        ``poll_interval`` where that is longer.
    :param adaptive: Whether polls follow each refresh's progress. Default True.
    :param max_consecutive_failures: Polls of a contract in a row that may fail; None: any number. Default 10.
    :param max_resubmits: How often a refresh that Alchemy could not queue is submitted again. Default 3.
    :param max_compute_units: What the batch may spend in all; default: any amount.
    :param variable: Where to keep how far the batch is (``ProgressVariable.to_dict``); default: nowhere.
    """

    def __init__(
        self,
        contract_addresses: str | Sequence[str],
        record: dict[str, Any],
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        poll_interval: float = 60.0,
        max_poll_interval: float | None = None,
        adaptive: bool = True,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_resubmits: int = 3,
        max_compute_units: int | None = None,
        variable: dict[str, Any] | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        if isinstance(contract_addresses, str):
            contract_addresses = unpack_addresses(contract_addresses)
        self.contract_addresses = tuple(contract_addresses)
        self.record = record
        self.alchemy_conn_id = alchemy_conn_id
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.adaptive = adaptive
        self.max_consecutive_failures = max_consecutive_failures
        self.max_resubmits = max_resubmits
        self.max_compute_units = max_compute_units
        self.variable = variable
        self._progress: Progress | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """
        Give what the triggerer needs to build this trigger again.

        :return: Class path and arguments.
        """
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        arguments = {name: getattr(self, name) for name in _ARGUMENTS}
        return path, {"contract_addresses": pack_addresses(self.contract_addresses), **arguments}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Submit and poll until every contract has ended, or the batch cannot go on.

        :return: One event: ``status`` (``BatchEnd``), ``record`` (what was seen), ``error`` (what stopped the batch, or
            None) and ``is_kept`` (whether a Variable is to be deleted). Airflow logs it and keeps it in the database.
        """
        # Outside the triggerer, as in dag.test(), nobody would take up what is kept.
        is_kept = self.variable is not None and self.task_instance is not None
        progress = Progress(ProgressVariable(**(self.variable or {})) if is_kept else None, self.log)
        self._progress = progress
        record, error = await self._record(progress), None
        try:
            async with shared_poller(self.alchemy_conn_id, record.network) as poller, progress.keeping(record):
                cadence = Cadence(
                    interval_seconds=self.poll_interval,
                    adaptive=self.adaptive,
                    max_interval_seconds=self.max_poll_interval,
                )
                batch = BatchRun(
                    poller,
                    self.contract_addresses,
                    record,
                    cadence=cadence,
                    log=self.log,
                    max_consecutive_failures=self.max_consecutive_failures,
                    max_resubmits=self.max_resubmits,
                    max_compute_units=self.max_compute_units,
                    on_change=progress.changed,
                )
                error = await batch.run()
                self.log.info("%s: %s", batch.subject, record.tell_the_end())
        except AlchemyError as failure:
            error = failure
        payload = {
            "status": (BatchEnd.STOPPED if error else BatchEnd.ENDED).value,
            "record": record.to_dict(),
            "error": error.to_dict() if error else None,
            "is_kept": is_kept,
        }
        yield TriggerEvent(payload)  # type: ignore[no-untyped-call]  # Airflow's class is not typed

    async def on_kill(self) -> None:
        """Say that refreshes cannot be stopped, and delete what was kept: a task that is cleared begins anew."""
        self.log.info("The refreshes that were submitted go on at Alchemy, which cannot cancel them")
        if self._progress is not None:
            await self._progress.forget()

    async def _record(self, progress: Progress) -> BatchRecord:
        record = BatchRecord.read(self.record)
        if record is None:
            msg = f"argument 'record' is {str(self.record)[:200]!r} and no record of a batch"
            raise ValueError(msg)
        kept = await progress.recall()
        if kept is None or kept.digest != record.digest:
            return record
        self.log.info("Going on where an earlier trigger of this try was: %s", kept.tell())
        return kept
