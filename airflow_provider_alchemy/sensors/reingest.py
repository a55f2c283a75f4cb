# SPDX-License-Identifier: Apache-2.0
"""The sensor that waits for the end of a collection's refresh."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pendulum
from airflow.exceptions import AirflowRescheduleException
from airflow.providers.common.compat.sdk import BaseSensorOperator, PokeReturnValue, conf

from airflow_provider_alchemy.api.cadence import Cadence
from airflow_provider_alchemy.api.errors import AlchemyError
from airflow_provider_alchemy.api.waiting import DEFAULT_MAX_CONSECUTIVE_FAILURES, RefreshWait
from airflow_provider_alchemy.hooks.alchemy import AlchemyHook
from airflow_provider_alchemy.tasks.arguments import (
    check_literals,
    read_count,
    read_longest_interval,
    read_spending_limit,
)
from airflow_provider_alchemy.tasks.failures import airflow_exception, skipping
from airflow_provider_alchemy.tasks.labels import MAP_INDEX_TEMPLATE, label_mapped_task
from airflow_provider_alchemy.tasks.memory import TaskMemory
from airflow_provider_alchemy.tasks.placement import place, warn_of_mapping
from airflow_provider_alchemy.tasks.reingest import ReingestTask


class ReingestSensor(ReingestTask, BaseSensorOperator):
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
    :param multiple_outputs: Whether each key of the result is an XCom of its own as well, which is what
        ``task.output["contract_address"]`` of a DAG reads. Default: yes, but only ``contract_address`` for a task that
        ends in the triggerer, where each XCom costs as much as several polls.
    :param kwargs: Those of ``BaseSensorOperator``: ``poke_interval`` (60 s), ``timeout``, ``mode``, ``soft_fail``,
        ``never_fail``, ``exponential_backoff``, ``max_wait``; they mean the same in every mode.
    :return: XCom: a dict of ``contract_address, network, state, progress, already_finished, submitted_at,
        finished_at, polls, compute_units``.
    :raises AirflowFailException: What a retry cannot mend; it is an ``AlchemyError`` as well.
    :raises AirflowSensorTimeout: The timeout is over; an ``AlchemyDeadlineError`` as well.
    :raises AlchemyError: Anything else, which Airflow may retry.
    """

    only_looks = True

    def __init__(
        self,
        *,
        contract_address: str,
        network: str | None = None,
        alchemy_conn_id: str = AlchemyHook.default_conn_name,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        adaptive: bool = True,
        max_poll_interval: float | timedelta | None = None,
        max_compute_units: int | None = None,
        start_from_trigger: bool | None = None,
        end_from_trigger: bool | None = None,
        max_consecutive_failures: int | None = DEFAULT_MAX_CONSECUTIVE_FAILURES,
        map_index_template: str | None = MAP_INDEX_TEMPLATE,
        multiple_outputs: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            map_index_template=map_index_template, multiple_outputs=multiple_outputs is not False, **kwargs
        )
        self.outputs_from_trigger = multiple_outputs
        check_literals(contract_address, network, alchemy_conn_id)
        self.contract_address = contract_address
        self.network = network
        self.alchemy_conn_id = alchemy_conn_id
        self.deferrable = deferrable
        failures = read_count(max_consecutive_failures, "max_consecutive_failures")
        self.max_consecutive_failures = None if self.silent_fail else failures
        self.adaptive = adaptive
        self.max_poll_interval = read_longest_interval(max_poll_interval, self.poke_interval, "poke_interval")
        self.max_compute_units = read_spending_limit(max_compute_units)
        place(self, start_from_trigger=start_from_trigger, end_from_trigger=end_from_trigger)

    @property
    def is_rescheduled(self) -> bool:  # type: ignore[override]  # an operator never is, a sensor may be
        """Whether the sensor's process ends between two pokes."""
        return bool(self.reschedule) and not self.deferrable

    def cadence(self) -> Cadence:
        """Give how often the sensor looks."""
        if self.exponential_backoff:
            longest = self.max_wait.total_seconds() if self.max_wait else None
            return Cadence(interval_seconds=self.poke_interval, exponential=True, max_interval_seconds=longest)
        return Cadence(
            interval_seconds=self.poke_interval, adaptive=self.adaptive, max_interval_seconds=self.max_poll_interval
        )

    def time_limit_seconds(self) -> float:
        """Give how long the sensor waits, in seconds."""
        return self.timeout

    def execute(self, context: Any) -> dict[str, Any]:
        """
        Wait for the refresh's end.

        :param context: The task's context.
        :return: The refresh's status and what it cost.
        """
        label_mapped_task(context)
        warn_of_mapping(self)
        with skipping(self):
            result = self.look_on(context)
        return self.deliver(context, result)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Any) -> Any:
        """Take the sensor up again after a deferral, with the rules of the other modes."""
        with skipping(self):
            return super().resume_execution(next_method, next_kwargs, context)

    def leave(self, wait: RefreshWait, delay_seconds: float) -> None:
        """
        Defer or reschedule, by raising what Airflow wants for it; or return, to poke here.

        :param wait: The wait so far.
        :param delay_seconds: When the next poke is due.
        """
        super().leave(wait, delay_seconds)
        if self.is_rescheduled:
            due = pendulum.now("UTC").add(seconds=delay_seconds)
            raise AirflowRescheduleException(due)  # type: ignore[no-untyped-call]  # Airflow's class is not typed

    def poke(self, context: Any) -> PokeReturnValue:
        """
        Look once, for those who call a sensor's poke themselves.

        :param context: The task's context.
        :return: Whether the refresh has finished, and then what the task returns.
        """
        try:
            with self.hook() as hook:
                memory = TaskMemory(context, self.retries or 0, self.log)
                wait = self.begin(hook, memory)
                is_done = self.look(hook, wait, memory) is None
        except AlchemyError as error:
            raise airflow_exception(error, self, context) from None
        return PokeReturnValue(is_done=is_done, xcom_value=wait.result() if is_done else None)
