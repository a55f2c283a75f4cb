# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits for the end of a collection's refresh."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import conf

from airflow_provider_alchemy.defaults import DEFAULT_CONNECTION_ID, DEFAULT_MAX_CONSECUTIVE_FAILURES
from airflow_provider_alchemy.tasks import lazy
from airflow_provider_alchemy.tasks.arguments import (
    check_literals,
    read_count,
    read_max_interval,
    read_spending_limit,
)
from airflow_provider_alchemy.tasks.base import MAP_INDEX_TEMPLATE
from airflow_provider_alchemy.tasks.placement import place, warn_of_mapping
from airflow_provider_alchemy.tasks.reingest import ReingestTask
from airflow_provider_alchemy.tasks.waiting import WaitingSensor

if TYPE_CHECKING:
    from airflow_provider_alchemy.waits.interval import Interval


class ReingestSensor(ReingestTask, WaitingSensor):
    """
    Wait until the metadata refresh of an NFT collection is ``finished``.

    Poke, reschedule and deferred mode give the same result and the same exceptions. Alchemy has no call that only
    reports: the sensor's poll submits a refresh where none runs, and costs 480 compute units. So a sensor without
    an operator before it submits too, and none polls after the first answer that ends the refresh.

    :param contract_address: The collection's contract, 0x and 40 hexadecimal digits; mixed case must pass EIP-55.
        Templated.
    :param network: The network's slug; default: the connection's. Templated.
    :param alchemy_conn_id: The connection. Default ``alchemy_default``. Templated.
    :param deferrable: Whether to wait in the triggerer, which takes no worker slot. Default:
        ``[operators] default_deferrable`` of Airflow's configuration.
    :param adaptive: Whether polls follow the refresh's progress: where its end is expected, and ever more rarely while
        it is queued. Default True, because each poll costs 480 compute units; False: every ``poke_interval`` seconds.
    :param max_poll_interval: Seconds (or a timedelta) between two polls at most, where ``adaptive``. Default: ten
        minutes, or ``poke_interval`` where that is longer.
    :param max_compute_units: What the task may spend in all: it fails before a poll that would cost more. Default:
        any amount.
    :param start_from_trigger: Whether the task starts in the triggerer, without a worker; it is deferrable then.
        Default: ``[alchemy] start_from_trigger`` of Airflow's configuration, for deferrable tasks that can.
    :param end_from_trigger: Whether a task that ends well ends in the triggerer, without a worker; it is deferrable
        then. Default: ``[alchemy] end_from_trigger``, for deferrable tasks that can. Needs Airflow 3.3.
    :param max_consecutive_failures: Polls in a row that may fail for the service's trouble before the wait does;
        None: any number, until the timeout. Default 10. ``silent_fail`` means None.
    :param map_index_template: What the web UI shows for a mapped task. Default: its collection.
    :param multiple_outputs: Whether each key of the result is an XCom of its own. Default: only ``contract_address``,
        for ``task.output["contract_address"]`` of a DAG: each XCom is a call to Airflow's API server.
    :param kwargs: Those of ``BaseSensorOperator``: ``poke_interval`` (60 s), ``timeout``, ``mode``, ``soft_fail``,
        ``never_fail``, ``exponential_backoff``, ``max_wait``; they mean the same in every mode.
    :return: XCom: a dict of ``contract_address, network, state, progress, already_finished, submitted_at,
        finished_at, polls, compute_units, usd``.
    :raises AirflowFailException: What a retry cannot change; it is an ``AlchemyError`` as well.
    :raises AirflowSensorTimeout: The timeout is over; an ``AlchemyDeadlineError`` as well.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    template_fields: Sequence[str] = ("contract_address", "network", "alchemy_conn_id")

    def __init__(
        self,
        *,
        contract_address: str,
        network: str | None = None,
        alchemy_conn_id: str = DEFAULT_CONNECTION_ID,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        adaptive: bool = True,
        max_poll_interval: float | timedelta | None = None,
        max_compute_units: int | None = None,
        start_from_trigger: bool | None = None,
        end_from_trigger: bool | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        map_index_template: str | None = MAP_INDEX_TEMPLATE,
        multiple_outputs: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(map_index_template=map_index_template, multiple_outputs=multiple_outputs, **kwargs)
        check_literals(contract_address, network, alchemy_conn_id)
        self.contract_address = contract_address
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.deferrable = deferrable
        failures = read_count(max_consecutive_failures, "max_consecutive_failures")
        self.max_consecutive_failures = None if self.silent_fail else failures
        self.adaptive = adaptive
        self.max_poll_interval = read_max_interval(max_poll_interval, self.poke_interval, "poke_interval")
        self.max_compute_units = read_spending_limit(max_compute_units)
        place(self, start_from_trigger=start_from_trigger, end_from_trigger=end_from_trigger)

    def interval(self) -> Interval:
        """Give how often the sensor polls."""
        if self.exponential_backoff or not self.adaptive:
            return super().interval()
        return lazy.interval.Interval(seconds=self.poke_interval, max_seconds=self.max_poll_interval, adaptive=True)

    def execute(self, context: Any) -> dict[str, Any]:
        """
        Wait for the refresh's end.

        :param context: The task's context.
        :return: The refresh's status and what it cost.
        """
        warn_of_mapping(self, context)
        return super().execute(context)
