# SPDX-License-Identifier: Apache-2.0
"""The refreshes of many collections in the triggerer: one trigger for a whole batch."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.inputs import read_connection_id
from airflow_provider_alchemy.api.packing import pack_addresses, unpack_addresses
from airflow_provider_alchemy.defaults import DEFAULT_CONNECTION_ID, DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.hooks.shared import shared_poller
from airflow_provider_alchemy.triggers.wait import SerializableTrigger, WaitEnd, event_of
from airflow_provider_alchemy.waits.batch import Batch, BatchState, BatchWait
from airflow_provider_alchemy.waits.interval import Interval
from airflow_provider_alchemy.waits.wait import from_json, to_json


class ReingestContractsTrigger(SerializableTrigger):
    """
    Submit the refreshes of many collections, and wait until all have ended.

    Like ``WaitTrigger`` it shares session and throttle, may be started again at any time, and keeps no key in its
    arguments. What a killed triggerer has seen since the last progress is asked for again.

    :param contract_addresses: The collections' contracts, each once, checked and in lower case; or packed
        (``pack_addresses``).
    :param state: What is known of the batch, and its deadlines, as JSON values.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``.
    :param poll_interval: Seconds between two polls of a contract; where ``adaptive``, at least that many. Default 60.
    :param max_poll_interval: Seconds between two polls at most, where ``adaptive``. Default ten minutes.
    :param adaptive: Whether polls follow each refresh's progress. Default True.
    :param max_consecutive_failures: Polls of a contract in a row that may fail; None: any number. Default 10.
    :param max_resubmits: How often a refresh that Alchemy could not queue is submitted again. Default 3.
    :param max_compute_units: What the batch may spend in all; default: any amount.
    """

    def __init__(
        self,
        contract_addresses: str | Sequence[str],
        state: dict[str, Any],
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
        poll_interval: float = 60.0,
        max_poll_interval: float | None = None,
        adaptive: bool = True,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        max_resubmits: int = 3,
        max_compute_units: int | None = None,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's trigger base is not typed
        if not isinstance(contract_addresses, str):
            contract_addresses = pack_addresses(contract_addresses)
        self.contract_addresses = contract_addresses
        self.state = state
        self.alchemy_conn_id = alchemy_conn_id
        self.poll_interval = poll_interval
        self.max_poll_interval = max_poll_interval
        self.adaptive = adaptive
        self.max_consecutive_failures = max_consecutive_failures
        self.max_resubmits = max_resubmits
        self.max_compute_units = max_compute_units

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """
        Submit and poll until every contract has ended, the batch cannot go on, or its progress is to be saved.

        :return: One event: ``status`` (``WaitEnd``), ``state`` (what was seen) and ``error`` (what stopped the batch,
            or None). Airflow logs it and keeps it in the database.
        """
        state = from_json(BatchState, self.state)
        if state is None:
            msg = f"argument 'state' is {str(self.state)[:200]!r} and no state of a batch"
            raise ValueError(msg)
        batch, error, has_ended = Batch(state, unpack_addresses(self.contract_addresses)), None, False
        try:
            async with shared_poller(read_connection_id(self.alchemy_conn_id), state.network) as api:
                has_ended = await BatchWait(
                    batch,
                    source=api.settings.source,
                    interval=Interval(
                        seconds=self.poll_interval, adaptive=self.adaptive, max_seconds=self.max_poll_interval
                    ),
                    log=self.log,
                    max_consecutive_failures=self.max_consecutive_failures,
                    max_resubmits=self.max_resubmits,
                    max_compute_units=self.max_compute_units,
                ).run(api)
        except AlchemyError as failure:
            error = failure
        status = WaitEnd.FAILED if error else WaitEnd.FINISHED if has_ended else WaitEnd.PROGRESS
        yield event_of(status, to_json(batch.pack()), error)

    async def on_kill(self) -> None:
        self.log.info("The refreshes that were submitted go on at Alchemy, which cannot cancel them")
